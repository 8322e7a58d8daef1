// Package user is in charge of accounts, local and remote: their rows, finding
// and resolving them, packing them for clients, and actors on the wire. It is
// not in charge of signing in (auth), of ties between accounts (relation), or
// of changing one's own profile (profile).
package user

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"golang.org/x/sync/singleflight"

	"buttersc.one/oven/internal/announcement"
	"buttersc.one/oven/internal/decoration"
	"buttersc.one/oven/internal/emoji"
	"buttersc.one/oven/internal/instance"
	"buttersc.one/oven/internal/lib/ap"
	"buttersc.one/oven/internal/lib/id"
	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/meta"
	"buttersc.one/oven/internal/role"
	"buttersc.one/oven/internal/socket/api"
	"buttersc.one/oven/internal/socket/delivery"
	"buttersc.one/oven/internal/socket/log"
	"buttersc.one/oven/internal/socket/remote"
)

// ErrNotFound says that there is no such account.
var ErrNotFound = errors.New("no such user")

// User is an account's row.
type User struct {
	ID                string
	Username          string
	UsernameLower     string
	Host              *string // the acct's; nil: local
	ActorHost         *string // the uri's; nil: local
	URI               *string
	URL               *string
	Name              *string
	Inbox             *string
	SharedInbox       *string
	Featured          *string
	FollowersURI      *string
	FollowingURI      *string
	AvatarID          *string
	BannerID          *string
	AvatarURL         *string
	BannerURL         *string
	AvatarBlurhash    *string
	BannerBlurhash    *string
	AvatarDecorations []byte
	Emojis            []string
	Tags              []string
	IsRoot            bool
	IsBot             bool
	IsCat             bool
	IsLocked          bool
	IsExplorable      bool
	IsSuspended       bool
	IsDeleted         bool
	IsSystem          bool
	HideOnlineStatus  bool
	// How notes are withdrawn (package note): seconds since 1970 or, up to 0, how
	// long ago.
	RequireSignin       bool
	FollowersOnlyBefore *int64
	HiddenBefore        *int64
	MovedToURI          *string
	MovedAt             *time.Time
	AlsoKnownAs         []string
	UpdatedAt           *time.Time
	LastFetchedAt       *time.Time

	NotesCount     int
	FollowersCount int
	FollowingCount int
	LastActiveAt   *time.Time
}

// Local tells whether the account is of this server.
func (u *User) Local() bool { return u.Host == nil }

// Acct is "name" for a local account, "name@host" for a remote one.
func (u *User) Acct() string {
	if u.Host == nil {
		return u.Username
	}
	return u.Username + "@" + *u.Host
}

// Recipient is where activities for a remote account go.
func (u *User) Recipient() delivery.Inbox {
	in := delivery.Inbox{}
	if u.Inbox != nil {
		in.URL = *u.Inbox
	}
	return in
}

// Pins gives the pinned notes of accounts; profile implements it.
type Pins interface {
	// PinsOf gives packed pinned notes by account, as the viewer sees them.
	PinsOf(ctx context.Context, viewerID string, userIDs []string) (map[string]Pinned, error)
}

// Pinned are an account's pinned notes.
type Pinned struct {
	NoteIDs []string
	Notes   []any
}

// Service knows accounts.
type Service struct {
	db        *pg.DB
	meta      *meta.Service
	roles     *role.Service
	news      *announcement.Service
	instances *instance.Service
	emojis    *emoji.Service
	wardrobe  *decoration.Service
	remote    *remote.Client
	delivery  *delivery.Service
	ids       *id.Maker
	log       *log.Log
	slog      *slog.Logger
	now       func() time.Time
	seen      func(userID string)
	pins      Pins
	resolving singleflight.Group
}

// Deps are what the service stands on.
type Deps struct {
	DB        *pg.DB
	Meta      *meta.Service
	Roles     *role.Service
	News      *announcement.Service
	Instances *instance.Service
	Emojis    *emoji.Service
	Wardrobe  *decoration.Service
	Remote    *remote.Client
	Delivery  *delivery.Service
	IDs       *id.Maker
	Log       *log.Log
	Slog      *slog.Logger
	Now       func() time.Time
	// Seen is told of accounts in use, as Active is; nil: nobody is.
	Seen func(userID string)
}

// New makes the service; BindPins must follow before anything is packed.
func New(d Deps) *Service {
	return &Service{db: d.DB, meta: d.Meta, roles: d.Roles, news: d.News, instances: d.Instances, emojis: d.Emojis, wardrobe: d.Wardrobe, remote: d.Remote,
		delivery: d.Delivery, ids: d.IDs, log: d.Log, slog: d.Slog, now: d.Now, seen: d.Seen}
}

// BindPins gives the service its view of pinned notes.
func (s *Service) BindPins(p Pins) { s.pins = p }

// URI is the actor id of an account.
func (s *Service) URI(u *User) string {
	if u.URI != nil {
		return *u.URI
	}
	return s.LocalURI(u.ID)
}

// LocalURI is the actor id of a local account.
func (s *Service) LocalURI(userID string) string { return s.meta.Origin + "/users/" + userID }

// FollowersURI is the followers collection of an account.
func (s *Service) FollowersURI(u *User) string {
	switch {
	case u.FollowersURI != nil:
		return *u.FollowersURI
	case u.URI != nil:
		return *u.URI + "/followers"
	}
	return s.LocalURI(u.ID) + "/followers"
}

// KeyID is the id of a local account's key.
func (s *Service) KeyID(userID string) string { return s.LocalURI(userID) + "#main-key" }

// Routes serve pictures of accounts without one.
func (s *Service) Routes() []api.Route { return s.identiconRoutes() }

// mentionURL is where a mention of the account leads.
func (u *User) mentionURL(origin string) string {
	switch {
	case u.URL != nil:
		return *u.URL
	case u.URI != nil:
		return *u.URI
	}
	return origin + "/@" + u.Username
}

// MentionHref is the link of a mention in HTML.
func (s *Service) MentionHref(u *User) string { return u.mentionURL(s.meta.Origin) }

// Mention is the tag that documents carry for a mentioned account.
func (s *Service) Mention(u *User) *ap.Mention {
	host := s.meta.Host
	if u.Host != nil {
		host = *u.Host
	}
	return &ap.Mention{Type: "Mention", Href: s.URI(u), Name: "@" + u.Username + "@" + host}
}
