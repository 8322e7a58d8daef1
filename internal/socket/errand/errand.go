// Package errand is in charge of going on with what somebody has asked for once
// and that takes long. Each errand is a row of a slice's own table, which says how
// far it came; what is begun is gone on with by whatever process comes first, a
// try at a time, until it is done, refused, or given up.
//
// It is not in charge of how an errand is carried out exactly once: the slice moves
// the row in the transaction of what it does.
package errand

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"buttersc.one/oven/internal/lib/pg"
)

const (
	maxTries  = 12 // without going on; then whoever asked is told
	lookEvery = time.Second
	// Kept is how long an errand is remembered after its end.
	Kept = 30 * 24 * time.Hour
)

// Row is what every errand has.
type Row struct {
	ID    string
	Tries int // since it last went on, this one counted
	// Lang is what whoever asked is told in.
	Lang string
}

// Errand implements Item.
func (r *Row) Errand() *Row { return r }

// Item is an errand of a slice: Row with what the slice needs.
type Item interface{ Errand() *Row }

// ErrNone says that nothing is due.
var ErrNone = errors.New("no errand is due")

// ErrElsewhere says that another process has gone on with the errand, or that it is
// over.
var ErrElsewhere = errors.New("the errand is carried out elsewhere")

// Book is where a slice keeps its errands.
type Book[T Item] interface {
	// Due is how many are to be gone on with now.
	Due(ctx context.Context) (int64, error)
	// Take gives the one that is due longest, but for those, and counts a try of it;
	// ErrNone.
	Take(ctx context.Context, but []string) (T, error)
	// Later has it gone on with after a while, with so many tries counted.
	Later(ctx context.Context, t T, in time.Duration, tries int) error
	// Fail ends it and tells whoever asked why.
	Fail(ctx context.Context, t T, why Text) error
	// Forget removes what has been over for Kept.
	Forget(ctx context.Context) error
}

// refusal ends an errand for a reason that can be told.
type refusal struct{ why Text }

func (r *refusal) Error() string { return r.why.String() }

// Refuse is the error that ends an errand for good; whoever asked is told why.
func Refuse(why Text) error { return &refusal{why} }

// pause is no failure.
type pause struct{ d time.Duration }

func (p *pause) Error() string { return "the errand rests" }

// Rest is the error of an errand that is gone on with after a while, when others
// have had their turn.
func Rest(d time.Duration) error { return &pause{d} }

// Runner carries errands out.
type Runner[T Item] struct {
	Name       string // for the log
	DB         *pg.DB
	Class, Key int32 // of the lock: one process at a time is at a kind of errands
	Workers    int   // how many errands at a time
	Book       Book[T]
	Work       func(ctx context.Context, t T) error // nil: it is over, or left to somebody else
	Slog       *slog.Logger
	wake       chan struct{}
}

// New gives r ready to run.
func New[T Item](r Runner[T]) *Runner[T] {
	r.wake = make(chan struct{}, 1)
	return &r
}

// Poke has Run look now.
func (r *Runner[T]) Poke() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// Run carries errands out until ctx ends.
func (r *Runner[T]) Run(ctx context.Context) error {
	for ctx.Err() == nil {
		if err := r.round(ctx); err != nil && ctx.Err() == nil {
			r.Slog.Error(r.Name, "err", err)
		}
		r.wait(ctx)
	}
	return nil
}

func (r *Runner[T]) wait(ctx context.Context) {
	select {
	case <-ctx.Done():
	case <-time.After(lookEvery):
	case <-r.wake:
	}
}

// round carries out all that is due, unless another process does.
func (r *Runner[T]) round(ctx context.Context) error {
	if n, err := r.Book.Due(ctx); err != nil || n == 0 {
		return err
	}
	lock, err := r.DB.TryLock(ctx, r.Class, r.Key)
	if errors.Is(err, pg.ErrLocked) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("%s: %w", r.Name, err)
	}
	defer lock.Release()
	if err := r.Book.Forget(ctx); err != nil {
		return err
	}
	type result struct {
		id  string
		err error
	}
	var failed error
	busy, done := map[string]bool{}, make(chan result)
	for {
		for failed == nil && ctx.Err() == nil && len(busy) < r.Workers {
			t, err := r.Book.Take(ctx, keys(busy))
			if errors.Is(err, ErrNone) {
				break
			}
			if err != nil {
				failed = err
				break
			}
			id := t.Errand().ID
			busy[id] = true
			go func() { done <- result{id, r.one(ctx, t)} }()
		}
		if len(busy) == 0 {
			return failed
		}
		select {
		case res := <-done:
			delete(busy, res.id)
			failed = errors.Join(failed, res.err)
		case <-r.wake:
		case <-time.After(lookEvery): // something may have become due meanwhile
		}
	}
}

func keys(m map[string]bool) []string {
	out := make([]string, 0, len(m))
	for k := range m {
		out = append(out, k)
	}
	return out
}

var (
	endedEachTime = Say("the server has ended each time that it was at it", "할 때마다 서버가 멈췄어요", "試すたびにサーバーが止まりました")
	gaveUp        = Say("the server could not go on; ask again to have it try once more",
		"서버가 이어 가지 못했어요. 다시 부탁하면 한 번 더 해 볼게요", "サーバーが続けられませんでした。もう一度頼むとやり直します")
)

// one does a try, and says what becomes of the errand when it is not over.
func (r *Runner[T]) one(ctx context.Context, t T) error {
	row := t.Errand()
	err := Refuse(endedEachTime)
	if row.Tries <= maxTries {
		err = r.Work(ctx, t)
	}
	var no *refusal
	var rest *pause
	switch {
	case err == nil, errors.Is(err, ErrElsewhere):
		return nil
	case ctx.Err() != nil: // the server stops, which is no try
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
		defer cancel()
		return r.Book.Later(ctx, t, 0, row.Tries-1)
	case errors.As(err, &no):
		return r.Book.Fail(ctx, t, no.why)
	case errors.As(err, &rest):
		return r.Book.Later(ctx, t, rest.d, row.Tries-1)
	case row.Tries >= maxTries:
		r.Slog.Error(r.Name+": given up", "id", row.ID, "err", err)
		return r.Book.Fail(ctx, t, gaveUp)
	}
	r.Slog.Warn(r.Name+": tried again later", "id", row.ID, "err", err)
	return r.Book.Later(ctx, t, time.Duration(min(row.Tries, 5))*time.Minute, row.Tries)
}
