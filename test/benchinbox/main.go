// Command benchinbox measures what comes in: 50,000 signed activities of 200
// servers, mixed as servers send them, over real HTTP into a real server; then
// how long a direct mention takes to whom it is for, with nothing else to do and
// while relays flood. The other servers are in this process. The last line of
// stdout is the result; everything else goes to stderr.
//
// BENCH_SCALE (0.01 to 1) shrinks it, BENCH_SEED chooses who sends what.
package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"buttersc.one/oven/test/benchline"
	"buttersc.one/oven/test/fleet"
	"buttersc.one/oven/test/proc"
)

const (
	self       = "oven.example"
	servers    = 200
	relays     = 20 // of the servers, the last ones
	activities = 50_000
	senders    = 32 // requests at a time
	public     = "https://www.w3.org/ns/activitystreams#Public"
)

type m = fleet.M

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	b := &bench{Bench: benchline.New("inbox")}
	err := b.run(ctx)
	b.close()
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "benchinbox:", err)
		os.Exit(2)
	}
	b.Print()
}

type bench struct {
	*benchline.Bench
	dir    string
	oven   *proc.Oven
	fleet  *fleet.Fleet
	db     *pgxpool.Pool
	reader proc.Account
	notes  []string // ids of the reader's notes
	rand   *rand.Rand
}

func (b *bench) close() {
	if b.db != nil {
		b.db.Close()
	}
	if b.oven != nil {
		b.oven.Stop()
	}
	if b.fleet != nil {
		b.fleet.Close()
	}
	if b.dir != "" {
		_ = os.RemoveAll(b.dir)
	}
}

func (b *bench) run(ctx context.Context) error {
	b.rand = rand.New(rand.NewPCG(uint64(b.Seed), 1)) //nolint:gosec // who sends what
	if err := b.prepare(ctx); err != nil {
		return err
	}
	if err := b.mixed(ctx); err != nil {
		return fmt.Errorf("mixed activities: %w", err)
	}
	return b.mentions(ctx)
}

