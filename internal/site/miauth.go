package site

import (
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"buttersc.one/oven/internal/auth"
	"buttersc.one/oven/internal/user"
)

var sessionForm = regexp.MustCompile(`^[A-Za-z0-9-]{8,128}$`)

// miauth reads what an app asks for out of the page's address. Permissions
// that do not exist are left out, as Misskey does.
func miauth(r *http.Request) (*consentBody, bool) {
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
	b.Callback = auth.Callback(q.Get("callback"))
	return b, true
}

func limit(s string, max int) string {
	if r := []rune(s); len(r) > max {
		return string(r[:max])
	}
	return s
}

func (s *Service) serveMiauth(w http.ResponseWriter, r *http.Request) {
	b, ok := miauth(r)
	if !ok {
		s.finish(w, r, errMissing)
		return
	}
	s.showConsent(w, r, http.StatusOK, b)
}

// serveMiauthForm gives the app its token, which it fetches by the session
// (miauth/<session>/check).
func (s *Service) serveMiauthForm(w http.ResponseWriter, r *http.Request) {
	b, ok := miauth(r)
	if !ok || !b.form(w, r) {
		s.finish(w, r, errMissing)
		return
	}
	if denies(r) {
		b.Denied = true
		s.showConsent(w, r, http.StatusOK, b)
		return
	}
	s.signIn(w, r, b, func(u *user.User) (string, error) {
		name, session := b.Name, r.PathValue("session")
		err := s.auth.Allow(r.Context(), u, auth.Grant{Session: session, Name: &name, IconURL: &b.Icon, Permission: b.Permissions})
		return withParam(b.Callback, "session", session), err
	})
}

// withParam is an address that auth.Callback gave with one more parameter; ""
// for none.
func withParam(callback, name, value string) string {
	u, err := url.Parse(callback)
	if callback == "" || err != nil {
		return ""
	}
	q := u.Query()
	q.Set(name, value)
	u.RawQuery = q.Encode()
	return u.String()
}
