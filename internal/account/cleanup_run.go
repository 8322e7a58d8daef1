package account

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/socket/delivery"
	"buttersc.one/oven/internal/user"
)

const (
	// batch notes or files go in one transaction.
	batch = 100
	// pace is how long a batch and the rest after it take where nobody else is
	// kept waiting: the estimate of a preview.
	pace = 200 * time.Millisecond
	// lookEvery for clearings that are due; a poke comes at once.
	lookEvery = time.Second
	// After a batch as long a rest: half of the database's time is everybody
	// else's. When live deliveries are late, or batches take longer than usual, the
	// rest is longer.
	lateRest = 2 * time.Second
	maxRest  = 10 * time.Second
)

// run is a clearing as it is in the table.
type run struct {
	UserID        string
	Phase         string
	Notes, Files  bool
	KeepFavorited bool
	BeforeID      string
	AfterID       string
	Stream        *int64
}

const (
	sqlDue  = `SELECT user_id FROM cleanup WHERE state = 'running' AND due_at <= $1 ORDER BY updated_at LIMIT 16`
	sqlHold = `
SELECT user_id, phase, notes, files, keep_favorited, before_id, after_id, stream_id
FROM cleanup WHERE user_id = $1 AND state = 'running' FOR UPDATE SKIP LOCKED`
	sqlFailed = `UPDATE cleanup SET last_error = $2, due_at = $3, updated_at = now() WHERE user_id = $1 AND state = 'running'`
)

// poke has Run look for clearings now.
func (s *Service) poke() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// Run clears accounts, a batch of each that is due in turn, until ctx ends. Every
// batch is a transaction that also says how far it came: another process, or
// this one after a crash, goes on there.
func (s *Service) Run(ctx context.Context) error {
	var usual time.Duration
	for ctx.Err() == nil {
		took, worked, err := s.round(ctx)
		if err != nil && ctx.Err() == nil {
			s.Slog.Error("clearing accounts", "err", err)
		}
		wait := lookEvery
		if worked {
			if usual == 0 {
				usual = took
			}
			wait = rest(took, usual, s.Delivery.Late())
			usual += (min(took, 2*usual) - usual) / 16
		}
		select {
		case <-ctx.Done():
		case <-time.After(wait):
		case <-s.wakeUnless(worked):
		}
	}
	return nil
}

// wakeUnless is never ready while clearings rest: a new one must not hurry them.
func (s *Service) wakeUnless(worked bool) <-chan struct{} {
	if worked {
		return nil
	}
	return s.wake
}

// rest is how long nothing is cleared after work that took so long.
func rest(took, usual time.Duration, late bool) time.Duration {
	r := took
	if took > 3*usual {
		r = 4 * took // the database is busy
	}
	if late {
		r += lateRest
	}
	return min(r, maxRest)
}

// round does one batch of each clearing that is due.
func (s *Service) round(ctx context.Context) (took time.Duration, worked bool, err error) {
	rows, err := s.DB.Query(ctx, sqlDue, s.Now())
	if err != nil {
		return 0, false, fmt.Errorf("clearings: %w", err)
	}
	due, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return 0, false, fmt.Errorf("clearings: %w", err)
	}
	began := time.Now()
	for _, userID := range due {
		err := s.DB.Tx(ctx, func(tx *pg.Tx) error { return s.step(ctx, tx, userID) })
		switch {
		case err == nil:
			worked = true
		case errors.Is(err, delivery.ErrStreams), errors.Is(err, errHeld):
			// Its turn comes when another is written; or another process is at it.
		case ctx.Err() != nil:
			return 0, false, ctx.Err()
		default:
			s.Slog.Error("clearing an account", "user", userID, "err", err)
			if _, err := s.DB.Exec(ctx, sqlFailed, userID, "the server could not go on; it tries again", s.Now().Add(time.Minute)); err != nil {
				return 0, false, err
			}
		}
	}
	return time.Since(began), worked, nil
}

// errHeld says that another process works at a clearing, or that it is not to be
// worked at any more.
var errHeld = errors.New("the clearing is held")

// step does one batch of a clearing, in tx.
func (s *Service) step(ctx context.Context, tx *pg.Tx, userID string) error {
	rows, err := tx.Query(ctx, sqlHold, userID)
	if err != nil {
		return err
	}
	r, err := pgx.CollectOneRow(rows, pgx.RowToStructByPos[run])
	if pg.NoRows(err) {
		return errHeld
	}
	if err != nil {
		return err
	}
	owner, err := s.Users.ByIDIn(ctx, tx, userID)
	if err != nil {
		return err
	}
	if owner.IsDeleted {
		return s.end(ctx, tx, r, "cancelled")
	}
	switch r.Phase {
	case "keep":
		return s.beginRun(ctx, tx, r)
	case "notes":
		return s.clearNotes(ctx, tx, owner, r)
	default:
		return s.clearFiles(ctx, tx, r)
	}
}

