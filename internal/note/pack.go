package note

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"buttersc.one/oven/internal/channel"
	"buttersc.one/oven/internal/drive"
	"buttersc.one/oven/internal/socket/api"
	"buttersc.one/oven/internal/user"
)

// Packed is a note as clients see it.
type Packed struct {
	ID                 string            `json:"id"`
	CreatedAt          api.Time          `json:"createdAt"`
	UpdatedAt          *api.Time         `json:"updatedAt,omitempty"`
	UserID             string            `json:"userId"`
	User               *user.Lite        `json:"user"`
	Text               *string           `json:"text"`
	CW                 *string           `json:"cw"`
	Visibility         string            `json:"visibility"`
	LocalOnly          bool              `json:"localOnly"`
	ReactionAcceptance *string           `json:"reactionAcceptance"`
	VisibleUserIDs     []string          `json:"visibleUserIds,omitempty"`
	RenoteCount        int               `json:"renoteCount"`
	RepliesCount       int               `json:"repliesCount"`
	ReactionCount      int               `json:"reactionCount"`
	Reactions          map[string]int    `json:"reactions"`
	ReactionEmojis     map[string]string `json:"reactionEmojis"`
	ReactionPairs      []string          `json:"reactionAndUserPairCache,omitempty"`
	Emojis             map[string]string `json:"emojis,omitempty"`
	Tags               []string          `json:"tags,omitempty"`
	FileIDs            []string          `json:"fileIds"`
	Files              []*drive.Packed   `json:"files"`
	ReplyID            *string           `json:"replyId"`
	RenoteID           *string           `json:"renoteId"`
	ChannelID          *string           `json:"channelId,omitempty"`
	Channel            *packedChannel    `json:"channel,omitempty"`
	Mentions           []string          `json:"mentions,omitempty"`
	HasPoll            bool              `json:"hasPoll,omitempty"`
	URI                *string           `json:"uri,omitempty"`
	URL                *string           `json:"url,omitempty"`
	IsHidden           bool              `json:"isHidden,omitempty"`

	// Of notes packed in full.
	ClippedCount *int        `json:"clippedCount,omitempty"`
	Reply        *Packed     `json:"reply,omitempty"`
	Renote       *Packed     `json:"renote,omitempty"`
	Poll         *PackedPoll `json:"poll,omitempty"`
	MyReaction   *string     `json:"myReaction,omitempty"`
}

// packedChannel is what a note tells of its channel.
type packedChannel struct {
	ID                    string  `json:"id"`
	Name                  string  `json:"name"`
	Color                 string  `json:"color"`
	IsSensitive           bool    `json:"isSensitive"`
	AllowRenoteToExternal bool    `json:"allowRenoteToExternal"`
	UserID                *string `json:"userId"`
}

// PackedPoll is a poll as the viewer sees it.
type PackedPoll struct {
	Multiple  bool           `json:"multiple"`
	ExpiresAt *api.Time      `json:"expiresAt"`
	Choices   []PackedChoice `json:"choices"`
}

// PackedChoice is one answer of a poll.
type PackedChoice struct {
	Text    string `json:"text"`
	Votes   int    `json:"votes"`
	IsVoted bool   `json:"isVoted"`
}

// batch is what packing needs, read in a constant number of statements for any
// number of notes.
type batch struct {
	viewer    string
	notes     map[string]*Note
	users     map[string]*user.Lite
	raw       map[string]*user.User
	files     map[string]*drive.File
	channels  map[string]*channel.Channel
	polls     map[string]*Poll
	votes     map[string][]int
	reactions map[string]string
	follows   map[string]bool // authors the viewer follows, of those that matter
	trusted   bool            // everything is shown; the caller filters
}

// Pack packs notes in full for a viewer ("" for visitors), in their order.
// What the viewer may not see is blanked.
func (s *Service) Pack(ctx context.Context, viewerID string, notes []*Note) ([]*Packed, error) {
	b, err := s.load(ctx, viewerID, notes)
	if err != nil {
		return nil, err
	}
	return s.packAll(ctx, b, notes)
}

// PackForStream packs a note without a viewer and without hiding anything:
// whoever publishes it must filter per listener.
func (s *Service) PackForStream(ctx context.Context, n *Note) (*Packed, error) {
	b, err := s.load(ctx, "", []*Note{n})
	if err != nil {
		return nil, err
	}
	b.trusted = true
	list, err := s.packAll(ctx, b, []*Note{n})
	if err != nil {
		return nil, err
	}
	return list[0], nil
}

// Hidden is the packed note as it looks to those who may not see it.
func (p *Packed) Hidden() *Packed {
	h := *p
	h.hide()
	return &h
}

