package remote

import (
	"context"
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"buttersc.one/oven/internal/lib/ap"
	"buttersc.one/oven/internal/lib/httpsig"
)

// accept names what GetObject takes.
const accept = `application/activity+json, application/ld+json; profile="https://www.w3.org/ns/activitystreams"`

// maxPage bounds an HTML page in which a link to the document is looked for.
const maxPage = 512 << 10

// GetObject fetches a document by its id, or by an address that leads to it by
// redirects or by the link of an HTML page, signed. The object returned has an
// id on the host that answered, and was served at exactly that id: a document
// met at another address is fetched once more at its own (FEP-fe34;
// CVE-2024-52591, CVE-2025-25306). The fragment of uri is ignored.
//
// Several callers share one fetch, which goes on when one of them leaves;
// failures are remembered (Forget). Errors are *Error, or ctx's.
func (c *Client) GetObject(ctx context.Context, uri string) (*ap.Object, error) {
	uri, _, _ = strings.Cut(uri, "#")
	if err := c.misses.get(uri, c.cfg.Now()); err != nil {
		return nil, err
	}
	ch := c.flights.DoChan(uri, func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 3*c.cfg.Timeout)
		defer cancel()
		o, err := c.getObject(ctx, uri)
		if err != nil {
			c.misses.put(uri, err, c.cfg.Now())
			return nil, err
		}
		return o, nil
	})
	select {
	case r := <-ch:
		if r.Err != nil {
			return nil, r.Err
		}
		return r.Val.(*ap.Object), nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Forget drops what is remembered of a failed GetObject, so that the next one
// asks again.
func (c *Client) Forget(uri string) {
	uri, _, _ = strings.Cut(uri, "#")
	c.misses.drop(uri)
}

// ForgetAll drops all that is remembered of failures.
func (c *Client) ForgetAll() { c.misses.reset() }

func (c *Client) getObject(ctx context.Context, uri string) (*ap.Object, error) {
	o, at, err := c.document(ctx, uri, true)
	if err != nil {
		return nil, err
	}
	id := o.ID()
	if sameURL(id, at) {
		return o, nil
	}
	host := hostOf(at)
	if !ap.SameHost(id, at) {
		return nil, fail(host, fmt.Errorf("%w: %.200q served at %.200q", ErrOrigin, id, at))
	}
	// Only what stands at the id is the object: on one host others may write too.
	again, at, err := c.document(ctx, id, false)
	if err != nil {
		return nil, err
	}
	if again.ID() != id || !sameURL(id, at) {
		return nil, fail(host, fmt.Errorf("%w: %.200q is not at its own address", ErrOrigin, id))
	}
	return again, nil
}

// GetKey fetches a key document, which may stand at another address than the
// id in it (GoToSocial's stub of an actor). It proves only what is served at
// keyID, by the host of keyID: whom to ask for the actor. Errors are *Error.
func (c *Client) GetKey(ctx context.Context, keyID string) (*ap.Object, error) {
	o, at, err := c.document(ctx, keyID, false)
	if err != nil {
		return nil, err
	}
	if !ap.SameHost(at, keyID) {
		return nil, fail(hostOf(keyID), fmt.Errorf("%w: redirected to %.200q", ErrOrigin, at))
	}
	return o, nil
}

// document fetches and parses, and gives the address after redirects. With
// alternate, the link of an HTML page is followed once, on its own host.
func (c *Client) document(ctx context.Context, uri string, alternate bool) (*ap.Object, string, error) {
	a, err := c.knocking(ctx, uri)
	if err != nil {
		return nil, "", err
	}
	if a.status != http.StatusOK {
		return nil, "", answered(a.host, a.status)
	}
	at := a.url.String()
	switch {
	case isDocument(a.header):
		o, err := ap.Inbound(a.body)
		if err != nil {
			return nil, "", fail(a.host, fmt.Errorf("%w: %w", ErrType, err))
		}
		return o, at, nil
	case alternate && isPage(a.header):
		link := alternateLink(a.body, a.url)
		if !ap.SameHost(link, at) {
			return nil, "", fail(a.host, fmt.Errorf("%w: a page without a link to a document", ErrType))
		}
		return c.document(ctx, link, false)
	}
	return nil, "", fail(a.host, fmt.Errorf("%w: %.100q", ErrType, a.header.Get("Content-Type")))
}

// knocking fetches signed, and once more with another form of signature as long
// as the answer is 401: servers differ about the query string, and some take
// only RFC 9421.
func (c *Client) knocking(ctx context.Context, uri string) (a *answer, err error) {
	knocks := []knock{knockCavage, knockRFC9421}
	switch {
	case c.signer == nil:
		knocks = []knock{unsigned}
	case strings.Contains(uri, "?"):
		knocks = []knock{knockCavage, knockCavagePath, knockRFC9421}
	}
	for _, k := range knocks {
		a, err = c.get(ctx, uri, accept, k, func(res *http.Response) read {
			if isPage(res.Header) {
				return read{max: maxPage, cut: true} // the link is in its head
			}
			return read{max: ap.MaxSize}
		})
		if err != nil || a.status != http.StatusUnauthorized {
			return a, err
		}
	}
	return a, err
}

func (c *Client) signGet(ctx context.Context, r *http.Request, k knock) error {
	key, err := c.signer.SignGet(ctx)
	if err == nil {
		switch k {
		case knockRFC9421:
			err = httpsig.SignRFC9421(r, key, nil, c.cfg.Now())
		case knockCavagePath:
			err = httpsig.SignCavage(r, key, nil, c.cfg.Now(), httpsig.WithoutQuery)
		default:
			err = httpsig.SignCavage(r, key, nil, c.cfg.Now())
		}
	}
	if err != nil {
		return fmt.Errorf("%w: %w", ErrSign, err)
	}
	return nil
}

// isDocument tells whether an answer says that it is ActivityPub. Plain JSON
// is not: it is what an uploaded file may be (security row 3, CVE-2024-25636).
func isDocument(h http.Header) bool {
	mt, params, ok := mediaType(h)
	return ok && isActivity(mt, params)
}

func isActivity(mt string, params map[string]string) bool {
	return mt == "application/activity+json" ||
		mt == "application/ld+json" && slices.Contains(strings.Fields(params["profile"]), "https://www.w3.org/ns/activitystreams")
}

func isPage(h http.Header) bool {
	mt, _, ok := mediaType(h)
	return ok && (mt == "text/html" || mt == "application/xhtml+xml")
}

// mediaType reads the one Content-Type of an answer.
func mediaType(h http.Header) (string, map[string]string, bool) {
	if len(h.Values("Content-Type")) != 1 {
		return "", nil, false
	}
	mt, params, err := mime.ParseMediaType(h.Get("Content-Type"))
	return mt, params, err == nil
}

// sameURL tells whether two addresses are one: the same scheme, authority,
// path and query. A slash at the end is a difference.
func sameURL(a, b string) bool {
	ua, err1 := url.Parse(a)
	ub, err2 := url.Parse(b)
	return err1 == nil && err2 == nil && ua.Scheme == ub.Scheme && ap.SameHost(a, b) && !strings.Contains(a+b, "#") && ua.RequestURI() == ub.RequestURI()
}

func hostOf(uri string) string {
	h, err := ap.Host(uri)
	if err != nil {
		return ""
	}
	return h
}
