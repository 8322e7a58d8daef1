// Package site is in charge of the pages that people see without an app: the
// front page, accounts and notes with what link previews read, and a sign-up
// form. They need no JavaScript; where the web client was built, they bring it
// along, and it takes their place.
package site

import (
	"embed"
	"errors"
	"html/template"
	"io/fs"
	"log/slog"
	"net/http"
	"strings"

	"buttersc.one/oven/internal/auth"
	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/meta"
	"buttersc.one/oven/internal/note"
	"buttersc.one/oven/internal/socket/api"
	"buttersc.one/oven/internal/stats"
	"buttersc.one/oven/internal/timeline"
	"buttersc.one/oven/internal/user"
)

//go:embed assets
var assets embed.FS

// Service shows pages.
type Service struct {
	db       *pg.DB
	meta     *meta.Service
	auth     *auth.Service
	users    *user.Service
	notes    *note.Service
	lines    *timeline.Service
	stats    *stats.Service
	api      *api.Server
	slog     *slog.Logger
	page     *template.Template
	css      []byte
	client   *client // nil where it was not built
	sameSite *http.CrossOriginProtection
}

// New makes the service. built is the web client, an empty directory where there is
// none: then the pages without JavaScript are all there is.
func New(built fs.FS, db *pg.DB, m *meta.Service, a *auth.Service, us *user.Service, ns *note.Service, ts *timeline.Service, st *stats.Service, srv *api.Server, l *slog.Logger) (*Service, error) {
	t, err := template.New("").ParseFS(assets, "assets/*.html")
	if err != nil {
		return nil, err
	}
	css, err := assets.ReadFile("assets/style.css")
	if err != nil {
		return nil, err
	}
	c, err := loadClient(built)
	if err != nil {
		return nil, err
	}
	return &Service{db: db, meta: m, auth: a, users: us, notes: ns, lines: ts, stats: st, api: srv, slog: l, page: t, css: css, client: c,
		sameSite: http.NewCrossOriginProtection()}, nil
}

// view is what every page is made of.
type view struct {
	T           map[string]string // texts in the reader's language
	Lang        string
	Site        string // the server's name
	Description string
	Title       string
	Canonical   string
	Image       string
	Alternate   string // address of the ActivityPub document
	Feed        string // path of the feeds, without their ending; "": none
	NoIndex     bool
	Theme       string      // light or dark where the reader chose one
	Client      *clientView // nil on pages that stay without JavaScript
	Meta        []metaTag
	Body        any
}

// metaTag tells programs something about a page.
type metaTag struct{ Name, Content string }

// Page answers everything that is not an endpoint, a file or a document.
func (s *Service) Page() http.Handler { return http.HandlerFunc(s.servePage) }

func (s *Service) servePage(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		w.WriteHeader(http.StatusMethodNotAllowed)
		return
	}
	if name, kind, ok := feedOf(r.URL.Path); ok {
		if !s.feed(w, r, name, kind) {
			http.NotFound(w, r)
		}
		return
	}
	if s.wantsClient(r) {
		s.shell(w, r)
		return
	}
	var err error
	switch path := r.URL.Path; {
	case path == "/":
		err = s.home(w, r)
	case strings.HasPrefix(path, "/@"):
		err = s.account(w, r, strings.TrimPrefix(path, "/@"))
	case strings.HasPrefix(path, "/users/"):
		err = s.accountByID(w, r, strings.TrimPrefix(path, "/users/"))
	case strings.HasPrefix(path, "/notes/"):
		err = s.note(w, r, strings.TrimPrefix(path, "/notes/"))
	case strings.HasPrefix(path, "/tags/"):
		err = s.tag(w, r, strings.TrimPrefix(path, "/tags/"))
	default:
		err = errMissing
	}
	s.finish(w, r, err)
}

var errMissing = errors.New("no such page")

// finish answers with the page for an error, if there is one.
func (s *Service) finish(w http.ResponseWriter, r *http.Request, err error) {
	switch {
	case err == nil:
	case errors.Is(err, errMissing), errors.Is(err, user.ErrNotFound), errors.Is(err, note.ErrNotFound):
		v := s.view(r)
		v.Title, v.NoIndex = v.T["missing"], true
		s.render(w, http.StatusNotFound, "missing.html", v)
	default:
		s.slog.Error("page", "path", r.URL.Path, "err", err)
		v := s.view(r)
		v.Title, v.NoIndex = v.T["broken"], true
		s.render(w, http.StatusInternalServerError, "broken.html", v)
	}
}

