package delivery

import (
	"slices"
	"time"
)

const (
	maxSingles  = 500 // of one endpoint; then its host waits as a whole
	maxAttempts = 5
)

// chain is an activity that is tried again on its own, and those about the same
// object that came after it. The cursor has passed them.
type chain struct {
	e        *endpoint
	key      int64
	items    []*item // in order
	attempts int     // of the first
	nextAt   time.Time
	reason   string
	due      bool // the first is in its cursor's again, or under way
}

// after is the wait before attempt n: about 10 s, 1 min, 6 min, 36 min.
func after(n int) time.Duration {
	wait := 10 * time.Second
	for range n - 1 {
		wait *= 6
	}
	return wait/2 + jitter(wait/2, 0, maxBackoff)
}

// except takes an item out of the order: it is tried again on its own. After
// the last attempt it is given up.
func (d *dispatcher) except(it *item, reason string) {
	c := it.c
	ch := it.chain
	if ch == nil {
		ch = &chain{e: c.e, key: it.row.key}
		c.e.chains[it.row.key] = ch
		d.chains[ch] = struct{}{}
		d.join(ch, it)
	}
	ch.attempts++
	ch.reason = reason
	ch.due = false
	if ch.attempts >= maxAttempts {
		d.refuse(ch.items[0], reason)
		return
	}
	ch.nextAt = d.s.now().Add(after(ch.attempts))
	d.saveChain(ch)
}

// join puts an item at its place in a chain.
func (d *dispatcher) join(ch *chain, it *item) {
	it.chain = ch
	from := 0
	if ch.due {
		from = 1 // the first is under way
	}
	i := len(ch.items)
	for i > from && ch.items[i-1].row.ord > it.row.ord {
		i--
	}
	ch.items = slices.Insert(ch.items, i, it)
	ch.e.singles++
	it.c.single++
	it.c.done[it.row.seq] = struct{}{}
	d.dirty[it.c] = struct{}{}
	d.singles[singleKey{ch.e.id, it.row.stream, it.row.seq}] = &singleRow{shard: ch.e.host.shard, nextAt: ch.nextAt, reason: ch.reason}
}

// unchain removes the first of a chain; the next one is due at once.
func (d *dispatcher) unchain(ch *chain) {
	it := ch.items[0]
	it.chain = nil
	ch.items = ch.items[1:]
	ch.e.singles--
	it.c.single--
	ch.due, ch.attempts, ch.nextAt, ch.reason = false, 0, time.Time{}, ""
	d.singles[singleKey{ch.e.id, it.row.stream, it.row.seq}] = &singleRow{shard: ch.e.host.shard, gone: true}
	d.dirty[it.c] = struct{}{}
	if len(ch.items) == 0 {
		delete(ch.e.chains, ch.key)
		delete(d.chains, ch)
		return
	}
	d.dueChain(ch, d.s.now())
}

func (d *dispatcher) saveChain(ch *chain) {
	r := ch.items[0].row
	d.singles[singleKey{ch.e.id, r.stream, r.seq}] = &singleRow{shard: ch.e.host.shard, attempts: ch.attempts, nextAt: ch.nextAt, reason: ch.reason}
}

// retryDue gives the chains whose time has come to their cursors.
func (d *dispatcher) retryDue() {
	now := d.s.now()
	for ch := range d.chains {
		d.dueChain(ch, now)
	}
}

func (d *dispatcher) dueChain(ch *chain, now time.Time) {
	if ch.due || now.Before(ch.nextAt) || now.Before(ch.e.host.nextTry) || ch.e.host.paused || !d.retries.has(now) {
		return
	}
	ch.due = true
	it := ch.items[0]
	it.c.again = append(it.c.again, it)
	d.activate(it.c)
}
