// Package federation is in charge of what other servers fetch: WebFinger,
// NodeInfo, actors, notes, collections and activities by their ids, and of
// looking things up at other servers for a person (ap/show). It also shows people
// and moderators which servers are known, and lets moderators rule them. What
// arrives is package inbox's, what leaves package delivery's.
package federation

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"buttersc.one/oven/internal/drive"
	"buttersc.one/oven/internal/emoji"
	"buttersc.one/oven/internal/instance"
	"buttersc.one/oven/internal/lib/ap"
	"buttersc.one/oven/internal/lib/id"
	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/meta"
	"buttersc.one/oven/internal/note"
	"buttersc.one/oven/internal/reaction"
	"buttersc.one/oven/internal/relation"
	"buttersc.one/oven/internal/socket/api"
	"buttersc.one/oven/internal/socket/delivery"
	"buttersc.one/oven/internal/socket/event"
	"buttersc.one/oven/internal/socket/job"
	"buttersc.one/oven/internal/socket/remote"
	"buttersc.one/oven/internal/stats"
	"buttersc.one/oven/internal/user"
)

// Deps are what the service stands on.
type Deps struct {
	DB        *pg.DB
	Meta      *meta.Service
	Users     *user.Service
	Relations *relation.Service
	Notes     *note.Service
	Reactions *reaction.Service
	Emojis    *emoji.Service
	Stats     *stats.Service
	Remote    *remote.Client
	Delivery  *delivery.Service
	Instances *instance.Service
	Drive     *drive.Service
	Queue     *job.Queue
	IDs       *id.Maker
	Bus       *event.Bus
	Slog      *slog.Logger
	Now       func() time.Time
}

// Service answers other servers.
type Service struct{ Deps }

// New makes the service.
func New(d Deps) *Service { return &Service{Deps: d} }

// errGone is a document that nobody is given.
var errGone = errors.New("no such document")

// document serves what f renders; what cannot be found is 404.
func (s *Service) document(f func(r *http.Request) (any, error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Vary", "Accept")
		w.Header().Set("Access-Control-Allow-Origin", "*")
		doc, err := f(r)
		var to redirect
		switch {
		case errors.As(err, &to):
			http.Redirect(w, r, to.url, http.StatusFound)
		case errors.Is(err, user.ErrNotFound), errors.Is(err, note.ErrNotFound), errors.Is(err, errGone):
			http.NotFound(w, r)
		case errors.Is(err, errForbidden):
			http.Error(w, "", http.StatusForbidden)
		case err != nil:
			s.Slog.Error("federation", "path", r.URL.Path, "err", err)
			http.Error(w, "", http.StatusInternalServerError)
		default:
			w.Header().Set("Cache-Control", "public, max-age=180")
			writeJSON(w, ap.ContentType, doc)
		}
	})
}

var errForbidden = errors.New("not shown")

// redirect is an answer elsewhere.
type redirect struct{ url string }

func (redirect) Error() string { return "elsewhere" }

func writeJSON(w http.ResponseWriter, contentType string, v any) {
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("X-Content-Type-Options", "nosniff")
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(v)
}

// WantsAP tells whether a request asks for a document rather than a page:
// activity+json or ld+json named before, or without, text/html.
func WantsAP(r *http.Request) bool {
	accept := strings.Join(r.Header.Values("Accept"), ",")
	first := func(types ...string) int {
		best := len(accept)
		for _, t := range types {
			if i := strings.Index(accept, t); i >= 0 && i < best {
				best = i
			}
		}
		return best
	}
	doc := first("application/activity+json", "application/ld+json")
	return doc < len(accept) && doc < first("text/html", "application/xhtml+xml")
}

// negotiate gives documents to those who ask for them and everybody else to
// the page.
func negotiate(doc, page http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if WantsAP(r) {
			doc.ServeHTTP(w, r)
			return
		}
		w.Header().Set("Vary", "Accept")
		page.ServeHTTP(w, r)
	})
}

