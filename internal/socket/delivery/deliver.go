package delivery

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"
)

// timeout of one delivery, both knocks of a Poster included.
const timeout = 30 * time.Second

type verdict int

const (
	taken   verdict = iota // the endpoint has it
	nothing                // there was nothing to send
	refused                // never again: the activity's fault
	single                 // the activity is tried again on its own, the others go on
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
	if len(r.body) == 0 || d.s.cfg.Drop(e.host.name) || (r.typ != "Delete" && r.typ != "Undo" && d.s.blanked.has(r.object)) {
		return outcome{verdict: nothing}
	}
	ctx, cancel := context.WithTimeout(d.posting, timeout)
	defer cancel()
	key, err := d.s.Key(ctx, r.actorID)
	var unusable *keyError
	switch {
	case errors.Is(err, ErrNoKey), errors.As(err, &unusable):
		d.s.log.Error("delivering", "activity", r.activityID, "err", err)
		return outcome{verdict: refused, reason: "no usable key"}
	case err != nil && d.posting.Err() != nil:
		return outcome{verdict: aborted}
	case err != nil:
		d.s.log.Error("delivering", "activity", r.activityID, "err", err)
		return outcome{verdict: broken, reason: err.Error()}
	}
	if it.c.class >= Background {
		key.Signer = gated{key.Signer, d.gate}
	}
	a, err := d.s.cfg.Poster.Post(ctx, e.url, r.body, key)
	if err != nil {
		if d.posting.Err() != nil {
			return outcome{verdict: aborted}
		}
		return outcome{verdict: down, reason: err.Error()}
	}
	return judge(a)
}

// judge tells whose fault an answer is.
func judge(a Answer) outcome {
	reason := fmt.Sprintf("answered %d", a.Status)
	switch {
	case a.Status >= 200 && a.Status < 300:
		return outcome{verdict: taken}
	case a.Status == 404 || a.Status == 410:
		return outcome{verdict: goneNow, reason: reason}
	case a.Status == 408 || a.Status == 425 || a.Status == 429 || a.Status >= 500:
		return outcome{verdict: down, reason: reason, retryAfter: a.RetryAfter, answered: a.Status >= 500 && a.RetryAfter == 0}
	case a.Status == 401 || a.Status == 403 || a.Status < 400:
		// Often the host could not fetch our key just now; a redirect that the
		// Poster did not follow may be a mistake of the moment.
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
	if it.chain == nil {
		delete(c.flying, it.row.seq)
	}
	h.flying--
	d.flying--
	d.flyingBy[c.class]--
	if c.class == Bulk {
		h.flyingBulk--
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
	switch o.verdict {
	case taken:
		d.settle(it)
		d.good(h, took)
	case nothing:
		d.settle(it)
	case refused:
		d.refuse(it, o.reason)
		d.good(h, took)
	case goneNow:
		d.settle(it)
		e.goneAt = now
		d.goneDirty[e] = struct{}{}
		h.lastError = o.reason
		d.pass(e)
		d.good(h, took)
	case single:
		d.good(h, took)
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
	for _, c := range e.cursors {
		if c != nil {
			d.activate(c)
		}
	}
	d.enqueue(h)
}

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
