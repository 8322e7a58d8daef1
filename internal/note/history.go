package note

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"buttersc.one/oven/internal/socket/api"
)

type historyReq struct {
	NoteID string `json:"noteId" api:"required,id"`
	Limit  int    `json:"limit" api:"min=1,max=100,default=30"`
	Offset int    `json:"offset" api:"min=0,default=0"`
}

// version is how a note was.
type version struct {
	Text      *string  `json:"text"`
	CW        *string  `json:"cw"`
	CreatedAt api.Time `json:"createdAt"` // when it was written
}

var (
	errHistoryNoNote = api.Err("NO_SUCH_NOTE", "6d4a4c3e-0f9e-4a86-9c53-2a0d4e0a4c11", "There is no such note.")
	errForgetNoNote  = api.Err("NO_SUCH_NOTE", "b3a0cf62-55c4-4b43-8c6c-0d3a2b3de6f2", "You have no such note.")
)

const (
	sqlHistory = `SELECT text, cw, written_at FROM note_edit WHERE note_id = $1 ORDER BY id DESC LIMIT $2 OFFSET $3`
	sqlForget  = `DELETE FROM note_edit USING note n WHERE n.id = note_edit.note_id AND n.id = $1 AND n.user_id = $2`
)

// apiHistory gives the versions of a note before the one that is shown, the
// newest first, to those who may see the note now.
func (s *Service) apiHistory(ctx context.Context, c *api.Call, req historyReq) ([]version, error) {
	if _, err := s.Seen(ctx, c.ID(), req.NoteID); err != nil {
		if errors.Is(err, ErrNotFound) {
			err = errHistoryNoNote
		}
		return nil, err
	}
	rows, err := s.DB.Query(ctx, sqlHistory, req.NoteID, req.Limit, req.Offset)
	if err != nil {
		return nil, fmt.Errorf("history: %w", err)
	}
	list, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) (version, error) {
		var v version
		return v, r.Scan(&v.Text, &v.CW, (*time.Time)(&v.CreatedAt))
	})
	if err != nil {
		return nil, fmt.Errorf("history: %w", err)
	}
	return list, nil
}

// apiForget lets an author take away what he had written before.
func (s *Service) apiForget(ctx context.Context, c *api.Call, req noteReq) (api.None, error) {
	n, err := s.ByID(ctx, s.DB, req.NoteID)
	if errors.Is(err, ErrNotFound) || err == nil && n.UserID != c.UserID {
		return api.None{}, errForgetNoNote
	}
	if err != nil {
		return api.None{}, err
	}
	if _, err := s.DB.Exec(ctx, sqlForget, n.ID, c.UserID); err != nil {
		return api.None{}, fmt.Errorf("history: %w", err)
	}
	return api.None{}, nil
}
