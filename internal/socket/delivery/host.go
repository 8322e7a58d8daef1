package delivery

import (
	"context"
	"math/bits"
	"math/rand/v2"
	"sync"
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

	// A host that fails is asked at least every hour; one that has slept for a
	// day, every six. After seven days it is dead: operations pass it by, and what
	// it missed longer ago than the log reaches, it is told in short.
	maxBackoff  = time.Hour
	asleepAfter = 24 * time.Hour
	maxAsleep   = 6 * time.Hour
	deadAfter   = 7 * 24 * time.Hour

	// refusingAfter activities in a row, or an hour of nothing but 401 and 403, a
	// host is taken for refusing everything.
	refusingAfter = 20
	deniedFor     = time.Hour
	maxRefusing   = 24 * time.Hour

	// A shared inbox that is gone is asked goneProbes times in goneWithin.
	goneProbes = 3
	goneWithin = 48 * time.Hour
)

// host is an authority: what fails fails for all its inboxes.
type host struct {
	id        int32
	name      string
	shard     int16
	lost      bool // another node's now
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

	refusals      int       // in a row
	deniedSince   time.Time // nothing but 401 and 403 since
	refusingSince time.Time
	goneSince     time.Time
	goneProbes    int
	replaySince   time.Time
	told          bool      // Retry-After is why it waits
	missed        bool      // it was away for long: what is no longer in the log, it has missed
	pageAt        time.Time // when a page was last looked into
	checking      bool

	probing    bool
	limit      float64 // requests at a time
	ewma       time.Duration
	deficit    time.Duration // of slot time, in the lower lanes
	flying     int
	slow       int // of those, at the last look
	flyingBulk int
	history    uint32 // the last results, 1 = failed
	results    int
	bulkAt     time.Time // when the next bulk request may begin
	bulkArmed  bool
	heardAt    time.Time
	// heardElsewhere is the database's time of when it spoke to another node.
	heardElsewhere time.Time
	timer          *time.Timer

	queued [classes]bool      // in the ring
	active [classes][]*cursor // with items to look at
	saved  time.Time          // lastOK as it is stored
}

func newHost(id int32, name string, shard int16) *host {
	return &host{id: id, name: name, shard: shard, limit: firstOf}
}

// isOpen: the breaker lets one request at a time pass, and only after nextTry.
func (h *host) isOpen() bool {
	return h.fails >= openAfter || !h.refusingSince.IsZero() || !h.goneSince.IsZero()
}

// waits tells whether the host is not simply up.
func (h *host) waits() bool { return h.fails > 0 || h.isOpen() || h.told }

// asleep tells whether the host has failed for so long that bulk can wait.
func (h *host) asleep(now time.Time) bool {
	return !h.failSince.IsZero() && now.Sub(h.failSince) >= asleepAfter
}

func (h *host) dead(now time.Time) bool {
	return !h.failSince.IsZero() && now.Sub(h.failSince) >= deadAfter
}

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
	if h.paused || h.lost || d.stopping {
		return
	}
	if now.Before(h.nextTry) {
		d.arm(h, h.nextTry)
		return
	}
	for _, e := range h.endpoints {
		for c := range e.all() {
			d.refill(c)
			d.activate(c)
		}
	}
	d.enqueue(h)
}

// good notes that the host took something.
func (d *dispatcher) good(h *host, took time.Duration) {
	now := d.s.now()
	h.refusals, h.deniedSince = 0, time.Time{}
	d.answered(h, took)
	if h.fails > 0 || h.isOpen() || h.told {
		h.missed = h.missed || h.asleep(now)
		if h.dead(now) {
			h.replaySince = h.failSince.AddDate(0, 0, -1)
		}
		h.fails, h.failSince, h.nextTry, h.told = 0, time.Time{}, time.Time{}, false
		h.refusingSince, h.goneSince, h.goneProbes = time.Time{}, time.Time{}, 0
		h.history, h.results = 0, 0
		h.limit = 1 // slow start
		d.hostsDirty[h] = struct{}{}
		d.wake(h)
	}
}

// answered notes that an answer came, whatever it says of the activity.
func (d *dispatcher) answered(h *host, took time.Duration) {
	now := d.s.now()
	h.history <<= 1
	h.results++
	h.lastOK = now
	if h.ewma > 0 && took > 3*h.ewma && took > 250*time.Millisecond {
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
		most := maxBackoff
		if h.asleep(now) {
			most = maxAsleep
		}
		h.nextTry = now.Add(jitter(d.s.cfg.Backoff, h.fails-1, most))
	}
	if retryAfter > 0 {
		h.told = true
		if t := now.Add(min(retryAfter, maxRetryAfter)); t.After(h.nextTry) {
			h.nextTry = t
		}
	}
	d.rest(h)
}

