// Package list is in charge of lists of accounts: who keeps which, who is on
// them, and who likes them. Their timelines are in package timeline, which
// reads the memberships.
package list

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"buttersc.one/oven/internal/lib/id"
	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/relation"
	"buttersc.one/oven/internal/role"
	"buttersc.one/oven/internal/socket/api"
	"buttersc.one/oven/internal/socket/log"
	"buttersc.one/oven/internal/socket/stream"
	"buttersc.one/oven/internal/timeline"
	"buttersc.one/oven/internal/user"
)

// Service keeps lists.
type Service struct {
	db        *pg.DB
	ids       *id.Maker
	users     *user.Service
	relations *relation.Service
	roles     *role.Service
	timelines *timeline.Service
	log       *log.Log
	hub       *stream.Hub
}

// New makes the service.
func New(db *pg.DB, ids *id.Maker, us *user.Service, rs *relation.Service, roles *role.Service, ts *timeline.Service, lg *log.Log, hub *stream.Hub) *Service {
	return &Service{db: db, ids: ids, users: us, relations: rs, roles: roles, timelines: ts, log: lg, hub: hub}
}

// Endpoints is the API of this slice.
func (s *Service) Endpoints() []api.Endpoint {
	return []api.Endpoint{
		api.Post("users/lists/create", s.apiCreate, api.Scope("write:account"), api.NotMoved, api.Errors(errTooMany)),
		api.Post("users/lists/create-from-public", s.apiCopy, api.Scope("write:account"), api.NotMoved, api.Errors(copyErrors.all()...), api.Errors(errCopyTooMany, errCopyNoList)),
		api.Post("users/lists/delete", s.apiDelete, api.Scope("write:account"), api.Errors(errDeleteNoList)),
		api.Post("users/lists/update", s.apiUpdate, api.Scope("write:account"), api.Errors(errUpdateNoList)),
		api.Post("users/lists/show", s.apiShow, api.Visitors, api.MayScope("read:account"), api.Errors(errShowNoList)),
		api.Post("users/lists/list", s.apiList, api.Visitors, api.MayScope("read:account"), api.Errors(errListNoUser, errListRemote, errListWhose)),
		api.Post("users/lists/push", s.apiPush, api.Scope("write:account"), api.NotMoved, api.Limit(30, time.Hour), api.Errors(pushErrors.all()...), api.Errors(errPushNoList)),
		api.Post("users/lists/pull", s.apiPull, api.Scope("write:account"), api.NotMoved, api.Errors(errPullNoList, errPullNoUser)),
		api.Post("users/lists/update-membership", s.apiUpdateMembership, api.Scope("write:account"), api.NotMoved, api.Errors(errPullNoList, errPullNoUser)),
		api.Post("users/lists/get-memberships", s.apiMemberships, api.Visitors, api.MayScope("read:account"), api.Errors(errShowNoList)),
		api.Post("users/lists/favorite", s.apiFavorite, api.Scope("write:account"), api.Errors(errFavoriteNoList, errFavoriteTwice)),
		api.Post("users/lists/unfavorite", s.apiUnfavorite, api.Scope("write:account"), api.Errors(errUnfavoriteNoList, errUnfavoriteNone)),
	}
}

// List is a list with its members.
type List struct {
	ID      string
	UserID  string
	Name    string
	Public  bool
	Members []string
}

// packed is UserList.
type packed struct {
	ID        string   `json:"id"`
	CreatedAt api.Time `json:"createdAt"`
	CreatedBy string   `json:"createdBy"`
	Name      string   `json:"name"`
	UserIDs   []string `json:"userIds"`
	IsPublic  bool     `json:"isPublic"`
}

func (s *Service) pack(l *List) *packed {
	at, err := s.ids.Method().Time(l.ID)
	if err != nil {
		at = time.Time{}
	}
	return &packed{ID: l.ID, CreatedAt: api.Time(at), CreatedBy: l.UserID, Name: l.Name, UserIDs: l.Members, IsPublic: l.Public}
}

const sqlColumns = `SELECT l.id, l.user_id, l.name, l.is_public,
	ARRAY(SELECT m.user_id FROM user_list_membership m WHERE m.list_id = l.id ORDER BY m.id) FROM user_list l`

func (s *Service) read(ctx context.Context, q pg.Q, w *pg.Where, tail string) ([]*List, error) {
	rows, err := q.Query(ctx, sqlColumns+w.SQL()+tail, w.Args...)
	if err != nil {
		return nil, fmt.Errorf("lists: %w", err)
	}
	lists, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) (*List, error) {
		l := &List{}
		return l, r.Scan(&l.ID, &l.UserID, &l.Name, &l.Public, &l.Members)
	})
	if err != nil {
		return nil, fmt.Errorf("lists: %w", err)
	}
	return lists, nil
}

// one gives a list, or missing.
func (s *Service) one(ctx context.Context, q pg.Q, w *pg.Where, missing *api.Error) (*List, error) {
	lists, err := s.read(ctx, q, w, "")
	if err != nil {
		return nil, err
	}
	if len(lists) == 0 {
		return nil, missing
	}
	return lists[0], nil
}

// own gives the caller's list, or missing.
func (s *Service) own(ctx context.Context, q pg.Q, c *api.Call, listID string, missing *api.Error) (*List, error) {
	var w pg.Where
	w.And("l.id = ?", listID)
	w.And("l.user_id = ?", c.UserID)
	return s.one(ctx, q, &w, missing)
}

// readable gives a list that the caller may see: his own, or with forPublic a
// public one.
func (s *Service) readable(ctx context.Context, c *api.Call, listID string, forPublic bool, missing *api.Error) (*List, error) {
	var w pg.Where
	w.And("l.id = ?", listID)
	if forPublic {
		w.And("l.is_public")
	} else {
		w.And("l.user_id = ?", c.ID())
	}
	return s.one(ctx, s.db, &w, missing)
}

// changedData goes with "list.changed": who came ("userAdded") or went
// ("userRemoved"), if that was it.
type changedData struct {
	Event  string `json:"event,omitempty"`
	UserID string `json:"userId,omitempty"`
}

// changed has everybody who keeps the list's timeline in memory drop it.
func (s *Service) changed(ctx context.Context, tx *pg.Tx, listID, ownerID string, d changedData) error {
	s.timelines.ListChanged(tx, listID)
	return s.log.Append(ctx, tx, "list.changed", listID, ownerID, d)
}

// Consumers tell those who listen to a list who comes and goes.
func (s *Service) Consumers() []log.Consumer {
	return []log.Consumer{{Name: "list.stream", Kinds: []string{"list.changed"}, Handle: s.onChanges}}
}

func (s *Service) onChanges(ctx context.Context, _ *pg.Tx, batch []log.Change) error {
	for _, c := range batch {
		var d changedData
		if err := c.Into(&d); err != nil {
			return err
		}
		topic := timeline.ListTopic(c.ObjectID)
		if d.Event == "" || !s.hub.Heard(topic) {
			continue
		}
		lite, err := s.users.LiteByIDs(ctx, []string{d.UserID})
		if err != nil {
			return err
		}
		if u := lite[d.UserID]; u != nil {
			s.hub.Publish(topic, stream.Event{Type: d.Event, Body: u})
		}
	}
	return nil
}
