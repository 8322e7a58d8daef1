package remote

import (
	"context"
	"net/http"
	"sync"
	"time"

	"buttersc.one/oven/internal/lib/httpsig"
)

// schemeFor is how long a host's taste in signatures is remembered.
const schemeFor = 24 * time.Hour

// Poster delivers activities in the scheme that each host takes: draft-cavage
// unless the host has refused it and taken RFC 9421 since.
type Poster struct {
	c *Client

	mu      sync.Mutex
	schemes map[string]time.Time // of hosts that want RFC 9421
}

// NewPoster makes a poster on the client's connections.
func NewPoster(c *Client) *Poster { return &Poster{c: c, schemes: map[string]time.Time{}} }

// Post is Client.Post. A host that answers 401 is asked once more with the
// other scheme; the first answer stands unless that succeeds.
func (p *Poster) Post(ctx context.Context, inbox string, body []byte, key httpsig.Key, still func() error) (*Answer, error) {
	host := hostOf(inbox)
	first, other := httpsig.Cavage, httpsig.RFC9421
	if p.wantsRFC(host) {
		first, other = other, first
	}
	a, err := p.c.Post(ctx, inbox, body, key, first, still)
	if err != nil || a.Status != http.StatusUnauthorized {
		return a, err
	}
	b, err := p.c.Post(ctx, inbox, body, key, other, still)
	if err != nil || b.Status < 200 || b.Status > 299 {
		return a, nil //nolint:nilerr // the first answer is one
	}
	p.remember(host, other)
	return b, nil
}

func (p *Poster) wantsRFC(host string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	t, ok := p.schemes[host]
	return ok && p.c.cfg.Now().Before(t)
}

func (p *Poster) remember(host string, s httpsig.Scheme) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.schemes) >= maxMisses {
		clear(p.schemes)
	}
	if s == httpsig.Cavage {
		delete(p.schemes, host)
		return
	}
	p.schemes[host] = p.c.cfg.Now().Add(schemeFor)
}
