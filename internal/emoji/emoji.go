// Package emoji is in charge of custom emoji: the local catalogue, those of
// other servers as their documents name them, and their addresses.
package emoji

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"buttersc.one/oven/internal/lib/ap"
	"buttersc.one/oven/internal/lib/id"
	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/meta"
	"buttersc.one/oven/internal/socket/api"
	"buttersc.one/oven/internal/socket/log"
	"buttersc.one/oven/internal/socket/stream"
)

// ErrNotFound says that there is no such emoji.
var ErrNotFound = errors.New("no such emoji")

// ErrExists says that the name is taken.
var ErrExists = errors.New("emoji name is taken")

// ErrName says that the name has other characters than a-z, A-Z, 0-9 and _.
var ErrName = errors.New("not a name for an emoji")

var nameForm = regexp.MustCompile(`^[a-zA-Z0-9_]+$`)

// Emoji is one custom emoji.
type Emoji struct {
	ID          string
	Name        string
	Host        *string // nil: local
	Category    *string
	OriginalURL string
	PublicURL   string // "" = OriginalURL
	URI         *string
	Type        *string
	Aliases     []string
	License     *string
	LocalOnly   bool
	IsSensitive bool
	RoleIDs     []string
	UpdatedAt   *time.Time
}

// URL is where the picture is.
func (e *Emoji) URL() string {
	if e.PublicURL != "" {
		return e.PublicURL
	}
	return e.OriginalURL
}

// Service knows the emoji.
type Service struct {
	db   *pg.DB
	meta *meta.Service
	ids  *id.Maker
	log  *log.Log
	hub  *stream.Hub
	now  func() time.Time

	mu     sync.Mutex
	local  map[string]*Emoji     // nil: not loaded
	listed *api.Encoded[listRes] // the catalogue as apiList answers; nil: not made
	turn   int                   // counts what was forgotten: what was read before is not kept
	remote map[string]remoteItem // "name@host"
}

type remoteItem struct {
	emoji *Emoji // nil: unknown
	till  time.Time
}

// New makes the service.
func New(db *pg.DB, m *meta.Service, ids *id.Maker, lg *log.Log, hub *stream.Hub, now func() time.Time) *Service {
	return &Service{db: db, meta: m, ids: ids, log: lg, hub: hub, now: now, remote: map[string]remoteItem{}}
}

const (
	cols     = `id, name, host, category, original_url, public_url, uri, type, aliases, license, local_only, is_sensitive, role_ids, updated_at`
	sqlLocal = `SELECT ` + cols + ` FROM emoji WHERE host IS NULL ORDER BY name`
	sqlSome  = `SELECT ` + cols + ` FROM emoji WHERE host = $1 AND name = ANY($2)`
)

func scan(r pgx.CollectableRow) (*Emoji, error) {
	e := &Emoji{}
	err := r.Scan(&e.ID, &e.Name, &e.Host, &e.Category, &e.OriginalURL, &e.PublicURL, &e.URI, &e.Type, &e.Aliases,
		&e.License, &e.LocalOnly, &e.IsSensitive, &e.RoleIDs, &e.UpdatedAt)
	return e, err
}

// Local is the local catalogue by name. It must not be changed.
func (s *Service) Local(ctx context.Context) (map[string]*Emoji, error) {
	s.mu.Lock()
	m, turn := s.local, s.turn
	s.mu.Unlock()
	if m != nil {
		return m, nil
	}
	rows, err := s.db.Query(ctx, sqlLocal)
	if err != nil {
		return nil, fmt.Errorf("local emoji: %w", err)
	}
	list, err := pgx.CollectRows(rows, scan)
	if err != nil {
		return nil, fmt.Errorf("local emoji: %w", err)
	}
	m = make(map[string]*Emoji, len(list))
	for _, e := range list {
		m[e.Name] = e
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if turn == s.turn {
		s.local = m
	}
	return m, nil
}

// remoteFor is how long a remote emoji, or its absence, is believed.
const remoteFor = 10 * time.Minute

// maxRemote bounds the memory of the cache; a full one starts anew.
const maxRemote = 50_000

// Remote gives those of the names that are known of the host.
func (s *Service) Remote(ctx context.Context, q pg.Q, host string, names []string) (map[string]*Emoji, error) {
	out := map[string]*Emoji{}
	var ask []string
	now := time.Now()
	s.mu.Lock()
	for _, n := range names {
		if it, ok := s.remote[n+"@"+host]; ok && now.Before(it.till) {
			if it.emoji != nil {
				out[n] = it.emoji
			}
		} else {
			ask = append(ask, n)
		}
	}
	s.mu.Unlock()
	if len(ask) == 0 {
		return out, nil
	}
	rows, err := q.Query(ctx, sqlSome, host, ask)
	if err != nil {
		return nil, fmt.Errorf("emoji of %s: %w", host, err)
	}
	list, err := pgx.CollectRows(rows, scan)
	if err != nil {
		return nil, fmt.Errorf("emoji of %s: %w", host, err)
	}
	for _, e := range list {
		out[e.Name] = e
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.remote) > maxRemote {
		clear(s.remote)
	}
	for _, n := range ask {
		s.remote[n+"@"+host] = remoteItem{emoji: out[n], till: now.Add(remoteFor)}
	}
	return out, nil
}

// URLs is name → address of a remote host's emoji, as packed users and notes
// carry it. Local emoji are not listed: clients have the catalogue.
func (s *Service) URLs(ctx context.Context, host *string, names []string) (map[string]string, error) {
	out := map[string]string{}
	if host == nil || len(names) == 0 {
		return out, nil
	}
	known, err := s.Remote(ctx, s.db, *host, names)
	if err != nil {
		return nil, err
	}
	for n, e := range known {
		out[n] = e.URL()
	}
	return out, nil
}

// Forget empties the caches.
func (s *Service) Forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.local, s.listed = nil, nil
	s.turn++
	clear(s.remote)
}

