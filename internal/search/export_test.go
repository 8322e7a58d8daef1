package search

import "context"

// Hold runs f while the indexes take nothing.
func (s *Service) Hold(f func()) {
	for _, sh := range s.shelves() {
		sh.mu.Lock()
		defer sh.mu.Unlock()
	}
	f()
}

// Renew has everything read again.
func (s *Service) Renew(ctx context.Context) error { return s.renew(ctx) }

// Occupy takes every turn to search until the function it gives is called.
func (s *Service) Occupy() (free func()) {
	for range cap(s.slots) {
		s.slots <- struct{}{}
	}
	return func() {
		for range cap(s.slots) {
			<-s.slots
		}
	}
}
