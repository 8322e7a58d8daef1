package note

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"buttersc.one/oven/internal/lib/ap"
	"buttersc.one/oven/internal/lib/mfm"
	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/socket/delivery"
	"buttersc.one/oven/internal/socket/inbox"
	"buttersc.one/oven/internal/user"
)

func lower(s string) string { return strings.ToLower(s) }

// LocalID is the note id that an address of this server names.
func (s *Service) LocalID(uri string) (string, bool) {
	rest, ok := strings.CutPrefix(uri, s.Meta.Origin+"/notes/")
	if !ok {
		return "", false
	}
	rest = strings.TrimSuffix(rest, "/activity")
	return rest, rest != "" && !strings.ContainsAny(rest, "/?#")
}

// postTypes are the objects that are taken as notes.
var postTypes = []string{"Note", "Question", "Article", "Page", "Image", "Audio", "Video", "Document", "Event"}

// IsPost tells whether a document can be taken as a note.
func IsPost(o *ap.Object) bool { return o.Is(postTypes...) }

// onCreate takes a note that its author sent. That the object is on the
// author's host the inbox has checked; that it is the author's is checked here.
func (s *Service) onCreate(ctx context.Context, tx *pg.Tx, a *inbox.Activity) error {
	o := a.Object.Object("object")
	if author := o.Ref("attributedTo"); author != a.Actor {
		return inbox.Drop("attributed to another")
	}
	author, err := s.Users.ByIDIn(ctx, tx, a.ActorID)
	if err != nil {
		return err
	}
	if vote, err := s.isVote(ctx, tx, author, o); vote || err != nil {
		return err
	}
	_, err = s.take(ctx, tx, author, o, a.Last)
	return dropping(err)
}

// dropping makes a refused draft the end of it.
func dropping(err error) error {
	for _, final := range []error{ErrProhibited, ErrMentions, ErrRenoteHidden, ErrBlocked, ErrNothing, ErrNotFound, errKnown, errBuried, errNotNote} {
		if errors.Is(err, final) {
			return inbox.Drop(final.Error())
		}
	}
	return err
}

// onCreateByID takes a note that was only named: it is fetched.
func (s *Service) onCreateByID(ctx context.Context, tx *pg.Tx, a *inbox.Activity) error {
	uri := a.Object.Ref("object")
	if _, err := s.ByURI(ctx, tx, uri); !errors.Is(err, ErrNotFound) {
		return err
	}
	if a.Last {
		return inbox.Drop("note could not be fetched")
	}
	return inbox.Needs{URI: uri}
}

var (
	errKnown   = errors.New("the note is known")
	errBuried  = errors.New("the note was deleted before it came")
	errNotNote = errors.New("not a note")
)

// take writes a remote note in tx. What it needs and is missing comes back as
// inbox.Needs, unless last: then it is written without.
func (s *Service) take(ctx context.Context, tx *pg.Tx, author *user.User, o *ap.Object, last bool) (*Note, error) {
	uri := o.ID()
	if known, err := s.ByURI(ctx, tx, uri); !errors.Is(err, ErrNotFound) {
		if err == nil {
			err = errKnown
		}
		return known, err
	}
	if buried, err := s.Inbox.Buried(ctx, tx, uri); err != nil || buried {
		if err == nil {
			err = errBuried
		}
		return nil, err
	}
	d, err := s.fromAP(ctx, tx, author, o)
	if err != nil {
		return nil, err
	}
	for _, t := range []struct {
		uri  string
		into **Note
	}{{o.Ref("inReplyTo"), &d.Reply}, {quoteOf(o), &d.Renote}} {
		if t.uri == "" || !isHTTP(t.uri) {
			continue
		}
		n, err := s.ByURI(ctx, tx, t.uri)
		switch {
		case err == nil && !n.IsPureRenote:
			*t.into = n
		case err != nil && !errors.Is(err, ErrNotFound):
			return nil, err
		case err != nil && !last && !strings.HasPrefix(t.uri, s.Meta.Origin+"/"):
			return nil, inbox.Needs{URI: t.uri}
		}
	}
	if d.Renote != nil && d.Renote.Visibility != Public && d.Renote.Visibility != Home && d.Renote.UserID != author.ID {
		d.Renote = nil // shows nobody what they may not see
	}
	if err := s.normalize(ctx, author, d); err != nil {
		return nil, err
	}
	return s.insert(ctx, tx, author, d)
}

