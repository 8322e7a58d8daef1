package timeline

import (
	"context"

	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/socket/api"
)

// Shrink makes feeds so small that a few notes go below their tails.
func (s *Service) Shrink(size, window, enough, each int) {
	s.feeds.limits = feedLimits{size: size, window: window, enough: enough, each: each}
}

// Warm tells how many feeds are in memory.
func (s *Service) Warm() int {
	s.feeds.mu.Lock()
	defer s.feeds.mu.Unlock()
	return len(s.feeds.m)
}

// Drop drops all feeds.
func (s *Service) Drop() { s.feeds.dropAll() }

// Oracle gives the ids of a page from the database alone, without the limits
// of its window: one plain statement over all notes.
func (s *Service) Oracle(ctx context.Context, me, kind, listID string, p api.Page, limit int) ([]string, error) {
	common := lineReq{IncludeMyRenotes: true, IncludeRenotedMyNotes: true, IncludeLocalRenotes: true, WithRenotes: true}
	var l *line
	switch kind {
	case "notes/timeline":
		l = homeLine(me, &common)
	case "notes/hybrid-timeline":
		l = hybridLine(me, &hybridReq{lineReq: common})
	default:
		l = listLine(me, &listReq{lineReq: common, ListID: listID})
	}
	var sp span
	sp.since, sp.until, sp.asc = p.Bounds(s.ids.Method())
	var w pg.Where
	l.conds(&w)
	conds := w.SQL() + sp.bounds(&w, "n")
	return s.noteIDs(ctx, "SELECT n.id FROM note n"+conds+order(sp.asc)+pg.Limit(limit), w.Args...)
}
