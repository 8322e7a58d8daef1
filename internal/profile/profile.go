// Package profile is in charge of showing accounts and changing one's own:
// i, i/update, users/show, look-up by name, pinned notes, and the Update
// activity that carries a profile.
package profile

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"buttersc.one/oven/internal/decoration"
	"buttersc.one/oven/internal/drive"
	"buttersc.one/oven/internal/lib/ap"
	"buttersc.one/oven/internal/lib/id"
	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/meta"
	"buttersc.one/oven/internal/note"
	"buttersc.one/oven/internal/relation"
	"buttersc.one/oven/internal/role"
	"buttersc.one/oven/internal/socket/api"
	"buttersc.one/oven/internal/socket/delivery"
	"buttersc.one/oven/internal/socket/event"
	"buttersc.one/oven/internal/socket/inbox"
	"buttersc.one/oven/internal/socket/job"
	"buttersc.one/oven/internal/socket/log"
	"buttersc.one/oven/internal/socket/remote"
	"buttersc.one/oven/internal/socket/stream"
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
	Drive     *drive.Service
	Roles     *role.Service
	Wardrobe  *decoration.Service
	Stats     *stats.Service
	Remote    *remote.Client
	Queue     *job.Queue
	Delivery  *delivery.Service
	IDs       *id.Maker
	Bus       *event.Bus
	Log       *log.Log
	Hub       *stream.Hub
	// Lookups gives the limiter for what guests may ask other servers through us.
	Lookups func() *api.Limiter
	Now     func() time.Time
}

// Service shows accounts.
type Service struct {
	db        *pg.DB
	meta      *meta.Service
	users     *user.Service
	relations *relation.Service
	notes     *note.Service
	drive     *drive.Service
	roles     *role.Service
	wardrobe  *decoration.Service
	stats     *stats.Service
	remote    *remote.Client
	queue     *job.Queue
	delivery  *delivery.Service
	ids       *id.Maker
	bus       *event.Bus
	log       *log.Log
	hub       *stream.Hub
	lookups   func() *api.Limiter
	now       func() time.Time
}

// New makes the service.
func New(d Deps) *Service {
	return &Service{db: d.DB, meta: d.Meta, users: d.Users, relations: d.Relations, notes: d.Notes, drive: d.Drive, roles: d.Roles,
		wardrobe: d.Wardrobe, stats: d.Stats, remote: d.Remote, queue: d.Queue, delivery: d.Delivery,
		ids: d.IDs, bus: d.Bus, log: d.Log, hub: d.Hub, lookups: d.Lookups, now: d.Now}
}

// Endpoints is the API of this slice.
func (s *Service) Endpoints() []api.Endpoint {
	return slices.Concat(s.registryEndpoints(), s.directoryEndpoints(), s.roleEndpoints(), []api.Endpoint{
		api.Post("i/pin", s.apiPin, api.Scope("write:account"), api.NotMoved, api.Errors(errPinNoNote, errPinLimit, errPinAlready)),
		api.Post("i/unpin", s.apiUnpin, api.Scope("write:account"), api.Errors(errUnpinNoNote)),
		api.Post("i/claim-achievement", s.apiClaim, api.Scope("write:account"), api.NotMoved),
		api.Post("users/achievements", s.apiAchievements, api.Visitors),
		api.Post("users/update-memo", s.apiMemo, api.Scope("write:account"), api.Errors(errMemoNoUser)),
		api.Post("i", s.apiI, api.Scope("read:account")),
		api.Post("i/update", s.apiUpdate, api.Scope("write:account"), api.Limit(20, time.Hour), api.Errors(updateErrors()...)),
		api.Post("users/show", s.apiShow, api.Visitors, api.Errors(errNoSuchUser, errRemote)),
		api.Post("users/search-by-username-and-host", s.apiSearch, api.Visitors),
		api.Post("admin/unset-user-avatar", s.apiUnsetAvatar, api.Moderator("write:admin:unset-user-avatar"), api.Errors(errUnsetNone, errUnsetDenied)),
		api.Post("admin/unset-user-banner", s.apiUnsetBanner, api.Moderator("write:admin:unset-user-banner"), api.Errors(errUnsetNone, errUnsetDenied)),
	})
}

// Listeners give achievements for what others do.
func (s *Service) Listeners() []event.Listener {
	return []event.Listener{event.On("profile.achievements", s.onFavorited), event.On("profile.pictures", s.onGone)}
}

// Activities this slice handles.
func (s *Service) Activities() []inbox.Handler {
	return []inbox.Handler{
		inbox.On("Update", s.onUpdate, "Person", "Service", "Group", "Organization", "Application"),
		inbox.On("Add", s.onAdd),
		inbox.On("Remove", s.onRemove),
	}
}

