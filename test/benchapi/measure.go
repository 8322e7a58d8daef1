package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"sync"
	"time"
)

const (
	clients = 2   // at a time
	warmUp  = 200 // of feeds, prepared statements and the heap
)

func (b *bench) measure(ctx context.Context, e endpoint) error {
	for i := range warmUp {
		if _, err := b.server.Call(ctx, e.name, e.body(i)); err != nil {
			return err
		}
	}
	n := max(60, int(300*b.Scale)) * e.times
	own, postgres, err := b.server.Usage()
	if err != nil {
		return err
	}
	times, err := b.load(ctx, e, n)
	if err != nil {
		return err
	}
	own2, postgres2, err := b.server.Usage()
	if err != nil {
		return err
	}
	b.Figures[e.label+".server_cpu_ms"] = (own2 - own) / float64(n)
	b.Figures[e.label+".pg_cpu_ms"] = (postgres2 - postgres) / float64(n)
	b.Figures[e.label+".p50_ms"] = ms(times[n/2])
	b.Figures[e.label+".p95_ms"] = ms(times[n*95/100])
	fmt.Fprintf(os.Stderr, "%-9s server %.2f ms, postgres %.2f ms CPU a request; p50 %.1f ms, p95 %.1f ms\n", e.label,
		b.Figures[e.label+".server_cpu_ms"], b.Figures[e.label+".pg_cpu_ms"], b.Figures[e.label+".p50_ms"], b.Figures[e.label+".p95_ms"])
	return nil
}

// load makes n calls and gives their durations, sorted.
func (b *bench) load(ctx context.Context, e endpoint, n int) ([]time.Duration, error) {
	var mu sync.Mutex
	var times []time.Duration
	var failed error
	next := make(chan int)
	var wg sync.WaitGroup
	for range clients {
		wg.Go(func() {
			for i := range next {
				begin := time.Now()
				_, err := b.server.Call(ctx, e.name, e.body(warmUp+i))
				took := time.Since(begin)
				mu.Lock()
				times = append(times, took)
				failed = errors.Join(failed, err)
				mu.Unlock()
			}
		})
	}
	for i := range n {
		if ctx.Err() != nil {
			break
		}
		next <- i
	}
	close(next)
	wg.Wait()
	slices.Sort(times)
	return times, errors.Join(failed, ctx.Err())
}

// A line of PostgreSQL's log for each statement that was executed.
var executed = regexp.MustCompile(`(?m)LOG:  duration: .* ms  (?:execute [^:]*|statement): (.*)`)

// Of the transaction, not of the work.
var frame = regexp.MustCompile(`^(?i:begin|commit|rollback|--)`)

// count says how many statements PostgreSQL executes while a request is
// answered. It has them all logged, calls one at a time, and takes the median.
// What goes on all the time falls into few of them; what a new note sets off at
// once, behind the answer's back, is counted with it.
func (b *bench) count(ctx context.Context, es []endpoint) error {
	conn, err := b.connect(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	for _, sql := range []string{`ALTER SYSTEM SET log_min_duration_statement = 0`, `SELECT pg_reload_conf()`} {
		if _, err := conn.Exec(ctx, sql); err != nil {
			return err
		}
	}
	if err := pause(ctx, time.Second); err != nil { // backends read it between two statements
		return err
	}
	for _, e := range es {
		var counts []int
		for i := range 21 {
			n, err := b.countOne(ctx, e, i)
			if err != nil {
				return err
			}
			counts = append(counts, n)
		}
		slices.Sort(counts)
		b.Figures[e.label+".statements"] = float64(counts[len(counts)/2])
	}
	return nil
}

func (b *bench) countOne(ctx context.Context, e endpoint, i int) (n int, err error) {
	before, err := os.Stat(b.pgLog())
	if err != nil {
		return 0, err
	}
	if _, err := b.server.Call(ctx, e.name, e.body(i)); err != nil {
		return 0, err
	}
	log, err := os.ReadFile(b.pgLog())
	if err != nil {
		return 0, err
	}
	if int64(len(log)) < before.Size() {
		return 0, errors.New("PostgreSQL's log was cut off")
	}
	for _, m := range executed.FindAllSubmatch(log[before.Size():], -1) {
		if !frame.Match(bytes.TrimSpace(m[1])) {
			n++
		}
	}
	return n, nil
}

func (b *bench) pgLog() string { return filepath.Join(b.dir, "data", "pg", "log", "postgres.log") }
