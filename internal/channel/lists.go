package channel

import (
	"context"
	"strings"

	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/socket/api"
)

// featured is how many channels are shown as those where something goes on.
const featured = 10

func (s *Service) apiFeatured(ctx context.Context, c *api.Call, _ struct{}) ([]*Packed, error) {
	w := where(c.ID())
	w.And("t.last_noted_at IS NOT NULL AND NOT t.is_archived")
	list, err := s.list(ctx, s.DB, w, " ORDER BY t.last_noted_at DESC"+pg.Limit(featured))
	return s.packAll(c.ID(), list), err
}

type searchReq struct {
	api.Page
	Query string `json:"query" api:"required,max=256"`
	Type  string `json:"type" api:"enum=nameAndDescription|nameOnly,default=\"nameAndDescription\""`
	Limit int    `json:"limit" api:"min=1,max=100,default=5"`
}

func (s *Service) apiSearch(ctx context.Context, c *api.Call, req searchReq) ([]*Packed, error) {
	w := where(c.ID())
	w.And("NOT t.is_archived")
	if q := strings.TrimSpace(req.Query); q != "" {
		like := "%" + strings.NewReplacer(`\`, `\\`, "%", `\%`, "_", `\_`).Replace(q) + "%"
		if req.Type == "nameOnly" {
			w.And("t.name ILIKE ?", like)
		} else {
			w.And("(t.name ILIKE ?1 OR t.description ILIKE ?1)", like)
		}
	}
	return s.page(ctx, c, w, req.Page, req.Limit)
}

func (s *Service) page(ctx context.Context, c *api.Call, w *pg.Where, p api.Page, limit int) ([]*Packed, error) {
	order := p.Apply(w, s.IDs.Method(), limit)
	list, err := s.list(ctx, s.DB, w, order)
	return s.packAll(c.ID(), list), err
}

type pageReq struct {
	api.Page
	Limit int `json:"limit" api:"min=1,max=100,default=5"`
}

func (s *Service) apiOwned(ctx context.Context, c *api.Call, req pageReq) ([]*Packed, error) {
	w := where(c.UserID)
	w.And("t.user_id = $1 AND NOT t.is_archived")
	return s.page(ctx, c, w, req.Page, req.Limit)
}

func (s *Service) apiFollowed(ctx context.Context, c *api.Call, req pageReq) ([]*Packed, error) {
	w := where(c.UserID)
	w.And("t.id IN (SELECT channel_id FROM channel_following WHERE user_id = $1)")
	return s.page(ctx, c, w, req.Page, req.Limit)
}

// apiFavorites gives all at once, as clients expect.
func (s *Service) apiFavorites(ctx context.Context, c *api.Call, _ struct{}) ([]*Packed, error) {
	w := where(c.UserID)
	w.And("t.id IN (SELECT channel_id FROM channel_favorite WHERE user_id = $1)")
	list, err := s.list(ctx, s.DB, w, " ORDER BY t.id DESC")
	return s.packAll(c.UserID, list), err
}

func (s *Service) apiMuted(ctx context.Context, c *api.Call, _ struct{}) ([]*Packed, error) {
	w := where(c.UserID)
	w.And("t.id IN (SELECT channel_id FROM channel_muting WHERE user_id = $1 AND (expires_at IS NULL OR expires_at > ?))", s.Now())
	list, err := s.list(ctx, s.DB, w, " ORDER BY t.id DESC")
	return s.packAll(c.UserID, list), err
}
