package profile

import (
	"context"
	"errors"

	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/role"
	"buttersc.one/oven/internal/socket/api"
	"buttersc.one/oven/internal/user"
)

var (
	errUnsetNone   = api.Err("NO_SUCH_USER", "3a7d9e52-4c11-4b7e-9a53-2f0b1d6c8e01", "There is no such account.")
	errUnsetDenied = api.Err("ACCESS_DENIED", "3a7d9e52-4c11-4b7e-9a53-2f0b1d6c8e02", "An administrator's profile is not a moderator's to change.")
)

type unsetReq struct {
	UserID string `json:"userId" api:"required,id"`
}

// apiUnsetAvatar takes an account's avatar away, for moderators.
func (s *Service) apiUnsetAvatar(ctx context.Context, c *api.Call, req unsetReq) (api.None, error) {
	return api.None{}, s.unset(ctx, c, req.UserID, "avatar", "unsetUserAvatar", func(u *user.User) (fileID, url *string) { return u.AvatarID, u.AvatarURL })
}

// apiUnsetBanner takes an account's banner away, for moderators.
func (s *Service) apiUnsetBanner(ctx context.Context, c *api.Call, req unsetReq) (api.None, error) {
	return api.None{}, s.unset(ctx, c, req.UserID, "banner", "unsetUserBanner", func(u *user.User) (fileID, url *string) { return u.BannerID, u.BannerURL })
}

// unset takes a picture from a profile; followers' servers are told. The file
// stays in the account's drive. Where there is no picture nothing is done.
func (s *Service) unset(ctx context.Context, c *api.Call, userID, kind, what string, picture func(*user.User) (fileID, url *string)) error {
	_, admin, err := s.roles.Ranks(ctx, userID)
	if err != nil {
		return err
	}
	if admin && !c.Admin && !c.Is(userID) {
		return errUnsetDenied
	}
	return s.db.Tx(ctx, func(tx *pg.Tx) error {
		u, err := s.users.ByIDIn(ctx, tx, userID)
		if errors.Is(err, user.ErrNotFound) || err == nil && (u.IsSystem || u.IsDeleted) {
			return errUnsetNone
		}
		if err != nil {
			return err
		}
		fileID, url := picture(u)
		if fileID == nil && url == nil {
			return nil
		}
		up := user.Update{User: map[string]any{kind + "_id": nil, kind + "_url": nil, kind + "_blurhash": nil}}
		if err := s.letGo(ctx, tx, u, up); err != nil {
			return err
		}
		return s.bus.Emit(ctx, tx, role.Acted{Moderator: c.UserID, Type: what,
			Info: map[string]any{"userId": u.ID, "userUsername": u.Username, "userHost": u.Host, "fileId": fileID}})
	})
}
