package doctor

import (
	"context"
	"crypto/sha1" //nolint:gosec // names of indexes, not secrets
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
)

const (
	locksBuild   = "SHARE UPDATE EXCLUSIVE while it is built: reads and writes go on"
	locksShort   = "ACCESS EXCLUSIVE for a moment"
	locksProve   = "SHARE UPDATE EXCLUSIVE while rows are read: reads and writes go on"
	locksNothing = "none"
)

// work turns what a check found into what is to be done, in the order in which it
// can be done. What cannot be is left, with the reason.
func (pl *planner) work(ctx context.Context, report *Report) error {
	var build, prove, rest []Work
	left := func(f Finding, why string) {
		pl.plan.Left = append(pl.plan.Left, Left{f.Code, f.Where, f.Count, why})
	}
	guarded := map[string]bool{}
	for _, f := range report.Findings {
		switch f.Code {
		case "index-missing", "index-invalid", "index-differs":
			t, k := pl.key(f.Where)
			switch {
			case t != nil && guarded[f.Where]:
			case t != nil && pl.made[f.Where]:
				left(f, "rows that share the key wait for a decision")
			case t != nil:
				guarded[f.Where] = true
				build = append(build, pl.guard(t.Name, *k, f))
			case f.Code == "index-invalid":
				build = append(build, pl.reindex(f))
			default:
				if w, ok := plainIndex(f); ok {
					build = append(build, w)
				} else {
					left(f, "it is not known how it was made")
				}
			}
		case "index-slow":
			if w, ok := plainIndex(f); ok {
				build = append(build, w)
			}
		case "index-leftover":
			build = append(build, Work{Kind: "drop-index", Where: f.Where, SQL: []string{f.Repair}, Locks: locksBuild})
		case "index-corrupt":
			build = append(build, pl.reindex(f))
		case "collation-changed":
			list, err := pl.collation(ctx, f)
			if err != nil {
				return err
			}
			build = append(build, list...)
		case "reference-missing", "reference-unproved":
			if w, why := pl.reference(f); why != "" {
				left(f, why)
			} else {
				prove = append(prove, w)
			}
		case "sequence-behind":
			rest = append(rest, pl.sequence(f))
		case "enum-differs":
			rest = append(rest, pl.enum(f)...)
		case "duplicate":
			if pl.made[f.Where] {
				left(f, "waits for a decision")
			} else if t, k := pl.key(f.Where); t != nil && !k.Wanted {
				// An index that is there and whole, and did not see them, lies.
				for _, x := range pl.cat.indexes[t.Name] {
					if x.Unique && x.Valid && sameColumns(x.Columns, k.Columns) && (!k.Nulls || x.NullsNotDistinct) {
						build = append(build, Work{Kind: "reindex", Where: t.Name + "." + x.Name, SQL: []string{"REINDEX INDEX CONCURRENTLY " + quote(x.Name)}, Locks: locksBuild, Table: t.Name, Columns: k.Columns, Index: x.Name})
					}
				}
			}
		case "orphan":
			if !slices.ContainsFunc(report.Findings, func(o Finding) bool {
				return o.Where == f.Where && strings.HasPrefix(o.Code, "reference-")
			}) {
				left(f, "a foreign key is there, and says otherwise; look at it by hand")
			}
		default:
			left(f, "not the repair's business")
		}
	}
	for _, w := range append(append(build, prove...), rest...) {
		if !slices.ContainsFunc(pl.plan.Work, func(o Work) bool { return o.Kind == w.Kind && o.Where == w.Where }) {
			pl.plan.Work = append(pl.plan.Work, w)
		}
	}
	return nil
}

// key finds the key that a finding is about.
func (pl *planner) key(where string) (*Table, *Key) {
	table, name, _ := strings.Cut(where, ".")
	if t := pl.s.byName[table]; t != nil {
		for i, k := range t.Keys {
			if k.name() == name {
				return t, &t.Keys[i]
			}
		}
	}
	return nil, nil
}

// named is an index as it is to be called, and the constraint that it serves.
type named struct {
	name, constraint string // constraint: "", PRIMARY KEY, UNIQUE
}

// nameOf tells how the program whose database it is calls a key.
func (pl *planner) nameOf(table string, k Key) named {
	if pl.s.Names == "manifest" {
		list, err := wanted()
		if err == nil {
			for _, x := range list {
				if x.table != table || x.kind != "constraint" && x.kind != "index" || !keyOf(x, k) {
					continue
				}
				switch {
				case x.kind == "index" && x.typ == "UNIQUE" && !isConstraint(list, x):
					return named{x.name, ""}
				case x.kind == "constraint" && x.typ == "p":
					return named{x.name, "PRIMARY KEY"}
				case x.kind == "constraint" && x.typ == "u":
					return named{x.name, "UNIQUE"}
				}
			}
		}
	}
	first := pl.s.byName[table].Keys[0]
	if first.name() == k.name() && !strings.Contains(k.name(), "(") {
		return named{typeorm("PK_", 27, table, k.Columns), "PRIMARY KEY"}
	}
	return named{typeorm("IDX_", 26, table, k.Columns), ""}
}

