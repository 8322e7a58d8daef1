package doctor

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
)

// merger merges rows in one transaction at a time, and keeps of every row what it
// was before.
type merger struct {
	s   *Schema
	cat *catalogue
	run string

	todo map[tally]map[string]bool // what is to be counted anew, and for which keys
}

// pointer is a column that names rows of a table.
type pointer struct {
	table, column, to string
	kind              RefKind
}

// pointers are the columns that name rows of a table: those that are described, and
// foreign keys that are not, of a fork's tables.
func (m *merger) pointers(table string) []pointer {
	var out []pointer
	seen := map[string]bool{}
	add := func(p pointer) {
		if key := p.table + "." + p.column; !seen[key] {
			seen[key] = true
			out = append(out, p)
		}
	}
	for _, t := range m.s.Tables {
		for _, r := range append(slices.Clone(t.Refs), t.Merging.Follow...) {
			if r.Table == table && m.has(t.Name, r.Column) && m.has(table, r.To) {
				add(pointer{t.Name, r.Column, r.To, r.Kind})
			}
		}
	}
	var foreign []string
	for key := range m.cat.foreign {
		foreign = append(foreign, key)
	}
	slices.Sort(foreign)
	for _, key := range foreign {
		at, to, _ := strings.Cut(key, ">")
		from, column, _ := strings.Cut(at, ".")
		if to == table && m.s.byName[from] == nil {
			add(pointer{from, column, "id", Constraint})
		}
	}
	return out
}

func (m *merger) has(table string, columns ...string) bool {
	return (&checker{cat: m.cat}).has(table, columns...)
}

func (m *merger) kind(table, column string) string {
	if column == "ctid" {
		return "tid"
	}
	return m.cat.tables[table].columns[column]
}

// address is the column by which rows of a table are taken hold of: one that
// identifies them, or else where they lie.
func (m *merger) address(table string) string {
	if t := m.s.byName[table]; t != nil {
		for _, k := range t.Keys {
			if len(k.Columns) == 1 && k.Columns[0] == "id" {
				return "id"
			}
		}
		for _, k := range t.Keys {
			if len(k.Columns) == 1 && !k.Wanted && k.Where == "" && t.tells(k.Columns[0]) {
				return k.Columns[0]
			}
		}
		return "ctid"
	}
	if m.has(table, "id") {
		return "id"
	}
	return "ctid"
}

// tells tells whether a column names rows and nothing that somebody keeps to himself:
// plans hold its values.
func (t *Table) tells(column string) bool {
	return column == "id" || column == "host" || slices.ContainsFunc(t.Refs, func(r Ref) bool { return r.Column == column })
}

// identity is what names a row of a table in the archive: SQL that gives JSON.
func (m *merger) identity(table string) string {
	cols := []string{m.address(table)}
	if cols[0] == "ctid" {
		cols = nil
		if t := m.s.byName[table]; t != nil {
			for _, k := range t.Keys {
				if !k.Wanted && k.Where == "" && !strings.Contains(k.name(), "(") {
					cols = k.Columns
					break
				}
			}
		}
	}
	var parts []string
	for _, c := range cols {
		parts = append(parts, literal(c)+", t."+quote(c)+"::text")
	}
	return "jsonb_build_object(" + strings.Join(parts, ", ") + ")"
}

// list is a parameter with values of a column.
func (m *merger) list(n int, table, column string) string {
	return fmt.Sprintf("$%d::text[]::%s[]", n, m.kind(table, column))
}

// pairs are rows by their addresses: each loser becomes part of its survivor.
type pairs struct{ losers, survivors []string }

const (
	sqlLockRows  = `SELECT count(*) FROM (SELECT FROM %s t WHERE t.%s = ANY(%s) ORDER BY t.%s FOR UPDATE) x`
	sqlNamed     = `SELECT l.%[1]s::text, s.%[1]s::text FROM unnest(%[2]s, %[3]s) m(l, s) JOIN %[4]s l ON l.%[5]s = m.l JOIN %[4]s s ON s.%[5]s = m.s WHERE l.%[1]s IS DISTINCT FROM s.%[1]s AND l.%[1]s IS NOT NULL AND s.%[1]s IS NOT NULL`
	sqlStillHeld = `SELECT EXISTS (SELECT FROM %s t WHERE t.%s = ANY(%s))`
)

