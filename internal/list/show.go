package list

import (
	"context"
	"errors"
	"fmt"

	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/socket/api"
	"buttersc.one/oven/internal/user"
)

var (
	errShowNoList       = api.Err("NO_SUCH_LIST", "7bc05c21-1d7a-41ae-88f1-66820f4dc686", "There is no such list.")
	errListNoUser       = api.Err("NO_SUCH_USER", "a8af4a82-0980-4cc4-a6af-8b0ffd54465e", "There is no such account.")
	errListRemote       = api.Err("REMOTE_USER_NOT_ALLOWED", "53858f1b-3315-4a01-81b7-db9b48d4b79a", "Lists of accounts elsewhere are not known here.")
	errListWhose        = api.Err("INVALID_PARAM", "ab36de0e-29e9-48cb-9732-d82f1281620d", "Say whose lists, or sign in.")
	errFavoriteNoList   = api.Err("NO_SUCH_USER_LIST", "7dbaf3cf-7b42-4b8f-b431-b3919e580dbe", "There is no such public list.")
	errFavoriteTwice    = api.Err("ALREADY_FAVORITED", "6425bba0-985b-461e-af1b-518070e72081", "You like the list already.")
	errUnfavoriteNoList = api.Err("NO_SUCH_USER_LIST", "baedb33e-76b8-4b0c-86a8-9375c0a7b94b", "There is no such public list.")
	errUnfavoriteNone   = api.Err("ALREADY_FAVORITED", "835c4b27-463d-4cfa-969b-a9058678d465", "You do not like the list.")
)

type showReq struct {
	ListID    string `json:"listId" api:"required,id"`
	ForPublic bool   `json:"forPublic" api:"default=false"`
}

// shown is a list with, for public ones, who likes it.
type shown struct {
	*packed
	LikedCount *int  `json:"likedCount,omitempty"`
	IsLiked    *bool `json:"isLiked,omitempty"`
}

const sqlLikes = `SELECT count(*), count(*) FILTER (WHERE user_id = $2) > 0 FROM user_list_favorite WHERE list_id = $1`

func (s *Service) apiShow(ctx context.Context, c *api.Call, req showReq) (*shown, error) {
	l, err := s.readable(ctx, c, req.ListID, req.ForPublic, errShowNoList)
	if err != nil {
		return nil, err
	}
	out := &shown{packed: s.pack(l)}
	if !req.ForPublic || !l.Public {
		return out, nil
	}
	var n int
	var mine bool
	if err := s.db.QueryRow(ctx, sqlLikes, l.ID, c.ID()).Scan(&n, &mine); err != nil {
		return nil, fmt.Errorf("likes of a list: %w", err)
	}
	out.LikedCount = &n
	if c.ID() != "" {
		out.IsLiked = &mine
	} else {
		no := false
		out.IsLiked = &no
	}
	return out, nil
}

type listReq struct {
	UserID string `json:"userId" api:"id"`
}

// apiList gives the caller's own lists, or the public ones of an account here.
func (s *Service) apiList(ctx context.Context, c *api.Call, req listReq) ([]*packed, error) {
	var w pg.Where
	switch {
	case req.UserID != "":
		u, err := s.users.ByID(ctx, req.UserID)
		if errors.Is(err, user.ErrNotFound) || err == nil && u.IsDeleted {
			return nil, errListNoUser
		}
		if err != nil {
			return nil, err
		}
		if !u.Local() {
			return nil, errListRemote
		}
		w.And("l.user_id = ? AND l.is_public", u.ID)
	case c.ID() == "":
		return nil, errListWhose
	default:
		w.And("l.user_id = ?", c.UserID)
	}
	lists, err := s.read(ctx, s.db, &w, " ORDER BY l.id")
	if err != nil {
		return nil, err
	}
	out := make([]*packed, 0, len(lists))
	for _, l := range lists {
		out = append(out, s.pack(l))
	}
	return out, nil
}

const (
	sqlLike   = `INSERT INTO user_list_favorite (id, list_id, user_id) VALUES ($1, $2, $3) ON CONFLICT (user_id, list_id) DO NOTHING`
	sqlUnlike = `DELETE FROM user_list_favorite WHERE list_id = $1 AND user_id = $2`
)

func (s *Service) apiFavorite(ctx context.Context, c *api.Call, req idReq) (api.None, error) {
	l, err := s.readable(ctx, c, req.ListID, true, errFavoriteNoList)
	if err != nil {
		return api.None{}, err
	}
	tag, err := s.db.Exec(ctx, sqlLike, s.ids.Now(), l.ID, c.UserID)
	if err != nil {
		return api.None{}, fmt.Errorf("like a list: %w", err)
	}
	if tag.RowsAffected() == 0 {
		return api.None{}, errFavoriteTwice
	}
	return api.None{}, nil
}

func (s *Service) apiUnfavorite(ctx context.Context, c *api.Call, req idReq) (api.None, error) {
	l, err := s.readable(ctx, c, req.ListID, true, errUnfavoriteNoList)
	if err != nil {
		return api.None{}, err
	}
	tag, err := s.db.Exec(ctx, sqlUnlike, l.ID, c.UserID)
	if err != nil {
		return api.None{}, fmt.Errorf("unlike a list: %w", err)
	}
	if tag.RowsAffected() == 0 {
		return api.None{}, errUnfavoriteNone
	}
	return api.None{}, nil
}
