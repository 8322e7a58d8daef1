package remote

import (
	"context"
	"fmt"
	"mime"
	"net/url"

	"buttersc.one/oven/internal/lib/ap"
)

// Finger is what WebFinger says of an acct. It is the asked host's word alone:
// that the actor says the same is the caller's to check (FEP-4adb).
type Finger struct {
	Subject   string // "acct:name@host", as it came; may name another host than was asked
	Self      string // the actor's id
	Subscribe string // template with {uri} for following from another server; "" for none
}

// maxJRD bounds a WebFinger answer, in bytes.
const maxJRD = 64 << 10

// WebFinger asks a host for the actor of a name (RFC 7033 §4). host is in any
// form; the resource carries its port when that is not the default. Errors are
// *Error; ErrType when the answer names no actor.
func (c *Client) WebFinger(ctx context.Context, username, host string) (*Finger, error) {
	host, err := ap.NormalizeHost(host)
	if err != nil {
		return nil, fail("", fmt.Errorf("%w: %w", ErrScheme, err))
	}
	acct := "acct:" + username + "@" + host
	b, err := c.GetJSON(ctx, c.OriginOf(host)+"/.well-known/webfinger?resource="+url.QueryEscape(acct), maxJRD)
	if err != nil {
		return nil, err
	}
	jrd, err := ap.Parse(b) // not ActivityPub, but JSON to be read as carefully
	if err != nil {
		return nil, fail(host, fmt.Errorf("%w: %w", ErrType, err))
	}
	f := &Finger{Subject: jrd.String("subject")}
	for _, l := range jrd.Objects("links") {
		switch l.String("rel") {
		case "self":
			mt, params, err := mime.ParseMediaType(l.String("type"))
			if _, herr := ap.Host(l.String("href")); f.Self == "" && err == nil && herr == nil && isActivity(mt, params) {
				f.Self = l.String("href")
			}
		case "http://ostatus.org/schema/1.0/subscribe":
			f.Subscribe = l.String("template")
		}
	}
	if f.Self == "" {
		return nil, fail(host, fmt.Errorf("%w: WebFinger names no actor", ErrType))
	}
	return f, nil
}
