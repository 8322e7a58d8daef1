package drive

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/socket/api"
)

var (
	errFolderNoParent = api.Err("NO_SUCH_FOLDER", "53326628-a00d-40a6-a3cd-8975105c0f95", "There is no such folder.")
	errFolderNone     = api.Err("NO_SUCH_FOLDER", "d74ab9eb-bb09-4bba-bf24-fb58f761e1e9", "There is no such folder.")
	errFolderUpdate   = api.Err("NO_SUCH_FOLDER", "f7974dac-2c0d-4a27-926e-23583b28e98e", "There is no such folder.")
	errFolderParent   = api.Err("NO_SUCH_PARENT_FOLDER", "ce104e3a-faaf-49d5-b459-10ff0cbbcaa1", "There is no such folder to put it into.")
	errFolderNesting  = api.Err("RECURSIVE_NESTING", "dbeb024837894013aed44279f9199740", "A folder cannot be in itself.")
	errFolderDelete   = api.Err("NO_SUCH_FOLDER", "1069098f-c281-440f-b085-f9932edbe091", "There is no such folder.")
	errFolderFull     = api.Err("HAS_CHILD_FILES_OR_FOLDERS", "b0fc8a17-963c-405d-bfbc-859a487295e1", "There is still something in the folder.")
)

func (s *Service) folderEndpoints() []api.Endpoint {
	return []api.Endpoint{
		api.Post("drive/folders", s.apiFolders, api.Scope("read:drive")),
		api.Post("drive/folders/create", s.apiFolderCreate, api.Scope("write:drive"), api.Limit(10, time.Hour), api.Errors(errFolderNoParent)),
		api.Post("drive/folders/show", s.apiFolderShow, api.Scope("read:drive"), api.Errors(errFolderNone)),
		api.Post("drive/folders/update", s.apiFolderUpdate, api.Scope("write:drive"), api.Errors(errFolderUpdate, errFolderParent, errFolderNesting)),
		api.Post("drive/folders/delete", s.apiFolderDelete, api.Scope("write:drive"), api.Errors(errFolderDelete, errFolderFull)),
		api.Post("drive/folders/find", s.apiFolderFind, api.Scope("read:drive")),
	}
}

// Folder of an account's files.
type Folder struct {
	ID, UserID string
	ParentID   *string
	Name       string
}

// PackedFolder is a folder as clients see it.
type PackedFolder struct {
	ID           string        `json:"id"`
	CreatedAt    api.Time      `json:"createdAt"`
	Name         string        `json:"name"`
	ParentID     *string       `json:"parentId"`
	FoldersCount *int          `json:"foldersCount,omitempty"`
	FilesCount   *int          `json:"filesCount,omitempty"`
	Parent       *PackedFolder `json:"parent,omitempty"`
}

const (
	folderCols    = `id, user_id, parent_id, name`
	sqlFolders    = `SELECT ` + folderCols + ` FROM drive_folder t`
	sqlFolderByID = `SELECT ` + folderCols + ` FROM drive_folder WHERE id = ANY($1)`
	sqlFolder     = `SELECT ` + folderCols + ` FROM drive_folder WHERE id = $1 AND user_id = $2`
	// What is above a folder, itself first.
	sqlAbove = `
WITH RECURSIVE above AS (
	SELECT id, user_id, parent_id, name, 0 AS depth FROM drive_folder WHERE id = $1
	UNION ALL
	SELECT f.id, f.user_id, f.parent_id, f.name, a.depth + 1 FROM drive_folder f JOIN above a ON f.id = a.parent_id WHERE a.depth < 100
) SELECT ` + folderCols + ` FROM above ORDER BY depth`
	sqlInFolder = `
SELECT (SELECT count(*) FROM drive_folder WHERE parent_id = $1), (SELECT count(*) FROM drive_file WHERE folder_id = $1)`
)

func folders(ctx context.Context, q pg.Q, sql string, args ...any) ([]*Folder, error) {
	rows, err := q.Query(ctx, sql, args...)
	if err != nil {
		return nil, fmt.Errorf("folders: %w", err)
	}
	list, err := pgx.CollectRows(rows, pgx.RowToAddrOfStructByPos[Folder])
	if err != nil {
		return nil, fmt.Errorf("folders: %w", err)
	}
	return list, nil
}

