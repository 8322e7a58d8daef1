package search

import (
	"context"
	"strings"
	"time"

	"buttersc.one/oven/internal/note"
	"buttersc.one/oven/internal/socket/api"
)

var errUnavailable = api.Err("UNAVAILABLE", "0b44998d-77aa-4427-80d0-d2c9b8523011", "Searching notes is not available.")

// errBusy says that others search so much that there was no turn within maxTime.
var errBusy = api.Err("TOO_MANY_SEARCHES", "5b2a3f0e-6a55-4ef4-9a0c-7c1c5d3f0c41", "Too many searches are under way. Try again in a moment.").WithStatus(503)

// allowed refuses those whose role may not search.
func (s *Service) allowed(ctx context.Context, c *api.Call) error {
	policies, err := s.Roles.Default()
	if id := c.ID(); id != "" {
		policies, err = s.Roles.Of(ctx, id)
	}
	if err != nil {
		return err
	}
	if !policies.CanSearchNotes || !s.Serves {
		return errUnavailable
	}
	return nil
}

type searchReq struct {
	api.Page
	Query     string  `json:"query" api:"required"`
	Limit     int     `json:"limit" api:"min=1,max=100,default=10"`
	Offset    int     `json:"offset" api:"min=0,default=0"`
	Host      *string `json:"host" api:"optional,nullable"` // "." is this server
	UserID    *string `json:"userId" api:"optional,nullable,id"`
	ChannelID *string `json:"channelId" api:"optional,nullable,id"`
}

const (
	maxQuery  = 2000 // bytes; what comes after is left out
	maxOffset = 5000
	patience  = 5 // times maxLooks, for clients that cannot go on from where a search ended
)

// parse reads a query, and what else a request says as parts of it.
func (s *Service) parse(text string, host, userID, channelID *string) Query {
	if len(text) > maxQuery {
		text = strings.ToValidUTF8(text[:maxQuery], "")
	}
	zone := s.Zone
	if zone == nil {
		zone = time.UTC
	}
	q := Parse(text, zone)
	for _, f := range []struct {
		kind  Kind
		value *string
	}{{Host, host}, {inside, channelID}} {
		if f.value != nil && *f.value != "" {
			q = append(q, []Part{{Kind: f.kind, Text: *f.value}})
		}
	}
	if userID != nil && *userID != "" {
		q = append(q, []Part{{Kind: author, Text: *userID}})
	}
	return q
}

// apiSearch finds notes, newest first; with only a lower bound, oldest first. A query
// without anything to look for finds nothing.
func (s *Service) apiSearch(ctx context.Context, c *api.Call, req searchReq) ([]*note.Packed, error) {
	if err := s.allowed(ctx, c); err != nil {
		return nil, err
	}
	q := s.parse(req.Query, req.Host, req.UserID, req.ChannelID)
	if len(q) == 0 || req.Offset > maxOffset {
		return []*note.Packed{}, nil
	}
	p, err := s.plan(ctx, c.ID(), q)
	if err != nil {
		return nil, err
	}
	s.within(p, req.Page)
	got, err := s.find(ctx, p, req.Limit, req.Offset, patience*maxLooks)
	if err != nil {
		return nil, err
	}
	return s.Notes.PackIDs(ctx, c.ID(), got.ids)
}

// within bounds a plan by a page.
func (s *Service) within(p *plan, page api.Page) {
	since, until, asc := page.Bounds(s.IDs.Method())
	if since > p.index.After {
		p.index.After = since
	}
	if until != "" && (p.index.Before == "" || until < p.index.Before) {
		p.index.Before = until
	}
	p.index.Ascending = asc
}

type ovenReq struct {
	Query     string `json:"query" api:"required"`
	Limit     int    `json:"limit" api:"min=1,max=100,default=20"`
	Cursor    string `json:"cursor" api:"optional,max=100"`
	Ascending bool   `json:"ascending" api:"default=false"` // oldest first
	UntilDate *int64 `json:"untilDate" api:"optional"`      // ms since 1970: what was written before
	SinceDate *int64 `json:"sinceDate" api:"optional"`      // ms since 1970: what was written after
}

// chip is a part of a query as it was understood.
type chip struct {
	Clause int     `json:"clause"` // parts of one clause are alternatives
	Kind   string  `json:"kind"`
	Text   string  `json:"text"`
	Not    bool    `json:"not"`
	At     *string `json:"at"`    // the moment, of before and after
	Known  bool    `json:"known"` // false: nobody, or no server, has this name
}

type ovenRes struct {
	Notes    []*note.Packed `json:"notes"`
	Cursor   *string        `json:"cursor"`   // for the next page; null: there is none
	Capped   bool           `json:"capped"`   // the page ends since enough was looked at
	Parts    []chip         `json:"parts"`    // how the query was read
	Building *float64       `json:"building"` // how much of the index is there, 0 to 1; null: all
}

// apiOven is apiSearch with a cursor that survives a page that is not full, and with
// how the query was read.
func (s *Service) apiOven(ctx context.Context, c *api.Call, req ovenReq) (*ovenRes, error) {
	if err := s.allowed(ctx, c); err != nil {
		return nil, err
	}
	q := s.parse(req.Query, nil, nil, nil)
	out := &ovenRes{Notes: []*note.Packed{}, Parts: []chip{}}
	if len(q) == 0 {
		return out, nil
	}
	p, err := s.plan(ctx, c.ID(), q)
	if err != nil {
		return nil, err
	}
	page := api.Page{SinceDate: req.SinceDate, UntilDate: req.UntilDate}
	if req.Ascending {
		page.SinceID = req.Cursor
	} else {
		page.UntilID = req.Cursor
	}
	s.within(p, page)
	p.index.Ascending = req.Ascending
	got, err := s.find(ctx, p, req.Limit, 0, maxLooks)
	if err != nil {
		return nil, err
	}
	if out.Notes, err = s.Notes.PackIDs(ctx, c.ID(), got.ids); err != nil {
		return nil, err
	}
	switch {
	case got.next != "":
		out.Cursor, out.Capped = &got.next, true
	case len(got.ids) == req.Limit:
		out.Cursor = &got.ids[len(got.ids)-1]
	}
	out.Parts = s.chips(ctx, c.ID(), q)
	if sh := s.shown(); sh != nil {
		out.Building = sh.state().part()
	}
	return out, nil
}

// part is how much is filled in, nil when all is.
func (st state) part() *float64 {
	if st.whole() {
		return nil
	}
	share := 0.0
	if st.Total > 0 {
		share = min(0.99, float64(st.Done)/float64(st.Total))
	}
	return &share
}

// chips tells how a query was read.
func (s *Service) chips(ctx context.Context, viewer string, q Query) []chip {
	out := []chip{}
	for i, clause := range q {
		for _, p := range clause {
			named := p
			c := chip{Clause: i, Kind: kinds[p.Kind], Text: p.Text, Not: p.Not, Known: true}
			if err := s.name(ctx, viewer, &named); err == nil {
				_, names := naming[named.Kind]
				c.Known = !names || len(named.IDs) > 0
			}
			if p.Kind == Before || p.Kind == After {
				at := p.At.UTC().Format(time.RFC3339)
				c.At = &at
			}
			out = append(out, c)
		}
	}
	return out
}
