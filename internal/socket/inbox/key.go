package inbox

import (
	"context"
	"errors"
	"sync"
	"time"
)

// askedKeys bounds how keys are fetched: once at a time each, few at a time for
// a host, and not again for a while after a failure or a renewal.
type askedKeys struct {
	mu      sync.Mutex
	failed  map[string]time.Time // key id → when it may be asked for again
	renewed map[string]time.Time
	hosts   map[string]int // fetches under way and waiting, by host
	gates   map[string]chan struct{}
}

const (
	fetchesPerHost = 4
	waitingPerHost = 100
	goneFor        = time.Hour
	failedFor      = time.Minute
	renewEvery     = 15 * time.Minute
	maxAsked       = 20_000 // a full memory starts anew
)

// errBusy says that too many keys of the host are being asked for.
var errBusy = errors.New("too many keys of this host are being fetched")

func newAskedKeys() *askedKeys {
	return &askedKeys{failed: map[string]time.Time{}, renewed: map[string]time.Time{}, hosts: map[string]int{}, gates: map[string]chan struct{}{}}
}

// enter takes a place among the fetches of a host; leave gives it back.
func (k *askedKeys) enter(ctx context.Context, host string) (leave func(), err error) {
	k.mu.Lock()
	if k.hosts[host] >= waitingPerHost {
		k.mu.Unlock()
		return nil, errBusy
	}
	k.hosts[host]++
	gate := k.gates[host]
	if gate == nil {
		gate = make(chan struct{}, fetchesPerHost)
		k.gates[host] = gate
	}
	k.mu.Unlock()
	out := func() {
		k.mu.Lock()
		defer k.mu.Unlock()
		if k.hosts[host]--; k.hosts[host] == 0 {
			delete(k.hosts, host)
			delete(k.gates, host)
		}
	}
	select {
	case gate <- struct{}{}:
		return func() { <-gate; out() }, nil
	case <-ctx.Done():
		out()
		return nil, ctx.Err()
	}
}

func (k *askedKeys) mayAsk(keyID string, now time.Time) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return now.After(k.failed[keyID])
}

func (k *askedKeys) fail(keyID string, till time.Time) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.failed) >= maxAsked {
		clear(k.failed)
	}
	k.failed[keyID] = till
}

// mayRenew tells whether a known key may be fetched anew, and takes note of it.
func (k *askedKeys) mayRenew(keyID string, now time.Time) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if now.Before(k.renewed[keyID]) {
		return false
	}
	if len(k.renewed) >= maxAsked {
		clear(k.renewed)
	}
	k.renewed[keyID] = now.Add(renewEvery)
	return true
}

func (k *askedKeys) forget() {
	k.mu.Lock()
	defer k.mu.Unlock()
	clear(k.failed)
	clear(k.renewed)
}

// key gives a key, asking its server when it is unknown.
func (s *Service) key(ctx context.Context, keyID, host string) (*Key, error) {
	k, err := s.cfg.Keys.Key(ctx, keyID)
	if !errors.Is(err, ErrNoKey) {
		return k, err
	}
	return s.fetchKey(ctx, keyID, host)
}

func (s *Service) fetchKey(ctx context.Context, keyID, host string) (*Key, error) {
	now := s.cfg.Now()
	if !s.asked.mayAsk(keyID, now) {
		return nil, ErrNoKey
	}
	v, err, _ := s.fetches.Do("key "+keyID, func() (any, error) {
		leave, err := s.asked.enter(ctx, host)
		if err != nil {
			return nil, err
		}
		defer leave()
		// Shared by several requests, so not ended with the first.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
		defer cancel()
		k, err := s.cfg.Keys.FetchKey(ctx, keyID)
		if err != nil {
			till := now.Add(failedFor)
			if s.cfg.Gone != nil && s.cfg.Gone(err) {
				till = now.Add(goneFor)
			}
			s.asked.fail(keyID, till)
		}
		return k, err
	})
	if errors.Is(err, errBusy) || ctx.Err() != nil && err != nil {
		return nil, err
	}
	if err != nil {
		return nil, ErrNoKey
	}
	return v.(*Key), nil
}
