// Package event is in charge of calling the slices above: a slice emits an
// event in its transaction, and each listener writes its own rows in that same
// transaction. There is no goroutine, no buffer and no topic name here; what
// may happen later is a row of the change log instead (package log).
//
// A listener runs at most two set-based statements, none proportional to
// followers, and does no I/O but the transaction's.
package event

import (
	"context"
	"fmt"
	"reflect"
	"sort"

	"buttersc.one/oven/internal/lib/pg"
)

// Listener hears one type of event.
type Listener struct {
	typ  reflect.Type
	name string
	call func(ctx context.Context, tx *pg.Tx, ev any) error
}

// On makes a listener; name is "slice.what", shown by oven events.
func On[T any](name string, f func(ctx context.Context, tx *pg.Tx, ev T) error) Listener {
	return Listener{
		typ:  reflect.TypeFor[T](),
		name: name,
		call: func(ctx context.Context, tx *pg.Tx, ev any) error { return f(ctx, tx, ev.(T)) },
	}
}

// Bus holds who listens. It is complete before the first event.
type Bus struct {
	listeners map[reflect.Type][]Listener
	spy       func(ev any)
}

// New makes a bus without listeners.
func New() *Bus { return &Bus{listeners: map[reflect.Type][]Listener{}} }

// Plug adds listeners; they are called in the order of plugging.
func (b *Bus) Plug(ls ...Listener) {
	for _, l := range ls {
		b.listeners[l.typ] = append(b.listeners[l.typ], l)
	}
}

// Spy calls f for every event emitted, for tests that say which events fire.
func (b *Bus) Spy(f func(ev any)) { b.spy = f }

// Emit calls everybody who listens to the event's type, in tx. The first error
// ends it and must end the transaction.
func (b *Bus) Emit(ctx context.Context, tx *pg.Tx, ev any) error {
	if b.spy != nil {
		b.spy(ev)
	}
	for _, l := range b.listeners[reflect.TypeOf(ev)] {
		if err := l.call(ctx, tx, ev); err != nil {
			return fmt.Errorf("listener %s: %w", l.name, err)
		}
	}
	return nil
}

// Map is event type → names of its listeners, for oven events.
func (b *Bus) Map() map[string][]string {
	out := map[string][]string{}
	for t, ls := range b.listeners {
		for _, l := range ls {
			out[t.String()] = append(out[t.String()], l.name)
		}
		sort.Strings(out[t.String()])
	}
	return out
}
