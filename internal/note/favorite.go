package note

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/socket/api"
	"buttersc.one/oven/internal/user"
)

// Favorited is emitted when an account keeps a note among its favourites.
// Nobody is told of it.
type Favorited struct {
	Note *Note
	By   *user.User
}

var (
	errFavoriteNoNote   = api.Err("NO_SUCH_NOTE", "6dd26674-e060-4816-909a-45ba3f4da458", "There is no such note.")
	errFavoriteTwice    = api.Err("ALREADY_FAVORITED", "a402c12b-34dd-41d2-97d8-4d2ffd96a1a6", "The note is among your favourites already.")
	errUnfavoriteNoNote = api.Err("NO_SUCH_NOTE", "80848a2c-398f-4343-baa9-df1d57696c56", "There is no such note.")
	errUnfavoriteNone   = api.Err("NOT_FAVORITED", "b625fc69-635e-45e9-86f4-dbefbef35af5", "The note is not among your favourites.")
)

const (
	sqlFavorite   = `INSERT INTO note_favorite (id, user_id, note_id) VALUES ($1, $2, $3) ON CONFLICT (user_id, note_id) DO NOTHING`
	sqlUnfavorite = `DELETE FROM note_favorite WHERE user_id = $1 AND note_id = $2`
)

func (s *Service) apiFavorite(ctx context.Context, c *api.Call, req noteReq) (api.None, error) {
	n, err := s.Seen(ctx, c.UserID, req.NoteID)
	if errors.Is(err, ErrNotFound) {
		return api.None{}, errFavoriteNoNote
	}
	if err != nil {
		return api.None{}, err
	}
	me, err := s.Users.ByID(ctx, c.UserID)
	if err != nil {
		return api.None{}, err
	}
	err = s.DB.Tx(ctx, func(tx *pg.Tx) error {
		if err := s.Keep(ctx, tx, n.ID); err != nil {
			return err
		}
		tag, err := tx.Exec(ctx, sqlFavorite, s.IDs.Now(), c.UserID, n.ID)
		if err != nil {
			return fmt.Errorf("favourite: %w", err)
		}
		if tag.RowsAffected() == 0 {
			return errFavoriteTwice
		}
		return s.Bus.Emit(ctx, tx, Favorited{Note: n, By: me})
	})
	if errors.Is(err, ErrNotFound) {
		return api.None{}, errFavoriteNoNote
	}
	return api.None{}, err
}

// apiUnfavorite works on what is among the favourites, though it may not be
// seen any more.
func (s *Service) apiUnfavorite(ctx context.Context, c *api.Call, req noteReq) (api.None, error) {
	tag, err := s.DB.Exec(ctx, sqlUnfavorite, c.UserID, req.NoteID)
	if err != nil {
		return api.None{}, fmt.Errorf("unfavourite: %w", err)
	}
	if tag.RowsAffected() > 0 {
		return api.None{}, nil
	}
	_, err = s.Seen(ctx, c.UserID, req.NoteID)
	if errors.Is(err, ErrNotFound) {
		return api.None{}, errUnfavoriteNoNote
	}
	if err != nil {
		return api.None{}, err
	}
	return api.None{}, errUnfavoriteNone
}

type favoritesReq struct {
	api.Page
	Limit int `json:"limit" api:"min=1,max=100,default=10"`
}

// favorite is NoteFavorite.
type favorite struct {
	ID        string   `json:"id"`
	CreatedAt api.Time `json:"createdAt"`
	NoteID    string   `json:"noteId"`
	Note      *Packed  `json:"note"`
}

const sqlFavorites = `SELECT t.id, t.note_id FROM note_favorite t`

func (s *Service) apiFavorites(ctx context.Context, c *api.Call, req favoritesReq) ([]favorite, error) {
	var w pg.Where
	w.And("t.user_id = ?", c.UserID)
	order := req.Apply(&w, s.IDs.Method(), req.Limit)
	rows, err := s.DB.Query(ctx, sqlFavorites+w.SQL()+order, w.Args...)
	if err != nil {
		return nil, fmt.Errorf("favourites: %w", err)
	}
	var ids []string
	list, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) (favorite, error) {
		var f favorite
		err := r.Scan(&f.ID, &f.NoteID)
		ids = append(ids, f.NoteID)
		return f, err
	})
	if err != nil {
		return nil, fmt.Errorf("favourites: %w", err)
	}
	packed, err := s.PackIDs(ctx, c.UserID, ids)
	if err != nil {
		return nil, err
	}
	notes := map[string]*Packed{}
	for _, p := range packed {
		notes[p.ID] = p
	}
	out := make([]favorite, 0, len(list))
	for _, f := range list {
		if f.Note = notes[f.NoteID]; f.Note == nil {
			continue
		}
		at, err := s.IDs.Method().Time(f.ID)
		if err != nil {
			return nil, fmt.Errorf("favourite %s: %w", f.ID, err)
		}
		f.CreatedAt = api.Time(at)
		out = append(out, f)
	}
	return out, nil
}
