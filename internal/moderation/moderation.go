// Package moderation is in charge of what moderators do: reports and who is told of
// them, what they see of accounts and do to them, and the log of all that they do,
// whichever slice it was done in; and of what is done when none of them is there.
package moderation

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"buttersc.one/oven/internal/announcement"
	"buttersc.one/oven/internal/auth"
	"buttersc.one/oven/internal/instance"
	"buttersc.one/oven/internal/lib/id"
	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/meta"
	"buttersc.one/oven/internal/note"
	"buttersc.one/oven/internal/relation"
	"buttersc.one/oven/internal/role"
	"buttersc.one/oven/internal/socket/api"
	"buttersc.one/oven/internal/socket/delivery"
	"buttersc.one/oven/internal/socket/event"
	"buttersc.one/oven/internal/socket/inbox"
	"buttersc.one/oven/internal/socket/job"
	"buttersc.one/oven/internal/socket/log"
	"buttersc.one/oven/internal/socket/mailer"
	"buttersc.one/oven/internal/socket/stream"
	"buttersc.one/oven/internal/user"
	"buttersc.one/oven/internal/webhook"
)

// Deps are what the service stands on.
type Deps struct {
	DB        *pg.DB
	Meta      *meta.Service
	Roles     *role.Service
	Instances *instance.Service
	Users     *user.Service
	Auth      *auth.Service
	Relations *relation.Service
	Notes     *note.Service
	News      *announcement.Service
	Webhooks  *webhook.Service
	Delivery  *delivery.Service
	Mail      *mailer.Service
	Queue     *job.Queue
	IDs       *id.Maker
	Bus       *event.Bus
	Log       *log.Log
	Hub       *stream.Hub
	Slog      *slog.Logger
	Now       func() time.Time
}

// Service moderates.
type Service struct{ Deps }

// New makes the service.
func New(d Deps) *Service { return &Service{d} }

// Listeners write the log.
func (s *Service) Listeners() []event.Listener {
	return []event.Listener{event.On("moderation.log", s.onActed)}
}

// What the operator did on the command line is the server's own account's.
const sqlLog = `
INSERT INTO moderation_log (id, user_id, type, info)
SELECT $1, coalesce(nullif($2, ''), (SELECT id FROM "user" WHERE is_system ORDER BY id LIMIT 1)), $3, $4`

func (s *Service) onActed(ctx context.Context, tx *pg.Tx, ev role.Acted) error {
	info := ev.Info
	if info == nil {
		info = map[string]any{}
	}
	b, err := json.Marshal(info)
	if err != nil {
		return fmt.Errorf("moderation log: %w", err)
	}
	if _, err := tx.Exec(ctx, sqlLog, s.IDs.Now(), ev.Moderator, ev.Type, b); err != nil {
		return fmt.Errorf("moderation log: %w", err)
	}
	return nil
}

// acted puts what the caller did into the log.
func (s *Service) acted(ctx context.Context, tx *pg.Tx, c *api.Call, what string, info map[string]any) error {
	return s.Bus.Emit(ctx, tx, role.Acted{Moderator: c.UserID, Type: what, Info: info})
}

// Activities this slice handles.
func (s *Service) Activities() []inbox.Handler {
	return []inbox.Handler{inbox.On("Flag", s.onFlag)}
}

// Consumers tell moderators who are connected.
func (s *Service) Consumers() []log.Consumer {
	return []log.Consumer{{Name: "moderation.reports", Kinds: []string{reported}, After: "role.cache", Handle: s.onReported}}
}

// Jobs of this slice.
func (s *Service) Jobs() []job.Worker {
	return []job.Worker{job.Work(s.workReport), job.Work(s.workLoosen), job.Every(watchEvery, watchArgs{}, s.workWatch)}
}

// Channels of this slice.
func (s *Service) Channels() []stream.Channel {
	return []stream.Channel{{Name: "admin", Login: true, Scope: "read:admin:stream", Shared: true, Open: s.openAdmin}}
}

// Endpoints is the API of this slice.
func (s *Service) Endpoints() []api.Endpoint {
	return slices.Concat(s.reportEndpoints(), s.recipientEndpoints(), s.accountEndpoints(), s.settingsEndpoints(), s.captchaEndpoints(), []api.Endpoint{
		api.Post("admin/show-moderation-logs", s.apiLogs, api.Admin("read:admin:show-moderation-log")),
		api.Post("admin/suspend-user", s.apiSuspend, api.Moderator("write:admin:suspend-user"), api.Errors(errNobody, errRank)),
		api.Post("admin/unsuspend-user", s.apiUnsuspend, api.Moderator("write:admin:unsuspend-user"), api.Errors(errNobody)),
	})
}
