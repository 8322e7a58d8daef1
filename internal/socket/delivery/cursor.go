package delivery

import (
	"iter"
	"slices"
	"sync/atomic"
	"time"
)

// stream is a log of its own numbers.
type stream struct {
	id    int64
	class Class
	kind  string
	state string
	// isCancelled is state as requests under way see it.
	isCancelled atomic.Bool
	sealed      bool  // nothing is added any more, and all of it has its number
	tail        int64 // the last number that was handed to windows
	// cursors are those of an operation's stream, which end with it.
	cursors map[*cursor]struct{}
}

// operation tells whether the stream is one operation's: it can be paused, and
// ends.
func (st *stream) operation() bool { return st.id >= firstOperation }

// tombstones is the stream of what was deleted and undone.
const tombstones = 4

// row is an activity of the log. It is shared by all windows that it is in.
type row struct {
	stream, seq int64
	ord         int64    // order across streams
	after       [3]int64 // last numbers of the live streams before it
	key         int64    // of the object
	audience    int64    // 0: none
	extra       []int32
	activityID  string
	typ         string
	actorID     string
	object      string
	hasBody     bool
	body        []byte    // empty: blanked, or not read yet
	handed      time.Time // of a live row: when it was read from the log's end
}

// item is one delivery: a row for an endpoint.
type item struct {
	row     *row
	c       *cursor
	began   time.Time
	period  int    // of its host when it began
	chain   *chain // it is tried again on its own
	probing bool   // it decides about its host
}

// endpoint is an inbox.
type endpoint struct {
	id      int32
	url     string
	shared  bool
	host    *host
	goneAt  time.Time
	lanes   [classes]*cursor
	more    []*cursor          // of operations, and of tombstones
	replay  *cursor            // of tombstones, while they are told; in more
	busy    map[int64]struct{} // objects of what is under way
	queued  map[int64]int      // objects of what is in windows, how often
	chains  map[int64]*chain   // objects of what is tried again on its own
	singles int                // items in chains
}

func newEndpoint(id int32, url string, shared bool, h *host) *endpoint {
	return &endpoint{id: id, url: url, shared: shared, host: h, busy: map[int64]struct{}{}, queued: map[int64]int{}, chains: map[int64]*chain{}}
}

// all are the endpoint's cursors.
func (e *endpoint) all() iter.Seq[*cursor] {
	return func(yield func(*cursor) bool) {
		for _, c := range e.lanes {
			if c != nil && !yield(c) {
				return
			}
		}
		for _, c := range e.more {
			if !yield(c) {
				return
			}
		}
	}
}

// cursor is that of a stream; nil when there is none.
func (e *endpoint) cursor(stream int64) *cursor {
	if stream < classes {
		return e.lanes[stream]
	}
	for _, c := range e.more {
		if c.st.id == stream {
			return c
		}
	}
	return nil
}

// goneFor is how long nothing is sent to an inbox that said that it does not
// exist.
const goneFor = 24 * time.Hour

// gone tells whether the inbox said lately that it does not exist.
func (e *endpoint) gone(now time.Time) bool {
	return !e.goneAt.IsZero() && now.Sub(e.goneAt) < goneFor
}

// cursor is how far an endpoint has come in a stream. What is read and what is
// acked are apart: the next read goes on from read, never from the mark.
type cursor struct {
	e     *endpoint
	st    *stream
	class Class

	queue  []*item            // not begun, by number
	flying map[int64]*item    // under way
	done   map[int64]struct{} // acked, above the mark
	again  []*item            // heads of chains that are due
	read   int64              // all up to here was looked at; only when not caught
	caught bool               // everything of the stream was looked at
	faults map[int64]int      // answers 5xx to one number
	single int                // items in chains
	epoch  int                // changes when the window is dropped
	acked  int64              // the mark as it is stored

	filling bool // in refills, or being refilled
	active  bool // in its host's list
	skipped int64
	over    bool // it was removed: its operation has ended
}

