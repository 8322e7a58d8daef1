package user

import (
	"context"
	"fmt"

	"buttersc.one/oven/internal/lib/pg"
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
	return true, s.log.Append(ctx, tx, "user.deleted", userID, userID, nil)
}

// Erase takes away all that is left of a local account that has ended, in every
// table. What stays is its name, which nobody else may have, and its id, under
// which its key is found. Its notes and files must be gone: there may be too many
// of them for one transaction.
func (s *Service) Erase(ctx context.Context, tx *pg.Tx, u *User) error {
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
