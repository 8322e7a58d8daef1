package transfer

import (
	"bufio"
	"context"
	"encoding/csv"
	"fmt"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
)

// accountsAtATime is how many accounts are read at once.
const accountsAtATime = 500

// inactiveAfter nothing was heard of an account it counts as inactive.
const inactiveAfter = 90 * 24 * time.Hour

const (
	sqlFollowing = `
SELECT f.id, u.username, u.host, f.with_replies
FROM following f JOIN "user" u ON u.id = f.followee_id JOIN user_stat st ON st.user_id = u.id
WHERE f.follower_id = $1 AND f.id > $2 AND NOT u.is_deleted
	AND NOT ($4 AND EXISTS (SELECT FROM muting m WHERE m.muter_id = $1 AND m.mutee_id = u.id AND (m.expires_at IS NULL OR m.expires_at > $6)))
	AND NOT ($5 AND coalesce(greatest(u.updated_at, st.last_active_at) < $7, false))
ORDER BY f.id LIMIT $3`
	// A mute that ends by itself is not carried along.
	sqlMuting = `
SELECT m.id, u.username, u.host, false FROM muting m JOIN "user" u ON u.id = m.mutee_id
WHERE m.muter_id = $1 AND m.id > $2 AND m.expires_at IS NULL AND NOT u.is_deleted ORDER BY m.id LIMIT $3`
	sqlBlocking = `
SELECT b.id, u.username, u.host, false FROM blocking b JOIN "user" u ON u.id = b.blockee_id
WHERE b.blocker_id = $1 AND b.id > $2 AND NOT u.is_deleted ORDER BY b.id LIMIT $3`
	sqlLists   = `SELECT id, name FROM user_list WHERE user_id = $1 ORDER BY id`
	sqlMembers = `
SELECT m.id, u.username, u.host, m.with_replies FROM user_list_membership m JOIN "user" u ON u.id = m.user_id
WHERE m.list_id = $1 AND m.id > $2 AND NOT u.is_deleted ORDER BY m.id LIMIT $3`
)

// tie is an account, and a row that leads to it.
type tie struct {
	id, name string
	host     *string
	replies  bool
}

// acct is the account's full name, with this server's host for its own.
func (s *Service) acct(name string, host *string) string {
	if host == nil {
		return name + "@" + s.Meta.Host
	}
	return name + "@" + *host
}

// accounts gives each what a statement finds for an owner, page by page, in the
// order of the rows.
func (s *Service) accounts(ctx context.Context, sql, ownerID string, each func(tie), args ...any) error {
	for after := ""; ; {
		rows, err := s.DB.Query(ctx, sql, append([]any{ownerID, after, accountsAtATime}, args...)...)
		if err != nil {
			return fmt.Errorf("accounts: %w", err)
		}
		page, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) (t tie, err error) {
			return t, r.Scan(&t.id, &t.name, &t.host, &t.replies)
		})
		if err != nil {
			return fmt.Errorf("accounts: %w", err)
		}
		for _, t := range page {
			each(t)
		}
		if len(page) < accountsAtATime {
			return nil
		}
		after = page[len(page)-1].id
		if err := s.rest(ctx, 0); err != nil {
			return err
		}
	}
}

// replies is how Misskey writes whether answers to others are shown, too.
func replies(yes bool) string { return "withReplies=" + strconv.FormatBool(yes) }

func (s *Service) writeFollowing(ctx context.Context, w *bufio.Writer, c *carry) error {
	now := s.Now()
	return s.accounts(ctx, sqlFollowing, c.UserID, func(t tie) {
		_, _ = w.WriteString(s.acct(t.name, t.host) + "," + replies(t.replies) + "\n")
	}, c.Options.ExcludeMuting, c.Options.ExcludeInactive, now, now.Add(-inactiveAfter))
}

func (s *Service) writeMuting(ctx context.Context, w *bufio.Writer, c *carry) error {
	return s.accounts(ctx, sqlMuting, c.UserID, func(t tie) { _, _ = w.WriteString(s.acct(t.name, t.host) + "\n") })
}

func (s *Service) writeBlocking(ctx context.Context, w *bufio.Writer, c *carry) error {
	return s.accounts(ctx, sqlBlocking, c.UserID, func(t tie) { _, _ = w.WriteString(s.acct(t.name, t.host) + "\n") })
}

// writeLists quotes a list's name where it has a comma, which Misskey does not.
func (s *Service) writeLists(ctx context.Context, w *bufio.Writer, c *carry) error {
	rows, err := s.DB.Query(ctx, sqlLists, c.UserID)
	if err != nil {
		return fmt.Errorf("lists: %w", err)
	}
	lists, err := pgx.CollectRows(rows, pgx.RowToStructByPos[struct{ ID, Name string }])
	if err != nil {
		return fmt.Errorf("lists: %w", err)
	}
	out := csv.NewWriter(w)
	for _, l := range lists {
		err := s.accounts(ctx, sqlMembers, l.ID, func(t tie) {
			_ = out.Write([]string{l.Name, s.acct(t.name, t.host), replies(t.replies)})
		})
		if err != nil {
			return err
		}
	}
	out.Flush()
	return out.Error()
}
