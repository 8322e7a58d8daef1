package inbox

import (
	"net/netip"
	"sync"
	"time"
)

// buckets are token buckets by (claimed host, source network): who lies about
// the host moves only his own.
type buckets struct {
	mu sync.Mutex
	m  map[string]*bucket
}

type bucket struct {
	tokens float64
	at     time.Time
}

const (
	perSecond  = 50.0
	burst      = 500.0
	maxBuckets = 20_000 // a full memory starts anew
)

func newBuckets() *buckets { return &buckets{m: map[string]*bucket{}} }

// take tells whether one more request may come now.
func (b *buckets) take(key string, now time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.m) >= maxBuckets {
		clear(b.m)
	}
	k := b.m[key]
	if k == nil {
		k = &bucket{tokens: burst, at: now}
		b.m[key] = k
	}
	k.tokens = min(burst, k.tokens+now.Sub(k.at).Seconds()*perSecond)
	k.at = now
	if k.tokens < 1 {
		return false
	}
	k.tokens--
	return true
}

// sourceOf is the network a request came from: IPv4 /24, IPv6 /48.
func sourceOf(remoteAddr string) string {
	a, err := netip.ParseAddrPort(remoteAddr)
	if err != nil {
		return ""
	}
	ip, bits := a.Addr().Unmap(), 24
	if ip.Is6() {
		bits = 48
	}
	p, err := ip.Prefix(bits)
	if err != nil {
		return ""
	}
	return p.String()
}
