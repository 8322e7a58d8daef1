package remote

import (
	"context"
	"sync"
)

// slots bounds the requests at a time to one authority. They are waited for
// here and not in the transport, so that a request is signed when it is its
// turn and its Date is fresh.
type slots struct {
	mu sync.Mutex
	m  map[string]*slot
}

type slot struct {
	free  chan struct{}
	users int // holding or waiting; the last one removes the slot
}

// take waits for a place at the host until ctx ends; release gives it back.
func (s *slots) take(ctx context.Context, host string) (release func(), err error) {
	s.mu.Lock()
	sl := s.m[host]
	if sl == nil {
		sl = &slot{free: make(chan struct{}, maxPerHost)}
		s.m[host] = sl
	}
	sl.users++
	s.mu.Unlock()
	leave := func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if sl.users--; sl.users == 0 {
			delete(s.m, host)
		}
	}
	select {
	case sl.free <- struct{}{}:
		return func() { <-sl.free; leave() }, nil
	case <-ctx.Done():
		leave()
		return nil, ctx.Err()
	}
}
