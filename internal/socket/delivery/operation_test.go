package delivery_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/socket/delivery"
)

// openStream begins an operation of n Deletes of an actor's, each in the stream.
func (r *rig) openStream(t testing.TB, name string, n int, audience ...string) int64 {
	t.Helper()
	ctx := context.Background()
	var id int64
	must(t, r.db.Tx(ctx, func(tx *pg.Tx) (err error) {
		id, err = r.Open(ctx, tx, "cleanup", name)
		return err
	}))
	r.fillStream(t, id, name, 0, n, audience...)
	return id
}

func (r *rig) fillStream(t testing.TB, id int64, name string, from, n int, audience ...string) {
	t.Helper()
	ctx := context.Background()
	for i := from; i < from+n; {
		must(t, r.db.Tx(ctx, func(tx *pg.Tx) error {
			for end := min(i+500, from+n); i < end; i++ {
				m := message(fmt.Sprintf("%s%d", name, i), "Delete", delivery.Bulk, audience...)
				m.Stream = id
				if _, err := r.Send(ctx, tx, m); err != nil {
					return err
				}
			}
			return nil
		}))
	}
}

func (r *rig) closeStream(t testing.TB, id int64) {
	t.Helper()
	must(t, r.db.Tx(context.Background(), func(tx *pg.Tx) error { return r.Close(context.Background(), tx, id) }))
}

func (r *rig) operation(t testing.TB, id int64) delivery.Operation {
	t.Helper()
	ops, err := r.Operations(context.Background(), &id)
	must(t, err)
	if len(ops) != 1 {
		t.Fatalf("%d operations %d", len(ops), id)
	}
	return ops[0]
}

// of counts what an operation named so brought to a host.
func (f *fleet) of(host, name string) int {
	n := 0
	for _, b := range f.at(shared(host)) {
		if strings.HasPrefix(b, name) {
			n++
		}
	}
	return n
}

// F5: a small operation that begins after a large one ends long before it; and
// when all is delivered nothing of either is left but its line in the list.
func TestSmallOperationFirst(t *testing.T) {
	t.Parallel()
	f := newFleet()
	f.wait = func(string) time.Duration { return 30 * time.Millisecond }
	r := newRig(t, open(t, newDSN(t)), f, func(c *delivery.Config) { c.FlushEvery = 20 * time.Millisecond }).run(t)
	names := hosts(3)
	large := r.openStream(t, "large", 3000, names...)
	small := r.openStream(t, "small", 100, names...)
	r.closeStream(t, small)
	wait(t, "the small one", func() bool {
		return !slices.ContainsFunc(names, func(h string) bool { return f.of(h, "small") < 100 })
	})
	if n := f.of(names[0], "large"); n > 2500 {
		t.Errorf("the small operation ended after %d of the large", n)
	}
	wait(t, "the small one is done", func() bool { return r.operation(t, small).State == "done" })
	r.closeStream(t, large)
	wait(t, "the large one is done", func() bool { return r.operation(t, large).State == "done" })
	for _, h := range names {
		if got := f.at(shared(h)); len(got) != 3100 || len(counts(got)) != 3100 {
			t.Errorf("%s: %d, %d distinct", h, len(got), len(counts(got)))
		}
	}
	var cursors int
	must(t, r.db.QueryRow(context.Background(), "SELECT count(*) FROM fed_cursor WHERE stream_id >= 16").Scan(&cursors))
	if cursors != 0 {
		t.Errorf("%d cursors are left", cursors)
	}
	// Nothing can be added to what is closed.
	err := r.db.Tx(context.Background(), func(tx *pg.Tx) error {
		m := message("late", "Delete", delivery.Bulk, names...)
		m.Stream = small
		_, err := r.Send(context.Background(), tx, m)
		return err
	})
	if !errors.Is(err, delivery.ErrStream) {
		t.Errorf("adding to a closed stream: %v", err)
	}
}

