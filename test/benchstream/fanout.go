package main

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"buttersc.one/oven/test/benchline"
)

const (
	writing   = 16               // notes at a time
	catchUp   = 30 * time.Second // for what is still on its way
	sqlCommit = `SELECT id, pg_xact_commit_timestamp(xmin) FROM note WHERE id = ANY($1)`
)

// fanOut has notes written, and looks how long they took to the sockets.
func (b *bench) fanOut(ctx context.Context) error {
	own, postgres, err := b.oven.Usage()
	if err != nil {
		return err
	}
	notes := int(lasting.Seconds() * notesASecond * max(0.1, b.Scale))
	began := time.Now()
	if err := b.write(ctx, notes); err != nil {
		return err
	}
	b.Figures["fanout.notes_a_s"] = float64(notes) / time.Since(began).Seconds()
	want := int64(notes * readersEach * perAccount)
	for deadline := time.Now().Add(catchUp); b.count.Load() < want; {
		if time.Now().After(deadline) {
			return fmt.Errorf("%d of %d events were heard, %d sockets lost", b.count.Load(), want, b.lost.Load())
		}
		if err := pause(ctx, 10*time.Millisecond); err != nil {
			return err
		}
	}
	own2, postgres2, err := b.oven.Usage()
	if err != nil {
		return err
	}
	events := float64(b.count.Load())
	b.Figures["fanout.events"] = events
	b.Figures["fanout.server_cpu_us"] = (own2 - own) * 1000 / events
	b.Figures["fanout.pg_cpu_us"] = (postgres2 - postgres) * 1000 / events
	if b.Figures["fanout.rss_mb"], err = b.oven.RSS(); err != nil {
		return err
	}
	b.Say("fan-out: %.0f events, %.1f µs of CPU each, and %.1f of PostgreSQL's", events, b.Figures["fanout.server_cpu_us"], b.Figures["fanout.pg_cpu_us"])
	return b.with(ctx, b.compare)
}

// write has notes written at an even pace.
func (b *bench) write(ctx context.Context, notes int) error {
	turns := make(chan int)
	failed := make(chan error, writing)
	var wg sync.WaitGroup
	for range writing {
		wg.Go(func() {
			for i := range turns {
				if _, err := b.oven.Call(ctx, "notes/create", map[string]any{"i": b.writers[i%len(b.writers)], "text": fmt.Sprint("갓 구운 빵이 나왔어요 ", i)}); err != nil {
					failed <- err
					return
				}
			}
		})
	}
	tick := time.NewTicker(time.Second / notesASecond)
	defer tick.Stop()
	var err error
	for i := range notes {
		<-tick.C
		select {
		case turns <- i:
			continue
		case err = <-failed:
		}
		break
	}
	close(turns)
	wg.Wait()
	if err == nil && len(failed) > 0 {
		err = <-failed
	}
	return err
}

// compare subtracts the moment of each note's commit from those at which it was heard.
func (b *bench) compare(ctx context.Context, conn *pgx.Conn) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	ids := make([]string, 0, len(b.heard))
	for id := range b.heard {
		ids = append(ids, id)
	}
	rows, err := conn.Query(ctx, sqlCommit, ids)
	if err != nil {
		return err
	}
	var took, last []time.Duration // of every event; of the last socket of each note
	var id string
	var at time.Time
	if _, err := pgx.ForEachRow(rows, []any{&id, &at}, func() error {
		var most time.Duration
		for _, heard := range b.heard[id] {
			d := heard.Sub(at)
			took, most = append(took, d), max(most, d)
		}
		last = append(last, most)
		return nil
	}); err != nil {
		return err
	}
	if len(last) != len(ids) {
		return fmt.Errorf("%d of %d notes have a time", len(last), len(ids))
	}
	slices.Sort(took)
	slices.Sort(last)
	benchline.Percentiles(b.Figures, "commit_to_socket", took)
	benchline.Percentiles(b.Figures, "commit_to_last_socket", last)
	b.Say("from commit to socket: p99 %.1f ms", b.Figures["commit_to_socket.p99_ms"])
	return nil
}
