package log

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// tail reads the log once for all volatile consumers of the process, and wakes
// the durable ones.
type tail struct {
	l  *Log
	at int64 // last number read
}

func (t *tail) run(ctx context.Context) {
	for ctx.Err() == nil {
		wait := t.l.head.wait()
		more, err := t.step(ctx)
		switch {
		case err != nil && ctx.Err() == nil:
			t.l.log.Error("read the change log", "err", err)
			sleep(ctx, time.Second)
		case !more:
			select {
			case <-ctx.Done():
			case <-wait:
			case <-time.After(time.Second): // a lost wake-up costs this
			}
		}
	}
}

// One statement, one snapshot: what is visible has no gaps but for what was
// pruned, so the last row's number is the new place.
const sqlNext = `
SELECT seq, kind, object_id, actor_id, data, at FROM change_log
WHERE seq > $1 ORDER BY seq LIMIT $2`

// step hands the next batch to the consumers; more tells whether there may be
// another one.
func (t *tail) step(ctx context.Context) (more bool, err error) {
	rows, err := t.l.db.Query(ctx, sqlNext, t.at, batchSize)
	if err != nil {
		return false, fmt.Errorf("next changes: %w", err)
	}
	batch, err := pgx.CollectRows(rows, rowToChange)
	if err != nil {
		return false, fmt.Errorf("next changes: %w", err)
	}
	if len(batch) == 0 {
		return false, nil
	}
	last := batch[len(batch)-1].Seq
	if len(batch) == batchSize {
		if lost, err := t.leap(ctx); lost || err != nil {
			return true, err
		}
	}
	for _, f := range t.l.consumers {
		if f.Durable || f.Keeper != nil {
			f.wake() // its cursor moves even where it wants nothing: pruning waits for it
		} else {
			f.push(batch, last)
		}
	}
	t.at = last
	return len(batch) == batchSize, nil
}

// leap goes to the head when it is too far away; all have lost their place.
func (t *tail) leap(ctx context.Context) (bool, error) {
	var head int64
	if err := t.l.db.QueryRow(ctx, sqlHead).Scan(&head); err != nil {
		return false, fmt.Errorf("head of the change log: %w", err)
	}
	if head-t.at <= maxLag {
		return false, nil
	}
	t.at = head
	for _, f := range t.l.consumers {
		if !f.Durable && f.Keeper == nil {
			f.lose(head)
		}
	}
	return true, nil
}

// push queues what the consumer wants of a batch; a consumer that is too slow
// loses its place.
func (f *follower) push(batch []Change, last int64) {
	f.mu.Lock()
	for _, c := range batch {
		if f.wants(c.Kind) {
			f.queue = append(f.queue, c)
		}
	}
	f.upTo = last
	if len(f.queue) == 0 && !f.busy { // nothing for it: it is there already
		f.at = last
		f.mu.Unlock()
		f.moved.broadcast()
		return
	}
	slow := len(f.queue) > maxLag
	f.mu.Unlock()
	if slow {
		f.lose(last)
		return
	}
	f.wake()
}

// lose drops what is queued up to the number and has the consumer drop what it
// holds.
func (f *follower) lose(upTo int64) {
	f.mu.Lock()
	f.queue, f.upTo = nil, upTo
	if !f.busy {
		f.at = upTo
	}
	f.mu.Unlock()
	f.moved.broadcast()
	f.l.log.Warn("consumer of the change log lost its place", "consumer", f.Name)
	if f.Lost != nil {
		f.Lost()
	}
}

func (f *follower) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-f.news:
		}
		for f.handleQueue(ctx) {
		}
	}
}

// handleQueue handles what is queued; false when there was nothing.
func (f *follower) handleQueue(ctx context.Context) bool {
	f.mu.Lock()
	batch, last := f.queue, f.upTo
	f.queue = nil
	f.busy = len(batch) > 0
	if !f.busy {
		f.at = last
	}
	f.mu.Unlock()
	if len(batch) == 0 {
		f.moved.broadcast()
		return false
	}
	if f.after != nil {
		f.after.await(ctx, last)
	}
	// A volatile consumer serves the moment: what it cannot handle it logs,
	// drops and goes on.
	if err := f.Handle(ctx, nil, batch); err != nil && ctx.Err() == nil {
		f.l.log.Warn("consumer of the change log", "consumer", f.Name, "err", err)
	}
	f.mu.Lock()
	f.at, f.busy = last, false
	f.mu.Unlock()
	f.moved.broadcast()
	return true
}

func (f *follower) position() int64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.at
}

// await waits until number at is handled.
func (f *follower) await(ctx context.Context, at int64) {
	for {
		wait := f.moved.wait()
		if f.position() >= at {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-wait:
		}
	}
}
