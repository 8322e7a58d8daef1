package doctor

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"buttersc.one/oven/internal/lib/pg"
)

const (
	sqlOrphans = `
SELECT %s, count(*) OVER () FROM %s t WHERE t.%s IS NOT NULL AND NOT EXISTS (SELECT FROM %s p WHERE p.%s = t.%s) ORDER BY 1 LIMIT 100`
	// Nothing is asked row by row: the ids are unrolled and joined.
	sqlDangling = `
SELECT id, count(*) OVER () FROM (SELECT DISTINCT %s AS id FROM %s t, unnest(t.%s) x WHERE x IS NOT NULL AND NOT EXISTS (SELECT FROM %s p WHERE p.%s = x)) d
ORDER BY 1 LIMIT 100`
	sqlCopies = `
SELECT %s, count(*) OVER () FROM %s t JOIN %s p ON p.id = t.%s WHERE t.%s IS DISTINCT FROM p.%s ORDER BY 1 LIMIT 100`
	sqlCounters = `
SELECT %[1]s, count(*) OVER () FROM (SELECT t.%[2]s FROM %[3]s t LEFT JOIN %[4]s c ON c.%[5]s = t.%[2]s AND %[6]s WHERE %[7]s
	GROUP BY t.%[2]s, t.%[8]s HAVING t.%[8]s IS DISTINCT FROM count(c.%[5]s)) w JOIN %[3]s t ON t.%[2]s = w.%[2]s ORDER BY 1 LIMIT 100`
	sqlRule = `SELECT %s, count(*) OVER () FROM %s t %s WHERE %s ORDER BY 1 LIMIT 100`
)

// orphans looks for rows that name rows which are not there, and for copies that
// differ from what they are copies of.
func (c *checker) orphans(ctx context.Context, tx pgx.Tx, r *Report) error {
	if _, err := tx.Exec(ctx, sqlNoIndexes); err != nil {
		return err
	}
	for _, t := range c.schema.Tables {
		for _, ref := range t.Refs {
			if !c.has(t.Name, ref.Column) || !c.has(ref.Table, ref.To) {
				continue
			}
			f := Finding{Code: "orphan", Where: t.Name + "." + ref.Column, Detail: "rows that belong to a " + ref.Table + " which is not there"}
			sql := fmt.Sprintf(sqlOrphans, c.idOf(t.Name, "t"), quote(t.Name), quote(ref.Column), quote(ref.Table), quote(ref.To), quote(ref.Column))
			switch {
			case ref.Kind == Soft, ref.dropped(c.names):
				f.Code, f.Detail = "dangling", "rows that name a "+ref.Table+" which is not there"
			case ref.Kind == Array:
				f.Code, f.Detail = "dangling", "rows that list a "+ref.Table+" which is not there"
				sql = fmt.Sprintf(sqlDangling, c.idOf(t.Name, "t"), quote(t.Name), quote(ref.Column), quote(ref.Table), quote(ref.To))
			}
			if err := c.rows(ctx, tx, r, f, sql); err != nil {
				return err
			}
		}
		for _, cp := range t.Copies {
			if !c.has(t.Name, cp.Column, cp.Via) || !c.has(cp.Table, "id", cp.Of) {
				continue
			}
			err := c.rows(ctx, tx, r, Finding{Code: "copy-differs", Where: t.Name + "." + cp.Column, Detail: "rows that say otherwise than the " + cp.Table + " they are of"},
				fmt.Sprintf(sqlCopies, c.idOf(t.Name, "t"), quote(t.Name), quote(cp.Table), quote(cp.Via), quote(cp.Column), quote(cp.Of)))
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// rows runs a statement and makes a finding of its rows, if there are any.
func (c *checker) rows(ctx context.Context, tx pgx.Tx, r *Report, f Finding, sql string) error {
	c.step(f.Where)
	return c.try(ctx, tx, r, f.Where, func(tx pgx.Tx) error {
		n, ids, err := sample(ctx, tx, sql)
		if err == nil && n > 0 {
			f.Count, f.IDs = n, ids
			r.find(f)
		}
		return err
	})
}

// counters compares stored numbers with the rows they count.
func (c *checker) counters(ctx context.Context, tx pgx.Tx, r *Report) error {
	for _, t := range c.schema.Tables {
		for _, n := range t.Counts {
			if !c.has(t.Name, n.Column, n.Key) || !c.has(n.Table, n.Ref) {
				continue
			}
			f := Finding{Code: "counter-differs", Where: t.Name + "." + n.Column, Detail: "rows that say another number than there are in " + n.Table}
			sql := fmt.Sprintf(sqlCounters, c.idOf(t.Name, "t"), quote(n.Key), quote(t.Name), quote(n.Table), quote(n.Ref), or(n.Child), or(n.Own), quote(n.Column))
			if err := c.rows(ctx, tx, r, f, sql); err != nil {
				return err
			}
		}
	}
	return nil
}

func or(condition string) string {
	if condition == "" {
		return "true"
	}
	return "(" + condition + ")"
}

// rules looks for rows that cannot be meant.
func (c *checker) rules(ctx context.Context, tx pgx.Tx, r *Report) error {
	if c.o.Host == "" && c.schema.Host != "" {
		err := c.try(ctx, tx, r, "host", func(tx pgx.Tx) error {
			var host *string
			err := tx.QueryRow(ctx, c.schema.Host).Scan(&host)
			if host != nil {
				c.o.Host = *host
			}
			if pg.NoRows(err) {
				return nil
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	unknown := false
	for _, t := range c.schema.Tables {
		for _, rule := range t.Rules {
			if !c.has(t.Name, rule.Column) {
				continue
			}
			where := rule.Where
			if strings.Contains(where, "{host}") {
				if c.o.Host == "" {
					unknown = true
					continue
				}
				where = strings.ReplaceAll(where, "{host}", literal(c.o.Host))
			}
			f := Finding{Code: rule.Code, Where: t.Name + "." + rule.Column, Detail: rule.Says}
			if err := c.rows(ctx, tx, r, f, fmt.Sprintf(sqlRule, c.idOf(t.Name, "t"), quote(t.Name), rule.Join, where)); err != nil {
				return err
			}
		}
	}
	if unknown {
		r.note("host", "the server's own host is not known: rows that pass for another server's were not looked for")
	}
	return nil
}

func literal(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }
