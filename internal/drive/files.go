package drive

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/socket/api"
)

var (
	errShowNone     = api.Err("NO_SUCH_FILE", "067bc436-2718-4795-b0fb-ecbe43949e31", "There is no such file.")
	errShowDenied   = api.Err("ACCESS_DENIED", "25b73c73-68b1-41d0-bad1-381cfdf6579f", "The file is another's.")
	errUpdateName   = api.Err("INVALID_FILE_NAME", "395e7156-f9f0-475e-af89-53c3c23080c2", "That is no name for a file.")
	errUpdateNone   = api.Err("NO_SUCH_FILE", "e7778c7e-3af9-49cd-9690-6dbc3e6c972d", "There is no such file.")
	errUpdateDenied = api.Err("ACCESS_DENIED", "01a53b27-82fc-445b-a0c1-b558465a8ed2", "The file is another's.")
	errUpdateRole   = api.Err("RESTRICTED_BY_ROLE", "7f59dccb-f465-75ab-5cf4-3ce44e3282f7", "Your role does not allow it.")
	errDeleteNone   = api.Err("NO_SUCH_FILE", "908939ec-e52b-4458-b395-1025195cea58", "There is no such file.")
	errDeleteDenied = api.Err("ACCESS_DENIED", "5eb8d909-2540-4970-90b8-dd6f86088121", "The file is another's.")
	errMoveNone     = api.Err("NO_SUCH_FOLDER", "8e8ad6de-fb2e-4d5c-9d2c-1a2cf9a1c9f1", "There is no such folder.")
)

func (s *Service) fileEndpoints() []api.Endpoint {
	return []api.Endpoint{
		api.Post("drive", s.apiUsage, api.Scope("read:drive")),
		api.Post("drive/files", s.apiList, api.Scope("read:drive")),
		api.Post("drive/stream", s.apiStream, api.Scope("read:drive")),
		api.Post("drive/files/create", s.apiCreate, api.Scope("write:drive"), api.NotMoved, api.Upload, api.Limit(120, time.Hour), api.Errors(ErrName, ErrNoSpace, ErrTooLarge, ErrType, ErrNoFolder)),
		api.Post("drive/files/show", s.apiShow, api.Scope("read:drive"), api.Errors(errShowNone, errShowDenied)),
		api.Post("drive/files/update", s.apiUpdate, api.Scope("write:drive"), api.Errors(errUpdateName, errUpdateNone, errUpdateDenied, ErrNoFolder, errUpdateRole)),
		api.Post("drive/files/delete", s.apiDelete, api.Scope("write:drive"), api.Errors(errDeleteNone, errDeleteDenied)),
		api.Post("drive/files/move-bulk", s.apiMove, api.Scope("write:drive"), api.Errors(errMoveNone)),
		api.Post("drive/files/find", s.apiFind, api.Scope("read:drive")),
		api.Post("drive/files/find-by-hash", s.apiFindByHash, api.Scope("read:drive")),
		api.Post("drive/files/check-existence", s.apiExists, api.Scope("read:drive")),
		api.Post("drive/files/upload-from-url", s.apiFromURL, api.Scope("write:drive"), api.NotMoved, api.Limit(60, time.Hour)),
	}
}

type usage struct {
	Capacity int64 `json:"capacity"`
	Usage    int64 `json:"usage"`
}

func (s *Service) apiUsage(ctx context.Context, c *api.Call, _ struct{}) (*usage, error) {
	policies, err := s.Roles.Of(ctx, c.UserID)
	if err != nil {
		return nil, err
	}
	u := &usage{Capacity: int64(policies.DriveCapacityMb) << 20}
	if err := s.DB.QueryRow(ctx, sqlUsage, c.UserID).Scan(&u.Usage); err != nil {
		return nil, fmt.Errorf("usage of a drive: %w", err)
	}
	return u, nil
}

type createReq struct {
	FolderID    *string `json:"folderId" api:"nullable,id"`
	Name        *string `json:"name" api:"nullable"`
	Comment     *string `json:"comment" api:"nullable,max=512"`
	IsSensitive bool    `json:"isSensitive" api:"default=false"`
	Force       bool    `json:"force" api:"default=false"`
}

