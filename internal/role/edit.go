package role

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/socket/api"
)

var (
	errUpdateNone = api.Err("NO_SUCH_ROLE", "cd23ef55-09ad-428a-ac61-95a45e124b32", "There is no such role.")
	errDeleteNone = api.Err("NO_SUCH_ROLE", "de0d6ecd-8e0a-4253-88ff-74bc89ae3d45", "There is no such role.")
)

type createReq struct {
	Name               string                     `json:"name" api:"required,max=256"`
	Description        string                     `json:"description" api:"required,max=2048"`
	Color              *string                    `json:"color" api:"required,nullable,max=256"`
	IconURL            *string                    `json:"iconUrl" api:"required,nullable,max=1024"`
	Target             string                     `json:"target" api:"required,enum=manual|conditional"`
	CondFormula        map[string]json.RawMessage `json:"condFormula" api:"required"`
	IsPublic           bool                       `json:"isPublic" api:"required"`
	IsModerator        bool                       `json:"isModerator" api:"required"`
	IsAdministrator    bool                       `json:"isAdministrator" api:"required"`
	IsExplorable       bool                       `json:"isExplorable" api:"default=false"`
	AsBadge            bool                       `json:"asBadge" api:"required"`
	Preserve           bool                       `json:"preserveAssignmentOnMoveAccount" api:"default=false"`
	MembersByModerator bool                       `json:"canEditMembersByModerator" api:"required"`
	DisplayOrder       int                        `json:"displayOrder" api:"required,min=-1000000,max=1000000"`
	Policies           map[string]json.RawMessage `json:"policies" api:"required"`
}

const (
	sqlInsert = `
INSERT INTO role (id, updated_at, name, description, color, icon_url, target, cond_formula, is_public, is_moderator, is_administrator,
	is_explorable, as_badge, preserve_on_move, can_edit_members_by_moderator, display_order, policies)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)`
	sqlUpdate = `
UPDATE role SET updated_at = $2, name = $3, description = $4, color = $5, icon_url = $6, target = $7, cond_formula = $8, is_public = $9,
	is_moderator = $10, is_administrator = $11, is_explorable = $12, as_badge = $13, preserve_on_move = $14,
	can_edit_members_by_moderator = $15, display_order = $16, policies = $17
WHERE id = $1`
	sqlDelete   = `DELETE FROM role WHERE id = $1`
	sqlLockRole = `SELECT FROM role WHERE id = $1 FOR UPDATE`
)

// write stores a role by one of the statements above.
func (s *Service) write(ctx context.Context, tx *pg.Tx, sql string, r *Role) error {
	policies, err := json.Marshal(r.overrides)
	if err != nil {
		return err
	}
	target := "manual"
	if r.Conditional {
		target = "conditional"
	}
	_, err = tx.Exec(ctx, sql, r.ID, r.UpdatedAt, r.Name, r.Description, r.Color, r.IconURL, target, []byte(r.Formula), r.Public, r.Moderator, r.Admin,
		r.Explorable, r.Badge, r.Preserve, r.MembersByModerator, r.DisplayOrder, policies)
	if err != nil {
		return fmt.Errorf("write role: %w", err)
	}
	return s.note(ctx, tx, r.ID)
}

// note has every node forget what it remembers.
func (s *Service) note(ctx context.Context, tx *pg.Tx, roleID string) error {
	tx.AfterCommit(s.Forget)
	return s.log.Append(ctx, tx, changed, roleID, "", nil)
}

// formula is a formula as it is kept: a conditional role needs one that can be
// read; what a manual role has is kept for when it becomes one.
func formula(raw map[string]json.RawMessage, conditional bool) (json.RawMessage, error) {
	if len(raw) == 0 && !conditional {
		return json.RawMessage(nobody), nil
	}
	b, err := json.Marshal(raw)
	if err != nil {
		return nil, err
	}
	if _, err := readFormula(b); err != nil {
		return nil, err
	}
	return b, nil
}

