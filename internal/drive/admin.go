package drive

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/socket/api"
)

var errAdminNone = api.Err("NO_SUCH_FILE", "caf3ca38-c6e5-472e-a30c-b05377dcc240", "There is no such file.")

func (s *Service) adminEndpoints() []api.Endpoint {
	return []api.Endpoint{
		api.Post("admin/drive/files", s.apiAdminFiles, api.Moderator("read:admin:drive")),
		api.Post("admin/drive/show-file", s.apiAdminShow, api.Moderator("read:admin:drive"), api.Errors(errAdminNone)),
		api.Post("admin/drive/cleanup", s.apiCleanup, api.Moderator("write:admin:drive")),
		api.Post("admin/drive/clean-remote-files", s.apiCleanRemote, api.Moderator("write:admin:drive")),
		api.Post("admin/delete-all-files-of-a-user", s.apiDeleteAll, api.Moderator("write:admin:delete-all-files-of-a-user")),
	}
}

type adminFilesReq struct {
	api.Page
	Limit    int     `json:"limit" api:"min=1,max=100,default=10"`
	UserID   *string `json:"userId" api:"nullable,id"`
	Type     *string `json:"type" api:"nullable,pattern=^[a-zA-Z0-9/+.\\-*]+$"`
	Origin   string  `json:"origin" api:"enum=combined|local|remote,default=\"local\""`
	Hostname *string `json:"hostname" api:"nullable,max=255"`
}

func (s *Service) apiAdminFiles(ctx context.Context, _ *api.Call, req adminFilesReq) ([]*Packed, error) {
	w := &pg.Where{}
	switch {
	case req.UserID != nil:
		w.And("t.user_id = ?", *req.UserID)
	case req.Origin == "local":
		w.And("t.user_host IS NULL")
	case req.Origin == "remote":
		w.And("t.user_host IS NOT NULL")
	}
	if req.UserID == nil && req.Hostname != nil && *req.Hostname != "" {
		w.And("t.user_host = ?", strings.ToLower(*req.Hostname))
	}
	ofType(w, req.Type)
	order := req.Apply(w, s.IDs.Method(), req.Limit)
	files, err := query(ctx, s.DB, sqlList+w.SQL()+order, w.Args...)
	if err != nil {
		return nil, err
	}
	out := s.packAll(files)
	var ids []string
	for _, f := range files {
		if f.UserID != nil {
			ids = append(ids, *f.UserID)
		}
	}
	lites, err := s.Users.LiteByIDs(ctx, ids)
	if err != nil {
		return nil, err
	}
	for _, p := range out {
		if p.UserID != nil {
			p.User = lites[*p.UserID]
		}
	}
	return out, nil
}

// adminFile is a file as moderators see it. Where uploads came from is not
// kept, so it cannot be shown.
type adminFile struct {
	ID             string          `json:"id"`
	CreatedAt      api.Time        `json:"createdAt"`
	UserID         *string         `json:"userId"`
	UserHost       *string         `json:"userHost"`
	MD5            string          `json:"md5"`
	Name           string          `json:"name"`
	Type           string          `json:"type"`
	Size           int64           `json:"size"`
	Comment        *string         `json:"comment"`
	Blurhash       *string         `json:"blurhash"`
	Properties     json.RawMessage `json:"properties"`
	StoredInternal bool            `json:"storedInternal"`
	URL            string          `json:"url"`
	ThumbnailURL   *string         `json:"thumbnailUrl"`
	WebpublicURL   *string         `json:"webpublicUrl"`
	AccessKey      *string         `json:"accessKey"`
	ThumbnailKey   *string         `json:"thumbnailAccessKey"`
	WebpublicKey   *string         `json:"webpublicAccessKey"`
	URI            *string         `json:"uri"`
	Src            *string         `json:"src"`
	FolderID       *string         `json:"folderId"`
	IsSensitive    bool            `json:"isSensitive"`
	IsLink         bool            `json:"isLink"`
	MaybeSensitive bool            `json:"maybeSensitive"`
	MaybePorn      bool            `json:"maybePorn"`
	RequestIP      *string         `json:"requestIp"`
	RequestHeaders *struct{}       `json:"requestHeaders"`
}

const sqlBlobs = `SELECT kind, key FROM drive_blob WHERE file_id = $1`

