package note

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"buttersc.one/oven/internal/lib/ap"
	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/socket/inbox"
	"buttersc.one/oven/internal/user"
)

// maxParents is how far up a thread is fetched at once.
const maxParents = 30

// Fetch gives the note at an address, asking its server when it is unknown.
// Notes above it in the thread, and what it quotes, are fetched too, as far as
// they can be had. ErrNotFound when it is no note.
func (s *Service) Fetch(ctx context.Context, uri string) (*Note, error) {
	return s.fetch(ctx, uri, maxParents)
}

func (s *Service) fetch(ctx context.Context, uri string, depth int) (*Note, error) {
	n, err := s.ByURI(ctx, s.DB, uri)
	if !errors.Is(err, ErrNotFound) || strings.HasPrefix(uri, s.Meta.Origin+"/") {
		return n, err
	}
	v, err, _ := s.fetching.Do(uri, func() (any, error) {
		o, err := s.Remote.GetObject(ctx, uri)
		if err != nil {
			return nil, err
		}
		return s.Take(ctx, o, depth)
	})
	if err != nil {
		return nil, fmt.Errorf("fetch %s: %w", uri, err)
	}
	return v.(*Note), nil
}

// Take writes a document that was fetched from its own server (package remote
// has checked that). Its author must be on the same host and name it.
func (s *Service) Take(ctx context.Context, o *ap.Object, depth int) (*Note, error) {
	if !IsPost(o) {
		return nil, fmt.Errorf("%w: %s", ErrNotFound, o.Type())
	}
	authorURI := o.Ref("attributedTo")
	if !ap.SameHost(authorURI, o.ID()) {
		return nil, fmt.Errorf("%w: attributed to another host", ErrNotFound)
	}
	author, err := s.Users.Resolve(ctx, authorURI)
	if err != nil {
		return nil, fmt.Errorf("author: %w", err)
	}
	if author.IsSuspended || author.IsDeleted || author.Local() {
		return nil, ErrNotFound
	}
	for _, above := range []string{o.Ref("inReplyTo"), quoteOf(o)} {
		if depth > 0 && isHTTP(above) {
			// What cannot be had is left out; the note itself counts.
			_, _ = s.fetch(ctx, above, depth-1)
		}
	}
	return s.takeFetched(ctx, author, o)
}

func (s *Service) takeFetched(ctx context.Context, author *user.User, o *ap.Object) (*Note, error) {
	var n *Note
	err := s.DB.Tx(ctx, func(tx *pg.Tx) (err error) {
		n, err = s.take(ctx, tx, author, o, true)
		return err
	})
	var needs inbox.Needs
	switch {
	case errors.Is(err, errKnown):
		return n, nil
	case pg.Violated(err) == "note_uri_key": // another way in was quicker
		return s.ByURI(ctx, s.DB, o.ID())
	case errors.As(err, &needs), err != nil && n == nil:
		return nil, err
	}
	return n, err
}
