// Package decoration is in charge of avatar decorations: the catalogue that
// moderators keep, and what accounts wear of it. Which of them an account puts
// on is changed by package profile.
package decoration

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"buttersc.one/oven/internal/lib/id"
	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/socket/api"
	"buttersc.one/oven/internal/socket/event"
	"buttersc.one/oven/internal/socket/log"
)

// Decoration is a picture that can be laid over an avatar.
type Decoration struct {
	ID          string
	Name        string
	Description string
	URL         string
	RoleIDs     []string // only for holders of one of these; none: for everybody
	Category    *string
	UpdatedAt   *time.Time
}

// Worn is a decoration as an account wears it, and as it is stored.
type Worn struct {
	ID      string   `json:"id"`
	Angle   *float64 `json:"angle,omitempty"` // turns
	FlipH   *bool    `json:"flipH,omitempty"`
	URL     string   `json:"url,omitempty"`     // when packed
	OffsetX *float64 `json:"offsetX,omitempty"` // of the avatar's size
	OffsetY *float64 `json:"offsetY,omitempty"`
}

// Service keeps the catalogue.
type Service struct {
	db  *pg.DB
	ids *id.Maker
	bus *event.Bus
	log *log.Log

	mu  sync.Mutex
	gen int
	all map[string]*Decoration // nil: not loaded
}

// New makes the service.
func New(db *pg.DB, ids *id.Maker, bus *event.Bus, lg *log.Log) *Service {
	return &Service{db: db, ids: ids, bus: bus, log: lg}
}

// Endpoints is the API of this slice.
func (s *Service) Endpoints() []api.Endpoint {
	return append(s.adminEndpoints(), api.Post("get-avatar-decorations", s.apiList, api.Visitors))
}

// Consumers forget the catalogue when another process has changed it.
func (s *Service) Consumers() []log.Consumer {
	return []log.Consumer{{
		Name: "decoration.catalogue", Kinds: []string{"decoration.changed"}, Lost: s.forget,
		Handle: func(context.Context, *pg.Tx, []log.Change) error { s.forget(); return nil },
	}}
}

// Reset forgets what is kept, for reset-db in test mode.
func (s *Service) Reset() { s.forget() }

func (s *Service) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.gen++
	s.all = nil
}

const (
	cols   = `t.id, t.name, t.description, t.url, t.role_ids, t.category, t.updated_at`
	sqlAll = `SELECT ` + cols + ` FROM avatar_decoration t`
)

func scan(r pgx.CollectableRow) (*Decoration, error) {
	d := &Decoration{}
	return d, r.Scan(&d.ID, &d.Name, &d.Description, &d.URL, &d.RoleIDs, &d.Category, &d.UpdatedAt)
}

func (s *Service) read(ctx context.Context, sql string, args ...any) ([]*Decoration, error) {
	rows, err := s.db.Query(ctx, sql, args...)
	if err != nil {
		return nil, fmt.Errorf("decorations: %w", err)
	}
	list, err := pgx.CollectRows(rows, scan)
	if err != nil {
		return nil, fmt.Errorf("decorations: %w", err)
	}
	return list, nil
}

// All is the catalogue by id. It must not be changed.
func (s *Service) All(ctx context.Context) (map[string]*Decoration, error) {
	s.mu.Lock()
	m, gen := s.all, s.gen
	s.mu.Unlock()
	if m != nil {
		return m, nil
	}
	list, err := s.read(ctx, sqlAll)
	if err != nil {
		return nil, err
	}
	m = make(map[string]*Decoration, len(list))
	for _, d := range list {
		m[d.ID] = d
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.gen == gen {
		s.all = m
	}
	return m, nil
}

// Pack gives what an account wears, as it is stored, with the pictures'
// addresses; what is not in the catalogue any more is left out.
func (s *Service) Pack(ctx context.Context, stored []byte) ([]Worn, error) {
	out := []Worn{}
	if len(stored) <= len("[]") {
		return out, nil
	}
	var worn []Worn
	if err := json.Unmarshal(stored, &worn); err != nil {
		return nil, fmt.Errorf("worn decorations: %w", err)
	}
	all, err := s.All(ctx)
	if err != nil {
		return nil, err
	}
	for _, w := range worn {
		if d := all[w.ID]; d != nil {
			w.URL = d.URL
			out = append(out, w)
		}
	}
	return out, nil
}

// Wearable gives those of the ids that a holder of the roles may wear.
func (s *Service) Wearable(ctx context.Context, ids, roleIDs []string) (map[string]bool, error) {
	all, err := s.All(ctx)
	if err != nil {
		return nil, err
	}
	out := map[string]bool{}
	for _, id := range ids {
		if d := all[id]; d != nil && (len(d.RoleIDs) == 0 || slices.ContainsFunc(d.RoleIDs, func(r string) bool { return slices.Contains(roleIDs, r) })) {
			out[id] = true
		}
	}
	return out, nil
}
