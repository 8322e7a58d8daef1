package drive

import (
	"context"
	"errors"
	"fmt"

	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/role"
	"buttersc.one/oven/internal/socket/api"
	"buttersc.one/oven/internal/socket/log"
)

// Gone is emitted, in the transaction, when files are taken away one by one:
// what shows them as somebody's picture lets go of them.
type Gone struct {
	UserID string
	IDs    []string
}

type updateReq struct {
	FileID      string          `json:"fileId" api:"required,id"`
	FolderID    api.Opt[string] `json:"folderId" api:"optional,id"`
	Name        *string         `json:"name" api:"optional"`
	IsSensitive *bool           `json:"isSensitive" api:"optional"`
	Comment     api.Opt[string] `json:"comment" api:"optional,max=512"`
}

const sqlChange = `UPDATE drive_file SET name = $2, comment = $3, folder_id = $4, is_sensitive = $5 WHERE id = $1`

// change writes what may change of a file, in tx.
func (s *Service) change(ctx context.Context, tx *pg.Tx, f *File) error {
	if _, err := tx.Exec(ctx, sqlChange, f.ID, f.Name, f.Comment, f.FolderID, f.IsSensitive); err != nil {
		if pg.Unreferenced(err) == "drive_file_folder_id_fkey" {
			return ErrNoFolder
		}
		return fmt.Errorf("change file: %w", err)
	}
	if f.UserID == nil {
		return nil
	}
	return s.Log.Append(ctx, tx, updated, f.ID, *f.UserID, nil)
}

func (s *Service) apiUpdate(ctx context.Context, c *api.Call, req updateReq) (*Packed, error) {
	f, err := s.mine(ctx, c, showReq{FileID: &req.FileID}, errUpdateNone, errUpdateDenied)
	if err != nil {
		return nil, err
	}
	theirs := f.UserID == nil || !c.Is(*f.UserID)
	marked := req.IsSensitive != nil && *req.IsSensitive != f.IsSensitive
	if req.Name != nil {
		name, ok := CheckName(*req.Name)
		if !ok {
			return nil, errUpdateName
		}
		f.Name = name
	}
	if marked {
		if !*req.IsSensitive && !theirs {
			policies, err := s.Roles.Of(ctx, c.UserID)
			if err != nil {
				return nil, err
			}
			if policies.AlwaysMarkNsfw {
				return nil, errUpdateRole
			}
		}
		f.IsSensitive = *req.IsSensitive
	}
	if req.Comment.Set {
		f.Comment = nil
		if !req.Comment.Null {
			f.Comment = &req.Comment.V
		}
	}
	if req.FolderID.Set {
		f.FolderID = nil
		if !req.FolderID.Null && f.UserID != nil {
			if _, err := s.folder(ctx, s.DB, *f.UserID, req.FolderID.V); errors.Is(err, ErrNotFound) {
				return nil, ErrNoFolder
			} else if err != nil {
				return nil, err
			}
			f.FolderID = &req.FolderID.V
		}
	}
	err = s.DB.Tx(ctx, func(tx *pg.Tx) error {
		if err := s.change(ctx, tx, f); err != nil {
			return err
		}
		if !theirs || !marked {
			return nil
		}
		what := "unmarkSensitiveDriveFile"
		if f.IsSensitive {
			what = "markSensitiveDriveFile"
		}
		return s.acted(ctx, tx, c, what, f)
	})
	if err != nil {
		return nil, err
	}
	return s.detailed(ctx, f, false)
}

// acted puts into the moderation log what a moderator did with another's file.
func (s *Service) acted(ctx context.Context, tx *pg.Tx, c *api.Call, what string, f *File) error {
	info := map[string]any{"fileId": f.ID, "fileUserId": f.UserID, "fileUserUsername": nil, "fileUserHost": f.UserHost}
	if f.UserID != nil {
		u, err := s.Users.ByIDIn(ctx, tx, *f.UserID)
		if err != nil {
			return err
		}
		info["fileUserUsername"] = u.Username
	}
	return s.Bus.Emit(ctx, tx, role.Acted{Moderator: c.UserID, Type: what, Info: info})
}

type deleteReq struct {
	FileID string `json:"fileId" api:"required,id"`
}

const sqlDelete = `DELETE FROM drive_file WHERE id = $1 AND user_id IS NULL`

func (s *Service) apiDelete(ctx context.Context, c *api.Call, req deleteReq) (api.None, error) {
	f, err := s.mine(ctx, c, showReq{FileID: &req.FileID}, errDeleteNone, errDeleteDenied)
	if err != nil {
		return api.None{}, err
	}
	return api.None{}, s.DB.Tx(ctx, func(tx *pg.Tx) error {
		if f.UserID == nil {
			if _, err := tx.Exec(ctx, sqlDelete, f.ID); err != nil {
				return fmt.Errorf("delete file: %w", err)
			}
			return s.acted(ctx, tx, c, "deleteDriveFile", f)
		}
		if n, err := s.Remove(ctx, tx, *f.UserID, []string{f.ID}); err != nil || n == 0 {
			return err
		}
		if err := s.Bus.Emit(ctx, tx, Gone{UserID: *f.UserID, IDs: []string{f.ID}}); err != nil {
			return err
		}
		if c.Is(*f.UserID) {
			return nil
		}
		return s.acted(ctx, tx, c, "deleteDriveFile", f)
	})
}

type moveReq struct {
	FileIDs  []string `json:"fileIds" api:"required,min=1,max=100,unique,items-id"`
	FolderID *string  `json:"folderId" api:"nullable,id"`
}

const sqlMove = `UPDATE drive_file SET folder_id = $3 WHERE id = ANY($1) AND user_id = $2 RETURNING id`

// apiMove moves those of the files that are the caller's.
func (s *Service) apiMove(ctx context.Context, c *api.Call, req moveReq) (api.None, error) {
	if req.FolderID != nil {
		if _, err := s.folder(ctx, s.DB, c.UserID, *req.FolderID); errors.Is(err, ErrNotFound) {
			return api.None{}, errMoveNone
		} else if err != nil {
			return api.None{}, err
		}
	}
	return api.None{}, s.DB.Tx(ctx, func(tx *pg.Tx) error {
		ids, err := texts(ctx, tx, sqlMove, req.FileIDs, c.UserID, req.FolderID)
		if pg.Unreferenced(err) != "" {
			return errMoveNone
		}
		if err != nil {
			return err
		}
		var changes []log.Row
		for _, id := range ids {
			changes = append(changes, log.Row{ObjectID: id, ActorID: c.UserID, Data: struct{}{}})
		}
		return s.Log.AppendRows(ctx, tx, updated, changes)
	})
}

// Exported is emitted, in the transaction, when something has been written into
// a file of its owner's.
type Exported struct {
	UserID, FileID string
	What           string // customEmoji, …
}
