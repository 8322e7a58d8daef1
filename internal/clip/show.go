package clip

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/note"
	"buttersc.one/oven/internal/socket/api"
)

var (
	errShowNone       = api.Err("NO_SUCH_CLIP", "c3c5fe33-d62c-44d2-9ea5-d997703f5c20", "There is no such clip.")
	errNotesNone      = api.Err("NO_SUCH_CLIP", "1d7645e6-2b6d-4635-b0fe-fe22b0e72e00", "There is no such clip.")
	errOfNoteNone     = api.Err("NO_SUCH_NOTE", "47db1a1c-b0af-458d-8fb4-986e4efafe1e", "There is no such note.")
	errFavoriteNone   = api.Err("NO_SUCH_CLIP", "4c2aaeae-80d8-4250-9606-26cb1fdb77a5", "There is no such clip.")
	errFavoriteTwice  = api.Err("ALREADY_FAVORITED", "92658936-c625-4273-8326-2d790129256e", "You like the clip already.")
	errUnfavoriteNone = api.Err("NO_SUCH_CLIP", "2603966e-b865-426c-94a7-af4a01241dc1", "There is no such clip.")
	errUnfavoriteNot  = api.Err("NOT_FAVORITED", "90c3a9e8-b321-4dae-bf57-2bf79bbcc187", "You do not like the clip.")
)

func collect(rows pgx.Rows) ([]string, error) {
	ids, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, fmt.Errorf("clips: %w", err)
	}
	return ids, nil
}

func (s *Service) apiShow(ctx context.Context, c *api.Call, req idReq) (*packed, error) {
	clip, err := s.readable(ctx, c, req.ClipID, errShowNone)
	if err != nil {
		return nil, err
	}
	return s.packOne(ctx, c.ID(), clip)
}

type listReq struct {
	api.Page
	Limit int `json:"limit" api:"min=1,max=100,default=10"`
}

func (s *Service) apiList(ctx context.Context, c *api.Call, req listReq) ([]*packed, error) {
	w := where(c.UserID)
	w.And("t.user_id = $1")
	clips, err := s.read(ctx, s.db, w, req.Apply(w, s.ids.Method(), req.Limit))
	if err != nil {
		return nil, err
	}
	return s.pack(ctx, c.UserID, clips)
}

type ofUserReq struct {
	api.Page
	UserID string `json:"userId" api:"required,id"`
	Limit  int    `json:"limit" api:"min=1,max=100,default=10"`
}

func (s *Service) apiOfUser(ctx context.Context, c *api.Call, req ofUserReq) ([]*packed, error) {
	w := where(c.ID())
	w.And("t.user_id = ? AND t.is_public", req.UserID)
	order := req.Apply(w, s.ids.Method(), req.Limit)
	clips, err := s.read(ctx, s.db, w, order)
	if err != nil {
		return nil, err
	}
	return s.pack(ctx, c.ID(), clips)
}

type ofNoteReq struct {
	NoteID string `json:"noteId" api:"required,id"`
}

// apiOfNote gives the public clips that a note is in.
func (s *Service) apiOfNote(ctx context.Context, c *api.Call, req ofNoteReq) ([]*packed, error) {
	if _, err := s.notes.Seen(ctx, c.ID(), req.NoteID); err != nil {
		if errors.Is(err, note.ErrNotFound) {
			err = errOfNoteNone
		}
		return nil, err
	}
	w := where(c.ID())
	w.And("t.is_public AND t.id IN (SELECT x.clip_id FROM clip_note x WHERE x.note_id = ?)", req.NoteID)
	clips, err := s.read(ctx, s.db, w, " ORDER BY t.id DESC LIMIT 100")
	if err != nil {
		return nil, err
	}
	return s.pack(ctx, c.ID(), clips)
}

type notesReq struct {
	api.Page
	ClipID string  `json:"clipId" api:"required,id"`
	Limit  int     `json:"limit" api:"min=1,max=100,default=10"`
	Search *string `json:"search" api:"nullable,min=1,max=100"`
}

const sqlNotes = `SELECT n.id FROM note n`

// apiNotes gives the notes of a clip that the caller may and wants to see.
func (s *Service) apiNotes(ctx context.Context, c *api.Call, req notesReq) ([]*note.Packed, error) {
	clip, err := s.readable(ctx, c, req.ClipID, errNotesNone)
	if err != nil {
		return nil, err
	}
	var w pg.Where
	w.And("n.id IN (SELECT x.note_id FROM clip_note x WHERE x.clip_id = ?)", clip.ID)
	if req.Search != nil {
		w.And("(n.text ILIKE ?1 OR n.cw ILIKE ?1)", "%"+strings.NewReplacer(`\`, `\\`, "%", `\%`, "_", `\_`).Replace(*req.Search)+"%")
	}
	note.See(&w, c.ID())
	return s.notes.Page(ctx, c.ID(), sqlNotes, &w, req.Page, req.Limit)
}

const (
	sqlFavorite   = `INSERT INTO clip_favorite (id, user_id, clip_id) VALUES ($1, $2, $3) ON CONFLICT (user_id, clip_id) DO NOTHING`
	sqlUnfavorite = `DELETE FROM clip_favorite WHERE user_id = $1 AND clip_id = $2`
)

func (s *Service) apiFavorite(ctx context.Context, c *api.Call, req idReq) (api.None, error) {
	clip, err := s.readable(ctx, c, req.ClipID, errFavoriteNone)
	if err != nil {
		return api.None{}, err
	}
	tag, err := s.db.Exec(ctx, sqlFavorite, s.ids.Now(), c.UserID, clip.ID)
	if err != nil {
		return api.None{}, fmt.Errorf("like a clip: %w", err)
	}
	if tag.RowsAffected() == 0 {
		return api.None{}, errFavoriteTwice
	}
	return api.None{}, nil
}

func (s *Service) apiUnfavorite(ctx context.Context, c *api.Call, req idReq) (api.None, error) {
	tag, err := s.db.Exec(ctx, sqlUnfavorite, c.UserID, req.ClipID)
	if err != nil {
		return api.None{}, fmt.Errorf("unlike a clip: %w", err)
	}
	if tag.RowsAffected() > 0 {
		return api.None{}, nil
	}
	if _, err := s.readable(ctx, c, req.ClipID, errUnfavoriteNone); err != nil {
		return api.None{}, err
	}
	return api.None{}, errUnfavoriteNot
}

// apiFavorites gives the clips that the caller likes, of those still shown.
func (s *Service) apiFavorites(ctx context.Context, c *api.Call, _ struct{}) ([]*packed, error) {
	w := where(c.UserID)
	w.And("(t.is_public OR t.user_id = $1) AND t.id IN (SELECT f.clip_id FROM clip_favorite f WHERE f.user_id = $1)")
	clips, err := s.read(ctx, s.db, w, " ORDER BY t.id DESC LIMIT 1000")
	if err != nil {
		return nil, err
	}
	return s.pack(ctx, c.UserID, clips)
}
