package log

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"buttersc.one/oven/internal/lib/pg"
)

// durableRest is the least time between two transactions of a durable
// consumer: under load changes are folded together.
const durableRest = 25 * time.Millisecond

func (f *follower) runDurable(ctx context.Context) {
	for ctx.Err() == nil {
		n, err := f.stepDurable(ctx)
		switch {
		case err != nil && ctx.Err() == nil:
			f.l.log.Error("consumer of the change log", "consumer", f.Name, "err", err)
			sleep(ctx, time.Second)
		case n > 0:
			sleep(ctx, durableRest)
		default:
			select {
			case <-ctx.Done():
			case <-f.news:
			case <-time.After(time.Second): // a lost wake-up costs this
			}
		}
	}
}

const (
	sqlCursorLock = `SELECT seq FROM log_cursor WHERE name = $1 FOR UPDATE SKIP LOCKED`
	sqlCursorMove = `UPDATE log_cursor SET seq = $2, moved_at = now() WHERE name = $1`
)

// stepDurable handles the next batch and moves the cursor in one transaction,
// and tells how many changes that were.
func (f *follower) stepDurable(ctx context.Context) (n int, err error) {
	err = f.l.db.Tx(ctx, func(tx *pg.Tx) error {
		n = 0
		var at int64
		if err := tx.QueryRow(ctx, sqlCursorLock, f.Name).Scan(&at); err != nil {
			if pg.NoRows(err) {
				return nil // another node has it
			}
			return fmt.Errorf("cursor: %w", err)
		}
		rows, err := tx.Query(ctx, sqlNext, at, batchSize)
		if err != nil {
			return fmt.Errorf("next changes: %w", err)
		}
		all, err := pgx.CollectRows(rows, rowToChange)
		if err != nil || len(all) == 0 {
			return err
		}
		n = len(all)
		last := all[n-1].Seq
		wanted := all[:0]
		for _, c := range all {
			if f.wants(c.Kind) {
				wanted = append(wanted, c)
			}
		}
		if len(wanted) > 0 {
			if err := f.Handle(ctx, tx, wanted); err != nil {
				return err
			}
		}
		if _, err := tx.Exec(ctx, sqlCursorMove, f.Name, last); err != nil {
			return fmt.Errorf("move cursor: %w", err)
		}
		return nil
	})
	return n, err
}
