package delivery

import (
	"math/bits"
	"math/rand/v2"
	"time"
)

const (
	// openAfter failures in a row, or half of the last sampled ones, a host is
	// asked with one request at a time.
	openAfter = 3
	sampled   = 20
	maxProbes = 8 // hosts that are asked at a time
	firstOf   = 2 // requests at a time to a host nothing is known of
	mostOf    = 16
	// heardEvery bounds how often a host that speaks and does not listen is asked
	// because of that.
	heardEvery = 30 * time.Second
)

// host is an authority: what fails fails for all its inboxes.
type host struct {
	id        int32
	name      string
	endpoints []*endpoint

	fails       int // in a row
	period      int // between two counted failures
	failSince   time.Time
	nextTry     time.Time // nothing is begun before
	lastOK      time.Time
	lastError   string
	refused     int64
	lastRefused string
	paused      bool

	probing    bool
	limit      float64 // requests at a time
	ewma       time.Duration
	flying     int
	flyingBulk int
	history    uint32 // the last results, 1 = failed
	results    int
	bulkAt     time.Time // when the next bulk request may begin
	bulkArmed  bool
	heardAt    time.Time
	timer      *time.Timer

	queued [classes]bool      // in the ring
	active [classes][]*cursor // with items to look at
	saved  time.Time          // lastOK as it is stored
}

func newHost(id int32, name string) *host { return &host{id: id, name: name, limit: firstOf} }

// isOpen: the breaker lets one request at a time pass, and only after nextTry.
func (h *host) isOpen() bool { return h.fails >= openAfter }

// takes tells whether windows are kept for the host.
func (h *host) takes(now time.Time) bool {
	return !h.paused && (!h.isOpen() || !now.Before(h.nextTry))
}

func (h *host) disarm() {
	if h.timer != nil {
		h.timer.Stop()
	}
}

// arm wakes the host at t.
func (d *dispatcher) arm(h *host, t time.Time) {
	h.disarm()
	h.timer = time.AfterFunc(max(t.Sub(d.s.now()), 0)+time.Millisecond, func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.wake(h)
		d.pump()
	})
}

// wake looks at a host again: its windows are filled and what is in them is
// tried.
func (d *dispatcher) wake(h *host) {
	now := d.s.now()
	if h.paused || d.stopping {
		return
	}
	if now.Before(h.nextTry) {
		d.arm(h, h.nextTry)
		return
	}
	for _, e := range h.endpoints {
		for _, c := range e.cursors {
			if c != nil {
				d.refill(c)
				d.activate(c)
			}
		}
	}
	d.enqueue(h)
}

// good notes that the host answered.
func (d *dispatcher) good(h *host, took time.Duration) {
	now := d.s.now()
	h.history <<= 1
	h.results++
	h.lastOK = now
	if h.fails > 0 {
		h.fails, h.failSince, h.nextTry = 0, time.Time{}, time.Time{}
		h.history, h.results = 0, 0
		h.limit = 1 // slow start
		d.hostsDirty[h] = struct{}{}
		d.wake(h)
	} else if h.ewma > 0 && took > 3*h.ewma && took > 250*time.Millisecond {
		h.limit = max(1, h.limit/2)
	} else {
		h.limit = min(mostOf, h.limit+1/h.limit)
	}
	if h.ewma == 0 {
		h.ewma = took
	}
	h.ewma += (took - h.ewma) / 8
	if now.Sub(h.saved) > time.Minute {
		h.saved = now
		d.hostsDirty[h] = struct{}{}
	}
}

// bad notes a failure that is the host's. Requests that were under way together
// fail together: that counts once.
func (d *dispatcher) bad(h *host, period int, reason string, retryAfter time.Duration) {
	now := d.s.now()
	h.history = h.history<<1 | 1
	h.results++
	h.lastError = reason
	h.limit = max(1, h.limit/2)
	if period == h.period {
		h.fails++
		h.period++
		if h.failSince.IsZero() {
			h.failSince = now
		}
		if h.results >= sampled && bits.OnesCount32(h.history&(1<<sampled-1)) >= sampled/2 {
			h.fails = max(h.fails, openAfter)
		}
		h.nextTry = now.Add(jitter(d.s.cfg.Backoff, h.fails-1))
	}
	if retryAfter > 0 {
		if t := now.Add(min(retryAfter, maxRetryAfter)); t.After(h.nextTry) {
			h.nextTry = t
		}
	}
	d.hostsDirty[h] = struct{}{}
	if h.isOpen() {
		d.dropHost(h)
	}
	d.arm(h, h.nextTry)
}

func (d *dispatcher) dropHost(h *host) {
	for _, e := range h.endpoints {
		for _, c := range e.cursors {
			if c != nil {
				d.dropWindow(c)
			}
		}
	}
}

// jitter is a random part of base·2^n, an hour at most: hosts that went away
// together are not asked together.
func jitter(base time.Duration, n int) time.Duration {
	most := maxBackoff
	if n < 30 && base<<n < maxBackoff && base<<n > 0 {
		most = base << n
	}
	return time.Duration(rand.Int64N(int64(most)) + 1)
}

// Heard tells that a request from the host was verified: it is there, so what
// waits for it is tried at once.
func (s *Service) Heard(name string) {
	d := s.dispatching()
	if d == nil {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	h := d.byName[name]
	if h == nil || d.stopping {
		return
	}
	now := d.s.now()
	if now.Sub(h.heardAt) < heardEvery {
		return
	}
	for _, e := range h.endpoints {
		if !e.goneAt.IsZero() {
			e.goneAt = time.Time{}
			d.goneDirty[e] = struct{}{}
			h.heardAt = now
		}
	}
	if h.fails > 0 && now.Before(h.nextTry) {
		h.heardAt = now
		h.nextTry = now
		d.wake(h)
		d.pump()
	}
}