// merge makes one row of each loser and its survivor: what names the loser names
// the survivor, what then says the same thing twice is merged in turn, the columns
// become what the rules say, and the loser is deleted.
func (m *merger) merge(ctx context.Context, tx pgx.Tx, table string, p pairs, depth int) error {
	if len(p.losers) == 0 {
		return nil
	}
	if depth > 6 {
		return fmt.Errorf("merge %s: rows refer to each other without end", table)
	}
	at := m.address(table)
	rows := slices.Compact(slices.Sorted(slices.Values(append(slices.Clone(p.losers), p.survivors...))))
	var n int
	if err := tx.QueryRow(ctx, fmt.Sprintf(sqlLockRows, quote(table), quote(at), m.list(1, table, at), quote(at)), rows).Scan(&n); err != nil {
		return err
	}
	if n != len(rows) {
		return errMoved
	}
	touched := map[string]map[string][]string{} // table → column → values that rows were given
	for _, ref := range m.pointers(table) {
		if m.late(ref) {
			continue
		}
		named, err := m.named(ctx, tx, table, ref.to, p)
		if err != nil {
			return err
		}
		if len(named.losers) == 0 {
			continue
		}
		if err := m.follow(ctx, tx, ref, named, depth); err != nil {
			return err
		}
		if touched[ref.table] == nil {
			touched[ref.table] = map[string][]string{}
		}
		touched[ref.table][ref.column] = named.survivors
		m.counting(ref.table, ref.column, named.survivors)
	}
	if err := m.settle(ctx, tx, touched); err != nil {
		return err
	}
	if err := m.fields(ctx, tx, table, at, p); err != nil {
		return err
	}
	if err := m.free(ctx, tx, table, p); err != nil {
		return err
	}
	if err := m.delete(ctx, tx, table, at, p.losers, "true"); err != nil {
		return err
	}
	if depth == 0 {
		if err := m.merged(ctx, tx, table, p); err != nil {
			return err
		}
	}
	if depth > 0 {
		return nil
	}
	return m.recount(ctx, tx)
}

// late tells whether a column waits for the pass over its whole table: without an
// index on it each group would read the table once. No foreign key is late.
func (m *merger) late(ref pointer) bool {
	if ref.kind == Constraint {
		return false
	}
	for _, x := range m.cat.indexes[ref.table] {
		if x.Valid && len(x.Columns) > 0 && x.Columns[0] == ref.column && (ref.kind == Array) == (x.Method == "gin") {
			return false
		}
	}
	return true
}

// named are the values by which a column that is referred to names the rows.
func (m *merger) named(ctx context.Context, tx pgx.Tx, table, to string, p pairs) (pairs, error) {
	at := m.address(table)
	if to == at {
		return p, nil
	}
	var out pairs
	rows, err := tx.Query(ctx, fmt.Sprintf(sqlNamed, quote(to), m.list(1, table, at), m.list(2, table, at), quote(table), quote(at)), p.losers, p.survivors)
	if err != nil {
		return out, err
	}
	var l, s string
	_, err = pgx.ForEachRow(rows, []any{&l, &s}, func() error {
		out.losers, out.survivors = append(out.losers, l), append(out.survivors, s)
		return nil
	})
	return out, err
}

// follow has a column name survivors where it named losers.
func (m *merger) follow(ctx context.Context, tx pgx.Tx, ref pointer, p pairs, depth int) error {
	if ref.kind == Array {
		return m.relist(ctx, tx, ref, p)
	}
	if t := m.s.byName[ref.table]; t != nil {
		for _, k := range append(slices.Clone(t.Keys), t.Merging.Also...) {
			if !slices.Contains(k.Columns, ref.column) || !m.has(ref.table, k.Columns...) {
				continue
			}
			same, err := m.collisions(ctx, tx, ref, k, p)
			if err != nil {
				return err
			}
			if err := m.merge(ctx, tx, ref.table, same, depth+1); err != nil {
				return err
			}
		}
	}
	return m.repoint(ctx, tx, ref, p, 0)
}

