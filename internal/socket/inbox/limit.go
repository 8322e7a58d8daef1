package inbox

import (
	"math"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// Rate of requests of one claimed host from one network.
const (
	perSecond  = 50.0
	burst      = 500.0
	maxBuckets = 20_000
)

// rates are token buckets by claimed host and source network. Both together:
// who claims to be another host uses up a bucket of his own.
type rates struct {
	mu sync.Mutex
	m  map[string]*bucket
}

type bucket struct {
	tokens float64
	at     time.Time
}

func newRates() *rates { return &rates{m: map[string]*bucket{}} }

// take takes a token, or tells how long until there is one. now must not be a
// clock that jumps.
func (r *rates) take(key string, now time.Time) (wait time.Duration, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	b := r.m[key]
	if b == nil {
		if len(r.m) >= maxBuckets {
			r.sweep(now)
		}
		b = &bucket{tokens: burst, at: now}
		r.m[key] = b
	}
	b.fill(now)
	if b.tokens < 1 {
		return time.Duration((1 - b.tokens) / perSecond * float64(time.Second)), false
	}
	b.tokens--
	return 0, true
}

func (b *bucket) fill(now time.Time) {
	b.tokens = min(burst, b.tokens+now.Sub(b.at).Seconds()*perSecond)
	b.at = now
}

// sweep removes buckets that are full, which is what a new one would be; when
// that does not help, all: a flood of invented hosts must not grow the memory.
func (r *rates) sweep(now time.Time) {
	for k, b := range r.m {
		if b.fill(now); b.tokens >= burst {
			delete(r.m, k)
		}
	}
	if len(r.m) >= maxBuckets/2 {
		clear(r.m)
	}
}

func (r *rates) reset() {
	r.mu.Lock()
	defer r.mu.Unlock()
	clear(r.m)
}

// sourceOf is the network a request came from: IPv4 /24, IPv6 /48.
func sourceOf(remoteAddr string) string {
	a, err := netip.ParseAddrPort(remoteAddr)
	if err != nil {
		return ""
	}
	ip, bits := a.Addr().Unmap().WithZone(""), 24
	if ip.Is6() {
		bits = 48
	}
	p, err := ip.Prefix(bits)
	if err != nil {
		return ""
	}
	return p.String()
}

// Requests under way at a time, and the bytes of their bodies.
const (
	maxRequests = 1024
	maxBytes    = 128 << 20
)

// room bounds what is under way, over all hosts.
type room struct{ requests, bytes atomic.Int64 }

func (m *room) enter(size int64) bool {
	requests, bytes := m.requests.Add(1), m.bytes.Add(size)
	if requests <= maxRequests && bytes <= maxBytes {
		return true
	}
	m.leave(size)
	return false
}

func (m *room) leave(size int64) {
	m.requests.Add(-1)
	m.bytes.Add(-size)
}

// seconds is a duration for Retry-After: whole seconds, at least one.
func seconds(d time.Duration) int { return max(1, int(math.Ceil(d.Seconds()))) }
