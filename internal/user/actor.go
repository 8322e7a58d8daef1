package user

import (
	"context"
	"errors"
	"fmt"
	"html"
	"regexp"
	"strings"
	"time"
	"unicode/utf8"

	"buttersc.one/oven/internal/lib/ap"
	"buttersc.one/oven/internal/lib/mfm"
	"buttersc.one/oven/internal/lib/pg"
)

// ErrActor says that a document is no actor this server can take.
var ErrActor = errors.New("not a usable actor")

// actor is what is taken of a remote actor's document.
type actor struct {
	URI         string
	ActorHost   string
	Username    string
	Host        string // of the acct, set by the resolver
	Name        *string
	URL         *string
	Inbox       string
	SharedInbox *string
	Featured    *string
	Followers   *string
	Following   *string
	Outbox      *string
	AvatarURL   *string
	BannerURL   *string
	Emojis      []string
	Tags        []string
	IsBot       bool
	IsCat       bool
	IsLocked    bool
	Explorable  bool
	Indexable   bool
	MovedTo     *string
	AlsoKnownAs []string
	Summary     *string
	Followed    *string
	Fields      []Field
	Birthday    *string
	Location    *string

	RequireSignin       bool
	FollowersOnlyBefore *int64
	HiddenBefore        *int64

	KeyID  string
	KeyPEM string
}

var usernameForm = regexp.MustCompile(`^\w([\w.-]*\w)?$`)

const (
	maxUsername = 128
	maxName     = 128
	maxSummary  = 2048
	maxURI      = 2048
	maxFields   = 16
	maxTags     = 32
)

// readActor checks an actor's document and takes what is used of it. Every
// address that this server will send to or trust must be on the actor's own
// host (FEP-fe34; behaviour 5.2).
func (s *Service) readActor(ctx context.Context, o *ap.Object) (*actor, error) {
	if !o.Is("Person", "Service", "Group", "Organization", "Application") {
		return nil, fmt.Errorf("%w: type %v", ErrActor, o.Types())
	}
	host, err := ap.Host(o.ID())
	if err != nil {
		return nil, fmt.Errorf("%w: id: %w", ErrActor, err)
	}
	a := &actor{URI: o.ID(), ActorHost: host, Host: host, Username: o.String("preferredUsername"), Inbox: o.Ref("inbox")}
	switch {
	case len(a.URI) > maxURI:
		return nil, fmt.Errorf("%w: id of %d bytes", ErrActor, len(a.URI))
	case utf8.RuneCountInString(a.Username) > maxUsername || !usernameForm.MatchString(a.Username):
		return nil, fmt.Errorf("%w: preferredUsername", ErrActor)
	case !ap.SameHost(a.Inbox, a.URI):
		return nil, fmt.Errorf("%w: inbox on another host", ErrActor)
	}
	a.SharedInbox = sameHost(a.URI, o.Ref("sharedInbox"))
	if e := o.Object("endpoints"); e != nil {
		if in := sameHost(a.URI, e.Ref("sharedInbox")); in != nil {
			a.SharedInbox = in
		}
	}
	a.Featured = sameHost(a.URI, o.Ref("featured"))
	a.Followers = sameHost(a.URI, o.Ref("followers"))
	a.Following = sameHost(a.URI, o.Ref("following"))
	a.Outbox = sameHost(a.URI, o.Ref("outbox"))
	a.URL = sameHost(a.URI, o.URL("text/html"))
	a.Name = limited(o.String("name"), maxName)
	a.IsBot = o.Is("Service", "Application")
	a.IsCat = o.Bool("isCat")
	a.IsLocked = o.Bool("manuallyApprovesFollowers")
	a.Explorable = o.Bool("discoverable")
	// Who says nothing has not been asked: most servers do not know the question (FEP-5feb).
	a.Indexable = !o.Has("indexable") || o.Bool("indexable")
	a.RequireSignin = o.Bool("_misskey_requireSigninToViewContents")
	a.FollowersOnlyBefore, a.HiddenBefore = seconds(o, "_misskey_makeNotesFollowersOnlyBefore"), seconds(o, "_misskey_makeNotesHiddenBefore")
	if moved := o.Ref("movedTo"); isHTTP(moved) {
		a.MovedTo = &moved
	}
	for _, uri := range o.Refs("alsoKnownAs") {
		if isHTTP(uri) && len(a.AlsoKnownAs) < 10 {
			a.AlsoKnownAs = append(a.AlsoKnownAs, uri)
		}
	}
	a.AvatarURL = picture(o.Object("icon"))
	a.BannerURL = picture(o.Object("image"))
	s.readProfile(a, o)
	if err := a.readKey(o); err != nil {
		return nil, err
	}
	if a.Emojis, err = s.emojis.FromTags(ctx, a.ActorHost, o.Objects("tag")); err != nil {
		return nil, err
	}
	return a, nil
}

