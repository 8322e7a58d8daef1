package site

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// client is the web client as it was built: its files, and which of them the
// first page names, so that a browser fetches all of them at once.
type client struct {
	files   fs.FS
	script  string
	styles  []string
	preload []string
	locales map[string]string
}

// chunk is an entry of Vite's manifest.
type chunk struct {
	File    string   `json:"file"`
	CSS     []string `json:"css"`
	Imports []string `json:"imports"`
}

const entry = "src/main.ts"

// loadClient reads what was built; nil where nothing was.
func loadClient(files fs.FS) (*client, error) {
	b, err := fs.ReadFile(files, ".vite/manifest.json")
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("web client: %w", err)
	}
	var manifest map[string]chunk
	if err := json.Unmarshal(b, &manifest); err != nil {
		return nil, fmt.Errorf("web client: manifest: %w", err)
	}
	if manifest[entry].File == "" {
		return nil, fmt.Errorf("web client: the manifest does not name %s", entry)
	}
	c := &client{files: files, script: "/" + manifest[entry].File, locales: map[string]string{}}
	seen := map[string]bool{}
	var follow func(name string)
	follow = func(name string) {
		if seen[name] {
			return
		}
		seen[name] = true
		m := manifest[name]
		for _, s := range m.CSS {
			c.styles = append(c.styles, "/"+s)
		}
		if name != entry {
			c.preload = append(c.preload, "/"+m.File)
		}
		for _, i := range m.Imports {
			follow(i)
		}
	}
	follow(entry)
	for _, lang := range []string{"ko", "ja", "en"} {
		c.locales[lang] = "/" + manifest["src/locales/"+lang+".json"].File
	}
	return c, nil
}

// clientView is what a page says so that the client can take it over.
type clientView struct {
	Script  string
	Styles  []string
	Preload []string
	Boot    bootView
}

// bootView spares the client its first questions.
type bootView struct {
	Name        string   `json:"name"`
	Host        string   `json:"host"`
	Lang        string   `json:"lang"`
	Description string   `json:"description"`
	Closed      bool     `json:"closed"`   // an invitation is needed
	NeedsMail   bool     `json:"mail"`     // an address is needed
	Approval    bool     `json:"approval"` // a moderator lets new accounts in
	SendsMail   bool     `json:"sendsMail"`
	Rules       []string `json:"rules"`
	Previews    bool     `json:"previews"`           // links are shown with what is behind them
	Translates  bool     `json:"translates"`         // somebody is there to translate
	Captchas    []string `json:"captchas,omitempty"` // who asks whether one is a person
	Push        string   `json:"push"`               // the key by which push services know the server; "": it tells no browsers
}

func (s *Service) clientView(ctx context.Context, v *view) *clientView {
	if s.client == nil {
		return nil
	}
	set := s.meta.Get()
	b := bootView{Name: v.Site, Host: s.meta.Host, Lang: v.Lang, Closed: set.DisableRegistration,
		NeedsMail: set.EmailRequiredToSignup, Approval: set.ApprovalRequired, SendsMail: set.SendsMail(), Rules: set.ServerRules,
		Previews: set.URLPreviewEnabled, Translates: set.Translates()}
	if set.Description != nil {
		b.Description = *set.Description
	}
	for _, a := range set.Captchas() {
		b.Captchas = append(b.Captchas, a.Name)
	}
	if set.EnableServiceWorker {
		if key, err := s.meta.PushKey(ctx); err != nil {
			s.slog.Error("push key", "err", err) // the page does without
		} else {
			b.Push = key.Public
		}
	}
	return &clientView{Script: s.client.script, Styles: s.client.styles, Preload: append([]string{s.client.locales[v.Lang]}, s.client.preload...), Boot: b}
}

