package textindex

import (
	"slices"
	"strings"
)

// chunk is the documents that came last. They are few enough to look at each.
type chunk struct {
	docs []Doc // terms sorted; never changed, only added to
	dead []bool
	at   map[string]int // by id, of those that are not dead
}

// fits evaluates a condition on sorted terms.
func fits(terms []string, e Expr) bool {
	switch e.Op {
	case OpAll:
		return true
	case OpTerm:
		_, ok := slices.BinarySearch(terms, e.Text)
		return ok
	case OpPrefix:
		i, _ := slices.BinarySearch(terms, e.Text)
		return i < len(terms) && strings.HasPrefix(terms[i], e.Text)
	case OpAnd:
		for _, a := range e.Args {
			if !fits(terms, a) {
				return false
			}
		}
		return true
	case OpOr:
		for _, a := range e.Args {
			if fits(terms, a) {
				return true
			}
		}
	case OpNot:
		return !fits(terms, e.Args[0])
	}
	return false
}
