// Package role is in charge of what accounts may do: roles, who has them, the
// policies that follow from them, and who is a moderator or administrator. The
// endpoint meta is here because it tells visitors' policies along with the
// server's facts.
package role

import (
	"context"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"

	"buttersc.one/oven/internal/lib/id"
	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/meta"
	"buttersc.one/oven/internal/socket/api"
	"buttersc.one/oven/internal/socket/event"
	"buttersc.one/oven/internal/socket/job"
	"buttersc.one/oven/internal/socket/log"
)

// Service answers what accounts may do.
type Service struct {
	db    *pg.DB
	meta  *meta.Service
	ids   *id.Maker
	log   *log.Log
	bus   *event.Bus
	now   func() time.Time
	last  atomic.Pointer[resolved]
	cache cache
}

// resolved is the defaults with the settings laid over, kept while the settings
// are the same.
type resolved struct {
	of       *meta.Settings
	policies Policies
}

// New makes the service.
func New(db *pg.DB, m *meta.Service, ids *id.Maker, lg *log.Log, bus *event.Bus, now func() time.Time) *Service {
	return &Service{db: db, meta: m, ids: ids, log: lg, bus: bus, now: now, cache: cache{mu: &sync.Mutex{}, users: map[string]*held{}}}
}

// Default is what an account without roles may do, and a visitor.
func (s *Service) Default() (*Policies, error) {
	set := s.meta.Get()
	if r := s.last.Load(); r != nil && r.of == set {
		return &r.policies, nil
	}
	r := &resolved{of: set, policies: builtIn()}
	if err := json.Unmarshal(set.Policies, &r.policies); err != nil {
		return nil, fmt.Errorf("policies in the settings: %w", err)
	}
	s.last.Store(r)
	return &r.policies, nil
}

// Of is what the account may do; "" is a visitor. It must not be changed.
func (s *Service) Of(ctx context.Context, userID string) (*Policies, error) {
	base, err := s.Default()
	if err != nil || userID == "" {
		return base, err
	}
	h, err := s.one(ctx, userID)
	if err != nil {
		return nil, err
	}
	return h.allowed(base), nil
}

// Ranks tells whether the account may moderate, and administer, which includes
// moderating. The root account does both.
func (s *Service) Ranks(ctx context.Context, userID string) (moderator, admin bool, err error) {
	h, err := s.one(ctx, userID)
	if err != nil {
		return false, false, err
	}
	moderator, admin = h.ranks()
	return moderator, admin, nil
}

func (h *held) ranks() (moderator, admin bool) {
	admin = h.subject.Root
	for _, r := range h.roles {
		admin = admin || r.Admin
		moderator = moderator || r.Moderator
	}
	return moderator || admin, admin
}

// Those who have a rank by hand, or as root; and who may have one by a condition.
const (
	sqlRanked = `
SELECT id FROM "user" WHERE is_root AND host IS NULL AND NOT is_deleted
UNION SELECT a.user_id FROM role_assignment a JOIN role r ON r.id = a.role_id JOIN "user" u ON u.id = a.user_id
WHERE (r.is_moderator OR r.is_administrator) AND NOT u.is_deleted AND (a.expires_at IS NULL OR a.expires_at > $1)`
	sqlPeople = `SELECT id FROM "user" WHERE host IS NULL AND NOT is_deleted AND NOT is_system`
)

// Moderators are all who may moderate, and whether they may administer.
func (s *Service) Moderators(ctx context.Context) (map[string]bool, error) {
	all, err := s.all(ctx)
	if err != nil {
		return nil, err
	}
	var rows pgx.Rows
	if slices.ContainsFunc(all, func(r *Role) bool { return r.Conditional && (r.Moderator || r.Admin) }) {
		rows, err = s.db.Query(ctx, sqlPeople)
	} else {
		rows, err = s.db.Query(ctx, sqlRanked, s.now())
	}
	if err != nil {
		return nil, fmt.Errorf("moderators: %w", err)
	}
	ids, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, fmt.Errorf("moderators: %w", err)
	}
	out := map[string]bool{}
	for chunk := range slices.Chunk(ids, 1000) {
		found, err := s.hold(ctx, chunk)
		if err != nil {
			return nil, err
		}
		for userID, h := range found {
			if moderator, admin := h.ranks(); moderator {
				out[userID] = admin
			}
		}
	}
	return out, nil
}

