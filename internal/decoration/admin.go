package decoration

import (
	"context"
	"fmt"
	"net/url"
	"time"

	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/role"
	"buttersc.one/oven/internal/socket/api"
)

func (s *Service) adminEndpoints() []api.Endpoint {
	const policy, write = "canManageAvatarDecorations", "write:admin:avatar-decorations"
	return []api.Endpoint{
		api.Post("admin/avatar-decorations/create", s.apiCreate, api.Scope(write), api.Policy(policy)),
		api.Post("admin/avatar-decorations/list", s.apiAdminList, api.Scope("read:admin:avatar-decorations"), api.Policy(policy)),
		api.Post("admin/avatar-decorations/update", s.apiUpdate, api.Scope(write), api.Policy(policy)),
		api.Post("admin/avatar-decorations/delete", s.apiDelete, api.Scope(write), api.Policy(policy)),
	}
}

// managed is a decoration as moderators see it.
type managed struct {
	listed
	CreatedAt api.Time  `json:"createdAt"`
	UpdatedAt *api.Time `json:"updatedAt"`
}

func (s *Service) managed(d *Decoration) (*managed, error) {
	created, err := s.ids.Method().Time(d.ID)
	if err != nil {
		return nil, fmt.Errorf("decoration %s: %w", d.ID, err)
	}
	return &managed{listed: d.listed(), CreatedAt: api.Time(created), UpdatedAt: api.TimePtr(d.UpdatedAt)}, nil
}

// checkURL refuses pictures that are not on the web.
func checkURL(raw string) error {
	if u, err := url.Parse(raw); err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		return api.InvalidParam("#/properties/url", "must be an address on the web")
	}
	return nil
}

// acted tells every process, and the moderation log, of a change.
func (s *Service) acted(ctx context.Context, tx *pg.Tx, c *api.Call, typ string, id string, info map[string]any) error {
	tx.AfterCommit(s.forget)
	if err := s.log.Append(ctx, tx, "decoration.changed", id, c.UserID, nil); err != nil {
		return err
	}
	info["avatarDecorationId"] = id
	return s.bus.Emit(ctx, tx, role.Acted{Moderator: c.UserID, Type: typ, Info: info})
}

type createReq struct {
	Name        string   `json:"name" api:"required,min=1,max=256"`
	Description string   `json:"description" api:"required,max=2048"`
	URL         string   `json:"url" api:"required,min=1,max=1024"`
	RoleIDs     []string `json:"roleIdsThatCanBeUsedThisDecoration" api:"optional,max=128"`
	Category    *string  `json:"category" api:"max=128"`
}

const sqlInsert = `INSERT INTO avatar_decoration (id, name, description, url, role_ids, category) VALUES ($1, $2, $3, $4, $5, $6)`

func (s *Service) apiCreate(ctx context.Context, c *api.Call, req createReq) (*managed, error) {
	if err := checkURL(req.URL); err != nil {
		return nil, err
	}
	d := &Decoration{ID: s.ids.Now(), Name: req.Name, Description: req.Description, URL: req.URL, RoleIDs: req.RoleIDs, Category: req.Category}
	if d.RoleIDs == nil {
		d.RoleIDs = []string{}
	}
	err := s.db.Tx(ctx, func(tx *pg.Tx) error {
		if _, err := tx.Exec(ctx, sqlInsert, d.ID, d.Name, d.Description, d.URL, d.RoleIDs, d.Category); err != nil {
			return fmt.Errorf("create decoration: %w", err)
		}
		return s.acted(ctx, tx, c, "createAvatarDecoration", d.ID, map[string]any{"avatarDecoration": d.listed()})
	})
	if err != nil {
		return nil, err
	}
	return s.managed(d)
}

type adminListReq struct {
	api.Page
	Limit  int     `json:"limit" api:"min=1,max=100,default=10"`
	UserID *string `json:"userId" api:"id"`
}

// Those that an account wears; its condition's argument is the account.
const wornBy = `t.id IN (SELECT w ->> 'id' FROM "user" u, jsonb_array_elements(u.avatar_decorations) w WHERE u.id = ?)`

