package doctor

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"buttersc.one/oven/internal/lib/pg"
)

const (
	// Indexes over texts in an order that the operating system has changed since.
	sqlCollations = `
SELECT c.collname, c.collversion, pg_collation_actual_version(c.oid), count(DISTINCT x.indexrelid)
FROM pg_collation c JOIN (SELECT indexrelid, unnest(indcollation::oid[]) AS coll FROM pg_index) x ON x.coll = c.oid
WHERE c.collversion IS NOT NULL AND c.collversion <> pg_collation_actual_version(c.oid) GROUP BY c.oid, c.collname, c.collversion ORDER BY 1`
	sqlDefaultCollation = `
SELECT d.datcollversion, pg_database_collation_actual_version(d.oid),
	(SELECT count(*) FROM pg_index x WHERE 'default'::regcollation::oid = ANY (x.indcollation::oid[]) AND x.indrelid >= 16384)
FROM pg_database d WHERE d.datname = current_database() AND d.datcollversion <> pg_database_collation_actual_version(d.oid)`
	sqlMayCheckIndex = `SELECT has_function_privilege('%s.bt_index_check(regclass, boolean)', 'EXECUTE')`
	sqlMayCheckHeap  = `SELECT has_function_privilege('%s.verify_heapam(regclass, boolean, boolean, text, bigint, bigint)', 'EXECUTE')`
	sqlAmcheckSchema = `SELECT quote_ident(n.nspname) FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace WHERE e.extname = 'amcheck'`
	sqlFiles         = `
SELECT t.relname, i.relname, i.oid, x.indisunique FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid JOIN pg_class t ON t.oid = x.indrelid JOIN pg_am m ON m.oid = i.relam
WHERE t.relnamespace = 'public'::regnamespace AND i.relkind = 'i' AND m.amname = 'btree' AND x.indisvalid AND x.indisready AND t.relpersistence = 'p'
UNION ALL SELECT t.relname, '*', t.oid, false FROM pg_class t WHERE t.relnamespace = 'public'::regnamespace AND t.relkind = 'r' AND t.relpersistence = 'p' ORDER BY 1, 2`
	sqlCheckIndex  = `SELECT %s.bt_index_check(%d::oid::regclass, true)`
	sqlCheckUnique = `SELECT %s.bt_index_check(%d::oid::regclass, true, true)`
	sqlCheckHeap   = `SELECT count(*) FROM %s.verify_heapam(%d::oid::regclass)`
)

// collations looks whether texts are still sorted as they were when the indexes
// were built.
func (c *checker) collations(ctx context.Context, tx pgx.Tx, r *Report) error {
	var name, was, is string
	var n int64
	err := each(ctx, tx, sqlCollations, []any{&name, &was, &is, &n}, func() {
		r.find(Finding{Code: "collation-changed", Where: "pg_collation." + name, Detail: fmt.Sprintf("was version %s, is %s: its indexes may hide rows", was, is), Repair: "REINDEX, then ALTER COLLATION … REFRESH VERSION", Count: n})
	})
	if err != nil || c.cat.version < 150000 {
		return err
	}
	return each(ctx, tx, sqlDefaultCollation, []any{&was, &is, &n}, func() {
		r.find(Finding{Code: "collation-changed", Where: "pg_database.datcollversion", Detail: fmt.Sprintf("was version %s, is %s: indexes over texts may hide rows", was, is),
			Repair: "REINDEX DATABASE, then ALTER DATABASE … REFRESH COLLATION VERSION", Count: n})
	})
}

// structure has amcheck look into the indexes, where it is installed and allowed.
// It cannot see an index that is not there.
func (c *checker) structure(ctx context.Context, tx pgx.Tx, r *Report) error {
	if !c.cat.extensions["amcheck"] {
		r.note("amcheck", "not installed: the insides of indexes were not looked at (CREATE EXTENSION amcheck)")
		return nil
	}
	var schema string
	var index, heap bool
	if err := tx.QueryRow(ctx, sqlAmcheckSchema).Scan(&schema); err != nil {
		return err
	}
	if err := tx.QueryRow(ctx, fmt.Sprintf(sqlMayCheckIndex, schema)).Scan(&index); err != nil {
		return err
	}
	if c.cat.version >= 140000 {
		if err := tx.QueryRow(ctx, fmt.Sprintf(sqlMayCheckHeap, schema)).Scan(&heap); err != nil {
			return err
		}
	}
	if !index {
		r.note("amcheck", "no right to use it: the insides of indexes were not looked at")
		return nil
	}
	var files []file
	var f file
	if err := each(ctx, tx, sqlFiles, []any{&f.table, &f.index, &f.oid, &f.unique}, func() { files = append(files, f) }); err != nil {
		return err
	}
	for _, x := range files {
		f := Finding{Code: "index-corrupt", Where: x.table + "." + x.index, Detail: "does not hold what the table holds", Repair: "REINDEX INDEX CONCURRENTLY " + quote(x.index)}
		sql := sqlCheckIndex
		switch {
		case x.index == "*" && !heap:
			continue
		case x.index == "*":
			f = Finding{Code: "heap-corrupt", Where: x.table + ".*", Detail: "the table's file is damaged; restore a backup"}
			sql = sqlCheckHeap
		case c.cat.version >= 170000 && x.unique:
			sql = sqlCheckUnique
		}
		c.o.Progress(min(c.done, c.total), c.total, f.Where)
		if err := c.inside(ctx, tx, r, f, fmt.Sprintf(sql, schema, x.oid)); err != nil {
			return err
		}
	}
	return nil
}

// file is what amcheck looks into: an index, or with the index "*" the table.
type file struct {
	table, index string
	oid          uint32
	unique       bool
}

// inside runs one check of amcheck, which raises an error for what it finds in an
// index and gives rows for what it finds in a table.
func (c *checker) inside(ctx context.Context, tx pgx.Tx, r *Report, f Finding, sql string) error {
	return c.try(ctx, tx, r, f.Where, func(tx pgx.Tx) error {
		sp, err := tx.Begin(ctx)
		if err != nil {
			return err
		}
		if f.Code == "heap-corrupt" {
			err = sp.QueryRow(ctx, sql).Scan(&f.Count)
		} else {
			_, err = sp.Exec(ctx, sql)
			f.Count = 0
		}
		// Class XX is an internal error, which is how damage shows.
		if code := pg.Code(err); strings.HasPrefix(code, "XX") {
			f.Count = 1
			f.Detail += " (SQLSTATE " + code + ")"
			r.find(f)
			return sp.Rollback(ctx)
		}
		if err != nil {
			return err
		}
		if f.Count > 0 {
			r.find(f)
		}
		return sp.Commit(ctx)
	})
}
