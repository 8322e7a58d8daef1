package timeline

import (
	"context"
	"encoding/json"
	"slices"
	"strings"

	"golang.org/x/text/unicode/norm"

	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/note"
	"buttersc.one/oven/internal/socket/api"
	"buttersc.one/oven/internal/socket/stream"
)

// normalTag is a hashtag as notes keep it.
func normalTag(tag string) string {
	return strings.ToLower(norm.NFKC.String(strings.TrimPrefix(tag, "#")))
}

// anyOf is an OR of ANDs of hashtags.
type anyOf [][]string

func (q anyOf) normal() anyOf {
	out := make(anyOf, 0, len(q))
	for _, all := range q {
		tags := make([]string, 0, len(all))
		for _, t := range all {
			tags = append(tags, normalTag(t))
		}
		if len(tags) > 0 {
			out = append(out, tags)
		}
	}
	return out
}

func (q anyOf) matches(tags []string) bool {
	return slices.ContainsFunc(q, func(all []string) bool {
		return !slices.ContainsFunc(all, func(t string) bool { return !slices.Contains(tags, t) })
	})
}

// maxQuery bounds what a query of hashtags may ask for.
const maxQuery = 30

type tagReq struct {
	api.Page
	Reply     *bool    `json:"reply" api:"optional"`
	Renote    *bool    `json:"renote" api:"optional"`
	WithFiles bool     `json:"withFiles" api:"default=false"`
	Poll      *bool    `json:"poll" api:"optional"`
	Limit     int      `json:"limit" api:"min=1,max=100,default=10"`
	Tag       *string  `json:"tag" api:"optional,min=1"`
	Query     []anyTag `json:"query" api:"optional"`
}

// anyTag is one AND of a query.
type anyTag = []string

// apiByTag gives notes with hashtags.
func (s *Service) apiByTag(ctx context.Context, c *api.Call, req tagReq) ([]*note.Packed, error) {
	q := anyOf(req.Query)
	if req.Tag != nil {
		q = anyOf{{*req.Tag}}
	}
	q = q.normal()
	if len(q) == 0 || len(q) > maxQuery {
		return nil, api.InvalidParam("#/anyOf", "give a tag, or a query of up to 30 parts")
	}
	var w pg.Where
	// The first condition can use the index of tags, the second is exact.
	var all []string
	for _, tags := range q {
		all = append(all, tags...)
	}
	w.And("n.tags && ?::text[]", all)
	w.Any("n.tags @> ?::text[]", q.args())
	note.SeeElsewhere(&w, c.ID())
	for _, f := range []struct {
		want *bool
		has  func(yes bool)
	}{
		{req.Reply, func(yes bool) {
			if yes {
				w.And("n.reply_id IS NOT NULL")
			} else {
				w.And("n.reply_id IS NULL")
			}
		}},
		{req.Renote, func(yes bool) {
			if yes {
				w.And("n.renote_id IS NOT NULL")
			} else {
				w.And("n.renote_id IS NULL")
			}
		}},
		{req.Poll, func(yes bool) { w.And("n.has_poll = ?", yes) }},
	} {
		if f.want != nil {
			f.has(*f.want)
		}
	}
	filter{withFiles: req.WithFiles, withRenotes: true}.apply(&w)
	return s.notes.Page(ctx, c.ID(), sqlNotes, &w, req.Page, req.Limit)
}

func (q anyOf) args() []any {
	out := make([]any, 0, len(q))
	for _, tags := range q {
		out = append(out, tags)
	}
	return out
}

// openHashtag opens the channel hashtag: new notes with the hashtags asked for
// that the listener may see.
func (s *Service) openHashtag(ctx context.Context, sub *stream.Sub, raw json.RawMessage) error {
	var p struct {
		Q anyOf `json:"q"`
	}
	if err := json.Unmarshal(raw, &p); err != nil || len(p.Q) == 0 || len(p.Q) > maxQuery {
		return stream.ErrRefused
	}
	q := p.Q.normal()
	return s.open(ctx, sub, raw, func(_ *viewer, p *published) bool { return q.matches(p.note.Tags) })
}

// TaggedForGuests is the newest of public notes with a hashtag, for its page.
func (s *Service) TaggedForGuests(ctx context.Context, tag string, limit int) ([]*note.Packed, error) {
	var w pg.Where
	w.And("n.tags @> ARRAY[?::text]", normalTag(tag))
	w.And("n.visibility = 'public'")
	note.See(&w, "")
	return s.notes.Page(ctx, "", sqlNotes, &w, api.Page{}, limit)
}