const sqlCollisions = `
WITH m AS (SELECT * FROM unnest(%[1]s, %[2]s) m(l, s)),
a AS (SELECT t.%[3]s AS at, %[4]s FROM %[5]s t LEFT JOIN m ON m.l = t.%[6]s WHERE t.%[6]s = ANY(%[1]s) AND %[7]s),
b AS (SELECT at, %[8]s FROM a UNION SELECT t.%[3]s, %[9]s FROM %[5]s t JOIN (SELECT DISTINCT %[8]s FROM a) k ON %[10]s WHERE %[7]s),
c AS (SELECT b.at, first_value(b.at) OVER (PARTITION BY %[8]s ORDER BY %[11]s) AS keep FROM b JOIN %[5]s t ON t.%[3]s = b.at)
SELECT at::text, keep::text FROM c WHERE at <> keep ORDER BY 1`

// collisions are the rows that would share a key when the column named survivors.
func (m *merger) collisions(ctx context.Context, q pgx.Tx, ref pointer, k Key, p pairs) (pairs, error) {
	at := m.address(ref.table)
	where, mapped, plain, names, on := []string{}, []string{}, []string{}, []string{}, []string{}
	if k.Where != "" {
		where = append(where, "("+k.Where+")")
	}
	for i, c := range k.Columns {
		x, name := "t."+quote(c), fmt.Sprintf("k%d", i)
		if strings.Contains(c, "(") {
			x = c
		}
		now := x
		if c == ref.column {
			now = "m.s"
		}
		mapped, plain, names = append(mapped, now+" AS "+name), append(plain, x), append(names, name)
		if k.Nulls {
			on = append(on, fmt.Sprintf("%s IS NOT DISTINCT FROM k.%s", x, name))
		} else {
			on = append(on, fmt.Sprintf("%s = k.%s", x, name))
			where = append(where, x+" IS NOT NULL")
		}
	}
	if len(where) == 0 {
		where = []string{"true"}
	}
	// The oldest stays, by its id; what has none, as it is with the survivor.
	rank := fmt.Sprintf("t.%s = ANY(%s) DESC, b.at", quote(ref.column), m.list(2, ref.table, ref.column))
	if at == "id" {
		rank = "b.at"
	}
	if t := m.s.byName[ref.table]; t != nil && t.Merging.Keep != "" {
		rank = t.Merging.Keep + " DESC NULLS LAST, " + rank
	}
	sql := fmt.Sprintf(sqlCollisions, m.list(1, ref.table, ref.column), m.list(2, ref.table, ref.column), quote(at), strings.Join(mapped, ", "), quote(ref.table),
		quote(ref.column), strings.Join(where, " AND "), strings.Join(names, ", "), strings.Join(plain, ", "), strings.Join(on, " AND "), rank)
	var out pairs
	rows, err := q.Query(ctx, sql, p.losers, p.survivors)
	if err != nil {
		return out, err
	}
	var l, s string
	_, err = pgx.ForEachRow(rows, []any{&l, &s}, func() error {
		out.losers, out.survivors = append(out.losers, l), append(out.survivors, s)
		return nil
	})
	return out, err
}

const sqlRepoint = `
WITH m AS (SELECT * FROM unnest(%[1]s, %[2]s) m(l, s)),
u AS (UPDATE %[3]s t SET %[4]s = m.s FROM m WHERE t.%[4]s = m.l %[5]s RETURNING %[6]s AS k, m.l, m.s)
INSERT INTO doctor_archive.image (run, tbl, op, key, col, old, new) SELECT $3, %[7]s, 'set', k, %[8]s, l::text, s::text FROM u`

// repoint changes a column; at most so many rows of it, 0: all.
func (m *merger) repoint(ctx context.Context, tx pgx.Tx, ref pointer, p pairs, most int) error {
	_, err := m.repointSome(ctx, tx, ref, p, most)
	return err
}

