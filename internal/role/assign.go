package role

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/socket/api"
)

// Assigned is emitted when a role was given to an account.
type Assigned struct {
	Role   *Role
	UserID string
	Local  bool // the account is of this server
}

var (
	errAssignNone     = api.Err("NO_SUCH_ROLE", "6503c040-6af4-4ed9-bf07-f2dd16678eab", "There is no such role.")
	errAssignNoUser   = api.Err("NO_SUCH_USER", "558ea170-f653-4700-94d0-5a818371d0df", "There is no such account.")
	errAssignDenied   = api.Err("ACCESS_DENIED", "25b5bc31-dc79-4ebd-9bd2-c84978fd052c", "Only administrators may give this role.")
	errUnassignNone   = api.Err("NO_SUCH_ROLE", "6e519036-a70d-4c76-b679-bc8fb18194e2", "There is no such role.")
	errUnassignNoUser = api.Err("NO_SUCH_USER", "2b730f78-1179-461b-88ad-d24c9af1a5ce", "There is no such account.")
	errUnassignNot    = api.Err("NOT_ASSIGNED", "b9060ac7-5c94-4da4-9f55-2047c953df44", "The account does not have this role.")
	errUnassignDenied = api.Err("ACCESS_DENIED", "24636eee-e8c1-493e-94b2-e16ad401e262", "Only administrators may take this role.")
)

type assignReq struct {
	RoleID    string `json:"roleId" api:"required,id"`
	UserID    string `json:"userId" api:"required,id"`
	ExpiresAt *int64 `json:"expiresAt" api:"nullable,min=0,max=9000000000000"` // ms since 1970
}

const (
	sqlName   = `SELECT username, host FROM "user" WHERE id = $1 AND NOT is_deleted AND NOT is_system`
	sqlAssign = `
INSERT INTO role_assignment (id, user_id, role_id, expires_at) VALUES ($1, $2, $3, $4)
ON CONFLICT (user_id, role_id) DO UPDATE SET expires_at = excluded.expires_at`
	sqlUnassign = `DELETE FROM role_assignment WHERE user_id = $1 AND role_id = $2 AND (expires_at IS NULL OR expires_at > $3)`
)

// mayEdit tells whether the caller may give and take the role. Administrators
// are made by administrators, whatever the role says of moderators.
func mayEdit(c *api.Call, r *Role) bool {
	return c.Admin || c.Root || r.MembersByModerator && !r.Admin
}

// named is what the moderation log keeps of an account.
func named(ctx context.Context, q pg.Q, userID string) (map[string]any, error) {
	var username string
	var host *string
	if err := q.QueryRow(ctx, sqlName, userID).Scan(&username, &host); err != nil {
		return nil, err
	}
	return map[string]any{"userId": userID, "userUsername": username, "userHost": host}, nil
}

// apiAssign gives a role; given again, it is until the new time.
func (s *Service) apiAssign(ctx context.Context, c *api.Call, req assignReq) (api.None, error) {
	var expires *time.Time
	if req.ExpiresAt != nil {
		t := time.UnixMilli(*req.ExpiresAt).UTC()
		expires = &t
	}
	err := s.db.Tx(ctx, func(tx *pg.Tx) error {
		r, err := s.locked(ctx, tx, req.RoleID)
		if errors.Is(err, ErrNotFound) {
			return errAssignNone
		}
		if err != nil {
			return err
		}
		if !mayEdit(c, r) {
			return errAssignDenied
		}
		info, err := named(ctx, tx, req.UserID)
		if pg.NoRows(err) {
			return errAssignNoUser
		}
		if err != nil {
			return fmt.Errorf("assign role: %w", err)
		}
		if expires != nil && !expires.After(s.now()) {
			return nil // over before it began
		}
		if _, err := tx.Exec(ctx, sqlAssign, s.ids.Now(), req.UserID, r.ID, expires); err != nil {
			return fmt.Errorf("assign role: %w", err)
		}
		if err := s.note(ctx, tx, r.ID); err != nil {
			return err
		}
		if err := s.bus.Emit(ctx, tx, Assigned{Role: r, UserID: req.UserID, Local: info["userHost"] == (*string)(nil)}); err != nil {
			return err
		}
		info["roleId"], info["roleName"], info["expiresAt"] = r.ID, r.Name, api.TimePtr(expires)
		return s.bus.Emit(ctx, tx, Acted{Moderator: c.UserID, Type: "assignRole", Info: info})
	})
	return api.None{}, err
}

type unassignReq struct {
	RoleID string `json:"roleId" api:"required,id"`
	UserID string `json:"userId" api:"required,id"`
}

func (s *Service) apiUnassign(ctx context.Context, c *api.Call, req unassignReq) (api.None, error) {
	err := s.db.Tx(ctx, func(tx *pg.Tx) error {
		r, err := s.locked(ctx, tx, req.RoleID)
		if errors.Is(err, ErrNotFound) {
			return errUnassignNone
		}
		if err != nil {
			return err
		}
		if !mayEdit(c, r) {
			return errUnassignDenied
		}
		info, err := named(ctx, tx, req.UserID)
		if pg.NoRows(err) {
			return errUnassignNoUser
		}
		if err != nil {
			return fmt.Errorf("unassign role: %w", err)
		}
		tag, err := tx.Exec(ctx, sqlUnassign, req.UserID, r.ID, s.now())
		if err != nil {
			return fmt.Errorf("unassign role: %w", err)
		}
		if tag.RowsAffected() == 0 {
			return errUnassignNot
		}
		if err := s.note(ctx, tx, r.ID); err != nil {
			return err
		}
		info["roleId"], info["roleName"] = r.ID, r.Name
		return s.bus.Emit(ctx, tx, Acted{Moderator: c.UserID, Type: "unassignRole", Info: info})
	})
	return api.None{}, err
}

const sqlKept = `
SELECT a.role_id, a.expires_at FROM role_assignment a JOIN role r ON r.id = a.role_id AND r.preserve_on_move
WHERE a.user_id = $1 AND (a.expires_at IS NULL OR a.expires_at > $2) ORDER BY a.id`

// CopyOnMove gives an account those roles of the one that moved to it which go
// along.
func (s *Service) CopyOnMove(ctx context.Context, tx *pg.Tx, from, to string) error {
	rows, err := tx.Query(ctx, sqlKept, from, s.now())
	if err != nil {
		return fmt.Errorf("roles of a moved account: %w", err)
	}
	type kept struct {
		RoleID    string
		ExpiresAt *time.Time
	}
	list, err := pgx.CollectRows(rows, pgx.RowToStructByPos[kept])
	if err != nil {
		return fmt.Errorf("roles of a moved account: %w", err)
	}
	for _, k := range list {
		if _, err := tx.Exec(ctx, sqlAssign, s.ids.Now(), to, k.RoleID, k.ExpiresAt); err != nil {
			return fmt.Errorf("roles of a moved account: %w", err)
		}
		if err := s.note(ctx, tx, k.RoleID); err != nil {
			return err
		}
	}
	return nil
}

// expiredArgs asks to remove what has run out.
type expiredArgs struct{}

// Kind implements job.Args.
func (expiredArgs) Kind() string { return "role.expired" }

const sqlExpired = `DELETE FROM role_assignment WHERE expires_at <= $1`

// DropExpired removes roles that were given until a time that has passed; they
// have counted for nothing since.
func (s *Service) DropExpired(ctx context.Context) error {
	if _, err := s.db.Exec(ctx, sqlExpired, s.now()); err != nil {
		return fmt.Errorf("expired roles: %w", err)
	}
	return nil
}