// prepare runs the server with a reader, who follows an account on each tenth
// of the other servers.
func (b *bench) prepare(ctx context.Context) error {
	var program string
	var err error
	if b.dir, program, err = proc.Build(ctx); err != nil {
		return err
	}
	if b.fleet, err = fleet.New(servers); err != nil {
		return err
	}
	if b.oven, err = proc.New(program, filepath.Join(b.dir, "data"), self); err != nil {
		return err
	}
	b.oven.Env = []string{b.fleet.Env()}
	if err := b.oven.Start(ctx); err != nil {
		return err
	}
	dsn, err := b.oven.Run(ctx, "", "db", "url")
	if err != nil {
		return err
	}
	if b.db, err = pgxpool.New(ctx, dsn); err != nil {
		return err
	}
	if b.reader, err = b.oven.Account(ctx, "reader"); err != nil {
		return err
	}
	for i := range 20 {
		out, err := b.call(ctx, "notes/create", m{"text": fmt.Sprint("빵 ", i)})
		if err != nil {
			return err
		}
		created, _ := out["createdNote"].(m)
		id, _ := created["id"].(string)
		b.notes = append(b.notes, id)
	}
	for i := 0; i < servers; i += 10 {
		out, err := b.call(ctx, "users/show", m{"username": "ann", "host": b.fleet.Hosts[i].Name})
		if err == nil {
			_, err = b.call(ctx, "following/create", m{"userId": out["id"]})
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// mix is what servers send, in parts of a hundred: notes, boosts of them, likes
// of what is here, deletions of accounts that nobody here knows, deletions of
// notes.
func (b *bench) mix(i int) (h *fleet.Host, actor string, activity m) {
	h = b.fleet.Hosts[b.rand.IntN(servers)]
	id := h.URL(fmt.Sprint("/activities/", i))
	switch part := b.rand.IntN(100); {
	case part < 50:
		return h, h.Actor, m{"type": "Create", "id": id, "to": []string{public}, "object": h.Note(fmt.Sprint("/notes/", i), fmt.Sprint("갓 구운 소식 ", i))}
	case part < 65:
		// Of a note that has to be fetched the first time.
		of := b.fleet.Hosts[b.rand.IntN(servers)]
		path := fmt.Sprint("/boosted/", b.rand.IntN(5))
		of.Serve(path, of.Note(path, "boosted"))
		return h, h.Actor, m{"type": "Announce", "id": id, "to": []string{public}, "object": of.URL(path), "published": time.Now().UTC().Format(time.RFC3339)}
	case part < 85:
		return h, h.Actor, m{"type": "Like", "id": id, "object": "http://" + self + "/notes/" + b.notes[b.rand.IntN(len(b.notes))]}
	case part < 95:
		gone := h.URL(fmt.Sprint("/users/gone", i))
		return h, gone, m{"type": "Delete", "id": gone + "#delete", "object": gone, "to": []string{public}}
	default:
		note := h.URL(fmt.Sprint("/notes/", b.rand.IntN(i+1)))
		return h, h.Actor, m{"type": "Delete", "id": note + "#delete", "object": m{"type": "Tombstone", "id": note}}
	}
}

// mixed sends the activities, which are signed before, as fast as they are
// taken, and waits until all are worked off.
func (b *bench) mixed(ctx context.Context) error {
	n := int(activities * b.Scale)
	type draft struct {
		actor string
		a     m
	}
	drafts := make([]draft, n)
	for i := range drafts {
		_, actor, a := b.mix(i)
		drafts[i] = draft{actor, a}
	}
	requests := make([]*http.Request, n)
	b.Say("signing %d activities", n)
	if err := each(ctx, runtime.NumCPU(), n, func(i int) (err error) {
		requests[i], err = b.fleet.Request(b.oven.Addr, self, drafts[i].actor, drafts[i].a)
		return err
	}); err != nil {
		return err
	}
	own, pg, err := b.oven.Usage()
	if err != nil {
		return err
	}
	took := make([]time.Duration, n)
	var refused atomic.Int64
	begin := time.Now()
	if err := each(ctx, senders, n, func(i int) error {
		for {
			at := time.Now()
			status, err := b.fleet.Send(ctx, requests[i])
			took[i] = time.Since(at)
			switch {
			case err != nil:
				return err
			case status/100 == 2:
				return nil
			case status != http.StatusTooManyRequests && status != http.StatusServiceUnavailable:
				return fmt.Errorf("%s: %d", drafts[i].a["type"], status)
			}
			refused.Add(1)
			time.Sleep(100 * time.Millisecond)
			if requests[i], err = b.fleet.Request(b.oven.Addr, self, drafts[i].actor, drafts[i].a); err != nil {
				return err
			}
		}
	}); err != nil {
		return err
	}
	accepted := time.Since(begin)
	for left := 1; left > 0; time.Sleep(50 * time.Millisecond) {
		if err := b.db.QueryRow(ctx, "SELECT count(*) FROM fed_inbox WHERE state < 3").Scan(&left); err != nil {
			return err
		}
	}
	done := time.Since(begin)
	own2, pg2, err := b.oven.Usage()
	if err != nil {
		return err
	}
	slices.Sort(took)
	benchline.Percentiles(b.Figures, "accept", took)
	b.Figures["accept.per_s"] = float64(n) / accepted.Seconds()
	b.Figures["process.per_s"] = float64(n) / done.Seconds()
	b.Figures["activity.server_cpu_ms"] = (own2 - own) / float64(n)
	b.Figures["activity.pg_cpu_ms"] = (pg2 - pg) / float64(n)
	b.Figures["told_to_wait.requests"] = float64(refused.Load())
	if b.Figures["rss.mb"], err = b.oven.RSS(); err != nil {
		return err
	}
	var failed float64
	if err := b.db.QueryRow(ctx, "SELECT count(*)::float8 FROM fed_inbox").Scan(&failed); err != nil {
		return err
	}
	b.Figures["failed.activities"] = failed
	b.Say("%.0f activities a second accepted, %.0f worked off; %.2f + %.2f ms CPU each", b.Figures["accept.per_s"], b.Figures["process.per_s"],
		b.Figures["activity.server_cpu_ms"], b.Figures["activity.pg_cpu_ms"])
	return nil
}

// each calls f for 0 to n-1, so many at a time, until one fails.
func each(ctx context.Context, at, n int, f func(i int) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var next atomic.Int64
	var wg sync.WaitGroup
	for range at {
		wg.Go(func() {
			for ctx.Err() == nil {
				i := int(next.Add(1)) - 1
				if i >= n {
					return
				}
				if err := f(i); err != nil {
					cancel(err)
				}
			}
		})
	}
	wg.Wait()
	if err := context.Cause(ctx); err != nil && !errors.Is(err, context.Canceled) {
		return err
	}
	return ctx.Err()
}
