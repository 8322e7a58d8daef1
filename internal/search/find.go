package search

import (
	"context"
	"errors"
	"fmt"
	"time"

	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/note"
)

const (
	// maxLooks is how many notes are looked at for one page. What the index takes for a
	// hit and is none, such as 니다니다, is rare, but can be all there is.
	maxLooks            = 2000
	firstLook, nextLook = 30, 200
	// maxTime of one search.
	maxTime = 5 * time.Second
)

// consent is the condition that an author wants the note to be found by the viewer:
// what he addressed to him, and what is his own, everybody may find.
const (
	consent = `(n.user_id = ?1 OR ?1 = ANY(n.visible_user_ids) OR ?1 = ANY(n.mentions)
	OR (n.visibility IN ('public', 'home') AND u.is_indexable))`
	guestConsent = `(n.visibility IN ('public', 'home') AND u.is_indexable)`
)

// found is a page of hits.
type found struct {
	ids  []string
	next string // where to go on when not all were looked at; "": there are no more, or the page is full
}

// find gives the next notes that are meant and may be seen. skip leaves out the first.
func (s *Service) find(ctx context.Context, p *plan, limit, skip, looks int) (*found, error) {
	sh := s.shown()
	if sh == nil {
		return nil, errUnavailable
	}
	began := time.Now()
	s.searches.Add(1)
	defer func() { s.spent.Add(int64(time.Since(began))) }()
	ctx, cancel := context.WithTimeout(ctx, maxTime)
	defer cancel()
	select {
	case s.slots <- struct{}{}:
		defer func() { <-s.slots }()
	case <-ctx.Done():
		return nil, errBusy
	}
	hits := sh.drv.Search(ctx, p.index)
	defer hits.Close()
	out := &found{ids: []string{}}
	for looked, n := 0, max(firstLook, limit+limit/2); ; n = nextLook {
		batch := make([]string, 0, n)
		for len(batch) < n {
			id, ok := hits.Next()
			if !ok {
				break
			}
			batch = append(batch, id)
		}
		if len(batch) == 0 {
			break
		}
		meant, err := s.look(ctx, p, batch)
		switch {
		case errors.Is(ctx.Err(), context.DeadlineExceeded):
			return nil, errBusy
		case err != nil:
			return nil, err
		}
		for _, id := range batch {
			if !meant[id] {
				continue
			}
			if skip > 0 {
				skip--
				continue
			}
			if out.ids = append(out.ids, id); len(out.ids) == limit {
				return out, nil
			}
		}
		if len(batch) < n {
			break
		}
		if looked += len(batch); looked >= looks {
			out.next = batch[len(batch)-1]
			return out, nil
		}
	}
	if err := hits.Err(); err != nil {
		s.Slog.Warn("search: a part of the index could not be read", "err", err)
		s.wake()
	}
	return out, nil
}

// look asks the database which of the notes the viewer may see and find, and compares
// what they say with the query.
func (s *Service) look(ctx context.Context, p *plan, ids []string) (map[string]bool, error) {
	s.looked.Add(int64(len(ids)))
	var w pg.Where
	w.And("n.id = ANY(?)", ids)
	w.And("NOT n.is_pure_renote")
	if p.query.inChannel() {
		note.See(&w, p.viewer)
	} else {
		note.SeeElsewhere(&w, p.viewer)
	}
	if p.viewer == "" {
		w.And(guestConsent)
	} else {
		w.And(consent, p.viewer)
	}
	if s.Local {
		w.And("n.user_host IS NULL")
	}
	rows, err := s.rows(ctx, s.DB, sqlRowColumns+w.SQL(), w.Args...)
	if err != nil {
		return nil, fmt.Errorf("look at hits: %w", err)
	}
	out := make(map[string]bool, len(rows))
	for _, n := range rows {
		out[n.ID] = s.holds(p.query, n)
	}
	return out, nil
}
