package role

import (
	"encoding/json"
	"fmt"
	"time"

	"buttersc.one/oven/internal/socket/api"
)

// Subject is what conditions see of an account.
type Subject struct {
	Local      bool
	Root       bool
	Suspended  bool
	Locked     bool
	Bot        bool
	Cat        bool
	Explorable bool
	CreatedAt  time.Time
	Followers  int
	Following  int
	Notes      int
	Assigned   []string // ids of the roles given to it
}

// condition decides whether a conditional role is an account's.
type condition func(s *Subject, now time.Time) bool

// node is a formula as clients write it.
type node struct {
	ID     string          `json:"id"`
	Type   string          `json:"type"`
	Values []node          `json:"values"`
	Value  json.RawMessage `json:"value"` // a number, or the formula of not
	RoleID string          `json:"roleId"`
	Sec    *float64        `json:"sec"`
}

// Bounds of a formula.
const (
	maxDepth = 16
	maxNodes = 200
)

// nobody is the formula of a role that has none.
const nobody = `{"id":"none","type":"or","values":[]}`

// readFormula checks a formula and makes its condition.
func readFormula(raw json.RawMessage) (condition, error) {
	var n node
	if err := json.Unmarshal(raw, &n); err != nil {
		return nil, badFormula("must be a formula")
	}
	left := maxNodes
	return n.compile(maxDepth, &left)
}

func badFormula(why string) error { return api.InvalidParam("#/properties/condFormula", why) }

func (n *node) compile(depth int, left *int) (condition, error) {
	if *left--; depth == 0 || *left < 0 {
		return nil, badFormula("is too large")
	}
	switch n.Type {
	case "and", "or":
		return n.compileAll(depth, left)
	case "not":
		var inner node
		if err := json.Unmarshal(n.Value, &inner); err != nil {
			return nil, badFormula("not must have a formula as value")
		}
		c, err := inner.compile(depth-1, left)
		if err != nil {
			return nil, err
		}
		return func(s *Subject, now time.Time) bool { return !c(s, now) }, nil
	case "roleAssignedTo":
		if n.RoleID == "" {
			return nil, badFormula("roleAssignedTo must name a role")
		}
		return func(s *Subject, _ time.Time) bool {
			for _, id := range s.Assigned {
				if id == n.RoleID {
					return true
				}
			}
			return false
		}, nil
	case "createdLessThan", "createdMoreThan":
		if n.Sec == nil || *n.Sec < 0 || *n.Sec > 1e10 {
			return nil, badFormula(n.Type + " must have a number of seconds")
		}
		age, younger := time.Duration(*n.Sec*float64(time.Second)), n.Type == "createdLessThan"
		if *n.Sec > 9e9 {
			age = 1<<63 - 1 // longer than a duration can be
		}
		return func(s *Subject, now time.Time) bool {
			if younger {
				return now.Sub(s.CreatedAt) < age
			}
			return now.Sub(s.CreatedAt) > age
		}, nil
	}
	if flag := flagOf(n.Type); flag != nil {
		return func(s *Subject, _ time.Time) bool { return flag(s) }, nil
	}
	return n.compileCount()
}

func (n *node) compileAll(depth int, left *int) (condition, error) {
	list := make([]condition, 0, len(n.Values))
	for i := range n.Values {
		c, err := n.Values[i].compile(depth-1, left)
		if err != nil {
			return nil, err
		}
		list = append(list, c)
	}
	all := n.Type == "and"
	return func(s *Subject, now time.Time) bool {
		for _, c := range list {
			if c(s, now) != all {
				return !all
			}
		}
		return all
	}, nil
}

func flagOf(typ string) func(s *Subject) bool {
	switch typ {
	case "isLocal":
		return func(s *Subject) bool { return s.Local }
	case "isRemote":
		return func(s *Subject) bool { return !s.Local }
	case "isSuspended":
		return func(s *Subject) bool { return s.Suspended }
	case "isLocked":
		return func(s *Subject) bool { return s.Locked }
	case "isBot":
		return func(s *Subject) bool { return s.Bot }
	case "isCat":
		return func(s *Subject) bool { return s.Cat }
	case "isExplorable":
		return func(s *Subject) bool { return s.Explorable }
	}
	return nil
}

// compileCount compares one of the account's counts.
func (n *node) compileCount() (condition, error) {
	counts := map[string]func(s *Subject) int{
		"followers": func(s *Subject) int { return s.Followers },
		"following": func(s *Subject) int { return s.Following },
		"notes":     func(s *Subject) int { return s.Notes },
	}
	for name, count := range counts {
		less, more := name+"LessThanOrEq", name+"MoreThanOrEq"
		if n.Type != less && n.Type != more {
			continue
		}
		var bound float64
		if json.Unmarshal(n.Value, &bound) != nil || string(n.Value) == "null" {
			return nil, badFormula(n.Type + " must have a number as value")
		}
		return func(s *Subject, _ time.Time) bool {
			if n.Type == less {
				return float64(count(s)) <= bound
			}
			return float64(count(s)) >= bound
		}, nil
	}
	return nil, badFormula(fmt.Sprintf("there is no condition %.40q", n.Type))
}
