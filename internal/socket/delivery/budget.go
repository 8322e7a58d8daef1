package delivery

import (
	"crypto"
	"io"
	"slices"
	"sync"
	"time"
)

// budget bounds what is tried again: a tenth of what succeeds and one a second,
// over all hosts, so that many who fail cost little.
type budget struct {
	tokens float64
	most   float64
	at     time.Time
}

const (
	retryShare = 0.1
	retryRate  = 1 // a second
)

func newBudget(most int, now time.Time) budget {
	return budget{tokens: float64(most), most: float64(most), at: now}
}

func (b *budget) refill(now time.Time) {
	if dt := now.Sub(b.at); dt > 0 {
		b.tokens = min(b.most, b.tokens+retryRate*dt.Seconds())
	}
	b.at = now
}

func (b *budget) has(now time.Time) bool {
	b.refill(now)
	return b.tokens >= 1
}

func (b *budget) take(now time.Time) {
	b.refill(now)
	b.tokens--
}

// earn notes a success.
func (b *budget) earn(now time.Time) {
	b.refill(now)
	b.tokens = min(b.most, b.tokens+retryShare)
}

// load measures how late live activities are here, from when they were read
// until they are signed, and lets bulk have so many requests at a time that they
// are not: less at once when they are late, more by and by when they are not.
type load struct {
	mu   sync.Mutex
	lags []time.Duration // since the last look
	// most is how many bulk requests there may be at a time.
	most  float64
	limit float64
	late  time.Time // when live requests were late last, by the process's clock
}

const (
	// lateAfter is the lag of 95 % that is too much.
	lateAfter = 250 * time.Millisecond
	maxLags   = 2048
)

func newLoad(slots int) load {
	limit := max(1, float64(slots*40/100))
	return load{most: limit, limit: limit}
}

// saw notes a live request's lag.
func (l *load) saw(lag time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.lags) < maxLags {
		l.lags = append(l.lags, lag)
	}
}

// adjust is called every dt.
func (l *load) adjust(dt time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if n := len(l.lags); n > 0 {
		slices.Sort(l.lags)
		late := l.lags[min(n-1, n*95/100)] > lateAfter
		l.lags = l.lags[:0]
		if late {
			l.late = time.Now()
			l.most = max(1, l.most*0.7)
			return
		}
	}
	l.most = min(l.limit, l.most+max(l.most*0.05, 0.5)*dt.Seconds())
}

// lateFor is how long after live activities were late whoever makes bulk should
// wait.
const lateFor = 2 * time.Second

// Late tells whether live activities are late here, so that whoever makes bulk
// should make less.
func (s *Service) Late() bool {
	d := s.dispatching()
	if d == nil {
		return false
	}
	d.load.mu.Lock()
	defer d.load.mu.Unlock()
	return time.Since(d.load.late) < lateFor
}

func (l *load) bulk() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return max(1, int(l.most))
}

// slowAfter a request counts as one that waits for a slow host.
const slowAfter = time.Second

// countSlow counts the requests that wait for slow hosts. When they become few
// again, hosts that were not begun for their sake are looked at.
func (d *dispatcher) countSlow() {
	now := d.s.now()
	before := d.slow
	d.slow = 0
	for it := range d.flights {
		it.c.e.host.slow = 0
	}
	for it := range d.flights {
		if now.Sub(it.began) > slowAfter {
			d.slow++
			it.c.e.host.slow++
		}
	}
	if most := d.s.cfg.Slots * 30 / 100; before >= most && d.slow < most {
		for _, h := range d.hosts {
			d.enqueue(h)
		}
	}
}

// timed tells when a request is being signed, just before it is sent.
type timed struct {
	crypto.Signer
	saw func()
}

func (t timed) Sign(rand io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	b, err := t.Signer.Sign(rand, digest, opts)
	t.saw()
	return b, err
}
