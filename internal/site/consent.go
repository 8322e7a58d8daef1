package site

import (
	"errors"
	"net/http"
	"strings"

	"buttersc.one/oven/internal/auth"
	"buttersc.one/oven/internal/socket/api"
	"buttersc.one/oven/internal/user"
)

// consentBody is a page on which a person lets an app in: one form for all the
// ways there are (MiAuth, OAuth, sessions of older apps).
type consentBody struct {
	Name        string
	Icon        string
	Description string
	Host        string // of the client, where the name is only what it says of itself
	Permissions []string
	Asks        []string // what the permissions mean, in the reader's language
	Action      string
	Transaction string // goes along with the form
	Username    string
	Problem     string
	Done        bool
	Denied      bool
	Callback    string // where the app waits, shown before anything is sent there
}

const maxForm = 32 << 10 // bytes

// form reads a consent form; false when it is none.
func (b *consentBody) form(w http.ResponseWriter, r *http.Request) bool {
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	if r.ParseForm() != nil {
		return false
	}
	b.Username = strings.TrimPrefix(strings.TrimSpace(r.PostFormValue("username")), "@")
	return true
}

func denies(r *http.Request) bool { return r.PostFormValue("cancel") != "" }

func (s *Service) showConsent(w http.ResponseWriter, r *http.Request, status int, b *consentBody, tags ...metaTag) {
	v := s.view(r)
	v.Title, v.NoIndex, v.Body, v.Meta = v.T["allow"], true, b, tags
	v.Client = nil // a page for the password of an app's guest stays without scripts
	for _, p := range b.Permissions {
		b.Asks = append(b.Asks, permissionText(v.Lang, p))
	}
	w.Header().Set("Cache-Control", "no-store")
	// The form's answer may lead to the app, which its own policy has to allow.
	forms := "form-action 'self'"
	if to := auth.FormTarget(b.Callback); to != "" {
		forms += " " + to
	}
	s.renderWith(w, status, "consent.html", v, forms)
}

// signIn signs in who filled in the form and lets give do what it asks for;
// then the person goes where give says, or reads that it is done.
func (s *Service) signIn(w http.ResponseWriter, r *http.Request, b *consentBody, give func(u *user.User) (location string, err error), tags ...metaTag) {
	u, err := s.auth.Enter(r.Context(), s.api.ClientIP(r), b.Username, r.PostFormValue("password"), r.PostFormValue("token"))
	var location string
	if err == nil {
		location, err = give(u)
	}
	var e *api.Error
	switch {
	case errors.As(err, &e):
		b.Problem = e.Code
		s.showConsent(w, r, http.StatusForbidden, b, tags...)
	case err != nil:
		s.finish(w, r, err)
	case location != "":
		leave(w, r, location)
	default:
		b.Done = true
		s.showConsent(w, r, http.StatusOK, b)
	}
}

// leave sends the browser to an app, by GET whatever the form was (RFC 9700
// §4.12).
func leave(w http.ResponseWriter, r *http.Request, location string) {
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Referrer-Policy", "no-referrer")
	http.Redirect(w, r, location, http.StatusSeeOther)
}

// refusedBody says why nothing can be asked of the person.
type refusedBody struct{ Text, Detail string }

func (s *Service) refuse(w http.ResponseWriter, r *http.Request, status int, text, detail string) {
	v := s.view(r)
	v.Title, v.NoIndex, v.Client = v.T["allow"], true, nil
	v.Body = refusedBody{Text: v.T[text], Detail: detail}
	w.Header().Set("Cache-Control", "no-store")
	s.render(w, status, "refused.html", v)
}
