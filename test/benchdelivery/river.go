package main

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"

	"buttersc.one/oven/db"
)

// postArgs is a delivery as a job: one for each inbox, with the whole body.
type postArgs struct {
	Inbox string `json:"inbox"`
	Body  []byte `json:"body"`
}

func (postArgs) Kind() string { return "bench.post" }

type postWorker struct {
	river.WorkerDefaults[postArgs]
	b *bench
}

func (w *postWorker) Work(ctx context.Context, j *river.Job[postArgs]) error {
	a, err := w.b.Post(ctx, j.Args.Inbox, j.Args.Body, w.b.key, nil)
	if err == nil && a.Status/100 != 2 {
		err = fmt.Errorf("answered %d", a.Status)
	}
	return err
}

const (
	riverWorkers = 64
	riverInserts = 30 * time.Second // of the backlog, at most
)

// river drives a plain queue with a job for each inbox, live ones of a better
// priority.
func (b *bench) river(ctx context.Context) error {
	workers := river.NewWorkers()
	river.AddWorker(workers, &postWorker{b: b})
	c, err := river.NewClient(riverpgxv5.New(b.db.Pool), &river.Config{Schema: db.RiverSchema, Logger: slog.New(slog.DiscardHandler), Workers: workers,
		Queues: map[string]river.QueueConfig{river.QueueDefault: {MaxWorkers: riverWorkers}}, JobTimeout: 30 * time.Second, FetchCooldown: 50 * time.Millisecond, FetchPollInterval: 100 * time.Millisecond})
	if err != nil {
		return err
	}
	n := int(deletions * b.Scale)
	walBefore, err := b.wal(ctx)
	if err != nil {
		return err
	}
	begin := time.Now()
	jobs := 0
	for i := 0; i < n && time.Since(begin) < riverInserts; {
		var batch []river.InsertManyParams
		for ; len(batch) < 3400 && i < n; i++ {
			for s := range servers {
				batch = append(batch, river.InsertManyParams{Args: postArgs{inbox(s), tombstone("alice", fmt.Sprintf("https://self.example/notes/deleted-%d#delete", i), fmt.Sprintf("https://self.example/notes/deleted-%d", i))}, InsertOpts: &river.InsertOpts{Priority: 4}})
			}
		}
		if _, err := c.InsertManyFast(ctx, batch); err != nil {
			return err
		}
		jobs += len(batch)
	}
	b.Peer["river.jobs"] = float64(jobs)
	b.Peer["river.stage_s"] = time.Since(begin).Seconds()
	walAfter, err := b.wal(ctx)
	if err != nil {
		return err
	}
	var size float64
	if err := b.db.QueryRow(ctx, "SELECT pg_total_relation_size('river.river_job')::float8").Scan(&size); err != nil {
		return err
	}
	b.Peer["river.bytes_per_delivery"] = size / float64(jobs)
	b.Peer["river.wal_bytes_per_delivery"] = (walAfter - walBefore) / float64(jobs)
	b.Say("river: %d jobs in %.1f s, %.0f bytes each", jobs, b.Peer["river.stage_s"], b.Peer["river.bytes_per_delivery"])
	if err := c.Start(ctx); err != nil {
		return err
	}
	defer func() {
		stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		_ = c.StopAndCancel(stop)
	}()
	before, err := b.total()
	if err != nil {
		return err
	}
	begin = time.Now()
	took, lost, err := b.drive(ctx, time.Duration(max(10, 60*b.Scale))*time.Second, func(ctx context.Context, id string, note bool) error {
		var batch []river.InsertManyParams
		from := 0
		if !note {
			from = servers - reacted
		}
		for s := from; s < servers; s++ {
			batch = append(batch, river.InsertManyParams{Args: postArgs{inbox(s), padded(id)}, InsertOpts: &river.InsertOpts{Priority: 1}})
		}
		_, err := c.InsertManyFast(ctx, batch)
		return err
	})
	if err != nil {
		return err
	}
	after, err := b.total()
	if err != nil {
		return err
	}
	percentiles(b.Peer, "river.live", took, lost)
	b.Peer["river.drained_per_s"] = (after - before) / time.Since(begin).Seconds()
	b.Say("river: live p95 %.0f ms, %d of it not delivered, %.0f deliveries a second", b.Peer["river.live.p95_ms"], lost, b.Peer["river.drained_per_s"])
	return nil
}