func (s *Service) apiCreate(ctx context.Context, c *api.Call, req createReq) (*Packed, error) {
	f, err := s.Add(ctx, Upload{UserID: c.UserID, Path: c.File.Path, Name: sentName(c.File.Name, req.Name), Comment: req.Comment, FolderID: req.FolderID,
		Sensitive: req.IsSensitive, Force: req.Force})
	if err != nil {
		return nil, err
	}
	return s.detailed(ctx, f, false)
}

// sentName is what a file is called: as its owner says, else as its client
// does, else by nothing but the day.
func sentName(client string, said *string) string {
	if said != nil && strings.TrimSpace(*said) != "" {
		return *said
	}
	if client = strings.TrimSpace(client); client == "" || client == "blob" {
		return time.Now().UTC().Format("2006-01-02 15-04-05")
	}
	return client
}

type listReq struct {
	api.Page
	Limit    int     `json:"limit" api:"min=1,max=100,default=10"`
	FolderID *string `json:"folderId" api:"nullable,id"`
	Type     *string `json:"type" api:"nullable,pattern=^[a-zA-Z0-9/+.\\-*]+$"`
	Sort     *string `json:"sort" api:"nullable,enum=+createdAt|-createdAt|+name|-name|+size|-size"`
}

const sqlList = `SELECT ` + cols + ` FROM drive_file t`

func (s *Service) apiList(ctx context.Context, c *api.Call, req listReq) ([]*Packed, error) {
	w := own(c.UserID)
	if req.FolderID != nil {
		w.And("t.folder_id = ?", *req.FolderID)
	} else {
		w.And("t.folder_id IS NULL")
	}
	ofType(w, req.Type)
	return s.list(ctx, w, sorted(w, s, req.Page, req.Sort, req.Limit))
}

// own begins conditions on the files of an account of this server.
func own(userID string) *pg.Where {
	w := &pg.Where{}
	w.And("t.user_id = ? AND t.user_host IS NULL", userID)
	return w
}

// ofType asks for a type, or for all of a kind ("image/*").
func ofType(w *pg.Where, typ *string) {
	if typ == nil {
		return
	}
	if major, ok := strings.CutSuffix(*typ, "/*"); ok {
		w.And("t.type >= ? AND t.type < ?", major+"/", major+"0") // 0 comes after /
	} else {
		w.And("t.type = ?", *typ)
	}
}

// sorted gives the order. A page of an order other than by time begins where the
// file ends that is named as the last one seen.
func sorted(w *pg.Where, s *Service, p api.Page, sort *string, limit int) string {
	if sort == nil {
		return p.Apply(w, s.IDs.Method(), limit)
	}
	if p.UntilID != "" {
		switch *sort {
		case "+createdAt":
			w.And("t.id < ?", p.UntilID)
		case "-createdAt":
			w.And("t.id > ?", p.UntilID)
		case "+name":
			w.And(`(t.name COLLATE "C", t.id) < (SELECT name COLLATE "C", id FROM drive_file WHERE id = ?)`, p.UntilID)
		case "-name":
			w.And(`(t.name COLLATE "C", t.id) > (SELECT name COLLATE "C", id FROM drive_file WHERE id = ?)`, p.UntilID)
		case "+size":
			w.And("(t.size, t.id) < (SELECT size, id FROM drive_file WHERE id = ?)", p.UntilID)
		case "-size":
			w.And("(t.size, t.id) > (SELECT size, id FROM drive_file WHERE id = ?)", p.UntilID)
		}
	}
	return map[string]string{"+createdAt": " ORDER BY t.id DESC", "-createdAt": " ORDER BY t.id", "+name": ` ORDER BY t.name COLLATE "C" DESC, t.id DESC`,
		"-name": ` ORDER BY t.name COLLATE "C", t.id`, "+size": " ORDER BY t.size DESC, t.id DESC", "-size": " ORDER BY t.size, t.id"}[*sort] + pg.Limit(limit)
}

func (s *Service) list(ctx context.Context, w *pg.Where, order string) ([]*Packed, error) {
	files, err := query(ctx, s.DB, sqlList+w.SQL()+order, w.Args...)
	if err != nil {
		return nil, err
	}
	return s.packAll(files), nil
}

func (s *Service) packAll(files []*File) []*Packed {
	out := make([]*Packed, 0, len(files))
	for _, f := range files {
		out = append(out, s.Pack(f))
	}
	return out
}

type streamReq struct {
	api.Page
	Limit int     `json:"limit" api:"min=1,max=100,default=10"`
	Type  *string `json:"type" api:"nullable,pattern=^[a-zA-Z0-9/+.\\-*]+$"`
}

