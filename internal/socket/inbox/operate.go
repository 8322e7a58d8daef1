package inbox

import (
	"context"
	"errors"
	"fmt"

	"buttersc.one/oven/internal/lib/pg"
)

// State is what a kept activity is in.
type State int16

// The states of fed_inbox.
const (
	Ready  State = iota
	Again        // to be tried again
	Parked       // waits for something to be fetched
	Failed       // for good
)

// ErrNoRow says that an activity is not there, or is at work at this moment, or
// cannot be tried any more since its body is no longer kept.
var ErrNoRow = errors.New("no such activity in the inbox")

// What is at work is held by its worker and left alone.
const (
	sqlClear = `
DELETE FROM fed_inbox WHERE id IN (SELECT id FROM fed_inbox WHERE state = ANY($1::smallint[]) FOR UPDATE SKIP LOCKED)`
	sqlPromote = `
UPDATE fed_inbox SET due_at = $1 WHERE id IN (SELECT id FROM fed_inbox WHERE state IN (1, 2) AND due_at > $1 FOR UPDATE SKIP LOCKED)`
	sqlRemove = `
DELETE FROM fed_inbox WHERE id IN (SELECT id FROM fed_inbox WHERE id = $1 FOR UPDATE SKIP LOCKED)`
	sqlTryRow = `
UPDATE fed_inbox SET due_at = least(due_at, $2), state = CASE WHEN state = 3 THEN 1 ELSE state END, attempts = CASE WHEN state = 3 THEN 0 ELSE attempts END
WHERE id IN (SELECT id FROM fed_inbox WHERE id = $1 AND body IS NOT NULL FOR UPDATE SKIP LOCKED)`
)

// Clear drops, for good, all activities that are in one of the states and not
// at work, and says how many.
func (s *Service) Clear(ctx context.Context, tx *pg.Tx, states ...State) (int64, error) {
	tag, err := tx.Exec(ctx, sqlClear, states)
	if err != nil {
		return 0, fmt.Errorf("clear the inbox: %w", err)
	}
	tx.AfterCommit(s.queue.poke)
	return tag.RowsAffected(), nil
}

// Promote has all activities that wait tried at once.
func (s *Service) Promote(ctx context.Context, tx *pg.Tx) error {
	if _, err := tx.Exec(ctx, sqlPromote, s.cfg.Now()); err != nil {
		return fmt.Errorf("try activities now: %w", err)
	}
	tx.AfterCommit(s.queue.poke)
	return nil
}

// Try has one activity tried at once; one that failed for good begins anew.
// ErrNoRow.
func (s *Service) Try(ctx context.Context, tx *pg.Tx, id int64) error {
	tag, err := tx.Exec(ctx, sqlTryRow, id, s.cfg.Now())
	if err == nil && tag.RowsAffected() == 0 {
		err = ErrNoRow
	}
	if err != nil {
		return fmt.Errorf("try activity %d now: %w", id, err)
	}
	tx.AfterCommit(s.queue.poke)
	return nil
}

// Remove drops one activity. ErrNoRow.
func (s *Service) Remove(ctx context.Context, tx *pg.Tx, id int64) error {
	tag, err := tx.Exec(ctx, sqlRemove, id)
	if err == nil && tag.RowsAffected() == 0 {
		err = ErrNoRow
	}
	if err != nil {
		return fmt.Errorf("remove activity %d: %w", id, err)
	}
	tx.AfterCommit(s.queue.poke)
	return nil
}

// Begun is how many activities this process has begun to work on since its
// start.
func (s *Service) Begun() int64 {
	s.queue.mu.Lock()
	defer s.queue.mu.Unlock()
	return s.queue.begun
}

// Active is how many activities this process is at work on.
func (s *Service) Active() int {
	s.queue.mu.Lock()
	defer s.queue.mu.Unlock()
	n := 0
	for _, at := range s.queue.hosts {
		n += at
	}
	return n
}
