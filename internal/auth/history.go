package auth

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"buttersc.one/oven/internal/lib/id"
	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/socket/api"
	"buttersc.one/oven/internal/socket/log"
	"buttersc.one/oven/internal/socket/stream"
)

// Signin is one attempt to sign in, as the account sees it. Headers are kept by
// Misskey, cookies included; here they are not kept, and the object is empty.
type Signin struct {
	ID        string   `json:"id"`
	CreatedAt api.Time `json:"createdAt"`
	IP        string   `json:"ip"`
	Headers   struct{} `json:"headers"`
	Success   bool     `json:"success"`
}

type historyReq struct {
	Limit int `json:"limit" api:"min=1,max=100,default=10"`
	api.Page
}

const sqlSignins = `SELECT t.id, t.ip, t.success FROM signin t`

func scanSignin(m id.Method) pgx.RowToFunc[Signin] {
	return func(r pgx.CollectableRow) (Signin, error) {
		var s Signin
		if err := r.Scan(&s.ID, &s.IP, &s.Success); err != nil {
			return s, err
		}
		at, err := m.Time(s.ID)
		s.CreatedAt = api.Time(at)
		return s, err
	}
}

// apiHistory lists who tried to sign in to the caller's account.
func (s *Service) apiHistory(ctx context.Context, c *api.Call, req historyReq) ([]Signin, error) {
	var w pg.Where
	w.And("t.user_id = ?", c.UserID)
	order := req.Apply(&w, s.ids.Method(), req.Limit)
	rows, err := s.db.Query(ctx, sqlSignins+w.SQL()+order, w.Args...)
	if err != nil {
		return nil, fmt.Errorf("sign-ins: %w", err)
	}
	list, err := pgx.CollectRows(rows, scanSignin(s.ids.Method()))
	if err != nil {
		return nil, fmt.Errorf("sign-ins: %w", err)
	}
	return list, nil
}

const sqlLastSignins = sqlSignins + ` WHERE t.user_id = $1 ORDER BY t.id DESC LIMIT $2`

// LastSignIns are the last n attempts to sign in to an account, the newest first.
func (s *Service) LastSignIns(ctx context.Context, userID string, n int) ([]Signin, error) {
	rows, err := s.db.Query(ctx, sqlLastSignins, userID, n)
	if err != nil {
		return nil, fmt.Errorf("sign-ins: %w", err)
	}
	list, err := pgx.CollectRows(rows, scanSignin(s.ids.Method()))
	if err != nil {
		return nil, fmt.Errorf("sign-ins: %w", err)
	}
	return list, nil
}

const sqlSigninByID = `SELECT id, ip, success FROM signin WHERE id = $1`

// onSignedIn brings sign-ins to the main channel of whoever is there already.
func (s *Service) onSignedIn(ctx context.Context, _ *pg.Tx, batch []log.Change) error {
	for _, c := range batch {
		topic := stream.MainTopic(c.ActorID)
		if !s.hub.Heard(topic) {
			continue
		}
		rows, err := s.db.Query(ctx, sqlSigninByID, c.ObjectID)
		if err != nil {
			return fmt.Errorf("sign-in: %w", err)
		}
		in, err := pgx.CollectExactlyOneRow(rows, scanSignin(s.ids.Method()))
		if pg.NoRows(err) {
			continue // the account is gone
		}
		if err != nil {
			return fmt.Errorf("sign-in: %w", err)
		}
		s.hub.Publish(topic, stream.Event{Type: "signin", Body: in})
	}
	return nil
}
