package auth_test

import (
	"testing"

	"buttersc.one/oven/internal/app"
	"buttersc.one/oven/internal/testsrv"
)

// The first account is for whoever knows the operator's password, where there is
// one; later ones are root's to make.
func TestSetup(t *testing.T) {
	t.Parallel()
	s := testsrv.New(t, func(o *app.Options) { o.SetupPassword = "open sesame" })
	g := s.Guest()
	create := func(name string, setup any) m {
		return m{"username": name, "password": "password", "setupPassword": setup}
	}
	g.Fails(t, "signup", m{"username": "thief", "password": "password"}, 400, "REGISTRATION_CLOSED")
	g.Fails(t, "admin/accounts/create", create("thief", nil), 400, "INCORRECT_INITIAL_PASSWORD")
	g.Fails(t, "admin/accounts/create", create("thief", "guess"), 400, "INCORRECT_INITIAL_PASSWORD")
	g.Fails(t, "admin/accounts/create", create("no name", "open sesame"), 400, "INVALID_PARAM")
	made := g.Post(t, "admin/accounts/create", create("chief", "open sesame"))
	testsrv.Is(t, made, true, "isAdmin")
	root := &testsrv.User{S: s, ID: testsrv.Dig(made, "id").(string), Name: "chief", Token: testsrv.Dig(made, "token").(string)}
	testsrv.Is(t, g.Post(t, "meta", m{}), false, "requireSetup")
	g.Fails(t, "admin/accounts/create", create("thief", "open sesame"), 400, "ACCESS_DENIED")
	a := s.User(t, "alice")
	a.Fails(t, "admin/accounts/create", create("bora", nil), 400, "ACCESS_DENIED")
	// For others, under a name that nobody else may have, and with registration closed.
	s.Set(t, m{"disableRegistration": true})
	other := root.Post(t, "admin/accounts/create", create("support", nil))
	testsrv.Is(t, other, false, "isAdmin")
	testsrv.Is(t, (&testsrv.User{S: s, Token: testsrv.Dig(other, "token").(string)}).Post(t, "i", m{}), "support", "username")
	root.Fails(t, "admin/accounts/create", create("support", nil), 400, "USED_USERNAME")
	app := root.Post(t, "miauth/gen-token", m{"session": nil, "name": "app", "description": "", "permission": []string{"write:admin:account"}})
	(&testsrv.User{S: s, Token: testsrv.Dig(app, "token").(string)}).Fails(t, "admin/accounts/create", create("dora", nil), 400, "ACCESS_DENIED")
}

// Without a password of the operator's, none may be given.
func TestSetupWithout(t *testing.T) {
	t.Parallel()
	s := testsrv.New(t)
	s.Guest().Fails(t, "admin/accounts/create", m{"username": "chief", "password": "password", "setupPassword": "x"}, 400, "INCORRECT_INITIAL_PASSWORD")
	testsrv.Is(t, s.Guest().Post(t, "admin/accounts/create", m{"username": "chief", "password": "password"}), true, "isAdmin")
}
