package account

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/relation"
	"buttersc.one/oven/internal/socket/delivery"
	"buttersc.one/oven/internal/user"
)

// A server that somebody with many followers here moves to must not be asked by
// all of them at once, and nobody else's deliveries must wait for theirs: some at
// a time are taken along, in a stream of the lower lane, and the next when most of
// what they said has been heard.
const (
	takenAlong = 20
	movePace   = 500 * time.Millisecond // from one step to the next, at least
	// moveLease is how long a step may take before another process does it.
	moveLease = 30 * time.Second
	// moveHeard: so many Follows may wait. Less than an endpoint's window, in which
	// the order of a Follow and of what a person does by hand then is kept.
	moveHeard = 200
	moveWait  = 5 * time.Second
	// moveAnyway is how long a server that takes nothing holds up a step.
	moveAnyway = 10 * time.Minute
)

// moving is a move as it is in the table.
type moving struct {
	From, To  string
	SteppedAt time.Time
	Stream    *int64
}

const (
	sqlClaimMove = `
UPDATE account_move SET due_at = $2 WHERE user_id = (
	SELECT user_id FROM account_move WHERE state = 'running' AND due_at <= $1 ORDER BY due_at LIMIT 1 FOR UPDATE SKIP LOCKED)
RETURNING user_id, target_id, stepped_at, stream_id`
	sqlMoveStream = `UPDATE account_move SET stream_id = $2 WHERE user_id = $1 AND state = 'running' AND stream_id IS NULL`
	sqlMoveNext   = `UPDATE account_move SET due_at = $2, stepped_at = CASE WHEN $3 THEN $4 ELSE stepped_at END WHERE user_id = $1 AND state = 'running'`
	sqlMoveDone   = `UPDATE account_move SET state = 'done', stream_id = NULL WHERE user_id = $1 AND state = 'running'`
)

// RunMoves takes people along with accounts that have moved, until ctx ends. What
// is done is in the ties themselves: another process, or this one after a crash,
// goes on with who is left.
func (s *Service) RunMoves(ctx context.Context) error {
	for ctx.Err() == nil {
		worked, err := s.stepMove(ctx)
		if err != nil && ctx.Err() == nil {
			s.Slog.Error("taking people along with a move", "err", err)
		}
		wait := lookEvery
		if worked {
			if wait = movePace; s.Delivery.Late() {
				wait += lateRest
			}
		}
		select {
		case <-ctx.Done():
		case <-time.After(wait):
		case <-s.moved:
		}
	}
	return nil
}

// pokeMoves has RunMoves look now.
func (s *Service) pokeMoves() {
	select {
	case s.moved <- struct{}{}:
	default:
	}
}

// stepMove takes some along with one move that is due.
func (s *Service) stepMove(ctx context.Context) (worked bool, err error) {
	now := s.Now()
	rows, err := s.DB.Query(ctx, sqlClaimMove, now, now.Add(moveLease))
	if err != nil {
		return false, fmt.Errorf("moves: %w", err)
	}
	mv, err := pgx.CollectOneRow(rows, pgx.RowToStructByPos[moving])
	if pg.NoRows(err) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("moves: %w", err)
	}
	wait, err := s.takeAlong(ctx, &mv)
	switch {
	case errors.Is(err, delivery.ErrStream), errors.Is(err, user.ErrNotFound):
		// Cancelled by the operator, or one of the two is no more.
		return true, s.endMove(ctx, mv)
	case err != nil:
		return false, fmt.Errorf("move of %s: %w", mv.From, err) // its lease ends
	case wait < 0:
		return true, s.endMove(ctx, mv)
	}
	now = s.Now()
	_, err = s.DB.Exec(ctx, sqlMoveNext, mv.From, now.Add(wait), wait == 0, now)
	return true, err
}

