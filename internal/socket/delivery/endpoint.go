package delivery

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"slices"
	"sync"

	"github.com/jackc/pgx/v5"

	"buttersc.one/oven/internal/lib/ap"
	"buttersc.one/oven/internal/lib/pg"
)

const (
	maxEndpoints = 100_000   // remembered by URL
	maxDigests   = 20_000    // remembered by digest
	maxMembers   = 4_000_000 // endpoints in all remembered sets: 16 MB
)

// book remembers what has been interned, by rows that are committed.
type book struct {
	mu        sync.Mutex
	endpoints map[string]entry
	digests   map[[sha256.Size]byte]int64
	sets      map[int64][]int32 // sorted
	members   int               // in sets
}

type entry struct {
	id   int32
	host string
}

func (b *book) endpoint(url string) (int32, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	e, ok := b.endpoints[url]
	return e.id, ok
}

func (b *book) putEndpoints(m map[string]entry) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.endpoints == nil || len(b.endpoints)+len(m) > maxEndpoints {
		b.endpoints = map[string]entry{}
	}
	for url, e := range m {
		b.endpoints[url] = e
	}
}

func (b *book) putDigest(digest [sha256.Size]byte, id int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.digests == nil || len(b.digests) >= maxDigests {
		b.digests = map[[sha256.Size]byte]int64{}
	}
	b.digests[digest] = id
}

func (b *book) putSet(id int64, set []int32) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.sets == nil || b.members+len(set) > maxMembers {
		b.sets, b.members = map[int64][]int32{}, 0
	}
	if _, ok := b.sets[id]; !ok {
		b.sets[id] = set
		b.members += len(set)
	}
}

func (b *book) forget() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.endpoints, b.digests, b.sets, b.members = nil, nil, nil, 0
}

// once runs f now for a pool and after the commit for a transaction: what a
// rolled back transaction wrote must not be remembered.
func once(q pg.Q, f func()) {
	if tx, ok := q.(*pg.Tx); ok {
		tx.AfterCommit(f)
		return
	}
	f()
}

// Endpoints gives the endpoint of each inbox's Best, sorted and each once;
// inboxes of this server and of hosts that are not spoken with have none.
func (s *Service) Endpoints(ctx context.Context, q pg.Q, inboxes []Inbox) ([]int32, error) {
	want := make([]wanted, 0, len(inboxes))
	for _, in := range inboxes {
		want = append(want, wanted{in.Best(), in.Shared != ""})
	}
	return s.intern(ctx, q, want)
}

type wanted struct {
	url    string
	shared bool
}

// The hosts first, then the endpoints; both in sorted order, so that two
// transactions that need the same new ones do not wait for each other in a
// circle. What exists is not written again.
const (
	sqlFindEndpoints = `SELECT e.url, e.endpoint_id FROM fed_endpoint e WHERE e.url = ANY($1)`
	sqlAddHosts      = `
INSERT INTO fed_host (host) SELECT h FROM unnest($1::text[]) AS h
WHERE NOT EXISTS (SELECT FROM fed_host WHERE host = h) ORDER BY h
ON CONFLICT (host) DO NOTHING`
	sqlAddEndpoints = `
INSERT INTO fed_endpoint (host_id, url, shared)
SELECT h.host_id, n.url, n.shared FROM unnest($1::text[], $2::text[], $3::bool[]) AS n (url, host, shared)
JOIN fed_host h ON h.host = n.host
ORDER BY n.url
ON CONFLICT (url) DO NOTHING`
)

// intern gives the endpoints of the addresses, sorted and each once, leaving out
// this server's and those of hosts that are not spoken with. An address that is
// none is left out and logged: one bad actor must not stop a post.
func (s *Service) intern(ctx context.Context, q pg.Q, want []wanted) ([]int32, error) {
	if len(want) == 0 {
		return nil, nil
	}
	ids := make([]int32, 0, len(want))
	missing := map[string]wanted{}
	s.book.mu.Lock()
	remembered := make([]entry, 0, len(want))
	for _, w := range want {
		if e, ok := s.book.endpoints[w.url]; ok {
			remembered = append(remembered, e)
		} else if w.url != "" {
			missing[w.url] = w
		}
	}
	s.book.mu.Unlock()
	for _, e := range remembered {
		if !s.cfg.Drop(e.host) {
			ids = append(ids, e.id)
		}
	}

	var urls, urlHosts []string
	var shared []bool
	for url := range missing {
		urls = append(urls, url)
	}
	slices.Sort(urls)
	kept := urls[:0]
	for _, url := range urls {
		host, err := ap.Host(url)
		if err != nil {
			s.log.Warn("not an inbox", "url", url, "err", err)
			continue
		}
		if host == s.cfg.SelfHost || s.cfg.Drop(host) {
			continue
		}
		kept = append(kept, url)
		urlHosts = append(urlHosts, host)
		shared = append(shared, missing[url].shared)
	}
	if len(kept) > 0 {
		found, err := s.internNew(ctx, q, kept, urlHosts, shared)
		if err != nil {
			return nil, err
		}
		for _, e := range found {
			ids = append(ids, e.id)
		}
	}
	slices.Sort(ids)
	return slices.Compact(ids), nil
}

