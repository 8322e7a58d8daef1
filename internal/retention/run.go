package retention

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"buttersc.one/oven/internal/lib/pg"
)

// The phases of a pass.
const (
	idle    = "idle"
	inNotes = "notes"
	inFiles = "files"
)

const (
	// batch notes are looked at in one transaction.
	batch = 100
	// passEvery is from the end of a pass to the next.
	passEvery = 24 * time.Hour
	// lookEvery for a pass that is due.
	lookEvery = 5 * time.Second
	// After a batch twice as long a rest: most of the database's time is everybody
	// else's. When batches take longer than usual, live deliveries are late or
	// activities wait to be taken in, the rest is longer.
	busyRest    = 5 * time.Second
	maxRest     = 20 * time.Second
	manyWaiting = 500
	failedRest  = time.Minute
)

// Run makes passes until ctx ends. Every batch is a transaction that also says how
// far it came: another process, or this one after a crash, goes on there.
func (s *Service) Run(ctx context.Context) error {
	var usual time.Duration
	for ctx.Err() == nil {
		began := time.Now()
		worked, err := s.step(ctx)
		took := time.Since(began)
		wait := lookEvery
		switch {
		case err != nil && ctx.Err() == nil:
			s.Slog.Error("retention", "err", err)
			s.failed(ctx)
		case worked:
			if usual == 0 {
				usual = took
			}
			wait = rest(took, usual, s.busy(ctx))
			usual += (min(took, 2*usual) - usual) / 16
		}
		wake := s.wake
		if worked {
			wake = nil // a new pass must not hurry it
		}
		select {
		case <-ctx.Done():
		case <-time.After(wait):
		case <-wake:
		}
	}
	return nil
}

// rest is how long nothing is done after work that took so long.
func rest(took, usual time.Duration, busy bool) time.Duration {
	r := 2 * took
	if took > 3*usual {
		r = 6 * took // the database is busy
	}
	if busy {
		r += busyRest
	}
	return min(r, maxRest)
}

// busy tells whether people wait for what this server does for them.
func (s *Service) busy(ctx context.Context) bool {
	if s.Delivery.Late() {
		return true
	}
	n, err := s.Inbox.Pending(ctx)
	return err != nil || n > manyWaiting
}

const sqlFailed = `UPDATE retention SET last_error = 'the server could not go on; it tries again', due_at = greatest(due_at, $1)`

func (s *Service) failed(ctx context.Context) {
	if _, err := s.DB.Exec(ctx, sqlFailed, s.Now().Add(failedRest)); err != nil && ctx.Err() == nil {
		s.Slog.Error("retention", "err", err)
	}
}

// pass is the row.
type pass struct {
	Phase          string
	Notes, Files   *int
	BeforeID, AtID string
	DueAt          time.Time
	Kept           json.RawMessage
}

const (
	sqlMake = `INSERT INTO retention (one) VALUES (true) ON CONFLICT (one) DO NOTHING`
	sqlHold = `SELECT phase, notes_days, files_days, before_id, at_id, due_at, kept FROM retention FOR UPDATE SKIP LOCKED`
	sqlStop = `UPDATE retention SET phase = 'idle', due_at = $1, finished_at = CASE WHEN $2 THEN $3 ELSE finished_at END`

	sqlBegin = `
UPDATE retention SET phase = $1, notes_days = $2, files_days = $3, before_id = $4, at_id = $4, started_at = $5, finished_at = NULL,
	notes_removed = 0, files_removed = 0, kept = '{}', last_error = ''`
	sqlCame     = `UPDATE retention SET at_id = $1, notes_removed = notes_removed + $2, files_removed = files_removed + $3, kept = $4, last_error = ''`
	sqlToFiles  = `UPDATE retention SET phase = 'files', at_id = ''`
	sqlLockSome = `SELECT id FROM note WHERE id = ANY($1) ORDER BY id FOR UPDATE SKIP LOCKED`
)

// step does one batch, or begins or ends a pass; false: there is nothing to do.
func (s *Service) step(ctx context.Context) (worked bool, err error) {
	err = s.DB.Tx(ctx, func(tx *pg.Tx) error {
		worked = false
		rows, err := tx.Query(ctx, sqlHold)
		if err != nil {
			return fmt.Errorf("retention: %w", err)
		}
		p, err := pgx.CollectOneRow(rows, pgx.RowToStructByPos[pass])
		if pg.NoRows(err) {
			// Another process has it; or everything was emptied.
			_, err = tx.Exec(ctx, sqlMake)
			return err
		}
		if err != nil {
			return fmt.Errorf("retention: %w", err)
		}
		now, err := s.days(ctx, tx)
		if err != nil {
			return err
		}
		due := !p.DueAt.After(s.Now())
		changed := !now.equal(days{p.Notes, p.Files})
		switch {
		case now.off():
			if p.Phase != idle {
				_, err = tx.Exec(ctx, sqlStop, s.Now(), true, s.Now())
			}
			return err
		case !due && (p.Phase != idle || !changed):
			return nil
		case p.Phase == idle || changed:
			worked = true
			return s.begin(ctx, tx, now)
		case p.Phase == inNotes:
			worked = true
			return s.forgetNotes(ctx, tx, p)
		}
		worked = true
		return s.forgetFiles(ctx, tx, p)
	})
	return worked, err
}

