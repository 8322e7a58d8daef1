// Package drive is in charge of files: those that people and operators put
// here, and remote ones that are known by their address. Uploading over the
// API, thumbnails and quotas are still to come.
package drive

import (
	"bytes"
	"context"
	"crypto/md5"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"

	"buttersc.one/oven/internal/lib/ap"
	"buttersc.one/oven/internal/lib/blob"
	"buttersc.one/oven/internal/lib/id"
	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/meta"
	"buttersc.one/oven/internal/socket/api"
)

// ErrNotFound says that there is no such file, or that it is another's.
var ErrNotFound = errors.New("no such file")

// File is a file's row.
type File struct {
	ID           string
	UserID       *string
	UserHost     *string
	MD5          string
	Name         string
	Type         string
	Size         int64
	Comment      *string
	Blurhash     *string
	Properties   json.RawMessage
	URL          string
	ThumbnailURL *string
	URI          *string
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
	Folder       *struct{}       `json:"folder"`
	UserID       *string         `json:"userId"`
	User         *struct{}       `json:"user"`
}

// Service keeps files.
type Service struct {
	db    *pg.DB
	meta  *meta.Service
	ids   *id.Maker
	store blob.Store
}

// New makes the service.
func New(db *pg.DB, m *meta.Service, ids *id.Maker, store blob.Store) *Service {
	return &Service{db: db, meta: m, ids: ids, store: store}
}

const (
	cols     = `id, user_id, user_host, md5, name, type, size, comment, blurhash, properties, url, thumbnail_url, uri, is_sensitive, is_link`
	sqlByIDs = `SELECT ` + cols + ` FROM drive_file WHERE id = ANY($1)`
)

func scan(r pgx.CollectableRow) (*File, error) {
	f := &File{}
	return f, r.Scan(&f.ID, &f.UserID, &f.UserHost, &f.MD5, &f.Name, &f.Type, &f.Size, &f.Comment, &f.Blurhash, &f.Properties,
		&f.URL, &f.ThumbnailURL, &f.URI, &f.IsSensitive, &f.IsLink)
}

