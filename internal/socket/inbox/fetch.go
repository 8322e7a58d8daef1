package inbox

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"buttersc.one/oven/internal/lib/ap"
)

const (
	maxParks   = 8 // things that one activity may wait for, one after the other
	maxFetches = 3 // failures until it goes without
	fetchTime  = time.Minute

	fetchesAll  = 8 // under way
	fetchesHost = 2 // of those from one host
)

const sqlPark = `
UPDATE fed_inbox SET state = 2, waits_for = $2, wait_host = $3, parks = parks + 1, fetches = 0, due_at = $4
WHERE id = $1 AND state = 0`

const sqlGoWithout = `UPDATE fed_inbox SET last = true WHERE id = $1 AND state = 0`

// park puts an activity aside until what it needs has been fetched. It goes
// without at once when that was fetched before and is still missing, is this
// server's own (what does not exist here exists nowhere), or cannot be fetched.
func (s *Service) park(ctx context.Context, j *job, row *taken, uri string) error {
	host, err := ap.Host(uri)
	if err != nil || host == s.cfg.Self || strings.HasPrefix(uri, s.cfg.Origin+"/") || !plainID(uri) || uri == row.waited || row.parks >= maxParks {
		if _, err := s.db.Exec(ctx, sqlGoWithout, j.id); err != nil {
			return fmt.Errorf("go without: %w", err)
		}
		return nil
	}
	if _, err := s.db.Exec(ctx, sqlPark, j.id, uri, host, s.cfg.Now()); err != nil {
		return fmt.Errorf("park: %w", err)
	}
	s.fetches.poke()
	return nil
}

// fetches are what is being fetched for parked activities.
type fetches struct {
	mu    sync.Mutex
	uris  map[string]struct{}
	hosts map[string]int
	wake  chan struct{}
}

func newFetches() *fetches {
	return &fetches{uris: map[string]struct{}{}, hosts: map[string]int{}, wake: make(chan struct{}, 1)}
}

func (f *fetches) poke() {
	select {
	case f.wake <- struct{}{}:
	default:
	}
}

// begin takes a place for uri; false when there is none, or it is being fetched.
func (f *fetches) begin(uri, host string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, ok := f.uris[uri]; ok || len(f.uris) >= fetchesAll || f.hosts[host] >= fetchesHost {
		return false
	}
	f.uris[uri] = struct{}{}
	f.hosts[host]++
	return true
}

func (f *fetches) end(uri, host string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.uris, uri)
	if f.hosts[host]--; f.hosts[host] <= 0 {
		delete(f.hosts, host)
	}
}

// fetchLane fetches what parked activities wait for, until ctx ends.
func (s *Service) fetchLane(ctx context.Context) {
	var wg sync.WaitGroup
	defer wg.Wait()
	tick := time.NewTicker(poll)
	defer tick.Stop()
	for ctx.Err() == nil {
		wanted, err := s.wanted(ctx)
		if err != nil && ctx.Err() == nil {
			s.log.Error("parked activities not read", "err", err)
		}
		for _, w := range wanted {
			if s.fetches.begin(w.uri, w.host) {
				wg.Go(func() { s.fetchOne(ctx, w) })
			}
		}
		pause(ctx, rest)
		select {
		case <-ctx.Done():
		case <-s.fetches.wake:
		case <-tick.C:
		}
	}
}

type wanted struct{ uri, host string }

// A few of each host, so that one with many cannot hide the others. The oldest
// rows first: later ones of the same host wait for a place anyway.
const sqlWanted = `
WITH RECURSIVE h (host) AS (
	(SELECT wait_host FROM fed_inbox WHERE state = 2 ORDER BY wait_host LIMIT 1)
	UNION ALL
	SELECT (SELECT f.wait_host FROM fed_inbox f WHERE f.state = 2 AND f.wait_host > h.host ORDER BY f.wait_host LIMIT 1)
	FROM h WHERE h.host IS NOT NULL
)
SELECT c.waits_for, h.host, min(c.due_at) AS since
FROM h CROSS JOIN LATERAL (
	SELECT f.waits_for, f.due_at FROM fed_inbox f
	WHERE f.state = 2 AND f.wait_host = h.host AND f.due_at <= $1 AND NOT f.waits_for = ANY($2::text[])
	ORDER BY f.due_at LIMIT 16
) c
WHERE h.host IS NOT NULL
GROUP BY 1, 2 ORDER BY since`

func (s *Service) wanted(ctx context.Context) ([]wanted, error) {
	s.fetches.mu.Lock()
	under := make([]string, 0, len(s.fetches.uris))
	for uri := range s.fetches.uris {
		under = append(under, uri)
	}
	s.fetches.mu.Unlock()
	if len(under) >= fetchesAll {
		return nil, nil
	}
	rows, err := s.db.Query(ctx, sqlWanted, s.cfg.Now(), under)
	if err != nil {
		return nil, fmt.Errorf("what is waited for: %w", err)
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (w wanted, err error) {
		var since time.Time
		err = row.Scan(&w.uri, &w.host, &since)
		return w, err
	})
}

const sqlCame = `
UPDATE fed_inbox SET state = 0, fetches = 0 WHERE state = 2 AND waits_for = $1`

const sqlDidNotCome = `
UPDATE fed_inbox SET fetches = fetches + 1,
	state = CASE WHEN $2 OR fetches + 1 >= $4 THEN 0 ELSE 2 END,
	last = last OR $2 OR fetches + 1 >= $4,
	due_at = $3::timestamptz + CASE fetches WHEN 0 THEN interval '2 seconds' ELSE interval '15 seconds' END
WHERE state = 2 AND waits_for = $1 AND due_at <= $3`

// fetchOne fetches one thing and sets free all that wait for it: because it
// came, because there is no such thing, or because it failed too often.
func (s *Service) fetchOne(ctx context.Context, w wanted) {
	defer s.fetches.poke()
	defer s.fetches.end(w.uri, w.host)
	// Before the request: what is parked while it runs and fails was not tried.
	began := s.cfg.Now()
	limited, cancel := context.WithTimeout(ctx, fetchTime)
	err := s.protect("fetch", func() error { return s.cfg.Fetcher.Fetch(limited, w.uri) })
	cancel()
	if ctx.Err() != nil {
		return // stopping; the rows are as they were
	}
	if err == nil {
		_, err = s.db.Exec(ctx, sqlCame, w.uri)
	} else {
		s.log.Info("not fetched", "uri", w.uri, "gone", s.cfg.Gone(err), "kind", fmt.Sprintf("%T", unwrapped(err)))
		_, err = s.db.Exec(ctx, sqlDidNotCome, w.uri, s.cfg.Gone(err), began, maxFetches)
	}
	if err != nil {
		s.log.Error("parked activities not set free", "uri", w.uri, "err", err)
		pause(ctx, time.Second)
		return
	}
	s.queue.poke()
}

// unwrapped is the error at the bottom, whose type tells what went wrong.
func unwrapped(err error) error {
	for next := errors.Unwrap(err); next != nil; next = errors.Unwrap(err) {
		err = next
	}
	return err
}
