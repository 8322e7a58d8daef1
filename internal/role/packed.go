package role

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/socket/api"
)

// Lite is a role as it stands in an account's profile.
type Lite struct {
	ID              string  `json:"id"`
	Name            string  `json:"name"`
	Color           *string `json:"color"`
	IconURL         *string `json:"iconUrl"`
	Description     string  `json:"description"`
	IsModerator     bool    `json:"isModerator"`
	IsAdministrator bool    `json:"isAdministrator"`
	DisplayOrder    int     `json:"displayOrder"`
}

// Packed is a role with all that is told of it.
type Packed struct {
	Lite
	CreatedAt          api.Time            `json:"createdAt"`
	UpdatedAt          api.Time            `json:"updatedAt"`
	Target             string              `json:"target"` // manual, conditional
	CondFormula        json.RawMessage     `json:"condFormula"`
	IsPublic           bool                `json:"isPublic"`
	IsExplorable       bool                `json:"isExplorable"`
	AsBadge            bool                `json:"asBadge"`
	Preserve           bool                `json:"preserveAssignmentOnMoveAccount"`
	MembersByModerator bool                `json:"canEditMembersByModerator"`
	Policies           map[string]override `json:"policies"`
	UsersCount         int                 `json:"usersCount"`
}

// Lite is the role as it stands in a profile.
func (r *Role) Lite() Lite {
	return Lite{ID: r.ID, Name: r.Name, Color: r.Color, IconURL: r.IconURL, Description: r.Description, IsModerator: r.Moderator,
		IsAdministrator: r.Admin, DisplayOrder: r.DisplayOrder}
}

const sqlMembersCount = `
SELECT role_id, count(*) FROM role_assignment WHERE role_id = ANY($1) AND (expires_at IS NULL OR expires_at > $2) GROUP BY role_id`

// Pack packs roles, in their order.
func (s *Service) Pack(ctx context.Context, q pg.Q, roles []*Role) ([]*Packed, error) {
	ids := make([]string, 0, len(roles))
	for _, r := range roles {
		ids = append(ids, r.ID)
	}
	rows, err := q.Query(ctx, sqlMembersCount, ids, s.now())
	if err != nil {
		return nil, fmt.Errorf("members of roles: %w", err)
	}
	counts := map[string]int{}
	var roleID string
	var n int
	if _, err := pgx.ForEachRow(rows, []any{&roleID, &n}, func() error { counts[roleID] = n; return nil }); err != nil {
		return nil, fmt.Errorf("members of roles: %w", err)
	}
	out := make([]*Packed, 0, len(roles))
	for _, r := range roles {
		at, err := s.ids.Method().Time(r.ID)
		if err != nil {
			return nil, fmt.Errorf("role %s: %w", r.ID, err)
		}
		p := &Packed{Lite: r.Lite(), CreatedAt: api.Time(at), UpdatedAt: api.Time(r.UpdatedAt), Target: "manual", CondFormula: r.Formula,
			IsPublic: r.Public, IsExplorable: r.Explorable, AsBadge: r.Badge, Preserve: r.Preserve, MembersByModerator: r.MembersByModerator,
			Policies: r.overrides, UsersCount: counts[r.ID]}
		if r.Conditional {
			p.Target = "conditional"
		}
		out = append(out, p)
	}
	return out, nil
}

func (s *Service) packOne(ctx context.Context, q pg.Q, r *Role) (*Packed, error) {
	list, err := s.Pack(ctx, q, []*Role{r})
	if err != nil {
		return nil, err
	}
	return list[0], nil
}

const sqlAssigned = `SELECT id, role_id, expires_at FROM role_assignment WHERE user_id = $1 AND (expires_at IS NULL OR expires_at > $2) ORDER BY id`

// Assignment is a role that was given to an account.
type Assignment struct {
	CreatedAt api.Time  `json:"createdAt"`
	ExpiresAt *api.Time `json:"expiresAt"`
	RoleID    string    `json:"roleId"`
}

// AssignmentsOf are the roles given to an account, the oldest first.
func (s *Service) AssignmentsOf(ctx context.Context, userID string) ([]Assignment, error) {
	rows, err := s.db.Query(ctx, sqlAssigned, userID, s.now())
	if err != nil {
		return nil, fmt.Errorf("roles given: %w", err)
	}
	list, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) (Assignment, error) {
		var a Assignment
		var assignmentID string
		var expires *time.Time
		if err := r.Scan(&assignmentID, &a.RoleID, &expires); err != nil {
			return a, err
		}
		at, err := s.ids.Method().Time(assignmentID)
		a.CreatedAt, a.ExpiresAt = api.Time(at), api.TimePtr(expires)
		return a, err
	})
	if err != nil {
		return nil, fmt.Errorf("roles given: %w", err)
	}
	return list, nil
}
