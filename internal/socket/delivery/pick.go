package delivery

import (
	"time"
)

// ring is hosts that take turns.
type ring struct{ hosts []*host }

func (r *ring) push(h *host) { r.hosts = append(r.hosts, h) }

func (r *ring) pop() *host {
	h := r.hosts[0]
	r.hosts[0] = nil
	r.hosts = r.hosts[1:]
	return h
}

// activate puts a cursor that may have something to do into its host's list.
func (d *dispatcher) activate(c *cursor) {
	if c.active || len(c.queue)+len(c.again) == 0 {
		return
	}
	c.active = true
	h := c.e.host
	h.active[c.class] = append(h.active[c.class], c)
	if !h.queued[c.class] {
		h.queued[c.class] = true
		d.rings[c.class].push(h)
	}
}

// enqueue puts a host into the rings of the lanes it has something in.
func (d *dispatcher) enqueue(h *host) {
	for k := range d.rings {
		if len(h.active[k]) > 0 && !h.queued[k] {
			h.queued[k] = true
			d.rings[k].push(h)
		}
	}
}

// pump begins all that may be begun now. It is called, with mu held, after
// everything that can make something possible.
func (d *dispatcher) pump() {
	if !d.shards.mayBegin() {
		return
	}
	for !d.stopping && !d.clogged(d.s.now()) {
		it := d.pick()
		if it == nil {
			return
		}
		d.begin(it)
	}
}

// pick chooses the next item: the live lanes first, then the two lower ones by
// 2 : 1, which leave slots to the live ones however much they have.
func (d *dispatcher) pick() *item {
	// Those that wait for slow hosts take no place of the others, as long as there
	// are sockets.
	slots := d.s.cfg.Slots
	if d.flying-d.slow >= slots || d.flying >= 2*slots {
		return nil
	}
	for _, k := range [...]Class{Direct, Fanout} {
		if it := d.pickClass(k); it != nil {
			return it
		}
	}
	if d.flyingBy[Background]+d.flyingBy[Bulk] >= max(1, slots*60/100) {
		return nil
	}
	lower := [...]Class{Background, Bulk}
	if d.turn%3 == 2 {
		lower = [...]Class{Bulk, Background}
	}
	for _, k := range lower {
		if k == Bulk && d.flyingBy[Bulk] >= d.load.bulk() {
			continue
		}
		if it := d.pickClass(k); it != nil {
			d.turn++
			return it
		}
	}
	return nil
}

// quantum of slot time a host of a lower lane is given a turn; what its requests
// take is charged. A slow host so gets the same time as the others, not the same
// number of requests.
const (
	quantum = 20 * time.Millisecond
	maxCost = 10 * quantum
)

func (h *host) cost() time.Duration { return min(max(h.ewma, time.Millisecond), maxCost) }

func (d *dispatcher) pickClass(k Class) *item {
	r := &d.rings[k]
	for range 2*int(maxCost/quantum) + 1 {
		poor := false
		for n := len(r.hosts); n > 0; n-- {
			h := r.pop()
			h.queued[k] = false
			// A host that may not, or has nothing that may, is put back by what
			// changes that: an answer, a timer, a refill.
			if !d.may(h, k) {
				continue
			}
			if k >= Background {
				if h.deficit = min(h.deficit+quantum, maxCost); h.deficit < h.cost() {
					poor = true
					d.enqueue(h)
					continue
				}
			}
			if it := d.pickHost(h, k); it != nil {
				d.enqueue(h)
				return it
			}
		}
		if !poor {
			return nil
		}
	}
	return nil
}

// kept places of a host are kept from bulk: an activity is not to wait for the
// one before it because bulk is under way.
const kept = 4

// may tells whether a request of lane k may be begun to the host.
func (d *dispatcher) may(h *host, k Class) bool {
	now := d.s.now()
	if h.paused || h.lost || now.Before(h.nextTry) {
		return false
	}
	if _, leaving := d.shards.leaving[h.shard]; leaving {
		return false
	}
	if d.slow >= d.s.cfg.Slots*30/100 && (h.slow > 0 || now.Sub(h.lastOK) > time.Minute) {
		return false // while so many do not answer, only who does; the next look at the slow ones wakes it
	}
	// Also who is dead, however seldom it was asked, is asked with one: with what
	// is new at its side, that would be told before what was deleted.
	if h.isOpen() || h.dead(now) {
		if h.probing || h.flying > 0 || k == Bulk && h.hasLive() {
			return false
		}
		if d.probes >= maxProbes {
			d.held = append(d.held, h)
			return false
		}
	}
	if h.waits() && !d.retries.has(now) {
		d.arm(h, now.Add(time.Second))
		return false
	}
	if h.isOpen() {
		return true
	}
	limit := int(h.limit)
	if k != Bulk {
		return h.flying < max(limit, h.flyingBulk+min(limit, kept))
	}
	if h.flying >= limit || h.flyingBulk >= max(1, limit-1) {
		return false
	}
	if now.Before(h.bulkAt) {
		d.armBulk(h, h.bulkAt.Sub(now))
		return false
	}
	return true
}

