// Package remote is the one door out: every request that this server makes to
// another goes through it. It guards against requests into private networks,
// bounds time and size, signs, and checks that a document comes from where its
// id says. It does not decide what a document means, when a delivery is tried
// again, or with whom this server speaks (HostPolicy does).
package remote

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"time"

	"golang.org/x/sync/singleflight"

	"buttersc.one/oven/internal/lib/ap"
	"buttersc.one/oven/internal/lib/httpsig"
)

// Signer gives the key that signs fetches: that of instance.actor.
type Signer interface {
	SignGet(ctx context.Context) (httpsig.Key, error)
}

// HostPolicy says with which hosts this server speaks.
type HostPolicy interface {
	// Allowed gives an error for hosts that are not spoken to. It is asked for
	// every request and every redirect; host is in binding form (ap.Host).
	Allowed(ctx context.Context, host string) error
}

// Config of a Client. The zero value speaks https with the public network.
type Config struct {
	UserAgent string
	Origin    string // this server's, "https://a.example"; never asked. "": none is excluded
	// AllowedPrivateNetworks may be reached although they are not public.
	AllowedPrivateNetworks []netip.Prefix
	AllowLoopback          bool                      // development and test: loopback addresses, and plain http to them
	AllowPlainHTTP         bool                      // development and test: plain http to everybody
	TestHosts              map[string]netip.AddrPort // development and test: authority → where it is, by plain http
	Timeout                time.Duration             // of one GET with its redirects; 0: 10 s
	Now                    func() time.Time          // nil: time.Now
	RootCAs                *x509.CertPool            // nil: the system's
	// Resolve looks up a name; nil: the system's resolver. What it answers is
	// guarded like any other address.
	Resolve func(ctx context.Context, host string) ([]netip.Addr, error)
}

// Client makes the requests. Its methods may be called by many at a time.
type Client struct {
	cfg     Config
	self    string // authority of Origin
	signer  Signer
	policy  HostPolicy
	refused []netip.Prefix
	rt      *http.Transport
	slots   slots
	flights singleflight.Group
	misses  misses
}

const (
	getTimeout   = 10 * time.Second
	maxRedirects = 3
	maxPerHost   = 20 // requests at a time to one authority
)

// New makes a client. A nil signer leaves fetches unsigned, a nil policy speaks
// with everybody.
func New(cfg Config, signer Signer, policy HostPolicy) *Client {
	c := &Client{cfg: cfg, signer: signer, policy: policy, refused: refused(), slots: slots{m: map[string]*slot{}}, misses: misses{m: map[string]miss{}}}
	if c.cfg.Now == nil {
		c.cfg.Now = time.Now
	}
	if c.cfg.Timeout == 0 {
		c.cfg.Timeout = getTimeout
	}
	c.self, _ = ap.Host(cfg.Origin)
	c.rt = &http.Transport{
		Proxy:                  nil, // one named by the environment would be a second door
		DialContext:            c.dial,
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12, ClientSessionCache: tls.NewLRUClientSessionCache(1024), RootCAs: cfg.RootCAs},
		TLSHandshakeTimeout:    5 * time.Second,
		ResponseHeaderTimeout:  15 * time.Second,
		MaxResponseHeaderBytes: 64 << 10,
		MaxConnsPerHost:        2 * maxPerHost, // the slots are the limit; Transport's users come on top
		MaxIdleConnsPerHost:    16,             // what delivery uses of a host that answers well: a handshake costs more than a signature
		MaxIdleConns:           1024,
		IdleConnTimeout:        60 * time.Second,
		ForceAttemptHTTP2:      true,
	}
	return c
}

// Close drops idle connections.
func (c *Client) Close() { c.rt.CloseIdleConnections() }

// Transport is for libraries and slices that make requests of their own kind
// (push, object storage, media): each request is checked and guarded like those
// of the Client, redirects included when an http.Client follows them, and the
// connections are shared. The caller bounds time and size, and does not send
// credentials of one host to another.
func (c *Client) Transport() http.RoundTripper { return door{c} }

type door struct{ c *Client }

// RoundTrip implements http.RoundTripper.
func (d door) RoundTrip(r *http.Request) (*http.Response, error) {
	u, host, err := d.c.check(r.Context(), r.URL)
	if err != nil {
		if r.Body != nil {
			_ = r.Body.Close()
		}
		return nil, fail(host, err)
	}
	r = r.Clone(r.Context())
	if r.Host == r.URL.Host {
		r.Host = u.Host
	}
	r.URL = u
	if _, set := r.Header["User-Agent"]; !set {
		r.Header.Set("User-Agent", d.c.cfg.UserAgent)
	}
	res, err := d.c.rt.RoundTrip(r)
	if err != nil {
		return nil, fail(host, err)
	}
	return res, nil
}

// check refuses addresses that are not to be asked: other schemes, this server,
// hosts that the policy excludes. It gives the address without fragment and
// with its host in binding form, and the authority.
func (c *Client) check(ctx context.Context, u *url.URL) (*url.URL, string, error) {
	if u.Scheme != "https" && u.Scheme != "http" {
		return nil, "", fmt.Errorf("%w: %.50q", ErrScheme, u.Scheme)
	}
	host, err := ap.Host(u.String())
	if err != nil {
		return nil, "", fmt.Errorf("%w: %w", ErrScheme, err)
	}
	if u.Scheme == "http" && !c.cfg.AllowPlainHTTP && !c.plain(host) {
		return nil, host, fmt.Errorf("%w: http", ErrScheme)
	}
	if c.self != "" && host == c.self {
		return nil, host, ErrLocal
	}
	if c.policy != nil {
		if err := c.policy.Allowed(ctx, host); err != nil {
			return nil, host, fmt.Errorf("%w: %w", ErrRefused, err)
		}
	}
	clean := *u
	clean.Host, clean.Fragment, clean.RawFragment = host, "", ""
	return &clean, host, nil
}
