package doctor

import (
	"bufio"
	"cmp"
	"context"
	_ "embed" // the manifest
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"buttersc.one/oven/internal/lib/pg"
)

// manifest is the schema as the migrations leave it, one thing a line: written
// by make schema, as a test compares.
//
//go:embed manifest.txt
var manifest string

// thing is a table, column, constraint or index. What it is made of depends on
// its kind.
type thing struct {
	kind, table, name string
	typ               string // of a column; of a constraint, as contype; of an index, UNIQUE or ""
	collation         string // of a column, when it is not the type's
	notNull           string
	def               string // default, or definition

	valid, ready bool // as the catalogue has it; the manifest knows no other
}

func (x thing) key() [3]string { return [3]string{x.kind, x.table, x.name} }

func (x thing) where() string {
	if x.name == "" {
		return x.table
	}
	return x.table + "." + x.name
}

// Partitions come and go, and have what their parent has.
const sqlManifest = `
WITH t AS (
	SELECT c.oid, c.relname::text AS name FROM pg_class c
	WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition AND c.relname <> 'goose_db_version'
)
SELECT 'table' AS kind, t.name AS tbl, '' AS name, '' AS typ, '' AS coll, '' AS nn, '' AS def, true AS valid, true AS ready FROM t
UNION ALL
SELECT 'column', t.name, a.attname, format_type(a.atttypid, a.atttypmod),
	CASE WHEN a.attcollation <> 0 AND a.attcollation <> ty.typcollation THEN co.collname ELSE '' END,
	CASE WHEN a.attnotnull THEN 'NOT NULL' ELSE '' END,
	CASE WHEN a.attidentity <> '' THEN 'GENERATED AS IDENTITY'
		WHEN a.attgenerated <> '' THEN 'GENERATED ALWAYS AS ' || pg_get_expr(d.adbin, d.adrelid) || ' STORED'
		ELSE coalesce(pg_get_expr(d.adbin, d.adrelid), '') END, true, true
FROM t JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum > 0 AND NOT a.attisdropped JOIN pg_type ty ON ty.oid = a.atttypid
LEFT JOIN pg_collation co ON co.oid = a.attcollation LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
UNION ALL
SELECT 'constraint', t.name, x.conname, x.contype::text, '', '', regexp_replace(pg_get_constraintdef(x.oid), '\s+NOT VALID$', ''), x.convalidated, true
FROM t JOIN pg_constraint x ON x.conrelid = t.oid WHERE x.contype IN ('p', 'u', 'f', 'c', 'x') AND x.conparentid = 0
UNION ALL
SELECT 'index', t.name, i.relname, CASE WHEN x.indisunique THEN 'UNIQUE' ELSE '' END, '', '', pg_get_indexdef(x.indexrelid), x.indisvalid, x.indisready AND x.indislive
FROM t JOIN pg_index x ON x.indrelid = t.oid JOIN pg_class i ON i.oid = x.indexrelid`

func readThings(ctx context.Context, db pg.Q) ([]thing, error) {
	rows, err := db.Query(ctx, sqlManifest)
	if err != nil {
		return nil, fmt.Errorf("read catalogue: %w", err)
	}
	list, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) (thing, error) {
		var x thing
		err := r.Scan(&x.kind, &x.table, &x.name, &x.typ, &x.collation, &x.notNull, &x.def, &x.valid, &x.ready)
		x.def = strings.Join(strings.Fields(x.def), " ")
		return x, err
	})
	if err != nil {
		return nil, fmt.Errorf("read catalogue: %w", err)
	}
	slices.SortFunc(list, func(a, b thing) int {
		return cmp.Or(cmp.Compare(a.table, b.table), cmp.Compare(b.kind, a.kind), cmp.Compare(a.name, b.name))
	})
	return list, nil
}

// Manifest describes the database as it stands, in the form that is embedded.
func Manifest(ctx context.Context, db pg.Q) (string, error) {
	list, err := readThings(ctx, db)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	for _, x := range list {
		b.WriteString(strings.Join([]string{x.kind, x.table, x.name, x.typ, x.collation, x.notNull, x.def}, "\t") + "\n")
	}
	return b.String(), nil
}

// Embedded is the manifest that the database is compared with.
func Embedded() string { return manifest }

func wanted() ([]thing, error) {
	var out []thing
	for s := bufio.NewScanner(strings.NewReader(manifest)); s.Scan(); {
		f := strings.Split(s.Text(), "\t")
		if len(f) != 7 {
			return nil, fmt.Errorf("manifest: %q", s.Text())
		}
		out = append(out, thing{kind: f[0], table: f[1], name: f[2], typ: f[3], collation: f[4], notNull: f[5], def: f[6]})
	}
	return out, nil
}

