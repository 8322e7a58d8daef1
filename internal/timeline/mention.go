package timeline

import (
	"context"

	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/note"
	"buttersc.one/oven/internal/socket/api"
)

type mentionsReq struct {
	api.Page
	Following  bool   `json:"following" api:"default=false"`
	Limit      int    `json:"limit" api:"min=1,max=100,default=10"`
	Visibility string `json:"visibility" api:"optional"`
}

// apiMentions gives notes that mention the caller or are addressed to him, but
// for threads he has muted.
func (s *Service) apiMentions(ctx context.Context, c *api.Call, req mentionsReq) ([]*note.Packed, error) {
	var w pg.Where
	w.And("(n.mentions @> ARRAY[?1::text] OR n.visible_user_ids @> ARRAY[?1::text])", c.UserID)
	w.And("coalesce(n.thread_id, n.id) NOT IN (SELECT tm.thread_id FROM note_thread_muting tm WHERE tm.user_id = ?)", c.UserID)
	note.See(&w, c.UserID)
	if req.Visibility != "" {
		w.And("n.visibility = ?", req.Visibility)
	}
	if req.Following {
		w.And("(n.user_id = ?1 OR n.user_id IN (SELECT followee_id FROM following WHERE follower_id = ?1))", c.UserID)
	}
	return s.notes.Page(ctx, c.UserID, sqlNotes, &w, req.Page, req.Limit)
}