// Routes are what other servers fetch; page serves people at the addresses
// that both share.
func (s *Service) Routes(page http.Handler) []api.Route {
	only := func(f func(r *http.Request) (any, error)) http.Handler { return s.document(f) }
	both := func(f func(r *http.Request) (any, error)) http.Handler { return negotiate(s.document(f), page) }
	return []api.Route{
		{Pattern: "GET /.well-known/webfinger", Handler: http.HandlerFunc(s.serveWebfinger)},
		{Pattern: "GET /.well-known/host-meta", Handler: http.HandlerFunc(s.serveHostMeta)},
		{Pattern: "GET /.well-known/host-meta.json", Handler: http.HandlerFunc(s.serveHostMetaJSON)},
		{Pattern: "GET /.well-known/nodeinfo", Handler: http.HandlerFunc(s.serveNodeinfoIndex)},
		{Pattern: "GET /nodeinfo/{version}", Handler: http.HandlerFunc(s.serveNodeinfo)},
		{Pattern: "GET /users/{id}", Handler: both(s.actorByID)},
		{Pattern: "GET /{acct}", Handler: both(s.actorByName)},
		{Pattern: "GET /users/{id}/publickey", Handler: only(s.publicKey)},
		{Pattern: "GET /users/{id}/outbox", Handler: only(s.outbox)},
		{Pattern: "GET /users/{id}/followers", Handler: only(s.followers)},
		{Pattern: "GET /users/{id}/following", Handler: only(s.following)},
		{Pattern: "GET /users/{id}/collections/featured", Handler: only(s.featured)},
		{Pattern: "GET /notes/{id}", Handler: both(s.note)},
		{Pattern: "GET /notes/{id}/activity", Handler: only(s.noteActivity)},
		{Pattern: "GET /emojis/{name}", Handler: only(s.emoji)},
		{Pattern: "GET /likes/{id}", Handler: only(s.like)},
		{Pattern: "GET /follows/{id}", Handler: only(s.followRequest)},
		{Pattern: "GET /api/v1/instance/peers", Handler: http.HandlerFunc(s.servePeers)},
		{Pattern: "GET /follows/{follower}/{followee}", Handler: only(s.follow)},
	}
}

// Endpoints is the API of this slice.
func (s *Service) Endpoints() []api.Endpoint {
	const manage = "write:admin:federation"
	return []api.Endpoint{
		api.Post("ap/show", s.apiShow, api.Scope("read:account"), api.Limit(30, time.Hour), api.Errors(showErrors()...)),
		api.Post("federation/instances", s.apiInstances, api.Visitors, api.Get(3600)),
		api.Post("federation/show-instance", s.apiShowInstance, api.Visitors),
		api.Post("federation/stats", s.apiInstanceStats, api.Visitors, api.Get(3600)),
		api.Post("federation/users", s.apiPeople, api.Visitors),
		api.Post("federation/followers", s.apiFollowersOf, api.Visitors),
		api.Post("federation/following", s.apiFollowingOf, api.Visitors),
		api.Post("federation/update-remote-user", s.apiRefreshUser, api.Visitors, api.Limit(60, time.Hour), api.Errors(errRefreshNobody, errRefreshFailed)),
		api.Post("admin/federation/update-instance", s.apiUpdateInstance, api.Moderator(manage), api.Errors(errUpdateNone)),
		api.Post("admin/federation/refresh-remote-instance-metadata", s.apiRefreshInstance, api.Moderator(manage), api.Errors(errRefreshNone)),
		api.Post("admin/federation/remove-all-following", s.apiUntie, api.Moderator(manage), api.Errors(errUntieNone)),
		api.Post("admin/federation/delete-all-files", s.apiRemoveFiles, api.Moderator(manage), api.Errors(errFilesNone)),
	}
}

// local finds an account of this server that may be shown.
func (s *Service) local(ctx context.Context, u *user.User, err error) (*user.User, error) {
	if err != nil {
		return nil, err
	}
	if !u.Local() || u.IsSuspended || u.IsDeleted {
		return nil, errGone
	}
	return u, nil
}
