package timeline

import (
	"context"
	"encoding/json"
	"errors"
	"slices"

	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/note"
	"buttersc.one/oven/internal/relation"
	"buttersc.one/oven/internal/socket/log"
	"buttersc.one/oven/internal/socket/stream"
)

// notesTopic carries every new note to the open timelines, each of which
// decides from memory whether its viewer gets it.
const notesTopic = "notes"

// published is a new note, packed and encoded once for everybody.
type published struct {
	note   *note.Note
	packed json.RawMessage
	reply  *note.Packed // what it replies to, nil when it is gone
	// hidden is the note with its reply's target blanked, for those who may not
	// see that.
	hidden json.RawMessage
}

// Consumers hand new notes to those who are listening.
func (s *Service) Consumers() []log.Consumer {
	// After the graph: who has just lost a follower does not write to him.
	return []log.Consumer{{Name: "timeline.live", Kinds: []string{"note.created"}, After: "relation.graph", Handle: s.onCreated}, s.follow()}
}

func (s *Service) onCreated(ctx context.Context, _ *pg.Tx, batch []log.Change) error {
	if !s.hub.Heard(notesTopic) {
		return nil
	}
	for _, c := range batch {
		n, err := s.notes.ByID(ctx, s.db, c.ObjectID)
		if errors.Is(err, note.ErrNotFound) {
			continue // deleted meanwhile
		}
		if err != nil {
			return err
		}
		p, err := s.notes.PackForStream(ctx, n)
		if err != nil {
			return err
		}
		pub := &published{note: n, reply: p.Reply}
		if pub.packed, err = json.Marshal(p); err != nil {
			return err
		}
		pub.hidden = pub.packed
		if p.Reply != nil && p.Reply.Visibility != note.Public && p.Reply.Visibility != note.Home {
			h := *p
			h.Reply = p.Reply.Hidden()
			if pub.hidden, err = json.Marshal(&h); err != nil {
				return err
			}
		}
		s.hub.Publish(notesTopic, pub)
	}
	return nil
}

// Channels are the timelines that can be listened to.
func (s *Service) Channels() []stream.Channel {
	return []stream.Channel{
		{Name: "homeTimeline", Login: true, Scope: "read:account", Open: s.openHome},
		{Name: "localTimeline", Open: s.openLocal},
		{Name: "hybridTimeline", Login: true, Scope: "read:account", Open: s.openHybrid},
		{Name: "globalTimeline", Open: s.openGlobal},
		{Name: "userList", Login: true, Scope: "read:account", Open: s.openList},
		{Name: "hashtag", Open: s.openHashtag},
	}
}

type liveParams struct {
	WithRenotes *bool `json:"withRenotes"`
	WithFiles   bool  `json:"withFiles"`
	WithReplies bool  `json:"withReplies"`
}

// viewer is who listens: with the graph of an account, or nobody.
type viewer struct {
	id      string
	watched *relation.Watched
	p       liveParams
}

func (v *viewer) graph() *relation.Graph {
	if v.watched == nil {
		return nil
	}
	return v.watched.Graph()
}

// open subscribes a timeline: wants decides, after what holds for all of them,
// whether a note belongs into it.
func (s *Service) open(ctx context.Context, sub *stream.Sub, raw json.RawMessage, wants func(v *viewer, p *published) bool) error {
	v := &viewer{id: sub.UserID()}
	if err := json.Unmarshal(raw, &v.p); err != nil {
		return stream.ErrRefused
	}
	if v.id != "" {
		w, release, err := s.relations.Watch(ctx, v.id)
		if err != nil {
			return err
		}
		sub.OnClose(release)
		v.watched = w
	}
	sub.On(notesTopic, func(msg any) (string, any, bool) {
		p, ok := msg.(*published)
		if !ok || !v.wanted(p) || !wants(v, p) {
			return "", nil, false
		}
		if p.reply != nil && !v.sees(p.reply.Visibility, p.reply.UserID, p.reply.VisibleUserIDs, p.reply.Mentions) {
			return "note", p.hidden, true
		}
		return "note", p.packed, true
	})
	return nil
}

