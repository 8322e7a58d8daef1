package delivery

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"buttersc.one/oven/internal/lib/pg"
)

// parent is a log that has a partition for each day.
type parent struct {
	table string
	keep  int // days
}

func parents() []parent {
	return []parent{{"fed_log_live", 7}, {"fed_log_bulk", 7}, {"fed_log_tomb", 90}}
}

// days remembers for which days there are partitions.
type days struct {
	mu sync.Mutex
	m  map[string]bool
}

func (d *days) has(day string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.m[day]
}

func (d *days) put(day string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.m == nil || len(d.m) > 100 {
		d.m = map[string]bool{}
	}
	d.m[day] = true
}

const dayForm = "20060102"

func day(t time.Time) string { return t.UTC().Format(dayForm) }

const (
	sqlPartitionLock = `SELECT pg_advisory_xact_lock($1, $2)`
	sqlHasTable      = `SELECT to_regclass($1) IS NOT NULL`
)

// ensureDay makes the partitions of t's day where they are missing. A table is
// made first and attached then: that waits for no reader of the log.
func (s *Service) ensureDay(ctx context.Context, t time.Time) error {
	d := day(t)
	if s.days.has(d) {
		return nil
	}
	from := t.UTC().Truncate(24 * time.Hour)
	err := s.db.Tx(ctx, func(tx *pg.Tx) error {
		if _, err := tx.Exec(ctx, sqlPartitionLock, pg.LockLeader, partitionLock); err != nil {
			return err
		}
		for _, p := range parents() {
			name := p.table + "_" + d
			var there bool
			if err := tx.QueryRow(ctx, sqlHasTable, name).Scan(&there); err != nil {
				return err
			}
			if there {
				continue
			}
			id, parent := pgx.Identifier{name}.Sanitize(), pgx.Identifier{p.table}.Sanitize()
			if _, err := tx.Exec(ctx, "CREATE TABLE "+id+" (LIKE "+parent+" INCLUDING STORAGE)"); err != nil {
				return err
			}
			if _, err := tx.Exec(ctx, fmt.Sprintf("ALTER TABLE %s ATTACH PARTITION %s FOR VALUES FROM ('%s') TO ('%s')",
				parent, id, from.Format(time.DateOnly), from.AddDate(0, 0, 1).Format(time.DateOnly))); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("partitions of %s: %w", d, err)
	}
	s.days.put(d)
	return nil
}

// dropLock and partitionLock are the second numbers of leader locks.
const (
	dropLock      int32 = 0x6f766431
	partitionLock int32 = 0x6f766432
)

// Also those that are detached and not yet gone: a process ended between the
// two.
const sqlPartitions = `
SELECT c.relname, i.inhrelid IS NOT NULL, coalesce(i.inhdetachpending, false)
FROM pg_class c LEFT JOIN pg_inherits i ON i.inhrelid = c.oid AND i.inhparent = $1::regclass
WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r' AND starts_with(c.relname, $1 || '_')`

// dropOld removes partitions by age: they never wait for a host that is away.
// One process at a time does.
func (s *Service) dropOld(ctx context.Context) error {
	lock, err := s.db.TryLock(ctx, pg.LockLeader, dropLock)
	if errors.Is(err, pg.ErrLocked) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("drop partitions: %w", err)
	}
	defer lock.Release()
	for _, p := range parents() {
		oldest := day(s.now().AddDate(0, 0, -p.keep))
		rows, err := s.db.Query(ctx, sqlPartitions, p.table)
		if err != nil {
			return fmt.Errorf("partitions of %s: %w", p.table, err)
		}
		parts, err := pgx.CollectRows(rows, pgx.RowToStructByPos[part])
		if err != nil {
			return fmt.Errorf("partitions of %s: %w", p.table, err)
		}
		for _, part := range parts {
			if d := strings.TrimPrefix(part.Name, p.table+"_"); len(d) != len(dayForm) || d >= oldest {
				continue
			}
			if err := s.dropPart(ctx, p.table, part); err != nil {
				return fmt.Errorf("drop %s: %w", part.Name, err)
			}
		}
	}
	return nil
}

// part is a partition, or what was one.
type part struct {
	Name     string
	Attached bool
	Pending  bool // a process ended in the middle of detaching it
}

func (s *Service) dropPart(ctx context.Context, parent string, p part) error {
	id := pgx.Identifier{p.Name}.Sanitize()
	if p.Attached {
		how := " CONCURRENTLY"
		if p.Pending {
			how = " FINALIZE"
		}
		if _, err := s.db.Exec(ctx, "ALTER TABLE "+pgx.Identifier{parent}.Sanitize()+" DETACH PARTITION "+id+how); err != nil {
			return err
		}
	}
	_, err := s.db.Exec(ctx, "DROP TABLE "+id)
	return err
}

// keepPartitions makes today's and tomorrow's partitions and drops old ones,
// and old operations and keys, every hour.
func (s *Service) keepPartitions(ctx context.Context) {
	for {
		for _, t := range []time.Time{s.now(), s.now().AddDate(0, 0, 1)} {
			if err := s.ensureDay(ctx, t); err != nil && ctx.Err() == nil {
				s.log.Error("a partition of the delivery log is missing", "day", day(t), "err", err)
			}
		}
		if err := s.forgetOperations(ctx); err != nil && ctx.Err() == nil {
			s.log.Error("old operations", "err", err)
		}
		if err := s.dropKeys(ctx); err != nil && ctx.Err() == nil {
			s.log.Error("old keys", "err", err)
		}
		if err := s.dropOld(ctx); err != nil && ctx.Err() == nil {
			s.log.Error("old partitions of the delivery log", "err", err)
		}
		if !sleep(ctx, time.Hour) {
			return
		}
	}
}

// sleep waits and tells whether ctx is still alive.
func sleep(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}