// ByIDs reads files; missing ones are missing.
func (s *Service) ByIDs(ctx context.Context, q pg.Q, ids []string) (map[string]*File, error) {
	out := make(map[string]*File, len(ids))
	if len(ids) == 0 {
		return out, nil
	}
	rows, err := q.Query(ctx, sqlByIDs, ids)
	if err != nil {
		return nil, fmt.Errorf("files: %w", err)
	}
	list, err := pgx.CollectRows(rows, scan)
	if err != nil {
		return nil, fmt.Errorf("files: %w", err)
	}
	for _, f := range list {
		out[f.ID] = f
	}
	return out, nil
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

// Pack is the file as clients see it.
func (s *Service) Pack(f *File) *Packed {
	p := &Packed{ID: f.ID, Name: f.Name, Type: f.Type, MD5: f.MD5, Size: f.Size, IsSensitive: f.IsSensitive, Blurhash: f.Blurhash,
		Properties: f.Properties, URL: f.URL, ThumbnailURL: f.ThumbnailURL, Comment: f.Comment, UserID: f.UserID}
	if t, err := s.ids.Method().Time(f.ID); err == nil {
		p.CreatedAt = api.Time(t)
	}
	if p.ThumbnailURL == nil && strings.HasPrefix(f.Type, "image/") {
		p.ThumbnailURL = &f.URL
	}
	return p
}

// AP is the file as an attachment.
func (s *Service) AP(f *File) ap.Document {
	d := ap.Document{Type: "Document", MediaType: f.Type, URL: f.URL, Name: f.Comment, Sensitive: f.IsSensitive, Blurhash: f.Blurhash}
	var p struct{ Width, Height int }
	if json.Unmarshal(f.Properties, &p) == nil {
		d.Width, d.Height = p.Width, p.Height
	}
	return d
}

// MaxAttachments of one note.
const MaxAttachments = 16

const sqlLink = `
INSERT INTO drive_file (id, user_id, user_host, name, type, comment, blurhash, properties, url, uri, is_sensitive, is_link)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $9, $10, true)`

// Link records the attachments of a remote document as links, in tx, and gives
// their ids. Only http addresses count; what has no picture, sound or film is
// taken all the same.
func (s *Service) Link(ctx context.Context, tx *pg.Tx, userID string, host *string, at time.Time, attachments []*ap.Object, sensitive bool) ([]*File, error) {
	var out []*File
	for _, a := range attachments {
		if len(out) == MaxAttachments {
			break
		}
		url := a.URL("")
		if url == "" {
			url = a.String("href")
		}
		if !strings.HasPrefix(url, "https://") && !strings.HasPrefix(url, "http://") || len(url) > 1024 {
			continue
		}
		f := &File{ID: s.ids.At(at), UserID: &userID, UserHost: host, Name: nameOf(url), Type: mediaType(a), URL: url, URI: &url,
			IsSensitive: sensitive || a.Bool("sensitive"), IsLink: true, Properties: properties(a)}
		if c := cut(a.String("name"), 512); c != "" {
			f.Comment = &c
		}
		if h := a.String("blurhash"); h != "" && len(h) <= 128 {
			f.Blurhash = &h
		}
		if _, err := tx.Exec(ctx, sqlLink, f.ID, userID, host, f.Name, f.Type, f.Comment, f.Blurhash, []byte(f.Properties), url, f.IsSensitive); err != nil {
			return nil, fmt.Errorf("link file: %w", err)
		}
		out = append(out, f)
	}
	return out, nil
}

func mediaType(a *ap.Object) string {
	mt := a.String("mediaType")
	if mt != "" && len(mt) <= 128 && strings.Count(mt, "/") == 1 {
		return strings.ToLower(mt)
	}
	for typ, mt := range map[string]string{"Image": "image/unknown", "Video": "video/unknown", "Audio": "audio/unknown"} {
		if a.Is(typ) {
			return mt
		}
	}
	return "application/octet-stream"
}

func properties(a *ap.Object) json.RawMessage {
	p := map[string]int{}
	for _, key := range []string{"width", "height"} {
		if n, ok := a.Int(key); ok && n > 0 && n < 1<<20 {
			p[key] = n
		}
	}
	b, _ := json.Marshal(p) // numbers cannot fail
	return b
}

func nameOf(url string) string {
	url, _, _ = strings.Cut(url, "?")
	n := cut(path.Base(url), 200)
	if n == "" || n == "." || n == "/" {
		return "untitled"
	}
	return n
}

func cut(s string, max int) string {
	s = strings.ToValidUTF8(strings.ReplaceAll(s, "\x00", ""), "")
	if utf8.RuneCountInString(s) > max {
		s = string([]rune(s)[:max])
	}
	return s
}

// MaxStored of one file in bytes, when it is put here by the operator.
const MaxStored = 8 << 20

// inline are the types that browsers are given as what they are; everything
// else is a download (security row 3: never a document of ours).
var inline = map[string]bool{"image/png": true, "image/gif": true, "image/jpeg": true, "image/webp": true, "image/avif": true, "image/apng": true}

const sqlStore = `
INSERT INTO drive_file (id, md5, name, type, size, url) VALUES ($1, $2, $3, $4, $5, $6)`

// Store puts a picture of the server's own (an emoji) here. What it is is read
// from its bytes, never from its name.
func (s *Service) Store(ctx context.Context, name string, r io.Reader) (*File, error) {
	b, err := io.ReadAll(io.LimitReader(r, MaxStored+1))
	if err != nil {
		return nil, fmt.Errorf("store file: %w", err)
	}
	if len(b) > MaxStored {
		return nil, errors.New("the file is larger than 8 MiB")
	}
	typ := http.DetectContentType(b)
	if !inline[typ] {
		return nil, fmt.Errorf("the file is %s, not a PNG, GIF, JPEG, WebP or AVIF picture", typ)
	}
	key := id.Random(32)
	if _, err := s.store.Put(ctx, key, bytes.NewReader(b), blob.PutOptions{ContentType: typ, Max: MaxStored}); err != nil {
		return nil, fmt.Errorf("store file: %w", err)
	}
	sum := md5.Sum(b)
	f := &File{ID: s.ids.Now(), MD5: hex.EncodeToString(sum[:]), Name: cut(name, 200), Type: typ, Size: int64(len(b)),
		URL: s.meta.Origin + "/files/" + key}
	if _, err := s.db.Exec(ctx, sqlStore, f.ID, f.MD5, f.Name, f.Type, f.Size, f.URL); err != nil {
		return nil, fmt.Errorf("store file: %w", err)
	}
	return f, nil
}

// Routes serve the files.
func (s *Service) Routes() []api.Route {
	return []api.Route{{Pattern: "GET /files/{key}", Handler: http.HandlerFunc(s.serveFile)}}
}

const sqlTypeOf = `SELECT type FROM drive_file WHERE url = $1 AND NOT is_link`

func (s *Service) serveFile(w http.ResponseWriter, r *http.Request) {
	key := r.PathValue("key")
	if blob.CheckKey(key) != nil {
		http.NotFound(w, r)
		return
	}
	var typ string
	if err := s.db.QueryRow(r.Context(), sqlTypeOf, s.meta.Origin+"/files/"+key).Scan(&typ); err != nil {
		if pg.NoRows(err) {
			http.NotFound(w, r)
		} else {
			http.Error(w, "", http.StatusInternalServerError)
		}
		return
	}
	f, err := s.store.Open(r.Context(), key)
	if err != nil {
		http.NotFound(w, r)
		return
	}
	defer func() { _ = f.Close() }()
	h := w.Header()
	h.Set("Content-Security-Policy", "default-src 'none'; sandbox")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Access-Control-Allow-Origin", "*")
	h.Set("Cache-Control", "public, max-age=31536000, immutable")
	if inline[typ] {
		h.Set("Content-Type", typ)
	} else {
		h.Set("Content-Type", "application/octet-stream")
		h.Set("Content-Disposition", "attachment")
	}
	http.ServeContent(w, r, "", f.Info().Modified, f)
}
