// Package search is in charge of finding notes by what is in them: an index of their
// words beside the database, that follows the change log, and queries on it. The index
// says which notes may be meant; which of them the viewer may see, and whether they
// say so still, is asked of PostgreSQL for every page, so that an index that is behind,
// damaged or of yesterday never shows what it should not.
package search

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"buttersc.one/oven/internal/channel"
	"buttersc.one/oven/internal/lib/id"
	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/meta"
	"buttersc.one/oven/internal/note"
	"buttersc.one/oven/internal/role"
	"buttersc.one/oven/internal/socket/api"
	"buttersc.one/oven/internal/socket/log"
	"buttersc.one/oven/internal/user"
)

// Deps are what the slice stands on.
type Deps struct {
	DB       *pg.DB
	Meta     *meta.Service
	Roles    *role.Service
	Users    *user.Service
	Notes    *note.Service
	Channels *channel.Service
	IDs      *id.Maker
	Zone     *time.Location
	Slog     *slog.Logger
	Home     Place
	// Old is where an index was before, which is searched until the one in Home is whole;
	// nil: nowhere.
	Old   Place
	Local bool // notes of this server only
	// Serves says that this process answers searches, and so has an index.
	Serves bool
}

// Service finds notes.
type Service struct {
	Deps
	db string // which database the index is of

	loads sync.Mutex // held while it is looked what there is
	term  int64      // during which this process has looked; see Place.Lead
	gap   atomic.Pointer[gap]

	mu   sync.RWMutex
	live *shelf // that is searched
	next *shelf // that is built to take its place; nil: none

	work     chan struct{} // there is something to fill in
	slots    chan struct{} // searches at a time
	searches atomic.Int64
	looked   atomic.Int64 // notes whose text was looked at
	spent    atomic.Int64 // ns
	err      atomic.Pointer[string]
}

// maxAtOnce searches look at notes at a time; others wait, so that nobody keeps the
// database from everybody else by searching.
const maxAtOnce = 4

// New makes the service.
func New(d Deps) *Service {
	return &Service{Deps: d, work: make(chan struct{}, 1), slots: make(chan struct{}, maxAtOnce)}
}

// Endpoints is the API of this slice.
func (s *Service) Endpoints() []api.Endpoint {
	return []api.Endpoint{
		api.Post("notes/search", s.apiSearch, api.Visitors, api.Errors(errUnavailable, errBusy)),
		api.Post("oven/notes/search", s.apiOven, api.Visitors, api.Hidden, api.Errors(errUnavailable, errBusy)),
		api.Post("oven/admin/search/status", s.apiStatus, api.Moderator("read:admin:meta"), api.Hidden),
		api.Post("oven/admin/search/run", s.apiRun, api.Admin("write:admin:meta"), api.Hidden),
	}
}

// Consumers is the index as a follower of the change log.
func (s *Service) Consumers() []log.Consumer {
	if !s.Serves {
		return nil
	}
	return []log.Consumer{{
		Name: "search@" + s.Home.Name(), Keeper: s, Lost: s.lost,
		Kinds: []string{"note.created", "note.updated", "note.deleted", "user.updated", "user.suspended", "user.deleted", "user.returned"},
	}}
}

// shown is the index that is searched; nil while there is none.
func (s *Service) shown() *shelf {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.live
}

// shelves are the indexes that are kept up to date.
func (s *Service) shelves() []*shelf {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var out []*shelf
	for _, sh := range []*shelf{s.live, s.next} {
		if sh != nil {
			out = append(out, sh)
		}
	}
	return out
}

func (s *Service) wake() {
	select {
	case s.work <- struct{}{}:
	default:
	}
}

// Figures are for /metrics.
type Figures struct {
	Stats
	Building bool
	Searches int64
	Looked   int64
	Seconds  float64
}

// Figures tells how the index is; ok is false where there is none.
func (s *Service) Figures(ctx context.Context) (f Figures, ok bool, err error) {
	sh := s.shown()
	if sh == nil {
		return f, false, nil
	}
	st, err := sh.drv.Stats(ctx)
	if err != nil {
		return f, false, fmt.Errorf("search: %w", err)
	}
	return Figures{Stats: st, Building: s.building(), Searches: s.searches.Load(), Looked: s.looked.Load(), Seconds: float64(s.spent.Load()) / 1e9}, true, nil
}

func (s *Service) building() bool {
	for _, sh := range s.shelves() {
		if !sh.state().whole() {
			return true
		}
	}
	return false
}