// seconds is a number of a document, nil when it names none.
func seconds(o *ap.Object, key string) *int64 {
	n, ok := o.Int(key)
	if !ok {
		return nil
	}
	v := int64(n)
	return &v
}

func (s *Service) readProfile(a *actor, o *ap.Object) {
	var tags []string
	for _, t := range o.Objects("tag") {
		if t.Is("Hashtag") && len(tags) < maxTags {
			if n := strings.TrimPrefix(t.String("name"), "#"); n != "" {
				tags = append(tags, n)
			}
		}
	}
	for _, t := range tags {
		if utf8.RuneCountInString(t) <= 128 {
			a.Tags = append(a.Tags, strings.ToLower(t))
		}
	}
	switch sum := o.String("_misskey_summary"); {
	case sum != "":
		a.Summary = limited(sum, maxSummary)
	default:
		a.Summary = limited(mfm.FromHTML(o.String("summary"), mfm.FromHTMLOptions{Hashtags: tags}), maxSummary)
	}
	a.Followed = limited(o.String("_misskey_followedMessage"), 256)
	for _, f := range o.Objects("attachment") {
		if !f.Is("PropertyValue") || len(a.Fields) == maxFields {
			continue
		}
		name, value := limited(f.String("name"), 512), limited(mfm.FromHTML(f.String("value"), mfm.FromHTMLOptions{}), 2048)
		if name != nil && value != nil {
			a.Fields = append(a.Fields, Field{Name: *name, Value: *value})
		}
	}
	if b := o.String("vcard:bday"); birthdayForm.MatchString(b) {
		a.Birthday = &b
	}
	a.Location = limited(o.String("vcard:Address"), 128)
}

var birthdayForm = regexp.MustCompile(`^\d{4}-\d{2}-\d{2}$`)

// readKey takes the actor's key: it must name the actor as its owner and stand
// on the same authority (integrity.md 1.3, pitfalls 5).
func (a *actor) readKey(o *ap.Object) error {
	k := o.Object("publicKey")
	if k == nil {
		return nil // can be followed, but nothing it sends can be verified
	}
	id, pem := k.ID(), k.String("publicKeyPem")
	if id == "" || pem == "" {
		return nil
	}
	if owner := k.Ref("owner"); !ap.SameHost(id, a.URI) || owner != "" && owner != a.URI {
		return fmt.Errorf("%w: its key belongs to another", ErrActor)
	}
	if len(pem) > 16<<10 || len(id) > maxURI {
		return fmt.Errorf("%w: key too long", ErrActor)
	}
	a.KeyID, a.KeyPEM = id, pem
	return nil
}

func sameHost(uri, ref string) *string {
	if ref == "" || len(ref) > maxURI || !ap.SameHost(uri, ref) {
		return nil
	}
	return &ref
}

func picture(o *ap.Object) *string {
	if o == nil {
		return nil
	}
	if u := o.URL(""); isHTTP(u) && len(u) <= maxURI {
		return &u
	}
	return nil
}

func isHTTP(u string) bool {
	return strings.HasPrefix(u, "https://") || strings.HasPrefix(u, "http://")
}

// limited is the text cut to max code points, nil when empty.
func limited(s string, max int) *string {
	s = strings.TrimSpace(strings.ToValidUTF8(strings.ReplaceAll(s, "\x00", ""), ""))
	if s == "" {
		return nil
	}
	if utf8.RuneCountInString(s) > max {
		s = string([]rune(s)[:max])
	}
	return &s
}

