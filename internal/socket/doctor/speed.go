package doctor

import (
	"slices"
	"strconv"
	"strings"
)

// fast looks whether the columns by which rows are found have an index that leads
// with them. What such an index is called and what follows in it is each version's
// own affair.
func (c *checker) fast(r *Report) error {
	for _, t := range c.schema.Tables {
		for _, col := range t.Indexed {
			if !c.has(t.Name, col.Name) || slices.ContainsFunc(c.cat.indexes[t.Name], col.served) {
				continue
			}
			r.find(Finding{Code: "index-slow", Where: t.Name + "." + col.Name, Detail: "no index leads with this column: whoever asks by it reads the whole table", Repair: col.create(t.Name), Count: 1})
		}
	}
	if c.schema.Names != "manifest" || c.schema.Newest == 0 || !slices.Contains(c.names, strconv.FormatInt(c.schema.Newest, 10)) {
		return nil // another version has other ones
	}
	list, err := wanted()
	for _, x := range list {
		if x.kind != "index" || x.typ == "UNIQUE" || isConstraint(list, x) || c.cat.tables[x.table] == nil ||
			slices.ContainsFunc(c.cat.indexes[x.table], func(i indexInfo) bool { return i.Name == x.name }) {
			continue
		}
		r.find(Finding{Code: "index-missing", Where: x.where(), Detail: "rows are found without it, slowly", Repair: x.create(), Count: 1})
	}
	return err
}

// served tells whether an index answers for the column, once it is whole: that it
// is not is told of the index itself.
func (i Indexed) served(x indexInfo) bool {
	return x.Where == "" && x.Method == i.Method && len(x.Columns) > 0 && x.Columns[0] == i.Name && !leftover.MatchString(x.Name)
}

func (i Indexed) name(table string) string { return typeorm("IDX_", 26, table, []string{i.Name}) }

func (i Indexed) create(table string) string {
	return "CREATE INDEX CONCURRENTLY " + quote(i.name(table)) + " ON " + quote(table) + " USING " + i.Method + " (" + quote(i.Name) + ")"
}

// plainIndex is the building of an index that only makes it fast, by its statement.
func plainIndex(f Finding) (Work, bool) {
	sql := strings.Replace(f.Repair, "CREATE INDEX CONCURRENTLY ", "CREATE INDEX ", 1)
	words := strings.Fields(sql)
	if len(words) < 5 || words[0] != "CREATE" || words[1] != "INDEX" || words[3] != "ON" || strings.Contains(sql, ";") {
		return Work{}, false
	}
	table := strings.Trim(strings.TrimPrefix(words[4], "public."), `"`)
	return Work{Kind: "index", Where: f.Where, SQL: []string{strings.Replace(sql, "CREATE INDEX ", "CREATE INDEX CONCURRENTLY ", 1)},
		Locks: locksBuild, Table: table, Index: strings.Trim(words[2], `"`)}, true
}
