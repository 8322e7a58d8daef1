package doctor

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// Group is rows that share a key.
type Group struct {
	IDs   []string // the first twenty
	Count int64
	Null  bool // the key has a NULL, which an index may let in twice
}

const sqlGroups = `
SELECT (array_agg(%s ORDER BY %s))[1:20], count(*), %s FROM %s t WHERE %s GROUP BY %s HAVING count(*) > 1 ORDER BY min(%s COLLATE "C") LIMIT 100`

// Groups are the first hundred groups of rows that share a key, read from the table
// itself. The transaction's settings are changed.
func Groups(ctx context.Context, tx pgx.Tx, table string, k Key, id string) ([]Group, error) {
	for _, sql := range []string{sqlUnbounded, sqlNoIndexes} {
		if _, err := tx.Exec(ctx, sql); err != nil {
			return nil, Plain(err)
		}
	}
	p := k.parts()
	row := "t." + quote(id) + "::text"
	null := "false"
	for _, col := range k.Columns {
		if k.Nulls {
			null += " OR t." + quote(col) + " IS NULL"
		}
	}
	rows, err := tx.Query(ctx, fmt.Sprintf(sqlGroups, row, row, "bool_or("+null+")", quote(table), p.where, p.by, row))
	if err != nil {
		return nil, Plain(err)
	}
	out, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (g Group, err error) {
		return g, row.Scan(&g.IDs, &g.Count, &g.Null)
	})
	return out, Plain(err)
}

// Begin opens a transaction as the checks use it: it reads one state and writes
// nothing, however long it takes.
func Begin(ctx context.Context, src Source) (pgx.Tx, error) {
	tx, err := src.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly})
	if err != nil {
		return nil, Plain(err)
	}
	if _, err := tx.Exec(ctx, sqlUnbounded); err != nil {
		_ = tx.Rollback(context.WithoutCancel(ctx))
		return nil, Plain(err)
	}
	return tx, nil
}

// Table is the description of a table; nil when there is none.
func (s *Schema) Table(name string) *Table { return s.byName[name] }
