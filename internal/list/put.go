package list

import (
	"context"
	"fmt"

	"buttersc.one/oven/internal/lib/pg"
)

// Put puts an account on the owner's list of that name, the oldest where there are
// several; it is made when there is none. ErrLimit and the errors above; then tx has
// to be undone, as far as a list that was made is not to stay.
func (s *Service) Put(ctx context.Context, tx *pg.Tx, ownerID, name, userID string, withReplies bool) error {
	if _, err := tx.Exec(ctx, sqlLockOwner, ownerID); err != nil {
		return fmt.Errorf("add to list: %w", err)
	}
	var w pg.Where
	w.And("l.user_id = ?", ownerID)
	w.And("l.name = ?", name)
	lists, err := s.read(ctx, tx, &w, " ORDER BY l.id LIMIT 1")
	if err != nil {
		return err
	}
	var l *List
	if len(lists) > 0 {
		l = lists[0]
	} else if l, err = s.create(ctx, tx, ownerID, name); err != nil {
		return err
	}
	if err := s.push(ctx, tx, l, userID); err != nil || !withReplies {
		return err
	}
	if _, err := tx.Exec(ctx, sqlSetReplies, l.ID, userID, true); err != nil {
		return fmt.Errorf("add to list: %w", err)
	}
	return nil
}
