package log_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"buttersc.one/oven/db"
	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/lib/pgserver/pgtest"
	"buttersc.one/oven/internal/socket/log"
)

func open(t *testing.T) *pg.DB {
	t.Helper()
	d, err := pg.Open(t.Context(), pgtest.DSN(t), pg.Options{MaxConns: 24})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.Close)
	if _, err := db.Migrate(t.Context(), d); err != nil {
		t.Fatal(err)
	}
	return d
}

// start runs a log with the consumers and gives a function that stops it.
func start(t *testing.T, d *pg.DB, cs ...log.Consumer) (*log.Log, func()) {
	t.Helper()
	l := log.New(d, slog.New(slog.DiscardHandler))
	l.Plug(cs...)
	if err := l.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- l.Run(ctx) }()
	var once sync.Once
	stop := func() {
		once.Do(func() {
			cancel()
			if err := <-done; err != nil {
				t.Error(err)
			}
		})
	}
	t.Cleanup(stop)
	return l, stop
}

// reader remembers what a consumer was handed.
type reader struct {
	mu  sync.Mutex
	got []string
	seq []int64
}

func (r *reader) handle(_ context.Context, _ *pg.Tx, batch []log.Change) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range batch {
		r.got = append(r.got, c.ObjectID)
		r.seq = append(r.seq, c.Seq)
	}
	return nil
}

func (r *reader) list() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.got)
}

func within(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("in vain: " + what)
		}
	}
}

func appendOne(t *testing.T, l *log.Log, d *pg.DB, kind, id string) {
	t.Helper()
	if err := d.Tx(t.Context(), func(tx *pg.Tx) error { return l.Append(t.Context(), tx, kind, id, "", nil) }); err != nil {
		t.Fatal(err)
	}
}

var errUndo = errors.New("undo")

// Sixteen producers, late commits and rollbacks: every reader gets exactly what
// was committed, once, without gaps, and each producer's changes in order.
func TestNothingIsLost(t *testing.T) {
	t.Parallel()
	d := open(t)
	var durable, volatile reader
	l, _ := start(t, d,
		log.Consumer{Name: "durable", Durable: true, Handle: durable.handle},
		log.Consumer{Name: "volatile", Handle: volatile.handle})
	var mu sync.Mutex
	committed := map[string]bool{}
	var wg sync.WaitGroup
	for p := range 16 {
		wg.Go(func() {
			for i := range 60 {
				id := fmt.Sprintf("%02d-%04d", p, i)
				err := d.Tx(context.Background(), func(tx *pg.Tx) error {
					if err := l.Append(context.Background(), tx, "test", id, "", nil); err != nil {
						return err
					}
					time.Sleep(time.Duration(rand.IntN(4)) * time.Millisecond)
					if rand.IntN(5) == 0 {
						return errUndo
					}
					return nil
				})
				if err == nil {
					mu.Lock()
					committed[id] = true
					mu.Unlock()
				} else if !errors.Is(err, errUndo) {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	for name, r := range map[string]*reader{"durable": &durable, "volatile": &volatile} {
		within(t, name+" has all", func() bool { return len(r.list()) >= len(committed) })
		seen := map[string]bool{}
		last := map[string]string{}
		for _, id := range r.list() {
			if seen[id] || !committed[id] {
				t.Errorf("%s: %s came twice or was undone", name, id)
			}
			if last[id[:2]] > id {
				t.Errorf("%s: %s after %s", name, id, last[id[:2]])
			}
			seen[id], last[id[:2]] = true, id
		}
		r.mu.Lock()
		for i, s := range r.seq {
			if i > 0 && s != r.seq[i-1]+1 {
				t.Errorf("%s: a gap between %d and %d", name, r.seq[i-1], s)
			}
		}
		r.mu.Unlock()
	}
}

// A durable reader's work and its cursor are one transaction: a failure undoes
// both, and after a restart it goes on where it was.
func TestDurable(t *testing.T) {
	t.Parallel()
	d := open(t)
	if _, err := d.Exec(t.Context(), "CREATE TABLE effect (id text)"); err != nil {
		t.Fatal(err)
	}
	fails := 2
	handle := func(ctx context.Context, tx *pg.Tx, batch []log.Change) error {
		for _, c := range batch {
			if _, err := tx.Exec(ctx, "INSERT INTO effect VALUES ($1)", c.ObjectID); err != nil {
				return err
			}
		}
		if fails > 0 {
			fails--
			return errUndo
		}
		return nil
	}
	effects := func() (n int) {
		if err := d.QueryRow(t.Context(), "SELECT count(*) FROM effect").Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	c := log.Consumer{Name: "effect", Durable: true, Kinds: []string{"wanted"}, Handle: handle}
	l, stop := start(t, d, c)
	appendOne(t, l, d, "wanted", "1")
	appendOne(t, l, d, "other", "2")
	within(t, "the first effect", func() bool { return effects() == 1 })
	stop()
	appendOne(t, l, d, "wanted", "3") // nobody runs
	l2, _ := start(t, d, c)
	within(t, "the second effect", func() bool { return effects() == 2 })
	within(t, "no lag", func() bool {
		st, err := l2.Status(t.Context())
		return err == nil && st[0].Lag == 0
	})
	if n := effects(); n != 2 {
		t.Errorf("%d effects", n)
	}
}

// A volatile reader sees what happens from its start on, not what was before.
func TestVolatileStartsAtTheHead(t *testing.T) {
	t.Parallel()
	d := open(t)
	var first, second reader
	l, stop := start(t, d, log.Consumer{Name: "v", Handle: first.handle})
	appendOne(t, l, d, "x", "before")
	within(t, "the first reader has it", func() bool { return len(first.list()) == 1 })
	stop()
	l2, _ := start(t, d, log.Consumer{Name: "v", Handle: second.handle})
	appendOne(t, l2, d, "x", "after")
	within(t, "the second reader has it", func() bool { return len(second.list()) == 1 })
	if got := second.list(); got[0] != "after" {
		t.Errorf("got %v", got)
	}
}