// onUpdate takes an actor's new profile, from the actor itself only.
func (s *Service) onUpdate(ctx context.Context, tx *pg.Tx, a *inbox.Activity) error {
	o := a.Object.Object("object")
	if o.ID() != a.Actor {
		return inbox.Drop("the profile of another")
	}
	return s.users.ApplyActor(ctx, tx, a.ActorID, o)
}

// apiI gives the caller's own account, with secrets for the native token, and
// counts the day as one on which it was used.
func (s *Service) apiI(ctx context.Context, c *api.Call, _ struct{}) (*user.Detailed, error) {
	if err := s.users.UsedOn(ctx, c.UserID, s.meta.Today()); err != nil {
		return nil, err
	}
	u, err := s.users.ByID(ctx, c.UserID)
	if err != nil {
		return nil, err
	}
	return s.users.PackMe(ctx, u, c.Native())
}

type showReq struct {
	UserID   *string  `json:"userId" api:"id"`
	UserIDs  []string `json:"userIds" api:"unique,max=100,items-id"`
	Username *string  `json:"username" api:"max=128"`
	Host     *string  `json:"host" api:"nullable,max=255"`
}

var (
	errNoSuchUser = api.Err("NO_SUCH_USER", "4362f8dc-731f-4ad8-a694-be5a88922a24", "There is no such account.").WithStatus(http.StatusNotFound)
	errRemote     = &api.Error{Code: "FAILED_TO_RESOLVE_REMOTE_USER", ID: "ef7b9be4-9cba-4e6f-ab41-90ed171c7d3c", Kind: "server", Message: "The account's server could not be asked."}
)

// Look-ups of unknown remote accounts that a guest may cause.
const (
	guestLookups   = 30
	guestLookupsIn = 10 * time.Minute
)

// apiShow gives one account, or for userIds those of them that exist, in
// order.
func (s *Service) apiShow(ctx context.Context, c *api.Call, req showReq) (any, error) {
	if req.UserIDs != nil {
		return s.showMany(ctx, c, req.UserIDs)
	}
	u, err := s.find(ctx, c, req)
	if errors.Is(err, user.ErrNotFound) || err == nil && u.IsDeleted {
		return nil, errNoSuchUser
	}
	if err != nil {
		return nil, err
	}
	packed, err := s.users.PackDetailed(ctx, c.ID(), map[string]*user.User{u.ID: u}, false)
	if err != nil {
		return nil, err
	}
	s.stats.Viewed(u.ID, c.ID(), c.IP)
	return packed[u.ID], nil
}

func (s *Service) find(ctx context.Context, c *api.Call, req showReq) (*user.User, error) {
	switch {
	case req.UserID != nil:
		u, err := s.users.ByID(ctx, *req.UserID)
		if errors.Is(err, user.ErrNotFound) {
			return s.users.Successor(ctx, *req.UserID)
		}
		return u, err
	case req.Username == nil:
		return nil, api.InvalidParam("#/anyOf", "must have required property 'userId'")
	case req.Host == nil:
		return s.users.ByAcct(ctx, s.db, *req.Username, nil)
	}
	host, err := ap.NormalizeHost(*req.Host)
	if err != nil {
		return nil, user.ErrNotFound
	}
	if known, err := s.users.ByAcct(ctx, s.db, *req.Username, &host); c.Identity == nil && err == nil {
		return known, nil // guests are shown what is known
	}
	if c.Identity == nil && !s.meta.Test() {
		if _, ok := s.lookups().Take("lookup\x00"+api.IPKey(c.IP), guestLookups, guestLookupsIn, 0); !ok {
			return nil, api.ErrRateLimit
		}
	}
	u, err := s.users.ResolveAcct(ctx, *req.Username, host)
	if err != nil && !errors.Is(err, user.ErrNotFound) {
		return nil, errRemote
	}
	return u, err
}

func (s *Service) showMany(ctx context.Context, c *api.Call, ids []string) ([]*user.Detailed, error) {
	users, err := s.users.ByIDs(ctx, s.db, ids)
	if err != nil {
		return nil, err
	}
	for id, u := range users {
		if u.IsDeleted || u.IsSuspended && !c.IsModerator() {
			delete(users, id)
		}
	}
	packed, err := s.users.PackDetailed(ctx, c.ID(), users, false)
	if err != nil {
		return nil, err
	}
	out := make([]*user.Detailed, 0, len(ids))
	for _, id := range ids {
		if d := packed[id]; d != nil {
			out = append(out, d)
		}
	}
	return out, nil
}

