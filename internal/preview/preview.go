// Package preview is in charge of looking at other sites for those who use this
// one: what is shown beside a link (Misskey's /url), feeds, and themes and plug-ins
// that are installed from elsewhere. It is not in charge of how a page is read
// (package lib/summary), nor of pictures, which the media proxy of package drive
// fetches.
//
// A note with a link reaches thousands of servers within seconds. Were each to look
// at the page at once, the page would be gone before anybody has read it. So nothing
// is fetched when a note arrives: a page is looked at when the first reader's client
// asks, which for a fresh note of elsewhere waits some seconds by chance
// (LinkCard.svelte). What was found stays for about a week, in the database: for all
// processes, and across a restart, which would otherwise ask for everything anew.
// When it ends is left to chance too, because servers that fetched together would
// otherwise come back together. A page that gave nothing is not asked again soon.
//
// Anybody may ask, so that visitors see what readers see. What keeps it from being a
// lever against others: whoever asks has a budget of pages that are not known yet, so
// has each host that is asked, a page is fetched once however many want it, and no
// more than a few at a time.
package preview

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"time"

	"golang.org/x/sync/singleflight"

	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/meta"
	"buttersc.one/oven/internal/note"
	"buttersc.one/oven/internal/socket/api"
	"buttersc.one/oven/internal/socket/job"
	"buttersc.one/oven/internal/socket/remote"
	"buttersc.one/oven/internal/user"
)

// Deps are what the service stands on.
type Deps struct {
	DB     *pg.DB
	Meta   *meta.Service
	Users  *user.Service
	Notes  *note.Service
	Policy remote.HostPolicy // which hosts are not looked at
	Web    http.RoundTripper // guarded, to everybody
	Own    http.RoundTripper // to what the operator has named
	Limits func() *api.Limiter
	Client func(r *http.Request) netip.Addr // who asks
	Slog   *slog.Logger
	Now    func() time.Time
}

// Service looks at other sites.
type Service struct {
	Deps
	slots chan struct{}
	one   singleflight.Group
	feeds feeds
}

// workers is how many pages are fetched at a time.
const workers = 12

// New makes the service.
func New(d Deps) *Service {
	return &Service{Deps: d, slots: make(chan struct{}, workers)}
}

// Routes are what clients ask for links.
func (s *Service) Routes() []api.Route {
	return []api.Route{
		{Pattern: "GET /url", Handler: http.HandlerFunc(s.serveSummary)},
		{Pattern: "GET /url/player", Handler: http.HandlerFunc(s.servePlayer)},
	}
}

// Endpoints is the API of this slice.
func (s *Service) Endpoints() []api.Endpoint {
	return []api.Endpoint{
		api.Post("fetch-rss", s.apiFeed, api.Visitors, api.Get(int(feedKept/time.Second)), api.Limit(60, time.Minute), api.Errors(errNoFeed)),
		api.Post("fetch-external-resources", s.apiResource, api.Secure, api.Limit(50, time.Hour), api.Errors(errNoResource, errOtherHash)),
	}
}

// Jobs of this slice.
func (s *Service) Jobs() []job.Worker {
	return []job.Worker{job.Every(time.Hour, cleanArgs{}, s.Clean)}
}

// Reset forgets what is kept in memory, for reset-db in test mode.
func (s *Service) Reset() { s.feeds.reset() }

// once runs f for all that want the same, with a place among the few that may
// fetch, and waits no longer than ctx. f goes on when nobody waits any more.
func once[T any](ctx context.Context, s *Service, key string, f func(ctx context.Context) (T, error)) (out T, err error) {
	done := s.one.DoChan(key, func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
		defer cancel()
		select {
		case s.slots <- struct{}{}:
		case <-time.After(patience):
			return nil, errBusy
		}
		defer func() { <-s.slots }()
		return f(ctx)
	})
	select {
	case res := <-done:
		if res.Err != nil {
			return out, res.Err
		}
		v, ok := res.Val.(T)
		if !ok {
			return out, fmt.Errorf("preview: %T came of %s", res.Val, key)
		}
		return v, nil
	case <-ctx.Done():
		return out, context.Cause(ctx)
	}
}