// Actor renders a local account (behaviour 5.2).
func (s *Service) Actor(ctx context.Context, u *User) (*ap.Actor, error) {
	return s.ActorIn(ctx, s.db, u)
}

// ActorIn is Actor inside a transaction.
func (s *Service) ActorIn(ctx context.Context, q pg.Q, u *User) (*ap.Actor, error) {
	profiles, err := s.ProfilesIn(ctx, q, []string{u.ID})
	if err != nil {
		return nil, err
	}
	p := profiles[u.ID]
	if p == nil {
		return nil, fmt.Errorf("user %s has no profile", u.ID)
	}
	pem, err := s.delivery.PublicPEMIn(ctx, q, u.ID)
	if err != nil {
		return nil, err
	}
	self := s.LocalURI(u.ID)
	a := &ap.Actor{
		Context: ap.Context(), Type: "Person", ID: self, Inbox: self + "/inbox", Outbox: self + "/outbox",
		Followers: self + "/followers", Following: self + "/following", Featured: self + "/collections/featured",
		SharedInbox: s.meta.Origin + "/inbox", Endpoints: &ap.Endpoints{SharedInbox: s.meta.Origin + "/inbox"},
		URL: s.meta.Origin + "/@" + u.Username, PreferredUsername: u.Username, Name: u.Name, Webfinger: u.Username + "@" + s.meta.Host,
		ManuallyApprovesFollowers: u.IsLocked, Discoverable: u.IsExplorable, Indexable: !p.NoCrawle, IsCat: u.IsCat,
		PublicKey: &ap.Key{ID: s.KeyID(u.ID), Type: "Key", Owner: self, PublicKeyPEM: pem},
		MovedTo:   u.MovedToURI, AlsoKnownAs: u.AlsoKnownAs,
		RequireSignin: u.RequireSignin, FollowersOnlyBefore: u.FollowersOnlyBefore, HiddenBefore: u.HiddenBefore,
		FollowedMessage: p.FollowedMessage, Birthday: p.Birthday, Location: p.Location,
		Icon: &ap.Image{Type: "Image", URL: s.AvatarURL(u)},
	}
	switch {
	case u.IsSystem:
		a.Type = "Application"
	case u.IsBot:
		a.Type = "Service"
	}
	if created, err := s.ids.Method().Time(u.ID); err == nil {
		t := created.Truncate(time.Millisecond)
		a.Published = &t
	}
	if u.BannerURL != nil {
		a.Image = &ap.Image{Type: "Image", URL: *u.BannerURL}
	}
	if p.Description != nil {
		nodes := mfm.Parse(*p.Description)
		content := mfm.ToHTML(nodes, mfm.HTMLOptions{Origin: s.meta.Origin})
		a.Summary, a.MisskeySummary = &content, p.Description
		for _, t := range mfm.Hashtags(nodes) {
			a.Tag = append(a.Tag, s.Hashtag(t))
		}
	}
	tags, err := s.emojis.Tags(ctx, u.Emojis)
	if err != nil {
		return nil, err
	}
	a.Tag = append(a.Tag, tags...)
	for _, f := range p.Fields {
		a.Attachment = append(a.Attachment, ap.PropertyValue{Type: "PropertyValue", Name: f.Name, Value: fieldHTML(f.Value, s.meta.Origin)})
	}
	return a, nil
}

// Hashtag is the tag that documents carry for a hashtag.
func (s *Service) Hashtag(name string) *ap.Hashtag {
	return &ap.Hashtag{Type: "Hashtag", Href: s.meta.Origin + "/tags/" + ap.PathEscape(name), Name: "#" + name}
}

// fieldHTML is a profile line's value as HTML; an address becomes a link that
// others may verify with rel=me.
func fieldHTML(value, origin string) string {
	if strings.HasPrefix(value, "https://") && !strings.ContainsAny(value, " \t\n\"<>") {
		esc := html.EscapeString(value)
		return `<a href="` + esc + `" rel="me nofollow noopener" target="_blank">` + esc + `</a>`
	}
	return mfm.ToHTML(mfm.ParseSimple(value), mfm.HTMLOptions{Origin: origin})
}
