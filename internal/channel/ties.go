package channel

import (
	"context"
	"errors"
	"fmt"
	"time"

	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/socket/api"
)

var (
	errFollowNone     = api.Err("NO_SUCH_CHANNEL", "c0031718-d573-4e85-928e-10039f1fbb68", "There is no such channel.")
	errUnfollowNone   = api.Err("NO_SUCH_CHANNEL", "19959ee9-0153-4c51-bbd9-a98c49dc59d6", "There is no such channel.")
	errFavoriteNone   = api.Err("NO_SUCH_CHANNEL", "4938f5f3-6167-4c04-9149-6607b7542861", "There is no such channel.")
	errUnfavoriteNone = api.Err("NO_SUCH_CHANNEL", "353c68dd-131a-476c-aa99-88a345e83668", "There is no such channel.")
	errMuteNone       = api.Err("NO_SUCH_CHANNEL", "7174361e-d58f-31d6-2e7c-6fb830786a3f", "There is no such channel.")
	errMuteTwice      = api.Err("ALREADY_MUTING", "5a251978-769a-da44-3e89-3931e43bb592", "You mute the channel already.")
	errMutePast       = api.Err("EXPIRES_AT_IS_PAST", "42b32236-df2c-a45f-fdbf-def67268f749", "The mute would be over already.")
	errUnmuteNone     = api.Err("NO_SUCH_CHANNEL", "e7998769-6e94-d9c2-6b8f-94a527314aba", "There is no such channel.")
	errUnmuteNot      = api.Err("NOT_MUTING", "14d55962-6ea8-d990-1333-d6bef78dc2ab", "You do not mute the channel.")
)

// changed is what the change log calls a new or ended tie; the object is the
// channel, the actor the account.
const changed = "channel.tied"

type channelReq struct {
	ChannelID string `json:"channelId" api:"required,id"`
}

const (
	sqlFollow     = `INSERT INTO channel_following (id, user_id, channel_id) VALUES ($1, $2, $3) ON CONFLICT (user_id, channel_id) DO NOTHING`
	sqlUnfollow   = `DELETE FROM channel_following WHERE user_id = $1 AND channel_id = $2`
	sqlFavorite   = `INSERT INTO channel_favorite (id, user_id, channel_id) VALUES ($1, $2, $3) ON CONFLICT (user_id, channel_id) DO NOTHING`
	sqlUnfavorite = `DELETE FROM channel_favorite WHERE user_id = $1 AND channel_id = $2`
	// A mute that is over makes room for a new one.
	sqlMute = `
INSERT INTO channel_muting (id, user_id, channel_id, expires_at) VALUES ($1, $2, $3, $4)
ON CONFLICT (user_id, channel_id) DO UPDATE SET expires_at = excluded.expires_at WHERE channel_muting.expires_at <= $5`
	sqlUnmute = `DELETE FROM channel_muting WHERE user_id = $1 AND channel_id = $2 AND (expires_at IS NULL OR expires_at > $3)`
)

// tie runs a statement about the caller and a channel. Where it changes nothing
// the error is unchanged, nil: that is fine.
func (s *Service) tie(ctx context.Context, c *api.Call, channelID string, none, unchanged *api.Error, sql string, args ...any) (api.None, error) {
	return api.None{}, s.DB.Tx(ctx, func(tx *pg.Tx) error {
		if _, err := s.ByID(ctx, tx, channelID); errors.Is(err, ErrNotFound) {
			return none
		} else if err != nil {
			return err
		}
		tag, err := tx.Exec(ctx, sql, args...)
		if err != nil {
			return fmt.Errorf("tie to a channel: %w", err)
		}
		if tag.RowsAffected() == 0 {
			if unchanged != nil {
				return unchanged
			}
			return nil
		}
		tx.AfterCommit(func() { s.sets.drop(c.UserID) })
		return s.Log.Append(ctx, tx, changed, channelID, c.UserID, nil)
	})
}

func (s *Service) apiFollow(ctx context.Context, c *api.Call, req channelReq) (api.None, error) {
	return s.tie(ctx, c, req.ChannelID, errFollowNone, nil, sqlFollow, s.IDs.Now(), c.UserID, req.ChannelID)
}

func (s *Service) apiUnfollow(ctx context.Context, c *api.Call, req channelReq) (api.None, error) {
	return s.tie(ctx, c, req.ChannelID, errUnfollowNone, nil, sqlUnfollow, c.UserID, req.ChannelID)
}

func (s *Service) apiFavorite(ctx context.Context, c *api.Call, req channelReq) (api.None, error) {
	return s.tie(ctx, c, req.ChannelID, errFavoriteNone, nil, sqlFavorite, s.IDs.Now(), c.UserID, req.ChannelID)
}

func (s *Service) apiUnfavorite(ctx context.Context, c *api.Call, req channelReq) (api.None, error) {
	return s.tie(ctx, c, req.ChannelID, errUnfavoriteNone, nil, sqlUnfavorite, c.UserID, req.ChannelID)
}

type muteReq struct {
	ChannelID string `json:"channelId" api:"required,id"`
	ExpiresAt *int64 `json:"expiresAt" api:"nullable,min=0,max=9000000000000"` // ms since 1970
}

func (s *Service) apiMute(ctx context.Context, c *api.Call, req muteReq) (api.None, error) {
	var until *time.Time
	now := s.Now()
	if req.ExpiresAt != nil {
		t := time.UnixMilli(*req.ExpiresAt).UTC()
		if !t.After(now) {
			return api.None{}, errMutePast
		}
		until = &t
	}
	return s.tie(ctx, c, req.ChannelID, errMuteNone, errMuteTwice, sqlMute, s.IDs.Now(), c.UserID, req.ChannelID, until, now)
}

func (s *Service) apiUnmute(ctx context.Context, c *api.Call, req channelReq) (api.None, error) {
	return s.tie(ctx, c, req.ChannelID, errUnmuteNone, errUnmuteNot, sqlUnmute, c.UserID, req.ChannelID, s.Now())
}
