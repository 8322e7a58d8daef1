package api

import (
	"net/netip"
	"sync"
	"time"
)

// Limiter counts calls in memory, exactly: a window slides, it is not a bucket.
type Limiter struct {
	now func() time.Time

	mu    sync.Mutex
	calls map[string]*calls
	swept time.Time
}

type calls struct {
	at  []int64 // ms of the calls inside the window, oldest first
	end int64   // ms when nothing of this is needed any more
}

// NewLimiter makes an empty limiter on the given clock.
func NewLimiter(now func() time.Time) *Limiter {
	return &Limiter{now: now, calls: map[string]*calls{}}
}

// Reset forgets all calls.
func (l *Limiter) Reset() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.calls = map[string]*calls{}
}

// Take counts a call under key unless gap or max per window forbid it; then it
// gives the time to wait. The gap is checked first (behaviour 2.3). A refused
// call does not count.
func (l *Limiter) Take(key string, max int, window, gap time.Duration) (wait time.Duration, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	l.sweep(now)
	ms := now.UnixMilli()
	c := l.calls[key]
	if c == nil {
		c = &calls{}
		l.calls[key] = c
	}
	keep := window
	if gap > keep {
		keep = gap
	}
	for len(c.at) > 0 && c.at[0] <= ms-keep.Milliseconds() {
		c.at = c.at[1:]
	}
	if n := len(c.at); n > 0 && gap > 0 && ms-c.at[n-1] < gap.Milliseconds() {
		return time.Duration(c.at[n-1]+gap.Milliseconds()-ms) * time.Millisecond, false
	}
	if max > 0 && len(c.at) >= max {
		return time.Duration(c.at[len(c.at)-max]+window.Milliseconds()-ms) * time.Millisecond, false
	}
	c.at = append(c.at, ms)
	c.end = ms + keep.Milliseconds()
	return 0, true
}

// Return takes back the latest call under key: it turned out not to count.
func (l *Limiter) Return(key string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if c := l.calls[key]; c != nil && len(c.at) > 0 {
		c.at = c.at[:len(c.at)-1]
	}
}

// sweep forgets what no window needs, once a minute.
func (l *Limiter) sweep(now time.Time) {
	if now.Sub(l.swept) < time.Minute {
		return
	}
	l.swept = now
	for k, c := range l.calls {
		if c.end < now.UnixMilli() {
			delete(l.calls, k)
		}
	}
}

// IPKey is what an address counts as: IPv6 by its /64, which one person holds.
func IPKey(a netip.Addr) string {
	a = a.Unmap()
	if a.Is6() {
		p, err := a.Prefix(64)
		if err == nil {
			return "ip:" + p.String()
		}
	}
	return "ip:" + a.String()
}
