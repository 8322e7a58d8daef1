package remote

import (
	"net/netip"
	"net/url"
)

// Public is the guard's decision.
func (c *Client) Public(ip netip.Addr) bool { return c.public(ip) }

// Waiting is the number of hosts with requests under way.
func (c *Client) Waiting() int {
	c.slots.mu.Lock()
	defer c.slots.mu.Unlock()
	return len(c.slots.m)
}

// AlternateLink is alternateLink.
func AlternateLink(page, base string) string {
	u, err := url.Parse(base)
	if err != nil {
		panic(err)
	}
	return alternateLink([]byte(page), u)
}