// RolesOf gives the roles of accounts, the foremost first. Their number does
// not change the number of statements.
func (s *Service) RolesOf(ctx context.Context, userIDs []string) (map[string][]*Role, error) {
	found, err := s.hold(ctx, userIDs)
	if err != nil {
		return nil, err
	}
	out := make(map[string][]*Role, len(found))
	for userID, h := range found {
		if len(h.roles) > 0 {
			out[userID] = h.roles
		}
	}
	return out, nil
}

// Holds tells whether an account has one of the roles.
func (s *Service) Holds(ctx context.Context, userID string, roleIDs []string) (bool, error) {
	have, err := s.RolesOf(ctx, []string{userID})
	if err != nil {
		return false, err
	}
	return slices.ContainsFunc(have[userID], func(r *Role) bool { return slices.Contains(roleIDs, r.ID) }), nil
}

// BadgesOf gives the roles that are shown beside accounts' names. Where no role
// is, nothing is asked.
func (s *Service) BadgesOf(ctx context.Context, userIDs []string) (map[string][]*Role, error) {
	all, err := s.all(ctx)
	if err != nil || !slices.ContainsFunc(all, func(r *Role) bool { return r.Badge }) {
		return nil, err
	}
	roles, err := s.RolesOf(ctx, userIDs)
	if err != nil {
		return nil, err
	}
	for userID, list := range roles {
		roles[userID] = slices.DeleteFunc(slices.Clone(list), func(r *Role) bool { return !r.Badge })
	}
	return roles, nil
}

// Allows implements api.Policies.
func (s *Service) Allows(ctx context.Context, userID, policy string) (bool, error) {
	p, err := s.Of(ctx, userID)
	if err != nil {
		return false, err
	}
	f := p.field(policy)
	if f.Kind() != reflect.Bool {
		return false, fmt.Errorf("policy %s is not a yes or no", policy)
	}
	return f.Bool(), nil
}

// RateFactor implements api.Policies.
func (s *Service) RateFactor(ctx context.Context, userID string) (float64, error) {
	p, err := s.Of(ctx, userID)
	if err != nil {
		return 0, err
	}
	return p.RateLimitFactor, nil
}

// Consumers keep what is remembered fresh on every node.
func (s *Service) Consumers() []log.Consumer {
	return []log.Consumer{{
		Name: "role.cache", Kinds: []string{changed, "user.updated", "user.suspended"}, Handle: s.onChanges, Lost: s.Forget,
	}}
}

func (s *Service) onChanges(_ context.Context, _ *pg.Tx, batch []log.Change) error {
	for _, c := range batch {
		if c.Kind == changed {
			s.Forget()
			return nil
		}
		s.cache.dropUser(c.ObjectID)
	}
	return nil
}

// Jobs of this slice.
func (s *Service) Jobs() []job.Worker {
	return []job.Worker{job.Every(24*time.Hour, expiredArgs{}, s.DropExpired)}
}

// Endpoints is the API of this slice.
func (s *Service) Endpoints() []api.Endpoint {
	write := api.Admin("write:admin:roles")
	read := api.Moderator("read:admin:roles")
	members := api.Moderator("write:admin:roles")
	return []api.Endpoint{
		api.Post("meta", s.apiMeta, api.Visitors),
		api.Post("roles/list", s.apiList, api.Scope("read:account")),
		api.Post("roles/show", s.apiShow, api.Visitors, api.Errors(errShowNone)),
		api.Post("admin/roles/create", s.apiCreate, write),
		api.Post("admin/roles/update", s.apiUpdate, write, api.Errors(errUpdateNone)),
		api.Post("admin/roles/delete", s.apiDelete, write, api.Errors(errDeleteNone)),
		api.Post("admin/roles/list", s.apiAdminList, read),
		api.Post("admin/roles/show", s.apiAdminShow, read, api.Errors(errAdminShowNone)),
		api.Post("admin/roles/assign", s.apiAssign, members, api.Errors(errAssignNone, errAssignNoUser, errAssignDenied)),
		api.Post("admin/roles/unassign", s.apiUnassign, members, api.Errors(errUnassignNone, errUnassignNoUser, errUnassignNot, errUnassignDenied)),
		api.Post("admin/roles/update-default-policies", s.apiUpdateDefaults, write),
	}
}