// clientsOwn are the client's pages that the server has no page for.
const clientsOwn = `timeline/(?:home|local|social|global)|my/notifications|my/drive(?:/folder/[^/]+)?|settings(?:/[a-z-]+)?|admin(?:/emojis)?|custom-emojis-manager` +
	`|about(?:/(?:emojis|charts))?|channels(?:/[^/]+(?:/edit)?)?|signin|forgot|reset-password/[^/]+|verify-email/[^/]+|signup-complete/[^/]+`

var (
	onlyClient  = regexp.MustCompile(`^/(?:` + clientsOwn + `)$`)
	clientPaths = regexp.MustCompile(`^/(?:|signup|@[^/]+|notes/[^/]+|` + clientsOwn + `)$`)
)

// wantsClient tells whether the empty client is the answer: for pages that only
// it has, and everywhere it goes for those who are signed in. A cookie without
// any secret says so, since the token never leaves the browser's storage.
func (s *Service) wantsClient(r *http.Request) bool {
	if s.client == nil || r.Method != http.MethodGet && r.Method != http.MethodHead {
		return false
	}
	if onlyClient.MatchString(r.URL.Path) {
		return true
	}
	c, err := r.Cookie("client")
	return err == nil && c.Value == "1" && clientPaths.MatchString(r.URL.Path)
}

func (s *Service) shell(w http.ResponseWriter, r *http.Request) {
	v := s.view(r)
	v.NoIndex = true
	s.render(w, http.StatusOK, "shell.html", v)
}

// policy is the Content-Security-Policy of a page. With the client, scripts are
// its files only, and no text becomes a script or an element. What it frames is this
// server's: the page for players, which package preview has.
func (s *Service) policy(withClient bool, forms string) string {
	media := "https: data: blob:"
	if !strings.HasPrefix(s.meta.Origin, "https:") {
		media = "http: " + media
	}
	common := "default-src 'none'; style-src 'self'; img-src 'self' " + media + "; media-src 'self' " + media + "; font-src 'self'; " +
		forms + "; base-uri 'none'; frame-ancestors 'none'"
	if !withClient {
		return common
	}
	ws := "ws" + strings.TrimPrefix(s.meta.Origin, "http")
	return common + "; script-src 'self'; connect-src 'self' " + ws + "; worker-src 'self'; manifest-src 'self'; frame-src 'self'" +
		"; require-trusted-types-for 'script'; trusted-types svelte-trusted-html app"
}

// serveAsset serves a file of the client. Its name changes with its content, so
// it may be kept for ever; one that is gone is 404, never a page.
func (s *Service) serveAsset(w http.ResponseWriter, r *http.Request) {
	name := path.Join("assets", r.PathValue("name"))
	if s.client == nil || strings.HasSuffix(name, ".br") || strings.HasSuffix(name, ".gz") {
		http.NotFound(w, r)
		return
	}
	b, err := fs.ReadFile(s.client.files, name)
	if err != nil {
		http.NotFound(w, r)
		return
	}
	h := w.Header()
	h.Set("Content-Type", mime.TypeByExtension(path.Ext(name)))
	h.Set("Cache-Control", "public, max-age=31536000, immutable")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Add("Vary", "Accept-Encoding")
	for _, enc := range []struct{ name, ext string }{{"br", ".br"}, {"gzip", ".gz"}} {
		if !accepts(r, enc.name) {
			continue
		}
		if small, err := fs.ReadFile(s.client.files, name+enc.ext); err == nil {
			h.Set("Content-Encoding", enc.name)
			b = small
			break
		}
	}
	h.Set("Content-Length", strconv.Itoa(len(b)))
	w.WriteHeader(http.StatusOK)
	if r.Method != http.MethodHead {
		_, _ = w.Write(b)
	}
}

func accepts(r *http.Request, coding string) bool {
	return slices.ContainsFunc(strings.Split(r.Header.Get("Accept-Encoding"), ","), func(part string) bool {
		name, q, _ := strings.Cut(part, ";")
		return strings.TrimSpace(name) == coding && strings.ReplaceAll(q, " ", "") != "q=0"
	})
}
