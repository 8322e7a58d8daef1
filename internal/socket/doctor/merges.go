package doctor

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"buttersc.one/oven/internal/lib/pg"
)

// merges merges the groups, some at a time; when some together fail, one by one.
func (a *applier) merges(ctx context.Context, list []Merge) error {
	var open []Merge
	for _, g := range list {
		if _, done := a.done["group "+g.ID]; done {
			a.step++
			continue
		}
		open = append(open, g)
	}
	for len(open) > 0 {
		n := 1
		for n < min(groupsAtOnce, len(open)) && open[n].Table == open[0].Table && !open[n].Same && !open[0].Same {
			n++
		}
		some := open[:n]
		open = open[n:]
		if err := a.slowDown(ctx); err != nil {
			return err
		}
		if err := a.first(ctx, some); err != nil {
			return err
		}
		err := a.together(ctx, some)
		for i := 0; err != nil && n > 1 && i < n && pg.Code(err) != "" && ctx.Err() == nil && !a.conn.IsClosed(); i++ {
			if one := a.together(ctx, some[i:i+1]); one != nil {
				if one = a.failed(ctx, some[i], one); one != nil {
					return one
				}
			}
			if i == n-1 {
				err = nil
			}
		}
		if err != nil && n == 1 && pg.Code(err) != "" && ctx.Err() == nil && !a.conn.IsClosed() {
			err = a.failed(ctx, some[0], err)
		}
		if err != nil {
			return err
		}
		a.step += n
		a.o.Progress(min(a.step, a.steps), a.steps, some[0].Table)
	}
	return nil
}

func (a *applier) failed(ctx context.Context, g Merge, err error) error {
	detail := "failed: " + Plain(err).Error()
	a.done["group "+g.ID] = detail
	_, err = a.conn.Exec(ctx, sqlStepDone, a.run, "group "+g.ID, detail)
	return err
}

