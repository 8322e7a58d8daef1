package doctor

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// Replica is a copy of the database that reads may be answered from.
type Replica struct {
	Name string // as findings call it; no password is in it
	Source
	Patience time.Duration // until it counts as being behind; 0: 30 s
}

const (
	// The rows of a table by a hash of their key, in 256 heaps: how many there are, and
	// a sum that differs when one of them does. Indexes are left aside: one that
	// another order of texts has broken would hide rows.
	sqlHeaps = `
SELECT (hashtextextended(k, 0) & 255)::int, count(*), sum(hashtextextended(k, 1)::numeric)::text
FROM (SELECT concat_ws('|', %s) AS k FROM %s) x GROUP BY 1`
	sqlPosition = `SELECT CASE WHEN pg_is_in_recovery() THEN pg_last_wal_receive_lsn() ELSE pg_current_wal_insert_lsn() END::text`
	// NULL: it follows by other means than the log of the disk.
	sqlReached = `SELECT CASE WHEN pg_is_in_recovery() THEN coalesce(pg_last_wal_replay_lsn() >= $1::pg_lsn, false) END`
	sqlOrders  = `
SELECT collname::text, coalesce(collversion, ''), coalesce(pg_collation_actual_version(oid), '') FROM pg_collation WHERE collversion IS NOT NULL
UNION ALL SELECT 'default', coalesce(datcollversion, ''), coalesce(pg_database_collation_actual_version(oid), '') FROM pg_database WHERE datname = current_database() AND datcollversion IS NOT NULL`
)

// pause before what differs is looked at again.
const pause = 2 * time.Second

type heap struct {
	rows int64
	sum  string
}

type heaps map[int]heap

// replica compares a copy with the database, table by table. People write meanwhile,
// and a copy is a little behind: only what differs in the same way twice, though
// the copy had caught up in between, is told.
func (c *checker) replica(ctx context.Context, r *Report, rep Replica) error {
	if rep.Patience == 0 {
		rep.Patience = 30 * time.Second
	}
	if err := c.orders(ctx, r, rep); err != nil {
		return err
	}
	for _, t := range c.schema.Tables {
		if len(t.Keys) == 0 || !c.has(t.Name, t.Keys[0].Columns...) || t.Keys[0].Where != "" {
			continue
		}
		c.o.Progress(min(c.done, c.total), c.total, rep.Name+": "+t.Name)
		behind, n, err := c.unlikeTable(ctx, rep, *t)
		switch {
		case err != nil:
			return err
		case behind:
			r.find(Finding{Code: "replica-behind", Where: rep.Name, Detail: fmt.Sprintf("has not caught up within %s", rep.Patience), Count: 1})
			return nil
		case n > 0:
			r.find(Finding{Code: "replica-differs", Where: rep.Name + " " + t.Name, Detail: "heaps of rows, of 256, that are not the same there", Repair: "make the replica anew", Count: int64(n)})
		}
	}
	return nil
}

// unlikeTable counts the heaps of a table that differ for good.
func (c *checker) unlikeTable(ctx context.Context, rep Replica, t Table) (behind bool, n int, err error) {
	const looks = 3
	var before map[int][2]heap
	for look := 1; ; look++ {
		here, at, err := c.heaps(ctx, c.src, t)
		if err != nil {
			return false, 0, err
		}
		if ok, err := c.caughtUp(ctx, rep, at); err != nil || !ok {
			return !ok, 0, err
		}
		there, _, err := c.heaps(ctx, rep.Source, t)
		if err != nil {
			return false, 0, err
		}
		now := map[int][2]heap{}
		for i := range 256 {
			if here[i] != there[i] {
				now[i] = [2]heap{here[i], there[i]}
			}
		}
		// A commit may be seen by the replica before its own server shows it: looks
		// that follow at once can see the same twice.
		if look < looks && len(now) > 0 {
			before = same(before, now)
			wait(ctx, pause)
			continue
		}
		return false, len(same(before, now)), nil
	}
}

// same are the heaps that did not change since they were looked at before.
func same(before, now map[int][2]heap) map[int][2]heap {
	if before == nil {
		return now
	}
	out := map[int][2]heap{}
	for i, pair := range now {
		if before[i] == pair {
			out[i] = pair
		}
	}
	return out
}

// heaps reads a table, and tells how far the log was when it had been read.
func (c *checker) heaps(ctx context.Context, src Source, t Table) (heaps, string, error) {
	out, at := heaps{}, ""
	err := (&checker{src: src}).group(ctx, &Report{}, group{t.Name, func(ctx context.Context, tx pgx.Tx, _ *Report) error {
		clear(out)
		if _, err := tx.Exec(ctx, sqlNoIndexes); err != nil {
			return err
		}
		columns := make([]string, len(t.Keys[0].Columns))
		for i, col := range t.Keys[0].Columns {
			columns[i] = "coalesce(" + quote(col) + "::text, '')"
		}
		var i int
		var h heap
		if err := each(ctx, tx, fmt.Sprintf(sqlHeaps, strings.Join(columns, ", "), quote(t.Name)), []any{&i, &h.rows, &h.sum}, func() { out[i] = h }); err != nil {
			return err
		}
		var pos *string
		if err := tx.QueryRow(ctx, sqlPosition).Scan(&pos); err != nil {
			return err
		}
		at = value(pos)
		return nil
	}})
	return out, at, err
}

// caughtUp waits until a copy has what the log held, where it tells.
func (c *checker) caughtUp(ctx context.Context, rep Replica, at string) (bool, error) {
	for end := time.Now().Add(rep.Patience); ; wait(ctx, 50*time.Millisecond) {
		var reached *bool
		err := (&checker{src: rep.Source}).group(ctx, &Report{}, group{"position", func(ctx context.Context, tx pgx.Tx, _ *Report) error {
			return tx.QueryRow(ctx, sqlReached, at).Scan(&reached)
		}})
		switch {
		case err != nil || ctx.Err() != nil:
			return false, err
		case reached == nil || *reached:
			return true, nil
		case time.Now().After(end):
			return false, nil
		}
	}
}

// orders compares how texts are sorted: on a machine with another C library or ICU
// the indexes that were built elsewhere do not find what is in them.
func (c *checker) orders(ctx context.Context, r *Report, rep Replica) error {
	if c.cat.version < 150000 {
		return nil
	}
	return (&checker{src: rep.Source}).group(ctx, r, group{"orders", func(ctx context.Context, tx pgx.Tx, r *Report) error {
		var name, built, has string
		var differ []string
		if err := each(ctx, tx, sqlOrders, []any{&name, &built, &has}, func() {
			if built != has && has != "" {
				differ = append(differ, name)
			}
		}); err != nil {
			return err
		}
		used, err := usedOrders(ctx, tx)
		if err != nil {
			return err
		}
		for _, name := range differ {
			if slices.Contains(used, name) {
				r.find(Finding{Code: "replica-collation", Where: rep.Name + " " + name, Detail: "texts are sorted otherwise there than where indexes were built: rows are not found that are there", Count: 1})
			}
		}
		return nil
	}})
}

const sqlUsedOrders = `
SELECT DISTINCT c.collname::text FROM (SELECT unnest(indcollation::oid[]) AS coll FROM pg_index WHERE indrelid >= 16384) x JOIN pg_collation c ON c.oid = x.coll`

func usedOrders(ctx context.Context, tx pgx.Tx) (out []string, err error) {
	var name string
	err = each(ctx, tx, sqlUsedOrders, []any{&name}, func() { out = append(out, name) })
	return out, err
}