// checkIcon allows pictures by web address only.
func checkIcon(url *string) error {
	if url != nil && *url != "" && !strings.HasPrefix(*url, "https://") && !strings.HasPrefix(*url, "http://") && !strings.HasPrefix(*url, "/") {
		return api.InvalidParam("#/properties/iconUrl/format", "must be a web address")
	}
	return nil
}

func (s *Service) apiCreate(ctx context.Context, c *api.Call, req createReq) (*Packed, error) {
	r := &Role{ID: s.ids.Now(), UpdatedAt: s.now().UTC(), Name: req.Name, Description: req.Description, Color: req.Color, IconURL: req.IconURL,
		Conditional: req.Target == "conditional", Public: req.IsPublic, Moderator: req.IsModerator, Admin: req.IsAdministrator,
		Explorable: req.IsExplorable, Badge: req.AsBadge, Preserve: req.Preserve, MembersByModerator: req.MembersByModerator, DisplayOrder: req.DisplayOrder}
	var err error
	if err = checkIcon(r.IconURL); err != nil {
		return nil, err
	}
	if r.Formula, err = formula(req.CondFormula, r.Conditional); err != nil {
		return nil, err
	}
	if r.overrides, err = readOverrides(req.Policies); err != nil {
		return nil, err
	}
	var p *Packed
	err = s.db.Tx(ctx, func(tx *pg.Tx) error {
		if err := s.write(ctx, tx, sqlInsert, r); err != nil {
			return err
		}
		if p, err = s.packOne(ctx, tx, r); err != nil {
			return err
		}
		return s.bus.Emit(ctx, tx, Acted{Moderator: c.UserID, Type: "createRole", Info: map[string]any{"roleId": r.ID, "role": p}})
	})
	return p, err
}

type updateReq struct {
	RoleID             string                      `json:"roleId" api:"required,id"`
	Name               *string                     `json:"name" api:"optional,max=256"`
	Description        *string                     `json:"description" api:"optional,max=2048"`
	Color              api.Opt[string]             `json:"color" api:"max=256"`
	IconURL            api.Opt[string]             `json:"iconUrl" api:"max=1024"`
	Target             *string                     `json:"target" api:"optional,enum=manual|conditional"`
	CondFormula        *map[string]json.RawMessage `json:"condFormula" api:"optional"`
	IsPublic           *bool                       `json:"isPublic" api:"optional"`
	IsModerator        *bool                       `json:"isModerator" api:"optional"`
	IsAdministrator    *bool                       `json:"isAdministrator" api:"optional"`
	IsExplorable       *bool                       `json:"isExplorable" api:"optional"`
	AsBadge            *bool                       `json:"asBadge" api:"optional"`
	Preserve           *bool                       `json:"preserveAssignmentOnMoveAccount" api:"optional"`
	MembersByModerator *bool                       `json:"canEditMembersByModerator" api:"optional"`
	DisplayOrder       *int                        `json:"displayOrder" api:"optional,min=-1000000,max=1000000"`
	Policies           *map[string]json.RawMessage `json:"policies" api:"optional"`
}

// put sets what a request gives.
func put[T any](to *T, v *T) {
	if v != nil {
		*to = *v
	}
}

func putOpt(to **string, v api.Opt[string]) {
	if v.Set {
		*to = nil
		if !v.Null {
			*to = &v.V
		}
	}
}

