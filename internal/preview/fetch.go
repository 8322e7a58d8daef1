package preview

import (
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/netip"
	"net/url"
	"time"

	"buttersc.one/oven/internal/lib/ap"
	"buttersc.one/oven/internal/socket/api"
	"buttersc.one/oven/internal/socket/remote"
)

// Bounds of what is fetched from other sites.
const (
	maxRedirects = 5
	maxURL       = 2048
	patience     = 10 * time.Second // for a place among the workers

	asksOfOne  = 60  // pages a minute for one address of the network
	asksOfHost = 120 // pages a minute from one host
	asksIn     = time.Minute
)

var (
	// errNothing says that a site has nothing to be shown, or does not answer.
	errNothing = errors.New("nothing to be shown there")
	// errLater is errNothing of a site that may have it soon.
	errLater = fmt.Errorf("%w at the moment", errNothing)
	errBusy  = errors.New("too many pages at once")
)

// target reads an address that somebody wants to have looked at; false for what is
// no http address.
func target(address string) (*url.URL, string, bool) {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.User != nil || len(address) > maxURL {
		return nil, "", false
	}
	host, err := ap.Host(address)
	if err != nil {
		return nil, "", false
	}
	u.Host, u.Fragment, u.RawFragment = host, "", ""
	return u, host, true
}

// askBudget takes one page off what may be looked at for an address of the network;
// errBusy when it is used up.
func (s *Service) askBudget(ip netip.Addr) error {
	if _, ok := s.Limits().Take("preview\x00"+api.IPKey(ip), asksOfOne, asksIn, 0); !ok {
		return errBusy
	}
	return nil
}

// hostBudget takes one page off what may be fetched from a host, once for all who
// want it at once; errBusy when it is used up.
func (s *Service) hostBudget(host string) error {
	if _, ok := s.Limits().Take("preview of\x00"+host, asksOfHost, asksIn, 0); !ok {
		return errBusy
	}
	return nil
}

// ask is one look at a site.
type ask struct {
	url       string
	accept    string
	lang      string // "" for none
	userAgent string // "" for the server's own
	max       int64  // bytes that it may have
	read      int64  // bytes that are read at most; 0: max
	still     bool   // redirects are not followed
	length    bool   // it must say how long it is
}

// answer is what a site said.
type answer struct {
	at     *url.URL // after redirects
	header http.Header
	body   []byte
}

// fetch asks a site through the guarded door. Whatever is the site's fault is
// errNothing.
func (s *Service) fetch(ctx context.Context, a ask) (*answer, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, a.url, nil)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errNothing, err)
	}
	req.Header.Set("Accept", a.accept)
	if a.lang != "" {
		req.Header.Set("Accept-Language", a.lang+", *;q=0.5")
	}
	if a.userAgent != "" {
		req.Header.Set("User-Agent", a.userAgent)
	}
	if a.length {
		req.Header.Set("Accept-Encoding", "identity") // what is unpacked on the way does not say its length
	}
	res, err := (&http.Client{Transport: s.Web, CheckRedirect: func(_ *http.Request, via []*http.Request) error {
		switch {
		case a.still:
			return http.ErrUseLastResponse
		case len(via) > maxRedirects:
			return remote.ErrRedirect
		}
		return nil
	}}).Do(req)
	if err != nil {
		var no *remote.Error
		if errors.As(err, &no) && !no.Temporary || errors.Is(err, remote.ErrRedirect) {
			return nil, fmt.Errorf("%w: %w", errNothing, err)
		}
		return nil, fmt.Errorf("%w: %w", errLater, err)
	}
	defer func() { _ = res.Body.Close() }()
	switch {
	case res.StatusCode >= 500, res.StatusCode == http.StatusTooManyRequests:
		return nil, fmt.Errorf("%w: it answers %d", errLater, res.StatusCode)
	case res.StatusCode < 200 || res.StatusCode > 299:
		return nil, fmt.Errorf("%w: it answers %d", errNothing, res.StatusCode)
	case res.ContentLength > a.max:
		return nil, fmt.Errorf("%w: longer than %d bytes", errNothing, a.max)
	case res.ContentLength < 0 && a.length:
		return nil, fmt.Errorf("%w: it does not say how long it is", errNothing)
	}
	limit := a.max
	if a.read > 0 && a.read < limit {
		limit = a.read
	}
	body, err := io.ReadAll(io.LimitReader(res.Body, limit+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("%w: %w", errLater, err)
	case int64(len(body)) > limit && limit == a.max:
		return nil, fmt.Errorf("%w: longer than %d bytes", errNothing, a.max)
	}
	return &answer{at: res.Request.URL, header: res.Header, body: body[:min(int64(len(body)), limit)]}, nil
}

// typeOf is the media type of an answer, "" where it says none.
func (a *answer) typeOf() string {
	typ, _, _ := mime.ParseMediaType(a.header.Get("Content-Type"))
	return typ
}