func (d *dispatcher) newCursor(e *endpoint, st *stream, acked int64) *cursor {
	c := &cursor{e: e, st: st, class: st.class, read: acked, acked: acked,
		flying: map[int64]*item{}, done: map[int64]struct{}{}, faults: map[int64]int{}}
	c.caught = acked >= st.tail
	if st.id < classes {
		e.lanes[st.id] = c
		return c
	}
	e.more = append(e.more, c)
	if st.id == tombstones {
		e.replay = c
	}
	st.cursors[c] = struct{}{}
	if st.state == "cancelled" {
		d.cancel(c)
	}
	return c
}

// ended tells whether nothing will ever be left for the cursor to do.
func (d *dispatcher) ended(c *cursor) bool {
	if c.st.id < classes || c.single > 0 || len(c.flying) > 0 {
		return false
	}
	return (c.st.sealed || c.st.id == tombstones) && d.mark(c) >= c.st.tail
}

// remove forgets a cursor that has ended.
func (d *dispatcher) remove(c *cursor) {
	c.over = true
	delete(c.st.cursors, c)
	c.e.more = slices.DeleteFunc(c.e.more, func(o *cursor) bool { return o == c })
	if c.e.replay == c {
		c.e.replay = nil
		d.wake(c.e.host) // what was held back for it
	}
}

// cancel passes all that waits for a cursor.
func (d *dispatcher) cancel(c *cursor) {
	d.dropWindow(c)
	c.caught, c.read = true, max(c.read, c.st.tail)
	d.dirty[c] = struct{}{}
}

// mark is the number up to which all that was for the endpoint is done.
func (d *dispatcher) mark(c *cursor) int64 {
	m := c.read
	if c.caught {
		m = max(m, c.st.tail)
	}
	if len(c.queue) > 0 {
		m = min(m, c.queue[0].row.seq-1)
	}
	for seq := range c.flying {
		m = min(m, seq-1)
	}
	return m
}

// room is how many items the window takes.
func (c *cursor) room() int {
	if len(c.done) >= aheadMax {
		return 0
	}
	return windowMax - len(c.queue)
}

// push puts a row at the end of the window.
func (d *dispatcher) push(c *cursor, r *row) {
	c.queue = append(c.queue, &item{row: r, c: c})
	c.e.queued[r.key]++
}

// pull takes item i out of the window.
func (d *dispatcher) pull(c *cursor, i int) *item {
	it := c.queue[i]
	c.queue = slices.Delete(c.queue, i, i+1)
	d.uncount(it)
	return it
}

func (d *dispatcher) uncount(it *item) {
	e, key := it.c.e, it.row.key
	if e.queued[key]--; e.queued[key] <= 0 {
		delete(e.queued, key)
	}
}

// giveBack puts an item that was begun back into its place. When the window was
// dropped meanwhile, it is read again instead.
func (d *dispatcher) giveBack(it *item) {
	c := it.c
	if !c.caught && it.row.seq > c.read {
		return
	}
	i, _ := slices.BinarySearchFunc(c.queue, it.row.seq, func(o *item, seq int64) int { return int(o.row.seq - seq) })
	c.queue = slices.Insert(c.queue, i, &item{row: it.row, c: c})
	c.e.queued[it.row.key]++
}

// dropWindow forgets what was read and not begun. It is read again later.
func (d *dispatcher) dropWindow(c *cursor) {
	m := d.mark(c)
	for _, it := range c.queue {
		d.uncount(it)
	}
	for _, it := range c.again {
		it.chain.due = false
	}
	c.queue, c.again = nil, nil
	c.epoch++
	c.read, c.caught = m, m >= c.st.tail
}

// pass ends all that waits for an endpoint.
func (d *dispatcher) pass(e *endpoint) {
	for c := range e.all() {
		d.cancel(c)
	}
	for _, ch := range e.chains {
		for len(ch.items) > 0 {
			d.unchain(ch)
		}
	}
}
