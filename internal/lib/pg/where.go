package pg

import (
	"strconv"
	"strings"
)

// Where collects optional conditions and their arguments. The texts are
// constants of the program; values go through arguments only.
//
//	var w pg.Where
//	w.And("n.user_id = ?", id)
//	rows, err := q.Query(ctx, sqlNotes+w.SQL()+" ORDER BY n.id DESC LIMIT 20", w.Args...)
type Where struct {
	Args  []any
	conds []string
}

// sqlText makes sure that only constants reach a statement: an untyped string
// constant converts to it, a string variable does not.
type sqlText string

// And adds a condition; every ? in it becomes the next numbered argument.
func (w *Where) And(cond sqlText, args ...any) {
	w.conds = append(w.conds, w.number(string(cond), args))
}

// Arg adds an argument and gives its placeholder.
func (w *Where) Arg(v any) string {
	w.Args = append(w.Args, v)
	return "$" + strconv.Itoa(len(w.Args))
}

func (w *Where) number(cond string, args []any) string {
	var b strings.Builder
	for {
		i := strings.IndexByte(cond, '?')
		if i < 0 {
			b.WriteString(cond)
			return b.String()
		}
		b.WriteString(cond[:i])
		b.WriteString(w.Arg(args[0]))
		args = args[1:]
		cond = cond[i+1:]
	}
}

// SQL is " WHERE a AND b", or "" without conditions.
func (w *Where) SQL() string {
	if len(w.conds) == 0 {
		return ""
	}
	return " WHERE " + w.All()
}

// All is the conditions joined by AND; "true" without conditions.
func (w *Where) All() string {
	if len(w.conds) == 0 {
		return "true"
	}
	return strings.Join(w.conds, " AND ")
}
