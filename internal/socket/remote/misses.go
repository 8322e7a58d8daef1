package remote

import (
	"context"
	"errors"
	"sync"
	"time"
)

// misses remembers failed fetches, so that a dead address that many documents
// name is not asked for each of them.
type misses struct {
	mu sync.Mutex
	m  map[string]miss
}

type miss struct {
	err  error
	till time.Time
}

const (
	missGone  = time.Hour
	missOther = time.Minute
	maxMisses = 10_000 // a full memory starts anew
)

// get is the failure that is remembered, nil for none.
func (s *misses) get(uri string, now time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	m, ok := s.m[uri]
	if !ok {
		return nil
	}
	if !now.Before(m.till) {
		delete(s.m, uri)
		return nil
	}
	return m.err
}

// put remembers a failure of the other side; our own are none of it.
func (s *misses) put(uri string, err error, now time.Time) {
	for _, own := range []error{ErrLocal, ErrRefused, ErrScheme, ErrSign, context.Canceled} {
		if errors.Is(err, own) {
			return
		}
	}
	d := missOther
	if IsGone(err) {
		d = missGone
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.m) >= maxMisses {
		clear(s.m)
	}
	s.m[uri] = miss{err: err, till: now.Add(d)}
}

func (s *misses) drop(uri string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.m, uri)
}

func (s *misses) reset() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.m)
}
