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

// only is the list of an id; "" is none.
func only(id string) []string {
	if id == "" {
		return nil
	}
	return []string{id}
}

// name puts ids in the place of names.
func (s *Service) name(ctx context.Context, viewer string, p *Part) (err error) {
	switch {
	case p.Kind == From || p.Kind == To:
		var id string
		id, err = s.account(ctx, viewer, p.Text)
		p.IDs = only(id)
	case p.Kind == In:
		p.IDs, err = s.Channels.Named(ctx, s.DB, p.Text)
	case p.Kind == inside:
		p.Kind, p.IDs = In, []string{p.Text}
	case p.Kind == author:
		p.Kind, p.IDs = From, []string{p.Text}
	case p.Kind == Is && p.Text == "mine":
		p.Kind, p.IDs = From, only(viewer)
	case p.Kind == Host:
		p.IDs = only(s.host(p.Text))
	}
	return err
}

// host is how the index names a server, a dot this one; "" for what is no name.
func (s *Service) host(text string) string {
	host, err := ap.NormalizeHost(text)
	switch {
	case text == ".", err == nil && host == s.Meta.Host:
		return "."
	case err != nil:
		return ""
	}
	return host
}

// account finds the id of "me", a name or an address; "" for nobody.
func (s *Service) account(ctx context.Context, viewer, text string) (string, error) {
	if text == "me" && viewer != "" {
		return viewer, nil
	}
	name, at, remote := strings.Cut(strings.TrimPrefix(text, "@"), "@")
	var host *string
	if remote {
		h, err := ap.NormalizeHost(at)
		if err != nil {
			return "", nil //nolint:nilerr // nobody has it
		}
		host = &h
	}
	u, err := s.Users.ByAcct(ctx, s.DB, name, host)
	if errors.Is(err, user.ErrNotFound) {
		return "", nil
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
		var any []textindex.Expr
		for _, mark := range p.marks() {
			any = append(any, textindex.Term(mark))
		}
		e = textindex.Or(any...)
	}
	switch {
	case !p.Not:
		return e
	case exact:
		return textindex.Not(e)
	}
	return textindex.All()
}

// marks are the terms of a filter, any of which will do.
func (p Part) marks() []string {
	var out []string
	switch p.Kind {
	case Tag:
		return []string{termTag + textindex.Normal(p.Text)}
	case Has:
		return []string{termHas + p.Text}
	case Is:
		return []string{termIs + p.Text}
	case Lang:
		return []string{termLang + strings.ToLower(p.Text)}
	}
	for _, id := range p.IDs {
		out = append(out, naming[p.Kind]+id)
	}
	return out
}

// naming are the terms that begin so, and go on with an id.
var naming = map[Kind]string{From: termAuthor, To: termFor, In: termChannel, Host: termHost}

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
	return slices.ContainsFunc(p.marks(), func(mark string) bool { return slices.Contains(marks, mark) })
}
