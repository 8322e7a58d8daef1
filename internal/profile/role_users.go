package profile

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/socket/api"
	"buttersc.one/oven/internal/user"
)

var (
	errRoleUsersNone      = api.Err("NO_SUCH_ROLE", "30aaaee3-4792-48dc-ab0d-cf501a575ac5", "There is no such role.")
	errAdminRoleUsersNone = api.Err("NO_SUCH_ROLE", "224eff5e-2488-4b18-b3e7-f50d94421648", "There is no such role.")
)

func (s *Service) roleEndpoints() []api.Endpoint {
	return []api.Endpoint{
		api.Post("roles/users", s.apiRoleUsers, api.Visitors, api.Errors(errRoleUsersNone)),
		api.Post("admin/roles/users", s.apiAdminRoleUsers, api.Moderator("read:admin:roles"), api.Errors(errAdminRoleUsersNone)),
	}
}

type roleUsersReq struct {
	api.Page
	RoleID string `json:"roleId" api:"required,id"`
	Limit  int    `json:"limit" api:"min=1,max=100,default=10"`
}

// assigned is somebody's having of a role.
type assigned struct {
	id, userID string
	expires    *time.Time
}

const (
	sqlRoleShown = `SELECT is_public AND is_explorable FROM role WHERE id = $1`
	sqlAssigned  = `
SELECT t.id, t.user_id, t.expires_at FROM role_assignment t JOIN "user" u ON u.id = t.user_id`
)

// assignments are those who were given a role, and have it still. Who has it by a
// condition is not among them.
func (s *Service) assignments(ctx context.Context, req *roleUsersReq, suspended bool) ([]assigned, error) {
	var w pg.Where
	w.And("t.role_id = ?", req.RoleID)
	w.And("(t.expires_at IS NULL OR t.expires_at > ?) AND NOT u.is_deleted", s.now())
	if !suspended {
		w.And("NOT u.is_suspended")
	}
	order := req.Apply(&w, s.ids.Method(), req.Limit)
	rows, err := s.db.Query(ctx, sqlAssigned+w.SQL()+order, w.Args...)
	if err != nil {
		return nil, fmt.Errorf("accounts of a role: %w", err)
	}
	list, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) (a assigned, err error) {
		return a, r.Scan(&a.id, &a.userID, &a.expires)
	})
	if err != nil {
		return nil, fmt.Errorf("accounts of a role: %w", err)
	}
	return list, nil
}

// usersOf are the accounts of assignments, by id.
func (s *Service) usersOf(ctx context.Context, c *api.Call, list []assigned) (map[string]*user.Detailed, error) {
	ids := make([]string, len(list))
	for i, a := range list {
		ids[i] = a.userID
	}
	packed, err := s.users.DetailedByIDs(ctx, c.ID(), ids)
	out := map[string]*user.Detailed{}
	for _, d := range packed {
		out[d.ID] = d
	}
	return out, err
}

type roleUser struct {
	ID   string         `json:"id"`
	User *user.Detailed `json:"user"`
}

// apiRoleUsers lists who has a role that shows who has it.
func (s *Service) apiRoleUsers(ctx context.Context, c *api.Call, req roleUsersReq) ([]roleUser, error) {
	var shown bool
	if err := s.db.QueryRow(ctx, sqlRoleShown, req.RoleID).Scan(&shown); err != nil && !pg.NoRows(err) {
		return nil, fmt.Errorf("role: %w", err)
	}
	if !shown {
		return nil, errRoleUsersNone
	}
	list, err := s.assignments(ctx, &req, false)
	if err != nil {
		return nil, err
	}
	users, err := s.usersOf(ctx, c, list)
	if err != nil {
		return nil, err
	}
	out := []roleUser{}
	for _, a := range list {
		if u := users[a.userID]; u != nil {
			out = append(out, roleUser{a.id, u})
		}
	}
	return out, nil
}

type adminRoleUser struct {
	ID        string         `json:"id"`
	CreatedAt api.Time       `json:"createdAt"`
	User      *user.Detailed `json:"user"`
	ExpiresAt *api.Time      `json:"expiresAt"`
}

// apiAdminRoleUsers lists who has a role, for moderators.
func (s *Service) apiAdminRoleUsers(ctx context.Context, c *api.Call, req roleUsersReq) ([]adminRoleUser, error) {
	var shown bool
	err := s.db.QueryRow(ctx, sqlRoleShown, req.RoleID).Scan(&shown)
	if pg.NoRows(err) {
		return nil, errAdminRoleUsersNone
	}
	if err != nil {
		return nil, fmt.Errorf("role: %w", err)
	}
	list, err := s.assignments(ctx, &req, true)
	if err != nil {
		return nil, err
	}
	users, err := s.usersOf(ctx, c, list)
	if err != nil {
		return nil, err
	}
	out := []adminRoleUser{}
	for _, a := range list {
		u := users[a.userID]
		if u == nil {
			continue
		}
		at, err := s.ids.Method().Time(a.id)
		if err != nil {
			return nil, err
		}
		p := adminRoleUser{ID: a.id, CreatedAt: api.Time(at), User: u}
		if a.expires != nil {
			t := api.Time(*a.expires)
			p.ExpiresAt = &t
		}
		out = append(out, p)
	}
	return out, nil
}
