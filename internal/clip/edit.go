package clip

import (
	"context"
	"errors"
	"fmt"

	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/note"
	"buttersc.one/oven/internal/socket/api"
)

var (
	errTooMany      = api.Err("TOO_MANY_CLIPS", "920f7c2d-6208-4b76-8082-e632020f5883", "You have as many clips as you may.")
	errUpdateNone   = api.Err("NO_SUCH_CLIP", "b4d92d70-b216-46fa-9a3f-a8c811699257", "You have no such clip.")
	errDeleteNone   = api.Err("NO_SUCH_CLIP", "70ca08ba-6865-4630-b6fb-8494759aa754", "You have no such clip.")
	errAddNone      = api.Err("NO_SUCH_CLIP", "d6e76cc0-a1b5-4c7c-a287-73fa9c716dcf", "You have no such clip.")
	errAddNoNote    = api.Err("NO_SUCH_NOTE", "fc8c0b49-c7a3-4664-a0a6-b418d386bb8b", "There is no such note.")
	errAddTwice     = api.Err("ALREADY_CLIPPED", "734806c4-542c-463a-9311-15c512803965", "The note is in the clip already.")
	errAddFull      = api.Err("TOO_MANY_CLIP_NOTES", "f0dba960-ff73-4615-8df4-d6ac5d9dc118", "The clip is full.")
	errRemoveNone   = api.Err("NO_SUCH_CLIP", "b80525c6-97f7-49d7-a42d-ebccd49cfd52", "You have no such clip.")
	errRemoveNoNote = api.Err("NO_SUCH_NOTE", "aff017de-190e-434b-893e-33a9ff5049d8", "There is no such note in the clip.")
)

type createReq struct {
	Name        string          `json:"name" api:"required,min=1,max=100"`
	IsPublic    bool            `json:"isPublic" api:"default=false"`
	Description api.Opt[string] `json:"description" api:"nullable,max=2048"`
}

// description is a text, or nil for null and nothing: clients send "" for none.
func description(o api.Opt[string]) *string {
	if o.Null || o.V == "" {
		return nil
	}
	return &o.V
}

const (
	sqlLockOwner = `SELECT FROM "user" WHERE id = $1 FOR NO KEY UPDATE`
	sqlCount     = `SELECT count(*) FROM clip WHERE user_id = $1`
	sqlInsert    = `INSERT INTO clip (id, user_id, name, description, is_public) VALUES ($1, $2, $3, $4, $5)`
	sqlUpdate    = `UPDATE clip SET name = coalesce($3, name), is_public = coalesce($4, is_public), description = CASE WHEN $5 THEN $6 ELSE description END
WHERE id = $1 AND user_id = $2`
	sqlDelete  = `DELETE FROM clip WHERE id = $1 AND user_id = $2`
	sqlClipped = `SELECT note_id FROM clip_note WHERE clip_id = $1 ORDER BY note_id`
)

