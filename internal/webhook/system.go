package webhook

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/jackc/pgx/v5"

	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/socket/api"
)

// System is a webhook of the server's own.
type System struct {
	ID           string
	Name         string
	On           []string
	URL          string
	Secret       string
	Active       bool
	UpdatedAt    time.Time
	LatestSentAt *time.Time
	LatestStatus *int
	sealed       []byte
}

var errSystemNone = &api.Error{Code: "NO_SUCH_SYSTEM_WEBHOOK", ID: "38dd1ffe-04b4-6ff5-d8ba-4e6a6ae22c9d", Kind: "server", Status: http.StatusNotFound,
	Message: "There is no such webhook."}

// systemEndpoints are those of the server's own webhooks. Looking at one shows its
// secret, and so needs what changing it needs.
func (s *Service) systemEndpoints() []api.Endpoint {
	write := api.Moderator("write:admin:system-webhook")
	return []api.Endpoint{
		api.Post("admin/system-webhook/create", s.apiSystemCreate, write, api.Secure),
		api.Post("admin/system-webhook/list", s.apiSystemList, write, api.Secure),
		api.Post("admin/system-webhook/show", s.apiSystemShow, write, api.Secure, api.Errors(errSystemNone)),
		api.Post("admin/system-webhook/update", s.apiSystemUpdate, write, api.Secure, api.Errors(errSystemNone)),
		api.Post("admin/system-webhook/delete", s.apiSystemDelete, write, api.Secure, api.Errors(errSystemNone)),
		api.Post("admin/system-webhook/test", s.apiSystemTest, api.Moderator("read:admin:system-webhook"), api.Secure, api.Limit(60, 15*time.Minute),
			api.Errors(errTestNone)),
	}
}

const (
	systemCols    = `id, name, events, url, secret_enc, active, updated_at, latest_sent_at, latest_status`
	sqlSystems    = `SELECT ` + systemCols + ` FROM system_webhook WHERE ($1::bool IS NULL OR active = $1) AND events @> $2 ORDER BY id`
	sqlSystemByID = `SELECT ` + systemCols + ` FROM system_webhook WHERE id = ANY($1) ORDER BY id`
	sqlSystemLock = `SELECT ` + systemCols + ` FROM system_webhook WHERE id = $1 FOR UPDATE`
)

// systemBox is what secrets of the server's webhooks are sealed for.
const systemBox = "system_webhook:"

func (s *Service) systems(ctx context.Context, q pg.Q, sql string, args ...any) ([]*System, error) {
	rows, err := q.Query(ctx, sql, args...)
	if err != nil {
		return nil, fmt.Errorf("webhooks of the server: %w", err)
	}
	list, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) (*System, error) {
		h := &System{}
		return h, r.Scan(&h.ID, &h.Name, &h.On, &h.URL, &h.sealed, &h.Active, &h.UpdatedAt, &h.LatestSentAt, &h.LatestStatus)
	})
	if err != nil {
		return nil, fmt.Errorf("webhooks of the server: %w", err)
	}
	for _, h := range list {
		plain, err := s.Box.Open(h.sealed, systemBox+h.ID)
		if err != nil {
			return nil, fmt.Errorf("secret of a webhook: %w", err)
		}
		h.Secret = string(plain)
	}
	return list, nil
}

// SystemByIDs packs those of the server's webhooks that exist, for who may manage them.
func (s *Service) SystemByIDs(ctx context.Context, q pg.Q, ids []string) (map[string]*PackedSystem, error) {
	out := map[string]*PackedSystem{}
	if len(ids) == 0 {
		return out, nil
	}
	list, err := s.systems(ctx, q, sqlSystemByID, ids)
	if err != nil {
		return nil, err
	}
	for _, h := range list {
		out[h.ID] = h.pack()
	}
	return out, nil
}

// PackedSystem is a webhook of the server as moderators see it.
type PackedSystem struct {
	ID           string    `json:"id"`
	IsActive     bool      `json:"isActive"`
	UpdatedAt    api.Time  `json:"updatedAt"`
	LatestSentAt *api.Time `json:"latestSentAt"`
	LatestStatus *int      `json:"latestStatus"`
	Name         string    `json:"name"`
	On           []string  `json:"on"`
	URL          string    `json:"url"`
	Secret       string    `json:"secret"`
}

func (h *System) pack() *PackedSystem {
	p := &PackedSystem{ID: h.ID, IsActive: h.Active, UpdatedAt: api.Time(h.UpdatedAt), LatestSentAt: api.TimePtr(h.LatestSentAt), LatestStatus: h.LatestStatus,
		Name: h.Name, On: h.On, URL: h.URL, Secret: h.Secret}
	if p.On == nil {
		p.On = []string{}
	}
	return p
}