// together merges groups of one table in one transaction, and writes down that it
// did in the same.
func (a *applier) together(ctx context.Context, list []Merge) error {
	table := list[0].Table
	err := a.tx(ctx, func(tx pgx.Tx) error {
		if list[0].Same {
			if err := a.twins(ctx, tx, list[0]); err != nil {
				return err
			}
		} else {
			p, err := a.remaining(ctx, tx, table, list)
			if err != nil {
				return err
			}
			if err := a.merge(ctx, tx, table, p, 0); err != nil {
				return err
			}
		}
		for _, g := range list {
			if _, err := tx.Exec(ctx, sqlStepDone, a.run, "group "+g.ID, ""); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil {
		for _, g := range list {
			a.done["group "+g.ID] = ""
		}
	}
	return err
}

const sqlThere = `SELECT t.%s::text FROM %s t WHERE t.%s = ANY(%s)`

// remaining are the groups' rows that are still there: merges of what they belong to
// may have merged some of them already.
func (a *applier) remaining(ctx context.Context, tx pgx.Tx, table string, list []Merge) (pairs, error) {
	at := a.address(table)
	var ids []string
	for _, g := range list {
		ids = append(ids, g.IDs...)
	}
	rows, err := tx.Query(ctx, fmt.Sprintf(sqlThere, quote(at), quote(table), quote(at), a.list(1, table, at)), ids)
	if err != nil {
		return pairs{}, err
	}
	there, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return pairs{}, err
	}
	var p pairs
	for _, g := range list {
		survivor := g.Survivor
		if !slices.Contains(there, survivor) {
			i := slices.IndexFunc(g.IDs, func(id string) bool { return slices.Contains(there, id) })
			if i < 0 {
				continue
			}
			survivor = g.IDs[i]
		}
		for _, id := range g.IDs {
			if id != survivor && slices.Contains(there, id) {
				p.losers, p.survivors = append(p.losers, id), append(p.survivors, survivor)
			}
		}
	}
	return p, nil
}

const sqlTwins = `
WITH d AS (DELETE FROM %[1]s t WHERE %[2]s = ANY($1) AND t.ctid <> (SELECT min(t.ctid) FROM %[1]s t WHERE %[2]s = ANY($1)) AND (SELECT count(DISTINCT t::text) FROM %[1]s t WHERE %[2]s = ANY($1)) = 1
	RETURNING %[3]s AS k, t::text AS old)
INSERT INTO doctor_archive.image (run, tbl, op, key, old) SELECT $2, %[4]s, 'twin', k, old FROM d`

// twins leaves one of several rows that share a key and are alike in everything.
func (a *applier) twins(ctx context.Context, tx pgx.Tx, g Merge) error {
	t := a.s.byName[g.Table]
	name := "t." + quote(a.address(g.Table)) + "::text"
	if a.address(g.Table) == "ctid" {
		i := slices.IndexFunc(t.Keys, func(k Key) bool { return k.name() == g.Keys[0] })
		if i < 0 {
			return ErrStale
		}
		name = t.Keys[i].mark()
	}
	_, err := tx.Exec(ctx, fmt.Sprintf(sqlTwins, quote(g.Table), name, a.identity(g.Table), literal(g.Table)), g.IDs, a.run)
	return err
}

// first repoints what is much, a piece at a time, so that the transaction that
// merges has little left: columns that are in no key, which nothing can collide in.
func (a *applier) first(ctx context.Context, list []Merge) error {
	for _, g := range list {
		for _, col := range sortedKeys(g.Moves) {
			table, column, _ := strings.Cut(col, ".")
			t := a.s.byName[table]
			if g.Moves[col] <= firstRows || t == nil || slices.ContainsFunc(t.Keys, func(k Key) bool { return slices.Contains(k.Columns, column) }) {
				continue
			}
			var p pairs
			for _, id := range g.IDs {
				if id != g.Survivor {
					p.losers, p.survivors = append(p.losers, id), append(p.survivors, g.Survivor)
				}
			}
			for {
				var n int64
				err := a.tx(ctx, func(tx pgx.Tx) (err error) {
					n, err = a.repointSome(ctx, tx, pointer{table: table, column: column}, p, firstRows)
					return err
				})
				if err != nil {
					return err
				}
				if n == 0 {
					break
				}
				if err := a.slowDown(ctx); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

const sqlReplicaLag = `SELECT coalesce(max(extract(epoch FROM replay_lag)), 0)::float8 FROM pg_stat_replication`

// slowDown waits for replicas that are behind.
func (a *applier) slowDown(ctx context.Context) error {
	for {
		var behind float64
		if err := a.conn.QueryRow(ctx, sqlReplicaLag).Scan(&behind); err != nil {
			return err
		}
		if behind < a.o.MaxLag.Seconds() {
			return ctx.Err()
		}
		wait(ctx, time.Second)
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
}

const sqlMergedInRun = `SELECT loser, survivor FROM doctor_archive.merged WHERE run = $1 AND tbl = $2 ORDER BY loser`

// sweep repoints what names a row that has been merged: columns without an index,
// left for one pass over their table, and what clients wrote meanwhile.
func (a *applier) sweep(ctx context.Context) error {
	for _, t := range a.s.Tables {
		if a.cat.tables[t.Name] == nil || !slices.ContainsFunc(a.plan.Groups, func(g Merge) bool { return g.Table == t.Name && g.Survivor != "" && !g.Same }) {
			continue
		}
		var p pairs
		rows, err := a.conn.Query(ctx, sqlMergedInRun, a.run, t.Name)
		if err != nil {
			return err
		}
		var l, s string
		if _, err := pgx.ForEachRow(rows, []any{&l, &s}, func() error {
			p.losers, p.survivors = append(p.losers, l), append(p.survivors, s)
			return nil
		}); err != nil || len(p.losers) == 0 {
			if err != nil {
				return err
			}
			continue
		}
		for _, ref := range a.pointers(t.Name) {
			if ref.to != a.address(t.Name) {
				continue
			}
			err := a.tx(ctx, func(tx pgx.Tx) error {
				if err := a.follow(ctx, tx, ref, p, 1); err != nil {
					return err
				}
				return a.recount(ctx, tx)
			})
			if err != nil {
				return fmt.Errorf("%s.%s: %w", ref.table, ref.column, err)
			}
		}
	}
	return a.json(ctx)
}

const sqlJSON = `
WITH m AS (SELECT loser, survivor FROM doctor_archive.merged WHERE run = $1 AND tbl = %[1]s),
o AS (SELECT t.ctid AS at, t.%[2]s::text AS old, m.loser, m.survivor FROM %[3]s t JOIN m ON strpos(t.%[2]s::text, '"' || m.loser || '"') > 0 LIMIT 1),
u AS (UPDATE %[3]s t SET %[2]s = replace(o.old, '"' || o.loser || '"', '"' || o.survivor || '"')::%[4]s FROM o WHERE t.ctid = o.at RETURNING %[5]s AS k, o.old, t.%[2]s::text AS new)
INSERT INTO doctor_archive.image (run, tbl, op, key, col, old, new) SELECT $1, %[6]s, 'set', k, %[7]s, old, new FROM u`

// json changes ids that stand in JSON as strings of their own.
func (a *applier) json(ctx context.Context) error {
	for _, t := range a.s.Tables {
		for _, j := range t.Merging.IDs {
			if !a.has(t.Name, j.Column) {
				continue
			}
			for {
				var n int64
				err := a.tx(ctx, func(tx pgx.Tx) error {
					tag, err := tx.Exec(ctx, fmt.Sprintf(sqlJSON, literal(j.Table), quote(j.Column), quote(t.Name), a.kind(t.Name, j.Column), a.identity(t.Name), literal(t.Name), literal(j.Column)), a.run)
					n = tag.RowsAffected()
					return err
				})
				if err != nil {
					return err
				}
				if n == 0 {
					break
				}
			}
		}
	}
	return nil
}
