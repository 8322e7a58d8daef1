// Package drive is in charge of files: those that people and operators put
// here, with what is made of them, and remote ones that are known by their
// address or kept for a while.
//
// What is in the store has a row (drive_blob) before it has bytes, and the row
// outlives the file: bytes of no file are erased, whatever went wrong.
package drive

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"

	"buttersc.one/oven/internal/lib/ap"
	"buttersc.one/oven/internal/lib/blob"
	"buttersc.one/oven/internal/lib/id"
	"buttersc.one/oven/internal/lib/media"
	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/meta"
	"buttersc.one/oven/internal/role"
	"buttersc.one/oven/internal/socket/api"
	"buttersc.one/oven/internal/socket/event"
	"buttersc.one/oven/internal/socket/job"
	"buttersc.one/oven/internal/socket/log"
	"buttersc.one/oven/internal/socket/stream"
	"buttersc.one/oven/internal/user"
)

// ErrNotFound says that there is no such file, or that it is another's.
var ErrNotFound = errors.New("no such file")

// File is a file's row.
type File struct {
	ID           string
	UserID       *string
	UserHost     *string
	MD5          string // of what was uploaded
	Name         string
	Type         string
	PublicType   *string // of what url gives, where that is another picture than the original
	Size         int64
	Comment      *string
	Blurhash     *string
	Properties   json.RawMessage
	URL          string
	ThumbnailURL *string
	URI          *string
	FolderID     *string
	IsSensitive  bool
	IsLink       bool
}

// Packed is a file as clients see it.
type Packed struct {
	ID           string          `json:"id"`
	CreatedAt    api.Time        `json:"createdAt"`
	Name         string          `json:"name"`
	Type         string          `json:"type"`
	MD5          string          `json:"md5"`
	Size         int64           `json:"size"`
	IsSensitive  bool            `json:"isSensitive"`
	Blurhash     *string         `json:"blurhash"`
	Properties   json.RawMessage `json:"properties"`
	URL          string          `json:"url"`
	ThumbnailURL *string         `json:"thumbnailUrl"`
	Comment      *string         `json:"comment"`
	FolderID     *string         `json:"folderId"`
	Folder       *PackedFolder   `json:"folder"`
	UserID       *string         `json:"userId"`
	User         *user.Lite      `json:"user"`
}

// Deps are what the slice stands on.
type Deps struct {
	DB     *pg.DB
	Meta   *meta.Service
	Roles  *role.Service
	Users  *user.Service
	IDs    *id.Maker
	Files  blob.Store
	Engine *media.Engine
	Dir    string            // for files in the making, on the disk of the store
	Door   http.RoundTripper // guarded, to other servers
	Queue  *job.Queue
	Bus    *event.Bus
	Log    *log.Log
	Hub    *stream.Hub
	Slog   *slog.Logger
	Now    func() time.Time
}

// Service keeps files.
type Service struct {
	Deps
	fetch *http.Client
	proxy *proxy
	kept  struct {
		mu sync.Mutex
		at time.Time // of the figure
		Kept
	}
}

// New makes the service.
func New(d Deps) *Service {
	s := &Service{Deps: d, fetch: &http.Client{Transport: d.Door, CheckRedirect: fewRedirects}}
	s.proxy = newProxy(s)
	return s
}

const (
	cols = `id, user_id, user_host, md5, name, type, public_type, size, comment, blurhash, properties, url, thumbnail_url, uri, folder_id, is_sensitive, is_link`

	sqlByIDs = `SELECT ` + cols + ` FROM drive_file WHERE id = ANY($1)`
)

func scan(r pgx.CollectableRow) (*File, error) {
	f := &File{}
	return f, r.Scan(&f.ID, &f.UserID, &f.UserHost, &f.MD5, &f.Name, &f.Type, &f.PublicType, &f.Size, &f.Comment, &f.Blurhash, &f.Properties,
		&f.URL, &f.ThumbnailURL, &f.URI, &f.FolderID, &f.IsSensitive, &f.IsLink)
}

func query(ctx context.Context, q pg.Q, sql string, args ...any) ([]*File, error) {
	rows, err := q.Query(ctx, sql, args...)
	if err != nil {
		return nil, fmt.Errorf("files: %w", err)
	}
	list, err := pgx.CollectRows(rows, scan)
	if err != nil {
		return nil, fmt.Errorf("files: %w", err)
	}
	return list, nil
}

// ByIDs reads files; missing ones are missing.
func (s *Service) ByIDs(ctx context.Context, q pg.Q, ids []string) (map[string]*File, error) {
	out := make(map[string]*File, len(ids))
	if len(ids) == 0 {
		return out, nil
	}
	list, err := query(ctx, q, sqlByIDs, ids)
	for _, f := range list {
		out[f.ID] = f
	}
	return out, err
}