func (s *Service) internNew(ctx context.Context, q pg.Q, urls, hosts []string, shared []bool) (map[string]entry, error) {
	resets := s.resets.Load()
	hostOf := make(map[string]string, len(urls))
	for i, url := range urls {
		hostOf[url] = hosts[i]
	}
	found, err := findEndpoints(ctx, q, urls, hostOf)
	if err != nil {
		return nil, err
	}
	if len(found) < len(urls) {
		if _, err := q.Exec(ctx, sqlAddHosts, slices.Compact(slices.Sorted(slices.Values(hosts)))); err != nil {
			return nil, fmt.Errorf("add hosts: %w", err)
		}
		if _, err := q.Exec(ctx, sqlAddEndpoints, urls, hosts, shared); err != nil {
			return nil, fmt.Errorf("add endpoints: %w", err)
		}
		if found, err = findEndpoints(ctx, q, urls, hostOf); err != nil {
			return nil, err
		}
	}
	once(q, func() {
		if s.resets.Load() == resets {
			s.book.putEndpoints(found)
		}
	})
	return found, nil
}

func findEndpoints(ctx context.Context, q pg.Q, urls []string, hostOf map[string]string) (map[string]entry, error) {
	rows, err := q.Query(ctx, sqlFindEndpoints, urls)
	if err != nil {
		return nil, fmt.Errorf("find endpoints: %w", err)
	}
	found := make(map[string]entry, len(urls))
	var url string
	var id int32
	if _, err := pgx.ForEachRow(rows, []any{&url, &id}, func() error {
		found[url] = entry{id, hostOf[url]}
		return nil
	}); err != nil {
		return nil, fmt.Errorf("find endpoints: %w", err)
	}
	return found, nil
}

const (
	sqlFindAudience = `SELECT audience_id FROM fed_audience WHERE digest = $1`
	sqlAddAudience  = `INSERT INTO fed_audience (digest, endpoints) VALUES ($1, $2) ON CONFLICT (digest) DO NOTHING`
)

// internAudience gives the id of a sorted set.
func (s *Service) internAudience(ctx context.Context, tx *pg.Tx, set []int32) (int64, error) {
	raw := make([]byte, 0, 4*len(set))
	for _, id := range set {
		raw = binary.BigEndian.AppendUint32(raw, uint32(id))
	}
	digest := sha256.Sum256(raw)
	s.book.mu.Lock()
	id, ok := s.book.digests[digest]
	s.book.mu.Unlock()
	if ok {
		return id, nil
	}
	resets := s.resets.Load()
	err := tx.QueryRow(ctx, sqlFindAudience, digest[:]).Scan(&id)
	if pg.NoRows(err) {
		if _, err := tx.Exec(ctx, sqlAddAudience, digest[:], set); err != nil {
			return 0, fmt.Errorf("add audience: %w", err)
		}
		err = tx.QueryRow(ctx, sqlFindAudience, digest[:]).Scan(&id)
	}
	if err != nil {
		return 0, fmt.Errorf("audience: %w", err)
	}
	tx.AfterCommit(func() {
		if s.resets.Load() == resets {
			s.book.putDigest(digest, id)
			s.book.putSet(id, set)
		}
	})
	return id, nil
}

const sqlAudiences = `SELECT audience_id, endpoints FROM fed_audience WHERE audience_id = ANY($1)`

// audiences gives the sets of the ids; one that does not exist is empty.
func (s *Service) audiences(ctx context.Context, q pg.Q, ids []int64) (map[int64][]int32, error) {
	out := make(map[int64][]int32, len(ids))
	var missing []int64
	s.book.mu.Lock()
	for _, id := range ids {
		if _, ok := out[id]; ok {
			continue
		}
		set, ok := s.book.sets[id]
		out[id] = set
		if !ok {
			missing = append(missing, id)
		}
	}
	s.book.mu.Unlock()
	if len(missing) == 0 {
		return out, nil
	}
	resets := s.resets.Load()
	rows, err := q.Query(ctx, sqlAudiences, missing)
	if err != nil {
		return nil, fmt.Errorf("audiences: %w", err)
	}
	var id int64
	var set []int32
	if _, err := pgx.ForEachRow(rows, []any{&id, &set}, func() error {
		out[id] = set
		set = nil
		return nil
	}); err != nil {
		return nil, fmt.Errorf("audiences: %w", err)
	}
	once(q, func() {
		if s.resets.Load() == resets {
			for _, id := range missing {
				if set := out[id]; set != nil {
					s.book.putSet(id, set)
				}
			}
		}
	})
	return out, nil
}

func (s *Service) audience(ctx context.Context, q pg.Q, id int64) ([]int32, error) {
	sets, err := s.audiences(ctx, q, []int64{id})
	return sets[id], err
}
