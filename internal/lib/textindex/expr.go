package textindex

import "strings"

// Op says what an Expr asks.
type Op uint8

// What an Expr may ask.
const (
	OpNone   Op = iota // nothing is found
	OpAll              // everything is
	OpTerm             // has the term Text
	OpPrefix           // has a term that begins with Text
	OpAnd              // all of Args
	OpOr               // any of Args
	OpNot              // not the one of Args
)

// Expr is a condition on the terms of a document. It does not change once it is made.
type Expr struct {
	Op   Op
	Text string
	Args []Expr
}

// All is fulfilled by every document.
func All() Expr { return Expr{Op: OpAll} }

// None is fulfilled by no document.
func None() Expr { return Expr{} }

// Term asks for a term.
func Term(s string) Expr { return Expr{Op: OpTerm, Text: s} }

// Prefix asks for a term that begins so.
func Prefix(s string) Expr { return Expr{Op: OpPrefix, Text: s} }

// Not turns a condition round.
func Not(e Expr) Expr {
	switch e.Op {
	case OpAll:
		return None()
	case OpNone:
		return All()
	case OpNot:
		return e.Args[0]
	}
	return Expr{Op: OpNot, Args: []Expr{e}}
}

// And asks for all of them; All for none.
func And(list ...Expr) Expr {
	var args []Expr
	for _, e := range list {
		switch e.Op {
		case OpAll:
		case OpNone:
			return None()
		case OpAnd:
			args = append(args, e.Args...)
		default:
			args = append(args, e)
		}
	}
	switch len(args) {
	case 0:
		return All()
	case 1:
		return args[0]
	}
	return Expr{Op: OpAnd, Args: args}
}

// Or asks for any of them; None for none.
func Or(list ...Expr) Expr {
	var args []Expr
	for _, e := range list {
		switch e.Op {
		case OpNone:
		case OpAll:
			return All()
		case OpOr:
			args = append(args, e.Args...)
		default:
			args = append(args, e)
		}
	}
	switch len(args) {
	case 0:
		return None()
	case 1:
		return args[0]
	}
	return Expr{Op: OpOr, Args: args}
}

// String is for tests and logs of them.
func (e Expr) String() string {
	switch e.Op {
	case OpAll:
		return "all"
	case OpTerm:
		return strings.ToValidUTF8(strings.Map(shown, e.Text), "?")
	case OpPrefix:
		return strings.ToValidUTF8(strings.Map(shown, e.Text), "?") + "*"
	case OpNot:
		return "-" + e.Args[0].String()
	case OpAnd, OpOr:
		sep := " "
		if e.Op == OpOr {
			sep = " | "
		}
		parts := make([]string, len(e.Args))
		for i, a := range e.Args {
			parts[i] = a.String()
		}
		return "(" + strings.Join(parts, sep) + ")"
	}
	return "none"
}

func shown(r rune) rune {
	if r < ' ' {
		return '␀' + r
	}
	return r
}
