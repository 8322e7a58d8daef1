package delivery_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"

	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/socket/delivery"
)

// What waits for a host that is down is tried when an operator says so, and is
// dropped when he does, here and by a process that does not deliver.
func TestPromoteAndDrop(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	c := &clock{}
	down := atomic.Bool{}
	down.Store(true)
	f := newFleet()
	f.setAnswer(func(inbox, _ string, _ int) (delivery.Answer, error) {
		if down.Load() && hostOf(inbox) != "up.example" {
			return delivery.Answer{}, errDown
		}
		return delivery.Answer{Status: 202}, nil
	})
	d := open(t, newDSN(t))
	r := newRig(t, d, f, c.set, func(cfg *delivery.Config) { cfg.Backoff = 1 << 40 }).run(t)
	other := newRig(t, d, f, c.set)
	tx := func(f func(tx *pg.Tx) error) { t.Helper(); must(t, d.Tx(ctx, f)) }
	r.stage(t, 0, 5, delivery.Fanout, "a.example", "b.example", "c.example", "up.example")
	for _, h := range []string{"a.example", "b.example", "c.example"} {
		wait(t, h+" fails", func() bool { st := r.state(t, h); return st.Fails > 0 && st.InFlight == 0 })
	}
	tx(func(tx *pg.Tx) error { _, err := r.Drop(ctx, tx, []string{"a.example"}); return err })
	if n := r.state(t, "a.example").Backlog; n != 0 {
		t.Errorf("%d wait for a", n)
	}
	tx(func(tx *pg.Tx) error { _, err := other.Drop(ctx, tx, []string{"b.example"}); return err })
	wait(t, "the other process has read the tables", func() bool { return r.state(t, "b.example").Backlog == 0 })
	if n := r.state(t, "c.example").Backlog; n == 0 {
		t.Error("nothing waits for c")
	}
	down.Store(false)
	tx(func(tx *pg.Tx) error { return r.Promote(ctx, tx, nil) })
	wait(t, "c has all", func() bool { return len(counts(f.at(shared("c.example")))) == 5 })
	if a, b := len(f.at(shared("a.example"))), len(f.at(shared("b.example"))); a != 0 || b != 0 {
		t.Errorf("what was dropped came: %d, %d", a, b)
	}
	err := d.Tx(ctx, func(tx *pg.Tx) error { return r.DropSingle(ctx, tx, delivery.Single{Endpoint: 1, Seq: 1}) })
	if !errors.Is(err, delivery.ErrNoSingle) {
		t.Errorf("drop what is not there: %v", err)
	}
}
