package remote

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"time"
)

// refused are the networks that are not the public one, beyond what netip
// knows by name (IANA's registries of special-purpose addresses; security row
// 7).
func refused() []netip.Prefix {
	var out []netip.Prefix
	for _, p := range []string{
		"0.0.0.0/8",                                         // this network
		"100.64.0.0/10",                                     // carrier-grade NAT, some clouds' metadata
		"168.63.129.16/32",                                  // Azure's metadata
		"192.0.0.0/24",                                      // protocol assignments, Oracle's metadata
		"192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", // documentation
		"192.88.99.0/24",  // 6to4 relays
		"198.18.0.0/15",   // benchmarking
		"240.0.0.0/4",     // reserved, broadcast
		"::/96",           // v4-compatible
		"::ffff:0:0:0/96", // v4-translated
		"64:ff9b::/96",    // NAT64: reaches v4 networks of all kinds
		"64:ff9b:1::/48",  // local NAT64
		"100::/64",        // discard
		"2001::/23",       // Teredo, ORCHID and other assignments
		"2001:db8::/32",   // documentation
		"2002::/16",       // 6to4
		"3fff::/20",       // documentation
		"5f00::/16",       // segment routing
		"fec0::/10",       // site-local
	} {
		out = append(out, netip.MustParsePrefix(p))
	}
	return out
}

// public tells whether an address may be connected to.
func (c *Client) public(ip netip.Addr) bool {
	ip = ip.Unmap().WithZone("")
	for _, p := range c.cfg.AllowedPrivateNetworks {
		if p.Contains(ip) {
			return true
		}
	}
	if ip.IsLoopback() {
		return c.cfg.AllowLoopback
	}
	// Neither unspecified, multicast nor link-local is global unicast.
	if !ip.IsGlobalUnicast() || ip.IsPrivate() {
		return false
	}
	for _, p := range c.refused {
		if p.Contains(ip) {
			return false
		}
	}
	return true
}

// control is the guard: called with the very address that is about to be
// connected to, so that a name which changes its mind between look-up and
// connection (DNS rebinding) changes nothing.
func (c *Client) control(_, address string, _ syscall.RawConn) error {
	to, err := netip.ParseAddrPort(address)
	if err != nil || !c.public(to.Addr()) {
		return fmt.Errorf("%w: %s", ErrGuard, address)
	}
	return nil
}

// dial connects to an address that the guard allows, or to a test host.
func (c *Client) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, err
	}
	d := &net.Dialer{Timeout: 4 * time.Second, KeepAlive: 30 * time.Second}
	if to, ok := c.testHost(host, port); ok {
		return d.DialContext(ctx, network, to.String())
	}
	d.Control = c.control
	if c.cfg.Resolve == nil {
		return d.DialContext(ctx, network, addr)
	}
	ips := []netip.Addr{}
	if ip, err := netip.ParseAddr(host); err == nil {
		ips = append(ips, ip)
	} else if ips, err = c.cfg.Resolve(ctx, host); err != nil || len(ips) == 0 {
		return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
	}
	var last error
	for _, ip := range ips {
		conn, err := d.DialContext(ctx, network, net.JoinHostPort(ip.String(), port))
		if err == nil {
			return conn, nil
		}
		last = err
	}
	return nil, last
}

// testHost is where a test host is. Keys are authorities: those without a port
// mean the default one.
func (c *Client) testHost(host, port string) (netip.AddrPort, bool) {
	if to, ok := c.cfg.TestHosts[net.JoinHostPort(host, port)]; ok || port != "80" && port != "443" {
		return to, ok
	}
	to, ok := c.cfg.TestHosts[host]
	return to, ok
}

// plain tells whether a host is reached by plain http although https is the
// rule: test hosts, and loopback in development.
func (c *Client) plain(host string) bool {
	if _, ok := c.cfg.TestHosts[host]; ok {
		return true
	}
	name := host
	if h, _, err := net.SplitHostPort(host); err == nil {
		name = h
	}
	ip, err := netip.ParseAddr(strings.Trim(name, "[]"))
	return c.cfg.AllowLoopback && (name == "localhost" || err == nil && ip.Unmap().IsLoopback())
}

// OriginOf is where a host's well-known documents are: https, but for test
// hosts and loopback in development.
func (c *Client) OriginOf(host string) string {
	if c.plain(host) {
		return "http://" + host
	}
	return "https://" + host
}
