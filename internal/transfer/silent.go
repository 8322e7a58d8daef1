package transfer

import (
	"errors"
	"sync"
	"time"

	"buttersc.one/oven/internal/socket/remote"
	"buttersc.one/oven/internal/user"
)

// A host that did not answer so often in a row is not asked for a while, so that one
// that hangs does not hold up a file that names thousands of its accounts.
const (
	silentAfter = 2
	silentFor   = 10 * time.Minute
	silentHosts = 10_000 // are remembered
)

// silent are the hosts that did not answer of late.
type silent struct {
	now   func() time.Time
	mu    sync.Mutex
	hosts map[string]strikes
}

type strikes struct {
	n  int
	at time.Time // of the last
}

func newSilent(now func() time.Time) silent { return silent{now: now, hosts: map[string]strikes{}} }

// is tells whether a host need not be asked now.
func (s *silent) is(host string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	k, ok := s.hosts[host]
	if ok && s.now().Sub(k.at) > silentFor {
		delete(s.hosts, host)
		return false
	}
	return k.n >= silentAfter
}

// heard takes note of how it went to ask a host, and tells whether it answered.
func (s *silent) heard(host string, err error) bool {
	var re *remote.Error
	answered := err == nil || errors.Is(err, user.ErrActor) || errors.Is(err, user.ErrConflict) || errors.As(err, &re) && !re.Temporary
	s.mu.Lock()
	defer s.mu.Unlock()
	if answered {
		delete(s.hosts, host)
		return true
	}
	if len(s.hosts) >= silentHosts {
		clear(s.hosts)
	}
	s.hosts[host] = strikes{s.hosts[host].n + 1, s.now()}
	return false
}
