package user

import (
	"context"
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