// keyOf tells whether a thing of the manifest is the key.
func keyOf(x thing, k Key) bool {
	_, inside, ok := strings.Cut(x.def, " (")
	if !ok {
		_, inside, ok = strings.Cut(x.def, "(")
	}
	if i := strings.Index(inside, ") "); i >= 0 && !strings.Contains(k.name(), "(") {
		inside = inside[:i]
	}
	inside = strings.TrimSuffix(inside, ")")
	var columns []string
	for _, c := range strings.Split(inside, ", ") {
		columns = append(columns, strings.Trim(strings.Fields(c + " ")[0], `"`))
	}
	return ok && strings.Contains(x.def, " WHERE ") == (k.Where != "") && sameColumns(columns, k.Columns)
}

func isConstraint(list []thing, x thing) bool {
	return slices.ContainsFunc(list, func(o thing) bool { return o.kind == "constraint" && o.table == x.table && o.name == x.name })
}

// typeorm is a name as TypeORM makes it: a hash of what it is of.
func typeorm(prefix string, n int, table string, columns []string) string {
	sorted := slices.Clone(columns)
	slices.Sort(sorted)
	sum := sha1.Sum([]byte(table + "_" + strings.Join(sorted, "_"))) //nolint:gosec // as above
	return prefix + hex.EncodeToString(sum[:])[:n]
}

// guard is the building of the index that a key lacks. One that is in its place
// and does not guard goes first.
func (pl *planner) guard(table string, k Key, f Finding) Work {
	n := pl.nameOf(table, k)
	w := Work{Kind: "key", Where: f.Where, Locks: locksBuild, Table: table, Columns: k.Columns, Index: n.name}
	for _, x := range pl.cat.indexes[table] {
		if x.Name == n.name || !x.Valid && x.Unique && sameColumns(x.Columns, k.Columns) {
			if n.constraint != "" && x.Name == n.name {
				w.SQL = append(w.SQL, "ALTER TABLE "+quote(table)+" DROP CONSTRAINT IF EXISTS "+quote(x.Name))
			}
			w.SQL = append(w.SQL, "DROP INDEX CONCURRENTLY IF EXISTS "+quote(x.Name))
		}
	}
	w.SQL = append(w.SQL, strings.Replace(k.create(table), "CONCURRENTLY ON", "CONCURRENTLY "+quote(n.name)+" ON", 1))
	if n.constraint != "" {
		w.SQL = append(w.SQL, fmt.Sprintf("ALTER TABLE %s ADD CONSTRAINT %s %s USING INDEX %s", quote(table), quote(n.name), n.constraint, quote(n.name)))
		w.Locks += "; " + locksShort
	}
	return w
}

func (pl *planner) reindex(f Finding) Work {
	table, index, _ := strings.Cut(f.Where, ".")
	w := Work{Kind: "reindex", Where: f.Where, SQL: []string{"REINDEX INDEX CONCURRENTLY " + quote(index)}, Locks: locksBuild, Table: table, Index: index}
	for _, x := range pl.cat.indexes[table] {
		if x.Name == index && x.Unique {
			w.Columns = x.Columns
		}
	}
	return w
}

const (
	sqlByCollation = `
SELECT t.relname, i.relname FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid JOIN pg_class t ON t.oid = x.indrelid
WHERE t.relnamespace = 'public'::regnamespace AND t.relkind = 'r' AND (SELECT oid FROM pg_collation WHERE collname = '%s' LIMIT 1) = ANY (x.indcollation::oid[]) ORDER BY 1, 2`
	sqlThisDatabase = `SELECT current_database()`
)

// collation is the rebuilding of all that is sorted by an order that has changed.
func (pl *planner) collation(ctx context.Context, f Finding) ([]Work, error) {
	name := strings.TrimPrefix(f.Where, "pg_collation.")
	var refresh string
	if f.Where == "pg_database.datcollversion" {
		var database string
		if err := pl.tx.QueryRow(ctx, sqlThisDatabase).Scan(&database); err != nil {
			return nil, err
		}
		name, refresh = "default", "ALTER DATABASE "+quote(database)+" REFRESH COLLATION VERSION"
	} else {
		refresh = "ALTER COLLATION " + quote(name) + " REFRESH VERSION"
	}
	var out []Work
	var table, index string
	err := each(ctx, pl.tx, fmt.Sprintf(sqlByCollation, strings.ReplaceAll(name, "'", "''")), []any{&table, &index}, func() {
		out = append(out, pl.reindex(Finding{Where: table + "." + index}))
	})
	return append(out, Work{Kind: "collation", Where: f.Where, SQL: []string{refresh}, Locks: locksNothing}), err
}