func (s *Service) begin(ctx context.Context, tx *pg.Tx, d days) error {
	phase, before := inFiles, ""
	if d.Notes != nil {
		phase, before = inNotes, s.before(*d.Notes)
	}
	if _, err := tx.Exec(ctx, sqlBegin, phase, d.Notes, d.Files, before, s.Now()); err != nil {
		return fmt.Errorf("begin to forget: %w", err)
	}
	return nil
}

// forgetNotes looks at the next old notes. Those that somebody is writing
// something about at this moment are held by that, and passed by: nobody waits,
// and what they are kept for is seen next time.
func (s *Service) forgetNotes(ctx context.Context, tx *pg.Tx, p pass) error {
	ids, err := s.page(ctx, tx, p.AtID, batch)
	if err != nil {
		return err
	}
	if len(ids) == 0 {
		_, err := tx.Exec(ctx, sqlToFiles)
		return err
	}
	rows, err := tx.Query(ctx, sqlLockSome, ids)
	if err != nil {
		return fmt.Errorf("lock notes: %w", err)
	}
	locked, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return fmt.Errorf("lock notes: %w", err)
	}
	// Judged when they are held: what was written before is seen, and what comes now
	// finds them gone.
	notes, err := s.judge(ctx, tx, locked, p.BeforeID)
	if err != nil {
		return err
	}
	going, kept, err := s.goes(ctx, tx, notes)
	if err != nil {
		return err
	}
	if n := len(ids) - len(locked); n > 0 {
		kept["busy"] += int64(n)
	}
	n, files := 0, 0
	if len(going) > 0 {
		var had []string
		if n, had, err = s.Notes.Forget(ctx, tx, going); err != nil {
			return err
		}
		if len(had) > 0 {
			if files, err = s.Drive.RemoveUnshown(ctx, tx, had); err != nil {
				return err
			}
		}
	}
	return s.came(ctx, tx, p, ids[len(ids)-1], n, files, kept)
}

func (s *Service) came(ctx context.Context, tx *pg.Tx, p pass, at string, notes, files int, kept map[string]int64) error {
	all, err := merge(p.Kept, kept)
	if err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, sqlCame, at, notes, files, []byte(all)); err != nil {
		return fmt.Errorf("retention: %w", err)
	}
	return nil
}

const (
	// Links of accounts that are no more, whatever their age.
	sqlLoose = `
SELECT id FROM drive_file WHERE user_id IS NULL AND user_host IS NOT NULL AND is_link AND id > $1 ORDER BY id LIMIT $2`
	sqlLinks = `
SELECT id FROM drive_file WHERE user_host IS NOT NULL AND is_link AND id > $1 AND (id < $3 OR user_id IS NULL) ORDER BY id LIMIT $2`
)

// links are the next links to other servers' files that are old enough, and those
// of nobody.
func (s *Service) links(ctx context.Context, q pg.Q, after string, days *int, limit int) ([]string, error) {
	sql, args := sqlLoose, []any{after, limit}
	if days != nil {
		sql, args = sqlLinks, append(args, s.before(*days))
	}
	rows, err := q.Query(ctx, sql, args...)
	if err != nil {
		return nil, fmt.Errorf("old links: %w", err)
	}
	ids, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, fmt.Errorf("old links: %w", err)
	}
	return ids, nil
}

// forgetFiles looks at the next links to other servers' files.
func (s *Service) forgetFiles(ctx context.Context, tx *pg.Tx, p pass) error {
	ids, err := s.links(ctx, tx, p.AtID, p.Files, batch)
	if err != nil {
		return err
	}
	if len(ids) == 0 {
		now := s.Now()
		if _, err := tx.Exec(ctx, sqlStop, now.Add(passEvery), true, now); err != nil {
			return fmt.Errorf("retention: %w", err)
		}
		return nil
	}
	n, err := s.Drive.RemoveUnshown(ctx, tx, ids)
	if err != nil {
		return err
	}
	return s.came(ctx, tx, p, ids[len(ids)-1], 0, n, nil)
}
