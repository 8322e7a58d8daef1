package delivery

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"buttersc.one/oven/internal/lib/ap"
)

// timeout of one delivery, both knocks of a Poster included.
const timeout = 30 * time.Second

type verdict int

const (
	taken   verdict = iota // the endpoint has it
	nothing                // there was nothing to send
	refused                // never again: the activity's fault
	denied                 // 401, 403: the activity is tried again on its own, the others go on
	single                 // so is this one, which is nobody's fault or ours
	goneNow                // the inbox does not exist
	down                   // the host's fault: all wait
	broken                 // our own fault: try again soon
	aborted                // we are ending
)

type outcome struct {
	verdict    verdict
	reason     string
	retryAfter time.Duration
	answered   bool // down: the host answered 5xx, which one activity may cause
	page       bool // taken, with a page
}

func (d *dispatcher) deliver(it *item) {
	o := d.attempt(it)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.finish(it, o)
	d.pump()
}

// attempt makes the request. A panic is the activity's: it must not stop what
// else there is to deliver.
func (d *dispatcher) attempt(it *item) (o outcome) {
	r, e := it.row, it.c.e
	defer func() {
		if v := recover(); v != nil {
			d.s.log.Error("delivering", "activity", r.activityID, "to", e.url, "panic", v, "stack", string(debug.Stack()))
			o = outcome{verdict: single, reason: fmt.Sprint("panic: ", v)}
		}
	}()
	if len(r.body) == 0 || d.s.cfg.Drop(e.host.name) || it.c.cancelled() || (r.typ != "Delete" && r.typ != "Undo" && d.s.blanked.has(r.object)) {
		return outcome{verdict: nothing}
	}
	ctx, cancel := context.WithTimeout(d.posting, timeout)
	defer cancel()
	h, err := d.s.key(ctx, r.actorID)
	var unusable *keyError
	switch {
	case errors.Is(err, ErrNoKey), errors.As(err, &unusable):
		d.s.log.Error("delivering", "activity", r.activityID, "err", err)
		return outcome{verdict: nothing} // not the host's fault: it is not taken for one that refuses
	case err != nil && d.posting.Err() != nil:
		return outcome{verdict: aborted}
	case err != nil:
		d.s.log.Error("delivering", "activity", r.activityID, "err", err)
		return outcome{verdict: broken, reason: err.Error()}
	}
	if h.gone && r.typ != "Delete" && r.typ != "Undo" {
		return outcome{verdict: nothing}
	}
	key := h.key
	if it.c.class >= Background {
		key.Signer = gated{key.Signer, d.gate}
	} else {
		signed := d.gate.awaitLive()
		defer signed()
		key.Signer = timed{key.Signer, func() {
			signed()
			if !r.handed.IsZero() {
				d.load.saw(time.Since(r.handed))
			}
		}}
	}
	a, err := d.s.cfg.Poster.Post(ctx, e.url, d.s.whole(r), key, d.leased)
	if err != nil {
		if d.posting.Err() != nil || errors.Is(err, errLease) {
			return outcome{verdict: aborted}
		}
		return outcome{verdict: down, reason: err.Error()}
	}
	return judge(a)
}

// errLease says that what was begun came too late: the host is another node's.
var errLease = errors.New("the lease is over")

// leased is errLease once this node's lease is over. A process that stood still in
// the middle of a request must not send it afterwards: another has told the host
// more by then, and this would be older.
func (d *dispatcher) leased() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !time.Now().Before(d.shards.till) {
		return errLease
	}
	return nil
}

// judge tells whose fault an answer is.
func judge(a Answer) outcome {
	reason := fmt.Sprintf("answered %d", a.Status)
	switch {
	case a.Status >= 200 && a.Status < 300:
		return outcome{verdict: taken, page: a.HTML}
	case a.Status == 404 || a.Status == 410:
		return outcome{verdict: goneNow, reason: reason}
	case a.Status == 408 || a.Status == 425 || a.Status == 429 || a.Status >= 500:
		return outcome{verdict: down, reason: reason, retryAfter: a.RetryAfter, answered: a.Status >= 500 && a.RetryAfter == 0}
	case a.Status == 401 || a.Status == 403:
		// Often the host could not fetch our key just now.
		return outcome{verdict: denied, reason: reason}
	case a.Status < 400:
		// A redirect that the Poster did not follow may be a mistake of the moment.
		return outcome{verdict: single, reason: reason}
	}
	return outcome{verdict: refused, reason: reason}
}

// maxFaults of one activity, while its host is asked with it alone, are enough
// to try others instead.
const maxFaults = 3

