package site

import (
	"errors"
	"net/http"

	"buttersc.one/oven/internal/auth"
	"buttersc.one/oven/internal/user"
)

// asked is the page of an older app's session.
func (s *Service) asked(r *http.Request) (*consentBody, error) {
	a, err := s.auth.Session(r.Context(), r.PathValue("token"))
	if err != nil {
		return nil, err
	}
	return &consentBody{Name: a.Name, Description: a.Description, Permissions: a.Permission, Callback: a.Callback, Action: r.URL.RequestURI()}, nil
}

func (s *Service) serveSession(w http.ResponseWriter, r *http.Request) {
	b, err := s.asked(r)
	if err != nil {
		s.noSession(w, r, err)
		return
	}
	s.showConsent(w, r, http.StatusOK, b)
}

func (s *Service) serveSessionForm(w http.ResponseWriter, r *http.Request) {
	b, err := s.asked(r)
	if err != nil || !b.form(w, r) {
		s.noSession(w, r, err)
		return
	}
	token := r.PathValue("token")
	if denies(r) {
		if err := s.auth.Deny(r.Context(), token); err != nil {
			s.finish(w, r, err)
			return
		}
		b.Denied = true
		s.showConsent(w, r, http.StatusOK, b)
		return
	}
	s.signIn(w, r, b, func(u *user.User) (string, error) {
		return withParam(b.Callback, "token", token), s.auth.Accept(r.Context(), u.ID, token)
	})
}

func (s *Service) noSession(w http.ResponseWriter, r *http.Request, err error) {
	if err == nil || errors.Is(err, auth.ErrNoSession) {
		s.refuse(w, r, http.StatusNotFound, "askedTooLongAgo", "")
		return
	}
	s.finish(w, r, err)
}
