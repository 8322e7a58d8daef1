// Package webhook is in charge of telling addresses that accounts have named what
// happens to them: notes, answers, reactions and followers; and addresses of the
// server what happens to it: reports, new accounts, moderators who stay away. What is
// to be told is a job in the transaction in which it is read from the change log; what
// is told is made when it is sent, so that nothing is told of what is gone by then.
package webhook

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"buttersc.one/oven/internal/lib/id"
	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/lib/secret"
	"buttersc.one/oven/internal/meta"
	"buttersc.one/oven/internal/note"
	"buttersc.one/oven/internal/role"
	"buttersc.one/oven/internal/socket/api"
	"buttersc.one/oven/internal/socket/event"
	"buttersc.one/oven/internal/socket/job"
	"buttersc.one/oven/internal/socket/log"
	"buttersc.one/oven/internal/user"
)

// Deps are what the slice stands on.
type Deps struct {
	DB    *pg.DB
	Meta  *meta.Service
	Box   *secret.Box
	IDs   *id.Maker
	Users *user.Service
	Notes *note.Service
	Roles *role.Service
	Queue *job.Queue
	Bus   *event.Bus
	Door  http.RoundTripper // guarded, to other servers
	Now   func() time.Time
}

// Service tells webhooks.
type Service struct {
	Deps
	http *http.Client
}

// sendTimeout bounds one call of a webhook.
const sendTimeout = 20 * time.Second

// New makes the service.
func New(d Deps) *Service {
	return &Service{Deps: d, http: &http.Client{Transport: d.Door, Timeout: sendTimeout, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
}

// Endpoints is the API of this slice.
func (s *Service) Endpoints() []api.Endpoint {
	return slices.Concat(s.systemEndpoints(), []api.Endpoint{
		api.Post("i/webhooks/create", s.apiCreate, api.Scope("write:account"), api.Errors(errTooMany)),
		api.Post("i/webhooks/list", s.apiList, api.Scope("read:account")),
		api.Post("i/webhooks/show", s.apiShow, api.Scope("read:account"), api.Errors(errShowNone)),
		api.Post("i/webhooks/update", s.apiUpdate, api.Scope("write:account"), api.Errors(errUpdateNone)),
		api.Post("i/webhooks/delete", s.apiDelete, api.Scope("write:account"), api.Errors(errDeleteNone)),
		api.Post("i/webhooks/test", s.apiTest, api.Secure, api.Scope("read:account"), api.Limit(60, 15*time.Minute), api.Errors(errTestNone)),
	})
}

// Consumers read from the change log what is to be told.
func (s *Service) Consumers() []log.Consumer {
	return []log.Consumer{{
		Name: "webhook.events", Durable: true, Handle: s.onChanges,
		Kinds: []string{"note.created", "note.reacted", "relation.followed", "relation.unfollowed"},
	}, {
		Name: "webhook.system", Durable: true, Handle: s.onSystem, Kinds: slices.Sorted(maps.Keys(systemEvents)),
	}}
}

// Jobs of this slice.
func (s *Service) Jobs() []job.Worker {
	return []job.Worker{job.Few(tries, s.workSend), job.Few(tries, s.workSystem)}
}

// Hook is a webhook of an account.
type Hook struct {
	ID, UserID   string
	Name         string
	On           []string
	URL          string
	Secret       string
	Active       bool
	LatestSentAt *time.Time
	LatestStatus *int
	sealed       []byte
}

const (
	cols      = `id, user_id, name, events, url, secret_enc, active, latest_sent_at, latest_status`
	sqlByID   = `SELECT ` + cols + ` FROM webhook WHERE id = $1`
	sqlOwn    = `SELECT ` + cols + ` FROM webhook WHERE id = $1 AND user_id = $2`
	sqlOfUser = `SELECT ` + cols + ` FROM webhook WHERE user_id = $1 ORDER BY id`
)

func (s *Service) query(ctx context.Context, q pg.Q, sql string, args ...any) ([]*Hook, error) {
	rows, err := q.Query(ctx, sql, args...)
	if err != nil {
		return nil, fmt.Errorf("webhooks: %w", err)
	}
	list, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) (*Hook, error) {
		h := &Hook{}
		return h, r.Scan(&h.ID, &h.UserID, &h.Name, &h.On, &h.URL, &h.sealed, &h.Active, &h.LatestSentAt, &h.LatestStatus)
	})
	if err != nil {
		return nil, fmt.Errorf("webhooks: %w", err)
	}
	for _, h := range list {
		plain, err := s.Box.Open(h.sealed, box+h.ID)
		if err != nil {
			return nil, fmt.Errorf("secret of a webhook: %w", err)
		}
		h.Secret = string(plain)
	}
	return list, nil
}

// box is what secrets of webhooks are sealed for.
const box = "webhook:"

// Packed is a webhook as its owner sees it.
type Packed struct {
	ID           string    `json:"id"`
	UserID       string    `json:"userId"`
	Name         string    `json:"name"`
	On           []string  `json:"on"`
	URL          string    `json:"url"`
	Secret       string    `json:"secret"`
	Active       bool      `json:"active"`
	LatestSentAt *api.Time `json:"latestSentAt"`
	LatestStatus *int      `json:"latestStatus"`
}

func (h *Hook) pack() *Packed {
	p := &Packed{ID: h.ID, UserID: h.UserID, Name: h.Name, On: h.On, URL: h.URL, Secret: h.Secret, Active: h.Active, LatestStatus: h.LatestStatus}
	if p.On == nil {
		p.On = []string{}
	}
	if h.LatestSentAt != nil {
		at := api.Time(*h.LatestSentAt)
		p.LatestSentAt = &at
	}
	return p
}

// address refuses what can never be asked. Whether it may be is seen when it is.
func address(text string) error {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Hostname() == "" || u.User != nil {
		return api.InvalidParam("#/properties/url/format", "an address of the web is needed")
	}
	return nil
}