func (s *Service) apiAdminList(ctx context.Context, _ *api.Call, req adminListReq) ([]*managed, error) {
	var w pg.Where
	if req.UserID != nil {
		w.And(wornBy, *req.UserID)
	}
	order := req.Apply(&w, s.ids.Method(), req.Limit)
	list, err := s.read(ctx, sqlAll+w.SQL()+order, w.Args...)
	if err != nil {
		return nil, err
	}
	out := make([]*managed, 0, len(list))
	for _, d := range list {
		m, err := s.managed(d)
		if err != nil {
			return nil, err
		}
		out = append(out, m)
	}
	return out, nil
}

type updateReq struct {
	ID          string          `json:"id" api:"required,id"`
	Name        *string         `json:"name" api:"min=1,max=256"`
	Description *string         `json:"description" api:"max=2048"`
	URL         *string         `json:"url" api:"min=1,max=1024"`
	RoleIDs     *[]string       `json:"roleIdsThatCanBeUsedThisDecoration" api:"max=128"`
	Category    api.Opt[string] `json:"category" api:"max=128"`
}

const (
	sqlLocked = sqlAll + ` WHERE t.id = $1 FOR UPDATE`
	sqlUpdate = `UPDATE avatar_decoration SET name = $2, description = $3, url = $4, role_ids = $5, category = $6, updated_at = $7 WHERE id = $1`
	sqlDelete = `DELETE FROM avatar_decoration WHERE id = $1`
)

func errNone() error { return api.InvalidParam("#/properties/id", "there is no such decoration") }

// locked reads a decoration that tx is about to change.
func locked(ctx context.Context, tx *pg.Tx, id string) (*Decoration, error) {
	d := &Decoration{}
	err := tx.QueryRow(ctx, sqlLocked, id).Scan(&d.ID, &d.Name, &d.Description, &d.URL, &d.RoleIDs, &d.Category, &d.UpdatedAt)
	if pg.NoRows(err) {
		return nil, errNone()
	}
	if err != nil {
		return nil, fmt.Errorf("decoration: %w", err)
	}
	return d, nil
}

func (s *Service) apiUpdate(ctx context.Context, c *api.Call, req updateReq) (api.None, error) {
	if req.URL != nil {
		if err := checkURL(*req.URL); err != nil {
			return api.None{}, err
		}
	}
	return api.None{}, s.db.Tx(ctx, func(tx *pg.Tx) error {
		d, err := locked(ctx, tx, req.ID)
		if err != nil {
			return err
		}
		before := d.listed()
		for field, v := range map[*string]*string{&d.Name: req.Name, &d.Description: req.Description, &d.URL: req.URL} {
			if v != nil {
				*field = *v
			}
		}
		if req.RoleIDs != nil {
			d.RoleIDs = *req.RoleIDs
		}
		if req.Category.Set {
			d.Category = nil
			if !req.Category.Null {
				d.Category = &req.Category.V
			}
		}
		if _, err := tx.Exec(ctx, sqlUpdate, d.ID, d.Name, d.Description, d.URL, d.RoleIDs, d.Category, time.Now()); err != nil {
			return fmt.Errorf("update decoration: %w", err)
		}
		return s.acted(ctx, tx, c, "updateAvatarDecoration", d.ID, map[string]any{"before": before, "after": d.listed()})
	})
}

type deleteReq struct {
	ID string `json:"id" api:"required,id"`
}

// apiDelete takes a decoration out of the catalogue; whoever wears it does not
// any more.
func (s *Service) apiDelete(ctx context.Context, c *api.Call, req deleteReq) (api.None, error) {
	return api.None{}, s.db.Tx(ctx, func(tx *pg.Tx) error {
		d, err := locked(ctx, tx, req.ID)
		if err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, sqlDelete, d.ID); err != nil {
			return fmt.Errorf("delete decoration: %w", err)
		}
		return s.acted(ctx, tx, c, "deleteAvatarDecoration", d.ID, map[string]any{"avatarDecoration": d.listed()})
	})
}