const (
	sqlBegun = `
UPDATE cleanup SET phase = $2, stream_id = $3, notes_total = $4, files_total = $5, updated_at = now() WHERE user_id = $1`
	sqlPhase = `UPDATE cleanup SET phase = $2, after_id = '', updated_at = now() WHERE user_id = $1`
	sqlCame  = `
UPDATE cleanup SET after_id = $2, notes_done = notes_done + $3, files_done = files_done + $4, updated_at = now() WHERE user_id = $1`
	sqlTotalFiles = `UPDATE cleanup SET files_total = $2 WHERE user_id = $1`
	sqlEnd        = `UPDATE cleanup SET state = $2, updated_at = now(), finished_at = now() WHERE user_id = $1`
)

// beginRun decides what stays, counts what goes, and opens the stream in which
// it is told.
func (s *Service) beginRun(ctx context.Context, tx *pg.Tx, r run) error {
	if _, err := tx.Exec(ctx, sqlKeepClear, r.UserID); err != nil {
		return err
	}
	var notes, files int64
	var stream *int64
	phase := "files"
	if r.Notes {
		phase = "notes"
		if _, err := tx.Exec(ctx, sqlKeep, r.UserID, r.KeepFavorited); err != nil {
			return err
		}
		if err := tx.QueryRow(ctx, sqlCountNotes, r.UserID, r.BeforeID).Scan(&notes); err != nil {
			return err
		}
		id, err := s.Delivery.Open(ctx, tx, "cleanup", r.UserID)
		if err != nil {
			return err
		}
		stream = &id
	}
	if r.Files {
		if err := tx.QueryRow(ctx, sqlCountFiles, r.UserID, r.BeforeID).Scan(&files); err != nil {
			return err
		}
	}
	if _, err := tx.Exec(ctx, sqlBegun, r.UserID, phase, stream, notes, files); err != nil {
		return err
	}
	return s.tell(ctx, tx, r.UserID)
}

func (s *Service) clearNotes(ctx context.Context, tx *pg.Tx, owner *user.User, r run) error {
	ids, err := next(ctx, tx, sqlNextNotes, r)
	if err != nil {
		return err
	}
	if len(ids) == 0 {
		return s.endNotes(ctx, tx, r)
	}
	stream := int64(0)
	if r.Stream != nil {
		stream = *r.Stream
	}
	n, err := s.Notes.DeleteBatch(ctx, tx, owner, ids, stream)
	if err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, sqlCame, r.UserID, ids[len(ids)-1], n, 0); err != nil {
		return err
	}
	return s.tell(ctx, tx, r.UserID)
}

// endNotes goes on to the files, which can be counted only now: those of notes
// that are gone are among them.
func (s *Service) endNotes(ctx context.Context, tx *pg.Tx, r run) error {
	if !r.Files {
		return s.end(ctx, tx, r, "done")
	}
	if r.Stream != nil {
		if err := s.Delivery.Close(ctx, tx, *r.Stream); err != nil {
			return err
		}
	}
	var files int64
	if err := tx.QueryRow(ctx, sqlCountFiles, r.UserID, r.BeforeID).Scan(&files); err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, sqlTotalFiles, r.UserID, files); err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, sqlPhase, r.UserID, "files"); err != nil {
		return err
	}
	return s.tell(ctx, tx, r.UserID)
}

func (s *Service) clearFiles(ctx context.Context, tx *pg.Tx, r run) error {
	ids, err := next(ctx, tx, sqlNextFiles, r)
	if err != nil {
		return err
	}
	if len(ids) == 0 {
		return s.end(ctx, tx, r, "done")
	}
	n, err := s.Drive.Remove(ctx, tx, r.UserID, ids)
	if err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, sqlCame, r.UserID, ids[len(ids)-1], 0, n); err != nil {
		return err
	}
	return s.tell(ctx, tx, r.UserID)
}

// end closes a run. What was deleted is still told to all.
func (s *Service) end(ctx context.Context, tx *pg.Tx, r run, state string) error {
	if r.Stream != nil {
		if err := s.Delivery.Close(ctx, tx, *r.Stream); err != nil {
			return err
		}
	}
	if _, err := tx.Exec(ctx, sqlKeepClear, r.UserID); err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, sqlEnd, r.UserID, state); err != nil {
		return err
	}
	return s.tell(ctx, tx, r.UserID)
}

func next(ctx context.Context, tx *pg.Tx, sql string, r run) ([]string, error) {
	rows, err := tx.Query(ctx, sql, r.UserID, r.BeforeID, r.AfterID, batch)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[string])
}

// tell has the account's clients learn how far it is.
func (s *Service) tell(ctx context.Context, tx *pg.Tx, userID string) error {
	return s.Log.Append(ctx, tx, "account.cleanup", userID, userID, nil)
}