func (m *merger) repointSome(ctx context.Context, tx pgx.Tx, ref pointer, p pairs, most int) (int64, error) {
	some := ""
	if most > 0 {
		some = fmt.Sprintf("AND t.ctid = ANY(ARRAY(SELECT x.ctid FROM %s x WHERE x.%s = ANY(%s) LIMIT %d FOR UPDATE))", quote(ref.table), quote(ref.column), m.list(1, ref.table, ref.column), most)
	}
	tag, err := tx.Exec(ctx, fmt.Sprintf(sqlRepoint, m.list(1, ref.table, ref.column), m.list(2, ref.table, ref.column), quote(ref.table), quote(ref.column), some,
		m.identity(ref.table), literal(ref.table), literal(ref.column)), p.losers, p.survivors, m.run)
	return tag.RowsAffected(), err
}

const sqlRelist = `
WITH m AS (SELECT * FROM unnest($1::text[], $2::text[]) m(l, s)),
o AS (SELECT t.ctid AS at, t.%[1]s AS old FROM %[2]s t WHERE t.%[1]s && %[3]s AND t.%[1]s <> '{}' FOR UPDATE),
u AS (UPDATE %[2]s t SET %[1]s = (SELECT array_agg(d.x ORDER BY d.n) FROM (SELECT coalesce(m.s, e.x::text) AS x, min(e.n) AS n FROM unnest(o.old) WITH ORDINALITY e(x, n) LEFT JOIN m ON m.l = e.x::text GROUP BY 1) d)::%[4]s
	FROM o WHERE t.ctid = o.at RETURNING %[5]s AS k, o.old::text AS old, t.%[1]s::text AS new)
INSERT INTO doctor_archive.image (run, tbl, op, key, col, old, new) SELECT $3, %[6]s, 'set', k, %[7]s, old, new FROM u`

// relist changes ids in arrays; their order stays, and each is there once. That they
// are not empty is said for indexes that leave out empty ones.
func (m *merger) relist(ctx context.Context, tx pgx.Tx, ref pointer, p pairs) error {
	kind := m.kind(ref.table, ref.column)
	_, err := tx.Exec(ctx, fmt.Sprintf(sqlRelist, quote(ref.column), quote(ref.table), "$1::text[]::"+kind, kind, m.identity(ref.table), literal(ref.table), literal(ref.column)),
		p.losers, p.survivors, m.run)
	return err
}