// Owned gives the files in the order of ids; ErrNotFound when one is missing
// or not the user's.
func (s *Service) Owned(ctx context.Context, q pg.Q, userID string, ids []string) ([]*File, error) {
	found, err := s.ByIDs(ctx, q, ids)
	if err != nil {
		return nil, err
	}
	out := make([]*File, 0, len(ids))
	for _, id := range ids {
		f := found[id]
		if f == nil || f.UserID == nil || *f.UserID != userID {
			return nil, ErrNotFound
		}
		out = append(out, f)
	}
	return out, nil
}

// shown is what properties tell clients: a picture that is stored on its side has
// its sides the other way round.
type shown struct {
	Width       int    `json:"width,omitempty"`
	Height      int    `json:"height,omitempty"`
	Orientation int    `json:"orientation,omitempty"`
	AvgColor    string `json:"avgColor,omitempty"`
}

// Pack is the file as clients see it.
func (s *Service) Pack(f *File) *Packed {
	p := &Packed{ID: f.ID, Name: f.Name, Type: f.Type, MD5: f.MD5, Size: f.Size, IsSensitive: f.IsSensitive, Blurhash: f.Blurhash,
		Properties: f.Properties, URL: f.URL, ThumbnailURL: f.ThumbnailURL, Comment: f.Comment, FolderID: f.FolderID, UserID: f.UserID}
	if t, err := s.IDs.Method().Time(f.ID); err == nil {
		p.CreatedAt = api.Time(t)
	}
	var size shown
	if json.Unmarshal(f.Properties, &size) == nil && size.Orientation >= 5 {
		size.Width, size.Height = size.Height, size.Width
		p.Properties, _ = json.Marshal(size) // numbers cannot fail
	}
	picture := strings.HasPrefix(f.Type, "image/")
	switch {
	case f.IsLink && picture && s.Meta.Get().ProxyRemoteFiles:
		p.URL, p.ThumbnailURL = s.Meta.Proxied(f.URL, meta.ProxyWhole), ptr(s.Meta.Proxied(f.URL, meta.ProxyStatic))
	case p.ThumbnailURL == nil && picture && media.Safe(f.Type):
		p.ThumbnailURL = &p.URL
	}
	return p
}

func ptr[T any](v T) *T { return &v }

// AP is the file as an attachment.
func (s *Service) AP(f *File) ap.Document {
	d := ap.Document{Type: "Document", MediaType: f.Type, URL: f.URL, Name: f.Comment, Sensitive: f.IsSensitive, Blurhash: f.Blurhash}
	if f.PublicType != nil {
		d.MediaType = *f.PublicType
	}
	var p shown
	if json.Unmarshal(f.Properties, &p) == nil {
		d.Width, d.Height = p.Width, p.Height
		if p.Orientation >= 5 {
			d.Width, d.Height = p.Height, p.Width
		}
	}
	return d
}

func cut(s string, max int) string {
	s = strings.ToValidUTF8(strings.ReplaceAll(s, "\x00", ""), "")
	if utf8.RuneCountInString(s) > max {
		s = string([]rune(s)[:max])
	}
	return s
}

// Endpoints is the API of this slice.
func (s *Service) Endpoints() []api.Endpoint {
	return slices.Concat(s.fileEndpoints(), s.folderEndpoints(), s.adminEndpoints())
}

// Routes serve the files.
func (s *Service) Routes() []api.Route {
	return []api.Route{
		{Pattern: "GET /files/{key}", Handler: http.HandlerFunc(s.serveFile)},
		{Pattern: "GET /proxy/{name}", Handler: http.HandlerFunc(s.serveProxy)},
	}
}

// Jobs of this slice.
func (s *Service) Jobs() []job.Worker {
	return []job.Worker{job.Every(eraseEvery, eraseArgs{}, s.Erase), job.Low(evictEvery, evictArgs{}, s.Evict), job.Few(fromURLTries, s.workFromURL), job.Work(s.workClean)}
}

// Channels of this slice.
func (s *Service) Channels() []stream.Channel {
	return []stream.Channel{{Name: "drive", Login: true, Scope: "read:account", Shared: true, Open: openDrive}}
}

// Consumers tell people who are connected of their files.
func (s *Service) Consumers() []log.Consumer {
	return []log.Consumer{{Name: "drive.live", Kinds: []string{created, updated, deleted, folderCreated, folderUpdated, folderDeleted, urlDone}, Handle: s.onChanges}}
}