// sees is note.Visible in memory.
func (v *viewer) sees(visibility, author string, visibleTo, mentions []string) bool {
	switch {
	case visibility == note.Public, visibility == note.Home, author == v.id && v.id != "":
		return true
	case v.id == "":
		return false
	}
	return slices.Contains(visibleTo, v.id) || slices.Contains(mentions, v.id) ||
		visibility == note.Followers && v.graph().Follows(author)
}

// wanted is what holds for every timeline: the viewer may see the note, wants
// to see its people, and asked for its kind.
func (v *viewer) wanted(p *published) bool {
	n := p.note
	if !v.sees(n.Visibility, n.UserID, n.VisibleUserIDs, n.Mentions) {
		return false
	}
	if v.p.WithFiles && len(n.FileIDs) == 0 || v.p.WithRenotes != nil && !*v.p.WithRenotes && n.IsPureRenote {
		return false
	}
	g := v.graph()
	if g == nil || n.UserID == v.id {
		return true
	}
	if g.Hides(n.UserID) || n.IsPureRenote && g.RenoteMuting[n.UserID] {
		return false
	}
	for _, other := range []*string{n.ReplyUserID, n.RenoteUserID} {
		if other != nil && *other != v.id && *other != n.UserID && g.Hides(*other) {
			return false
		}
	}
	for _, host := range []*string{n.UserHost, n.ReplyUserHost, n.RenoteUserHost} {
		if host != nil && g.MutedInstances[*host] {
			return false
		}
	}
	return true
}

// ofHome tells whether the note belongs into the viewer's home timeline.
func (v *viewer) ofHome(p *published, withReplies bool) bool {
	n, g := p.note, v.graph()
	if n.ChannelID != nil {
		return false
	}
	if n.UserID == v.id {
		return true
	}
	replies, follows := g.Following[n.UserID]
	if !follows || n.Visibility == note.Specified && !slices.Contains(n.VisibleUserIDs, v.id) {
		return false
	}
	return v.takesReply(p, replies || withReplies)
}

// ofLocal tells whether the note belongs into the local timeline.
func (v *viewer) ofLocal(p *published) bool {
	n := p.note
	if n.UserHost != nil || n.Visibility != note.Public || n.ChannelID != nil {
		return false
	}
	return n.ReplyID == nil || v.p.WithReplies || *n.ReplyUserID == n.UserID || *n.ReplyUserID == v.id && v.id != "" || n.UserID == v.id
}

func (s *Service) openHome(ctx context.Context, sub *stream.Sub, raw json.RawMessage) error {
	return s.open(ctx, sub, raw, func(v *viewer, p *published) bool { return v.ofHome(p, false) })
}

func (s *Service) openLocal(ctx context.Context, sub *stream.Sub, raw json.RawMessage) error {
	policies, err := s.roles.Of(ctx, sub.UserID())
	if err != nil {
		return err
	}
	if !policies.LtlAvailable {
		return stream.ErrRefused
	}
	return s.open(ctx, sub, raw, (*viewer).ofLocal)
}

func (s *Service) openHybrid(ctx context.Context, sub *stream.Sub, raw json.RawMessage) error {
	policies, err := s.roles.Of(ctx, sub.UserID())
	if err != nil {
		return err
	}
	if !policies.LtlAvailable {
		return stream.ErrRefused
	}
	return s.open(ctx, sub, raw, func(v *viewer, p *published) bool { return v.ofHome(p, v.p.WithReplies) || v.ofLocal(p) })
}

func (s *Service) openGlobal(ctx context.Context, sub *stream.Sub, raw json.RawMessage) error {
	policies, err := s.roles.Of(ctx, sub.UserID())
	if err != nil {
		return err
	}
	if !policies.GtlAvailable {
		return stream.ErrRefused
	}
	return s.open(ctx, sub, raw, func(_ *viewer, p *published) bool {
		return p.note.Visibility == note.Public && p.note.ChannelID == nil
	})
}
