package moderation

import (
	"context"
	"errors"

	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/role"
	"buttersc.one/oven/internal/socket/api"
	"buttersc.one/oven/internal/user"
)

var (
	errNobody = api.Err("NO_SUCH_USER", "7c1f0b7e-2e0e-4d40-9a4c-5f1f3a8b6c01", "There is no such account.")
	errRank   = api.Err("CANNOT_SUSPEND_MODERATOR", "7c1f0b7e-2e0e-4d40-9a4c-5f1f3a8b6c02", "Moderators cannot be suspended. Take their role first.")
)

type userReq struct {
	UserID string `json:"userId" api:"required,id"`
}

// apiSuspend takes an account's rights: it is shown no more, here and to servers
// that ask, and its connections end. Who moderates keeps them.
func (s *Service) apiSuspend(ctx context.Context, c *api.Call, req userReq) (api.None, error) {
	moderator, _, err := s.Roles.Ranks(ctx, req.UserID)
	if err != nil {
		return api.None{}, err
	}
	if moderator {
		return api.None{}, errRank
	}
	return api.None{}, s.suspend(ctx, c, req.UserID, true)
}

// apiUnsuspend gives them back.
func (s *Service) apiUnsuspend(ctx context.Context, c *api.Call, req userReq) (api.None, error) {
	return api.None{}, s.suspend(ctx, c, req.UserID, false)
}

func (s *Service) suspend(ctx context.Context, c *api.Call, userID string, yes bool) error {
	return s.DB.Tx(ctx, func(tx *pg.Tx) error {
		u, err := s.Users.ByIDIn(ctx, tx, userID)
		if errors.Is(err, user.ErrNotFound) || err == nil && (u.IsSystem || u.IsDeleted) {
			return errNobody
		}
		if err != nil {
			return err
		}
		changed, err := s.Users.SuspendIn(ctx, tx, userID, yes)
		if err != nil || !changed {
			return err
		}
		typ := "suspend"
		if !yes {
			typ = "unsuspend"
		}
		return s.Bus.Emit(ctx, tx, role.Acted{Moderator: c.UserID, Type: typ,
			Info: map[string]any{"userId": u.ID, "userUsername": u.Username, "userHost": u.Host}})
	})
}
