package doctor

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
)

const (
	// A sequence that was never used gives its start, not the number after it.
	sqlSequence       = `SELECT last_value - CASE WHEN is_called THEN 0 ELSE 1 END, (SELECT coalesce(max(%s), 0)::bigint FROM %s) FROM %s`
	sqlMigrationTwice = `SELECT %[1]s::text, count(*) OVER () FROM %[2]s GROUP BY %[1]s HAVING count(*) > 1 ORDER BY 1 LIMIT 100`
)

// types looks at sequences, enumerations and the list of migrations.
func (c *checker) types(ctx context.Context, tx pgx.Tx, r *Report) error {
	for _, s := range c.cat.sequences {
		if c.schema.byName[s.Table] == nil {
			continue
		}
		where := s.Table + "." + s.Column
		c.step(where)
		err := c.try(ctx, tx, r, where, func(tx pgx.Tx) error {
			var last, highest int64
			if err := tx.QueryRow(ctx, fmt.Sprintf(sqlSequence, quote(s.Column), quote(s.Table), quote(s.Name))).Scan(&last, &highest); err != nil {
				return err
			}
			if last < highest {
				r.find(Finding{Code: "sequence-behind", Where: where, Detail: fmt.Sprintf("the sequence stands at %d, the table at %d: inserts will fail", last, highest), Count: highest - last})
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	for _, e := range c.schema.Enums {
		have := c.cat.enums[e.Name]
		var missing []string
		for _, v := range e.Values {
			if have != nil && !slices.Contains(have, v) {
				missing = append(missing, v)
			}
		}
		if len(missing) > 0 {
			r.find(Finding{Code: "enum-differs", Where: e.Name + ".value", Detail: "lacks " + strings.Join(missing, " "), Count: int64(len(missing))})
		}
	}
	return c.migrations(ctx, tx, r)
}

func (c *checker) migrations(ctx context.Context, tx pgx.Tx, r *Report) error {
	table, col, _ := strings.Cut(c.schema.Migrations, ".")
	if !c.has(table, col) {
		r.find(Finding{Code: "migration-missing", Where: c.schema.Migrations, Detail: "there is no list of migrations that ran", Count: 1})
		return nil
	}
	if c.schema.First != "" && !slices.Contains(c.names, c.schema.First) {
		r.find(Finding{Code: "migration-missing", Where: c.schema.Migrations, Detail: c.schema.First + " is not among those that ran: the schema was made otherwise", Count: 1})
	}
	n, _, err := sample(ctx, tx, fmt.Sprintf(sqlMigrationTwice, quote(col), quote(table)))
	if err == nil && n > 0 {
		r.find(Finding{Code: "migration-twice", Where: c.schema.Migrations, Detail: "migrations that are listed more than once", Count: n})
	}
	return err
}
