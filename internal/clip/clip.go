// Package clip is in charge of clips: notes that somebody keeps together under
// a name, for himself or for everybody. A clip shows nobody a note that he may
// not see.
package clip

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"buttersc.one/oven/internal/lib/id"
	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/note"
	"buttersc.one/oven/internal/role"
	"buttersc.one/oven/internal/socket/api"
	"buttersc.one/oven/internal/user"
)

// Service keeps clips.
type Service struct {
	db    *pg.DB
	ids   *id.Maker
	users *user.Service
	notes *note.Service
	roles *role.Service
	now   func() time.Time
}

// New makes the service.
func New(db *pg.DB, ids *id.Maker, us *user.Service, ns *note.Service, roles *role.Service, now func() time.Time) *Service {
	return &Service{db: db, ids: ids, users: us, notes: ns, roles: roles, now: now}
}

// Endpoints is the API of this slice.
func (s *Service) Endpoints() []api.Endpoint {
	write := api.Scope("write:account")
	return []api.Endpoint{
		api.Post("clips/create", s.apiCreate, write, api.NotMoved, api.Errors(errTooMany)),
		api.Post("clips/update", s.apiUpdate, write, api.NotMoved, api.Errors(errUpdateNone)),
		api.Post("clips/delete", s.apiDelete, write, api.Errors(errDeleteNone)),
		api.Post("clips/add-note", s.apiAdd, write, api.NotMoved, api.Limit(20, time.Hour), api.Errors(errAddNone, errAddNoNote, errAddTwice, errAddFull)),
		api.Post("clips/remove-note", s.apiRemove, write, api.NotMoved, api.Errors(errRemoveNone, errRemoveNoNote)),
		api.Post("clips/favorite", s.apiFavorite, api.Scope("write:clip-favorite"), api.NotMoved, api.Errors(errFavoriteNone, errFavoriteTwice)),
		api.Post("clips/unfavorite", s.apiUnfavorite, api.Scope("write:clip-favorite"), api.NotMoved, api.Errors(errUnfavoriteNone, errUnfavoriteNot)),
		api.Post("clips/my-favorites", s.apiFavorites, api.Scope("read:clip-favorite")),
		api.Post("clips/list", s.apiList, api.Scope("read:account")),
		api.Post("clips/show", s.apiShow, api.Visitors, api.MayScope("read:account"), api.Errors(errShowNone)),
		api.Post("clips/notes", s.apiNotes, api.Visitors, api.MayScope("read:account"), api.Errors(errNotesNone)),
		api.Post("notes/clips", s.apiOfNote, api.Visitors, api.Errors(errOfNoteNone)),
		api.Post("users/clips", s.apiOfUser, api.Visitors),
	}
}

// Clip is a clip with its counts.
type Clip struct {
	ID            string
	UserID        string
	Name          string
	Description   *string
	Public        bool
	LastClippedAt *time.Time
	Favorited     int
	Mine          bool // the viewer likes it
	Notes         int
}

type packed struct {
	ID             string     `json:"id"`
	CreatedAt      api.Time   `json:"createdAt"`
	LastClippedAt  *api.Time  `json:"lastClippedAt"`
	UserID         string     `json:"userId"`
	User           *user.Lite `json:"user"`
	Name           string     `json:"name"`
	Description    *string    `json:"description"`
	IsPublic       bool       `json:"isPublic"`
	FavoritedCount int        `json:"favoritedCount"`
	IsFavorited    *bool      `json:"isFavorited,omitempty"`
	NotesCount     *int       `json:"notesCount,omitempty"`
}

// How many notes a clip has is told to its owner only: the others may not see
// all of them.
const sqlColumns = `SELECT t.id, t.user_id, t.name, t.description, t.is_public, t.last_clipped_at,
	(SELECT count(*) FROM clip_favorite f WHERE f.clip_id = t.id),
	EXISTS (SELECT FROM clip_favorite f WHERE f.clip_id = t.id AND f.user_id = $1),
	(SELECT count(*) FROM clip_note x WHERE x.clip_id = t.id) FROM clip t`

// read gives clips under conditions on t; the Where's first argument is the
// viewer.
func (s *Service) read(ctx context.Context, q pg.Q, w *pg.Where, tail string) ([]*Clip, error) {
	rows, err := q.Query(ctx, sqlColumns+w.SQL()+tail, w.Args...)
	if err != nil {
		return nil, fmt.Errorf("clips: %w", err)
	}
	clips, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) (*Clip, error) {
		c := &Clip{}
		return c, r.Scan(&c.ID, &c.UserID, &c.Name, &c.Description, &c.Public, &c.LastClippedAt, &c.Favorited, &c.Mine, &c.Notes)
	})
	if err != nil {
		return nil, fmt.Errorf("clips: %w", err)
	}
	return clips, nil
}

// where begins conditions for a viewer.
func where(viewerID string) *pg.Where {
	w := &pg.Where{}
	w.Arg(viewerID)
	return w
}

// one gives a clip under the conditions, or missing.
func (s *Service) one(ctx context.Context, q pg.Q, w *pg.Where, missing *api.Error) (*Clip, error) {
	clips, err := s.read(ctx, q, w, "")
	if err != nil {
		return nil, err
	}
	if len(clips) == 0 {
		return nil, missing
	}
	return clips[0], nil
}

func (s *Service) own(ctx context.Context, q pg.Q, c *api.Call, clipID string, missing *api.Error) (*Clip, error) {
	w := where(c.UserID)
	w.And("t.id = ? AND t.user_id = $1", clipID)
	return s.one(ctx, q, w, missing)
}

// readable gives a clip that is public or the viewer's own.
func (s *Service) readable(ctx context.Context, c *api.Call, clipID string, missing *api.Error) (*Clip, error) {
	w := where(c.ID())
	w.And("t.id = ? AND (t.is_public OR t.user_id = $1)", clipID)
	return s.one(ctx, s.db, w, missing)
}

func (s *Service) pack(ctx context.Context, viewerID string, clips []*Clip) ([]*packed, error) {
	ids := make([]string, 0, len(clips))
	for _, c := range clips {
		ids = append(ids, c.UserID)
	}
	lites, err := s.users.LiteByIDs(ctx, ids)
	if err != nil {
		return nil, err
	}
	out := make([]*packed, 0, len(clips))
	for _, c := range clips {
		at, err := s.ids.Method().Time(c.ID)
		if err != nil {
			return nil, fmt.Errorf("clip %s: %w", c.ID, err)
		}
		p := &packed{ID: c.ID, CreatedAt: api.Time(at), LastClippedAt: api.TimePtr(c.LastClippedAt), UserID: c.UserID, User: lites[c.UserID],
			Name: c.Name, Description: c.Description, IsPublic: c.Public, FavoritedCount: c.Favorited}
		if viewerID != "" {
			p.IsFavorited = &c.Mine
		}
		if viewerID == c.UserID {
			p.NotesCount = &c.Notes
		}
		out = append(out, p)
	}
	return out, nil
}

func (s *Service) packOne(ctx context.Context, viewerID string, c *Clip) (*packed, error) {
	list, err := s.pack(ctx, viewerID, []*Clip{c})
	if err != nil {
		return nil, err
	}
	return list[0], nil
}
