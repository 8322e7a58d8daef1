package delivery

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"buttersc.one/oven/internal/lib/pg"
)

const (
	maxSegments     = 64
	maxSegmentBytes = 64 << 20 // of bodies
	// refillBelow items a window is filled again.
	refillBelow = windowMax / 2
	// turnSegments are looked through before another cursor has its turn.
	turnSegments = 16
)

// segment is a part of a stream without gaps: all rows after from, up to upto.
type segment struct {
	stream, from, upto int64
	rows               []*row
	bytes              int // of bodies
}

// segments are the parts of the log that were read last; cursors that are
// behind share them. Guarded by the dispatcher's mu.
type segments struct {
	list  []*segment // the least recently used first
	bytes int
}

// at gives the segment that holds what comes after from.
func (s *segments) at(stream, from int64) *segment {
	for i, g := range s.list {
		if g.stream == stream && g.from <= from && from < g.upto {
			s.list = append(slices.Delete(s.list, i, i+1), g)
			return g
		}
	}
	return nil
}

func (s *segments) add(g *segment) {
	s.list = slices.DeleteFunc(s.list, func(o *segment) bool {
		if o.stream == g.stream && o.from == g.from { // read when it was shorter
			s.bytes -= o.bytes
			return true
		}
		return false
	})
	s.list = append(s.list, g)
	s.trim()
}

func (s *segments) trim() {
	for len(s.list) > maxSegments || (s.bytes > maxSegmentBytes && len(s.list) > 1) {
		s.bytes -= s.list[0].bytes
		s.list = slices.Delete(s.list, 0, 1)
	}
}

// grew notes bodies that were read for a segment, if it is still held.
func (s *segments) grew(g *segment, bytes int) {
	g.bytes += bytes
	if slices.Contains(s.list, g) {
		s.bytes += bytes
		s.trim()
	}
}

// refill asks for a cursor's window to be filled when it is behind and its host
// can be asked.
func (d *dispatcher) refill(c *cursor) {
	if c.caught || c.over || c.filling || len(c.queue) >= refillBelow || c.room() <= 0 || d.stopping || c.st.state != "running" {
		return
	}
	if h := c.e.host; h.paused || d.s.now().Before(h.nextTry) {
		return
	}
	c.filling = true
	d.refills[c.class] = append(d.refills[c.class], c)
	d.fill.Signal()
}

// loader fills windows, those of live lanes first, until the dispatcher ends.
func (d *dispatcher) loader(ctx context.Context) {
	for {
		c := d.nextRefill()
		if c == nil {
			return
		}
		err := d.fillWindow(ctx, c)
		if err != nil && ctx.Err() == nil {
			d.s.log.Error("read the delivery log", "err", err)
			sleep(ctx, time.Second)
		}
		d.mu.Lock()
		c.filling = false
		d.refill(c)
		d.pump()
		d.mu.Unlock()
	}
}

func (d *dispatcher) nextRefill() *cursor {
	d.mu.Lock()
	defer d.mu.Unlock()
	for {
		if d.stopping {
			return nil
		}
		for k := range d.refills {
			if len(d.refills[k]) > 0 {
				c := d.refills[k][0]
				d.refills[k] = d.refills[k][1:]
				return c
			}
		}
		d.fill.Wait()
	}
}

// fillWindow reads on from where the cursor was read to, until the window is
// full or the end is reached.
func (d *dispatcher) fillWindow(ctx context.Context, c *cursor) error {
	for range turnSegments {
		d.mu.Lock()
		from, tail, epoch := c.read, c.st.tail, c.epoch
		room := c.room()
		if c.e.gone(d.s.now()) {
			d.pass(c.e)
		} else if !c.caught && from >= tail {
			d.catchUp(c)
		}
		enough := c.caught || c.over || room <= 0
		d.mu.Unlock()
		if enough {
			return nil
		}
		g, err := d.segment(ctx, c.st.id, from, tail)
		if err != nil {
			return err
		}
		mine, err := d.choose(ctx, g, c, from, room)
		if err != nil {
			return err
		}
		d.mu.Lock()
		if c.epoch == epoch {
			d.take(c, g, from, mine, room)
		}
		d.mu.Unlock()
	}
	return nil
}

func (d *dispatcher) catchUp(c *cursor) {
	c.caught = true
	d.dirty[c] = struct{}{}
	d.wakeLower(c.e)
}

// wakeLower looks at an endpoint's lanes again: what waited for the unread part
// of a higher one may go.
func (d *dispatcher) wakeLower(e *endpoint) {
	for c := range e.all() {
		d.activate(c)
	}
}

