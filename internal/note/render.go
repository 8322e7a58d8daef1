package note

import (
	"context"
	"fmt"
	"net/url"
	"time"

	"buttersc.one/oven/internal/lib/ap"
	"buttersc.one/oven/internal/lib/mfm"
	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/user"
)

// render is the activity that brings a local note into the world: Announce for
// a renote that says nothing, Create for everything else.
func (s *Service) render(ctx context.Context, tx *pg.Tx, author *user.User, n *Note, d *Draft) (*ap.Activity, error) {
	if n.IsPureRenote {
		return s.announce(ctx, tx, author, n)
	}
	doc, err := s.document(ctx, tx, author, n, d.Mentions, d.Poll, d.Reply, d.Renote)
	if err != nil {
		return nil, err
	}
	return createOf(doc), nil
}

func createOf(doc *ap.Note) *ap.Activity {
	published := doc.Published
	return &ap.Activity{ID: doc.ID + "/activity", Type: "Create", Actor: doc.AttributedTo, Published: &published, To: doc.To, Cc: doc.Cc, Object: doc}
}

// announce renders a pure renote (AP §7.11).
func (s *Service) announce(ctx context.Context, q pg.Q, author *user.User, n *Note) (*ap.Activity, error) {
	target, err := s.ByID(ctx, q, *n.RenoteID)
	if err != nil {
		return nil, fmt.Errorf("target of renote: %w", err)
	}
	published := s.CreatedAt(n)
	to, cc := s.addressed(author, n, nil)
	return &ap.Activity{ID: s.URI(n) + "/activity", Type: "Announce", Actor: s.Users.URI(author), Published: &published, To: to, Cc: cc, Object: s.URI(target)}, nil
}

// addressed is to and cc of a note (behaviour 5.3): remote mentions only.
func (s *Service) addressed(author *user.User, n *Note, mentions []*user.User) (to, cc []string) {
	remote := []string{}
	for _, m := range mentions {
		if !m.Local() {
			remote = append(remote, s.Users.URI(m))
		}
	}
	followers := s.Users.FollowersURI(author)
	switch n.Visibility {
	case Public:
		return []string{ap.Public}, append([]string{followers}, remote...)
	case Home:
		return []string{followers}, append([]string{ap.Public}, remote...)
	case Followers:
		return []string{followers}, remote
	}
	return remote, []string{}
}

// documentIn renders a note that exists already, with what it refers to read
// from the database.
func (s *Service) documentIn(ctx context.Context, q pg.Q, author *user.User, n *Note) (*ap.Note, error) {
	users, err := s.Users.ByIDs(ctx, q, n.Mentions)
	if err != nil {
		return nil, err
	}
	var mentions []*user.User
	for _, id := range n.Mentions {
		if u := users[id]; u != nil {
			mentions = append(mentions, u)
		}
	}
	var ids []string
	for _, id := range []*string{n.ReplyID, n.RenoteID} {
		if id != nil {
			ids = append(ids, *id)
		}
	}
	targets, err := s.ByIDs(ctx, q, ids)
	if err != nil {
		return nil, err
	}
	var poll *Poll
	if n.HasPoll {
		polls, _, err := s.loadPolls(ctx, q, "", []string{n.ID})
		if err != nil {
			return nil, err
		}
		poll = polls[n.ID]
	}
	return s.document(ctx, q, author, n, mentions, poll, targets[deref(n.ReplyID)], targets[deref(n.RenoteID)])
}

// document renders a note (behaviour 5.3).
func (s *Service) document(ctx context.Context, q pg.Q, author *user.User, n *Note, mentions []*user.User, poll *Poll, reply, quote *Note) (*ap.Note, error) {
	doc := &ap.Note{ID: s.URI(n), Type: "Note", AttributedTo: s.Users.URI(author), Summary: n.CW, Published: s.CreatedAt(n),
		Updated: n.UpdatedAt, Attachment: []any{}, Tag: []any{}, Sensitive: n.CW != nil}
	doc.To, doc.Cc = s.addressed(author, n, mentions)
	if reply != nil {
		uri := s.URI(reply)
		doc.InReplyTo = &uri
	}
	s.content(doc, n, mentions, quote)
	files, err := s.Drive.ByIDs(ctx, q, n.FileIDs)
	if err != nil {
		return nil, err
	}
	for _, id := range n.FileIDs {
		if f := files[id]; f != nil {
			doc.Attachment = append(doc.Attachment, s.Drive.AP(f))
			doc.Sensitive = doc.Sensitive || f.IsSensitive
		}
	}
	for _, t := range n.Tags {
		doc.Tag = append(doc.Tag, s.Users.Hashtag(t))
	}
	for _, m := range mentions {
		doc.Tag = append(doc.Tag, s.Users.Mention(m))
	}
	emojis, err := s.Emojis.Tags(ctx, n.Emojis)
	if err != nil {
		return nil, err
	}
	doc.Tag = append(doc.Tag, emojis...)
	if quote != nil {
		doc.Tag = append(doc.Tag, ap.QuoteLink(s.URI(quote)))
	}
	if poll != nil {
		s.question(doc, poll)
	}
	return doc, nil
}

