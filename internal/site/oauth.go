package site

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"

	"buttersc.one/oven/internal/auth"
	"buttersc.one/oven/internal/lib/ap"
	"buttersc.one/oven/internal/lib/id"
	"buttersc.one/oven/internal/socket/api"
	"buttersc.one/oven/internal/user"
)

// browserCookie names a secret of the browser that the form of the consent page
// must come back with. Where TLS is, no other host can set it.
func (s *Service) browserCookie() string {
	if strings.HasPrefix(s.meta.Origin, "https:") {
		return "__Host-oauth"
	}
	return "oauth"
}

const browserSecret = 32 // letters

// browser is the secret of the browser, which gets one when it has none.
func (s *Service) browser(w http.ResponseWriter, r *http.Request) string {
	secret := cookie(r, s.browserCookie())
	if len(secret) != browserSecret {
		secret = id.RandomMixed(browserSecret)
	}
	http.SetCookie(w, &http.Cookie{Name: s.browserCookie(), Value: secret, Path: "/", MaxAge: 600, HttpOnly: true,
		Secure: strings.HasPrefix(s.meta.Origin, "https:"), SameSite: http.SameSiteLaxMode})
	return secret
}

// serveAuthorize asks a person whether a client may act for him.
func (s *Service) serveAuthorize(w http.ResponseWriter, r *http.Request) {
	a, err := s.auth.Authorize(r.Context(), s.api.ClientIP(r), r.URL.Query())
	if err != nil {
		s.noAuthorization(w, r, err)
		return
	}
	sealed, err := s.auth.Seal(a, s.browser(w, r))
	if err != nil {
		s.finish(w, r, err)
		return
	}
	s.showConsent(w, r, http.StatusOK, authorizationBody(a, sealed), authorizationTags(a, sealed)...)
}

func authorizationBody(a *auth.Authorization, sealed string) *consentBody {
	host, err := ap.Host(a.ClientID)
	if err != nil {
		host = a.ClientID
	}
	return &consentBody{Name: a.Name, Icon: a.IconURL, Host: host, Permissions: a.Permission, Callback: a.RedirectURI, Action: "/oauth/decision", Transaction: sealed}
}

// authorizationTags say the same to clients that show a page of their own, by
// the names that Misskey's uses.
func authorizationTags(a *auth.Authorization, sealed string) []metaTag {
	tags := []metaTag{
		{"misskey:oauth:transaction-id", sealed}, {"misskey:oauth:client-name", a.Name}, {"misskey:oauth:scope", strings.Join(a.Permission, " ")},
	}
	if a.IconURL != "" {
		tags = append(tags, metaTag{"misskey:oauth:client-logo", a.IconURL})
	}
	return tags
}

// serveDecision takes the person's answer. It must come from the browser that
// was asked, or with the person's own token: nothing that a browser adds by
// itself signs anybody in here.
func (s *Service) serveDecision(w http.ResponseWriter, r *http.Request) {
	var form consentBody
	if !form.form(w, r) {
		s.finish(w, r, errMissing)
		return
	}
	sealed, token := r.PostFormValue("transaction_id"), r.PostFormValue("login_token")
	a, err := s.auth.Unseal(sealed)
	if err != nil || token == "" && !a.From(cookie(r, s.browserCookie())) {
		s.refuse(w, r, http.StatusForbidden, "askedTooLongAgo", "")
		return
	}
	if denies(r) {
		leave(w, r, s.auth.Denied(a))
		return
	}
	allow := func(u *user.User) (string, error) { return s.auth.Allowed(r.Context(), a, u) }
	if token == "" {
		b := authorizationBody(a, sealed)
		b.Username = form.Username
		s.signIn(w, r, b, allow, authorizationTags(a, sealed)...)
		return
	}
	u, err := s.auth.SignInToken(r.Context(), token)
	var location string
	if err == nil {
		location, err = allow(u)
	}
	if err != nil {
		s.noAuthorization(w, r, err)
		return
	}
	leave(w, r, location)
}

// noAuthorization tells the client what is wrong with its request, or the person
// when it is not proven whose request it is.
func (s *Service) noAuthorization(w http.ResponseWriter, r *http.Request, err error) {
	var o *auth.OAuthError
	var e *api.Error
	switch {
	case errors.As(err, &o) && o.Location() != "":
		leave(w, r, o.Location())
	case errors.As(err, &o) && strings.Contains(r.Header.Get("Accept"), "text/html"):
		s.refuse(w, r, http.StatusBadRequest, "badRequest", o.Error())
	case errors.As(err, &o):
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
		w.Header().Set("Cache-Control", "no-store")
		w.WriteHeader(http.StatusBadRequest)
		_ = json.NewEncoder(w).Encode(o)
	case errors.As(err, &e):
		s.refuse(w, r, e.Status, e.Code, "")
	default:
		s.finish(w, r, err)
	}
}
