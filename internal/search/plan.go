package search

import (
	"context"
	"errors"
	"slices"
	"strings"

	"buttersc.one/oven/internal/lib/ap"
	"buttersc.one/oven/internal/lib/textindex"
	"buttersc.one/oven/internal/user"
)

// plan is a query as it is carried out for one viewer.
type plan struct {
	viewer string
	query  Query // names are ids in it
	index  textindex.Query
}

// plan resolves the names in a query and says what is asked of the index, which may
// give more than what is meant, and never less.
func (s *Service) plan(ctx context.Context, viewer string, q Query) (*plan, error) {
	p := &plan{viewer: viewer}
	exprs := []textindex.Expr{p.sight()}
	for _, clause := range q {
		parts := slices.Clone(clause)
		var any []textindex.Expr
		for i := range parts {
			if err := s.name(ctx, viewer, &parts[i]); err != nil {
				return nil, err
			}
			any = append(any, parts[i].expr())
		}
		if len(parts) == 1 && s.bound(&p.index, parts[0]) {
			continue
		}
		p.query = append(p.query, parts)
		exprs = append(exprs, textindex.Or(any...))
	}
	p.index.Expr = textindex.And(exprs...)
	return p, nil
}

// sight is what the viewer may see, as far as the index knows: what everybody may
// find, his own, and what is for him.
func (p *plan) sight() textindex.Expr {
	if p.viewer == "" {
		return textindex.Term(termFindable)
	}
	return textindex.Or(textindex.Term(termFindable), textindex.Term(termAuthor+p.viewer), textindex.Term(termFor+p.viewer))
}

// nobody is the id of an account that is not known.
const nobody = "?"

// name puts ids in the place of names.
func (s *Service) name(ctx context.Context, viewer string, p *Part) error {
	switch {
	case p.Kind == From || p.Kind == To:
		id, err := s.account(ctx, viewer, p.Text)
		p.ID = id
		return err
	case p.Kind == author:
		p.Kind, p.ID = From, p.Text
	case p.Kind == Is && p.Text == "mine":
		p.Kind, p.ID = From, viewer
		if viewer == "" {
			p.ID = nobody
		}
	case p.Kind == Host:
		p.ID = p.Text
		if p.Text != "." {
			host, err := ap.NormalizeHost(p.Text)
			switch {
			case err != nil:
				p.ID = nobody
			case host == s.Meta.Host:
				p.ID = "."
			default:
				p.ID = host
			}
		}
	default:
		p.ID = p.Text
	}
	return nil
}

// account finds the id of "me", a name or an address.
func (s *Service) account(ctx context.Context, viewer, text string) (string, error) {
	if text == "me" && viewer != "" {
		return viewer, nil
	}
	name, at, remote := strings.Cut(strings.TrimPrefix(text, "@"), "@")
	var host *string
	if remote {
		h, err := ap.NormalizeHost(at)
		if err != nil {
			return nobody, nil //nolint:nilerr // nobody has it
		}
		host = &h
	}
	u, err := s.Users.ByAcct(ctx, s.DB, name, host)
	if errors.Is(err, user.ErrNotFound) {
		return nobody, nil
	}
	if err != nil {
		return "", err
	}
	return u.ID, nil
}

// expr is what a part asks of the index.
func (p Part) expr() textindex.Expr {
	var e textindex.Expr
	exact := true
	switch p.Kind {
	case Word:
		e, exact = textindex.Word(p.Text)
	case Phrase:
		e, exact = textindex.Phrase(p.Text), false
	case Before, After:
		return textindex.All()
	default:
		e = textindex.Term(p.mark())
	}
	switch {
	case !p.Not:
		return e
	case exact:
		return textindex.Not(e)
	}
	return textindex.All()
}

// mark is the term of a filter.
func (p Part) mark() string {
	switch p.Kind {
	case Tag:
		return termTag + textindex.Normal(p.Text)
	case From:
		return termAuthor + p.ID
	case To:
		return termFor + p.ID
	case In:
		return termChannel + p.ID
	case Has:
		return termHas + p.Text
	case Is:
		return termIs + p.Text
	case Lang:
		return termLang + strings.ToLower(p.Text)
	}
	return termHost + p.ID
}

// bound turns a moment into a bound of ids.
func (s *Service) bound(q *textindex.Query, p Part) bool {
	method := s.IDs.Method()
	switch {
	case p.Kind == Before && !p.Not || p.Kind == After && p.Not:
		if id := method.Before(p.At); q.Before == "" || id < q.Before {
			q.Before = id
		}
	case p.Kind == After && !p.Not || p.Kind == Before && p.Not:
		if id := method.After(p.At.Add(-1)); id > q.After {
			q.After = id
		}
	default:
		return false
	}
	return true
}

// holds tells whether a note is what the query means.
func (s *Service) holds(q Query, n *row) bool {
	var marks []string
	for _, clause := range q {
		if !slices.ContainsFunc(clause, func(p Part) bool {
			if marks == nil && p.Kind != Word && p.Kind != Phrase {
				marks = n.marks()
			}
			return s.fulfils(p, n, marks) != p.Not
		}) {
			return false
		}
	}
	return true
}

func (s *Service) fulfils(p Part, n *row, marks []string) bool {
	switch p.Kind {
	case Word:
		return textindex.Holds(n.text(), p.Text)
	case Phrase:
		return textindex.Contains(n.text(), p.Text)
	case Before:
		return n.ID < s.IDs.Method().Before(p.At)
	case After:
		return n.ID >= s.IDs.Method().Before(p.At)
	}
	return slices.Contains(marks, p.mark())
}
