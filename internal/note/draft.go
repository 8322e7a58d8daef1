package note

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"buttersc.one/oven/internal/channel"
	"buttersc.one/oven/internal/drive"
	"buttersc.one/oven/internal/lib/ap"
	"buttersc.one/oven/internal/lib/mfm"
	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/user"
)

// Reasons for which a draft is refused.
var (
	ErrProhibited   = errors.New("contains prohibited words")
	ErrMentions     = errors.New("mentions too many")
	ErrRenoteHidden = errors.New("the note cannot be renoted")
	ErrBlocked      = errors.New("its author blocks you")
	ErrNothing      = errors.New("there is nothing in it")
)

// Draft is a note to be written, by anybody: one way in, two doors (API and
// inbox).
type Draft struct {
	At                 time.Time // of a remote note; zero: now
	Text, CW           *string
	Visibility         string
	VisibleUsers       []*user.User
	LocalOnly          bool
	ReactionAcceptance *string
	Reply, Renote      *Note
	Channel            *channel.Channel // which makes it public, and keeps it on this server
	Files              []*drive.File
	Attachments        []*ap.Object // of a remote note, linked when it is written
	Sensitive          bool         // of all attachments
	Poll               *Poll
	URI, URL           *string

	// Supplied by remote notes; local ones have them read out of their text.
	Mentions []*user.User
	Emojis   []string
	Tags     []string

	NoMentions, NoHashtags, NoEmojis bool // do not read them out of the text

	Also func(ctx context.Context, tx *pg.Tx, n *Note) error // in the note's transaction; nil: nothing
}

const (
	maxText     = 8192 // code points stored
	maxTags     = 32
	maxTagLen   = 128
	maxEmojis   = 128
	mentionsIn  = 3 * time.Second // for looking up unknown mentioned accounts
	mentionsMax = 20              // looked up at a time
)

// normalize brings a draft into the form in which it is written, in the order
// that clients and peers can observe (behaviour 3.4). It may ask the network
// for mentioned accounts, so it runs before the transaction.
func (s *Service) normalize(ctx context.Context, author *user.User, d *Draft) error {
	if d.Visibility == "" {
		d.Visibility = Public
	}
	policies, err := s.Roles.Of(ctx, author.ID)
	if err != nil {
		return err
	}
	if author.Host != nil && d.Visibility == Public && !policies.IgnoreServerSilence {
		silenced, err := s.Instances.Silenced(ctx, s.DB, *author.ActorHost)
		if err != nil {
			return err
		}
		if silenced {
			d.Visibility = Home
		}
	}
	d.Sensitive = d.Sensitive || policies.AlwaysMarkNsfw
	set := s.Meta.Get()
	if d.Channel != nil {
		d.Visibility, d.LocalOnly, d.VisibleUsers = Public, true, nil
	}
	if d.Visibility == Public && d.Channel == nil && (matchesWords(deref(d.CW, d.Text), set.SensitiveWords) || !policies.CanPublicNote) {
		d.Visibility = Home
	}
	if matchesWords(d.allText(), set.ProhibitedWords) {
		return ErrProhibited
	}
	if err := s.followTargets(ctx, author, d); err != nil {
		return err
	}
	d.Text, d.CW = clean(d.Text), clean(d.CW)
	if d.Text == nil && d.Renote == nil && d.Poll == nil && len(d.Files) == 0 && len(d.Attachments) == 0 && d.CW == nil {
		return ErrNothing
	}
	if d.URI == nil { // written through the API; documents name theirs
		if err := s.readText(ctx, d); err != nil {
			return err
		}
	}
	d.Tags = cleanTags(d.Tags)
	d.Emojis = slices.Compact(d.Emojis[:min(len(d.Emojis), maxEmojis)])
	if author.Host != nil && s.Instances.MediaSilenced(*author.ActorHost) {
		d.Emojis = nil
	}
	if err := s.addressees(ctx, author, d); err != nil {
		return err
	}
	if len(d.Mentions) > policies.MentionLimit {
		return ErrMentions
	}
	return nil
}

// followTargets applies what the renoted and the replied-to note ask for.
func (s *Service) followTargets(ctx context.Context, author *user.User, d *Draft) error {
	if r := d.Renote; r != nil {
		switch r.Visibility {
		case Home:
			if d.Visibility == Public {
				d.Visibility = Home
			}
		case Followers:
			if r.UserID != author.ID {
				return ErrRenoteHidden
			}
			d.Visibility = narrower(d.Visibility, Followers)
		case Specified:
			return ErrRenoteHidden
		}
		if d.pure() && author.Local() && r.UserID != author.ID {
			_, blocked, err := s.Relations.Blocks(ctx, s.DB, author.ID, r.UserID)
			if err != nil {
				return err
			}
			if blocked {
				return ErrBlocked
			}
		}
		d.LocalOnly = d.LocalOnly || r.LocalOnly
	}
	if r := d.Reply; r != nil {
		if r.Visibility != Public && d.Visibility == Public && d.Channel == nil {
			d.Visibility = Home
		}
		d.LocalOnly = d.LocalOnly || r.LocalOnly
	}
	return nil
}