func (s *Service) view(r *http.Request) *view {
	lang := languageOf(r.Header.Get("Accept-Language"))
	if chosen := cookie(r, "lang"); texts(chosen) != nil {
		lang = chosen
	}
	set := s.meta.Get()
	v := &view{T: texts(lang), Lang: lang, Site: s.meta.Host, Canonical: s.meta.Origin + r.URL.Path}
	if set.Name != nil {
		v.Site = *set.Name
	}
	if set.Description != nil {
		v.Description = *set.Description
	}
	if t := cookie(r, "theme"); t == "light" || t == "dark" {
		v.Theme = t
	}
	v.Title, v.Client = v.Site, s.clientView(r.Context(), v)
	return v
}

func cookie(r *http.Request, name string) string {
	c, err := r.Cookie(name)
	if err != nil {
		return ""
	}
	return c.Value
}

func (s *Service) render(w http.ResponseWriter, status int, name string, v *view) {
	s.renderWith(w, status, name, v, "form-action 'self'")
}

func (s *Service) renderWith(w http.ResponseWriter, status int, name string, v *view, forms string) {
	var b strings.Builder
	if err := s.page.ExecuteTemplate(&b, name, v); err != nil {
		s.slog.Error("page", "template", name, "err", err)
		http.Error(w, "", http.StatusInternalServerError)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", s.policy(v.Client != nil, forms))
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "strict-origin-when-cross-origin")
	h.Add("Vary", "Accept-Language, Cookie")
	if h.Get("Cache-Control") == "" {
		h.Set("Cache-Control", "private, max-age=0, must-revalidate")
	}
	w.WriteHeader(status)
	_, _ = w.Write([]byte(b.String()))
}

// Routes are the pages with addresses of their own.
func (s *Service) Routes() []api.Route {
	return []api.Route{
		{Pattern: "GET /signup", Handler: http.HandlerFunc(s.serveForm)},
		{Pattern: "POST /signup", Handler: s.sameSite.Handler(http.HandlerFunc(s.serveSignup))},
		{Pattern: "GET /miauth/{session}", Handler: http.HandlerFunc(s.serveMiauth)},
		{Pattern: "POST /miauth/{session}", Handler: s.sameSite.Handler(http.HandlerFunc(s.serveMiauthForm))},
		{Pattern: "GET /auth/{token}", Handler: http.HandlerFunc(s.serveSession)},
		{Pattern: "POST /auth/{token}", Handler: s.sameSite.Handler(http.HandlerFunc(s.serveSessionForm))},
		{Pattern: "GET /oauth/authorize", Handler: http.HandlerFunc(s.serveAuthorize)},
		{Pattern: "POST /oauth/decision", Handler: s.sameSite.Handler(http.HandlerFunc(s.serveDecision))},
		{Pattern: "GET /assets/{name}", Handler: http.HandlerFunc(s.serveAsset)},
		{Pattern: "GET /sw.js", Handler: http.HandlerFunc(s.serveWorker)},
		{Pattern: "GET /manifest.json", Handler: http.HandlerFunc(s.serveManifest)},
		{Pattern: "GET /icons/{name}", Handler: http.HandlerFunc(serveIcon)},
		{Pattern: "GET /captcha", Handler: http.HandlerFunc(s.serveCaptcha)},
		{Pattern: "GET /captcha.js", Handler: http.HandlerFunc(s.serveCaptchaScript)},
		{Pattern: "GET /robots.txt", Handler: http.HandlerFunc(serveRobots)},
		{Pattern: "GET /style.css", Handler: http.HandlerFunc(s.serveStyle)},
	}
}

func serveRobots(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = w.Write([]byte("User-agent: *\nDisallow: /api/\nDisallow: /proxy/\nDisallow: /url\nAllow: /\n"))
}

func (s *Service) serveStyle(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/css; charset=utf-8")
	w.Header().Set("Cache-Control", "public, max-age=3600")
	_, _ = w.Write(s.css)
}
