// Command benchstream measures streaming over real sockets: what 10,000 of them
// cost one process that has nothing to tell them, and then, while fifty notes a
// second are written that each belong into the home timelines of two hundred of
// them, how long a note takes from the commit of its transaction to the sockets,
// and the CPU of an event. The moment of a commit is PostgreSQL's own
// (track_commit_timestamp). Those who listen are in this process, on the same
// machine. The last line of stdout is the result; everything else goes to stderr.
//
// BENCH_SCALE (0.01 to 1) shrinks it.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"

	"buttersc.one/oven/test/benchline"
	"buttersc.one/oven/test/proc"
)

const (
	sockets      = 10_000
	perAccount   = 5   // sockets of a reader
	readersEach  = 40  // readers who follow a writer: 200 sockets
	notesASecond = 50  // by all writers
	writers      = 100 // none of them writes more than people may
	lasting      = 60 * time.Second
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	b := &bench{Bench: benchline.New("stream"), heard: map[string][]time.Time{}}
	err := b.run(ctx)
	b.close()
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "benchstream:", err)
		os.Exit(2)
	}
	b.Print()
}

type bench struct {
	*benchline.Bench
	dir     string
	oven    *proc.Oven
	readers []string // tokens
	writers []string
	listeners
	heard map[string][]time.Time // by note: when it was at a socket
}

func (b *bench) close() {
	b.hangUp()
	if b.oven != nil {
		b.oven.Stop()
	}
	if b.dir != "" {
		_ = os.RemoveAll(b.dir)
	}
}

func (b *bench) run(ctx context.Context) error {
	if err := b.prepare(ctx); err != nil {
		return err
	}
	if err := b.idle(ctx); err != nil {
		return fmt.Errorf("idle sockets: %w", err)
	}
	return b.fanOut(ctx)
}

// prepare runs the server with its accounts, and has PostgreSQL note the time of each
// commit.
func (b *bench) prepare(ctx context.Context) error {
	var program string
	var err error
	if b.dir, program, err = proc.Build(ctx); err != nil {
		return err
	}
	if b.oven, err = proc.New(program, filepath.Join(b.dir, "data"), "bench.example"); err != nil {
		return err
	}
	if err := b.oven.Start(ctx); err != nil {
		return err
	}
	if err := b.with(ctx, b.fill); err != nil {
		return err
	}
	b.oven.Stop() // the setting is read when PostgreSQL starts
	return b.oven.Start(ctx)
}

// with runs f on the server's database.
func (b *bench) with(ctx context.Context, f func(context.Context, *pgx.Conn) error) error {
	dsn, err := b.oven.Run(ctx, "", "db", "url")
	if err != nil {
		return err
	}
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	return f(ctx, conn)
}

// idle opens the sockets, and measures what they cost while nothing happens.
func (b *bench) idle(ctx context.Context) error {
	before, err := b.oven.RSS()
	if err != nil {
		return err
	}
	began := time.Now()
	if err := b.open(ctx); err != nil {
		return err
	}
	n := float64(len(b.conns))
	b.Figures["open.per_s"] = n / time.Since(began).Seconds()
	b.Say("%.0f sockets are open after %s", n, time.Since(began).Round(time.Millisecond))
	const still = 10 * time.Second
	own, postgres, err := b.oven.Usage()
	if err != nil {
		return err
	}
	if err := pause(ctx, still); err != nil {
		return err
	}
	own2, postgres2, err := b.oven.Usage()
	if err != nil {
		return err
	}
	rss, err := b.oven.RSS()
	if err != nil {
		return err
	}
	b.Figures["idle.sockets"] = n
	b.Figures["idle.rss_mb"] = rss
	b.Figures["idle.kb_a_socket"] = (rss - before) * 1024 / n
	b.Figures["idle.server_cpu_percent"] = (own2 - own) / float64(still.Milliseconds()) * 100
	b.Figures["idle.pg_cpu_percent"] = (postgres2 - postgres) / float64(still.Milliseconds()) * 100
	b.AtMost("idle.rss_mb", 400)
	b.Say("idle: %.0f MB, of which the program without them is %.0f", rss, before)
	return nil
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
