// Package auth is in charge of getting in: signing up (with invitations,
// proven addresses, a moderator's consent) and in (password, codes, passkeys),
// passwords that were forgotten, the account's own token, access tokens of apps
// and how they are granted (MiAuth, OAuth, sessions of older apps). What a caller
// may then do is package role's.
package auth

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"buttersc.one/oven/internal/lib/httpsig"
	"buttersc.one/oven/internal/lib/id"
	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/lib/secret"
	"buttersc.one/oven/internal/meta"
	"buttersc.one/oven/internal/role"
	"buttersc.one/oven/internal/socket/api"
	"buttersc.one/oven/internal/socket/event"
	"buttersc.one/oven/internal/socket/job"
	"buttersc.one/oven/internal/socket/log"
	"buttersc.one/oven/internal/socket/mailer"
	"buttersc.one/oven/internal/socket/remote"
	"buttersc.one/oven/internal/socket/stream"
	"buttersc.one/oven/internal/user"
)

// Service lets people and apps in.
type Service struct {
	db     *pg.DB
	meta   *meta.Service
	roles  *role.Service
	users  *user.Service
	box    *secret.Box
	ids    *id.Maker
	log    *log.Log
	bus    *event.Bus
	hub    *stream.Hub
	queue  *job.Queue
	mail   *mailer.Service
	now    func() time.Time
	door   *remote.Client
	limits func() *api.Limiter
	setup  string
	web    http.RoundTripper
	own    http.RoundTripper
	slog   *slog.Logger
	pairs  chan *httpsig.KeyPair
	cache  tokenCache
}

// Deps are what the service stands on.
type Deps struct {
	DB     *pg.DB
	Meta   *meta.Service
	Roles  *role.Service
	Users  *user.Service
	Box    *secret.Box
	IDs    *id.Maker
	Log    *log.Log
	Bus    *event.Bus
	Hub    *stream.Hub
	Queue  *job.Queue
	Mail   *mailer.Service
	Door   *remote.Client // to other servers and clients' pages
	Now    func() time.Time
	Limits func() *api.Limiter // the API's, which sign-up and sign-in use too
	Setup  string              // the password for making the first account; "": anybody may
	Web    http.RoundTripper   // guarded, to those who tell people from programs
	Own    http.RoundTripper   // to a server for that which the operator has named
	Slog   *slog.Logger
}

// New makes the service.
func New(d Deps) *Service {
	return &Service{db: d.DB, meta: d.Meta, roles: d.Roles, users: d.Users, box: d.Box, ids: d.IDs, log: d.Log, bus: d.Bus, hub: d.Hub,
		queue: d.Queue, mail: d.Mail, door: d.Door, now: d.Now, limits: d.Limits, setup: d.Setup, web: d.Web, own: d.Own, slog: d.Slog,
		pairs: make(chan *httpsig.KeyPair, sparePairs), cache: tokenCache{m: map[[32]byte]cachedIdentity{}}}
}

// SignedUp is emitted when a person made an account.
type SignedUp struct{ User *user.User }

// SignedIn is emitted when somebody signed in.
type SignedIn struct {
	UserID string
	At     time.Time
}

// TokenGiven is emitted when an app was given a token.
type TokenGiven struct{ UserID string }

// tokenLength of a native token; access tokens are longer (behaviour 2.2).
const (
	tokenLength       = 16
	accessTokenLength = 32
)

func hashToken(token string) []byte {
	h := sha256.Sum256([]byte(token))
	return h[:]
}

const (
	sqlNative = `
SELECT u.id, u.is_suspended, u.moved_to_uri IS NOT NULL, u.is_root FROM account a JOIN "user" u ON u.id = a.user_id
WHERE a.token_hash = $1 AND NOT u.is_deleted`
	sqlAccess = `
SELECT u.id, u.is_suspended, u.moved_to_uri IS NOT NULL, u.is_root, t.id, coalesce(a.permission, t.permission)
FROM access_token t JOIN "user" u ON u.id = t.user_id LEFT JOIN app a ON a.id = t.app_id
WHERE (t.token_hash = $1 OR t.digest_hash = $2) AND NOT u.is_deleted`
	sqlTokenUsed = `UPDATE access_token SET last_used_at = now() WHERE id = $1 AND (last_used_at IS NULL OR last_used_at < now() - interval '1 minute')`
)