type searchReq struct {
	Limit    int     `json:"limit" api:"min=1,max=100,default=10"`
	Detail   bool    `json:"detail" api:"default=true"`
	Username *string `json:"username" api:"nullable,max=128"`
	Host     *string `json:"host" api:"nullable,max=255"`
}

// Those whom the viewer follows first, then the recently active.
const sqlSearch = `SELECT u.id FROM "user" u JOIN user_stat st ON st.user_id = u.id
LEFT JOIN following f ON f.follower_id = %s AND f.followee_id = u.id
WHERE %s ORDER BY (f.id IS NULL), st.last_active_at DESC NULLS LAST, u.id LIMIT %s`

func (s *Service) apiSearch(ctx context.Context, c *api.Call, req searchReq) (any, error) {
	var w pg.Where
	me := w.Arg(c.ID())
	w.And("NOT u.is_suspended AND NOT u.is_deleted AND NOT u.is_system")
	if req.Username != nil {
		w.And("u.username_lower LIKE ?", likePrefix(*req.Username))
	}
	if req.Host != nil {
		if *req.Host == "." || *req.Host == s.meta.Host || *req.Host == s.meta.Hostname {
			w.And("u.host IS NULL")
		} else {
			w.And("u.host LIKE ?", likePrefix(*req.Host))
		}
	}
	limit := w.Arg(req.Limit)
	rows, err := s.db.Query(ctx, fmt.Sprintf(sqlSearch, me, w.All(), limit), w.Args...)
	if err != nil {
		return nil, fmt.Errorf("search accounts: %w", err)
	}
	return s.found(ctx, c, rows, req.Detail)
}

// found packs accounts whose ids were found, in full or not.
func (s *Service) found(ctx context.Context, c *api.Call, rows pgx.Rows, detail bool) (any, error) {
	ids, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, fmt.Errorf("search accounts: %w", err)
	}
	if detail {
		return s.users.DetailedByIDs(ctx, c.ID(), ids)
	}
	lites, err := s.users.LiteByIDs(ctx, ids)
	if err != nil {
		return nil, err
	}
	out := make([]*user.Lite, 0, len(ids))
	for _, id := range ids {
		if l := lites[id]; l != nil {
			out = append(out, l)
		}
	}
	return out, nil
}

const sqlPins = `SELECT user_id, note_id FROM user_note_pining WHERE user_id = ANY($1) ORDER BY id DESC`

// PinsOf implements user.Pins.
func (s *Service) PinsOf(ctx context.Context, viewerID string, userIDs []string) (map[string]user.Pinned, error) {
	rows, err := s.db.Query(ctx, sqlPins, userIDs)
	if err != nil {
		return nil, fmt.Errorf("pinned notes: %w", err)
	}
	byUser := map[string][]string{}
	var all []string
	var userID, noteID string
	_, err = pgx.ForEachRow(rows, []any{&userID, &noteID}, func() error {
		byUser[userID] = append(byUser[userID], noteID)
		all = append(all, noteID)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("pinned notes: %w", err)
	}
	out := map[string]user.Pinned{}
	if len(all) == 0 {
		return out, nil
	}
	packed, err := s.notes.PackIDs(ctx, viewerID, all)
	if err != nil {
		return nil, err
	}
	notes := map[string]*note.Packed{}
	for _, n := range packed {
		notes[n.ID] = n
	}
	for u, ids := range byUser {
		p := user.Pinned{NoteIDs: []string{}, Notes: []any{}}
		for _, id := range ids {
			if n := notes[id]; n != nil && !n.IsHidden {
				p.NoteIDs = append(p.NoteIDs, id)
				p.Notes = append(p.Notes, n)
			}
		}
		out[u] = p
	}
	return out, nil
}

// Federate sends a changed profile to the servers of followers, in the
// transaction that changed it.
func (s *Service) Federate(ctx context.Context, tx *pg.Tx, u *user.User) error {
	to, err := s.relations.FollowerInboxes(ctx, tx, u.ID)
	if err != nil || len(to) == 0 {
		return err
	}
	actor, err := s.users.ActorIn(ctx, tx, u)
	if err != nil {
		return err
	}
	actor.Context = nil
	act := &ap.Activity{Context: ap.Context(), ID: s.users.URI(u) + "#updates/" + s.ids.Now(), Type: "Update", Actor: s.users.URI(u),
		To: []string{ap.Public}, Cc: []string{s.users.FollowersURI(u)}, Object: actor}
	body, err := json.Marshal(act)
	if err != nil {
		return fmt.Errorf("render profile: %w", err)
	}
	_, err = s.delivery.Send(ctx, tx, delivery.Message{ActorID: u.ID, ActivityID: act.ID, Type: "Update", Object: s.users.URI(u), Body: body,
		Class: delivery.Background, Audience: to})
	return err
}
