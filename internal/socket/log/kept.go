package log

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"buttersc.one/oven/internal/lib/pg"
)

// Keeper is a store outside of the database that follows the log, such as a
// search index: it knows itself how far it is. Its consumer is neither durable
// nor volatile: a batch that fails comes again.
type Keeper interface {
	// Place is the number of the last change that is in the store for good. What
	// comes after it is handed over again after a start. ok is false for a store
	// that does not know: then it begins at the head, and Lost is called.
	Place() (seq int64, ok bool)
	// Take works through a batch in order; upTo is the number up to which there is
	// nothing else for it. A batch that was taken only in part comes again.
	Take(ctx context.Context, batch []Change, upTo int64) error
}

// keptRest is the least time between two batches of a keeper.
const keptRest = 25 * time.Millisecond

const (
	sqlReach   = `SELECT coalesce((SELECT min(seq) FROM change_log), 0), next_seq - 1 FROM log_head WHERE name = 'change'`
	sqlKeep    = `INSERT INTO log_cursor (name, seq) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET seq = excluded.seq, moved_at = now()`
	sqlForgone = `DELETE FROM log_cursor WHERE name LIKE '%@%' AND moved_at < now() - interval '7 days'`
)

// startKept finds the place of a keeper. One that the log does not reach back to,
// or that is ahead of it because the database is an older one, has lost its place.
func (f *follower) startKept(ctx context.Context) error {
	at, ok := f.Keeper.Place() // before the head is read: others may move both meanwhile
	var oldest, head int64
	if err := f.l.db.QueryRow(ctx, sqlReach).Scan(&oldest, &head); err != nil {
		return fmt.Errorf("reach of the change log: %w", err)
	}
	if !ok || at > head || at < head && at+1 < oldest || at < head && oldest == 0 {
		f.l.log.Info("a store that follows the change log begins anew", "consumer", f.Name)
		f.at = head
		if f.Lost != nil {
			f.Lost()
		}
	} else {
		f.at = at
	}
	_, err := f.l.db.Exec(ctx, sqlKeep, f.Name, f.at)
	if err != nil {
		return fmt.Errorf("cursor %s: %w", f.Name, err)
	}
	return nil
}

// runKept hands the keeper batch after batch until ctx ends.
func (f *follower) runKept(ctx context.Context) {
	for ctx.Err() == nil {
		n, err := f.stepKept(ctx)
		switch {
		case err != nil && ctx.Err() == nil:
			f.l.log.Error("consumer of the change log", "consumer", f.Name, "err", err)
			sleep(ctx, time.Second)
		case n > 0:
			sleep(ctx, keptRest)
		default:
			select {
			case <-ctx.Done():
			case <-f.news:
			case <-time.After(time.Second): // a lost wake-up costs this
			}
		}
	}
}

// stepKept hands over the next batch and tells how many changes it covered.
func (f *follower) stepKept(ctx context.Context) (int, error) {
	rows, err := f.l.db.Query(ctx, sqlNext, f.position(), batchSize)
	if err != nil {
		return 0, fmt.Errorf("next changes: %w", err)
	}
	all, err := pgx.CollectRows(rows, rowToChange)
	if err != nil || len(all) == 0 {
		return 0, err
	}
	n, last := len(all), all[len(all)-1].Seq
	wanted := all[:0]
	for _, c := range all {
		if f.wants(c.Kind) {
			wanted = append(wanted, c)
		}
	}
	if err := f.Keeper.Take(ctx, wanted, last); err != nil {
		return 0, err
	}
	f.mu.Lock()
	f.at = last
	f.mu.Unlock()
	f.moved.broadcast()
	return n, nil
}

// keep writes down how far the keepers are, for which pruning waits, and forgets
// those of processes that have not come back.
func (l *Log) keep(ctx context.Context, q pg.Q) error {
	for _, f := range l.consumers {
		if f.Keeper == nil {
			continue
		}
		if at, ok := f.Keeper.Place(); ok {
			if _, err := q.Exec(ctx, sqlKeep, f.Name, at); err != nil {
				return fmt.Errorf("cursor %s: %w", f.Name, err)
			}
		}
	}
	if _, err := q.Exec(ctx, sqlForgone); err != nil {
		return fmt.Errorf("forgotten cursors: %w", err)
	}
	return nil
}