// take appends chosen rows to the window and moves read: to the end of the
// segment, or to the last row taken when the window is full.
func (d *dispatcher) take(c *cursor, g *segment, from int64, mine []*row, room int) {
	upto := g.upto
	if len(mine) >= room {
		upto = mine[len(mine)-1].seq
	}
	if c.e.host.missed && c.st.id != tombstones {
		// Only for a host that was away is what is missing something it has missed.
		c.skipped += upto - max(from, g.from) - int64(count(g.rows, max(from, g.from), upto))
	}
	for _, r := range mine {
		_, flying := c.flying[r.seq]
		_, done := c.done[r.seq]
		if !flying && !done {
			d.push(c, r)
		}
	}
	c.read = upto
	if c.read >= c.st.tail {
		c.caught = true
	}
	d.dirty[c] = struct{}{}
	d.wakeLower(c.e)
}

// count is how many rows are after from, up to upto.
func count(rows []*row, from, upto int64) int {
	n := 0
	for _, r := range rows {
		if r.seq > from && r.seq <= upto {
			n++
		}
	}
	return n
}

const (
	sqlLiveNext = `SELECT min(seq) FROM fed_log_live WHERE stream_id = $1 AND seq > $2`
	sqlBulkNext = `SELECT min(seq) FROM fed_log_bulk WHERE stream_id = $1 AND seq > $2`
	sqlTombNext = `SELECT min(ord) FROM fed_log_tomb WHERE $1::bigint = 4 AND ord > $2`
)

// segment gives the part of a stream that begins at or before from and ends
// after it, no further than tail.
func (d *dispatcher) segment(ctx context.Context, stream, from, tail int64) (*segment, error) {
	d.mu.Lock()
	g := d.segs.at(stream, from)
	d.mu.Unlock()
	if g != nil {
		return g, nil
	}
	start := from / segmentRows * segmentRows
	g = &segment{stream: stream, from: start, upto: min(start+segmentRows, tail)}
	var err error
	if stream == tombstones {
		g.rows, err = d.s.readTombs(ctx, g.from, g.upto)
	} else {
		g.rows, err = readRows(ctx, d.s.db, stream, g.from, g.upto, false)
	}
	if err != nil {
		return nil, err
	}
	if len(g.rows) == 0 {
		// Too old: go on at what is kept.
		sql := parentSQL(stream, sqlLiveNext, sqlBulkNext, sqlTombNext)
		var next *int64
		if err := d.s.db.QueryRow(ctx, sql, stream, g.upto).Scan(&next); err != nil {
			return nil, fmt.Errorf("what is kept of the log: %w", err)
		}
		g.upto = tail
		if next != nil {
			g.upto = min(*next-1, tail)
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.segs.add(g)
	return g, nil
}

// choose picks the rows of a segment that are for a cursor's endpoint, as many
// as there is room for, and reads their bodies.
func (d *dispatcher) choose(ctx context.Context, g *segment, c *cursor, from int64, room int) ([]*row, error) {
	sets, err := d.s.setsOf(ctx, d.s.db, g.rows)
	if err != nil {
		return nil, err
	}
	in := map[int64]bool{}
	for id, set := range sets {
		in[id] = contains(set, c.e.id)
	}
	var mine []*row
	var bare []int64
	d.mu.Lock()
	for _, r := range g.rows {
		if r.seq <= from || !(in[r.audience] || slices.Contains(r.extra, c.e.id)) {
			continue
		}
		if len(mine) == room {
			break
		}
		mine = append(mine, r)
		if !r.hasBody {
			bare = append(bare, r.seq)
		}
	}
	d.mu.Unlock()
	if len(bare) == 0 {
		return mine, nil
	}
	bodies, err := readBodies(ctx, d.s.db, g.stream, bare)
	if err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	bytes := 0
	for _, r := range mine {
		if !r.hasBody {
			// A row that was dropped meanwhile has none, and is passed.
			r.hasBody, r.body = true, bodies[r.seq]
			bytes += len(r.body)
		}
	}
	d.segs.grew(g, bytes)
	return mine, nil
}

const (
	sqlLiveBodies = `SELECT seq, body FROM fed_log_live WHERE stream_id = $1 AND seq = ANY($2)`
	sqlBulkBodies = `SELECT seq, body FROM fed_log_bulk WHERE stream_id = $1 AND seq = ANY($2)`
)

// parentSQL chooses the statement of the log that a stream is in.
func parentSQL(stream int64, live, bulk, tomb string) string {
	switch {
	case stream == tombstones:
		return tomb
	case stream >= int64(Bulk):
		return bulk
	}
	return live
}

func readBodies(ctx context.Context, q pg.Q, stream int64, seqs []int64) (map[int64][]byte, error) {
	rows, err := q.Query(ctx, parentSQL(stream, sqlLiveBodies, sqlBulkBodies, ""), stream, seqs)
	if err != nil {
		return nil, fmt.Errorf("bodies: %w", err)
	}
	out := make(map[int64][]byte, len(seqs))
	var seq int64
	var body []byte
	if _, err := pgx.ForEachRow(rows, []any{&seq, &body}, func() error {
		out[seq] = body
		body = nil
		return nil
	}); err != nil {
		return nil, fmt.Errorf("bodies: %w", err)
	}
	return out, nil
}