// hasLive tells whether something better than bulk can be asked with.
func (h *host) hasLive() bool {
	for k := Direct; k < Bulk; k++ {
		if len(h.active[k]) > 0 {
			return true
		}
	}
	return false
}

// armBulk looks at a host's bulk lane again after its pause.
func (d *dispatcher) armBulk(h *host, after time.Duration) {
	if h.bulkArmed {
		return
	}
	h.bulkArmed = true
	time.AfterFunc(after, func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		h.bulkArmed = false
		d.enqueue(h)
		d.pump()
	})
}

func (d *dispatcher) pickHost(h *host, k Class) *item {
	for n := len(h.active[k]); n > 0; n-- {
		c := h.active[k][0]
		h.active[k] = h.active[k][1:]
		c.active = false
		if it := d.pickCursor(c); it != nil {
			d.activate(c)
			return it
		}
	}
	return nil
}

// pickCursor takes the first item of the window that no earlier one of its
// object holds back.
func (d *dispatcher) pickCursor(c *cursor) *item {
	if c.over || c.st.state != "running" {
		return nil // what resumes it activates it
	}
	// Who was away for long is first told what no longer is; only what is to them
	// personally need not wait.
	if r := c.e.replay; (r != nil || !c.e.host.replaySince.IsZero()) && c != r && c.class != Direct {
		return nil
	}
	if len(c.again) > 0 {
		it := c.again[0]
		c.again = c.again[1:]
		return it
	}
	for i := 0; i < len(c.queue); i++ {
		it := c.queue[i]
		if ch := c.e.chains[it.row.key]; ch != nil {
			if c.e.singles < maxSingles {
				d.join(ch, d.pull(c, i))
				i--
			}
			continue
		}
		if _, busy := c.e.busy[it.row.key]; busy || !d.inOrder(it) {
			continue
		}
		return d.pull(c, i)
	}
	return nil
}

// inOrder tells whether nothing of the same object waits before it in another
// stream, nor in what of the log's end is just being read. A lower lane also waits until the higher ones were read up to where
// they were when it was written; a higher one does not wait for the unread part
// of a lower, or a backlog of bulk would hold up what is live.
func (d *dispatcher) inOrder(it *item) bool {
	c := it.c
	for k, seq := range it.row.after {
		if st := d.streams[int64(k)]; st != nil && st.tail < seq {
			d.early = append(d.early, c) // the log's end is just being read
			return false
		}
	}
	for o := range c.e.all() {
		if o == c || c.st.id == tombstones {
			continue
		}
		if k := o.st.id; k < int64(len(it.row.after)) && k < int64(c.class) && !o.caught && o.read < it.row.after[k] {
			return false
		}
		if c.e.queued[it.row.key] > 1 {
			for _, q := range o.queue {
				if q.row.key == it.row.key && q.row.ord < it.row.ord {
					return false
				}
			}
		}
	}
	return true
}

// begin sends an item on its way.
func (d *dispatcher) begin(it *item) {
	c, h := it.c, it.c.e.host
	it.began, it.period = d.s.now(), h.period
	d.flights[it] = struct{}{}
	d.s.begun.Add(1)
	if c.class >= Background {
		h.deficit -= h.cost()
	}
	if h.waits() || it.chain != nil {
		d.retries.take(it.began)
	}
	c.e.busy[it.row.key] = struct{}{}
	if it.chain == nil {
		c.flying[it.row.seq] = it
	}
	h.flying++
	d.flying++
	d.flyingBy[c.class]++
	if c.class == Bulk {
		h.flyingBulk++
		if rate := d.s.cfg.BulkRate; rate > 0 && c.st.id != tombstones {
			if h.bulkAt.Before(it.began) {
				h.bulkAt = it.began
			}
			h.bulkAt = h.bulkAt.Add(time.Duration(float64(time.Second) / rate))
		}
	}
	if h.isOpen() {
		it.probing, h.probing = true, true
		d.probes++
	}
	d.refill(c)
	d.under.Go(func() { d.deliver(it) })
}
