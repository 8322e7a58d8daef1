package timeline

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/note"
	"buttersc.one/oven/internal/socket/api"
)

const (
	featuredDays     = 3 // of the server's and of channels' notes
	featuredUserDays = 7 // of an account's notes
	featuredFor      = 5 * time.Minute
)

// What others did with a note: a renote weighs five reactions. Notes that
// nobody did anything with are not featured.
const ranked = ` AND n.reply_id IS NULL AND NOT n.is_pure_renote AND (ns.renote_count > 0 OR ns.reactions <> '{}')
ORDER BY ns.renote_count * 5 + (SELECT coalesce(sum(r.value::int), 0) FROM jsonb_each_text(ns.reactions) r) DESC, n.id DESC LIMIT `

const (
	sqlFeatured        = `SELECT n.id FROM note n JOIN note_stat ns ON ns.note_id = n.id WHERE n.user_host IS NULL AND n.visibility = 'public' AND n.channel_id IS NULL AND n.id > $1` + ranked + `100`
	sqlFeaturedChannel = `SELECT n.id FROM note n JOIN note_stat ns ON ns.note_id = n.id WHERE n.channel_id = $2 AND n.visibility = 'public' AND n.id > $1` + ranked + `50`
	sqlFeaturedUser    = `SELECT n.id FROM note n JOIN note_stat ns ON ns.note_id = n.id WHERE n.user_id = $2 AND n.visibility = 'public' AND n.id > $1` + ranked + `50`
)

// ranking keeps the ids of the server's featured notes for a while: it is the
// same for everybody.
type ranking struct {
	once singleflight.Group

	mu  sync.Mutex
	ids []string
	at  time.Time
}

// forget drops what is kept.
func (r *ranking) forget() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ids, r.at = nil, time.Time{}
}

func (r *ranking) get(read func() ([]string, error)) ([]string, error) {
	r.mu.Lock()
	ids, fresh := r.ids, time.Since(r.at) < featuredFor
	r.mu.Unlock()
	if fresh {
		return ids, nil
	}
	v, err, _ := r.once.Do("", func() (any, error) {
		ids, err := read()
		if err != nil {
			return nil, err
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		r.ids, r.at = ids, time.Now()
		return ids, nil
	})
	ids, _ = v.([]string)
	return ids, err
}

type featuredReq struct {
	Limit     int     `json:"limit" api:"min=1,max=100,default=10"`
	UntilID   string  `json:"untilId" api:"id"`
	ChannelID *string `json:"channelId" api:"optional,id"`
}

// apiFeatured gives the notes of the last days that others did most with,
// newest first.
func (s *Service) apiFeatured(ctx context.Context, c *api.Call, req featuredReq) ([]*note.Packed, error) {
	since := s.ids.Method().After(s.now().AddDate(0, 0, -featuredDays))
	var ids []string
	var err error
	if req.ChannelID != nil {
		ids, err = s.noteIDs(ctx, sqlFeaturedChannel, since, *req.ChannelID)
	} else {
		ids, err = s.featured.get(func() ([]string, error) { return s.noteIDs(context.WithoutCancel(ctx), sqlFeatured, since) })
	}
	if err != nil {
		return nil, fmt.Errorf("featured notes: %w", err)
	}
	see := note.SeeElsewhere
	if req.ChannelID != nil {
		see = note.See // who has come here wants to see it
	}
	return s.chosen(ctx, c, ids, see, req.UntilID, req.Limit)
}

type featuredUserReq struct {
	UserID  string `json:"userId" api:"required,id"`
	Limit   int    `json:"limit" api:"min=1,max=100,default=10"`
	UntilID string `json:"untilId" api:"id"`
}

func (s *Service) apiFeaturedOfUser(ctx context.Context, c *api.Call, req featuredUserReq) ([]*note.Packed, error) {
	ids, err := s.noteIDs(ctx, sqlFeaturedUser, s.ids.Method().After(s.now().AddDate(0, 0, -featuredUserDays)), req.UserID)
	if err != nil {
		return nil, fmt.Errorf("featured notes: %w", err)
	}
	return s.chosen(ctx, c, ids, note.SeeElsewhere, req.UntilID, req.Limit)
}

// chosen gives a page of the notes that the caller may and wants to see.
func (s *Service) chosen(ctx context.Context, c *api.Call, ids []string, see func(w *pg.Where, viewerID string), until string, limit int) ([]*note.Packed, error) {
	if len(ids) == 0 {
		return []*note.Packed{}, nil
	}
	var w pg.Where
	w.And("n.id = ANY(?)", slices.Clone(ids))
	see(&w, c.ID())
	return s.notes.Page(ctx, c.ID(), sqlNotes, &w, api.Page{UntilID: until}, limit)
}
