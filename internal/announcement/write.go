package announcement

import (
	"context"
	"fmt"
	"strings"

	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/role"
	"buttersc.one/oven/internal/socket/api"
)

var (
	errUpdateNone = api.Err("NO_SUCH_ANNOUNCEMENT", "d3aae5a7-6372-4cb4-b61c-f511ffc2d7cc", "There is no such announcement.")
	errDeleteNone = api.Err("NO_SUCH_ANNOUNCEMENT", "ecad8040-a276-4e85-bda9-015a708d291e", "There is no such announcement.")
	errNoUser     = api.Err("NO_SUCH_USER", "8d6b1c55-6c32-4ad2-a8e5-4f6f1f7c2a10", "There is no such account here.")
)

type createReq struct {
	Title            string  `json:"title" api:"required,min=1,max=256"`
	Text             string  `json:"text" api:"required,min=1,max=8192"`
	ImageURL         *string `json:"imageUrl" api:"required,nullable,min=1,max=1024"`
	Icon             string  `json:"icon" api:"enum=info|warning|error|success,default=info"`
	Display          string  `json:"display" api:"enum=normal|banner|dialog,default=normal"`
	ForExisting      bool    `json:"forExistingUsers" api:"default=false"`
	Silence          bool    `json:"silence" api:"default=false"`
	NeedConfirmation bool    `json:"needConfirmationToRead" api:"default=false"`
	UserID           *string `json:"userId" api:"nullable,id"`
}

// createRes is an announcement as its maker is told of it.
type createRes struct {
	ID        string    `json:"id"`
	CreatedAt api.Time  `json:"createdAt"`
	UpdatedAt *api.Time `json:"updatedAt"`
	Title     string    `json:"title"`
	Text      string    `json:"text"`
	ImageURL  *string   `json:"imageUrl"`
}

const (
	sqlInsert = `
INSERT INTO announcement (id, title, text, image_url, icon, display, need_confirmation, for_existing_users, silence, user_id)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`
	sqlUpdate = `
UPDATE announcement SET updated_at = $2, title = $3, text = $4, image_url = $5, icon = $6, display = $7, need_confirmation = $8,
	for_existing_users = $9, silence = $10, is_active = $11 WHERE id = $1`
	sqlDelete = `DELETE FROM announcement WHERE id = $1`
	sqlName   = `SELECT username FROM "user" WHERE id = $1 AND host IS NULL AND NOT is_deleted AND NOT is_system`
	sqlLock   = `SELECT FROM announcement WHERE id = $1 FOR UPDATE`
)

// checkImage allows pictures by web address only.
func checkImage(url *string) error {
	if url != nil && !strings.HasPrefix(*url, "https://") && !strings.HasPrefix(*url, "http://") && !strings.HasPrefix(*url, "/") {
		return api.InvalidParam("#/properties/imageUrl/format", "must be a web address")
	}
	return nil
}

func (s *Service) apiCreate(ctx context.Context, c *api.Call, req createReq) (*createRes, error) {
	if err := checkImage(req.ImageURL); err != nil {
		return nil, err
	}
	a := &Announcement{ID: s.ids.Now(), Title: req.Title, Text: req.Text, ImageURL: req.ImageURL, Icon: req.Icon, Display: req.Display,
		NeedConfirmation: req.NeedConfirmation, ForExisting: req.ForExisting, Silence: req.Silence, Active: true, UserID: req.UserID}
	err := s.db.Tx(ctx, func(tx *pg.Tx) error {
		info, err := s.about(ctx, tx, a)
		if err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, sqlInsert, a.ID, a.Title, a.Text, a.ImageURL, a.Icon, a.Display, a.NeedConfirmation, a.ForExisting, a.Silence, a.UserID); err != nil {
			return fmt.Errorf("announce: %w", err)
		}
		if err := s.log.Append(ctx, tx, "announcement.created", a.ID, c.UserID, nil); err != nil {
			return err
		}
		info["announcement"] = s.logged(a)
		return s.acted(ctx, tx, c, "create", a, info)
	})
	if err != nil {
		return nil, err
	}
	return &createRes{ID: a.ID, CreatedAt: s.createdAt(a), Title: a.Title, Text: a.Text, ImageURL: a.ImageURL}, nil
}

// about is what the moderation log keeps of an announcement: what one account
// is told is between it and the moderators.
func (s *Service) about(ctx context.Context, q pg.Q, a *Announcement) (map[string]any, error) {
	info := map[string]any{"announcementId": a.ID}
	if a.UserID == nil {
		return info, nil
	}
	var username string
	err := q.QueryRow(ctx, sqlName, *a.UserID).Scan(&username)
	if pg.NoRows(err) {
		return nil, errNoUser
	}
	if err != nil {
		return nil, fmt.Errorf("announcement: %w", err)
	}
	info["userId"], info["userUsername"], info["userHost"] = *a.UserID, username, nil
	return info, nil
}

// logged is an announcement as the moderation log keeps it: the text of one
// that is for one account stays out.
func (s *Service) logged(a *Announcement) *Packed {
	p := s.pack("", a)
	if a.UserID != nil {
		p.Text, p.ImageURL = "", nil
	}
	return p
}

func (s *Service) acted(ctx context.Context, tx *pg.Tx, c *api.Call, verb string, a *Announcement, info map[string]any) error {
	typ := verb + "GlobalAnnouncement"
	if a.UserID != nil {
		typ = verb + "UserAnnouncement"
	}
	return s.bus.Emit(ctx, tx, role.Acted{Moderator: c.UserID, Type: typ, Info: info})
}

