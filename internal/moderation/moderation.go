// Package moderation is in charge of what moderators do to accounts and of the
// log of all that they do, whichever slice it was done in.
package moderation

import (
	"context"
	"encoding/json"
	"fmt"

	"buttersc.one/oven/internal/lib/id"
	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/role"
	"buttersc.one/oven/internal/socket/api"
	"buttersc.one/oven/internal/socket/event"
	"buttersc.one/oven/internal/user"
)

// Service moderates.
type Service struct {
	db    *pg.DB
	ids   *id.Maker
	bus   *event.Bus
	roles *role.Service
	users *user.Service
}

// New makes the service.
func New(db *pg.DB, ids *id.Maker, bus *event.Bus, roles *role.Service, us *user.Service) *Service {
	return &Service{db: db, ids: ids, bus: bus, roles: roles, users: us}
}

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
	if _, err := tx.Exec(ctx, sqlLog, s.ids.Now(), ev.Moderator, ev.Type, b); err != nil {
		return fmt.Errorf("moderation log: %w", err)
	}
	return nil
}

// Endpoints is the API of this slice.
func (s *Service) Endpoints() []api.Endpoint {
	return []api.Endpoint{
		api.Post("admin/show-moderation-logs", s.apiLogs, api.Moderator("read:admin:show-moderation-log")),
		api.Post("admin/suspend-user", s.apiSuspend, api.Moderator("write:admin:suspend-user"), api.Errors(errNobody, errRank)),
		api.Post("admin/unsuspend-user", s.apiUnsuspend, api.Moderator("write:admin:unsuspend-user"), api.Errors(errNobody)),
	}
}
