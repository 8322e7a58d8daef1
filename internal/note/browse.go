package note

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/socket/api"
)

type notesReq struct {
	api.Page
	Local     bool  `json:"local" api:"default=false"`
	Reply     *bool `json:"reply" api:"optional"`
	Renote    *bool `json:"renote" api:"optional"`
	WithFiles *bool `json:"withFiles" api:"optional"`
	Poll      *bool `json:"poll" api:"optional"`
	Limit     int   `json:"limit" api:"min=1,max=100,default=10"`
}

// apiNotes gives public notes of everybody, for whoever gathers them.
func (s *Service) apiNotes(ctx context.Context, c *api.Call, req notesReq) ([]*Packed, error) {
	var w pg.Where
	w.And("n.visibility = 'public' AND NOT n.local_only AND n.channel_id IS NULL")
	if req.Local {
		w.And("n.user_host IS NULL")
	}
	if req.Reply != nil {
		w.And("(n.reply_id IS NOT NULL) = ?", *req.Reply)
	}
	if req.Renote != nil {
		w.And("(n.renote_id IS NOT NULL) = ?", *req.Renote)
	}
	if req.WithFiles != nil {
		w.And("(n.file_ids <> '{}') = ?", *req.WithFiles)
	}
	if req.Poll != nil {
		w.And("n.has_poll = ?", *req.Poll)
	}
	See(&w, c.ID())
	return s.Page(ctx, c.ID(), sqlThread, &w, req.Page, req.Limit)
}

type partialReq struct {
	NoteIDs []string `json:"noteIds" api:"required,unique,max=100,items-id"`
}

// partial is what of a note changes often.
type partial struct {
	ID             string            `json:"id"`
	Reactions      map[string]int    `json:"reactions"`
	ReactionEmojis map[string]string `json:"reactionEmojis"`
}

// apiPartial gives the reactions of many notes at once, of those that the
// caller may see.
func (s *Service) apiPartial(ctx context.Context, c *api.Call, req partialReq) ([]partial, error) {
	packed, err := s.PackIDs(ctx, c.ID(), req.NoteIDs)
	if err != nil {
		return nil, err
	}
	out := make([]partial, 0, len(packed))
	for _, p := range packed {
		if !p.IsHidden {
			out = append(out, partial{ID: p.ID, Reactions: p.Reactions, ReactionEmojis: p.ReactionEmojis})
		}
	}
	return out, nil
}

type pollsReq struct {
	Limit           int  `json:"limit" api:"min=1,max=100,default=10"`
	Offset          int  `json:"offset" api:"min=0,default=0"`
	ExcludeChannels bool `json:"excludeChannels" api:"default=false"`
}

const sqlOpenPolls = `SELECT n.id FROM poll p JOIN note n ON n.id = p.note_id`

// apiPolls gives public polls of this server that the caller could still vote
// in, the newest first.
func (s *Service) apiPolls(ctx context.Context, c *api.Call, req pollsReq) ([]*Packed, error) {
	var w pg.Where
	w.And("n.user_host IS NULL AND n.visibility = 'public' AND n.user_id <> ?", c.UserID)
	w.And("NOT p.ended AND (p.expires_at IS NULL OR p.expires_at > ?)", s.clock())
	w.And("NOT EXISTS (SELECT FROM poll_vote v WHERE v.note_id = p.note_id AND v.user_id = ?)", c.UserID)
	if req.ExcludeChannels {
		w.And("n.channel_id IS NULL")
	}
	See(&w, c.UserID)
	rows, err := s.DB.Query(ctx, sqlOpenPolls+w.SQL()+" ORDER BY n.id DESC"+pg.Limit(req.Limit)+pg.Offset(req.Offset), w.Args...)
	if err != nil {
		return nil, fmt.Errorf("open polls: %w", err)
	}
	ids, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, fmt.Errorf("open polls: %w", err)
	}
	return s.PackIDs(ctx, c.UserID, ids)
}
