package webhook

import (
	"context"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"

	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/socket/log"
)

// systemEvents are the changes that the server's webhooks can be told of, and what they
// are called there.
var systemEvents = map[string]string{
	"report.created":      "abuseReport",
	"report.resolved":     "abuseReportResolved",
	"user.created":        "userCreated",
	"moderators.away":     "inactiveModeratorsWarning",
	"registration.closed": "inactiveModeratorsInvitationOnlyChanged",
}

// One that a recipient of reports names who is switched off is told of no reports. One
// that none names is told: whoever made it has said so.
const sqlSystemHooks = `
SELECT w.id, w.events, EXISTS (SELECT FROM report_recipient r WHERE r.webhook_id = w.id AND NOT r.active)
FROM system_webhook w WHERE w.active ORDER BY w.id`

// onSystem makes a job of everything that an address of the server is to be told.
func (s *Service) onSystem(ctx context.Context, tx *pg.Tx, batch []log.Change) error {
	type hook struct {
		ID        string
		On        []string
		NoReports bool
	}
	rows, err := tx.Query(ctx, sqlSystemHooks)
	if err != nil {
		return fmt.Errorf("webhooks of the server: %w", err)
	}
	hooks, err := pgx.CollectRows(rows, pgx.RowToStructByPos[hook])
	if err != nil {
		return fmt.Errorf("webhooks of the server: %w", err)
	}
	if len(hooks) == 0 {
		return nil
	}
	for _, c := range batch {
		var d struct {
			Local  bool  `json:"local"`
			System bool  `json:"system"`
			LeftMs int64 `json:"leftMs"`
		}
		if err := c.Into(&d); err != nil {
			return err
		}
		if c.Kind == "user.created" && (!d.Local || d.System) {
			continue
		}
		typ := systemEvents[c.Kind]
		report := typ == "abuseReport" || typ == "abuseReportResolved"
		for _, h := range hooks {
			if !slices.Contains(h.On, typ) || report && h.NoReports {
				continue
			}
			a := systemArgs{HookID: h.ID, At: c.At.UnixMilli(), Type: typ, ObjectID: c.ObjectID, LeftMs: d.LeftMs}
			if err := s.enqueueSystem(ctx, tx, a); err != nil {
				return err
			}
		}
	}
	return nil
}
