package role

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/socket/api"
)

// ErrNotFound says that there is no such role.
var ErrNotFound = errors.New("no such role")

var (
	errShowNone      = api.Err("NO_SUCH_ROLE", "de5502bf-009a-4639-86c1-fec349e46dcb", "There is no such role.")
	errAdminShowNone = api.Err("NO_SUCH_ROLE", "07dc7d34-c0d8-49b7-96c6-db3ce64ee0b3", "There is no such role.")
)

type roleReq struct {
	RoleID string `json:"roleId" api:"required,id"`
}

// read gives the roles as the database has them.
func (s *Service) read(ctx context.Context, q pg.Q) ([]*Role, error) {
	rows, err := q.Query(ctx, sqlRoles)
	if err != nil {
		return nil, fmt.Errorf("roles: %w", err)
	}
	roles, err := pgx.CollectRows(rows, scan)
	if err != nil {
		return nil, fmt.Errorf("roles: %w", err)
	}
	return roles, nil
}

// ByID finds a role.
func (s *Service) ByID(ctx context.Context, roleID string) (*Role, error) {
	all, err := s.all(ctx)
	if err != nil {
		return nil, err
	}
	for _, r := range all {
		if r.ID == roleID {
			return r, nil
		}
	}
	return nil, ErrNotFound
}

// list gives the wanted roles, packed.
func (s *Service) list(ctx context.Context, wanted func(r *Role) bool) ([]*Packed, error) {
	all, err := s.all(ctx)
	if err != nil {
		return nil, err
	}
	var roles []*Role
	for _, r := range all {
		if wanted(r) {
			roles = append(roles, r)
		}
	}
	return s.Pack(ctx, s.db, roles)
}

// apiList gives the roles whose members may be looked at.
func (s *Service) apiList(ctx context.Context, _ *api.Call, _ struct{}) ([]*Packed, error) {
	return s.list(ctx, func(r *Role) bool { return r.Public && r.Explorable })
}

func (s *Service) apiAdminList(ctx context.Context, _ *api.Call, _ struct{}) ([]*Packed, error) {
	return s.list(ctx, func(*Role) bool { return true })
}

// Shown gives a role that everybody may see.
func (s *Service) Shown(ctx context.Context, roleID string) (*Packed, error) {
	r, err := s.ByID(ctx, roleID)
	if err != nil {
		return nil, err
	}
	if !r.Public {
		return nil, ErrNotFound
	}
	return s.packOne(ctx, s.db, r)
}

func (s *Service) apiShow(ctx context.Context, _ *api.Call, req roleReq) (*Packed, error) {
	p, err := s.Shown(ctx, req.RoleID)
	if errors.Is(err, ErrNotFound) {
		return nil, errShowNone
	}
	return p, err
}

func (s *Service) apiAdminShow(ctx context.Context, _ *api.Call, req roleReq) (*Packed, error) {
	r, err := s.ByID(ctx, req.RoleID)
	if errors.Is(err, ErrNotFound) {
		return nil, errAdminShowNone
	}
	if err != nil {
		return nil, err
	}
	return s.packOne(ctx, s.db, r)
}
