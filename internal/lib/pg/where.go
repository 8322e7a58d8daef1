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

// And adds a condition; every ? in it becomes the next numbered argument. ?1,
// ?2 … are args by their place, for what is said more than once.
func (w *Where) And(cond sqlText, args ...any) {
	w.conds = append(w.conds, w.number(string(cond), args))
}

// Any adds an OR of the condition with each of the arguments; false without
// any.
func (w *Where) Any(cond sqlText, args []any) {
	parts := make([]string, 0, len(args))
	for _, a := range args {
		parts = append(parts, w.number(string(cond), []any{a}))
	}
	if len(parts) == 0 {
		parts = append(parts, "false")
	}
	w.conds = append(w.conds, "("+strings.Join(parts, " OR ")+")")
}

// Arg adds an argument and gives its placeholder.
func (w *Where) Arg(v any) string {
	w.Args = append(w.Args, v)
	return "$" + strconv.Itoa(len(w.Args))
}

func (w *Where) number(cond string, args []any) string {
	var b strings.Builder
	placed := make([]string, len(args)) // placeholders of arguments by place
	next := 0
	for {
		i := strings.IndexByte(cond, '?')
		if i < 0 {
			b.WriteString(cond)
			return b.String()
		}
		b.WriteString(cond[:i])
		cond = cond[i+1:]
		if cond == "" || cond[0] < '1' || cond[0] > '9' {
			b.WriteString(w.Arg(args[next]))
			next++
			continue
		}
		n := cond[0] - '1'
		cond = cond[1:]
		if placed[n] == "" {
			placed[n] = w.Arg(args[n])
		}
		b.WriteString(placed[n])
	}
}

// Limit is a LIMIT as a constant: with an argument the planner expects a tenth
// of the table, finds no plan for all values good enough, and plans anew each
// time.
func Limit(n int) string { return " LIMIT " + strconv.Itoa(n) }

// Offset is an OFFSET as a constant.
func Offset(n int) string { return " OFFSET " + strconv.Itoa(n) }

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
