package auth

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"buttersc.one/oven/internal/lib/httpsig"
	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/role"
	"buttersc.one/oven/internal/socket/api"
	"buttersc.one/oven/internal/user"
)

// approvalEndpoints let people in, or not (docs/api-extra.md).
func (s *Service) approvalEndpoints() []api.Endpoint {
	return []api.Endpoint{
		api.Post("oven/admin/signups/list", s.apiSignups, api.Moderator("read:admin:show-user"), api.Hidden),
		api.Post("oven/admin/signups/approve", s.apiApprove, api.Moderator("write:admin:account"), api.Hidden, api.Errors(errNoApplication)),
		api.Post("oven/admin/signups/reject", s.apiReject, api.Moderator("write:admin:account"), api.Hidden, api.Errors(errNoApplication)),
	}
}

// Waiting is a sign-up that a moderator decides on.
type Waiting struct {
	ID        string   `json:"id"`
	CreatedAt api.Time `json:"createdAt"`
	Username  string   `json:"username"`
	Reason    *string  `json:"reason"`
	HasEmail  bool     `json:"hasEmail"` // it has proven an address, and will be written to
}

type signupsReq struct {
	Limit int `json:"limit" api:"min=1,max=100,default=30"`
	api.Page
}

const sqlSignups = `SELECT ` + pendingColumns + ` FROM signup_pending p JOIN signup_pending t ON t.id = p.id`

// Signups lists who waits.
func (s *Service) Signups(ctx context.Context, page api.Page, limit int) ([]*Waiting, error) {
	var w pg.Where
	w.And("t.waits_for = 'approval'")
	order := page.Apply(&w, s.ids.Method(), limit)
	rows, err := s.db.Query(ctx, sqlSignups+w.SQL()+order, w.Args...)
	if err != nil {
		return nil, fmt.Errorf("sign-ups: %w", err)
	}
	list, err := pgx.CollectRows(rows, s.scanPending)
	if err != nil {
		return nil, fmt.Errorf("sign-ups: %w", err)
	}
	out := make([]*Waiting, 0, len(list))
	for _, p := range list {
		at, err := s.ids.Method().Time(p.ID)
		if err != nil {
			return nil, err
		}
		out = append(out, &Waiting{ID: p.ID, CreatedAt: api.Time(at), Username: p.Username, Reason: p.reason, HasEmail: p.email != nil})
	}
	return out, nil
}

func (s *Service) apiSignups(ctx context.Context, _ *api.Call, req signupsReq) ([]*Waiting, error) {
	return s.Signups(ctx, req.Page, req.Limit)
}

// ErrNoApplication says that no such sign-up waits.
var ErrNoApplication = errors.New("no such sign-up waits")

const (
	sqlApplication       = `SELECT ` + pendingColumns + ` FROM signup_pending p WHERE p.id = $1 AND p.waits_for = 'approval' FOR UPDATE`
	sqlApplicationByName = `SELECT id FROM signup_pending WHERE username_lower = $1 AND waits_for = 'approval'`
	sqlDropPending       = `DELETE FROM signup_pending WHERE id = $1`
)

// WaitingByName finds the sign-up of a name; ErrNoApplication when none waits.
func (s *Service) WaitingByName(ctx context.Context, username string) (string, error) {
	var id string
	err := s.db.QueryRow(ctx, sqlApplicationByName, strings.ToLower(strings.TrimPrefix(username, "@"))).Scan(&id)
	if pg.NoRows(err) {
		return "", ErrNoApplication
	}
	return id, err
}

// createPending makes the account of a sign-up that has waited.
func (s *Service) createPending(ctx context.Context, tx *pg.Tx, p *pending, pair *httpsig.KeyPair) (*user.User, string, error) {
	m := made{NewAccount: NewAccount{Username: p.Username}, hash: p.hash, email: p.email, pending: p.ID, waited: p.waits == waitsForApproval}
	u, token, err := s.create(ctx, tx, m, pair)
	if err != nil {
		return nil, "", err
	}
	if _, err := tx.Exec(ctx, sqlDropPending, p.ID); err != nil {
		return nil, "", err
	}
	return u, token, nil
}