// Authenticate implements api.Authenticator.
func (s *Service) Authenticate(ctx context.Context, token string) (*api.Identity, error) {
	if token == "" || len(token) > 256 {
		return nil, api.ErrNoToken
	}
	key := sha256.Sum256([]byte(token))
	if id, ok := s.cache.get(key); ok {
		return id, nil
	}
	gen := s.cache.generation()
	i := &api.Identity{}
	var err error
	if len(token) == tokenLength {
		err = s.db.QueryRow(ctx, sqlNative, key[:]).Scan(&i.UserID, &i.Suspended, &i.Moved, &i.Root)
	} else {
		err = s.db.QueryRow(ctx, sqlAccess, key[:], hashToken(strings.ToLower(token))).Scan(&i.UserID, &i.Suspended, &i.Moved, &i.Root, &i.TokenID, &i.Scopes)
		if err == nil {
			_, err = s.db.Exec(ctx, sqlTokenUsed, i.TokenID)
		}
	}
	if pg.NoRows(err) {
		return nil, api.ErrNoToken
	}
	if err != nil {
		return nil, fmt.Errorf("authenticate: %w", err)
	}
	if i.Moderator, i.Admin, err = s.roles.Ranks(ctx, i.UserID); err != nil {
		return nil, err
	}
	if err := s.users.Active(ctx, i.UserID); err != nil {
		return nil, err
	}
	s.cache.put(key, gen, i)
	return i, nil
}

// tokenCache remembers tokens for a moment; anything that changes what they
// may do empties it, on every node through the change log.
type tokenCache struct {
	mu  sync.Mutex
	gen int64
	m   map[[32]byte]cachedIdentity
}

type cachedIdentity struct {
	id   *api.Identity
	till time.Time
}

const (
	tokenFor  = 30 * time.Second
	maxTokens = 20_000
)

func (c *tokenCache) get(key [32]byte) (*api.Identity, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := c.m[key]
	if !ok || time.Now().After(e.till) {
		return nil, false
	}
	return e.id, true
}

func (c *tokenCache) generation() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.gen
}

// put keeps what was read since generation gen began; later changes win.
func (c *tokenCache) put(key [32]byte, gen int64, id *api.Identity) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.gen != gen {
		return
	}
	if len(c.m) >= maxTokens {
		clear(c.m)
	}
	c.m[key] = cachedIdentity{id: id, till: time.Now().Add(tokenFor)}
}

func (c *tokenCache) drop() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.gen++
	clear(c.m)
}

// revokedData goes with "auth.revoked": which connections to end.
type revokedData struct {
	TokenID string `json:"tokenId,omitempty"`
	All     bool   `json:"all,omitempty"`
	Renewed bool   `json:"renewed,omitempty"` // the native token is another now
}

// Consumers end what a revoked token holds open, on every node.
func (s *Service) Consumers() []log.Consumer {
	return []log.Consumer{{
		Name: "auth.tokens", Kinds: []string{"auth.revoked", "user.suspended", "user.deleted", "user.moved", "role.changed"},
		After:  "role.cache", // which says who may moderate
		Handle: s.onRevoked,
		Lost:   func() { s.cache.drop(); s.hub.CloseAll() },
	}, {
		Name: "auth.signins", Kinds: []string{"auth.signedIn"}, Handle: s.onSignedIn,
	}}
}

func (s *Service) onRevoked(_ context.Context, _ *pg.Tx, batch []log.Change) error {
	s.cache.drop()
	var errs []error
	for _, c := range batch {
		if c.Kind == "user.moved" || c.Kind == "role.changed" {
			continue
		}
		d := revokedData{All: c.Kind != "auth.revoked"}
		if c.Kind == "auth.revoked" {
			errs = append(errs, c.Into(&d))
		}
		if d.Renewed {
			s.hub.Publish(stream.MainTopic(c.ActorID), stream.Event{Type: "myTokenRegenerated"})
		}
		s.hub.Revoke(c.ActorID, stream.Revoked{TokenID: d.TokenID, All: d.All})
	}
	return errors.Join(errs...)
}

// Reset forgets what is cached, for reset-db in test mode.
func (s *Service) Reset() { s.cache.drop() }

// sparePairs is how many key pairs are made ahead: generating one takes longer
// than all the rest of a sign-up.
const sparePairs = 2

// Run makes key pairs ahead until ctx ends.
func (s *Service) Run(ctx context.Context) error {
	for ctx.Err() == nil {
		pair, err := httpsig.GenerateRSA()
		if err != nil {
			return err
		}
		select {
		case s.pairs <- pair:
		case <-ctx.Done():
		}
	}
	return nil
}

func (s *Service) pair() (*httpsig.KeyPair, error) {
	select {
	case p := <-s.pairs:
		return p, nil
	default:
		return httpsig.GenerateRSA()
	}
}

// Endpoints is the API of this slice.
func (s *Service) Endpoints() []api.Endpoint {
	return slices.Concat(
		s.signinEndpoints(),
		s.factorEndpoints(),
		s.accountEndpoints(),
		s.inviteEndpoints(),
		s.approvalEndpoints(),
		s.appsEndpoints(),
		[]api.Endpoint{
			api.Post("username/available", s.apiUsernameAvailable, api.Visitors),
			api.Post("miauth/gen-token", s.apiGenToken, api.Secure),
		},
	)
}

// Jobs answer who forgot a password, and throw away what is out of date.
func (s *Service) Jobs() []job.Worker {
	return []job.Worker{job.Work(s.workReset), job.Every(time.Hour, sweepArgs{}, s.sweep)}
}
