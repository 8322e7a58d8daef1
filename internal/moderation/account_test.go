package moderation_test

import (
	"strings"
	"testing"

	"buttersc.one/oven/internal/testsrv"
)

// prove gives an account an address.
func prove(t *testing.T, box *testsrv.Mailbox, u *testsrv.User, address string) {
	t.Helper()
	u.Post(t, "i/update-email", m{"password": "password", "email": address})
	u.S.Settle(t)
	u.S.Guest().Post(t, "verify-email", m{"code": box.Link(address)})
}

// What moderators see of an account that others do not; of an administrator's,
// only administrators.
func TestShowUser(t *testing.T) {
	t.Parallel()
	far := testsrv.NewRemote(t)
	s := testsrv.New(t)
	root, a := s.User(t, "chief"), s.User(t, "alice")
	mod := moderator(t, root, "mori")
	box := s.Mailbox(t)
	prove(t, box, a, "alice@example.com")
	s.Guest().Post(t, "signin-flow", m{"username": "alice", "password": "password"})
	s.Guest().Call(t, "signin-flow", m{"username": "alice", "password": "wrong"})
	a.Post(t, "i/update", m{"mutedWords": []any{[]string{"spam"}}, "mutedInstances": []string{"far.example"}})
	for _, name := range []string{"admin/show-user", "admin/get-user-ips"} {
		a.Fails(t, name, m{"userId": mod.ID}, 403, "ROLE_PERMISSION_DENIED")
		mod.Fails(t, name, m{"userId": "nobody0000"}, 400, "NO_SUCH_USER")
		mod.Fails(t, name, m{"userId": root.ID}, 400, "ACCESS_DENIED")
	}
	root.Post(t, "admin/show-user", m{"userId": root.ID})
	mine := mod.Post(t, "admin/show-user", m{"userId": mod.ID})
	testsrv.Is(t, mine, true, "isModerator")
	testsrv.Is(t, mine, "mods", "roles", 0, "name")
	testsrv.Is(t, mine, testsrv.Dig(mine, "roles", 0, "id"), "roleAssigns", 0, "roleId")
	d := mod.Post(t, "admin/show-user", m{"userId": a.ID})
	testsrv.Is(t, d, "alice@example.com", "email")
	testsrv.Is(t, d, true, "emailVerified")
	testsrv.Is(t, d, false, "isModerator")
	testsrv.Is(t, d, false, "signins", 0, "success")
	testsrv.Is(t, d, true, "signins", 1, "success")
	testsrv.Is(t, d, "spam", "mutedWords", 0, 0)
	testsrv.Is(t, d, "far.example", "mutedInstances", 0)
	testsrv.Is(t, d, nil, "roles", 0)
	for _, secret := range []string{"password", "token", "twoFactorSecret"} {
		if testsrv.Dig(d, secret) != nil {
			t.Errorf("%s is told", secret)
		}
	}
	ips := mod.List(t, "admin/get-user-ips", m{"userId": a.ID})
	if len(ips) != 1 || ips[0]["ip"] != "127.0.0.1" {
		t.Errorf("addresses %v", ips)
	}
	remote := far.Actor("bob").On(t, a)
	testsrv.Is(t, mod.Post(t, "admin/show-user", m{"userId": remote.ID}), nil, "email")

	mod.Fails(t, "admin/accounts/find-by-email", m{"email": "alice@example.com"}, 403, "ROLE_PERMISSION_DENIED")
	root.Fails(t, "admin/accounts/find-by-email", m{"email": "nobody@example.com"}, 400, "USER_NOT_FOUND")
	testsrv.Is(t, root.Post(t, "admin/accounts/find-by-email", m{"email": "ALICE@example.com"}), a.ID, "id")
}

