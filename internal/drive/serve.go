package drive

import (
	"errors"
	"io"
	"net/http"
	"time"

	"buttersc.one/oven/internal/lib/blob"
	"buttersc.one/oven/internal/lib/media"
	"buttersc.one/oven/internal/lib/pg"
)

const sqlServed = `
SELECT b.type, f.name FROM drive_blob b JOIN drive_file f ON f.id = b.file_id WHERE b.key = $1`

func (s *Service) serveFile(w http.ResponseWriter, r *http.Request) {
	key := r.PathValue("key")
	if blob.CheckKey(key) != nil {
		http.NotFound(w, r)
		return
	}
	var typ, name string
	if err := s.DB.QueryRow(r.Context(), sqlServed, key).Scan(&typ, &name); err != nil {
		if pg.NoRows(err) {
			http.NotFound(w, r)
		} else {
			http.Error(w, "", http.StatusInternalServerError)
		}
		return
	}
	f, err := s.Files.Open(r.Context(), key)
	if errors.Is(err, blob.ErrNotFound) {
		http.NotFound(w, r)
		return
	}
	if err != nil { // the store does not answer
		w.Header().Set("Retry-After", "10")
		http.Error(w, "", http.StatusServiceUnavailable)
		return
	}
	defer func() { _ = f.Close() }()
	w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	serve(w, r, typ, f, f.Info().Modified)
}

// serve gives bytes that strangers made: never a document of this server, never
// as anything that a browser would run (security rows 3 and 14). Ranges are
// given (RFC 9110 §14).
func serve(w http.ResponseWriter, r *http.Request, typ string, content io.ReadSeeker, modified time.Time) {
	h := w.Header()
	h.Set("Content-Security-Policy", "default-src 'none'; img-src 'self'; media-src 'self'; style-src 'unsafe-inline'; sandbox")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Access-Control-Allow-Origin", "*")
	h.Set("Cross-Origin-Resource-Policy", "cross-origin")
	h.Set("Timing-Allow-Origin", "*")
	if media.Safe(typ) {
		h.Set("Content-Type", typ)
		h.Set("Content-Disposition", "inline")
	} else {
		h.Set("Content-Type", media.Unknown)
		h.Set("Content-Disposition", "attachment")
	}
	http.ServeContent(w, r, "", modified, content)
}