// What a finding means.
const (
	Identity    = "identity"    // something could enter twice: nothing is taken in from other servers
	Warning     = "warning"     // to be repaired; the server works on
	Information = "information" // the operator's own doing, or a fork's
)

// Kind is what a finding of CheckSchema means.
func (f Finding) Kind() string {
	switch {
	case strings.HasSuffix(f.Code, "-extra"):
		return Information
	case strings.HasPrefix(f.Code, "index-") && slices.Contains(identity(), f.Where):
		return Identity
	}
	return Warning
}

// CheckSchema compares the whole schema with the catalogue: tables, columns,
// constraints and indexes, and the collations by which texts are sorted. What
// the database has besides is told as well (Information).
func CheckSchema(ctx context.Context, db pg.Q) ([]Finding, error) {
	want, err := wanted()
	if err != nil {
		return nil, err
	}
	list, err := readThings(ctx, db)
	if err != nil {
		return nil, err
	}
	have := make(map[[3]string]thing, len(list))
	for _, x := range list {
		have[x.key()] = x
	}
	var out []Finding
	for _, w := range want {
		got, ok := have[w.key()]
		_, table := have[[3]string{"table", w.table, ""}]
		switch {
		case ok && w.kind == "column":
			out = append(out, columnDiffers(w, got)...)
		case ok && w.kind == "constraint":
			out = append(out, constraintDiffers(w, got)...)
		case ok && w.kind == "index":
			out = append(out, indexDiffers(w, got)...)
		case !ok && (w.kind == "table" || w.guards() || table && !w.implied(have)):
			out = append(out, w.missing())
		}
	}
	expected := map[[3]string]bool{}
	for _, w := range want {
		expected[w.key()] = true
	}
	for _, x := range list {
		// What is in a table of somebody else's goes without saying.
		if !expected[x.key()] && (x.kind == "table" || expected[[3]string{"table", x.table, ""}]) {
			out = append(out, Finding{Code: x.kind + "-extra", Where: x.where(), Detail: "not of this version: an operator's, or a fork's"})
		}
	}
	more, err := collations(ctx, db)
	return append(out, more...), err
}

// guards tells whether it is an index on which identity rests.
func (x thing) guards() bool {
	return x.kind == "index" && Finding{Code: "index-missing", Where: x.where()}.Kind() == Identity
}

// implied tells whether a key's constraint is missing because its index is:
// that is told once, by the index.
func (x thing) implied(have map[[3]string]thing) bool {
	_, index := have[[3]string{"index", x.table, x.name}]
	return x.kind == "constraint" && (x.typ == "p" || x.typ == "u") && !index
}

func (x thing) missing() Finding {
	f := Finding{Code: x.kind + "-missing", Where: x.where(), Detail: "not there"}
	alter := "ALTER TABLE " + pgx.Identifier{x.table}.Sanitize() + " "
	name := pgx.Identifier{x.name}.Sanitize()
	switch {
	case x.kind == "table":
		f.Detail = "not there: restore a backup"
	case x.kind == "column":
		f.Repair = alter + "ADD COLUMN " + name + " " + x.typ + x.rest()
	case x.kind == "index":
		f.Repair = x.create()
	case x.typ == "p":
		f.Repair = alter + "ADD CONSTRAINT " + name + " PRIMARY KEY USING INDEX " + name
	case x.typ == "u":
		f.Repair = alter + "ADD CONSTRAINT " + name + " UNIQUE USING INDEX " + name
	default:
		f.Repair = x.add()
	}
	return f
}

// rest is what follows a column's type.
func (x thing) rest() (s string) {
	if x.collation != "" {
		s += " COLLATE " + pgx.Identifier{x.collation}.Sanitize()
	}
	if x.notNull != "" {
		s += " NOT NULL"
	}
	switch {
	case strings.HasPrefix(x.def, "GENERATED AS IDENTITY"):
		s += " GENERATED BY DEFAULT AS IDENTITY"
	case strings.HasPrefix(x.def, "GENERATED"):
		s += " " + x.def
	case x.def != "":
		s += " DEFAULT " + x.def
	}
	return s
}

// create builds an index while others write, where that is possible.
func (x thing) create() string {
	if strings.Contains(x.def, " ON ONLY ") {
		return strings.Replace(x.def, " ON ONLY ", " ON ", 1)
	}
	return strings.Replace(x.def, "INDEX ", "INDEX CONCURRENTLY ", 1)
}

// add makes a constraint without keeping writers waiting while rows are looked
// at.
func (x thing) add() string {
	alter, name := "ALTER TABLE "+pgx.Identifier{x.table}.Sanitize()+" ", pgx.Identifier{x.name}.Sanitize()
	return alter + "ADD CONSTRAINT " + name + " " + x.def + " NOT VALID; " + alter + "VALIDATE CONSTRAINT " + name
}

