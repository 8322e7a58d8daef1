package inbox

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"time"
)

const (
	keyTime     = 10 * time.Second // for a key to be fetched
	keyWait     = 20 * time.Second // for a request to wait for its key
	keysPerHost = 4                // fetches under way
	waitPerHost = 100              // requests
	waitAll     = maxRequests / 2  // the other half is for those whose key is known
	missGone    = time.Hour
	missOther   = time.Minute
	renewEvery  = 15 * time.Minute
	maxRemember = 10_000
)

var errKeyGone = &refusal{status: http.StatusUnauthorized, reason: "the key does not exist"}

// keyring fetches keys on behalf of requests that wait: each once at a time,
// few of one host at a time, and not again right after a failure.
type keyring struct {
	c Config

	mu      sync.Mutex
	hosts   map[string]*keyHost
	waiting int
	misses  map[string]keyMiss
	renewed map[string]time.Time // key → when it was last asked for again
}

type keyHost struct {
	running int
	waiting int
	calls   map[string]*keyCall
	queue   []*keyCall // not yet running
}

type keyCall struct {
	id      string
	waiters int
	done    chan struct{}
	key     *Key
	err     error
}

type keyMiss struct {
	err  error
	till time.Time
}

func newKeyring(c Config) *keyring {
	return &keyring{c: c, hosts: map[string]*keyHost{}, misses: map[string]keyMiss{}, renewed: map[string]time.Time{}}
}

// reset forgets what is remembered. Fetches under way end as they may.
func (g *keyring) reset() {
	g.mu.Lock()
	defer g.mu.Unlock()
	clear(g.misses)
	clear(g.renewed)
}

// fetch gives the key from its server. errKeyGone when it says that there is
// none, another refusal when it cannot be had.
func (g *keyring) fetch(ctx context.Context, id, host string) (*Key, error) {
	call, err := g.join(id, host)
	if err != nil {
		return nil, err
	}
	t := time.NewTimer(keyWait)
	defer t.Stop()
	defer g.leave(call, host)
	select {
	case <-call.done:
		return call.key, call.err
	case <-t.C:
		return nil, later(http.StatusServiceUnavailable, "the key could not be fetched in time", missOther)
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (g *keyring) join(id, host string) (*keyCall, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if m, ok := g.misses[id]; ok {
		if g.c.Now().Before(m.till) {
			return nil, m.err
		}
		delete(g.misses, id)
	}
	h := g.hosts[host]
	if g.waiting >= waitAll || h != nil && h.waiting >= waitPerHost {
		return nil, later(http.StatusServiceUnavailable, "too many keys to fetch", missOther)
	}
	if h == nil {
		h = &keyHost{calls: map[string]*keyCall{}}
		g.hosts[host] = h
	}
	call := h.calls[id]
	if call == nil {
		call = &keyCall{id: id, done: make(chan struct{})}
		h.calls[id] = call
		h.queue = append(h.queue, call)
	}
	call.waiters++
	h.waiting++
	g.waiting++
	g.start(host, h)
	return call, nil
}

func (g *keyring) leave(call *keyCall, host string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	call.waiters--
	g.waiting--
	h := g.hosts[host]
	h.waiting--
	g.start(host, h)
}

// start runs calls as far as the host may be asked, skips those for which
// nobody waits any more, and forgets a host without any. Under mu.
func (g *keyring) start(host string, h *keyHost) {
	for h.running < keysPerHost && len(h.queue) > 0 {
		call := h.queue[0]
		h.queue = h.queue[1:]
		if call.waiters == 0 {
			delete(h.calls, call.id)
			continue
		}
		h.running++
		go g.run(call, host, h)
	}
	if h.running == 0 && h.waiting == 0 && len(h.queue) == 0 {
		delete(g.hosts, host)
	}
}

// run fetches one key. Not in the name of a request: others wait for it too,
// and the sender's next try profits.
func (g *keyring) run(call *keyCall, host string, h *keyHost) {
	ctx, cancel := context.WithTimeout(context.Background(), keyTime)
	defer cancel()
	call.key, call.err = g.ask(ctx, call.id)

	g.mu.Lock()
	defer g.mu.Unlock()
	var no *refusal
	if errors.As(call.err, &no) {
		g.remember(call.id, no)
	}
	h.running--
	delete(h.calls, call.id)
	close(call.done)
	g.start(host, h)
}

func (g *keyring) ask(ctx context.Context, id string) (k *Key, err error) {
	defer func() {
		if recover() != nil {
			k, err = nil, errPanic
		}
		if err == nil {
			return
		}
		g.c.Log.Info("key not fetched", "key", id, "gone", g.c.Gone(err))
		switch {
		case g.c.Gone(err):
			err = errKeyGone
		case errors.Is(err, ErrNoKey):
			err = refuse(http.StatusUnauthorized, "no such key")
		default:
			err = later(http.StatusServiceUnavailable, "the key could not be fetched", missOther)
		}
	}()
	return g.c.Keys.FetchKey(ctx, id)
}

func (g *keyring) remember(id string, no *refusal) {
	if len(g.misses) >= maxRemember {
		clear(g.misses)
	}
	d := missOther
	if no == errKeyGone {
		d = missGone
	}
	g.misses[id] = keyMiss{err: no, till: g.c.Now().Add(d)}
}

// mayRenew tells whether a known key that did not fit may be asked for again,
// and notes that it was.
func (g *keyring) mayRenew(id string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := g.c.Now()
	if at, ok := g.renewed[id]; ok && now.Sub(at) < renewEvery {
		return false
	}
	if len(g.renewed) >= maxRemember {
		clear(g.renewed)
	}
	g.renewed[id] = now
	return true
}
