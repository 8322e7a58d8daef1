package doctor

import (
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
)

// Schema is what should hold in a database: its tables, and what is true of
// their rows. It is read from a text (see ParseSchema) and names no column that
// the database must have: what is not there is passed over.
type Schema struct {
	Tables     []*Table
	Enums      []Enum
	Known      []string // tables that other versions have; nothing is known of their rows
	Migrations string   // table.column with the names of the migrations that ran
	First      string   // the migration that every database has run
	Must       []string // table.column without which it is another database
	Host       string   // the statement that tells the server's own host
	Redirects  string   // table (kind, old_id, new_id) that is told what became part of what; "": none
	Newest     int64    // number of the migration that the manifest is of; 0: its plain indexes are not compared
	Names      string   // how indexes are called: typeorm, or manifest for this program's own
	byName     map[string]*Table
}

// Table is a table and what holds in it.
type Table struct {
	Name    string
	Columns []string // nil: not compared
	Keys    []Key
	Refs    []Ref
	Copies  []Copy
	Counts  []Count
	Rules   []Rule
	Indexed []Indexed
	Stored  []Stored
	Merging Merging
}

// Stored is an expression that names a file in the store.
type Stored struct {
	Key, Where string
	Erased     bool // the file may be gone already
}

// Indexed is a column by which rows are looked for.
type Indexed struct {
	Name   string
	Method string // btree, gin
}

// Key is a set of columns that identifies a row.
type Key struct {
	Columns []string // or expressions, which have brackets
	Where   string   // "" = all rows
	Nulls   bool     // two rows with NULL in the same place are the same
	Guarded bool     // and the index must know that
	Beside  string   // a column that tells whether rows that share the key are one thing twice, or two; "" = none
	Wanted  bool     // unique by its meaning only: there is no index to look for
}

// Ref is a column that names rows of another table.
type Ref struct {
	Column, Table, To string
	Kind              RefKind
	Until             string // prefix of the migration that dropped the constraint
	Null              bool   // the constraint empties the column when the row that is named goes
}

// RefKind says how a reference is kept.
type RefKind int

// The kinds of reference.
const (
	Constraint RefKind = iota // by a foreign key
	Soft                      // by nobody
	Array                     // by nobody, and there are many in a column
)

// Copy is a column that repeats what a row referred to says.
type Copy struct{ Column, Via, Table, Of string }

// Count is a column that holds how many rows of another table refer to the row.
type Count struct {
	Column, Table, Ref, Key string
	Child, Own              string // conditions on c, the row counted, and t, the row with the counter
}

// Rule is a condition that no row t may fulfil.
type Rule struct{ Code, Column, Where, Says, Join string }

// Enum is a type that must have these values.
type Enum struct {
	Name   string
	Values []string
}

// ParseSchema reads a description, one thing a line:
//
//	table NAME                    what follows is of this table
//	columns A B … | columns *     all columns it is known to have; * = not compared
//	key A B [nulls] [guarded] [beside C] [where CONDITION]     unique
//	want A B [nulls] [beside C]   unique by its meaning, without an index
//	index A B … | gin A B …       rows are looked for by each of these, so an index leads with it
//	stored KEY [where CONDITION]  the expression KEY on t names a file in the store
//	erased KEY                    the same, of a file that may be gone already
//	ref A TABLE.B [until NAME | null]   a foreign key; until a migration whose name begins so; null: it sets NULL
//	soft A TABLE.B                a reference without one
//	array A TABLE.B               many of them in a column
//	copy A VIA TABLE.B            A repeats B of the row that VIA names by its id
//	count A TABLE.B [= KEY] [| CONDITION ON c [| CONDITION ON t]]
//	rule CODE A | CONDITION ON t [| WORDS [| JOIN]]
//
// what merges rows (see mergeWord)
//
// and, for the whole: enum NAME A B …, known TABLE …, migrations TABLE.COLUMN,
// first NAME, must TABLE.COLUMN …, host STATEMENT, names typeorm|manifest, redirects TABLE. Lines with # are remarks. {host}
// stands for what the last of these tells.
func ParseSchema(text string) (*Schema, error) {
	s := &Schema{byName: map[string]*Table{}}
	t := &Table{}
	for n, line := range strings.Split(text, "\n") {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		if err := s.line(&t, line); err != nil {
			return nil, fmt.Errorf("line %d: %w", n+1, err)
		}
	}
	return s, nil
}

