package drive

import (
	"context"
	"encoding/json"
	"fmt"
	"path"
	"strings"
	"time"

	"buttersc.one/oven/internal/lib/ap"
	"buttersc.one/oven/internal/lib/pg"
)

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
		f := &File{ID: s.IDs.At(at), UserID: &userID, UserHost: host, Name: nameOf(url), Type: mediaType(a), URL: url, URI: &url,
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
