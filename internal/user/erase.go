package user

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/socket/log"
)

const (
	sqlGone     = `UPDATE "user" SET is_deleted = true, updated_at = now() WHERE id = $1 AND host IS NULL AND NOT is_deleted AND NOT is_root AND NOT is_system`
	sqlLessThem = `
UPDATE user_stat s SET followers_count = greatest(0, s.followers_count - 1) FROM following f WHERE f.follower_id = $1 AND s.user_id = f.followee_id`
	sqlLessUs = `
UPDATE user_stat s SET following_count = greatest(0, s.following_count - 1) FROM following f WHERE f.followee_id = $1 AND s.user_id = f.follower_id`
	sqlErase = `DELETE FROM "user" WHERE id = $1 AND is_deleted`
	sqlShell = `
INSERT INTO "user" (id, username, username_lower, host, uri, actor_host, is_deleted, is_explorable, updated_at)
VALUES ($1, $2, lower($2), NULL, NULL, NULL, true, false, now())`
)

// End says that a local account has ended: from the commit on it is nobody. False
// when it had ended before, or is one that cannot.
func (s *Service) End(ctx context.Context, tx *pg.Tx, userID string) (bool, error) {
	tag, err := tx.Exec(ctx, sqlGone, userID)
	if err != nil {
		return false, fmt.Errorf("end account: %w", err)
	}
	if tag.RowsAffected() == 0 {
		return false, nil
	}
	return true, s.log.Append(ctx, tx, "user.deleted", userID, userID, goneData{Local: true})
}

// Erase takes away all that is left of a local account that has ended, in every
// table. What stays is its name, which nobody else may have, and its id, under
// which its key is found. Its notes and files must be gone: there may be too many
// of them for one transaction.
func (s *Service) Erase(ctx context.Context, tx *pg.Tx, u *User) error {
	if err := s.untie(ctx, tx, u); err != nil {
		return err
	}
	for _, sql := range []string{sqlLessThem, sqlLessUs, sqlErase} {
		if _, err := tx.Exec(ctx, sql, u.ID); err != nil {
			return fmt.Errorf("erase account: %w", err)
		}
	}
	if _, err := tx.Exec(ctx, sqlShell, u.ID, u.Username); err != nil {
		return fmt.Errorf("erase account: %w", err)
	}
	for _, sql := range []string{sqlInsertStat, sqlInsertProfile} {
		if _, err := tx.Exec(ctx, sql, u.ID); err != nil {
			return fmt.Errorf("erase account: %w", err)
		}
	}
	return nil
}

const sqlTiesByServer = `
SELECT host, sum(follows)::int, sum(followed)::int FROM (
	SELECT followee_host, 1, 0 FROM following WHERE follower_id = $1 AND followee_host IS NOT NULL
	UNION ALL SELECT follower_host, 0, 1 FROM following WHERE followee_id = $1 AND follower_host IS NOT NULL
) f (host, follows, followed) GROUP BY host ORDER BY host`

// untiedData goes with "user.untied": how many follows of accounts of a server,
// and by them, ended with a local account. The object is the server's authority.
type untiedData struct {
	Follows  int `json:"follows"`
	Followed int `json:"followed"`
}

// untie says which servers' accounts the account's follows ended with: they end
// with its row.
func (s *Service) untie(ctx context.Context, tx *pg.Tx, u *User) error {
	rows, err := tx.Query(ctx, sqlTiesByServer, u.ID)
	if err != nil {
		return fmt.Errorf("ties of account: %w", err)
	}
	hosts := map[string]untiedData{}
	var host string
	var d untiedData
	if _, err := pgx.ForEachRow(rows, []any{&host, &d.Follows, &d.Followed}, func() error { hosts[host] = d; return nil }); err != nil {
		return fmt.Errorf("ties of account: %w", err)
	}
	for host, d := range hosts {
		if err := s.log.Append(ctx, tx, "user.untied", host, u.ID, d); err != nil {
			return err
		}
	}
	return s.untieEach(ctx, tx, u)
}

const sqlEachTie = `SELECT follower_id, followee_id, follower_host, followee_host FROM following WHERE follower_id = $1 OR followee_id = $1 ORDER BY id`

// tieData goes with "user.tieEnded": a follow that ended with a local account,
// who is the actor. The object is the other one.
type tieData struct {
	From       string  `json:"from"`
	To         string  `json:"to"`
	FromServer *string `json:"fromServer,omitempty"`
	ToServer   *string `json:"toServer,omitempty"`
}

// untieEach says which follows end with the account's row.
func (s *Service) untieEach(ctx context.Context, tx *pg.Tx, u *User) error {
	rows, err := tx.Query(ctx, sqlEachTie, u.ID)
	if err != nil {
		return fmt.Errorf("ties of account: %w", err)
	}
	var ties []log.Row
	var d tieData
	if _, err := pgx.ForEachRow(rows, []any{&d.From, &d.To, &d.FromServer, &d.ToServer}, func() error {
		other := d.From
		if other == u.ID {
			other = d.To
		}
		ties = append(ties, log.Row{ObjectID: other, ActorID: u.ID, Data: d})
		d = tieData{}
		return nil
	}); err != nil {
		return fmt.Errorf("ties of account: %w", err)
	}
	return s.log.AppendRows(ctx, tx, "user.tieEnded", ties)
}