func columnDiffers(w, got thing) (out []Finding) {
	column := "ALTER TABLE " + pgx.Identifier{w.table}.Sanitize() + " ALTER COLUMN " + pgx.Identifier{w.name}.Sanitize() + " "
	differs := func(code, want, is, repair string) {
		if want != is {
			out = append(out, Finding{Code: code, Where: w.where(), Detail: fmt.Sprintf("is %q, not %q", is, want), Repair: repair})
		}
	}
	differs("column-type", w.typ, got.typ, column+"TYPE "+w.typ)
	if w.typ == got.typ {
		to := w.collation
		if to == "" {
			to = "default"
		}
		differs("column-collation", w.collation, got.collation, column+"TYPE "+w.typ+" COLLATE "+pgx.Identifier{to}.Sanitize())
	}
	null := "DROP NOT NULL"
	if w.notNull != "" {
		null = "SET NOT NULL"
	}
	differs("column-null", w.notNull, got.notNull, column+null)
	set := "DROP DEFAULT"
	switch {
	case strings.HasPrefix(w.def, "GENERATED"):
		set = ""
	case w.def != "":
		set = "SET DEFAULT " + w.def
	}
	if set != "" {
		set = column + set
	}
	differs("column-default", w.def, got.def, set)
	return out
}

func constraintDiffers(w, got thing) []Finding {
	switch {
	case w.typ != got.typ || w.def != got.def:
		drop := "ALTER TABLE " + pgx.Identifier{w.table}.Sanitize() + " DROP CONSTRAINT " + pgx.Identifier{w.name}.Sanitize() + "; "
		repair := drop + w.add()
		if w.typ == "p" || w.typ == "u" {
			repair = "" // the index is told, with what repairs it
		}
		return []Finding{{Code: "constraint-differs", Where: w.where(), Detail: got.def, Repair: repair}}
	case !got.valid:
		return []Finding{{Code: "constraint-not-valid", Where: w.where(), Detail: "rows from before were never looked at",
			Repair: "ALTER TABLE " + pgx.Identifier{w.table}.Sanitize() + " VALIDATE CONSTRAINT " + pgx.Identifier{w.name}.Sanitize()}}
	}
	return nil
}

func indexDiffers(w, got thing) []Finding {
	f := Finding{Where: w.where(), Repair: "DROP INDEX " + pgx.Identifier{w.name}.Sanitize() + "; " + w.create()}
	switch {
	case !got.valid:
		f.Code, f.Detail = "index-invalid", "was never finished and guards nothing"
	case !got.ready:
		f.Code, f.Detail = "index-not-ready", "is not written to"
	case w.typ != "" && got.typ == "":
		f.Code, f.Detail = "index-not-unique", got.def
	case w.def != got.def:
		f.Code, f.Detail = "index-differs", got.def
	default:
		return nil
	}
	return []Finding{f}
}

// Texts are sorted by the operating system's rules, or ICU's: when those are
// another version than the one that an index was built with, it may hide rows.
const (
	sqlCollationVersions = `
SELECT c.collname::text, c.collversion, pg_collation_actual_version(c.oid) FROM pg_collation c
WHERE c.collversion <> pg_collation_actual_version(c.oid)
	AND EXISTS (SELECT FROM pg_index x JOIN pg_class t ON t.oid = x.indrelid WHERE c.oid = ANY (x.indcollation::oid[]) AND t.relnamespace = 'public'::regnamespace)
ORDER BY 1`
	sqlDatabaseVersion = `
SELECT current_database()::text, datcollversion, pg_database_collation_actual_version(oid) FROM pg_database
WHERE datname = current_database() AND datcollversion <> pg_database_collation_actual_version(oid)`
)

func collations(ctx context.Context, db pg.Q) (out []Finding, err error) {
	for _, of := range []struct{ sql, what, begin, end string }{
		{sqlDatabaseVersion, "DATABASE", "REINDEX DATABASE ", ""},
		{sqlCollationVersions, "COLLATION", "REINDEX SCHEMA public", "-"},
	} {
		rows, err := db.Query(ctx, of.sql)
		if err != nil {
			return nil, fmt.Errorf("read collations: %w", err)
		}
		var name, was, is string
		_, err = pgx.ForEachRow(rows, []any{&name, &was, &is}, func() error {
			quoted, begin := pgx.Identifier{name}.Sanitize(), of.begin
			if of.end == "" {
				begin += quoted
			}
			out = append(out, Finding{Code: "collation-changed", Where: strings.ToLower(of.what) + " " + name, Detail: fmt.Sprintf("was version %s, is %s: indexes over texts may hide rows", was, is),
				Repair: begin + "; ALTER " + of.what + " " + quoted + " REFRESH" + map[string]string{"DATABASE": " COLLATION"}[of.what] + " VERSION"})
			return nil
		})
		if err != nil {
			return nil, fmt.Errorf("read collations: %w", err)
		}
	}
	return out, nil
}