// takeAlong does one step; negative: nobody is left, positive: nothing was done
// and the next is to come so much later.
func (s *Service) takeAlong(ctx context.Context, mv *moving) (wait time.Duration, err error) {
	from, err := s.Users.ByID(ctx, mv.From)
	if err != nil {
		return 0, err
	}
	to, err := s.Users.ByID(ctx, mv.To)
	if err != nil {
		return 0, err
	}
	if to.IsDeleted || to.IsSuspended {
		return -1, nil
	}
	if !to.Local() && mv.Stream == nil {
		if mv.Stream, err = s.openMove(ctx, from.ID); err != nil {
			return moveWait, allow(err, delivery.ErrStreams)
		}
	}
	stream := int64(0)
	if mv.Stream != nil {
		stream = *mv.Stream
		ops, err := s.Delivery.Operations(ctx, mv.Stream)
		if err != nil {
			return 0, err
		}
		if len(ops) > 0 && ops[0].Waiting > moveHeard && s.Now().Sub(mv.SteppedAt) < moveAnyway {
			return moveWait, nil
		}
	}
	// The new account's server hears by the move's own stream. The old one's may be
	// gone: what is for it goes by the lane's common one and holds up nothing here.
	asked, told := relation.Calmly(ctx, stream), relation.Calmly(ctx, 0)
	n, err := s.some(ctx, sqlBlockers, from.ID, func(tx *pg.Tx, blocker *user.User) error {
		return allow(s.Relations.Block(asked, tx, blocker, to), relation.ErrAlready)
	}, to.ID)
	if err != nil || n > 0 {
		return 0, err
	}
	n, err = s.some(ctx, sqlFollowers, from.ID, func(tx *pg.Tx, follower *user.User) error {
		if follower.ID != to.ID && follower.MovedToURI == nil && !follower.IsDeleted {
			err := s.Relations.Follow(asked, tx, follower, to, false, "")
			if err := allow(err, relation.ErrAlready, relation.ErrBlocked, relation.ErrBlocking, relation.ErrUnreachable); err != nil {
				return err
			}
		}
		// Whoever cannot follow the new account (one blocks the other, or he is that
		// account himself) just stops following the old one.
		return allow(s.Relations.Unfollow(told, tx, follower, from), relation.ErrNone)
	})
	if err != nil || n > 0 {
		return 0, err
	}
	return -1, nil
}

func (s *Service) openMove(ctx context.Context, userID string) (*int64, error) {
	var id int64
	err := s.DB.Tx(ctx, func(tx *pg.Tx) (err error) {
		if id, err = s.Delivery.Open(ctx, tx, "move", userID); err != nil {
			return err
		}
		_, err = tx.Exec(ctx, sqlMoveStream, userID, id)
		return err
	})
	return &id, err
}

// endMove says that nobody is left to be taken along. What was said is still
// delivered.
func (s *Service) endMove(ctx context.Context, mv moving) error {
	return s.DB.Tx(ctx, func(tx *pg.Tx) error {
		if mv.Stream != nil {
			if err := s.Delivery.Close(ctx, tx, *mv.Stream); err != nil {
				return err
			}
		}
		_, err := tx.Exec(ctx, sqlMoveDone, mv.From)
		return err
	})
}

// some runs do for a few of the accounts that the statement gives, each in a
// transaction of its own, and says how many they were: do must take its account
// out of what the statement finds.
func (s *Service) some(ctx context.Context, sql, userID string, do func(tx *pg.Tx, other *user.User) error, args ...any) (int, error) {
	rows, err := s.DB.Query(ctx, sql, append([]any{userID, takenAlong}, args...)...)
	if err != nil {
		return 0, fmt.Errorf("move: %w", err)
	}
	ids, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return 0, fmt.Errorf("move: %w", err)
	}
	users, err := s.Users.ByIDs(ctx, s.DB, ids)
	if err != nil {
		return 0, err
	}
	for _, id := range ids {
		if err := s.DB.Tx(ctx, func(tx *pg.Tx) error { return do(tx, users[id]) }); err != nil {
			return 0, err
		}
	}
	return len(ids), nil
}

// allow is nil for errors that are as good as done.
func allow(err error, fine ...error) error {
	for _, f := range fine {
		if errors.Is(err, f) {
			return nil
		}
	}
	return err
}

const sqlPendingMoves = `SELECT count(*) FROM account_move WHERE state = 'running' AND due_at <= $1`

// PendingMoves is how many moves are being worked at.
func (s *Service) PendingMoves(ctx context.Context) (int64, error) {
	var n int64
	if err := s.DB.QueryRow(ctx, sqlPendingMoves, s.Now().Add(moveLease)).Scan(&n); err != nil {
		return 0, fmt.Errorf("moves: %w", err)
	}
	return n, nil
}
