package doctor

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
)

// tables compares which tables and columns there are. Others than those known are
// a fork's or a later version's: said and left alone.
func (c *checker) tables(_ context.Context, _ pgx.Tx, r *Report) error {
	for name, have := range c.cat.tables {
		t := c.schema.byName[name]
		if t == nil {
			if !slices.Contains(c.schema.Known, name) {
				r.note(name, "a table that is not known; not looked into")
			}
			continue
		}
		var more []string
		for col := range have.columns {
			if t.Columns != nil && !slices.Contains(t.Columns, col) {
				more = append(more, col)
			}
		}
		if slices.Sort(more); len(more) > 0 {
			r.note(name, "columns that are not known: "+strings.Join(more, " "))
		}
	}
	for _, t := range c.schema.Tables {
		if c.cat.tables[t.Name] == nil {
			r.note(t.Name, "not in this database")
		}
	}
	slices.SortFunc(r.Notes, func(a, b Note) int { return strings.Compare(a.Where+a.Says, b.Where+b.Says) })
	return nil
}

// leftover is the name of an index that REINDEX CONCURRENTLY left when it failed.
var leftover = regexp.MustCompile(`_cc(new|old)\d*$`)

// keys looks whether every unique key is guarded by an index that works, and
// whether there are indexes that do not.
func (c *checker) keys(_ context.Context, _ pgx.Tx, r *Report) error {
	told := map[string]bool{}
	for _, t := range c.schema.Tables {
		for _, k := range t.Keys {
			if !c.has(t.Name, k.Columns...) {
				continue
			}
			if !k.Wanted {
				c.key(t.Name, k, r, told)
			}
		}
	}
	if err := c.fast(r); err != nil {
		return err
	}
	for _, t := range c.schema.Tables {
		for _, x := range c.cat.indexes[t.Name] {
			switch {
			case leftover.MatchString(x.Name):
				r.find(Finding{Code: "index-leftover", Where: t.Name + "." + x.Name, Detail: "left by a rebuild that failed", Repair: "DROP INDEX CONCURRENTLY " + quote(x.Name), Count: 1})
			case !x.Valid && !told[x.Name]:
				r.find(Finding{Code: "index-invalid", Where: t.Name + "." + x.Name, Detail: "its building was never finished; it is not used", Repair: "REINDEX INDEX CONCURRENTLY " + quote(x.Name), Count: 1})
			}
		}
	}
	return nil
}

func (c *checker) key(table string, k Key, r *Report, told map[string]bool) {
	var broken, weak *indexInfo
	for i, x := range c.cat.indexes[table] {
		if x.Method != "btree" || leftover.MatchString(x.Name) || !sameColumns(x.Columns, k.Columns) || (x.Where != "") != (k.Where != "") {
			continue
		}
		switch {
		case !x.Unique || k.Guarded && !x.NullsNotDistinct:
			weak = &c.cat.indexes[table][i]
		case !x.Valid:
			broken = &c.cat.indexes[table][i]
		default:
			return
		}
	}
	f := Finding{Code: "index-missing", Where: table + "." + k.name(), Detail: "no unique index guards this key", Repair: k.create(table), Count: 1}
	switch {
	case broken != nil:
		told[broken.Name] = true
		f.Code, f.Detail = "index-invalid", "the unique index "+quote(broken.Name)+" was never finished and guards nothing"
		f.Repair = "DROP INDEX CONCURRENTLY " + quote(broken.Name) + "; " + f.Repair
	case weak != nil:
		f.Code, f.Detail = "index-differs", "the index "+quote(weak.Name)+" is there, but lets a second row in"
	}
	r.find(f)
}

func (k Key) create(table string) string {
	cols := make([]string, len(k.Columns))
	for i, c := range k.Columns {
		cols[i] = quote(c)
	}
	sql := fmt.Sprintf("CREATE UNIQUE INDEX CONCURRENTLY ON %s (%s)", quote(table), strings.Join(cols, ", "))
	if k.Guarded {
		sql += " NULLS NOT DISTINCT"
	}
	if k.Where != "" {
		sql += " WHERE " + k.Where
	}
	return sql
}

// sameColumns: for uniqueness their order does not matter.
func sameColumns(a, b []string) bool {
	if len(a) != len(b) {
		return false
	}
	for _, x := range b {
		if !slices.Contains(a, x) {
			return false
		}
	}
	return true
}

// references looks whether every foreign key is there and was proved.
func (c *checker) references(_ context.Context, _ pgx.Tx, r *Report) error {
	for _, t := range c.schema.Tables {
		for _, ref := range t.Refs {
			if ref.Kind != Constraint || !c.has(t.Name, ref.Column) || !c.has(ref.Table, ref.To) || ref.dropped(c.names) {
				continue
			}
			f, ok := c.cat.foreign[t.Name+"."+ref.Column+">"+ref.Table]
			switch {
			case !ok:
				r.find(Finding{Code: "reference-missing", Where: t.Name + "." + ref.Column, Detail: "no foreign key to " + ref.Table, Count: 1})
			case !f.proved:
				r.find(Finding{Code: "reference-unproved", Where: t.Name + "." + ref.Column, Detail: "the foreign key was never checked for the rows that were there",
					Repair: "ALTER TABLE " + quote(t.Name) + " VALIDATE CONSTRAINT " + quote(f.name), Count: 1})
			}
		}
	}
	return nil
}

func (ref Ref) dropped(ran []string) bool {
	return ref.Until != "" && slices.ContainsFunc(ran, func(m string) bool { return strings.HasPrefix(m, ref.Until) })
}

const sqlRan = `SELECT %s::text FROM %s ORDER BY 1`

// ran are the names of the migrations that ran.
func (c *checker) ran(ctx context.Context, tx pgx.Tx) ([]string, error) {
	table, col, _ := strings.Cut(c.schema.Migrations, ".")
	if !c.has(table, col) {
		return nil, nil
	}
	rows, err := tx.Query(ctx, fmt.Sprintf(sqlRan, quote(col), quote(table)))
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[string])
}
