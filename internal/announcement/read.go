package announcement

import (
	"context"
	"fmt"

	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/socket/api"
)

var errShowNone = api.Err("NO_SUCH_ANNOUNCEMENT", "b57b5e1d-4f49-404a-9edb-46b00268f121", "There is no such announcement.")

type listReq struct {
	api.Page
	Limit    int  `json:"limit" api:"min=1,max=100,default=10"`
	IsActive bool `json:"isActive" api:"default=true"`
}

func (s *Service) apiList(ctx context.Context, c *api.Call, req listReq) ([]*Packed, error) {
	w := where(c.ID())
	forViewer(w, c.ID())
	w.And("t.is_active = ?", req.IsActive)
	list, err := s.read(ctx, s.db, w, req.Apply(w, s.ids.Method(), req.Limit))
	if err != nil {
		return nil, err
	}
	out := make([]*Packed, 0, len(list))
	for _, a := range list {
		out = append(out, s.pack(c.ID(), a))
	}
	return out, nil
}

type showReq struct {
	AnnouncementID string `json:"announcementId" api:"required,id"`
}

func (s *Service) apiShow(ctx context.Context, c *api.Call, req showReq) (*Packed, error) {
	w := where(c.ID())
	forViewer(w, c.ID())
	w.And("t.id = ?", req.AnnouncementID)
	list, err := s.read(ctx, s.db, w, "")
	if err != nil {
		return nil, err
	}
	if len(list) == 0 {
		return nil, errShowNone
	}
	return s.pack(c.ID(), list[0]), nil
}

// Of those that are for the account.
const sqlRead = `
INSERT INTO announcement_read (user_id, announcement_id)
SELECT $1, id FROM announcement WHERE id = $2 AND (user_id IS NULL OR user_id = $1)
ON CONFLICT (user_id, announcement_id) DO NOTHING`

// apiRead marks an announcement as read. One that is gone is nobody's worry.
func (s *Service) apiRead(ctx context.Context, c *api.Call, req showReq) (api.None, error) {
	err := s.db.Tx(ctx, func(tx *pg.Tx) error {
		tag, err := tx.Exec(ctx, sqlRead, c.UserID, req.AnnouncementID)
		if err != nil {
			return fmt.Errorf("read an announcement: %w", err)
		}
		if tag.RowsAffected() == 0 {
			return nil
		}
		w := where(c.UserID)
		forViewer(w, c.UserID)
		w.And("t.is_active AND NOT t.silence AND NOT EXISTS (SELECT FROM announcement_read r WHERE r.user_id = $1 AND r.announcement_id = t.id)")
		left, err := s.read(ctx, tx, w, pg.Limit(1))
		if err != nil || len(left) > 0 {
			return err
		}
		return s.log.Append(ctx, tx, "announcement.allRead", req.AnnouncementID, c.UserID, nil)
	})
	return api.None{}, err
}