// Consumers keep the catalogue in memory fresh on every node.
func (s *Service) Consumers() []log.Consumer {
	return []log.Consumer{{
		Name: "emoji.cache", Kinds: []string{changed}, Handle: s.onChanged, Lost: s.Forget,
	}}
}

// Add is Insert in a transaction of its own.
func (s *Service) Add(ctx context.Context, e Emoji) (*Emoji, error) {
	if err := s.db.Tx(ctx, func(tx *pg.Tx) error { return s.Insert(ctx, tx, &e) }); err != nil {
		return nil, fmt.Errorf("add emoji %s: %w", e.Name, err)
	}
	return &e, nil
}

const sqlUpsert = `
INSERT INTO emoji (id, name, host, original_url, public_url, uri, type, is_sensitive, updated_at)
VALUES ($1, $2, $3, $4, $4, $5, $6, $7, $8)
ON CONFLICT (name, host) DO UPDATE SET original_url = excluded.original_url, public_url = excluded.public_url,
	uri = excluded.uri, type = excluded.type, is_sensitive = excluded.is_sensitive, updated_at = excluded.updated_at`

// maxTags is how many emoji of one document are taken.
const maxTags = 100

// FromTags takes over the Emoji tags of a document of host and gives their
// names. A row is written only when it is new or has changed: no updatedAt,
// another address, or a newer date (behaviour 3.9, fork F8).
func (s *Service) FromTags(ctx context.Context, host string, tags []*ap.Object) ([]string, error) {
	var found []Emoji
	seen := map[string]bool{}
	for _, t := range tags {
		if len(found) == maxTags {
			break
		}
		name := strings.Trim(t.String("name"), ":")
		icon := t.Object("icon")
		if !t.Is("Emoji") || icon == nil || !nameForm.MatchString(strings.NewReplacer("+", "_", "-", "_").Replace(name)) || seen[name] || len(name) > 128 {
			continue
		}
		url := icon.String("url")
		if !strings.HasPrefix(url, "https://") && !strings.HasPrefix(url, "http://") || len(url) > 1024 {
			continue
		}
		seen[name] = true
		e := Emoji{Name: name, OriginalURL: url, IsSensitive: t.Bool("sensitive")}
		if uri := t.ID(); uri != "" && len(uri) <= 1024 {
			e.URI = &uri
		}
		if mt := icon.String("mediaType"); mt != "" && len(mt) <= 64 {
			e.Type = &mt
		}
		if at, ok := t.Time("updated"); ok {
			e.UpdatedAt = &at
		}
		found = append(found, e)
	}
	names := make([]string, 0, len(found))
	for _, e := range found {
		names = append(names, e.Name)
	}
	if len(found) == 0 {
		return names, nil
	}
	known, err := s.Remote(ctx, s.db, host, names)
	if err != nil {
		return nil, err
	}
	for _, e := range found {
		if k := known[e.Name]; k != nil && !differs(k, &e) {
			continue
		}
		if _, err := s.db.Exec(ctx, sqlUpsert, s.ids.Now(), e.Name, host, e.OriginalURL, e.URI, e.Type, e.IsSensitive, e.UpdatedAt); err != nil {
			return nil, fmt.Errorf("emoji %s of %s: %w", e.Name, host, err)
		}
		s.mu.Lock()
		delete(s.remote, e.Name+"@"+host)
		s.mu.Unlock()
	}
	return names, nil
}

func differs(have, got *Emoji) bool {
	return have.OriginalURL != got.OriginalURL ||
		(got.UpdatedAt != nil && (have.UpdatedAt == nil || have.UpdatedAt.Before(*got.UpdatedAt)))
}

// Endpoints is the API of this slice.
func (s *Service) Endpoints() []api.Endpoint {
	return []api.Endpoint{
		api.Post("emojis", s.apiList, api.Visitors, api.Get(3600)),
		api.Post("emoji", s.apiShow, api.Visitors, api.Get(3600), api.Errors(errNoSuchEmoji)),
	}
}

// Routes are the pictures' stable addresses.
func (s *Service) Routes() []api.Route {
	return []api.Route{{Pattern: "GET /emoji/{name}", Handler: http.HandlerFunc(s.serveImage)}}
}
