package doctor

import (
	"context"
	"strings"

	"github.com/jackc/pgx/v5"
)

// catalogue is what the database says it consists of.
type catalogue struct {
	version    int // server_version_num
	tables     map[string]*tableInfo
	indexes    map[string][]indexInfo // by table
	foreign    map[string]foreignInfo // by table.column>table
	sequences  []sequenceInfo
	enums      map[string][]string
	extensions map[string]bool
}

type tableInfo struct {
	oid     uint32
	columns map[string]string // name → type
}

type indexInfo struct {
	Table, Name      string
	OID, TableOID    uint32
	Columns          []string
	Unique, Valid    bool
	NullsNotDistinct bool
	Where            string
	Method           string
}

type foreignInfo struct {
	name   string
	proved bool
}

type sequenceInfo struct{ Name, Table, Column string }

const (
	sqlVersion = `SELECT current_setting('server_version_num')::int`
	sqlColumns = `
SELECT t.oid, t.relname, a.attname, format_type(a.atttypid, a.atttypmod)
FROM pg_class t JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum > 0 AND NOT a.attisdropped
WHERE t.relnamespace = 'public'::regnamespace AND t.relkind IN ('r', 'p') AND NOT t.relispartition`
	// The catalogue of a version before 15 has no indnullsnotdistinct.
	sqlEveryIndex = `
SELECT t.relname, i.relname, i.oid, t.oid, ARRAY(SELECT pg_get_indexdef(x.indexrelid, n, true) FROM generate_series(1, x.indnkeyatts) n),
	x.indisunique, x.indisvalid AND x.indisready AND x.indislive, coalesce((to_jsonb(x) ->> 'indnullsnotdistinct')::boolean, false),
	coalesce(pg_get_expr(x.indpred, x.indrelid), ''), m.amname
FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid JOIN pg_class t ON t.oid = x.indrelid JOIN pg_am m ON m.oid = i.relam
WHERE t.relnamespace = 'public'::regnamespace AND t.relkind IN ('r', 'p') AND NOT t.relispartition ORDER BY t.relname, i.relname`
	sqlForeign = `
SELECT t.relname || '.' || a.attname || '>' || p.relname, min(k.conname), bool_or(k.convalidated)
FROM pg_constraint k JOIN pg_class t ON t.oid = k.conrelid JOIN pg_class p ON p.oid = k.confrelid
	JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = k.conkey[1]
WHERE k.contype = 'f' AND cardinality(k.conkey) = 1 AND t.relnamespace = 'public'::regnamespace GROUP BY 1`
	// Sequences that a column owns or takes its default from.
	sqlSequences = `
SELECT DISTINCT s.relname, t.relname, a.attname
FROM pg_class s JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = s.oid AND d.deptype IN ('a', 'i') AND d.refobjsubid > 0
	JOIN pg_class t ON t.oid = d.refobjid JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = d.refobjsubid
WHERE s.relkind = 'S' AND t.relnamespace = 'public'::regnamespace ORDER BY 1`
	sqlEnums = `
SELECT t.typname, array_agg(e.enumlabel::text ORDER BY e.enumsortorder) FROM pg_type t JOIN pg_enum e ON e.enumtypid = t.oid
WHERE t.typnamespace = 'public'::regnamespace GROUP BY 1`
	sqlExtensions = `SELECT extname FROM pg_extension`
)

func readCatalogue(ctx context.Context, tx pgx.Tx) (*catalogue, error) {
	c := &catalogue{tables: map[string]*tableInfo{}, indexes: map[string][]indexInfo{}, foreign: map[string]foreignInfo{}, enums: map[string][]string{}, extensions: map[string]bool{}}
	if err := tx.QueryRow(ctx, sqlVersion).Scan(&c.version); err != nil {
		return nil, err
	}
	var oid uint32
	var table, column, kind, name string
	err := each(ctx, tx, sqlColumns, []any{&oid, &table, &column, &kind}, func() {
		if c.tables[table] == nil {
			c.tables[table] = &tableInfo{oid: oid, columns: map[string]string{}}
		}
		c.tables[table].columns[column] = kind
	})
	if err != nil {
		return nil, err
	}
	var x indexInfo
	err = each(ctx, tx, sqlEveryIndex, []any{&x.Table, &x.Name, &x.OID, &x.TableOID, &x.Columns, &x.Unique, &x.Valid, &x.NullsNotDistinct, &x.Where, &x.Method}, func() {
		y := x
		y.Columns = make([]string, len(x.Columns))
		for i, col := range x.Columns {
			y.Columns[i] = strings.Trim(col, `"`)
		}
		c.indexes[x.Table] = append(c.indexes[x.Table], y)
	})
	if err != nil {
		return nil, err
	}
	var f foreignInfo
	if err := each(ctx, tx, sqlForeign, []any{&name, &f.name, &f.proved}, func() { c.foreign[name] = f }); err != nil {
		return nil, err
	}
	var s sequenceInfo
	if err := each(ctx, tx, sqlSequences, []any{&s.Name, &s.Table, &s.Column}, func() { c.sequences = append(c.sequences, s) }); err != nil {
		return nil, err
	}
	var values []string
	if err := each(ctx, tx, sqlEnums, []any{&name, &values}, func() { c.enums[name] = append([]string(nil), values...) }); err != nil {
		return nil, err
	}
	return c, each(ctx, tx, sqlExtensions, []any{&name}, func() { c.extensions[name] = true })
}

func each(ctx context.Context, tx pgx.Tx, sql string, into []any, f func()) error {
	rows, err := tx.Query(ctx, sql)
	if err != nil {
		return err
	}
	_, err = pgx.ForEachRow(rows, into, func() error { f(); return nil })
	return err
}
