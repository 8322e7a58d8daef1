package timeline

import (
	"context"

	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/note"
	"buttersc.one/oven/internal/socket/api"
)

var (
	errHybridDisabled = api.Err("STL_DISABLED", "620763f4-f621-4533-ab33-0577a1a3c342", "The social timeline is switched off.")
	errHybridBoth     = api.Err("BOTH_WITH_REPLIES_AND_WITH_FILES", "dfaa3eb7-8002-4cb7-bcc4-1095df46656f", "Replies and files cannot both be asked for.")
)

const sqlHomeAuthors = `SELECT followee_id AS uid FROM following WHERE follower_id = $1 UNION ALL SELECT $1::text`

// ofHome are the authors of the home timeline: the followed, and oneself.
// Replies to others come when their author is followed with replies.
func ofHome(w *pg.Where, me string) {
	w.And("(n.user_id = ?1 OR n.user_id IN (SELECT followee_id FROM following WHERE follower_id = ?1))", me)
	w.And(`(n.reply_id IS NULL OR n.user_id = ?1 OR n.reply_user_id IN (?1, n.user_id)
		OR n.user_id IN (SELECT followee_id FROM following WHERE follower_id = ?1 AND with_replies))`, me)
}

func (s *Service) apiHome(ctx context.Context, c *api.Call, req lineReq) ([]*note.Packed, error) {
	return s.page(ctx, homeLine(c.UserID, &req), req.Page, req.Limit)
}

func homeLine(me string, req *lineReq) *line {
	l := &line{me: me, inChannels: func(w *pg.Where) { req.anywhere(w, me) }, authors: sqlHomeAuthors, arg: me, conds: func(w *pg.Where) {
		ofHome(w, me)
		req.common(w, me)
	}}
	if !req.WithFiles {
		l.feeds = []feedKey{{homeFeed, me}}
	}
	return l
}

type hybridReq struct {
	lineReq
	WithReplies bool `json:"withReplies" api:"default=false"`
}

// apiHybrid gives the social timeline: home and local together.
func (s *Service) apiHybrid(ctx context.Context, c *api.Call, req hybridReq) ([]*note.Packed, error) {
	policies, err := s.roles.Of(ctx, c.UserID)
	if err != nil {
		return nil, err
	}
	if !policies.LtlAvailable {
		return nil, errHybridDisabled
	}
	if req.WithReplies && req.WithFiles {
		return nil, errHybridBoth
	}
	return s.page(ctx, hybridLine(c.UserID, &req), req.Page, req.Limit)
}

func hybridLine(me string, req *hybridReq) *line {
	l := &line{me: me, local: true, inChannels: func(w *pg.Where) { req.anywhere(w, me) }, authors: sqlHomeAuthors, arg: me, conds: func(w *pg.Where) {
		w.And(`(n.user_id = ?1 OR n.user_id IN (SELECT followee_id FROM following WHERE follower_id = ?1)
			OR (n.user_host IS NULL AND n.visibility = 'public'))`, me)
		if !req.WithReplies {
			w.And(`(n.reply_id IS NULL OR n.user_id = ?1 OR n.reply_user_id IN (?1, n.user_id)
				OR n.user_id IN (SELECT followee_id FROM following WHERE follower_id = ?1 AND with_replies))`, me)
		}
		req.common(w, me)
	}}
	if !req.WithFiles && !req.WithReplies {
		l.feeds = []feedKey{{homeFeed, me}, {kind: localFeed}}
	}
	return l
}
