package timeline

import (
	"context"
	"errors"

	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/note"
	"buttersc.one/oven/internal/socket/api"
	"buttersc.one/oven/internal/user"
)

var (
	errUserNoUser = api.Err("NO_SUCH_USER", "27e494ba-2ac2-48e8-893b-10d4d8c2387b", "There is no such account.")
	errUserBoth   = api.Err("BOTH_WITH_REPLIES_AND_WITH_FILES", "91c8cb9f-36ed-46e7-9ca2-7df96ed6e222", "Replies and files cannot both be asked for.")
)

type userReq struct {
	api.Page
	UserID           string `json:"userId" api:"required,id"`
	Limit            int    `json:"limit" api:"min=1,max=100,default=10"`
	AllowPartial     bool   `json:"allowPartial" api:"default=false"`
	WithReplies      bool   `json:"withReplies" api:"default=false"`
	WithRenotes      bool   `json:"withRenotes" api:"default=true"`
	WithChannelNotes bool   `json:"withChannelNotes" api:"default=false"`
	WithFiles        bool   `json:"withFiles" api:"default=false"`
}

// apiUser lists an account's own notes. Who looks at somebody's page wants to
// see him: a mute of the account itself does not hide here, one of a channel does.
func (s *Service) apiUser(ctx context.Context, c *api.Call, req userReq) ([]*note.Packed, error) {
	if req.WithReplies && req.WithFiles {
		return nil, errUserBoth
	}
	u, err := s.users.ByID(ctx, req.UserID)
	if errors.Is(err, user.ErrNotFound) || err == nil && u.IsDeleted {
		return nil, errUserNoUser
	}
	if err != nil {
		return nil, err
	}
	var w pg.Where
	w.And("n.user_id = ?", u.ID)
	w.And(note.AuthorActive)
	if me := c.ID(); me == "" {
		w.And(note.VisibleToGuests)
	} else {
		w.And(note.Visible, me)
		w.And("NOT EXISTS (SELECT FROM blocking b WHERE b.blocker_id = n.user_id AND b.blockee_id = ?)", me)
		w.And(note.Unmuted, me)
	}
	filter{withFiles: req.WithFiles, withRenotes: req.WithRenotes}.apply(&w)
	if !req.WithReplies {
		w.And("(n.reply_id IS NULL OR n.reply_user_id = n.user_id)")
	}
	if !req.WithChannelNotes {
		w.And("n.channel_id IS NULL")
	}
	return s.notes.Page(ctx, c.ID(), sqlNotes, &w, req.Page, req.Limit)
}

// OfUserForGuests is the newest of an account's notes, for its page.
// WrittenForGuests is the newest of what an account itself has written, for its feed.
func (s *Service) WrittenForGuests(ctx context.Context, userID string, limit int) ([]*note.Packed, error) {
	return s.apiUser(ctx, &api.Call{}, userReq{UserID: userID, Limit: limit, WithReplies: true})
}

func (s *Service) OfUserForGuests(ctx context.Context, userID string, limit int) ([]*note.Packed, error) {
	return s.apiUser(ctx, &api.Call{}, userReq{UserID: userID, Limit: limit, WithRenotes: true})
}
