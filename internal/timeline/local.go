package timeline

import (
	"context"
	"errors"

	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/note"
	"buttersc.one/oven/internal/socket/api"
)

var (
	errLocalDisabled  = api.Err("LTL_DISABLED", "45a6eb02-7695-4393-b023-dd3be9aaaefd", "The local timeline is switched off.")
	errLocalBoth      = api.Err("BOTH_WITH_REPLIES_AND_WITH_FILES", "dd9c8400-1cb5-4eef-8a31-200c5f933793", "Replies and files cannot both be asked for.")
	errGlobalDisabled = api.Err("GTL_DISABLED", "0332fc13-6ab2-4427-ae80-a9fadffd1a6b", "The global timeline is switched off.")
)

type localReq struct {
	api.Page
	Limit        int  `json:"limit" api:"min=1,max=100,default=10"`
	AllowPartial bool `json:"allowPartial" api:"default=false"`
	WithFiles    bool `json:"withFiles" api:"default=false"`
	WithRenotes  bool `json:"withRenotes" api:"default=true"`
	WithReplies  bool `json:"withReplies" api:"default=false"`
}

const sqlNotes = `SELECT n.id FROM note n`

func (s *Service) apiLocal(ctx context.Context, c *api.Call, req localReq) ([]*note.Packed, error) {
	policies, err := s.roles.Of(ctx, c.ID())
	if err != nil {
		return nil, err
	}
	if !policies.LtlAvailable {
		return nil, errLocalDisabled
	}
	if req.WithReplies && req.WithFiles {
		return nil, errLocalBoth
	}
	var w pg.Where
	w.And("n.user_host IS NULL AND n.visibility = 'public' AND n.channel_id IS NULL")
	note.See(&w, c.ID())
	filter{withFiles: req.WithFiles, withRenotes: req.WithRenotes}.apply(&w)
	ties, err := s.channels.Of(ctx, c.ID())
	if err != nil {
		return nil, err
	}
	withoutChannels(&w, ties.Mutes)
	if !req.WithReplies {
		w.And("(n.reply_id IS NULL OR n.user_id = ? OR n.reply_user_id IN (n.user_id, ?))", c.ID(), c.ID())
	}
	return s.notes.Page(ctx, c.ID(), sqlNotes, &w, req.Page, req.Limit)
}

type globalReq struct {
	api.Page
	Limit       int  `json:"limit" api:"min=1,max=100,default=10"`
	WithFiles   bool `json:"withFiles" api:"default=false"`
	WithRenotes bool `json:"withRenotes" api:"default=true"`
}

func (s *Service) apiGlobal(ctx context.Context, c *api.Call, req globalReq) ([]*note.Packed, error) {
	policies, err := s.roles.Of(ctx, c.ID())
	if err != nil {
		return nil, err
	}
	if !policies.GtlAvailable {
		return nil, errGlobalDisabled
	}
	var w pg.Where
	w.And("n.visibility = 'public' AND n.channel_id IS NULL")
	note.See(&w, c.ID())
	filter{withFiles: req.WithFiles, withRenotes: req.WithRenotes}.apply(&w)
	ties, err := s.channels.Of(ctx, c.ID())
	if err != nil {
		return nil, err
	}
	withoutChannels(&w, ties.Mutes)
	return s.notes.Page(ctx, c.ID(), sqlNotes, &w, req.Page, req.Limit)
}

// LocalForGuests is the newest of the local timeline, for the front page.
func (s *Service) LocalForGuests(ctx context.Context, limit int) ([]*note.Packed, error) {
	list, err := s.apiLocal(ctx, &api.Call{}, localReq{Limit: limit, WithRenotes: true})
	if errors.Is(err, errLocalDisabled) {
		return nil, nil
	}
	return list, err
}
