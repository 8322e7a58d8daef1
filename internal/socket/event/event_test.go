package event_test

import (
	"context"
	"errors"
	"testing"

	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/socket/event"
)

type baked struct{ bread string }
type burnt struct{}

func TestEmit(t *testing.T) {
	t.Parallel()
	var heard []string
	boom := errors.New("boom")
	b := event.New()
	b.Plug(
		event.On("first", func(_ context.Context, _ *pg.Tx, e baked) error { heard = append(heard, "first "+e.bread); return nil }),
		event.On("second", func(_ context.Context, _ *pg.Tx, e baked) error { heard = append(heard, "second "+e.bread); return nil }),
		event.On("third", func(context.Context, *pg.Tx, burnt) error { return boom }),
		event.On("never", func(context.Context, *pg.Tx, burnt) error { heard = append(heard, "never"); return nil }),
	)
	var spied []any
	b.Spy(func(ev any) { spied = append(spied, ev) })
	if err := b.Emit(t.Context(), nil, baked{"rye"}); err != nil {
		t.Fatal(err)
	}
	if len(heard) != 2 || heard[0] != "first rye" || heard[1] != "second rye" {
		t.Errorf("heard %v", heard)
	}
	// The first error ends it.
	if err := b.Emit(t.Context(), nil, burnt{}); !errors.Is(err, boom) || len(heard) != 2 {
		t.Errorf("%v, heard %v", err, heard)
	}
	if len(spied) != 2 || len(b.Map()) != 2 {
		t.Errorf("spied %v, map %v", spied, b.Map())
	}
}
