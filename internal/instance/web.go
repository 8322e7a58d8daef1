package instance

import (
	"context"
	"fmt"

	"buttersc.one/oven/internal/socket/remote"
)

// Web is the policy for pages that people link to. With which servers this one
// federates says nothing about them, so only hosts that are blocked are refused.
func (s *Service) Web() remote.HostPolicy { return web{s} }

type web struct{ s *Service }

// Allowed implements remote.HostPolicy.
func (w web) Allowed(_ context.Context, host string) error {
	if Covers(w.s.meta.Get().BlockedHosts, host) {
		return fmt.Errorf("%s: %w", host, ErrBlocked)
	}
	return nil
}