// content fills in the text, as HTML and where it says more as its source.
func (s *Service) content(doc *ap.Note, n *Note, mentions []*user.User, quote *Note) {
	text := deref(n.Text)
	source := false
	if quote != nil {
		uri := s.URI(quote)
		doc.MisskeyQuote, doc.QuoteURL = &uri, &uri
		// Servers without quotes show where it leads.
		text += "\n\nRE: " + uri
		source = true
	}
	nodes := mfm.Parse(text)
	html := mfm.ToHTML(nodes, mfm.HTMLOptions{Origin: s.Meta.Origin, ProfileURL: s.profileURL(mentions)})
	doc.Content = &html
	if n.Text != nil && (source || mfm.NeedsSource(nodes)) {
		doc.MisskeyContent = n.Text
		doc.Source = &ap.Source{Content: *n.Text, MediaType: "text/x.misskeymarkdown"}
	}
}

func (s *Service) profileURL(mentions []*user.User) func(username, host string) string {
	return func(username, host string) string {
		for _, m := range mentions {
			h := deref(m.Host)
			if m.UsernameLower == lower(username) && (h == lower(host) || m.Local() && lower(host) == s.Meta.Host) {
				return s.Users.MentionHref(m)
			}
		}
		return ""
	}
}

// question makes the note a Question (AS2 §3.2).
func (s *Service) question(doc *ap.Note, p *Poll) {
	doc.Type = "Question"
	choices := make([]ap.Choice, len(p.Choices))
	total := 0
	for i, c := range p.Choices {
		choices[i] = ap.Choice{Type: "Note", Name: c, Replies: ap.Replies{Type: "Collection", TotalItems: p.Votes[i]}}
		total += p.Votes[i]
	}
	doc.MisskeyVotes = &total
	if p.Multiple {
		doc.AnyOf = choices
	} else {
		doc.OneOf = choices
	}
	if p.ExpiresAt != nil {
		t := p.ExpiresAt.UTC().Truncate(time.Millisecond)
		if p.Ended || !t.After(s.clock()) {
			doc.Closed = &t
		} else {
			doc.EndTime = &t
		}
	}
}

// Document renders a local note for whoever fetches it: public and home notes
// that may leave the house; ErrNotFound otherwise. A pure renote has no
// document of its own but its Announce.
func (s *Service) Document(ctx context.Context, id string) (*ap.Note, *Note, error) {
	n, err := s.Fetchable(ctx, id)
	if err != nil {
		return nil, nil, err
	}
	if !n.Local() || n.IsPureRenote {
		return nil, n, nil
	}
	author, err := s.Users.ByID(ctx, n.UserID)
	if err != nil {
		return nil, nil, err
	}
	doc, err := s.documentIn(ctx, s.DB, author, n)
	return doc, n, err
}

// ActivityDocument renders the Create or Announce of a local note.
func (s *Service) ActivityDocument(ctx context.Context, id string) (*ap.Activity, error) {
	n, err := s.Fetchable(ctx, id)
	if err != nil {
		return nil, err
	}
	if !n.Local() {
		return nil, ErrNotFound
	}
	return s.Activity(ctx, n)
}

// Activity renders the Create or Announce of a local note, whatever its
// audience; for collections the caller has chosen whom to show.
func (s *Service) Activity(ctx context.Context, n *Note) (*ap.Activity, error) {
	author, err := s.Users.ByID(ctx, n.UserID)
	if err != nil {
		return nil, err
	}
	if n.IsPureRenote {
		return s.announce(ctx, s.DB, author, n)
	}
	doc, err := s.documentIn(ctx, s.DB, author, n)
	if err != nil {
		return nil, err
	}
	return createOf(doc), nil
}

// isHTTP tells whether an address can be shown as a link.
func isHTTP(u string) bool {
	p, err := url.Parse(u)
	return err == nil && (p.Scheme == "https" || p.Scheme == "http") && p.Host != ""
}
