package site

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"io/fs"
	"net/http"
	"path"
	"time"
)

// manifest tells browsers how the client is installed as an app (W3C Web App Manifest).
type manifest struct {
	ID         string         `json:"id"`
	Name       string         `json:"name"`
	ShortName  string         `json:"short_name,omitempty"`
	About      string         `json:"description,omitempty"`
	Lang       string         `json:"lang"`
	StartURL   string         `json:"start_url"`
	Scope      string         `json:"scope"`
	Display    string         `json:"display"`
	Background string         `json:"background_color"`
	Theme      string         `json:"theme_color"`
	Icons      []manifestIcon `json:"icons"`
}

type manifestIcon struct {
	Src     string `json:"src"`
	Sizes   string `json:"sizes"`
	Type    string `json:"type,omitempty"`
	Purpose string `json:"purpose,omitempty"`
}

// colours of a server that chose none.
const (
	background = "#f5f5f2"
	accent     = "#1c6e63"
)

func (s *Service) serveManifest(w http.ResponseWriter, r *http.Request) {
	v, set := s.view(r), s.meta.Get()
	m := manifest{ID: "/", Name: v.Site, About: v.Description, Lang: v.Lang, StartURL: "/", Scope: "/", Display: "standalone", Background: background, Theme: accent,
		Icons: []manifestIcon{{Src: "/icons/192.png", Sizes: "192x192", Type: "image/png"}, {Src: "/icons/512.png", Sizes: "512x512", Type: "image/png"},
			{Src: "/icons/maskable.png", Sizes: "512x512", Type: "image/png", Purpose: "maskable"}}}
	if set.ShortName != nil {
		m.ShortName = *set.ShortName
	}
	if set.ThemeColor != nil {
		m.Theme = *set.ThemeColor
	}
	if set.IconURL != nil {
		m.Icons = append([]manifestIcon{{Src: *set.IconURL, Sizes: "any"}}, m.Icons...)
	}
	b, err := json.Marshal(m)
	if err != nil {
		s.slog.Error("manifest", "err", err)
		http.Error(w, "", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/manifest+json")
	w.Header().Set("Cache-Control", "private, max-age=300")
	w.Header().Add("Vary", "Accept-Language, Cookie")
	_, _ = w.Write(b)
}

// serveIcon serves the pictures that the manifest and notifications name.
func serveIcon(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("name")
	b, err := assets.ReadFile("assets/icons/" + name)
	if err != nil || path.Base(name) != name {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Cache-Control", "public, max-age=86400")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; sandbox")
	http.ServeContent(w, r, name, time.Time{}, bytes.NewReader(b))
}

// serveWorker serves the client's service worker. Its address stays, so browsers ask each
// time whether it is another one by now.
func (s *Service) serveWorker(w http.ResponseWriter, r *http.Request) {
	if s.client == nil {
		http.NotFound(w, r)
		return
	}
	b, err := fs.ReadFile(s.client.files, "sw.js")
	if err != nil {
		http.NotFound(w, r)
		return
	}
	sum := sha256.Sum256(b)
	w.Header().Set("Content-Type", "text/javascript; charset=utf-8")
	w.Header().Set("Cache-Control", "no-cache")
	w.Header().Set("ETag", `"`+base64.RawURLEncoding.EncodeToString(sum[:12])+`"`)
	w.Header().Set("X-Content-Type-Options", "nosniff")
	// The worker runs under its own policy, not its page's.
	w.Header().Set("Content-Security-Policy", "default-src 'none'; connect-src 'self'")
	http.ServeContent(w, r, "sw.js", time.Time{}, bytes.NewReader(b))
}
