package delivery

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"buttersc.one/oven/internal/lib/pg"
)

const (
	segmentRows = 512
	// tailPoll finds new rows when every wake-up was lost.
	tailPoll = 250 * time.Millisecond
)

// tail reads what is new in the log, once, and puts it into the windows of the
// endpoints that have looked at everything before.
func (d *dispatcher) tail(ctx context.Context) {
	for ctx.Err() == nil {
		if err := d.readTail(ctx); err != nil && ctx.Err() == nil {
			d.s.log.Error("read the delivery log", "err", err)
			sleep(ctx, time.Second)
		}
		select {
		case <-ctx.Done():
		case <-d.s.moved:
		case <-time.After(tailPoll):
		}
	}
}

// readTail reads all streams to where they were at one moment, the live ones
// first: what a bulk row waits for is known before it.
func (d *dispatcher) readTail(ctx context.Context) error {
	heads, err := readHeads(ctx, d.s.db)
	if err != nil {
		return err
	}
	d.mu.Lock()
	d.follow(heads)
	d.pump()
	d.mu.Unlock()
	for _, h := range heads {
		if h.Stream == tombstones {
			continue
		}
		for ctx.Err() == nil {
			d.mu.Lock()
			at := d.streams[h.Stream].tail
			d.mu.Unlock()
			if at >= h.Seq {
				break
			}
			upto := min(at+segmentRows, h.Seq)
			rows, err := readRows(ctx, d.s.db, h.Stream, at, upto, true)
			if err != nil {
				return err
			}
			if err := d.hand(ctx, h.Stream, upto, rows); err != nil {
				return err
			}
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, c := range d.early {
		d.activate(c)
		d.enqueue(c.e.host)
	}
	d.early = nil
	d.pump()
	return nil
}

// follow notes the streams' states, and forgets those that are over.
func (d *dispatcher) follow(heads []headRow) {
	there := make(map[int64]bool, len(heads))
	for _, h := range heads {
		there[h.Stream] = true
		d.know(h)
	}
	for id, st := range d.streams {
		if st.operation() && !there[id] {
			for c := range st.cursors {
				d.cancel(c)
				d.remove(c)
				delete(d.dirty, c)
			}
			delete(d.streams, id)
		}
	}
}

// hand gives new rows to those they are for.
func (d *dispatcher) hand(ctx context.Context, stream, upto int64, rows []*row) error {
	d.handing.Lock()
	defer d.handing.Unlock()
	sets, err := d.s.setsOf(ctx, d.s.db, rows)
	if err != nil {
		return err
	}
	var ids []int32
	for _, set := range sets {
		ids = append(ids, set...)
	}
	for _, r := range rows {
		ids = append(ids, r.extra...)
	}
	slices.Sort(ids)
	if err := d.meet(ctx, slices.Compact(ids)); err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	st := d.streams[stream]
	if st == nil {
		return nil // over
	}
	now := d.s.now()
	read := time.Now()
	var blanked []string
	for _, r := range rows {
		if st.class <= Fanout {
			r.handed = read
		}
		if r.typ == "Delete" && !d.shards.all() && !strings.HasSuffix(r.object, "/"+r.actorID) {
			// Perhaps another node blanked what is unsent of it, and it is in a window here.
			// An actor's own Delete blanks nothing, and may be undone.
			blanked = append(blanked, r.object)
		}
		set := sets[r.audience]
		for _, id := range set {
			d.offer(st, r, id, now)
		}
		for _, id := range r.extra {
			if !contains(set, id) {
				d.offer(st, r, id, now)
			}
		}
	}
	st.tail = upto
	d.forget(blanked)
	d.pump()
	return nil
}

// forget is forgetUnsent, called with the lock held.
func (d *dispatcher) forget(objects []string) {
	for _, o := range objects {
		if !d.s.blanked.add(o) {
			d.segs = segments{}
			for _, h := range d.hosts {
				d.dropHost(h)
				d.wake(h)
			}
			d.s.blanked.forget()
			d.s.blanked.add(o)
		}
	}
}

// offer puts a new row into the window of an endpoint that is at the end of the
// stream; one that cannot take it is behind from now on.
func (d *dispatcher) offer(st *stream, r *row, id int32, now time.Time) {
	e := d.endpoints[id]
	if e == nil || st.state == "cancelled" {
		return
	}
	c := e.cursor(st.id)
	if c == nil {
		if st.operation() && e.host.dead(now) {
			return // it is told in short when it is back
		}
		c = d.newCursor(e, st, r.seq-1)
		c.caught = true
	}
	if !c.caught || r.seq <= c.read {
		return
	}
	if e.gone(now) {
		return
	}
	if !e.host.takes(now) || st.state != "running" || c.room() <= 0 {
		c.read, c.caught = r.seq-1, false
		return
	}
	c.read = r.seq
	d.push(c, r)
	d.activate(c)
}

// setsOf gives the audiences of rows.
func (s *Service) setsOf(ctx context.Context, q pg.Q, rows []*row) (map[int64][]int32, error) {
	var ids []int64
	for _, r := range rows {
		if r.audience != 0 {
			ids = append(ids, r.audience)
		}
	}
	slices.Sort(ids)
	return s.audiences(ctx, q, slices.Compact(ids))
}

const (
	sqlLiveRows = `
SELECT stream_id, seq, ord, after_direct, after_fanout, after_background, object_key, coalesce(audience_id, 0), extra,
       activity_id, type, actor_id, object, CASE WHEN $4 THEN body END
FROM fed_log_live WHERE stream_id = $1 AND seq > $2 AND seq <= $3 ORDER BY seq`
	sqlBulkRows = `
SELECT stream_id, seq, ord, after_direct, after_fanout, after_background, object_key, coalesce(audience_id, 0), extra,
       activity_id, type, actor_id, object, CASE WHEN $4 THEN body END
FROM fed_log_bulk WHERE stream_id = $1 AND seq > $2 AND seq <= $3 ORDER BY seq`
)

// readRows reads a part of a stream. What is missing in it was too old to keep.
func readRows(ctx context.Context, q pg.Q, stream, from, upto int64, bodies bool) ([]*row, error) {
	rows, err := q.Query(ctx, parentSQL(stream, sqlLiveRows, sqlBulkRows, ""), stream, from, upto, bodies)
	if err != nil {
		return nil, fmt.Errorf("rows of the log: %w", err)
	}
	out, err := pgx.CollectRows(rows, func(cr pgx.CollectableRow) (*row, error) {
		r := &row{hasBody: bodies}
		err := cr.Scan(&r.stream, &r.seq, &r.ord, &r.after[0], &r.after[1], &r.after[2], &r.key, &r.audience, &r.extra,
			&r.activityID, &r.typ, &r.actorID, &r.object, &r.body)
		return r, err
	})
	if err != nil {
		return nil, fmt.Errorf("rows of the log: %w", err)
	}
	return out, nil
}
