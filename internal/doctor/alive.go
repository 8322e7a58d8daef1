package doctor

import (
	"context"
	"encoding/json"
	"net/url"

	"buttersc.one/oven/internal/lib/ap"
	"buttersc.one/oven/internal/socket/remote"
)

// Fetcher reads documents of other servers.
type Fetcher interface {
	GetObject(ctx context.Context, uri string) (*ap.Object, error)
	GetJSON(ctx context.Context, uri string, limit int64) ([]byte, error)
	OriginOf(host string) string
}

// Living asks the server of several actors' addresses which of them is the one: the
// one that its own document names, that WebFinger of its name leads to, while the
// others are gone or say that they are it. It gives "" when that is not so, or when
// nobody answers.
func Living(f Fetcher) func(ctx context.Context, uris []string) (string, error) {
	return func(ctx context.Context, uris []string) (string, error) {
		living := ""
		for _, uri := range uris {
			o, err := f.GetObject(ctx, uri)
			switch {
			case remote.IsGone(err):
				continue
			case err != nil:
				return "", ctx.Err() // nobody knows
			case o.ID() != uri:
				continue // says that it is another
			case living != "" || !fingered(ctx, f, o):
				return "", nil
			}
			living = uri
		}
		return living, nil
	}
}

const maxFinger = 64 << 10

// fingered tells whether WebFinger of an actor's name leads to it.
func fingered(ctx context.Context, f Fetcher, actor *ap.Object) bool {
	u, err := url.Parse(actor.ID())
	if err != nil || actor.String("preferredUsername") == "" {
		return false
	}
	host, err := ap.Host(actor.ID())
	if err != nil {
		return false
	}
	b, err := f.GetJSON(ctx, f.OriginOf(host)+"/.well-known/webfinger?resource="+url.QueryEscape("acct:"+actor.String("preferredUsername")+"@"+u.Host), maxFinger)
	if err != nil {
		return false
	}
	var doc struct {
		Links []struct{ Rel, Type, Href string }
	}
	if json.Unmarshal(b, &doc) != nil {
		return false
	}
	for _, l := range doc.Links {
		if l.Rel == "self" && l.Href == actor.ID() {
			return true
		}
	}
	return false
}