func (p *Packed) hide() {
	p.Text, p.CW, p.Poll, p.Reply, p.Renote = nil, nil, nil, nil, nil
	p.FileIDs, p.Files, p.VisibleUserIDs, p.Tags, p.Mentions = []string{}, []*drive.Packed{}, nil, nil, nil
	p.IsHidden = true
}

func (s *Service) packAll(ctx context.Context, b *batch, notes []*Note) ([]*Packed, error) {
	out := make([]*Packed, 0, len(notes))
	for _, n := range notes {
		p, err := s.packOne(ctx, b, n, 2)
		if err != nil {
			return nil, err
		}
		out = append(out, p)
	}
	return out, nil
}

// load reads everything that the notes, what they reply to and what they
// renote need.
func (s *Service) load(ctx context.Context, viewer string, notes []*Note) (*batch, error) {
	b := &batch{viewer: viewer, notes: map[string]*Note{}}
	level := notes
	for range 2 { // the notes' targets, and the renotes' targets
		var ids []string
		for _, n := range level {
			b.notes[n.ID] = n
			for _, id := range []*string{n.ReplyID, n.RenoteID} {
				if id != nil && b.notes[*id] == nil && !slices.Contains(ids, *id) {
					ids = append(ids, *id)
				}
			}
		}
		if len(ids) == 0 {
			break
		}
		found, err := s.ByIDs(ctx, s.DB, ids)
		if err != nil {
			return nil, err
		}
		level = level[:0:0]
		for id, n := range found {
			b.notes[id] = n
			level = append(level, n)
		}
	}
	if err := s.loadAround(ctx, b); err != nil {
		return nil, err
	}
	return b, nil
}

func (s *Service) loadAround(ctx context.Context, b *batch) error {
	var users, files, polls, reacted, guarded, channels []string
	for _, n := range b.notes {
		users = append(users, n.UserID)
		files = append(files, n.FileIDs...)
		if n.ChannelID != nil {
			channels = append(channels, *n.ChannelID)
		}
		if n.HasPoll {
			polls = append(polls, n.ID)
		}
		if len(n.Reactions) > 0 {
			reacted = append(reacted, n.ID)
		}
	}
	var err error
	if b.raw, err = s.Users.ByIDs(ctx, s.DB, users); err != nil {
		return err
	}
	for _, n := range b.notes {
		if s.VisibilityOf(b.sight(n)) == Followers {
			guarded = append(guarded, n.UserID)
		}
	}
	if b.users, err = s.Users.PackLite(ctx, b.raw); err != nil {
		return err
	}
	if b.files, err = s.Drive.ByIDs(ctx, s.DB, files); err != nil {
		return err
	}
	if b.channels, err = s.Channels.ByIDs(ctx, s.DB, channels); err != nil {
		return err
	}
	if b.polls, b.votes, err = s.loadPolls(ctx, s.DB, b.viewer, polls); err != nil {
		return err
	}
	if b.reactions, err = s.myReactions(ctx, b.viewer, reacted); err != nil {
		return err
	}
	b.follows, err = s.followed(ctx, b.viewer, guarded)
	return err
}

const sqlMyReactions = `SELECT note_id, reaction FROM note_reaction WHERE user_id = $1 AND note_id = ANY($2)`

func (s *Service) myReactions(ctx context.Context, viewer string, ids []string) (map[string]string, error) {
	out := map[string]string{}
	if viewer == "" || len(ids) == 0 {
		return out, nil
	}
	rows, err := s.DB.Query(ctx, sqlMyReactions, viewer, ids)
	if err != nil {
		return nil, fmt.Errorf("own reactions: %w", err)
	}
	var id, reaction string
	_, err = pgx.ForEachRow(rows, []any{&id, &reaction}, func() error {
		out[id] = reaction
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("own reactions: %w", err)
	}
	return out, nil
}

const sqlFollowed = `SELECT followee_id FROM following WHERE follower_id = $1 AND followee_id = ANY($2)`

func (s *Service) followed(ctx context.Context, viewer string, authors []string) (map[string]bool, error) {
	out := map[string]bool{}
	if viewer == "" || len(authors) == 0 {
		return out, nil
	}
	rows, err := s.DB.Query(ctx, sqlFollowed, viewer, authors)
	if err != nil {
		return nil, fmt.Errorf("followed authors: %w", err)
	}
	ids, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, fmt.Errorf("followed authors: %w", err)
	}
	for _, id := range ids {
		out[id] = true
	}
	return out, nil
}

// sight is what decides about who may see a note of the batch.
func (b *batch) sight(n *Note) Sight {
	g := Sight{ID: n.ID, Author: n.UserID, Visibility: n.Visibility, To: n.VisibleUserIDs, Mentions: n.Mentions}
	if u := b.raw[n.UserID]; u != nil {
		g.RequireSignin, g.FollowersOnlyBefore, g.HiddenBefore = u.RequireSignin, u.FollowersOnlyBefore, u.HiddenBefore
	}
	return g
}