// settle drops what a merge has made meaningless, such as somebody who follows
// himself.
func (m *merger) settle(ctx context.Context, tx pgx.Tx, touched map[string]map[string][]string) error {
	for _, table := range sortedKeys(touched) {
		t := m.s.byName[table]
		if t == nil {
			continue
		}
		for _, drop := range t.Merging.Drops {
			for _, column := range sortedKeys(touched[table]) {
				if err := m.delete(ctx, tx, table, column, touched[table][column], "("+drop+")"); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

const sqlDelete = `
WITH d AS (DELETE FROM %[1]s t WHERE t.%[2]s = ANY(%[3]s) AND %[4]s RETURNING %[5]s AS k, t::text AS old)
INSERT INTO doctor_archive.image (run, tbl, op, key, old) SELECT $2, %[6]s, %[7]s, k, old FROM d`

// delete deletes rows and keeps them.
func (m *merger) delete(ctx context.Context, tx pgx.Tx, table, column string, values []string, where string) error {
	if m.kind(table, column) == "" {
		return nil
	}
	if err := m.leaving(ctx, tx, table, column, values, where); err != nil {
		return err
	}
	op := "delete"
	if where != "true" {
		op = "drop"
	}
	tag, err := tx.Exec(ctx, fmt.Sprintf(sqlDelete, quote(table), quote(column), m.list(1, table, column), where, m.identity(table), literal(table), literal(op)), values, m.run)
	if err == nil && where == "true" && tag.RowsAffected() != int64(len(values)) {
		return errMoved
	}
	return err
}

const sqlFields = `
WITH m AS (SELECT * FROM unnest(%[1]s, %[2]s) m(l, s)),
r AS (SELECT m.s AS g, false AS mine, %[3]s FROM m JOIN %[4]s t ON t.%[5]s = m.l UNION ALL SELECT DISTINCT ON (m.s) m.s, true, %[3]s FROM m JOIN %[4]s t ON t.%[5]s = m.s),
v AS (SELECT r.g, %[6]s FROM r GROUP BY r.g),
o AS (SELECT t.%[5]s AS at, t::text AS old FROM %[4]s t WHERE t.%[5]s = ANY(%[2]s)),
u AS (UPDATE %[4]s t SET %[7]s FROM v JOIN o ON o.at = v.g WHERE t.%[5]s = v.g AND (%[8]s) RETURNING %[9]s AS k, o.old, t::text AS new)
INSERT INTO doctor_archive.image (run, tbl, op, key, col, old, new) SELECT $3, %[10]s, 'update', k, $4, old, new FROM u`

// fields brings what the losers' columns say into the survivors.
func (m *merger) fields(ctx context.Context, tx pgx.Tx, table, at string, p pairs) error {
	t := m.s.byName[table]
	if t == nil || len(t.Merging.Fields) == 0 {
		return nil
	}
	var read, values, sets, differ, names []string
	for _, f := range t.Merging.Fields {
		if !m.has(table, f.Column) || f.Rule == "newest" && len(f.Args) == 1 && !m.has(table, f.Args[0]) {
			continue
		}
		sql, err := f.sql(m.kind(table, f.Column))
		if err != nil {
			return err
		}
		c := quote(f.Column)
		read, names = append(read, "t."+c), append(names, f.Column)
		values = append(values, sql+" AS "+c)
		sets = append(sets, c+" = v."+c)
		differ = append(differ, "t."+c+" IS DISTINCT FROM v."+c)
		if f.Rule == "newest" && !slices.Contains(read, "t."+quote(f.Args[0])) {
			read = append(read, "t."+quote(f.Args[0]))
		}
	}
	if len(sets) == 0 {
		return nil
	}
	_, err := tx.Exec(ctx, fmt.Sprintf(sqlFields, m.list(1, table, at), m.list(2, table, at), strings.Join(slices.Compact(read), ", "), quote(table), quote(at), strings.Join(values, ", "),
		strings.Join(sets, ", "), strings.Join(differ, " OR "), m.identity(table), literal(table)), p.losers, p.survivors, m.run, strings.Join(names, ","))
	return err
}

// free makes sure that nothing names the losers any more by a foreign key, which
// might take rows along.
func (m *merger) free(ctx context.Context, tx pgx.Tx, table string, p pairs) error {
	for _, ref := range m.pointers(table) {
		if ref.kind != Constraint || ref.to != m.address(table) {
			continue
		}
		var held bool
		if err := tx.QueryRow(ctx, fmt.Sprintf(sqlStillHeld, quote(ref.table), quote(ref.column), m.list(1, ref.table, ref.column)), p.losers).Scan(&held); err != nil {
			return err
		}
		if held {
			return errMoved
		}
	}
	return nil
}

const sqlTally = `
WITH o AS (SELECT t.ctid AS at, t::text AS old FROM %[1]s t WHERE t.%[2]s = ANY(%[3]s) AND %[9]s FOR UPDATE),
u AS (UPDATE %[1]s t SET %[4]s = (%[5]s) FROM o WHERE t.ctid = o.at AND t.%[4]s IS DISTINCT FROM (%[5]s) RETURNING %[6]s AS k, o.old, t::text AS new)
INSERT INTO doctor_archive.image (run, tbl, op, key, col, old, new) SELECT $2, %[7]s, 'update', k, %[8]s, old, new FROM u`

// tally is a column to count anew: where, and the condition on the rows that have one.
type tally struct {
	Tally
	on, own string
}

// tallies are the columns that rows of a table make up.
func (m *merger) tallies(table string) []tally {
	var out []tally
	for _, t := range m.s.Tables {
		for _, c := range t.Counts {
			if c.Table == table && m.has(t.Name, c.Column, c.Key) && m.has(table, c.Ref) {
				expr := fmt.Sprintf("SELECT count(*) FROM %s c WHERE c.%s = t.%s AND %s", quote(table), quote(c.Ref), quote(c.Key), or(c.Child))
				out = append(out, tally{Tally{c.Column, table, c.Ref, c.Key, expr}, t.Name, or(c.Own)})
			}
		}
		for _, y := range t.Merging.Tallies {
			if y.Table == table && m.has(t.Name, y.Column, y.Key) && m.has(table, y.Ref) {
				out = append(out, tally{y, t.Name, "true"})
			}
		}
	}
	return out
}

// counting remembers that rows of a table whose column has the values are fewer or
// more than they were.
func (m *merger) counting(table, column string, values []string) {
	for _, y := range m.tallies(table) {
		if y.Ref != column {
			continue
		}
		if m.todo == nil {
			m.todo = map[tally]map[string]bool{}
		}
		if m.todo[y] == nil {
			m.todo[y] = map[string]bool{}
		}
		for _, v := range values {
			m.todo[y][v] = true
		}
	}
}

const sqlValues = `SELECT DISTINCT t.%s::text FROM %s t WHERE t.%s = ANY(%s) AND %s AND t.%s IS NOT NULL`

// leaving remembers what has to be counted anew when rows are deleted.
func (m *merger) leaving(ctx context.Context, tx pgx.Tx, table, column string, values []string, where string) error {
	seen := map[string]bool{}
	for _, y := range m.tallies(table) {
		if seen[y.Ref] {
			continue
		}
		seen[y.Ref] = true
		rows, err := tx.Query(ctx, fmt.Sprintf(sqlValues, quote(y.Ref), quote(table), quote(column), m.list(1, table, column), where, quote(y.Ref)), values)
		if err != nil {
			return err
		}
		found, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			return err
		}
		m.counting(table, y.Ref, found)
	}
	return nil
}

// recount counts anew what has to be.
func (m *merger) recount(ctx context.Context, tx pgx.Tx) error {
	list := make([]tally, 0, len(m.todo))
	for y := range m.todo {
		list = append(list, y)
	}
	slices.SortFunc(list, func(a, b tally) int { return strings.Compare(a.on+"."+a.Column, b.on+"."+b.Column) })
	for _, y := range list {
		_, err := tx.Exec(ctx, fmt.Sprintf(sqlTally, quote(y.on), quote(y.Key), m.list(1, y.on, y.Key), quote(y.Column), y.Expr, m.identity(y.on), literal(y.on), literal(y.Column), y.own),
			sortedKeys(m.todo[y]), m.run)
		if err != nil {
			return fmt.Errorf("count %s.%s: %w", y.on, y.Column, err)
		}
	}
	m.todo = nil
	return nil
}

const sqlMerged = `
INSERT INTO doctor_archive.merged (tbl, loser, survivor, run) SELECT $1, l, s, $4 FROM unnest($2::text[], $3::text[]) m(l, s)
ON CONFLICT (tbl, loser) DO UPDATE SET survivor = excluded.survivor, run = excluded.run, merged_at = now()`

const (
	sqlRedirect   = `INSERT INTO %s (kind, old_id, new_id) SELECT $1, l, s FROM unnest($2::text[], $3::text[]) m(l, s) ON CONFLICT (kind, old_id) DO UPDATE SET new_id = excluded.new_id`
	sqlRedirectOn = `UPDATE %s r SET new_id = m.s FROM unnest($2::text[], $3::text[]) m(l, s) WHERE r.kind = $1 AND r.new_id = m.l`
	sqlUnredirect = `DELETE FROM %s r USING doctor_archive.merged m WHERE m.run = $1 AND r.kind = m.tbl AND r.old_id = m.loser`
)

// merged writes down what became of what, for links of old.
func (m *merger) merged(ctx context.Context, tx pgx.Tx, table string, p pairs) error {
	if m.address(table) == "ctid" {
		return nil
	}
	if _, err := tx.Exec(ctx, sqlMerged, table, p.losers, p.survivors, m.run); err != nil {
		return err
	}
	if !m.has(m.s.Redirects, "kind", "old_id", "new_id") {
		return nil
	}
	to := quote(m.s.Redirects)
	if _, err := tx.Exec(ctx, fmt.Sprintf(sqlRedirectOn, to), table, p.losers, p.survivors); err != nil {
		return err
	}
	_, err := tx.Exec(ctx, fmt.Sprintf(sqlRedirect, to), table, p.losers, p.survivors)
	return err
}

func sortedKeys[V any](m map[string]V) []string {
	out := make([]string, 0, len(m))
	for k := range m {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}