// quoteOf is the address of the note that a document quotes, in the forms in
// use: Misskey's, Fedibird's, FEP-044f's, and object links (FEP-e232) that say
// they are quotes.
func quoteOf(o *ap.Object) string {
	for _, key := range []string{"_misskey_quote", "quoteUrl", "quoteUri", "quote"} {
		if u := o.Ref(key); u != "" {
			return u
		}
	}
	for _, t := range o.Objects("tag") {
		if t.Is("Link") && slices.ContainsFunc(t.Refs("rel"), ap.IsQuoteRel) {
			return t.Ref("href")
		}
	}
	return ""
}

// linked takes plain links out of a post's attachments: they are no files, and
// say in the text where they lead (Lemmy's link posts).
func linked(attachments []*ap.Object) (files []*ap.Object, links []string) {
	for _, a := range attachments {
		kind, _, _ := strings.Cut(a.String("mediaType"), "/")
		if !a.Is("Link") || kind == "image" || kind == "video" || kind == "audio" {
			files = append(files, a)
		} else if u := a.Ref("href"); isHTTP(u) && len(u) <= 1024 && len(links) < 4 {
			links = append(links, u)
		}
	}
	return files, links
}

// fromAP reads a remote post. It asks nobody: accounts and emoji are taken as
// far as they are known or described.
func (s *Service) fromAP(ctx context.Context, tx *pg.Tx, author *user.User, o *ap.Object) (*Draft, error) {
	if !IsPost(o) || o.ID() == "" {
		return nil, errNotNote
	}
	uri := o.ID()
	d := &Draft{URI: &uri, At: s.clock(), Sensitive: o.Bool("sensitive")}
	if at, ok := o.Time("published"); ok {
		d.At = at
	}
	if u := o.URL("text/html"); ap.SameHost(u, uri) && len(u) <= 1024 {
		d.URL = &u
	}
	if cw := o.String("summary"); strings.TrimSpace(strings.Trim(cw, "\u200b")) != "" && !o.Is("Article", "Page", "Event") {
		c := cut(cw, 500)
		d.CW = &c
	}
	tags := o.Objects("tag")
	for _, t := range tags {
		if t.Is("Hashtag") {
			d.Tags = append(d.Tags, strings.TrimPrefix(t.String("name"), "#"))
		}
	}
	files, links := linked(o.Objects("attachment"))
	text := s.textOf(o, d.Tags)
	for _, l := range links {
		if !strings.Contains(text, l) {
			text += "\n" + l
		}
	}
	d.Text, d.Attachments = &text, files
	if o.Is("Image", "Video", "Audio", "Document") {
		d.Attachments = append([]*ap.Object{o}, d.Attachments...)
	}
	d.Poll = pollFrom(o)
	var err error
	if d.Emojis, err = s.Emojis.FromTags(ctx, *author.ActorHost, tags); err != nil {
		return nil, err
	}
	return d, s.audienceFrom(ctx, tx, author, o, d)
}

// textOf is a post's text: its MFM source, else its HTML; a post with a title
// starts with it and ends with its address.
func (s *Service) textOf(o *ap.Object, tags []string) string {
	var text string
	src := o.Object("source")
	switch {
	case src != nil && src.String("mediaType") == "text/x.misskeymarkdown" && src.String("content") != "":
		text = src.String("content")
	case o.String("_misskey_content") != "":
		text = o.String("_misskey_content")
	default:
		text = mfm.FromHTML(o.String("content"), mfm.FromHTMLOptions{Hashtags: tags})
	}
	if name := o.String("name"); name != "" && !o.Is("Note", "Question") {
		text = "【" + name + "】\n" + text
		if u := o.URL("text/html"); u != "" {
			text += "\n" + u
		}
	}
	return text
}

func cut(s string, max int) string {
	if r := []rune(s); len(r) > max {
		return string(r[:max])
	}
	return s
}

// maxChoices of a remote poll.
const maxChoices = 20

func pollFrom(o *ap.Object) *Poll {
	p := &Poll{Multiple: !o.Has("oneOf")}
	options := o.Objects("oneOf")
	if p.Multiple {
		options = o.Objects("anyOf")
	}
	if !o.Is("Question") || len(options) < 1 {
		return nil
	}
	for _, c := range options[:min(len(options), maxChoices)] {
		n := 0
		if r := c.Object("replies"); r != nil {
			n, _ = r.Int("totalItems")
		}
		p.Choices = append(p.Choices, cut(strings.ReplaceAll(c.String("name"), "\x00", ""), 256))
		p.Votes = append(p.Votes, max(0, min(n, 1<<30)))
	}
	for _, key := range []string{"endTime", "closed"} {
		if t, ok := o.Time(key); ok {
			p.ExpiresAt = &t
			break
		}
	}
	return p
}

