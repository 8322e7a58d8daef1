package moderation

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/jackc/pgx/v5"

	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/socket/api"
	"buttersc.one/oven/internal/user"
)

type logsReq struct {
	api.Page
	Limit  int     `json:"limit" api:"min=1,max=100,default=10"`
	Type   *string `json:"type" api:"nullable,max=128"`
	UserID *string `json:"userId" api:"nullable,id"`
	Search *string `json:"search" api:"nullable,max=128"`
}

// Entry is something that a moderator did.
type Entry struct {
	ID        string          `json:"id"`
	CreatedAt api.Time        `json:"createdAt"`
	Type      string          `json:"type"`
	Info      json.RawMessage `json:"info"`
	UserID    string          `json:"userId"`
	User      *user.Detailed  `json:"user"`
}

const sqlLogs = `SELECT t.id, t.type, t.info, t.user_id FROM moderation_log t`

func (s *Service) apiLogs(ctx context.Context, c *api.Call, req logsReq) ([]*Entry, error) {
	w := &pg.Where{}
	if req.Type != nil {
		w.And("t.type = ?", *req.Type)
	}
	if req.UserID != nil {
		w.And("t.user_id = ?", *req.UserID)
	}
	if req.Search != nil && *req.Search != "" {
		w.And("strpos(lower(t.info::text), lower(?)) > 0", *req.Search)
	}
	tail := req.Apply(w, s.IDs.Method(), req.Limit)
	rows, err := s.DB.Query(ctx, sqlLogs+w.SQL()+tail, w.Args...)
	if err != nil {
		return nil, fmt.Errorf("moderation log: %w", err)
	}
	var who []string
	out, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) (*Entry, error) {
		e := &Entry{}
		err := r.Scan(&e.ID, &e.Type, &e.Info, &e.UserID)
		who = append(who, e.UserID)
		return e, err
	})
	if err != nil {
		return nil, fmt.Errorf("moderation log: %w", err)
	}
	if len(out) == 0 {
		return []*Entry{}, nil
	}
	users, err := s.Users.ByIDs(ctx, s.DB, who)
	if err != nil {
		return nil, err
	}
	packed, err := s.Users.PackDetailed(ctx, c.UserID, users, false)
	if err != nil {
		return nil, err
	}
	for _, e := range out {
		at, err := s.IDs.Method().Time(e.ID)
		if err != nil {
			return nil, fmt.Errorf("moderation log: %w", err)
		}
		e.CreatedAt, e.User = api.Time(at), packed[e.UserID]
	}
	return out, nil
}
