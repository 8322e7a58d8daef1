package db

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"buttersc.one/oven/internal/lib/pg"
)

const (
	sqlTables = `
SELECT c.relname, coalesce(obj_description(c.oid, 'pg_class'), ''), coalesce(pg_get_partkeydef(c.oid), ''), coalesce(array_to_string(c.reloptions, ', '), '')
FROM pg_class c WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition
	AND c.relname <> 'goose_db_version' ORDER BY c.relname`
	sqlColumns = `
SELECT quote_ident(a.attname) || ' ' || format_type(a.atttypid, a.atttypmod)
	|| CASE WHEN a.attcollation <> 0 AND a.attcollation <> t.typcollation THEN ' COLLATE ' || quote_ident(co.collname) ELSE '' END
	|| CASE WHEN a.attnotnull THEN ' NOT NULL' ELSE '' END
	|| CASE WHEN a.attidentity <> '' THEN ' GENERATED AS IDENTITY'
		WHEN a.attgenerated <> '' THEN ' GENERATED ALWAYS AS ' || pg_get_expr(d.adbin, d.adrelid) || ' STORED'
		WHEN d.adbin IS NOT NULL THEN ' DEFAULT ' || pg_get_expr(d.adbin, d.adrelid) ELSE '' END
FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid LEFT JOIN pg_collation co ON co.oid = a.attcollation
LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
WHERE a.attrelid = ('public.' || quote_ident($1))::regclass AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum`
	sqlConstraints = `
SELECT 'CONSTRAINT ' || quote_ident(conname) || ' ' || pg_get_constraintdef(oid) FROM pg_constraint
WHERE conrelid = ('public.' || quote_ident($1))::regclass AND contype IN ('p', 'u', 'f', 'c') ORDER BY contype DESC, conname`
	sqlIndexes = `
SELECT pg_get_indexdef(x.indexrelid) FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid
WHERE x.indrelid = ('public.' || quote_ident($1))::regclass AND NOT EXISTS (SELECT FROM pg_constraint c WHERE c.conindid = x.indexrelid AND c.contype IN ('p', 'u'))
ORDER BY i.relname`
	sqlFunctions = `
SELECT pg_get_functiondef(p.oid) FROM pg_proc p WHERE p.pronamespace = 'public'::regnamespace AND p.prokind = 'f'
	AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = p.oid AND d.deptype = 'e') AND $1 = '' ORDER BY p.proname`
)

// Schema describes the database as it stands: tables with their owners,
// columns, constraints and indexes, then functions, in an order that depends on nothing else.
// Partitions are not listed.
func Schema(ctx context.Context, d *pg.DB) (string, error) {
	rows, err := d.Query(ctx, sqlTables)
	if err != nil {
		return "", fmt.Errorf("schema: %w", err)
	}
	type table struct{ name, comment, part, opts string }
	tables, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) (table, error) {
		var t table
		err := r.Scan(&t.name, &t.comment, &t.part, &t.opts)
		return t, err
	})
	if err != nil {
		return "", fmt.Errorf("schema: %w", err)
	}
	var b strings.Builder
	b.WriteString("-- The schema as the migrations leave it. Written by make schema; a test compares it.\n")
	for _, t := range tables {
		fmt.Fprintf(&b, "\n-- %s\nCREATE TABLE %s (\n", t.comment, pgx.Identifier{t.name}.Sanitize())
		var lines []string
		for _, sql := range []string{sqlColumns, sqlConstraints} {
			more, err := texts(ctx, d, sql, t.name)
			if err != nil {
				return "", err
			}
			lines = append(lines, more...)
		}
		b.WriteString("\t" + strings.Join(lines, ",\n\t") + "\n)")
		if t.part != "" {
			b.WriteString(" PARTITION BY " + t.part)
		}
		if t.opts != "" {
			b.WriteString(" WITH (" + t.opts + ")")
		}
		b.WriteString(";\n")
		indexes, err := texts(ctx, d, sqlIndexes, t.name)
		if err != nil {
			return "", err
		}
		for _, i := range indexes {
			b.WriteString(i + ";\n")
		}
	}
	functions, err := texts(ctx, d, sqlFunctions, "")
	if err != nil {
		return "", err
	}
	for _, f := range functions {
		b.WriteString("\n" + strings.TrimSpace(f) + ";\n")
	}
	return b.String(), nil
}

func texts(ctx context.Context, d *pg.DB, sql, table string) ([]string, error) {
	rows, err := d.Query(ctx, sql, table)
	if err != nil {
		return nil, fmt.Errorf("schema of %s: %w", table, err)
	}
	list, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, fmt.Errorf("schema of %s: %w", table, err)
	}
	return list, nil
}