// maxAddressees of one post that are looked up.
const maxAddressees = 256

// audienceFrom reads visibility, the accounts it is for and those it mentions
// out of to, cc and tags (behaviour 5.3). Unknown accounts are left out.
func (s *Service) audienceFrom(ctx context.Context, tx *pg.Tx, author *user.User, o *ap.Object, d *Draft) error {
	followers := s.Users.FollowersURI(author)
	to, cc := o.Refs("to"), o.Refs("cc")
	var others []string
	public, unlisted, forFollowers := false, false, false
	for i, uri := range append(append([]string{}, to...), cc...) {
		switch {
		case ap.IsPublic(uri) && i < len(to):
			public = true
		case ap.IsPublic(uri):
			unlisted = true
		case uri == followers || uri == *author.URI+"/followers":
			forFollowers = true
		default:
			others = append(others, uri)
		}
	}
	switch {
	case public:
		d.Visibility = Public
	case unlisted:
		d.Visibility = Home
	case forFollowers:
		d.Visibility = Followers
	default:
		d.Visibility = Specified
	}
	known, err := s.knownUsers(ctx, tx, others)
	if err != nil {
		return err
	}
	if d.Visibility == Specified {
		d.VisibleUsers = known
	}
	var mentioned []string
	for _, t := range o.Objects("tag") {
		if t.Is("Mention") {
			mentioned = append(mentioned, t.String("href"))
		}
	}
	d.Mentions, err = s.knownUsers(ctx, tx, mentioned)
	return err
}

