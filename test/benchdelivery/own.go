package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"runtime"
	"strings"
	"syscall"
	"time"

	"buttersc.one/oven/internal/lib/ap"
	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/socket/delivery"
	"buttersc.one/oven/test/proc"
)

// padded is a body of the size of a Delete's, which begins with its id.
func padded(id string) []byte { return []byte(id + "\n" + strings.Repeat("x", 650)) }

// tombstone is a Delete as Oven sends it.
func tombstone(actorID, activityID, object string) []byte {
	b, err := json.Marshal(ap.Delete("https://self.example/users/"+actorID, activityID, object))
	if err != nil {
		panic(err) // ids and constants
	}
	return b
}

func to(from, upto int) []delivery.Inbox {
	var out []delivery.Inbox
	for n := from; n < upto; n++ {
		out = append(out, delivery.Inbox{URL: inbox(n), Shared: inbox(n)})
	}
	return out
}

// own drives Oven's engine.
func (b *bench) own(ctx context.Context) error {
	s := delivery.New(delivery.Config{DB: b.db, Box: b.box, Poster: b, SelfHost: "self.example", BulkRate: -1, Tombstone: tombstone,
		Log: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError}))})
	if err := b.db.Tx(ctx, func(tx *pg.Tx) error { return s.AddKey(ctx, tx, "alice", b.key.ID, b.pair) }); err != nil {
		return err
	}
	running, stop := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() { done <- s.Run(running) }()
	defer func() { stop(); <-done }()
	post := func(ctx context.Context, id string, note bool) error {
		m := delivery.Message{ActorID: "alice", ActivityID: "https://self.example/" + id, Type: "Create", Object: id, Body: padded(id),
			Class: delivery.Fanout, Audience: to(0, servers)}
		if !note {
			m.Type, m.Class, m.Audience = "Like", delivery.Direct, to(servers-reacted, servers)
		}
		return b.db.Tx(ctx, func(tx *pg.Tx) error { _, err := s.Send(ctx, tx, m); return err })
	}
	window := time.Duration(max(10, 60*b.Scale)) * time.Second
	// Once, so that breakers know who is not there: the idle server has run before.
	if _, _, err := b.drive(ctx, 5*time.Second, post); err != nil {
		return err
	}
	took, lost, err := b.drive(ctx, window/2, post)
	if err != nil {
		return err
	}
	percentiles(b.Figures, "idle", took, lost)
	b.Say("idle: p95 %.1f ms", b.Figures["idle.p95_ms"])

	n := int(deletions * b.Scale)
	if err := b.stage(ctx, s, n); err != nil {
		return err
	}
	before, err := b.total()
	if err != nil {
		return err
	}
	begin := time.Now()
	if took, lost, err = b.drive(ctx, window, post); err != nil {
		return err
	}
	passed := time.Since(begin).Seconds()
	after, err := b.total()
	if err != nil {
		return err
	}
	percentiles(b.Figures, "live", took, lost)
	b.Figures["live.drained_per_s"] = (after - before) / passed
	b.Say("with the backlog: p95 %.1f ms, %.0f deliveries a second beside", b.Figures["live.p95_ms"], b.Figures["live.drained_per_s"])
	if err := b.drain(ctx, window/2); err != nil {
		return err
	}
	b.Figures["rss.mb"], err = proc.RSS("self")
	return err
}

// stage writes the clean-up, and says what it takes.
func (b *bench) stage(ctx context.Context, s *delivery.Service, n int) error {
	walBefore, err := b.wal(ctx)
	if err != nil {
		return err
	}
	begin := time.Now()
	var stream int64
	if err := b.db.Tx(ctx, func(tx *pg.Tx) (err error) { stream, err = s.Open(ctx, tx, "cleanup", "alice"); return err }); err != nil {
		return err
	}
	audience := to(0, servers)
	for i := 0; i < n; {
		var batch []delivery.Message
		for ; len(batch) < 500 && i < n; i++ {
			id := fmt.Sprintf("deleted-%d", i)
			batch = append(batch, delivery.Message{ActorID: "alice", ActivityID: "https://self.example/notes/" + id + "#delete", Type: "Delete",
				Object: "https://self.example/notes/" + id, Body: tombstone("alice", "https://self.example/notes/"+id+"#delete", "https://self.example/notes/"+id), Class: delivery.Bulk, Stream: stream, Audience: audience})
		}
		if err := b.db.Tx(ctx, func(tx *pg.Tx) error { _, err := s.SendAll(ctx, tx, batch); return err }); err != nil {
			return err
		}
	}
	if err := b.db.Tx(ctx, func(tx *pg.Tx) error { return s.Close(ctx, tx, stream) }); err != nil {
		return err
	}
	for staged := 1; staged > 0; time.Sleep(20 * time.Millisecond) {
		if err := b.db.QueryRow(ctx, "SELECT count(*) FROM fed_stage").Scan(&staged); err != nil {
			return err
		}
	}
	b.Figures["stage.s"] = time.Since(begin).Seconds()
	walAfter, err := b.wal(ctx)
	if err != nil {
		return err
	}
	var size float64
	err = b.db.QueryRow(ctx, `SELECT coalesce(sum(pg_total_relation_size(c.oid)), 0) + pg_total_relation_size('fed_cursor') + pg_total_relation_size('fed_audience')
		FROM pg_class c JOIN pg_inherits i ON i.inhrelid = c.oid WHERE i.inhparent IN ('fed_log_bulk'::regclass, 'fed_log_tomb'::regclass)`).Scan(&size)
	if err != nil {
		return err
	}
	b.Figures["storage.mb"] = size / (1 << 20)
	b.Figures["wal.mb"] = (walAfter - walBefore) / (1 << 20)
	b.Figures["storage.bytes_per_activity"] = size / float64(n)
	b.Say("%d deletions for %d servers staged in %.1f s: %.1f MB, WAL %.1f MB", n, servers, b.Figures["stage.s"], b.Figures["storage.mb"], b.Figures["wal.mb"])
	return nil
}

// drain measures deliveries when nothing else is to do.
func (b *bench) drain(ctx context.Context, d time.Duration) error {
	before, err := b.total()
	if err != nil {
		return err
	}
	used := cpu()
	begin := time.Now()
	for time.Since(begin) < d && ctx.Err() == nil {
		time.Sleep(100 * time.Millisecond)
	}
	after, err := b.total()
	if err != nil {
		return err
	}
	if b.Figures["drain.per_s"] = (after - before) / time.Since(begin).Seconds(); after == before {
		return errNothing
	}
	// The receivers and PostgreSQL are on this machine too: what this process has
	// of it, and how much of that is signing.
	b.Figures["drain.own_cpu_cores"] = (cpu() - used).Seconds() / time.Since(begin).Seconds()
	b.Figures["drain.own_cpu_us"] = b.Figures["drain.own_cpu_cores"] / b.Figures["drain.per_s"] * 1e6
	b.Ratios["drain.signing_of_own_cpu"] = b.Figures["drain.per_s"] / b.Figures["rsa.per_s"] * float64(runtime.GOMAXPROCS(0)) / b.Figures["drain.own_cpu_cores"]
	b.Say("alone: %.0f deliveries a second", b.Figures["drain.per_s"])
	return ctx.Err()
}

func (b *bench) wal(ctx context.Context) (bytes float64, err error) {
	err = b.db.QueryRow(ctx, "SELECT (pg_current_wal_lsn() - '0/0'::pg_lsn)::float8").Scan(&bytes)
	return bytes, err
}

// cpu is what this process has used.
func cpu() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