// refusing notes that the host would not have an activity. It did answer; but
// one who refuses everything, or everybody, is asked no more than now and then,
// and what is for it waits.
func (d *dispatcher) refusing(h *host, period int, took time.Duration, reason string, denied bool) {
	now := d.s.now()
	d.answered(h, took)
	h.refusals++
	h.lastError = reason
	if !denied {
		h.deniedSince = time.Time{}
	} else if h.deniedSince.IsZero() {
		h.deniedSince = now
	}
	if h.refusals < refusingAfter && (h.deniedSince.IsZero() || now.Sub(h.deniedSince) < deniedFor) {
		if h.fails > 0 { // it is there again, at least
			h.fails, h.failSince, h.nextTry = 0, time.Time{}, time.Time{}
			d.hostsDirty[h] = struct{}{}
		}
		return
	}
	if h.refusingSince.IsZero() {
		h.refusingSince = now
		h.fails = 0
	}
	if period == h.period {
		h.fails++
		h.period++
		h.nextTry = now.Add(spread(time.Hour, h.fails-1, maxRefusing))
	}
	d.rest(h)
}

// goneHost notes that the shared inbox says that it does not exist; true when
// it has said so often and long enough.
func (d *dispatcher) goneHost(h *host, period int, reason string) bool {
	now := d.s.now()
	h.lastError = reason
	if h.goneSince.IsZero() {
		h.goneSince = now
	}
	if period == h.period {
		h.period++
		h.goneProbes++
	}
	over := h.goneProbes >= goneProbes && now.Sub(h.goneSince) >= goneWithin
	if over {
		h.nextTry = now.Add(goneFor)
	} else {
		h.nextTry = now.Add(spread(time.Hour, 3*(h.goneProbes-1), 40*time.Hour))
	}
	d.rest(h)
	return over
}

// rest leaves a host alone until its next try.
func (d *dispatcher) rest(h *host) {
	d.hostsDirty[h] = struct{}{}
	if h.isOpen() {
		d.dropHost(h)
	}
	d.arm(h, h.nextTry)
}

func (d *dispatcher) dropHost(h *host) {
	for _, e := range h.endpoints {
		for c := range e.all() {
			d.dropWindow(c)
		}
	}
}

func growing(base time.Duration, n int, most time.Duration) time.Duration {
	if n < 30 && base<<n < most && base<<n > 0 {
		return base << n
	}
	return most
}

// jitter is a random part of base·2^n, at most most: hosts that went away
// together are not asked together.
func jitter(base time.Duration, n int, most time.Duration) time.Duration {
	return time.Duration(rand.Int64N(int64(growing(base, n, most))) + 1)
}

// spread is base·2^n, at most most, and up to a tenth more.
func spread(base time.Duration, n int, most time.Duration) time.Duration {
	t := growing(base, n, most)
	return t + time.Duration(rand.Int64N(int64(t)/10+1))
}

// heard remembers, where another node delivers to a host, when it was told so.
type heard struct {
	mu sync.Mutex
	at map[string]time.Time
}

func (h *heard) due(name string, now time.Time) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.at == nil || len(h.at) > 100_000 {
		h.at = map[string]time.Time{}
	}
	if now.Sub(h.at[name]) < heardEvery {
		return false
	}
	h.at[name] = now
	return true
}

const sqlHeard = `UPDATE fed_host SET heard_at = now() WHERE host = $1 AND (next_try > now() OR gone_since IS NOT NULL)`

// Heard tells that a request from the host was verified: it is there, so what
// waits for it is tried at once.
func (s *Service) Heard(name string) {
	d := s.dispatching()
	if d != nil {
		d.mu.Lock()
		h, all := d.byName[name], d.shards.all()
		if h != nil {
			d.heardFrom(h)
		}
		d.mu.Unlock()
		if h != nil || all {
			return
		}
	}
	if !s.heard.due(name, s.now()) {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if _, err := s.db.Exec(ctx, sqlHeard, name); err != nil {
		s.log.Warn("a host that spoke", "err", err)
	}
}

func (d *dispatcher) heardFrom(h *host) {
	now := d.s.now()
	if d.stopping || now.Sub(h.heardAt) < heardEvery {
		return
	}
	for _, e := range h.endpoints {
		if !e.goneAt.IsZero() {
			e.goneAt = time.Time{}
			d.goneDirty[e] = struct{}{}
			h.heardAt = now
		}
	}
	if h.waits() && now.Before(h.nextTry) {
		h.heardAt = now
		h.nextTry = now
		d.wake(h)
		d.pump()
	}
}