// apiStream gives the files of all folders.
func (s *Service) apiStream(ctx context.Context, c *api.Call, req streamReq) ([]*Packed, error) {
	w := own(c.UserID)
	ofType(w, req.Type)
	return s.list(ctx, w, req.Apply(w, s.IDs.Method(), req.Limit))
}

type showReq struct {
	FileID *string `json:"fileId" api:"optional,id"`
	URL    *string `json:"url" api:"optional"`
}

const sqlByURL = `
SELECT ` + cols + ` FROM drive_file WHERE NOT is_link AND (url = $1 OR id = (SELECT file_id FROM drive_blob WHERE key = $2)) LIMIT 1`

// find gives a file by its id or any address of it; ErrNotFound.
func (s *Service) find(ctx context.Context, req showReq) (*File, error) {
	if req.FileID == nil && req.URL == nil {
		return nil, api.InvalidParam("#/required", "must have fileId or url")
	}
	var list []*File
	var err error
	if req.FileID != nil {
		list, err = query(ctx, s.DB, sqlByIDs, []string{*req.FileID})
	} else {
		key, _ := strings.CutPrefix(*req.URL, s.Meta.Origin+"/files/")
		list, err = query(ctx, s.DB, sqlByURL, *req.URL, key)
	}
	if err == nil && len(list) == 0 {
		err = ErrNotFound
	}
	if err != nil {
		return nil, err
	}
	return list[0], nil
}

// mine gives a file that the caller may see and change.
func (s *Service) mine(ctx context.Context, c *api.Call, req showReq, none, denied *api.Error) (*File, error) {
	f, err := s.find(ctx, req)
	switch {
	case errors.Is(err, ErrNotFound):
		return nil, none
	case err != nil:
		return nil, err
	case !c.IsModerator() && (f.UserID == nil || !c.Is(*f.UserID)):
		return nil, denied
	}
	return f, nil
}

func (s *Service) apiShow(ctx context.Context, c *api.Call, req showReq) (*Packed, error) {
	f, err := s.mine(ctx, c, req, errShowNone, errShowDenied)
	if err != nil {
		return nil, err
	}
	return s.detailed(ctx, f, true)
}

// detailed packs a file with its folder, and with whose it is.
func (s *Service) detailed(ctx context.Context, f *File, withUser bool) (*Packed, error) {
	p := s.Pack(f)
	if f.FolderID != nil {
		dirs, err := s.foldersByID(ctx, s.DB, []string{*f.FolderID})
		if err != nil {
			return nil, err
		}
		if d := dirs[*f.FolderID]; d != nil {
			if p.Folder, err = s.packDetailed(ctx, d); err != nil {
				return nil, err
			}
		}
	}
	if withUser && f.UserID != nil {
		lites, err := s.Users.LiteByIDs(ctx, []string{*f.UserID})
		if err != nil {
			return nil, err
		}
		p.User = lites[*f.UserID]
	}
	return p, nil
}

type findReq struct {
	Name     string  `json:"name" api:"required"`
	FolderID *string `json:"folderId" api:"nullable,id"`
}

// maxFound of a search without pages.
const maxFound = 100

func (s *Service) apiFind(ctx context.Context, c *api.Call, req findReq) ([]*Packed, error) {
	w := own(c.UserID)
	w.And("t.name = ? AND t.folder_id IS NOT DISTINCT FROM ?", req.Name, req.FolderID)
	return s.list(ctx, w, " ORDER BY t.id DESC"+pg.Limit(maxFound))
}

type hashReq struct {
	MD5 string `json:"md5" api:"required"`
}

func (s *Service) ofHash(ctx context.Context, c *api.Call, req hashReq) ([]*Packed, error) {
	w := own(c.UserID)
	w.And("t.md5 = ? AND t.md5 <> ''", strings.ToLower(req.MD5))
	return s.list(ctx, w, " ORDER BY t.id DESC"+pg.Limit(maxFound))
}

func (s *Service) apiFindByHash(ctx context.Context, c *api.Call, req hashReq) ([]*Packed, error) {
	return s.ofHash(ctx, c, req)
}

func (s *Service) apiExists(ctx context.Context, c *api.Call, req hashReq) (bool, error) {
	list, err := s.ofHash(ctx, c, req)
	return len(list) > 0, err
}
