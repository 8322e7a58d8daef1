package doctor

import (
	"fmt"
	"strings"
)

// Merging says how rows of a table that are one thing become one row, and what a
// merge of the rows that they refer to does with them.
type Merging struct {
	Asks    []Ask    // rows that nobody but a person merges
	Agree   []string // columns in which the rows must not differ
	Alike   []Alike  // of these, rows that are one thing share one; none: the key says enough
	Fields  []Field
	Human   bool     // rows of this table are a person's own: a merge of what they refer to is decided by a person
	Keep    string   // an expression on t; of rows that collide the one with the highest stays; "": the oldest
	Also    []Key    // that are unique by what they mean, and not only by an index
	Drops   []string // conditions on t under which a row that was touched is dropped
	Tallies []Tally
	IDs     []Ref // JSON columns with ids in them
	Follow  []Ref // columns that name rows without it being wrong when they are gone
	Fixed   bool  // rows are never dropped for want of what they refer to
}

// Ask is a condition on t, and what it means.
type Ask struct{ Where, Says string }

// Alike is a column of the table, or of another table that refers to it.
type Alike struct{ Table, Ref, Column string }

// Field says what a column becomes.
type Field struct {
	Column, Rule string
	Args         []string
}

// Tally is a column that rows of another table make up, which refer to the row by
// its key: counted anew by an expression on t.
type Tally struct{ Column, Table, Ref, Key, Expr string }

// mergeWords are the words of a description that say how rows are merged:
//
//	ask CONDITION ON t | WORDS      only a person merges such rows
//	agree A B …                     rows that differ in one of these are not one thing
//	alike A | alike TABLE.REF.COLUMN   of all such lines of a table, one has to be the same in all rows
//	field A or|and|max|min|latest|union|concat     what the column becomes; latest: NULL is for ever
//	field A narrowest X Y Z         the first of these that one of the rows has
//	field A newest B                that of the row with the highest B
//	human                           rows are somebody's own
//	keep EXPRESSION ON t            which of colliding rows stays
//	also A B [where CONDITION]      a key that no index guards
//	drop CONDITION ON t             rows that a merge makes meaningless
//	tally A TABLE.B = KEY | EXPRESSION ON t     counted anew from rows whose B is the row's KEY
//	ids A TABLE                     ids of that table as strings in JSON
//	follow A TABLE.B | follows A TABLE.B    A names rows that may be gone; or lists them
//	fixed                           rows are kept though what they belong to is gone
func (t *Table) mergeWord(word, rest string, part func(int) string) (bool, error) {
	m := &t.Merging
	f := strings.Fields(rest)
	need := func(n int) error {
		if len(f) < n {
			return fmt.Errorf("%s: too few words", word)
		}
		return nil
	}
	switch word {
	case "ask":
		m.Asks = append(m.Asks, Ask{part(0), part(1)})
	case "agree":
		m.Agree = append(m.Agree, f...)
	case "alike":
		if err := need(1); err != nil {
			return true, err
		}
		a := Alike{Column: f[0]}
		if p := strings.Split(f[0], "."); len(p) == 3 {
			a = Alike{p[0], p[1], p[2]}
		}
		m.Alike = append(m.Alike, a)
	case "field":
		if err := need(2); err != nil {
			return true, err
		}
		m.Fields = append(m.Fields, Field{f[0], f[1], f[2:]})
	case "human":
		m.Human = true
	case "fixed":
		m.Fixed = true
	case "keep":
		m.Keep = rest
	case "also":
		m.Also = append(m.Also, parseKey(rest, true))
	case "drop":
		m.Drops = append(m.Drops, rest)
	case "tally":
		if f = strings.Fields(part(0)); len(f) != 4 {
			return true, fmt.Errorf("tally: not A TABLE.B = KEY")
		}
		of, ref, _ := strings.Cut(f[1], ".")
		m.Tallies = append(m.Tallies, Tally{f[0], of, ref, f[3], part(1)})
	case "follow", "follows":
		if err := need(2); err != nil {
			return true, err
		}
		to, col, _ := strings.Cut(f[1], ".")
		m.Follow = append(m.Follow, Ref{Column: f[0], Table: to, To: col, Kind: map[string]RefKind{"follow": Soft, "follows": Array}[word]})
	case "ids":
		if err := need(2); err != nil {
			return true, err
		}
		m.IDs = append(m.IDs, Ref{Column: f[0], Table: f[1], To: "id"})
	default:
		return false, nil
	}
	return true, nil
}

// sql is what the column becomes, as an aggregate over the rows r of a group;
// r.mine is the survivor's.
func (f Field) sql(kind string) (string, error) {
	c := "r." + quote(f.Column)
	switch f.Rule {
	case "or":
		return "bool_or(" + c + ")", nil
	case "and":
		return "bool_and(" + c + ")", nil
	case "max", "min":
		return f.Rule + "(" + c + ")", nil
	case "latest":
		return fmt.Sprintf("CASE WHEN bool_or(%s IS NULL) THEN NULL ELSE max(%s) END", c, c), nil
	case "concat":
		return fmt.Sprintf("coalesce(string_agg(DISTINCT nullif(%s, ''), E'\\n'), min(%s))", c, c), nil
	case "union":
		return fmt.Sprintf("(SELECT coalesce(array_agg(DISTINCT e), '{}')::%s FROM unnest(string_to_array(string_agg(array_to_string(%s, E'\\x1f'), E'\\x1f'), E'\\x1f')) e WHERE e <> '')", kind, c), nil
	case "newest":
		if len(f.Args) == 1 {
			return fmt.Sprintf("(array_agg(%s ORDER BY r.%s DESC NULLS LAST, r.mine DESC))[1]", c, quote(f.Args[0])), nil
		}
	case "narrowest":
		list := make([]string, len(f.Args))
		for i, a := range f.Args {
			list[i] = literal(a)
		}
		array := "ARRAY[" + strings.Join(list, ", ") + "]"
		return fmt.Sprintf("(%s)[min(array_position(%s, %s::text))]::%s", array, array, c, kind), nil
	}
	return "", fmt.Errorf("field %s: no such rule: %s", f.Column, f.Rule)
}
