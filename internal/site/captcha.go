package site

import (
	"html/template"
	"net/http"
	"strings"

	"buttersc.one/oven/internal/lib/captcha"
)

// captchaPage is a page with nothing but a question.
var captchaPage = template.Must(template.New("").Parse(`<!doctype html><html lang="{{.Lang}}"><head><meta charset="utf-8"><title>{{.Title}}</title><meta name="color-scheme" content="light dark">` +
	`<style>html,body{margin:0;background:transparent}iframe{border:0;width:100%;height:80px}</style>` +
	`<script src="/captcha.js" defer></script>{{if .Widget.Script}}<script src="{{.Widget.Script}}" defer></script>{{end}}</head>` +
	`<body><div id="captcha" data-of="{{.Name}}" data-key="{{.Key}}" data-frame="{{.Widget.Frame}}">` +
	`{{if .Widget.Frame}}<iframe src="{{.Widget.Frame}}" title="{{.Title}}"></iframe>{{else if not .Widget.Script}}<button id="passed">{{.Title}}</button>{{end}}</div></body></html>`))

// serveCaptcha answers GET /captcha?of=NAME with the question of one of those who tell
// people from programs, for the client to put into a frame.
//
// So their scripts run in a page of their own, whose policy lets in what that one needs:
// the client's pages go on letting in no script but the client's.
func (s *Service) serveCaptcha(w http.ResponseWriter, r *http.Request) {
	name := r.URL.Query().Get("of")
	var asker *captcha.Asker
	for _, a := range s.meta.Get().Captchas() {
		if a.Name == name {
			asker = &a
		}
	}
	if asker == nil {
		http.NotFound(w, r)
		return
	}
	v := s.view(r)
	widget := asker.Widget()
	var b strings.Builder
	if err := captchaPage.Execute(&b, map[string]any{"Lang": v.Lang, "Title": v.T["captcha"], "Name": name, "Key": asker.SiteKey, "Widget": widget}); err != nil {
		s.slog.Error("captcha", "err", err)
		http.Error(w, "", http.StatusInternalServerError)
		return
	}
	from := strings.Join(widget.From, " ")
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", "default-src 'none'; script-src 'self' "+from+"; style-src 'unsafe-inline' "+from+"; frame-src "+from+
		"; connect-src "+from+"; img-src data: "+from+"; frame-ancestors 'self'; base-uri 'none'; form-action 'none'")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "strict-origin-when-cross-origin") // keys are of a host
	h.Set("Cache-Control", "no-store")
	h.Add("Vary", "Accept-Language, Cookie")
	_, _ = w.Write([]byte(b.String()))
}

func (s *Service) serveCaptchaScript(w http.ResponseWriter, r *http.Request) {
	b, err := assets.ReadFile("assets/captcha.js")
	if err != nil {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", "text/javascript; charset=utf-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Cache-Control", "public, max-age=3600")
	_, _ = w.Write(b)
}
