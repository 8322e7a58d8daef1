//go:build faults

package delivery_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"runtime/debug"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"buttersc.one/oven/internal/lib/httpsig"
	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/socket/delivery"
)

// clear stages the deletions of a clean-up.
func (r *rig) clear(t testing.TB, n int, audience ...string) {
	t.Helper()
	ctx := context.Background()
	var id int64
	must(t, r.db.Tx(ctx, func(tx *pg.Tx) (err error) { id, err = r.Open(ctx, tx, "cleanup", "alice"); return err }))
	for i := 0; i < n; {
		var batch []delivery.Message
		for ; len(batch) < 500 && i < n; i++ {
			m := message(fmt.Sprint("cleared", i), "Delete", delivery.Bulk, audience...)
			m.Stream = id
			batch = append(batch, m)
		}
		must(t, r.db.Tx(ctx, func(tx *pg.Tx) error { _, err := r.SendAll(ctx, tx, batch); return err }))
	}
	r.closeStream(t, id)
}

// F2: 600,000 deletions for 200 hosts, of which 20 hang, 20 refuse connections
// and 10 say 429. Live activities come before the deletions do, everybody who
// answers gets all, and those who answer again later too.
func TestLongBadFleet(t *testing.T) {
	f := newFleet()
	kind := func(inbox string) string {
		var n int
		_, _ = fmt.Sscanf(hostOf(inbox), "h%d.", &n)
		switch {
		case n < 20:
			return "hangs"
		case n < 40:
			return "down"
		case n < 50:
			return "busy"
		}
		return "well"
	}
	f.wait = func(inbox string) time.Duration {
		if kind(inbox) == "hangs" {
			return 30 * time.Second
		}
		return time.Millisecond
	}
	f.setAnswer(func(inbox, _ string, _ int) (delivery.Answer, error) {
		switch kind(inbox) {
		case "down":
			return delivery.Answer{}, errDown
		case "busy":
			return delivery.Answer{Status: 429, RetryAfter: time.Second}, nil
		}
		return delivery.Answer{Status: 202}, nil
	})
	r := newRig(t, open(t, newDSN(t)), f, func(c *delivery.Config) { c.Backoff = time.Second; c.Retries = 200 })
	names := hosts(200)
	const n = 3000
	r.clear(t, n, names...)
	r.run(t)
	waitFor = 8 * time.Minute
	wait(t, "the clean-up begins", func() bool { return f.total() > 10_000 })
	const live = 50
	for i := range live {
		r.send(t, message(fmt.Sprint("live", i), "Create", delivery.Class(i%2), names...))
		time.Sleep(50 * time.Millisecond)
	}
	lives := func(h string) (k int) {
		for _, b := range f.at(shared(h)) {
			if strings.HasPrefix(b, "live") {
				k++
			}
		}
		return k
	}
	for _, h := range names[50:] {
		wait(t, "live at "+h, func() bool { return lives(h) == live })
	}
	t.Logf("%d of %d deletions by then", f.total(), n*150)
	if f.total() > n*150*9/10 {
		t.Error("the deletions were through before the live ones")
	}
	for _, h := range names[50:] {
		wait(t, "all at "+h, func() bool { return len(counts(f.at(shared(h)))) == n+live })
	}
	f.setAnswer(nil) // those that refused and were busy answer
	for _, h := range names[20:50] {
		r.Heard(h)
		wait(t, "all at "+h+", which is back", func() bool { return len(counts(f.at(shared(h)))) == n+live })
	}
	if len(f.clash) > 0 {
		t.Errorf("two of an object at a time: %v", f.clash[:1])
	}
}

// F10: 50,000 deletions for 3,000 hosts, 150 million deliveries to make. They
// take the memory and the disk of the deletions, not of the deliveries, and
// live activities reach all hosts meanwhile.
func TestLongManyHosts(t *testing.T) {
	dsn := newDSN(t)
	f := newFleet()
	f.wait = func(string) time.Duration { return 20 * time.Millisecond }
	counted := &counting{fleet: f}
	r := newRig(t, open(t, dsn), f, func(c *delivery.Config) { c.Poster = counted; c.BulkRate = 10 })
	names := hosts(3000)
	r.stage(t, 0, 1, delivery.Fanout, names...) // so that they are known
	const n = 50_000
	r.clear(t, n, names...)
	r.run(t)
	waitFor = 8 * time.Minute
	wait(t, "the clean-up begins", func() bool { return counted.bulk.Load() > 20_000 })
	const live = 5
	for i := range live {
		r.send(t, message(fmt.Sprint("live", i), "Create", delivery.Direct, names...))
	}
	wait(t, "live everywhere", func() bool { return counted.live.Load() >= live*int64(len(names)) })
	debug.FreeOSMemory()
	mb := residentMB(t)
	var size float64
	must(t, r.db.QueryRow(context.Background(), `SELECT sum(pg_total_relation_size(c.oid)) / 1048576.0 FROM pg_class c
		WHERE c.relname LIKE 'fed\_%' AND c.relkind = 'r'`).Scan(&size))
	t.Logf("%d of %d deliveries made; %.0f MB of memory, %.1f MB of tables", counted.bulk.Load(), n*len(names), mb, size)
	if mb > 300 {
		t.Errorf("%.0f MB of memory", mb)
	}
	if size > 60 {
		t.Errorf("%.1f MB of tables", size)
	}
}

// counting answers for a fleet without keeping what it took: that would be the
// memory that is measured.
type counting struct {
	*fleet
	bulk, live atomic.Int64
}

func (c *counting) Post(ctx context.Context, inbox string, body []byte, _ httpsig.Key, _ func() error) (delivery.Answer, error) {
	select {
	case <-time.After(c.wait(inbox)):
	case <-ctx.Done():
		return delivery.Answer{}, ctx.Err()
	}
	switch {
	case bytes.HasPrefix(body, []byte("live")):
		c.live.Add(1)
	case bytes.HasPrefix(body, []byte("cleared")):
		c.bulk.Add(1)
	}
	return delivery.Answer{Status: 202}, nil
}

func residentMB(t *testing.T) float64 {
	t.Helper()
	b, err := os.ReadFile("/proc/self/status")
	must(t, err)
	for line := range strings.Lines(string(b)) {
		var kb float64
		if _, err := fmt.Sscanf(line, "VmRSS: %f kB", &kb); err == nil {
			return kb / 1024
		}
	}
	t.Fatal("no VmRSS")
	return 0
}
