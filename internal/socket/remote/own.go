package remote

import (
	"context"
	"net"
	"net/http"
	"time"
)

// Own is the door to servers that the operator has named in the settings: a
// summariser, a translator. They are often on the same machine, so no address is
// refused and http is fine: nobody but an administrator chooses where it leads, and
// it follows no redirect that would choose otherwise. The caller bounds time and
// size, and never puts an address there that somebody else wrote.
func (c *Client) Own() http.RoundTripper {
	rt := c.rt.Clone()
	d := &net.Dialer{Timeout: 4 * time.Second, KeepAlive: 30 * time.Second}
	rt.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
		if host, port, err := net.SplitHostPort(addr); err == nil {
			if to, ok := c.testHost(host, port); ok {
				addr = to.String()
			}
		}
		return d.DialContext(ctx, network, addr)
	}
	rt.ResponseHeaderTimeout = time.Minute // a translator on a small machine thinks for long
	return own{rt, c.cfg.UserAgent}
}

type own struct {
	rt        *http.Transport
	userAgent string
}

// RoundTrip implements http.RoundTripper.
func (o own) RoundTrip(r *http.Request) (*http.Response, error) {
	if _, set := r.Header["User-Agent"]; !set {
		r = r.Clone(r.Context())
		r.Header.Set("User-Agent", o.userAgent)
	}
	res, err := o.rt.RoundTrip(r)
	if err != nil {
		return nil, fail(r.URL.Host, err)
	}
	if res.StatusCode >= 300 && res.StatusCode < 400 {
		_ = res.Body.Close()
		return nil, fail(r.URL.Host, ErrRedirect)
	}
	return res, nil
}