// F45: pausing, resuming and cancelling are one row, whatever waits; live
// messages go on meanwhile. What was cancelled is not sent after a restart either.
func TestPauseAndCancelOperation(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	dsn := newDSN(t)
	f := newFleet()
	f.wait = func(string) time.Duration { return 3 * time.Millisecond }
	r := newRig(t, open(t, dsn), f, func(c *delivery.Config) { c.FlushEvery = 20 * time.Millisecond }).run(t)
	id := r.openStream(t, "op", 4000, "a.example", "b.example")
	wait(t, "a beginning", func() bool { return f.of("a.example", "op") > 50 })
	must(t, r.PauseStream(ctx, id))
	wait(t, "standstill", func() bool {
		before := f.total()
		time.Sleep(300 * time.Millisecond)
		return f.total() == before
	})
	at := f.of("a.example", "op")
	r.send(t, message("live", "Create", delivery.Fanout, "a.example"))
	wait(t, "the live one", func() bool { return f.of("a.example", "live") == 1 })
	if st := r.operation(t, id); st.State != "paused" || st.Waiting == 0 || st.Total != 4000 {
		t.Errorf("%+v", st)
	}
	if f.of("a.example", "op") != at {
		t.Error("a paused operation went on")
	}
	// The pause outlives the process.
	r.stop()
	r = newRig(t, open(t, dsn), f, func(c *delivery.Config) { c.FlushEvery = 20 * time.Millisecond }).run(t)
	r.send(t, message("live2", "Create", delivery.Fanout, "a.example"))
	wait(t, "the live one", func() bool { return f.of("a.example", "live2") == 1 })
	if f.of("a.example", "op") != at {
		t.Error("a paused operation went on after a restart")
	}
	must(t, r.ResumeStream(ctx, id))
	wait(t, "more", func() bool { return f.of("a.example", "op") > at+50 })
	must(t, r.CancelStream(ctx, id))
	wait(t, "cancelled and over", func() bool { st := r.operation(t, id); return st.State == "cancelled" && st.DoneAt != nil })
	at = f.total()
	if f.of("a.example", "op") >= 4000 {
		t.Fatal("nothing was left to cancel")
	}
	if err := r.ResumeStream(ctx, id); !errors.Is(err, delivery.ErrStream) {
		t.Errorf("resume what is cancelled: %v", err)
	}
	r.stop()
	r = newRig(t, open(t, dsn), f).run(t)
	r.settle(t)
	if f.total() != at {
		t.Errorf("%d came after the cancellation", f.total()-at)
	}
}

// So many operations are written at a time, and no more; lanes take no streams.
func TestOperationsAreBounded(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	r := newRig(t, open(t, newDSN(t)), newFleet())
	for i := range 64 {
		must(t, r.db.Tx(ctx, func(tx *pg.Tx) error { _, err := r.Open(ctx, tx, "cleanup", fmt.Sprint(i)); return err }))
	}
	err := r.db.Tx(ctx, func(tx *pg.Tx) error { _, err := r.Open(ctx, tx, "cleanup", "x"); return err })
	if !errors.Is(err, delivery.ErrStreams) {
		t.Errorf("the 65th: %v", err)
	}
	for _, id := range []int64{1, 4, 999} {
		if err := r.CancelStream(ctx, id); !errors.Is(err, delivery.ErrStream) {
			t.Errorf("cancel stream %d: %v", id, err)
		}
	}
}

// An actor that deletes much goes by the bulk lane, whatever makes it delete.
func TestManyDeletesAreBulk(t *testing.T) {
	t.Parallel()
	r := newRig(t, open(t, newDSN(t)), newFleet())
	r.Config().Now = func() time.Time { return time.Date(2026, 1, 1, 0, 0, 30, 0, time.UTC) }
	for i := range 40 {
		r.send(t, message(fmt.Sprint("n", i), "Delete", delivery.Fanout, "a.example"))
	}
	other := message("other", "Delete", delivery.Fanout, "a.example")
	other.ActorID = "bob"
	r.send(t, other)
	var live, bulk int
	must(t, r.db.QueryRow(context.Background(), "SELECT count(*) FILTER (WHERE stream_id = 1), count(*) FILTER (WHERE stream_id = 3) FROM fed_stage").Scan(&live, &bulk))
	if live != 31 || bulk != 10 {
		t.Errorf("%d live, %d bulk", live, bulk)
	}
}

// A Delete that its ids make again is stored by them alone, and sent whole, also
// after a restart.
func TestDeleteFromIDs(t *testing.T) {
	t.Parallel()
	dsn := newDSN(t)
	f := newFleet()
	render := func(c *delivery.Config) {
		c.Tombstone = func(_, _, object string) []byte { return []byte(object + " Delete") }
	}
	r := newRig(t, open(t, dsn), f, render)
	id := r.openStream(t, "n", 3, "a.example")
	other := message("other", "Delete", delivery.Fanout, "a.example")
	other.Body = []byte("other Delete with more")
	r.send(t, other)
	var stored int
	must(t, r.db.QueryRow(context.Background(), "SELECT coalesce(max(length(body)), 0) FROM fed_stage WHERE stream_id = $1", id).Scan(&stored))
	if stored != 1 {
		t.Errorf("%d bytes are stored", stored)
	}
	r = newRig(t, open(t, dsn), f, render).run(t)
	r.settle(t)
	got := f.at(shared("a.example"))
	slices.Sort(got)
	if want := []string{"n0 Delete", "n1 Delete", "n2 Delete", "other Delete with more"}; !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
}