// Accounts by every filter and sort.
func TestShowUsers(t *testing.T) {
	t.Parallel()
	s := testsrv.New(t)
	root, a, b := s.User(t, "chief"), s.User(t, "alice"), s.User(t, "bora")
	mod := moderator(t, root, "mori")
	s.Guest().Post(t, "signup", m{"username": "bob", "password": "x", "host": "far.example"})
	a.Post(t, "following/create", m{"userId": b.ID})
	mod.Post(t, "admin/suspend-user", m{"userId": a.ID})
	s.Settle(t)
	a.Fails(t, "admin/show-users", m{}, 403, "YOUR_ACCOUNT_SUSPENDED")
	b.Fails(t, "admin/show-users", m{}, 403, "ROLE_PERMISSION_DENIED")
	mod.Fails(t, "admin/show-users", m{"sort": "name"}, 400, "INVALID_PARAM")
	for _, c := range []struct {
		params m
		want   string
	}{
		{m{}, "chief alice bora mori bob"},
		{m{"limit": 2, "offset": 1}, "alice bora"},
		{m{"origin": "local", "sort": "+createdAt"}, "mori bora alice chief"},
		{m{"origin": "remote"}, "bob"},
		{m{"hostname": "FAR.example"}, "bob"},
		{m{"hostname": "elsewhere.example"}, ""},
		{m{"hostname": "no host"}, ""},
		{m{"username": "BO", "sort": "-createdAt"}, "bora bob"},
		{m{"username": "%"}, ""},
		{m{"state": "suspended"}, "alice"},
		{m{"state": "available", "origin": "local"}, "chief bora mori"},
		{m{"state": "alive", "origin": "local"}, "chief alice bora mori"},
		{m{"state": "admin"}, "chief"},
		{m{"state": "moderator"}, "mori"},
		{m{"state": "adminOrModerator"}, "chief mori"},
	} {
		var names []string
		for _, u := range mod.List(t, "admin/show-users", c.params) {
			names = append(names, u["username"].(string))
		}
		if got := strings.Join(names, " "); got != c.want {
			t.Errorf("%v: %s, want %s", c.params, got, c.want)
		}
	}
	for _, sort := range []string{"+follower", "-follower", "+updatedAt", "-updatedAt", "+lastActiveDate", "-lastActiveDate"} {
		if got := mod.List(t, "admin/show-users", m{"sort": sort}); len(got) != 5 {
			t.Errorf("%s: %d", sort, len(got))
		}
	}
}

func TestUserNote(t *testing.T) {
	t.Parallel()
	s := testsrv.New(t)
	root, a := s.User(t, "chief"), s.User(t, "alice")
	mod := moderator(t, root, "mori")
	a.Fails(t, "admin/update-user-note", m{"userId": a.ID, "text": "x"}, 403, "ROLE_PERMISSION_DENIED")
	mod.Fails(t, "admin/update-user-note", m{"userId": "nobody0000", "text": "x"}, 400, "NO_SUCH_USER")
	mod.Post(t, "admin/update-user-note", m{"userId": a.ID, "text": "warned once"})
	mod.Post(t, "admin/update-user-note", m{"userId": a.ID, "text": "warned once"}) // the same: not logged
	testsrv.Is(t, mod.Post(t, "users/show", m{"userId": a.ID}), "warned once", "moderationNote")
	testsrv.Is(t, a.Post(t, "users/show", m{"userId": a.ID}), nil, "moderationNote")
	l := root.List(t, "admin/show-moderation-logs", m{"type": "updateUserNote"})
	if len(l) != 1 {
		t.Fatalf("log %v", l)
	}
	testsrv.Is(t, l[0], "", "info", "before")
	testsrv.Is(t, l[0], "warned once", "info", "after")
}

func TestSendEmail(t *testing.T) {
	t.Parallel()
	s := testsrv.New(t)
	root, a := s.User(t, "chief"), s.User(t, "alice")
	letter := m{"to": "bob@example.com", "subject": "About your\r\nBcc: x@example.com", "text": "Hello\n\n1. this\n2. <b>that</b>"}
	root.Fails(t, "admin/send-email", letter, 400, "MAIL_NOT_AVAILABLE")
	box := s.Mailbox(t)
	a.Fails(t, "admin/send-email", letter, 403, "ROLE_PERMISSION_DENIED")
	root.Fails(t, "admin/send-email", m{"to": "bob", "subject": "x", "text": "x"}, 400, "INVALID_EMAIL_ADDRESS")
	root.Post(t, "admin/send-email", letter)
	s.Settle(t)
	l := box.To("bob@example.com")
	if len(l) != 1 || l[0].Subject != "About your Bcc: x@example.com" || !strings.Contains(l[0].HTML, ">1. this\r\n2. &lt;b&gt;that&lt;/b&gt;</p>") || len(box.Letters()) != 1 {
		t.Errorf("letters %+v", box.Letters())
	}
}