func (s *Service) knownUsers(ctx context.Context, tx *pg.Tx, uris []string) ([]*user.User, error) {
	var out []*user.User
	for _, uri := range uris[:min(len(uris), maxAddressees)] {
		u, err := s.Users.ByURI(ctx, tx, uri)
		if errors.Is(err, user.ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		out = append(out, u)
	}
	return uniqueUsers(out), nil
}

// isVote counts a Note that is a vote in a poll of ours: a name, a target and
// no content.
func (s *Service) isVote(ctx context.Context, tx *pg.Tx, voter *user.User, o *ap.Object) (bool, error) {
	name, target := o.String("name"), o.Ref("inReplyTo")
	if !o.Is("Note") || name == "" || target == "" || o.String("content") != "" {
		return false, nil
	}
	n, err := s.ByURI(ctx, tx, target)
	if errors.Is(err, ErrNotFound) {
		return false, nil
	}
	if err != nil || !n.Local() || !n.HasPoll {
		return false, err
	}
	// Nothing is said of a poll that the voter may not see.
	if ok, err := s.CanCapture(ctx, voter.ID, n.ID); err != nil || !ok {
		return true, err
	}
	if _, blocked, err := s.Relations.Blocks(ctx, tx, voter.ID, n.UserID); err != nil || blocked {
		return true, err
	}
	polls, _, err := s.loadPolls(ctx, tx, "", []string{n.ID})
	if err != nil {
		return false, err
	}
	choice := -1
	for i, c := range polls[n.ID].Choices {
		if c == name {
			choice = i
		}
	}
	err = s.Vote(ctx, tx, voter, n, choice)
	for _, final := range []error{ErrChoice, ErrVoted, ErrExpired, ErrNoPoll, ErrNotFound} {
		if errors.Is(err, final) {
			return true, inbox.Drop(final.Error())
		}
	}
	return true, err
}

// onUpdateQuestion takes the tallies of a remote poll, from its author only.
func (s *Service) onUpdateQuestion(ctx context.Context, tx *pg.Tx, a *inbox.Activity) error {
	o := a.Object.Object("object")
	n, err := s.ByURI(ctx, tx, o.ID())
	if errors.Is(err, ErrNotFound) {
		return inbox.Drop("unknown poll")
	}
	if err != nil {
		return err
	}
	if n.UserID != a.ActorID || !n.HasPoll {
		return inbox.Drop("not the poll's author")
	}
	err = s.takeTallies(ctx, tx, n.ID, o)
	if errors.Is(err, errOtherPoll) {
		return inbox.Drop(err.Error())
	}
	return err
}

// onUndoDelete takes an account back that was suspended at its server: a note that
// was deleted stays so.
func (s *Service) onUndoDelete(ctx context.Context, tx *pg.Tx, a *inbox.Activity) error {
	if a.Object.Object("object").Ref("object") != a.Actor {
		return inbox.Drop("nothing but an account comes back")
	}
	return s.Users.Revive(ctx, tx, a.ActorID)
}

// onDelete removes what its author deletes: a note, or the account itself.
// Something unknown is remembered, so that it is not taken when it comes late.
func (s *Service) onDelete(ctx context.Context, tx *pg.Tx, a *inbox.Activity) error {
	uri := a.Object.Ref("object")
	if uri == a.Actor {
		if err := s.Users.MarkDeleted(ctx, tx, a.ActorID); err != nil {
			return err
		}
		return s.Queue.Insert(ctx, tx, purgeArgs{UserID: a.ActorID}, time.Time{})
	}
	n, err := s.ByURI(ctx, tx, uri)
	if errors.Is(err, ErrNotFound) {
		return s.Inbox.Tombstone(ctx, tx, uri)
	}
	if err != nil {
		return err
	}
	if n.UserID != a.ActorID {
		return inbox.Drop("not the author")
	}
	author, err := s.Users.ByIDIn(ctx, tx, a.ActorID)
	if err != nil {
		return err
	}
	return s.Delete(ctx, tx, author, n)
}

// onAnnounce writes a remote renote. The target is known or fetched from its
// own server: an embedded copy is never taken.
func (s *Service) onAnnounce(ctx context.Context, tx *pg.Tx, a *inbox.Activity) error {
	if o := a.Object.Object("object"); o != nil && (o.Has("actor") || o.Has("object")) {
		return inbox.Drop("announces an activity")
	}
	if _, err := s.ByURI(ctx, tx, a.ID); !errors.Is(err, ErrNotFound) {
		if err == nil {
			return inbox.Drop(errKnown.Error())
		}
		return err
	}
	if buried, err := s.Inbox.Buried(ctx, tx, a.ID); err != nil || buried {
		return err
	}
	uri := a.Object.Ref("object")
	target, err := s.ByURI(ctx, tx, uri)
	if errors.Is(err, ErrNotFound) {
		if a.Last || strings.HasPrefix(uri, s.Meta.Origin+"/") || !isHTTP(uri) {
			return inbox.Drop("announces what cannot be had")
		}
		return inbox.Needs{URI: uri}
	}
	if err != nil {
		return err
	}
	if target.IsPureRenote {
		return inbox.Drop("announces a renote")
	}
	if target.LocalOnly {
		return inbox.Drop("announces what does not leave this server")
	}
	by, err := s.Users.ByIDIn(ctx, tx, a.ActorID)
	if err != nil {
		return err
	}
	d := &Draft{URI: &a.ID, At: a.Received, Renote: target}
	if at, ok := a.Object.Time("published"); ok && !at.Before(s.CreatedAt(target).Add(-clockSkew)) {
		d.At = at
	}
	if err := s.audienceFrom(ctx, tx, by, a.Object, d); err != nil {
		return err
	}
	d.VisibleUsers, d.Mentions = nil, nil
	if err := s.normalize(ctx, by, d); err != nil {
		return dropping(err)
	}
	if _, err := s.insert(ctx, tx, by, d); err != nil || !target.Local() {
		return dropping(err)
	}
	return s.holdBy(ctx, tx, target, by)
}

// clockSkew is how much earlier than its target a renote may claim to be.
const clockSkew = 5 * time.Minute

// holdBy records that an account's server has a local note.
func (s *Service) holdBy(ctx context.Context, tx *pg.Tx, n *Note, by *user.User) error {
	if by.Inbox == nil {
		return nil
	}
	ids, err := s.Delivery.Endpoints(ctx, tx, []delivery.Inbox{inboxOf(by)})
	if err != nil {
		return err
	}
	return s.Hold(ctx, tx, n, ids)
}

// onUndoAnnounce removes a remote renote, by the id of its Announce.
func (s *Service) onUndoAnnounce(ctx context.Context, tx *pg.Tx, a *inbox.Activity) error {
	inner := a.Object.Object("object")
	n, err := s.ByURI(ctx, tx, inner.ID())
	if errors.Is(err, ErrNotFound) {
		return s.Inbox.Tombstone(ctx, tx, inner.ID())
	}
	if err != nil {
		return err
	}
	if n.UserID != a.ActorID || !n.IsPureRenote {
		return inbox.Drop("not the sender's renote")
	}
	by, err := s.Users.ByIDIn(ctx, tx, a.ActorID)
	if err != nil {
		return err
	}
	return s.Delete(ctx, tx, by, n)
}
