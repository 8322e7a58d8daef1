package profile

import (
	"context"
	"slices"

	"buttersc.one/oven/internal/drive"
	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/user"
)

// onGone takes pictures out of a profile whose file is taken away; followers'
// servers are told.
func (s *Service) onGone(ctx context.Context, tx *pg.Tx, ev drive.Gone) error {
	u, err := s.users.ByIDIn(ctx, tx, ev.UserID)
	if err != nil {
		return err
	}
	up := user.Update{User: map[string]any{}}
	for kind, id := range map[string]*string{"avatar": u.AvatarID, "banner": u.BannerID} {
		if id != nil && slices.Contains(ev.IDs, *id) {
			up.User[kind+"_id"], up.User[kind+"_url"], up.User[kind+"_blurhash"] = nil, nil, nil
		}
	}
	if len(up.User) == 0 {
		return nil
	}
	return s.letGo(ctx, tx, u, up)
}

// letGo takes pictures out of a profile, in tx; followers' servers are told.
func (s *Service) letGo(ctx context.Context, tx *pg.Tx, u *user.User, up user.Update) error {
	if err := s.users.Apply(ctx, tx, u.ID, up); err != nil {
		return err
	}
	if !u.Local() {
		return nil
	}
	u, err := s.users.ByIDIn(ctx, tx, u.ID)
	if err != nil {
		return err
	}
	return s.Federate(ctx, tx, u)
}
