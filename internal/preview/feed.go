package preview

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"buttersc.one/oven/internal/lib/feed"
	"buttersc.one/oven/internal/socket/api"
)

const (
	feedKept   = 3 * time.Minute
	feedMost   = 2 << 20  // bytes of a feed
	feedsBytes = 16 << 20 // bytes of all that are kept; a full memory starts anew
)

var errNoFeed = api.Err("NO_SUCH_FEED", "5c1a8e2b-7b1d-4c8e-9a53-64d0e2b7f311", "There is no feed that can be read.")

type feedReq struct {
	URL string `json:"url" api:"required"`
}

// feeds are those that were asked for lately, and failures.
type feeds struct {
	mu   sync.Mutex
	all  map[string]keptFeed
	size int
}

type keptFeed struct {
	feed *api.Encoded[*feed.Feed] // nil: there is none
	till time.Time
}

func (f *feeds) reset() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.all, f.size = nil, 0
}

func (f *feeds) get(url string, now time.Time) (keptFeed, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	k, ok := f.all[url]
	return k, ok && now.Before(k.till)
}

func (f *feeds) put(url string, k keptFeed) {
	size := len(url) + 200
	if k.feed != nil {
		body, _ := k.feed.MarshalJSON() // what is encoded already cannot fail
		size += len(body)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.all == nil || f.size+size > feedsBytes {
		f.all, f.size = map[string]keptFeed{}, 0
	}
	f.all[url] = k
	f.size += size
}

// apiFeed reads a feed for a widget.
func (s *Service) apiFeed(ctx context.Context, c *api.Call, req feedReq) (*api.Encoded[*feed.Feed], error) {
	u, host, ok := target(req.URL)
	if !ok {
		return nil, api.InvalidParam("#/properties/url", "must be an http address")
	}
	at := u.String()
	k, ok := s.feeds.get(at, s.Now())
	if !ok {
		if err := s.askBudget(c.IP); err != nil {
			return nil, api.ErrRateLimit
		}
		var err error
		k, err = once(ctx, s, "feed "+at, func(ctx context.Context) (keptFeed, error) { return s.readFeed(ctx, at, host) })
		if errors.Is(err, errBusy) {
			return nil, api.ErrRateLimit
		}
		if err != nil {
			return nil, err
		}
	}
	if k.feed == nil {
		return nil, errNoFeed
	}
	return k.feed, nil
}

func (s *Service) readFeed(ctx context.Context, at, host string) (k keptFeed, err error) {
	if err := s.hostBudget(host); err != nil {
		return k, err
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	k.till = s.Now().Add(feedKept)
	a, err := s.fetch(ctx, ask{url: at, accept: "application/rss+xml, application/atom+xml, application/rdf+xml, application/xml;q=0.9, text/xml;q=0.9, */*;q=0.1", max: feedMost})
	if err == nil && strings.HasPrefix(a.typeOf(), "image/") {
		err = errNothing
	}
	var read *feed.Feed
	if err == nil {
		if read, err = feed.Parse(a.body, a.at); err != nil {
			err = fmt.Errorf("%w: %w", errNothing, err)
		}
	}
	if err != nil && !errors.Is(err, errNothing) {
		return k, err
	}
	if err == nil {
		if k.feed, err = api.Encode(read); err != nil {
			return k, err
		}
	}
	s.feeds.put(at, k)
	return k, nil
}
