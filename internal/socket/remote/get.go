package remote

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
)

// knock is a way of signing a fetch.
type knock int

const (
	unsigned knock = iota
	knockCavage
	knockCavagePath // without the query string
	knockRFC9421
)

// Page is the answer to a GET.
type Page struct {
	URL    string // after redirects
	Header http.Header
	Body   []byte
}

// Get fetches what is at an address, unsigned, of up to limit bytes after
// decompression. Only 2xx is success. Errors are *Error.
func (c *Client) Get(ctx context.Context, uri, accept string, limit int64) (*Page, error) {
	a, err := c.get(ctx, uri, accept, unsigned, func(*http.Response) read { return read{max: limit} })
	if err != nil {
		return nil, err
	}
	if a.status < 200 || a.status > 299 {
		return nil, answered(a.host, a.status)
	}
	return &Page{URL: a.url.String(), Header: a.header, Body: a.body}, nil
}

// GetJSON fetches a JSON document (nodeinfo, WebFinger, manifests), unsigned,
// of up to limit bytes. Its text is not checked. Errors are *Error.
func (c *Client) GetJSON(ctx context.Context, uri string, limit int64) ([]byte, error) {
	p, err := c.Get(ctx, uri, "application/json, application/jrd+json", limit)
	if err != nil {
		return nil, err
	}
	return p.Body, nil
}

// get makes a GET and follows up to maxRedirects hops, each checked and signed
// like the first.
func (c *Client) get(ctx context.Context, uri, accept string, k knock, limit func(*http.Response) read) (*answer, error) {
	ctx, cancel := context.WithTimeout(ctx, c.cfg.Timeout)
	defer cancel()
	u, err := url.Parse(uri)
	if err != nil {
		return nil, fail("", fmt.Errorf("%w: %w", ErrScheme, err))
	}
	seen := map[string]bool{}
	for {
		to, host, err := c.check(ctx, u)
		if err != nil {
			return nil, fail(host, err)
		}
		if seen[to.String()] || len(seen) > maxRedirects {
			return nil, fail(host, ErrRedirect)
		}
		seen[to.String()] = true
		q := request{method: http.MethodGet, url: to, header: http.Header{"Accept": {accept}}, limit: limit}
		if k != unsigned {
			q.sign = func(r *http.Request) error { return c.signGet(ctx, r, k) }
		}
		a, err := c.exchange(ctx, host, q)
		if err != nil {
			return nil, fail(host, err)
		}
		switch a.status {
		case http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther, http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
		default:
			return a, nil
		}
		next, err := to.Parse(a.header.Get("Location"))
		if err != nil || a.header.Get("Location") == "" {
			return nil, fail(host, fmt.Errorf("%w: no Location", ErrRedirect))
		}
		if to.Scheme == "https" && next.Scheme != "https" {
			return nil, fail(host, fmt.Errorf("%w: redirect to %.50q", ErrScheme, next.Scheme))
		}
		u = next
	}
}