func (s *Service) apiCreate(ctx context.Context, c *api.Call, req createReq) (*packed, error) {
	policies, err := s.roles.Of(ctx, c.UserID)
	if err != nil {
		return nil, err
	}
	clip := &Clip{ID: s.ids.Now(), UserID: c.UserID, Name: req.Name, Description: description(req.Description), Public: req.IsPublic}
	err = s.db.Tx(ctx, func(tx *pg.Tx) error {
		if _, err := tx.Exec(ctx, sqlLockOwner, c.UserID); err != nil {
			return fmt.Errorf("create clip: %w", err)
		}
		var n int
		if err := tx.QueryRow(ctx, sqlCount, c.UserID).Scan(&n); err != nil {
			return fmt.Errorf("create clip: %w", err)
		}
		if n >= policies.ClipLimit {
			return errTooMany
		}
		if _, err := tx.Exec(ctx, sqlInsert, clip.ID, clip.UserID, clip.Name, clip.Description, clip.Public); err != nil {
			return fmt.Errorf("create clip: %w", err)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return s.packOne(ctx, c.UserID, clip)
}

type updateReq struct {
	ClipID      string          `json:"clipId" api:"required,id"`
	Name        *string         `json:"name" api:"optional,min=1,max=100"`
	IsPublic    *bool           `json:"isPublic" api:"optional"`
	Description api.Opt[string] `json:"description" api:"nullable,max=2048"`
}

func (s *Service) apiUpdate(ctx context.Context, c *api.Call, req updateReq) (*packed, error) {
	if _, err := s.db.Exec(ctx, sqlUpdate, req.ClipID, c.UserID, req.Name, req.IsPublic, req.Description.Set, description(req.Description)); err != nil {
		return nil, fmt.Errorf("update clip: %w", err)
	}
	clip, err := s.own(ctx, s.db, c, req.ClipID, errUpdateNone)
	if err != nil {
		return nil, err
	}
	return s.packOne(ctx, c.UserID, clip)
}

type idReq struct {
	ClipID string `json:"clipId" api:"required,id"`
}

func (s *Service) apiDelete(ctx context.Context, c *api.Call, req idReq) (api.None, error) {
	return api.None{}, s.db.Tx(ctx, func(tx *pg.Tx) error {
		if _, err := tx.Exec(ctx, sqlLockClip, req.ClipID); err != nil {
			return fmt.Errorf("delete clip: %w", err)
		}
		rows, err := tx.Query(ctx, sqlClipped, req.ClipID)
		if err != nil {
			return fmt.Errorf("delete clip: %w", err)
		}
		ids, err := collect(rows)
		if err != nil {
			return err
		}
		tag, err := tx.Exec(ctx, sqlDelete, req.ClipID, c.UserID)
		if err != nil {
			return fmt.Errorf("delete clip: %w", err)
		}
		if tag.RowsAffected() == 0 {
			return errDeleteNone
		}
		return s.notes.CountClips(ctx, tx, ids, -1)
	})
}

type noteReq struct {
	ClipID string `json:"clipId" api:"required,id"`
	NoteID string `json:"noteId" api:"required,id"`
}

const (
	sqlLockClip = `SELECT FROM clip WHERE id = $1 FOR NO KEY UPDATE`
	sqlAdd      = `INSERT INTO clip_note (id, clip_id, note_id) VALUES ($1, $2, $3) ON CONFLICT (clip_id, note_id) DO NOTHING`
	sqlTouch    = `UPDATE clip SET last_clipped_at = $2 WHERE id = $1`
	sqlRemove   = `DELETE FROM clip_note WHERE clip_id = $1 AND note_id = $2`
)

func (s *Service) apiAdd(ctx context.Context, c *api.Call, req noteReq) (api.None, error) {
	n, err := s.notes.Seen(ctx, c.UserID, req.NoteID)
	if err != nil && !errors.Is(err, note.ErrNotFound) {
		return api.None{}, err
	}
	policies, perr := s.roles.Of(ctx, c.UserID)
	if perr != nil {
		return api.None{}, perr
	}
	return api.None{}, s.db.Tx(ctx, func(tx *pg.Tx) error {
		if _, err := tx.Exec(ctx, sqlLockClip, req.ClipID); err != nil {
			return fmt.Errorf("clip a note: %w", err)
		}
		clip, err := s.own(ctx, tx, c, req.ClipID, errAddNone)
		if err != nil {
			return err
		}
		if n == nil {
			return errAddNoNote
		}
		if err := s.notes.Keep(ctx, tx, n.ID); errors.Is(err, note.ErrNotFound) {
			return errAddNoNote
		} else if err != nil {
			return err
		}
		if clip.Notes >= policies.NoteEachClipsLimit {
			return errAddFull
		}
		tag, err := tx.Exec(ctx, sqlAdd, s.ids.Now(), clip.ID, n.ID)
		if err != nil {
			return fmt.Errorf("clip a note: %w", err)
		}
		if tag.RowsAffected() == 0 {
			return errAddTwice
		}
		if _, err := tx.Exec(ctx, sqlTouch, clip.ID, s.now()); err != nil {
			return fmt.Errorf("clip a note: %w", err)
		}
		return s.notes.CountClips(ctx, tx, []string{n.ID}, 1)
	})
}

func (s *Service) apiRemove(ctx context.Context, c *api.Call, req noteReq) (api.None, error) {
	return api.None{}, s.db.Tx(ctx, func(tx *pg.Tx) error {
		clip, err := s.own(ctx, tx, c, req.ClipID, errRemoveNone)
		if err != nil {
			return err
		}
		tag, err := tx.Exec(ctx, sqlRemove, clip.ID, req.NoteID)
		if err != nil {
			return fmt.Errorf("unclip a note: %w", err)
		}
		if tag.RowsAffected() == 0 {
			return errRemoveNoNote
		}
		return s.notes.CountClips(ctx, tx, []string{req.NoteID}, -1)
	})
}
