package timeline

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"sync"
	"sync/atomic"

	"buttersc.one/oven/internal/channel"
	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/note"
	"buttersc.one/oven/internal/relation"
	"buttersc.one/oven/internal/socket/log"
	"buttersc.one/oven/internal/socket/stream"
)

// Topics carry new notes to the open timelines, each of which decides from memory
// whether its viewer gets it.
const (
	notesTopic        = "notes"          // every note
	channelNotesTopic = "notes.channels" // those of channels
)

// homeTopic carries what may belong into a viewer's home: there are more homes open
// than readers of any one note.
func homeTopic(viewerID string) string { return "notes.home:" + viewerID }

// published is a new note, packed once for everybody and encoded once for all
// who may see the same of it.
type published struct {
	note   *note.Note
	packed *note.Packed
	reply  *note.Packed   // what it replies to, nil when it is gone
	parts  []*note.Packed // notes shown inside it that not everybody may see

	mu      sync.Mutex
	encoded map[uint]json.RawMessage // by the parts that are blanked, a bit each
}

func (s *Service) published(n *note.Note, p *note.Packed) *published {
	pub := &published{note: n, packed: p, reply: p.Reply, encoded: map[uint]json.RawMessage{}}
	var look func(p *note.Packed)
	look = func(p *note.Packed) {
		for _, inner := range []*note.Packed{p.Reply, p.Renote} {
			if inner != nil {
				if !s.notes.SeenBy(inner.Sight(), "", nil) {
					pub.parts = append(pub.parts, inner)
				}
				look(inner)
			}
		}
	}
	look(p)
	return pub
}

// as is the note with those parts blanked that the viewer may not see; nil when
// it cannot be encoded.
func (p *published) as(v *viewer) json.RawMessage {
	var blank uint
	for i, part := range p.parts {
		if !v.sees(part) {
			blank |= 1 << i
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if b, ok := p.encoded[blank]; ok {
		return b
	}
	b, err := json.Marshal(p.without(p.packed, blank))
	if err != nil {
		return nil
	}
	p.encoded[blank] = b
	return b
}

func (p *published) without(n *note.Packed, blank uint) *note.Packed {
	if n == nil || blank == 0 {
		return n
	}
	if i := slices.Index(p.parts, n); i >= 0 && blank&(1<<i) != 0 {
		return n.Hidden()
	}
	c := *n
	c.Reply, c.Renote = p.without(n.Reply, blank), p.without(n.Renote, blank)
	return &c
}

// Consumers hand new notes to those who are listening.
func (s *Service) Consumers() []log.Consumer {
	// After the graph: who has just lost a follower does not write to him.
	return []log.Consumer{{Name: "timeline.live", Kinds: []string{"note.created"}, After: "relation.graph", Handle: s.onCreated}, s.follow()}
}

func (s *Service) onCreated(ctx context.Context, _ *pg.Tx, batch []log.Change) error {
	for _, c := range batch {
		homes := s.homes(c.ActorID)
		if len(homes) == 0 && !s.hub.Heard(notesTopic) && !s.hub.Heard(channelNotesTopic) {
			continue
		}
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
		pub := s.published(n, p)
		s.hub.Publish(notesTopic, pub)
		if n.ChannelID != nil {
			s.hub.Publish(channelNotesTopic, pub)
			continue
		}
		for _, home := range homes {
			s.hub.Publish(home, pub)
		}
	}
	return nil
}

// homes are the topics of open homes into which an author's notes may belong: the
// author's own, and those of who follows.
func (s *Service) homes(authorID string) (out []string) {
	for _, id := range append(s.relations.Listening(authorID), authorID) {
		if topic := homeTopic(id); s.hub.Heard(topic) {
			out = append(out, topic)
		}
	}
	return out
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
		{Name: "channel", Open: s.openChannel},
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
	notes   *note.Service
	watched *relation.Watched
	ties    atomic.Pointer[channel.Ties]
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
	return s.openOn(ctx, sub, raw, []string{notesTopic}, unmuted(wants))
}

// unmuted is wants, but for what muted channels have.
func unmuted(wants func(v *viewer, p *published) bool) func(v *viewer, p *published) bool {
	return func(v *viewer, p *published) bool { return wants(v, p) && !v.mutesChannel(p) }
}

// openOn is open of what comes on other topics; muted channels are shown.
func (s *Service) openOn(ctx context.Context, sub *stream.Sub, raw json.RawMessage, topics []string, wants func(v *viewer, p *published) bool) error {
	v := &viewer{id: sub.UserID(), notes: s.notes}
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
		if err := s.watchTies(ctx, sub, v); err != nil {
			return err
		}
	}
	for _, topic := range topics {
		sub.On(topic, func(msg any) (string, any, bool) {
			p, ok := msg.(*published)
			if !ok || !v.wanted(p) || !wants(v, p) {
				return "", nil, false
			}
			body := p.as(v)
			return "note", body, body != nil
		})
	}
	return nil
}

// sees tells whether the viewer may see a note.
func (v *viewer) sees(p *note.Packed) bool {
	return v.notes.SeenBy(p.Sight(), v.id, func(author string) bool { return v.graph().Follows(author) })
}

// wanted is what holds for every timeline: the viewer may see the note, wants
// to see its people, and asked for its kind.
func (v *viewer) wanted(p *published) bool {
	n := p.note
	if !v.sees(p.packed) {
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
		return slices.Contains(v.ties.Load().Follows, *n.ChannelID)
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
	return s.openOn(ctx, sub, raw, []string{homeTopic(sub.UserID()), channelNotesTopic}, unmuted(func(v *viewer, p *published) bool { return v.ofHome(p, false) }))
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