// finish notes what became of an item.
func (d *dispatcher) finish(it *item, o outcome) {
	c, e, h := it.c, it.c.e, it.c.e.host
	now := d.s.now()
	took := now.Sub(it.began)
	delete(e.busy, it.row.key)
	delete(d.flights, it)
	if it.chain == nil {
		delete(c.flying, it.row.seq)
	}
	h.flying--
	h.slow = min(h.slow, h.flying)
	d.flying--
	d.flyingBy[c.class]--
	if c.class == Bulk {
		h.flyingBulk--
	}
	if c.class >= Background {
		h.deficit = max(h.deficit+h.cost()-min(took, maxCost), -maxCost)
	}
	if it.probing {
		it.probing, h.probing = false, false
		d.probes--
		held := d.held
		d.held = nil
		for _, h := range held {
			d.enqueue(h)
		}
	}
	if o.verdict != nothing && o.verdict != broken && o.verdict != aborted {
		d.s.cfg.Sent(h.name, o.verdict == taken)
	}
	if h.lost || c.over {
		return // another node's matter now, or nobody's
	}
	switch o.verdict {
	case taken:
		d.settle(it)
		d.good(h, took)
		d.retries.earn(now)
		if o.page {
			d.lookInto(h)
		}
	case nothing:
		d.settle(it)
	case refused:
		d.refuse(it, o.reason)
		d.refusing(h, it.period, took, o.reason, false)
	case goneNow:
		d.goneInbox(it, took, o.reason)
	case denied:
		if h.refusingSince.IsZero() {
			d.except(it, o.reason)
		} else {
			d.putBack(it)
		}
		d.refusing(h, it.period, took, o.reason, true)
	case single:
		d.answered(h, took)
		d.except(it, o.reason)
	case down:
		if o.answered {
			c.faults[it.row.seq]++
		}
		if c.faults[it.row.seq] >= maxFaults && (it.chain != nil || e.singles < maxSingles) {
			delete(c.faults, it.row.seq)
			d.except(it, o.reason)
		} else {
			d.putBack(it)
		}
		d.bad(h, it.period, o.reason, o.retryAfter)
	case broken:
		d.putBack(it)
		h.nextTry = now.Add(time.Second)
		d.arm(h, h.nextTry)
	case aborted:
		d.putBack(it)
	}
	for c := range e.all() {
		d.activate(c)
	}
	d.enqueue(h)
}

// goneInbox notes that an inbox does not exist. An account may have gone, and
// then nothing more is for it; a whole server that says so may be misconfigured,
// so what is for it waits until it has said it for two days.
func (d *dispatcher) goneInbox(it *item, took time.Duration, reason string) {
	e, h := it.c.e, it.c.e.host
	first := e.goneAt.IsZero() && h.goneSince.IsZero()
	if e.shared {
		d.putBack(it)
		if d.goneHost(h, it.period, reason) {
			e.goneAt = d.s.now()
			d.goneDirty[e] = struct{}{}
			d.pass(e)
		}
	} else {
		d.settle(it)
		e.goneAt = d.s.now()
		d.goneDirty[e] = struct{}{}
		h.lastError = reason
		d.pass(e)
		d.answered(h, took)
	}
	if first {
		d.under.Go(func() { d.askMoved(e) })
	}
}

// Whatever waits for the old address then waits for the new one.
const sqlMoveEndpoint = `
UPDATE fed_endpoint SET url = $2, gone_at = NULL WHERE endpoint_id = $1 AND NOT EXISTS (SELECT FROM fed_endpoint WHERE url = $2)`

// askMoved looks for an inbox that took the place of one that is gone.
func (d *dispatcher) askMoved(e *endpoint) {
	ctx, cancel := context.WithTimeout(d.posting, timeout)
	defer cancel()
	to := d.s.cfg.Moved(ctx, e.url)
	if host, err := ap.Host(to); to == "" || to == e.url || err != nil || host != e.host.name {
		return
	}
	tag, err := d.s.db.Exec(ctx, sqlMoveEndpoint, e.id, to)
	if err != nil {
		d.s.log.Warn("an inbox that moved", "from", e.url, "to", to, "err", err)
		return
	}
	d.s.book.forget()
	d.mu.Lock()
	defer d.mu.Unlock()
	h := e.host
	if h.lost {
		return
	}
	if tag.RowsAffected() > 0 {
		e.url, e.goneAt = to, time.Time{}
	} else {
		// The new one is known and has its own backlog.
		e.goneAt = d.s.now()
		d.pass(e)
	}
	d.goneDirty[e] = struct{}{}
	h.goneSince, h.goneProbes, h.nextTry = time.Time{}, 0, time.Time{}
	d.hostsDirty[h] = struct{}{}
	d.wake(h)
	d.pump()
}

// lookEvery bounds how often a host is looked into.
const lookEvery = 24 * time.Hour

// lookInto asks whether a server of the fediverse is still at a host whose inbox
// answers with pages: a parked domain takes everything.
func (d *dispatcher) lookInto(h *host) {
	now := d.s.now()
	if h.checking || !h.pageAt.IsZero() && now.Sub(h.pageAt) < lookEvery {
		return
	}
	h.checking, h.pageAt = true, now
	d.under.Go(func() {
		alive := d.s.cfg.Alive(d.posting, h.name)
		d.mu.Lock()
		defer d.mu.Unlock()
		h.checking = false
		if !alive && d.posting.Err() == nil && !h.lost {
			h.fails = max(h.fails, openAfter)
			d.bad(h, h.period, "its inbox answers with pages, and no server of the fediverse is there", 0)
			h.pageAt = time.Time{} // asked again with the next one it takes
		}
	})
}

// cancelled tells whether the cursor's operation was. It may be called without
// the lock: what is missed is sent.
func (c *cursor) cancelled() bool { return c.st.isCancelled.Load() }

// settle notes that nothing is left to do with an item.
func (d *dispatcher) settle(it *item) {
	c := it.c
	if it.chain != nil {
		d.unchain(it.chain)
	} else {
		c.done[it.row.seq] = struct{}{}
		d.dirty[c] = struct{}{}
	}
	delete(c.faults, it.row.seq)
	d.acked()
}

func (d *dispatcher) refuse(it *item, reason string) {
	h := it.c.e.host
	h.refused++
	h.lastRefused = fmt.Sprintf("%s: %s", it.row.activityID, reason)
	d.hostsDirty[h] = struct{}{}
	d.settle(it)
}

func (d *dispatcher) putBack(it *item) {
	if it.chain != nil {
		it.chain.due = false
		it.chain.nextAt = d.s.now().Add(time.Second)
		return
	}
	d.giveBack(it)
}