// apply lays a request over the role.
func (req *updateReq) apply(r *Role) (err error) {
	put(&r.Name, req.Name)
	put(&r.Description, req.Description)
	putOpt(&r.Color, req.Color)
	putOpt(&r.IconURL, req.IconURL)
	put(&r.Public, req.IsPublic)
	put(&r.Moderator, req.IsModerator)
	put(&r.Admin, req.IsAdministrator)
	put(&r.Explorable, req.IsExplorable)
	put(&r.Badge, req.AsBadge)
	put(&r.Preserve, req.Preserve)
	put(&r.MembersByModerator, req.MembersByModerator)
	put(&r.DisplayOrder, req.DisplayOrder)
	if req.Target != nil {
		r.Conditional = *req.Target == "conditional"
	}
	if err := checkIcon(r.IconURL); err != nil {
		return err
	}
	if req.CondFormula != nil {
		if r.Formula, err = formula(*req.CondFormula, r.Conditional); err != nil {
			return err
		}
	}
	if req.Policies != nil {
		r.overrides, err = readOverrides(*req.Policies)
	}
	return err
}

// locked gives a role as it is, held until tx ends.
func (s *Service) locked(ctx context.Context, tx *pg.Tx, roleID string) (*Role, error) {
	if _, err := tx.Exec(ctx, sqlLockRole, roleID); err != nil {
		return nil, fmt.Errorf("lock role: %w", err)
	}
	all, err := s.read(ctx, tx)
	if err != nil {
		return nil, err
	}
	if i := slices.IndexFunc(all, func(r *Role) bool { return r.ID == roleID }); i >= 0 {
		return all[i], nil
	}
	return nil, ErrNotFound
}

func (s *Service) apiUpdate(ctx context.Context, c *api.Call, req updateReq) (api.None, error) {
	err := s.db.Tx(ctx, func(tx *pg.Tx) error {
		r, err := s.locked(ctx, tx, req.RoleID)
		if err != nil {
			return err
		}
		before, err := s.packOne(ctx, tx, r)
		if err != nil {
			return err
		}
		if err := req.apply(r); err != nil {
			return err
		}
		r.UpdatedAt = s.now().UTC()
		if err := s.write(ctx, tx, sqlUpdate, r); err != nil {
			return err
		}
		after, err := s.packOne(ctx, tx, r)
		if err != nil {
			return err
		}
		return s.bus.Emit(ctx, tx, Acted{Moderator: c.UserID, Type: "updateRole", Info: map[string]any{"roleId": r.ID, "before": before, "after": after}})
	})
	if errors.Is(err, ErrNotFound) {
		err = errUpdateNone
	}
	return api.None{}, err
}

func (s *Service) apiDelete(ctx context.Context, c *api.Call, req roleReq) (api.None, error) {
	err := s.db.Tx(ctx, func(tx *pg.Tx) error {
		r, err := s.locked(ctx, tx, req.RoleID)
		if err != nil {
			return err
		}
		p, err := s.packOne(ctx, tx, r)
		if err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, sqlDelete, r.ID); err != nil {
			return fmt.Errorf("delete role: %w", err)
		}
		if err := s.note(ctx, tx, r.ID); err != nil {
			return err
		}
		return s.bus.Emit(ctx, tx, Acted{Moderator: c.UserID, Type: "deleteRole", Info: map[string]any{"roleId": r.ID, "role": p}})
	})
	if errors.Is(err, ErrNotFound) {
		err = errDeleteNone
	}
	return api.None{}, err
}

type defaultsReq struct {
	Policies map[string]json.RawMessage `json:"policies" api:"required"`
}

// apiUpdateDefaults says what accounts without roles may do, where that is not
// what is built in.
func (s *Service) apiUpdateDefaults(ctx context.Context, c *api.Call, req defaultsReq) (api.None, error) {
	if err := checkDefaults(req.Policies); err != nil {
		return api.None{}, err
	}
	before := s.meta.Get().Policies
	return api.None{}, s.db.Tx(ctx, func(tx *pg.Tx) error {
		if err := s.meta.UpdateIn(ctx, tx, map[string]any{"policies": req.Policies}); err != nil {
			return err
		}
		return s.bus.Emit(ctx, tx, Acted{Moderator: c.UserID, Type: "updateServerSettings",
			Info: map[string]any{"before": map[string]any{"policies": before}, "after": map[string]any{"policies": req.Policies}}})
	})
}
