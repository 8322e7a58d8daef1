package preview

import (
	"crypto/sha256"
	"encoding/base64"
	"html/template"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

const playerStyle = "html,body,iframe{margin:0;border:0;width:100%;height:100%;display:block;background:#000}"

// playerPage is a page with nothing but the player's frame. It cannot leave its
// frame, nor take the reader elsewhere, but may open a window when it is pressed.
var playerPage = template.Must(template.New("").Parse(`<!doctype html><html><head><meta charset="utf-8"><title>{{.Title}}</title><style>` + playerStyle + `</style></head>` +
	`<body><iframe src="{{.URL}}" title="{{.Title}}" allow="{{.Allow}}" sandbox="allow-scripts allow-same-origin allow-popups allow-popups-to-escape-sandbox allow-storage-access-by-user-activation"></iframe></body></html>`))

// servePlayer answers GET /url/player?url=…&lang=… with the player of a page whose
// summary is known, for the client to put into a frame.
//
// The client's own pages let no frame in but this server's (frame-src 'self'), and
// none of this server's pages may be framed but this one. So what a stranger made
// comes in only after the reader has pressed, and only what was found at that page:
// nothing in the request says what is framed.
func (s *Service) servePlayer(w http.ResponseWriter, r *http.Request) {
	want, ok := read(r.URL.Query())
	if !ok || !s.Meta.Get().URLPreviewEnabled || s.Policy.Allowed(r.Context(), want.host) != nil {
		http.NotFound(w, r)
		return
	}
	f, err := s.kept(r.Context(), want)
	if err != nil || f.summary == nil || f.summary.Player.URL == nil {
		http.NotFound(w, r)
		return
	}
	p := f.summary.Player
	at, err := url.Parse(*p.URL)
	if err != nil {
		http.NotFound(w, r)
		return
	}
	if slices.Contains(p.Allow, "autoplay") { // the reader has pressed already; two spellings are about
		q := at.Query()
		q.Set("autoplay", "1")
		q.Set("auto_play", "1")
		at.RawQuery = q.Encode()
	}
	var b strings.Builder
	if err := playerPage.Execute(&b, map[string]string{"Title": *f.summary.Title, "URL": at.String(), "Allow": strings.Join(p.Allow, "; ")}); err != nil {
		s.Slog.Error("player", "err", err)
		http.Error(w, "", http.StatusInternalServerError)
		return
	}
	sum := sha256.Sum256([]byte(playerStyle))
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", "default-src 'none'; frame-src https:; style-src 'sha256-"+base64.StdEncoding.EncodeToString(sum[:])+"'; frame-ancestors 'self'; base-uri 'none'; form-action 'none'")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "strict-origin-when-cross-origin") // some players refuse to play for nobody
	h.Set("Cache-Control", "private, max-age=300")
	_, _ = w.Write([]byte(b.String()))
}