func (s *Service) foldersByID(ctx context.Context, q pg.Q, ids []string) (map[string]*Folder, error) {
	out := map[string]*Folder{}
	if len(ids) == 0 {
		return out, nil
	}
	list, err := folders(ctx, q, sqlFolderByID, ids)
	for _, f := range list {
		out[f.ID] = f
	}
	return out, err
}

// folder gives an account's folder; ErrNotFound.
func (s *Service) folder(ctx context.Context, q pg.Q, userID, id string) (*Folder, error) {
	list, err := folders(ctx, q, sqlFolder, id, userID)
	if err == nil && len(list) == 0 {
		err = ErrNotFound
	}
	if err != nil {
		return nil, err
	}
	return list[0], nil
}

func (s *Service) packFolder(f *Folder) *PackedFolder {
	p := &PackedFolder{ID: f.ID, Name: f.Name, ParentID: f.ParentID}
	if t, err := s.IDs.Method().Time(f.ID); err == nil {
		p.CreatedAt = api.Time(t)
	}
	return p
}

func (s *Service) packFolders(list []*Folder) []*PackedFolder {
	out := make([]*PackedFolder, 0, len(list))
	for _, f := range list {
		out = append(out, s.packFolder(f))
	}
	return out
}

// packDetailed is a folder with what is in it, and all that it is in.
func (s *Service) packDetailed(ctx context.Context, f *Folder) (*PackedFolder, error) {
	above, err := folders(ctx, s.DB, sqlAbove, f.ID)
	if err != nil {
		return nil, err
	}
	var p *PackedFolder
	slices.Reverse(above)
	for _, a := range above {
		next := s.packFolder(a)
		next.Parent, p = p, next
	}
	if p == nil { // it has just been deleted
		p = s.packFolder(f)
	}
	p.FoldersCount, p.FilesCount = new(int), new(int)
	if err := s.DB.QueryRow(ctx, sqlInFolder, f.ID).Scan(p.FoldersCount, p.FilesCount); err != nil {
		return nil, fmt.Errorf("folder: %w", err)
	}
	return p, nil
}

type foldersReq struct {
	api.Page
	Limit    int     `json:"limit" api:"min=1,max=100,default=10"`
	FolderID *string `json:"folderId" api:"nullable,id"`
}

func (s *Service) apiFolders(ctx context.Context, c *api.Call, req foldersReq) ([]*PackedFolder, error) {
	var w pg.Where
	w.And("t.user_id = ?", c.UserID)
	if req.FolderID != nil {
		w.And("t.parent_id = ?", *req.FolderID)
	} else {
		w.And("t.parent_id IS NULL")
	}
	order := req.Apply(&w, s.IDs.Method(), req.Limit)
	list, err := folders(ctx, s.DB, sqlFolders+w.SQL()+order, w.Args...)
	return s.packFolders(list), err
}

type folderCreateReq struct {
	Name     string  `json:"name" api:"max=200,default=\"Untitled\""`
	ParentID *string `json:"parentId" api:"nullable,id"`
}

const sqlFolderAdd = `INSERT INTO drive_folder (` + folderCols + `) VALUES ($1, $2, $3, $4)`

func (s *Service) apiFolderCreate(ctx context.Context, c *api.Call, req folderCreateReq) (*PackedFolder, error) {
	f := &Folder{ID: s.IDs.Now(), UserID: c.UserID, ParentID: req.ParentID, Name: req.Name}
	err := s.DB.Tx(ctx, func(tx *pg.Tx) error {
		if f.ParentID != nil {
			if _, err := s.folder(ctx, tx, c.UserID, *f.ParentID); err != nil {
				return err
			}
		}
		if _, err := tx.Exec(ctx, sqlFolderAdd, f.ID, f.UserID, f.ParentID, f.Name); err != nil {
			return err
		}
		return s.Log.Append(ctx, tx, folderCreated, f.ID, c.UserID, nil)
	})
	if errors.Is(err, ErrNotFound) || pg.Unreferenced(err) != "" {
		return nil, errFolderNoParent
	}
	if err != nil {
		return nil, fmt.Errorf("create folder: %w", err)
	}
	return s.packFolder(f), nil
}

type folderReq struct {
	FolderID string `json:"folderId" api:"required,id"`
}

func (s *Service) apiFolderShow(ctx context.Context, c *api.Call, req folderReq) (*PackedFolder, error) {
	f, err := s.folder(ctx, s.DB, c.UserID, req.FolderID)
	if errors.Is(err, ErrNotFound) {
		return nil, errFolderNone
	}
	if err != nil {
		return nil, err
	}
	return s.packDetailed(ctx, f)
}

