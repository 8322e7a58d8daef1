package timeline

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"buttersc.one/oven/internal/channel"
	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/note"
	"buttersc.one/oven/internal/socket/api"
	"buttersc.one/oven/internal/socket/stream"
)

var (
	errChannelNone  = api.Err("NO_SUCH_CHANNEL", "6f6c314b-7486-4897-8966-c04a66a02923", "There is no such channel.")
	errChannelNotes = api.Err("NO_SUCH_CHANNEL", "4d0eeeba-a02c-4c3c-9966-ef60d38d2e7f", "There is no such channel.")
)

type channelReq struct {
	ChannelID string `json:"channelId" api:"required,id"`
}

// shownChannel is a channel with the notes that its owner shows first.
type shownChannel struct {
	*channel.Packed
	PinnedNotes []*note.Packed `json:"pinnedNotes"`
}

func (s *Service) apiChannelShow(ctx context.Context, c *api.Call, req channelReq) (*shownChannel, error) {
	p, err := s.channels.Show(ctx, c.ID(), req.ChannelID)
	if errors.Is(err, channel.ErrNotFound) {
		return nil, errChannelNone
	}
	if err != nil {
		return nil, err
	}
	out := &shownChannel{Packed: p, PinnedNotes: []*note.Packed{}}
	if len(p.PinnedNoteIDs) > 0 {
		out.PinnedNotes, err = s.notes.PackIDs(ctx, c.ID(), p.PinnedNoteIDs)
	}
	return out, err
}

type channelNotesReq struct {
	api.Page
	ChannelID    string `json:"channelId" api:"required,id"`
	Limit        int    `json:"limit" api:"min=1,max=100,default=10"`
	AllowPartial bool   `json:"allowPartial" api:"default=false"`
}

// apiChannel gives the notes of a channel. Who has come here wants to see it, also
// if its notes are muted elsewhere.
func (s *Service) apiChannel(ctx context.Context, c *api.Call, req channelNotesReq) ([]*note.Packed, error) {
	if _, err := s.channels.ByID(ctx, s.db, req.ChannelID); errors.Is(err, channel.ErrNotFound) {
		return nil, errChannelNotes
	} else if err != nil {
		return nil, err
	}
	var w pg.Where
	w.And("n.channel_id = ?", req.ChannelID)
	note.See(&w, c.ID())
	return s.notes.Page(ctx, c.ID(), sqlNotes, &w, req.Page, req.Limit)
}

// withoutChannels leaves out notes of the channels, and what renotes them.
func withoutChannels(w *pg.Where, ids []string) {
	if len(ids) == 0 {
		return
	}
	w.And("(n.channel_id IS NULL OR n.channel_id <> ALL(?))", ids)
	w.And("(n.renote_id IS NULL OR coalesce((SELECT cn.channel_id FROM note cn WHERE cn.id = n.renote_id) <> ALL(?), true))", ids) // see note.Unmuted
}

// The newest notes of each channel.
const sqlInChannels = `SELECT n.id FROM unnest($1::text[]) f(id) CROSS JOIN LATERAL (SELECT n.id FROM note n%s AND n.channel_id = f.id ORDER BY n.id %s%s) n ORDER BY n.id %s%s`

// withChannels lays the notes of channels between those of a page.
func (s *Service) withChannels(ctx context.Context, l *line, ties *channel.Ties, sp span, page []*note.Note, limit int) ([]*note.Note, error) {
	var w pg.Where
	w.Arg(ties.Follows)
	l.inChannels(&w)
	withoutChannels(&w, ties.Mutes)
	dir, lim := sp.dir(), pg.Limit(limit)
	conds := w.SQL() + sp.bounds(&w, "n")
	more, err := s.notes.RowsOf(ctx, fmt.Sprintf(sqlInChannels, conds, dir, lim, dir, lim), w.Args, sp.asc)
	if err != nil || len(more) == 0 {
		return page, err
	}
	all := append(page, more...)
	slices.SortFunc(all, func(a, b *note.Note) int {
		if sp.asc {
			return compare(a.ID, b.ID)
		}
		return compare(b.ID, a.ID)
	})
	all = slices.CompactFunc(all, func(a, b *note.Note) bool { return a.ID == b.ID })
	return all[:min(len(all), limit)], nil
}

// watchTies keeps the listener's channels at hand.
func (s *Service) watchTies(ctx context.Context, sub *stream.Sub, v *viewer) error {
	load := func() error {
		t, err := s.channels.Of(context.WithoutCancel(ctx), v.id)
		if err == nil {
			v.ties.Store(t)
		}
		return err
	}
	sub.On(channel.Topic(v.id), func(any) (string, any, bool) {
		if load() != nil {
			v.ties.Store(&channel.Ties{}) // nothing rather than what somebody has left
		}
		return "", nil, false
	})
	return load()
}

// mutesChannel tells whether the note, or what it renotes, is of a channel that
// the listener mutes.
func (v *viewer) mutesChannel(p *published) bool {
	t := v.ties.Load()
	if t == nil || len(t.Mutes) == 0 {
		return false
	}
	if p.note.ChannelID != nil && slices.Contains(t.Mutes, *p.note.ChannelID) {
		return true
	}
	r := p.packed.Renote
	return r != nil && r.ChannelID != nil && slices.Contains(t.Mutes, *r.ChannelID)
}

// openChannel opens the channel channel: new notes of one.
func (s *Service) openChannel(ctx context.Context, sub *stream.Sub, raw json.RawMessage) error {
	var p struct {
		ChannelID string `json:"channelId"`
	}
	if err := json.Unmarshal(raw, &p); err != nil {
		return stream.ErrRefused
	}
	if _, err := s.channels.ByID(ctx, s.db, p.ChannelID); errors.Is(err, channel.ErrNotFound) {
		return stream.ErrRefused
	} else if err != nil {
		return err
	}
	return s.openOn(ctx, sub, raw, []string{notesTopic}, func(_ *viewer, pub *published) bool {
		return pub.note.ChannelID != nil && *pub.note.ChannelID == p.ChannelID
	})
}