// packOne packs a note; depth 2 is in full, with its targets: what it replies
// to without more (0), what it renotes with its own targets.
func (s *Service) packOne(ctx context.Context, b *batch, n *Note, depth int) (*Packed, error) {
	author := b.users[n.UserID]
	if author == nil {
		return nil, fmt.Errorf("note %s: its author is missing", n.ID)
	}
	p := &Packed{
		ID: n.ID, CreatedAt: api.Time(s.CreatedAt(n)), UpdatedAt: api.TimePtr(n.UpdatedAt), UserID: n.UserID, User: author,
		Text: n.Text, CW: n.CW, Visibility: n.Visibility, LocalOnly: n.LocalOnly, ReactionAcceptance: n.ReactionAcceptance,
		RenoteCount: n.RenoteCount, RepliesCount: n.RepliesCount, Tags: n.Tags, FileIDs: n.FileIDs, Files: []*drive.Packed{},
		ReplyID: n.ReplyID, RenoteID: n.RenoteID, ChannelID: n.ChannelID, Mentions: n.Mentions, HasPoll: n.HasPoll,
		URI: n.URI, URL: n.URL,
	}
	if n.Visibility == Specified {
		p.VisibleUserIDs = n.VisibleUserIDs
	}
	if c := b.channels[deref(n.ChannelID)]; c != nil {
		p.Channel = &packedChannel{ID: c.ID, Name: c.Name, Color: c.Color, IsSensitive: c.Sensitive, AllowRenoteToExternal: c.AllowRenoteToExternal, UserID: c.UserID}
	}
	for _, id := range n.FileIDs {
		if f := b.files[id]; f != nil {
			p.Files = append(p.Files, s.Drive.Pack(f))
		}
	}
	var err error
	if n.UserHost != nil {
		if p.Emojis, err = s.Emojis.URLs(ctx, b.raw[n.UserID].ActorHost, n.Emojis); err != nil {
			return nil, err
		}
	}
	if err := s.packReactions(ctx, p, n); err != nil {
		return nil, err
	}
	if depth > 0 {
		if err := s.packFull(ctx, b, n, p, depth); err != nil {
			return nil, err
		}
	}
	sight := b.sight(n)
	p.Visibility = s.VisibilityOf(sight)
	if !b.trusted && !s.SeenBy(sight, b.viewer, func(author string) bool { return b.follows[author] }) {
		p.hide()
	}
	return p, nil
}

func (s *Service) packFull(ctx context.Context, b *batch, n *Note, p *Packed, depth int) (err error) {
	p.ClippedCount = &n.ClippedCount
	if r, ok := b.reactions[n.ID]; ok {
		shown := ShownReaction(r)
		p.MyReaction = &shown
	}
	if poll := b.polls[n.ID]; poll != nil {
		p.Poll = packPoll(poll, b.votes[n.ID])
	}
	if n.ReplyID != nil && b.notes[*n.ReplyID] != nil && depth > 1 {
		if p.Reply, err = s.packOne(ctx, b, b.notes[*n.ReplyID], 0); err != nil {
			return err
		}
	}
	if n.RenoteID != nil && b.notes[*n.RenoteID] != nil {
		p.Renote, err = s.packOne(ctx, b, b.notes[*n.RenoteID], depth-1)
	}
	return err
}

// ShownReaction is a stored reaction as clients see it: a local custom emoji
// carries "@.".
func ShownReaction(stored string) string {
	if strings.HasPrefix(stored, ":") && !strings.Contains(stored, "@") {
		return strings.TrimSuffix(stored, ":") + "@.:"
	}
	return stored
}

// packReactions counts, and names the pictures of remote emoji.
func (s *Service) packReactions(ctx context.Context, p *Packed, n *Note) error {
	p.Reactions, p.ReactionEmojis = map[string]int{}, map[string]string{}
	byHost := map[string][]string{}
	for r, count := range n.Reactions {
		if count <= 0 {
			continue
		}
		p.Reactions[ShownReaction(r)] += count
		p.ReactionCount += count
		if name, host, remote := strings.Cut(strings.Trim(r, ":"), "@"); remote && strings.HasPrefix(r, ":") {
			byHost[host] = append(byHost[host], name)
		}
	}
	for host, names := range byHost {
		urls, err := s.Emojis.URLs(ctx, &host, names)
		if err != nil {
			return err
		}
		for name, url := range urls {
			p.ReactionEmojis[name+"@"+host] = url
		}
	}
	for _, pair := range n.ReactionPairs {
		id, r, _ := strings.Cut(pair, "/")
		p.ReactionPairs = append(p.ReactionPairs, id+"/"+ShownReaction(r))
	}
	return nil
}
