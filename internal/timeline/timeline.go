// Package timeline is in charge of lists of notes by who wrote them and who
// follows whom: home, local, social and global, and an account's own. It reads
// them from PostgreSQL, and hands new notes to those who are listening.
package timeline

import (
	"time"

	"buttersc.one/oven/internal/channel"
	"buttersc.one/oven/internal/lib/id"
	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/note"
	"buttersc.one/oven/internal/relation"
	"buttersc.one/oven/internal/role"
	"buttersc.one/oven/internal/socket/api"
	"buttersc.one/oven/internal/socket/stream"
	"buttersc.one/oven/internal/user"
)

// Service lists notes.
type Service struct {
	db        *pg.DB
	ids       *id.Maker
	notes     *note.Service
	users     *user.Service
	relations *relation.Service
	channels  *channel.Service
	roles     *role.Service
	hub       *stream.Hub
	now       func() time.Time
	feeds     *feeds
	featured  ranking
}

// New makes the service.
func New(db *pg.DB, ids *id.Maker, ns *note.Service, us *user.Service, rs *relation.Service, cs *channel.Service, roles *role.Service, hub *stream.Hub, now func() time.Time) *Service {
	return &Service{db: db, ids: ids, notes: ns, users: us, relations: rs, channels: cs, roles: roles, hub: hub, now: now, feeds: newFeeds(time.Now)}
}

// Endpoints is the API of this slice.
func (s *Service) Endpoints() []api.Endpoint {
	return []api.Endpoint{
		api.Post("notes/timeline", s.apiHome, api.Scope("read:account")),
		api.Post("notes/local-timeline", s.apiLocal, api.Visitors, api.Errors(errLocalDisabled, errLocalBoth)),
		api.Post("notes/hybrid-timeline", s.apiHybrid, api.Scope("read:account"), api.Errors(errHybridDisabled, errHybridBoth)),
		api.Post("notes/global-timeline", s.apiGlobal, api.Visitors, api.Errors(errGlobalDisabled)),
		api.Post("notes/user-list-timeline", s.apiList, api.Scope("read:account"), api.Errors(errListNoList)),
		api.Post("notes/mentions", s.apiMentions, api.Scope("read:account")),
		api.Post("notes/featured", s.apiFeatured, api.Visitors, api.Get(3600)),
		api.Post("notes/search-by-tag", s.apiByTag, api.Visitors),
		api.Post("users/featured-notes", s.apiFeaturedOfUser, api.Visitors, api.Get(3600)),
		api.Post("roles/notes", s.apiRole, api.Scope("read:account"), api.Errors(errRoleNone)),
		api.Post("channels/show", s.apiChannelShow, api.Visitors, api.Errors(errChannelNone)),
		api.Post("channels/timeline", s.apiChannel, api.Visitors, api.Errors(errChannelNotes)),
		api.Post("users/notes", s.apiUser, api.Visitors, api.Errors(errUserNoUser, errUserBoth)),
	}
}

// filter is what all timelines let a caller choose.
type filter struct {
	withFiles, withRenotes bool
}

func (f filter) apply(w *pg.Where) {
	if f.withFiles {
		w.And("n.file_ids <> '{}'")
	}
	if !f.withRenotes {
		w.And("NOT n.is_pure_renote")
	}
}