// decide runs f on a sign-up that waits.
func (s *Service) decide(ctx context.Context, id string, f func(tx *pg.Tx, p *pending) error) error {
	err := s.db.Tx(ctx, func(tx *pg.Tx) error {
		p, err := s.onePending(ctx, tx, sqlApplication, id)
		if pg.NoRows(err) {
			return ErrNoApplication
		}
		if err != nil {
			return err
		}
		return f(tx, p)
	})
	if err != nil {
		return fmt.Errorf("sign-up: %w", err)
	}
	return nil
}

// write tells who has applied what was decided, if he has an address.
func (s *Service) write(ctx context.Context, tx *pg.Tx, p *pending, kind letterKind, link string) error {
	if p.email == nil {
		return nil
	}
	return s.mail.Send(ctx, tx, s.letter(kind, p.lang, *p.email, p.Username, link, time.Time{}))
}

// Approve makes the account of a sign-up that waits. moderator is who decided,
// "" for the operator. The error is ErrNoApplication when none waits.
func (s *Service) Approve(ctx context.Context, moderator, id string) (*user.User, error) {
	pair, err := s.pair()
	if err != nil {
		return nil, err
	}
	var u *user.User
	err = s.decide(ctx, id, func(tx *pg.Tx, p *pending) error {
		var err error
		if u, _, err = s.createPending(ctx, tx, p, pair); err != nil {
			return err
		}
		if err := s.write(ctx, tx, p, letterApproved, s.meta.Origin+"/signin"); err != nil {
			return err
		}
		return s.bus.Emit(ctx, tx, role.Acted{Moderator: moderator, Type: "approveSignup",
			Info: map[string]any{"userId": u.ID, "userUsername": u.Username, "userHost": nil}})
	})
	if err != nil {
		return nil, err
	}
	return u, nil
}

// Reject forgets a sign-up that waits: the address, the password and what it
// said are deleted. The name stays used, so that nobody can take it after him,
// and the invitation is spent.
func (s *Service) Reject(ctx context.Context, moderator, id string) error {
	return s.decide(ctx, id, func(tx *pg.Tx, p *pending) error {
		for _, sql := range []string{sqlSpendHeld, sqlDropPending} {
			if _, err := tx.Exec(ctx, sql, p.ID); err != nil {
				return err
			}
		}
		if err := s.write(ctx, tx, p, letterRejected, ""); err != nil {
			return err
		}
		return s.bus.Emit(ctx, tx, role.Acted{Moderator: moderator, Type: "rejectSignup", Info: map[string]any{"username": p.Username}})
	})
}

type applicationReq struct {
	ID string `json:"id" api:"required,id"`
}

var errNoApplication = api.Err("NO_SUCH_SIGNUP", "5a1e9b1c-5d1e-4b5a-9d1f-6a6c2f6e4f21", "No such sign-up waits.")

type approveRes struct {
	UserID string `json:"userId"`
}

func (s *Service) apiApprove(ctx context.Context, c *api.Call, req applicationReq) (*approveRes, error) {
	u, err := s.Approve(ctx, c.UserID, req.ID)
	switch {
	case errors.Is(err, ErrNoApplication):
		return nil, errNoApplication
	case err != nil:
		return nil, SignupError(err)
	}
	return &approveRes{UserID: u.ID}, nil
}

func (s *Service) apiReject(ctx context.Context, c *api.Call, req applicationReq) (api.None, error) {
	err := s.Reject(ctx, c.UserID, req.ID)
	if errors.Is(err, ErrNoApplication) {
		return api.None{}, errNoApplication
	}
	return api.None{}, err
}