// reference is the making or proving of a foreign key; or why that is not done.
func (pl *planner) reference(f Finding) (Work, string) {
	table, column, _ := strings.Cut(f.Where, ".")
	t := pl.s.byName[table]
	for _, ref := range t.Refs {
		if ref.Column != column || ref.Kind != Constraint || !pl.has(ref.Table, ref.To) {
			continue
		}
		have, there := pl.cat.foreign[table+"."+column+">"+ref.Table]
		if f.Code == "reference-missing" && there || f.Code == "reference-unproved" && (!there || have.proved) {
			continue
		}
		name := typeorm("FK_", 27, table, []string{column})
		action := " ON DELETE CASCADE"
		if ref.Null {
			action = " ON DELETE SET NULL"
		}
		def := fmt.Sprintf("FOREIGN KEY (%s) REFERENCES %s(%s)%s", quote(column), quote(ref.Table), quote(ref.To), action)
		if pl.s.Names == "manifest" {
			list, err := wanted()
			i := slices.IndexFunc(list, func(x thing) bool {
				return x.table == table && x.typ == "f" && strings.HasPrefix(x.def, "FOREIGN KEY ("+quote(column)+")") || x.table == table && x.typ == "f" && strings.HasPrefix(x.def, "FOREIGN KEY ("+column+")")
			})
			if err != nil || i < 0 {
				return Work{}, "it is not known how it was made"
			}
			name, def = list[i].name, list[i].def
		}
		w := Work{Kind: "reference", Where: f.Where, Locks: locksShort + "; " + locksProve, Table: table, Columns: []string{column}, Index: name}
		if there {
			name, w.Kind, w.Locks = have.name, "prove", locksProve
		} else {
			w.SQL = append(w.SQL, fmt.Sprintf("ALTER TABLE %s ADD CONSTRAINT %s %s NOT VALID", quote(table), quote(name), def))
		}
		w.SQL = append(w.SQL, "ALTER TABLE "+quote(table)+" VALIDATE CONSTRAINT "+quote(name))
		w.Index = name
		return w, ""
	}
	return Work{}, "it is not known how it was made"
}

func (pl *planner) sequence(f Finding) Work {
	table, column, _ := strings.Cut(f.Where, ".")
	return Work{Kind: "sequence", Where: f.Where, Locks: locksNothing, Table: table,
		SQL: []string{fmt.Sprintf("SELECT setval(pg_get_serial_sequence('%s', '%s'), (SELECT max(%s) FROM %s))", strings.ReplaceAll(quote(table), "'", "''"), column, quote(column), quote(table))}}
}

func (pl *planner) enum(f Finding) []Work {
	name, _, _ := strings.Cut(f.Where, ".")
	var out []Work
	for _, e := range pl.s.Enums {
		for _, v := range e.Values {
			if e.Name == name && !slices.Contains(pl.cat.enums[name], v) {
				out = append(out, Work{Kind: "enum", Where: name + "." + v, Locks: locksShort, SQL: []string{"ALTER TYPE " + quote(name) + " ADD VALUE IF NOT EXISTS " + literal(v)}})
			}
		}
	}
	return out
}

const sqlSize = `SELECT pg_relation_size(to_regclass(%s)), greatest((SELECT reltuples FROM pg_class WHERE oid = to_regclass(%s)), 0)::bigint`

// What a machine of two cores did: rows merged a second, bytes indexed a second.
const (
	rowsASecond  = 4000
	bytesASecond = 20 << 20
	walARow      = 700
)

// estimate says how long it takes, and what it writes, about.
func (pl *planner) estimate(ctx context.Context) error {
	p := pl.plan
	var bytes int64
	for i := range p.Work {
		w := &p.Work[i]
		if w.Table == "" {
			continue
		}
		var rows int64
		name := literal("public." + quote(w.Table))
		if err := pl.tx.QueryRow(ctx, fmt.Sprintf(sqlSize, name, name)).Scan(&w.Bytes, &rows); err != nil {
			return err
		}
		bytes += w.Bytes
		if w.Kind == "key" || w.Kind == "reindex" {
			p.DiskBytes += rows * 40
			p.WALBytes += rows * 40
		}
	}
	for _, n := range p.Collide {
		p.Rows += n
	}
	p.WALBytes += p.Rows * walARow
	p.DiskBytes += p.Rows * walARow / 2
	p.Seconds = 1 + p.Rows/rowsASecond + bytes/bytesASecond
	return nil
}