type folderUpdateReq struct {
	FolderID string          `json:"folderId" api:"required,id"`
	Name     *string         `json:"name" api:"optional,max=200"`
	ParentID api.Opt[string] `json:"parentId" api:"optional,id"`
}

const (
	sqlLockOwner    = `SELECT 1 FROM "user" WHERE id = $1 FOR NO KEY UPDATE`
	sqlFolderChange = `UPDATE drive_folder SET name = $2, parent_id = $3 WHERE id = $1`
)

// apiFolderUpdate moves one folder of an account at a time: two moves at once
// could put each into the other.
func (s *Service) apiFolderUpdate(ctx context.Context, c *api.Call, req folderUpdateReq) (*PackedFolder, error) {
	var f *Folder
	err := s.DB.Tx(ctx, func(tx *pg.Tx) (err error) {
		if _, err := tx.Exec(ctx, sqlLockOwner, c.UserID); err != nil {
			return err
		}
		if f, err = s.folder(ctx, tx, c.UserID, req.FolderID); errors.Is(err, ErrNotFound) {
			return errFolderUpdate
		} else if err != nil {
			return err
		}
		if req.Name != nil {
			f.Name = *req.Name
		}
		if req.ParentID.Set {
			f.ParentID = nil
			if !req.ParentID.Null {
				if err := s.mayHold(ctx, tx, f, req.ParentID.V); err != nil {
					return err
				}
				f.ParentID = &req.ParentID.V
			}
		}
		if _, err := tx.Exec(ctx, sqlFolderChange, f.ID, f.Name, f.ParentID); err != nil {
			return err
		}
		return s.Log.Append(ctx, tx, folderUpdated, f.ID, c.UserID, nil)
	})
	if err != nil {
		return nil, fmt.Errorf("change folder: %w", err)
	}
	return s.packFolder(f), nil
}

// mayHold tells whether a folder may be put into the other.
func (s *Service) mayHold(ctx context.Context, tx *pg.Tx, f *Folder, parentID string) error {
	if _, err := s.folder(ctx, tx, f.UserID, parentID); errors.Is(err, ErrNotFound) {
		return errFolderParent
	} else if err != nil {
		return err
	}
	above, err := folders(ctx, tx, sqlAbove, parentID)
	if err != nil {
		return err
	}
	if slices.ContainsFunc(above, func(a *Folder) bool { return a.ID == f.ID }) {
		return errFolderNesting
	}
	return nil
}

const sqlFolderDelete = `
DELETE FROM drive_folder d WHERE d.id = $1 AND d.user_id = $2
	AND NOT EXISTS (SELECT FROM drive_folder c WHERE c.parent_id = d.id) AND NOT EXISTS (SELECT FROM drive_file f WHERE f.folder_id = d.id)`

func (s *Service) apiFolderDelete(ctx context.Context, c *api.Call, req folderReq) (api.None, error) {
	if _, err := s.folder(ctx, s.DB, c.UserID, req.FolderID); errors.Is(err, ErrNotFound) {
		return api.None{}, errFolderDelete
	} else if err != nil {
		return api.None{}, err
	}
	return api.None{}, s.DB.Tx(ctx, func(tx *pg.Tx) error {
		tag, err := tx.Exec(ctx, sqlFolderDelete, req.FolderID, c.UserID)
		if err != nil {
			return fmt.Errorf("delete folder: %w", err)
		}
		if tag.RowsAffected() == 0 {
			return errFolderFull
		}
		return s.Log.Append(ctx, tx, folderDeleted, req.FolderID, c.UserID, nil)
	})
}

type folderFindReq struct {
	Name     string  `json:"name" api:"required"`
	ParentID *string `json:"parentId" api:"nullable,id"`
}

func (s *Service) apiFolderFind(ctx context.Context, c *api.Call, req folderFindReq) ([]*PackedFolder, error) {
	var w pg.Where
	w.And("t.user_id = ? AND t.name = ? AND t.parent_id IS NOT DISTINCT FROM ?", c.UserID, req.Name, req.ParentID)
	list, err := folders(ctx, s.DB, sqlFolders+w.SQL()+" ORDER BY t.id DESC"+pg.Limit(maxFound), w.Args...)
	return s.packFolders(list), err
}
