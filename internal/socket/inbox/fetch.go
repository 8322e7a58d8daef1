package inbox

import (
	"context"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"buttersc.one/oven/internal/lib/ap"
)

// maxFetches is how often what an activity waits for is asked for, before the
// activity is handled without it.
const maxFetches = 3

const (
	fetchLanes   = 4
	lanesPerHost = 2
	fetchTimeout = 45 * time.Second

	sqlWaiting = `SELECT waits_for FROM fed_inbox WHERE state = 1 AND next_at <= now() GROUP BY waits_for ORDER BY min(id) LIMIT 50`
	sqlCame    = `UPDATE fed_inbox SET state = 0, waits_for = NULL, next_at = now() WHERE state = 1 AND waits_for = $1`
	// After the last try, or when it is known to be in vain, the activity goes on
	// without what it waited for.
	sqlMissed = `UPDATE fed_inbox SET fetches = CASE WHEN $2 THEN $3 ELSE fetches + 1 END,
	state = CASE WHEN $2 OR fetches + 1 >= $3 THEN 0 ELSE 1 END,
	waits_for = CASE WHEN $2 OR fetches + 1 >= $3 THEN NULL ELSE waits_for END,
	next_at = now() + CASE WHEN $2 OR fetches + 1 >= $3 THEN interval '0' ELSE make_interval(secs => 5 * (fetches + 1)) END
WHERE state = 1 AND waits_for = $1`
)

// fetchLane asks for what activities wait for: few at a time, fewer of a host,
// and never in a worker's hands.
func (s *Service) fetchLane(ctx context.Context) {
	gate := make(chan struct{}, fetchLanes)
	var mu sync.Mutex
	under := map[string]bool{}
	hosts := map[string]int{}
	var wg sync.WaitGroup
	defer wg.Wait()
	for ctx.Err() == nil {
		uris, err := s.waiting(ctx)
		if err != nil && ctx.Err() == nil {
			s.log.Error("inbox: what is waited for", "err", err)
		}
		for _, uri := range uris {
			host, _ := ap.Host(uri)
			mu.Lock()
			free := !under[uri] && hosts[host] < lanesPerHost
			if free {
				under[uri] = true
				hosts[host]++
			}
			mu.Unlock()
			if !free {
				continue
			}
			gate <- struct{}{}
			wg.Go(func() {
				s.fetch(ctx, uri)
				<-gate
				mu.Lock()
				defer mu.Unlock()
				delete(under, uri)
				if hosts[host]--; hosts[host] == 0 {
					delete(hosts, host)
				}
			})
		}
		wait(ctx, nil, 100*time.Millisecond)
	}
}

func (s *Service) waiting(ctx context.Context) ([]string, error) {
	rows, err := s.db.Query(ctx, sqlWaiting)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[string])
}

func (s *Service) fetch(ctx context.Context, uri string) {
	fctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	err := s.cfg.Fetcher.Fetch(fctx, uri)
	cancel()
	if ctx.Err() != nil {
		return
	}
	if err == nil {
		_, err = s.db.Exec(ctx, sqlCame, uri)
	} else {
		final := s.cfg.Gone != nil && s.cfg.Gone(err)
		_, err = s.db.Exec(ctx, sqlMissed, uri, final, maxFetches)
	}
	if err != nil && ctx.Err() == nil {
		s.log.Error("inbox: fetched", "err", err)
	}
	s.poke()
}
