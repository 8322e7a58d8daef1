package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// clients write by sixteen connections, 100 times a second each at most.
type clients struct {
	wrote, refused, late, failed atomic.Int64
	fenced                       atomic.Bool

	mu    sync.Mutex
	took  []time.Duration
	stop  context.CancelFunc
	ended sync.WaitGroup
}

// writing has clients write for a while.
func (b *bench) writing(ctx context.Context, d time.Duration) (*clients, error) {
	c := b.begin(ctx)
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
	c.end()
	return c, ctx.Err()
}

func (b *bench) begin(ctx context.Context) *clients {
	ctx, cancel := context.WithCancel(ctx)
	c := &clients{stop: cancel}
	for i := range 16 {
		r := rand.New(rand.NewPCG(uint64(b.Seed), uint64(i))) //nolint:gosec // who writes what
		c.ended.Go(func() {
			for k := 0; ctx.Err() == nil; k++ {
				b.write(ctx, c, r, fmt.Sprintf("%s%02d%07d", b.token(), i, k))
				time.Sleep(10 * time.Millisecond)
			}
		})
	}
	return c
}

// token tells rounds of writing apart.
func (b *bench) token() string { return time.Now().Format("150405") }

func (c *clients) end() {
	c.stop()
	c.ended.Wait()
}

// mark forgets what was measured until now. The fence stands.
func (c *clients) mark() {
	c.fenced.Store(true)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.took = nil
}

func (c *clients) percentile(p int) time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.took) == 0 {
		return 0
	}
	slices.Sort(c.took)
	return c.took[min(len(c.took)-1, len(c.took)*p/100)]
}

// What clients do: a new account, one that is there, a note, a reaction, a follow.
var writes = []string{
	`WITH u AS (INSERT INTO "user" (id, username, username_lower, host, actor_host, uri) VALUES ('w' || $1::text, 'w' || $1::text, 'w' || $1::text, 'w.example', 'w.example', 'https://w.example/' || $1::text || $2::int) RETURNING id),
	p AS (INSERT INTO user_profile (user_id) SELECT id FROM u) INSERT INTO user_stat (user_id) SELECT id FROM u`,
	`INSERT INTO "user" (id, username, username_lower, host, actor_host, uri) VALUES ('w' || $1::text, 'u' || $2::int, 'u' || $2::int, 'h' || $2::int % 500 || '.example', 'h.example', 'https://w.example/again/' || $1::text)`,
	`WITH n AS (INSERT INTO note (id, user_id, user_host, text, visibility, uri) SELECT 'w' || $1::text, id, host, 'w', 'public', 'https://w.example/n/' || $1::text FROM "user" WHERE id IN ('u' || lpad($2::int::text, 8, '0'), 'v' || lpad($2::int::text, 8, '0')) ORDER BY id DESC LIMIT 1 RETURNING id)
	INSERT INTO note_stat (note_id) SELECT id FROM n`,
	`INSERT INTO note_reaction (id, note_id, user_id, reaction) SELECT 'w' || $1::text, 'n000000001', id, 'x' FROM "user" WHERE id IN ('u' || lpad($2::int::text, 8, '0'), 'v' || lpad($2::int::text, 8, '0')) ORDER BY id DESC LIMIT 1 ON CONFLICT (user_id, note_id) DO NOTHING`,
	`INSERT INTO following (id, follower_id, followee_id, followee_host) SELECT 'w' || $1::text, 'alice', id, host FROM "user" WHERE id IN ('u' || lpad($2::int::text, 8, '0'), 'v' || lpad($2::int::text, 8, '0')) ORDER BY id DESC LIMIT 1 ON CONFLICT (follower_id, followee_id) DO NOTHING`,
}

func (b *bench) write(ctx context.Context, c *clients, r *rand.Rand, id string) {
	which := r.IntN(len(writes))
	who := 1 + r.IntN(b.groups)
	if which == 1 && !c.fenced.Load() { // nothing keeps a second one out yet
		which = 0
	}
	began := time.Now()
	for try := 0; ; try++ {
		_, err := b.db.Exec(ctx, writes[which], id, who)
		var pe *pgconn.PgError
		switch {
		case err == nil:
			c.wrote.Add(1)
		case ctx.Err() != nil:
			return
		case errors.As(err, &pe) && pe.Code == "23505":
			c.refused.Add(1)
		case errors.As(err, &pe) && pe.Code == "23503" && try < 5:
			c.late.Add(1)
			continue
		default:
			c.failed.Add(1)
			b.Say("a client's transaction failed: %v", err)
		}
		break
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.took = append(c.took, time.Since(began))
}
