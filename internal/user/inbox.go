package user

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/socket/delivery"
)

const sqlByInbox = `
(SELECT uri FROM "user" WHERE host IS NOT NULL AND NOT is_deleted AND inbox = $1 LIMIT 1)
UNION ALL
(SELECT uri FROM "user" WHERE host IS NOT NULL AND NOT is_deleted AND shared_inbox = $1 LIMIT 1)
LIMIT 1`

// InboxNow asks the server of an inbox that is gone where it is now: what an
// actor who had it has in its place, "" when that cannot be learnt.
func (s *Service) InboxNow(ctx context.Context, inbox string) string {
	var uri string
	if err := s.db.QueryRow(ctx, sqlByInbox, inbox).Scan(&uri); err != nil {
		return ""
	}
	before, err := s.ByURI(ctx, s.db, uri)
	if err != nil {
		return ""
	}
	u, err := s.Refresh(ctx, uri)
	if err != nil || u.Inbox == nil {
		return ""
	}
	if before.SharedInbox != nil && *before.SharedInbox == inbox {
		if u.SharedInbox == nil {
			return ""
		}
		return *u.SharedInbox
	}
	return *u.Inbox
}

const sqlEverybody = `
SELECT DISTINCT CASE WHEN shared_inbox IS NULL THEN inbox ELSE '' END, coalesce(shared_inbox, '')
FROM "user" WHERE host IS NOT NULL AND inbox IS NOT NULL AND NOT is_deleted AND NOT is_suspended`

// Everybody is who may know an account here: the inboxes of all servers that are
// known, a server's shared one where it has one.
func (s *Service) Everybody(ctx context.Context, q pg.Q) ([]delivery.Inbox, error) {
	rows, err := q.Query(ctx, sqlEverybody)
	if err != nil {
		return nil, fmt.Errorf("inboxes of everybody: %w", err)
	}
	list, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) (delivery.Inbox, error) {
		var in delivery.Inbox
		err := r.Scan(&in.URL, &in.Shared)
		return in, err
	})
	if err != nil {
		return nil, fmt.Errorf("inboxes of everybody: %w", err)
	}
	return list, nil
}