func (s *Service) apiAdminShow(ctx context.Context, _ *api.Call, req showReq) (*adminFile, error) {
	f, err := s.find(ctx, req)
	if errors.Is(err, ErrNotFound) {
		return nil, errAdminNone
	}
	if err != nil {
		return nil, err
	}
	p := s.Pack(f)
	out := &adminFile{ID: f.ID, CreatedAt: p.CreatedAt, UserID: f.UserID, UserHost: f.UserHost, MD5: f.MD5, Name: f.Name, Type: f.Type, Size: f.Size, Comment: f.Comment,
		Blurhash: f.Blurhash, Properties: f.Properties, StoredInternal: !f.IsLink, URL: f.URL, ThumbnailURL: f.ThumbnailURL, URI: f.URI, Src: f.URI,
		FolderID: f.FolderID, IsSensitive: f.IsSensitive, IsLink: f.IsLink}
	rows, err := s.DB.Query(ctx, sqlBlobs, f.ID)
	if err != nil {
		return nil, fmt.Errorf("file: %w", err)
	}
	var kind, key string
	_, err = pgx.ForEachRow(rows, []any{&kind, &key}, func() error {
		switch k := key; kind {
		case original:
			out.AccessKey = &k
		case thumbnail:
			out.ThumbnailKey = &k
		case public:
			out.WebpublicKey, out.WebpublicURL = &k, ptr(s.Meta.Origin+"/files/"+k)
		}
		return nil
	})
	return out, err
}

// cleanArgs asks to remove files by the many.
type cleanArgs struct {
	UserID string `json:"userId,omitempty"` // of this account
	Nobody bool   `json:"nobody,omitempty"` // of nobody, that nothing shows
}

// Kind implements job.Args.
func (cleanArgs) Kind() string { return "drive.clean" }

type userReq struct {
	UserID string `json:"userId" api:"required,id"`
}

func (s *Service) apiDeleteAll(ctx context.Context, c *api.Call, req userReq) (api.None, error) {
	return s.clean(ctx, cleanArgs{UserID: req.UserID})
}

func (s *Service) apiCleanup(ctx context.Context, _ *api.Call, _ struct{}) (api.None, error) {
	return s.clean(ctx, cleanArgs{Nobody: true})
}

func (s *Service) clean(ctx context.Context, a cleanArgs) (api.None, error) {
	return api.None{}, s.DB.Tx(ctx, func(tx *pg.Tx) error { return s.Queue.Insert(ctx, tx, a, time.Time{}) })
}

const sqlUncache = `UPDATE drive_blob SET name = NULL, until = NULL WHERE name IS NOT NULL`

// apiCleanRemote gives up what is kept of other servers' files; it is fetched
// again when somebody looks at it.
func (s *Service) apiCleanRemote(ctx context.Context, _ *api.Call, _ struct{}) (api.None, error) {
	_, err := s.DB.Exec(ctx, sqlUncache)
	return api.None{}, err
}

const (
	cleanBatch = 200
	sqlFilesOf = `SELECT id FROM drive_file WHERE user_id = $1 ORDER BY id DESC LIMIT 200`
	// Nobody's files are the server's own pictures, too: of emoji, decorations,
	// roles, announcements and settings.
	sqlNobodys = `
DELETE FROM drive_file WHERE id = ANY (ARRAY(
	SELECT f.id FROM drive_file f WHERE f.user_id IS NULL AND NOT f.is_link
		AND NOT EXISTS (SELECT FROM emoji e WHERE e.host IS NULL AND (e.original_url = f.url OR e.public_url = f.url))
		AND NOT EXISTS (SELECT FROM avatar_decoration d WHERE d.url = f.url)
		AND NOT EXISTS (SELECT FROM role r WHERE r.icon_url = f.url)
		AND NOT EXISTS (SELECT FROM announcement a WHERE a.image_url = f.url)
		AND NOT EXISTS (SELECT FROM meta m WHERE strpos(m.settings::text, f.url) > 0)
	ORDER BY f.id LIMIT 200))
RETURNING id`
)

// workClean removes files a few at a time. Run again it goes on where it was.
func (s *Service) workClean(ctx context.Context, a cleanArgs) error {
	for {
		var ids []string
		err := s.DB.Tx(ctx, func(tx *pg.Tx) (err error) {
			if a.Nobody {
				ids, err = texts(ctx, tx, sqlNobodys)
				return err
			}
			if ids, err = texts(ctx, tx, sqlFilesOf, a.UserID); err != nil || len(ids) == 0 {
				return err
			}
			if _, err := s.Remove(ctx, tx, a.UserID, ids); err != nil {
				return err
			}
			return s.Bus.Emit(ctx, tx, Gone{UserID: a.UserID, IDs: ids})
		})
		if err != nil {
			return fmt.Errorf("clean files: %w", err)
		}
		if len(ids) < cleanBatch {
			return nil
		}
	}
}

func texts(ctx context.Context, q pg.Q, sql string, args ...any) ([]string, error) {
	rows, err := q.Query(ctx, sql, args...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[string])
}