// narrower is the visibility that fewer people see.
func narrower(a, b string) string {
	order := []string{Public, Home, Followers, Specified}
	if slices.Index(order, a) > slices.Index(order, b) {
		return a
	}
	return b
}

// pure tells whether the draft is a renote and nothing else: the one
// definition, as note.is_pure_renote.
func (d *Draft) pure() bool {
	return d.Renote != nil && d.Text == nil && d.CW == nil && d.Reply == nil && d.Poll == nil && len(d.Files) == 0 && len(d.Attachments) == 0
}

func (d *Draft) allText() string {
	var b strings.Builder
	for _, t := range []*string{d.CW, d.Text} {
		if t != nil {
			b.WriteString(*t)
		}
	}
	if d.Poll != nil {
		for _, c := range d.Poll.Choices {
			b.WriteString(c)
		}
	}
	return b.String()
}

func deref(texts ...*string) string {
	for _, t := range texts {
		if t != nil {
			return *t
		}
	}
	return ""
}

// clean trims a text, cuts it and composes it (macOS sends Hangul decomposed).
func clean(t *string) *string {
	if t == nil {
		return nil
	}
	c := norm.NFC.String(strings.ToValidUTF8(strings.ReplaceAll(*t, "\x00", ""), ""))
	if utf8.RuneCountInString(c) > maxText {
		c = string([]rune(c)[:maxText])
	}
	if c = strings.TrimSpace(c); c == "" {
		return nil
	}
	return &c
}

// readText finds hashtags, emoji and mentions in text, warning and choices.
func (s *Service) readText(ctx context.Context, d *Draft) error {
	texts := []string{deref(d.Text), deref(d.CW)}
	if d.Poll != nil {
		texts = append(texts, d.Poll.Choices...)
	}
	var nodes []mfm.Node
	for _, t := range texts {
		nodes = append(nodes, mfm.Parse(t)...)
	}
	if !d.NoHashtags {
		d.Tags = mfm.Hashtags(nodes)
	}
	if !d.NoEmojis {
		d.Emojis = mfm.Emojis(nodes)
	}
	if !d.NoMentions {
		users, err := s.findMentioned(ctx, mfm.Mentions(nodes))
		if err != nil {
			return err
		}
		d.Mentions = users
	}
	return nil
}

// findMentioned resolves mentions, unknown ones over the network within a
// time; what cannot be found stays text.
func (s *Service) findMentioned(ctx context.Context, mentions []mfm.Mention) ([]*user.User, error) {
	ctx, cancel := context.WithTimeout(ctx, mentionsIn)
	defer cancel()
	found := make([]*user.User, len(mentions))
	gate := make(chan struct{}, mentionsMax)
	var wg sync.WaitGroup
	for i, m := range mentions {
		wg.Go(func() {
			gate <- struct{}{}
			defer func() { <-gate }()
			if u, err := s.Users.ResolveAcct(ctx, m.Username, m.Host); err == nil && !u.IsDeleted && !u.IsSuspended && !u.IsSystem {
				found[i] = u
			}
		})
	}
	wg.Wait()
	return uniqueUsers(slices.DeleteFunc(found, func(u *user.User) bool { return u == nil })), nil
}

func uniqueUsers(list []*user.User) []*user.User {
	seen := map[string]bool{}
	return slices.DeleteFunc(list, func(u *user.User) bool {
		dup := seen[u.ID]
		seen[u.ID] = true
		return dup
	})
}

// cleanTags are at most 32, of at most 128 code points, in the form in which
// they are looked for.
func cleanTags(tags []string) []string {
	out := []string{}
	for _, t := range tags {
		t = strings.ToLower(norm.NFKC.String(t))
		if t == "" || utf8.RuneCountInString(t) > maxTagLen || slices.Contains(out, t) {
			continue
		}
		if out = append(out, t); len(out) == maxTags {
			break
		}
	}
	return out
}

// addressees adds the author of the note replied to, and for specified notes
// everybody they are for.
func (s *Service) addressees(ctx context.Context, author *user.User, d *Draft) error {
	if d.Reply != nil && d.Reply.UserID != author.ID {
		u, err := s.Users.ByID(ctx, d.Reply.UserID)
		if err != nil && !errors.Is(err, user.ErrNotFound) {
			return fmt.Errorf("author of the reply's target: %w", err)
		}
		if u != nil {
			d.Mentions = append(d.Mentions, u)
			if d.Visibility == Specified {
				d.VisibleUsers = append(d.VisibleUsers, u)
			}
		}
	}
	if d.Visibility == Specified {
		d.Mentions = append(d.Mentions, d.VisibleUsers...)
	} else {
		d.VisibleUsers = nil
	}
	d.VisibleUsers = uniqueUsers(d.VisibleUsers)
	d.Mentions = slices.DeleteFunc(uniqueUsers(d.Mentions), func(u *user.User) bool { return u.ID == author.ID })
	return nil
}