func (s *Schema) line(at **Table, line string) error {
	word, rest, _ := strings.Cut(line, " ")
	parts := strings.Split(rest, "|")
	for i := range parts {
		parts[i] = strings.TrimSpace(parts[i])
	}
	part := func(i int) string {
		if i < len(parts) {
			return parts[i]
		}
		return ""
	}
	f := strings.Fields(parts[0])
	t := *at
	need := func(n int) error {
		if len(f) < n {
			return fmt.Errorf("%s: too few words", word)
		}
		return nil
	}
	switch word {
	case "table":
		*at = &Table{Name: rest}
		s.Tables = append(s.Tables, *at)
		s.byName[rest] = *at
	case "columns":
		if rest != "*" {
			t.Columns = append(t.Columns, f...)
		}
	case "key", "want":
		t.Keys = append(t.Keys, parseKey(rest, word == "want"))
	case "stored", "erased":
		key, where, ok := strings.Cut(rest, " where ")
		if !ok {
			where = "true"
		}
		t.Stored = append(t.Stored, Stored{key, where, word == "erased"})
	case "index", "gin":
		for _, name := range f {
			t.Indexed = append(t.Indexed, Indexed{name, map[string]string{"index": "btree", "gin": "gin"}[word]})
		}
	case "ref", "soft", "array":
		if err := need(2); err != nil {
			return err
		}
		to, col, _ := strings.Cut(f[1], ".")
		r := Ref{Column: f[0], Table: to, To: col, Kind: map[string]RefKind{"ref": Constraint, "soft": Soft, "array": Array}[word]}
		if len(f) == 4 && f[2] == "until" {
			r.Until = f[3]
		}
		r.Null = len(f) == 3 && f[2] == "null"
		t.Refs = append(t.Refs, r)
	case "copy":
		if err := need(3); err != nil {
			return err
		}
		to, col, _ := strings.Cut(f[2], ".")
		t.Copies = append(t.Copies, Copy{f[0], f[1], to, col})
	case "count":
		if err := need(2); err != nil {
			return err
		}
		of, ref, _ := strings.Cut(f[1], ".")
		c := Count{Column: f[0], Table: of, Ref: ref, Key: "id", Child: part(1), Own: part(2)}
		if len(f) == 4 {
			c.Key = f[3]
		}
		t.Counts = append(t.Counts, c)
	case "rule":
		if err := need(2); err != nil {
			return err
		}
		t.Rules = append(t.Rules, Rule{Code: f[0], Column: f[1], Where: part(1), Says: part(2), Join: part(3)})
	case "enum":
		s.Enums = append(s.Enums, Enum{f[0], f[1:]})
	case "known":
		s.Known = append(s.Known, f...)
	case "migrations":
		s.Migrations = rest
	case "first":
		s.First = rest
	case "must":
		s.Must = f
	case "host":
		s.Host = rest
	case "redirects":
		s.Redirects = rest
	case "names":
		s.Names = rest
	default:
		if known, err := t.mergeWord(word, rest, part); !known || err != nil {
			if err == nil {
				err = fmt.Errorf("unknown word %q", word)
			}
			return err
		}
	}
	return nil
}

func parseKey(text string, wanted bool) Key {
	k := Key{Wanted: wanted}
	columns, where, _ := strings.Cut(text, " where ")
	k.Where = where
	words := strings.Fields(columns)
	for i, c := range words {
		if i > 0 && words[i-1] == "beside" {
			k.Beside = c
			continue
		}
		switch c {
		case "beside":
		case "nulls":
			k.Nulls = true
		case "guarded":
			k.Guarded = true
		default:
			k.Columns = append(k.Columns, c)
		}
	}
	return k
}

// quote is a name as SQL needs it; expressions stay.
func quote(column string) string {
	if strings.Contains(column, "(") {
		return column
	}
	return pgx.Identifier{column}.Sanitize()
}

func (k Key) name() string { return strings.Join(k.Columns, ",") }
