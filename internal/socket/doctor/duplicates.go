package doctor

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"buttersc.one/oven/internal/lib/pg"
)

const (
	// One line a group, the first hundred of them, with how many there are in all.
	// The order of what is counted never leaves the database.
	sqlDuplicates = `
SELECT n, count(*) OVER (), sum(n) OVER ()::bigint, count(*) FILTER (WHERE differ) OVER ()
FROM (SELECT count(*) AS n, min(%s COLLATE "C") AS first, min(%s) IS DISTINCT FROM max(%s) AS differ FROM %s t WHERE %s GROUP BY %s HAVING count(*) > 1) g
ORDER BY g.first, n LIMIT 1`
	sqlDuplicateIDs = `
SELECT %[1]s, 0::bigint FROM %[2]s t JOIN (SELECT %[5]s FROM %[2]s t WHERE %[3]s GROUP BY %[4]s HAVING count(*) > 1 ORDER BY min(%[1]s COLLATE "C") LIMIT 100) g
ON %[6]s WHERE %[3]s ORDER BY 1 LIMIT 100`
)

// duplicates looks for rows that share a key, reading the tables themselves: an
// index that is broken hides what it let in.
func (c *checker) duplicates(ctx context.Context, tx pgx.Tx, r *Report) error {
	if _, err := tx.Exec(ctx, sqlNoIndexes); err != nil {
		return err
	}
	for _, t := range c.schema.Tables {
		for _, k := range t.Keys {
			if !c.has(t.Name, k.Columns...) {
				continue
			}
			where := t.Name + "." + k.name()
			c.step(where)
			err := c.try(ctx, tx, r, where, func(tx pgx.Tx) error { return c.duplicate(ctx, tx, r, t.Name, k) })
			if err != nil {
				return err
			}
		}
	}
	return nil
}

func (c *checker) duplicate(ctx context.Context, tx pgx.Tx, r *Report, table string, k Key) error {
	p := k.parts()
	id := c.idOf(table, "t")
	var n, groups, rows, differ int64
	beside := "0"
	if k.Beside != "" && c.has(table, k.Beside) {
		beside = "t." + quote(k.Beside)
	}
	err := tx.QueryRow(ctx, fmt.Sprintf(sqlDuplicates, id, beside, beside, quote(table), p.where, p.by)).Scan(&n, &groups, &rows, &differ)
	if pg.NoRows(err) {
		return nil
	}
	if err != nil {
		return err
	}
	f := Finding{Code: "duplicate", Where: table + "." + k.name(), Count: groups,
		Detail: fmt.Sprintf("%d keys are shared by %d rows, %d more than there should be", groups, rows, rows-groups)}
	if k.Wanted {
		f.Detail += " (no index asks for it, but it names one thing)"
	}
	if beside != "0" {
		f.Detail += fmt.Sprintf("; in %d of them they differ in %s", differ, k.Beside)
	}
	if id != "NULL::text" {
		if _, f.IDs, err = sample(ctx, tx, fmt.Sprintf(sqlDuplicateIDs, id, quote(table), p.where, p.by, p.named, p.on)); err != nil {
			return err
		}
	}
	r.find(f)
	return nil
}

// keyParts are the pieces of SQL that a key becomes.
type keyParts struct{ where, by, named, on string }

func (k Key) parts() keyParts {
	var where, by, named, on []string
	if k.Where != "" {
		where = append(where, "("+k.Where+")")
	}
	for i, col := range k.Columns {
		x := quote(col)
		if !strings.Contains(col, "(") {
			x = "t." + x
		}
		by = append(by, x)
		named = append(named, fmt.Sprintf("%s AS k%d", x, i))
		if k.Nulls {
			on = append(on, fmt.Sprintf("%s IS NOT DISTINCT FROM g.k%d", x, i))
		} else {
			where = append(where, x+" IS NOT NULL")
			on = append(on, fmt.Sprintf("%s = g.k%d", x, i))
		}
	}
	if len(where) == 0 {
		where = []string{"true"}
	}
	return keyParts{strings.Join(where, " AND "), strings.Join(by, ", "), strings.Join(named, ", "), strings.Join(on, " AND ")}
}