type adminListReq struct {
	api.Page
	Limit  int     `json:"limit" api:"min=1,max=100,default=10"`
	UserID *string `json:"userId" api:"nullable,id"`
	Status string  `json:"status" api:"enum=all|active|archived,default=active"`
}

// adminPacked is an announcement as moderators see it.
type adminPacked struct {
	createRes
	Icon             string  `json:"icon"`
	Display          string  `json:"display"`
	IsActive         bool    `json:"isActive"`
	ForExisting      bool    `json:"forExistingUsers"`
	Silence          bool    `json:"silence"`
	NeedConfirmation bool    `json:"needConfirmationToRead"`
	UserID           *string `json:"userId"`
	Reads            int     `json:"reads"`
}

func (s *Service) apiAdminList(ctx context.Context, c *api.Call, req adminListReq) ([]*adminPacked, error) {
	w := where(c.UserID)
	w.And("t.user_id IS NOT DISTINCT FROM ?", req.UserID)
	if req.Status != "all" {
		w.And("t.is_active = ?", req.Status == "active")
	}
	list, err := s.read(ctx, s.db, w, req.Apply(w, s.ids.Method(), req.Limit))
	if err != nil {
		return nil, err
	}
	out := make([]*adminPacked, 0, len(list))
	for _, a := range list {
		out = append(out, &adminPacked{createRes: createRes{ID: a.ID, CreatedAt: s.createdAt(a), UpdatedAt: api.TimePtr(a.UpdatedAt), Title: a.Title, Text: a.Text,
			ImageURL: a.ImageURL}, Icon: a.Icon, Display: a.Display, IsActive: a.Active, ForExisting: a.ForExisting, Silence: a.Silence,
			NeedConfirmation: a.NeedConfirmation, UserID: a.UserID, Reads: a.reads})
	}
	return out, nil
}

type updateReq struct {
	ID               string          `json:"id" api:"required,id"`
	Title            *string         `json:"title" api:"optional,min=1,max=256"`
	Text             *string         `json:"text" api:"optional,min=1,max=8192"`
	ImageURL         api.Opt[string] `json:"imageUrl" api:"max=1024"`
	Icon             *string         `json:"icon" api:"optional,enum=info|warning|error|success"`
	Display          *string         `json:"display" api:"optional,enum=normal|banner|dialog"`
	ForExisting      *bool           `json:"forExistingUsers" api:"optional"`
	Silence          *bool           `json:"silence" api:"optional"`
	NeedConfirmation *bool           `json:"needConfirmationToRead" api:"optional"`
	IsActive         *bool           `json:"isActive" api:"optional"`
}

func put[T any](to *T, v *T) {
	if v != nil {
		*to = *v
	}
}

// locked gives an announcement, held until tx ends.
func (s *Service) locked(ctx context.Context, tx *pg.Tx, announcementID string, missing *api.Error) (*Announcement, error) {
	if _, err := tx.Exec(ctx, sqlLock, announcementID); err != nil {
		return nil, fmt.Errorf("lock announcement: %w", err)
	}
	w := where("")
	w.And("t.id = ?", announcementID)
	list, err := s.read(ctx, tx, w, "")
	if err != nil {
		return nil, err
	}
	if len(list) == 0 {
		return nil, missing
	}
	return list[0], nil
}

func (s *Service) apiUpdate(ctx context.Context, c *api.Call, req updateReq) (api.None, error) {
	return api.None{}, s.db.Tx(ctx, func(tx *pg.Tx) error {
		a, err := s.locked(ctx, tx, req.ID, errUpdateNone)
		if err != nil {
			return err
		}
		info, err := s.about(ctx, tx, a)
		if err != nil {
			return err
		}
		info["before"] = s.logged(a)
		put(&a.Title, req.Title)
		put(&a.Text, req.Text)
		put(&a.Icon, req.Icon)
		put(&a.Display, req.Display)
		put(&a.ForExisting, req.ForExisting)
		put(&a.Silence, req.Silence)
		put(&a.NeedConfirmation, req.NeedConfirmation)
		put(&a.Active, req.IsActive)
		if req.ImageURL.Set {
			a.ImageURL = nil
			if !req.ImageURL.Null && req.ImageURL.V != "" {
				a.ImageURL = &req.ImageURL.V
			}
		}
		if err := checkImage(a.ImageURL); err != nil {
			return err
		}
		now := s.now().UTC()
		a.UpdatedAt = &now
		if _, err := tx.Exec(ctx, sqlUpdate, a.ID, now, a.Title, a.Text, a.ImageURL, a.Icon, a.Display, a.NeedConfirmation, a.ForExisting, a.Silence, a.Active); err != nil {
			return fmt.Errorf("update announcement: %w", err)
		}
		info["after"] = s.logged(a)
		return s.acted(ctx, tx, c, "update", a, info)
	})
}

type deleteReq struct {
	ID string `json:"id" api:"required,id"`
}

func (s *Service) apiDelete(ctx context.Context, c *api.Call, req deleteReq) (api.None, error) {
	return api.None{}, s.db.Tx(ctx, func(tx *pg.Tx) error {
		a, err := s.locked(ctx, tx, req.ID, errDeleteNone)
		if err != nil {
			return err
		}
		info, err := s.about(ctx, tx, a)
		if err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, sqlDelete, a.ID); err != nil {
			return fmt.Errorf("delete announcement: %w", err)
		}
		info["announcement"] = s.logged(a)
		return s.acted(ctx, tx, c, "delete", a, info)
	})
}
