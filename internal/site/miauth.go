package site

import (
	"errors"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"buttersc.one/oven/internal/auth"
	"buttersc.one/oven/internal/socket/api"
)

// consentBody is the page on which a person lets an app in (MiAuth).
type consentBody struct {
	Name        string
	Icon        string
	Permissions []string
	Action      string
	Username    string
	Problem     string
	AskToken    bool // the account wants a code, too
	Done        bool
	Callback    string // where the app waits, shown before anything is sent there
}

var sessionForm = regexp.MustCompile(`^[A-Za-z0-9-]{8,128}$`)

// consent reads what an app asks for out of the page's address. Permissions
// that do not exist are left out, as Misskey does.
func (s *Service) consent(r *http.Request) (*consentBody, bool) {
	q := r.URL.Query()
	if !sessionForm.MatchString(r.PathValue("session")) {
		return nil, false
	}
	b := &consentBody{Name: limit(q.Get("name"), 128), Icon: q.Get("icon"), Action: r.URL.RequestURI(), Permissions: []string{}}
	known := auth.Permissions()
	for _, p := range strings.Split(q.Get("permission"), ",") {
		if slices.Contains(known, p) && !slices.Contains(b.Permissions, p) {
			b.Permissions = append(b.Permissions, p)
		}
	}
	if u, err := url.Parse(b.Icon); err != nil || u.Scheme != "https" {
		b.Icon = ""
	}
	b.Callback = callback(q.Get("callback"))
	return b, true
}

func limit(s string, max int) string {
	if r := []rune(s); len(r) > max {
		return string(r[:max])
	}
	return s
}

// callback is the address to go back to: the web, or an app's own scheme; never
// one that a browser would run (security row 6).
func callback(raw string) string {
	u, err := url.Parse(raw)
	if err != nil || u.Scheme == "" || len(raw) > 1024 {
		return ""
	}
	switch strings.ToLower(u.Scheme) {
	case "javascript", "data", "file", "mailto", "blob", "vbscript":
		return ""
	}
	return raw
}

func (s *Service) serveConsent(w http.ResponseWriter, r *http.Request) {
	b, ok := s.consent(r)
	if !ok {
		s.finish(w, r, errMissing)
		return
	}
	s.showConsent(w, r, http.StatusOK, b)
}

func (s *Service) showConsent(w http.ResponseWriter, r *http.Request, status int, b *consentBody) {
	v := s.view(r)
	v.Title, v.NoIndex, v.Body = v.T["allow"], true, b
	v.Client = nil // a page for the password of an app's guest stays without scripts
	w.Header().Set("Cache-Control", "no-store")
	// The form's answer may lead to the app's own scheme.
	s.renderWith(w, status, "miauth.html", v, "form-action *")
}

// serveAllow signs the person in with the password and gives the app its token:
// the app fetches it by the session (miauth/<session>/check).
func (s *Service) serveAllow(w http.ResponseWriter, r *http.Request) {
	b, ok := s.consent(r)
	r.Body = http.MaxBytesReader(w, r.Body, 16<<10)
	if !ok || r.ParseForm() != nil {
		s.finish(w, r, errMissing)
		return
	}
	b.Username = strings.TrimPrefix(strings.TrimSpace(r.PostFormValue("username")), "@")
	name := b.Name
	err := s.auth.Allow(r.Context(), s.api.ClientIP(r), b.Username, r.PostFormValue("password"), r.PostFormValue("token"), auth.Grant{
		Session: r.PathValue("session"), Name: &name, IconURL: &b.Icon, Permission: b.Permissions})
	var e *api.Error
	switch {
	case errors.As(err, &e):
		b.Problem = e.Code
		b.AskToken = e.Code == "INVALID_TOKEN"
		s.showConsent(w, r, http.StatusForbidden, b)
	case err != nil:
		s.finish(w, r, err)
	case b.Callback != "":
		u, _ := url.Parse(b.Callback) // checked when it was read
		q := u.Query()
		q.Set("session", r.PathValue("session"))
		u.RawQuery = q.Encode()
		http.Redirect(w, r, u.String(), http.StatusSeeOther)
	default:
		b.Done = true
		s.showConsent(w, r, http.StatusOK, b)
	}
}
