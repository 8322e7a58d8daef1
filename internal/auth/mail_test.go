package auth_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"buttersc.one/oven/internal/role"
	"buttersc.one/oven/internal/testsrv"
)

// withEmail gives the account an address that it has proven.
func withEmail(t *testing.T, box *testsrv.Mailbox, u *testsrv.User, address string) {
	t.Helper()
	u.Post(t, "i/update-email", m{"password": "password", "email": address})
	u.S.Settle(t)
	u.S.Guest().Post(t, "verify-email", m{"code": box.Link(address)})
}

func TestEmail(t *testing.T) {
	t.Parallel()
	s := testsrv.New(t)
	a, b, g := s.User(t, "alice"), s.User(t, "bora"), s.Guest()
	testsrv.Is(t, g.Post(t, "meta", m{}), false, "enableEmail")
	box := s.Mailbox(t)
	testsrv.Is(t, g.Post(t, "meta", m{}), true, "enableEmail")
	a.Post(t, "i/update", m{"lang": "ja-JP"})
	a.Fails(t, "i/update-email", m{"password": "wrong", "email": "alice@example.com"}, 400, "INCORRECT_PASSWORD")
	for _, bad := range []string{"alice", "a@b", "Alice <alice@example.com>", "alice@example.com\r\nBcc: x@example.com", "@example.com", strings.Repeat("a", 250) + "@example.com"} {
		a.Fails(t, "i/update-email", m{"password": "password", "email": bad}, 400, "UNAVAILABLE")
		testsrv.Is(t, g.Post(t, "email-address/available", m{"emailAddress": bad}), "format", "reason")
	}
	res := a.Post(t, "i/update-email", m{"password": "password", "email": "alice@example.com"})
	testsrv.Is(t, res, "alice@example.com", "email")
	testsrv.Is(t, res, false, "emailVerified")
	s.Settle(t)
	l := box.To("alice@example.com")
	if len(l) != 1 || !strings.Contains(l[0].Subject, "メールアドレスの確認") || !strings.Contains(l[0].Text, "@alice") || !strings.Contains(l[0].HTML, `href="`+s.Origin+`/verify-email/`) ||
		!strings.Contains(l[0].From, "oven@oven.example") {
		t.Fatalf("letters %+v", l)
	}
	first := box.Link("alice@example.com")
	// A code is for the address it was sent to.
	a.Post(t, "i/update-email", m{"password": "password", "email": "other@example.com"})
	s.Settle(t)
	g.Fails(t, "verify-email", m{"code": first}, 400, "NO_SUCH_CODE")
	g.Fails(t, "verify-email", m{"code": "guess"}, 400, "NO_SUCH_CODE")
	second := box.Link("other@example.com")
	// Somebody else claims the address meanwhile: whoever proves it first has it.
	b.Post(t, "i/update-email", m{"password": "password", "email": "OTHER@example.com"})
	s.Settle(t)
	third := box.Link("OTHER@example.com")
	sock := a.Stream(t, "main")
	g.Post(t, "verify-email", m{"code": second})
	sock.Next("meUpdated", func(e m) bool { return testsrv.Dig(e, "body", "type") == "meUpdated" })
	testsrv.Is(t, a.Post(t, "i", m{}), true, "emailVerified")
	g.Fails(t, "verify-email", m{"code": second}, 400, "NO_SUCH_CODE") // once
	g.Fails(t, "verify-email", m{"code": third}, 400, "NO_SUCH_CODE")
	testsrv.Is(t, b.Post(t, "i", m{}), false, "emailVerified")
	testsrv.Is(t, g.Post(t, "email-address/available", m{"emailAddress": "Other@Example.com"}), "used", "reason")
	testsrv.Is(t, g.Post(t, "email-address/available", m{"emailAddress": "new@example.com"}), true, "available")
	b.Fails(t, "i/update-email", m{"password": "password", "email": "other@example.com"}, 400, "UNAVAILABLE")
	// Whoever changes it tells the address that was.
	a.Post(t, "i/update-email", m{"password": "password", "email": nil})
	s.Settle(t)
	if l := box.To("other@example.com"); !strings.Contains(l[len(l)-1].Subject, "変更されました") {
		t.Errorf("the old address heard %q", l[len(l)-1].Subject)
	}
	testsrv.Is(t, a.Post(t, "i", m{}), nil, "email")
	s.Set(t, m{"emailRequiredForSignup": true})
	a.Fails(t, "i/update-email", m{"password": "password", "email": nil}, 400, "EMAIL_REQUIRED")
	// Too late.
	a.Post(t, "i/update-email", m{"password": "password", "email": "late@example.com"})
	s.Settle(t)
	(&clock{s: s}).skip(t, 25*3600e9)
	g.Fails(t, "verify-email", m{"code": box.Link("late@example.com")}, 400, "NO_SUCH_CODE")
}

// Nothing of a letter can be read in the database: not the address, not the
// text, not the code; nor what the SMTP server answered about them.
func TestLettersAreSealed(t *testing.T) {
	t.Parallel()
	s := testsrv.New(t)
	box := s.Mailbox(t)
	a := s.User(t, "alice")
	withEmail(t, box, a, "alice@example.com")
	box.Refuse("550 5.1.1 <alice@example.com> no such person")
	s.Guest().Post(t, "request-reset-password", m{"username": "alice", "email": "alice@example.com"})
	box.Refused()
	s.Settle(t)
	if n := s.Count(t, `SELECT count(*) FROM river.river_job WHERE kind IN ('mailer.send', 'auth.reset')`); n < 3 {
		t.Fatalf("%d jobs", n)
	}
	for _, secret := range []string{"alice", "example.com", "reset-password", "no such person", box.Link("alice@example.com")} {
		if n := s.Count(t, `SELECT count(*) FROM river.river_job WHERE kind IN ('mailer.send', 'auth.reset') AND (args::text ILIKE '%' || $1 || '%' OR array_to_string(errors, ' ') ILIKE '%' || $1 || '%')`, secret); n != 0 {
			t.Errorf("%q can be read in %d jobs", secret, n)
		}
	}
	if n := s.Count(t, `SELECT count(*) FROM river.river_job WHERE state = 'cancelled'`); n != 1 {
		t.Errorf("%d jobs given up: a 550 is final", n)
	}
	// What is only for the moment is tried again.
	box.Refuse("451 4.3.0 later")
	s.Guest().Post(t, "request-reset-password", m{"username": "alice", "email": "alice@example.com"})
	box.Refused()
	box.Refuse("")
	for end := time.Now().Add(20 * time.Second); len(box.To("alice@example.com")) < 2; s.Settle(t) {
		if time.Now().After(end) {
			t.Fatal("the letter was not tried again")
		}
	}
	s.Set(t, m{"smtpUser": "oven", "smtpPass": "correct horse"})
	if n := s.Count(t, `SELECT count(*) FROM meta WHERE settings::text LIKE '%horse%'`); n != 0 {
		t.Error("the password of the mail server lies in the database as it is")
	}
	if p := s.App.Meta.Get().SMTPPass; p == nil || *p != "correct horse" {
		t.Error("the password cannot be used")
	}
}

func TestSigninLetter(t *testing.T) {
	t.Parallel()
	s := testsrv.New(t)
	box := s.Mailbox(t)
	a := s.User(t, "alice")
	withEmail(t, box, a, "alice@example.com")
	a.Post(t, "i/update", m{"lang": "ko-KR"})
	s.Guest().Post(t, "signin", m{"username": "alice", "password": "password"})
	s.Settle(t)
	l := box.To("alice@example.com")
	if len(l) != 2 || !strings.Contains(l[1].Subject, "새로운 로그인") {
		t.Errorf("letters %+v", l)
	}
}

func TestResetPassword(t *testing.T) {
	t.Parallel()
	s := testsrv.New(t)
	g := s.Guest()
	a, b := s.User(t, "alice"), s.User(t, "bora")
	g.Post(t, "request-reset-password", m{"username": "alice", "email": "alice@example.com"}) // without mail: as ever
	s.Settle(t)
	box := s.Mailbox(t)
	withEmail(t, box, a, "alice@example.com")
	b.Post(t, "i/update-email", m{"password": "password", "email": "bora@example.com"}) // not proven
	s.Settle(t)
	before := len(box.Letters())
	for _, w := range []m{{"username": "alice", "email": "mallory@example.com"}, {"username": "nobody", "email": "alice@example.com"}, {"username": "bora", "email": "bora@example.com"}} {
		if status, out := g.Call(t, "request-reset-password", w); status != 204 || out != nil {
			t.Errorf("%v: %d %v", w, status, out)
		}
	}
	s.Settle(t)
	if n := len(box.Letters()); n != before {
		t.Errorf("%d letters to people who have proven nothing", n-before)
	}
	for range 5 {
		if status, out := g.Call(t, "request-reset-password", m{"username": "@Alice", "email": "ALICE@example.com"}); status != 204 || out != nil {
			t.Errorf("%d %v", status, out)
		}
	}
	s.Settle(t)
	if n := len(box.To("alice@example.com")); n != 1+3 {
		t.Errorf("%d letters, want the proof's and three", n)
	}
	token := box.Link("alice@example.com")
	if n := s.Count(t, `SELECT count(*) FROM password_reset WHERE encode(token_hash, 'escape') LIKE '%' || $1 || '%'`, token); n != 0 {
		t.Error("a token lies in the database as it is")
	}
	granted := testsrv.Dig(a.Post(t, "miauth/gen-token", m{"session": nil, "permission": []string{"read:account"}}), "token").(string)
	app := &testsrv.User{S: s, Name: "app", Token: granted}
	sock, appSock := a.Stream(t, "main"), app.Stream(t, "main")
	g.Fails(t, "reset-password", m{"token": "wrong", "password": "fresh"}, 400, "NO_SUCH_TOKEN")
	g.Fails(t, "reset-password", m{"token": token, "password": ""}, 400, "INVALID_PARAM")
	g.Post(t, "reset-password", m{"token": token, "password": "fresh"})
	sock.Next("myTokenRegenerated", func(e m) bool { return testsrv.Dig(e, "body", "type") == "myTokenRegenerated" })
	sock.Closed()
	appSock.Closed()
	a.Fails(t, "i", m{}, 401, "AUTHENTICATION_FAILED")
	app.Fails(t, "i", m{}, 401, "AUTHENTICATION_FAILED")
	g.Fails(t, "reset-password", m{"token": token, "password": "again"}, 400, "NO_SUCH_TOKEN") // once, and the others are void
	if n := s.Count(t, `SELECT count(*) FROM password_reset`); n != 0 {
		t.Errorf("%d links are left", n)
	}
	g.Fails(t, "signin", m{"username": "alice", "password": "password"}, 403, "INCORRECT_PASSWORD")
	a.Token = testsrv.Dig(g.Post(t, "signin", m{"username": "alice", "password": "fresh"}), "i").(string)
	// Half an hour.
	g.Post(t, "request-reset-password", m{"username": "alice", "email": "alice@example.com"})
	s.Settle(t)
	late := box.Link("alice@example.com")
	(&clock{s: s}).skip(t, 31*60e9)
	g.Fails(t, "reset-password", m{"token": late, "password": "late"}, 400, "NO_SUCH_TOKEN")
}

// A link in the mail box that was is void once the address is another.
func TestResetAfterMove(t *testing.T) {
	t.Parallel()
	s := testsrv.New(t)
	box := s.Mailbox(t)
	a := s.User(t, "alice")
	withEmail(t, box, a, "alice@example.com")
	s.Guest().Post(t, "request-reset-password", m{"username": "alice", "email": "alice@example.com"})
	s.Settle(t)
	token := box.Link("alice@example.com")
	a.Post(t, "i/update-email", m{"password": "password", "email": "new@example.com"})
	s.Guest().Fails(t, "reset-password", m{"token": token, "password": "x"}, 400, "NO_SUCH_TOKEN")
}

// Another password ends every session; apps stay unless it is asked for.
func TestChangePassword(t *testing.T) {
	t.Parallel()
	s := testsrv.New(t)
	a, g := s.User(t, "alice"), s.Guest()
	grant := func() *testsrv.User {
		return &testsrv.User{S: s, Name: "app", Token: testsrv.Dig(a.Post(t, "miauth/gen-token", m{"session": nil, "permission": []string{"read:account"}}), "token").(string)}
	}
	app := grant()
	a.Fails(t, "i/change-password", m{"currentPassword": "wrong", "newPassword": "second"}, 400, "INCORRECT_PASSWORD")
	a.Fails(t, "i/change-password", m{"currentPassword": "password", "newPassword": ""}, 400, "INVALID_PARAM")
	sock := a.Stream(t, "main")
	a.Post(t, "i/change-password", m{"currentPassword": "password", "newPassword": "second"})
	sock.Next("myTokenRegenerated", func(e m) bool { return testsrv.Dig(e, "body", "type") == "myTokenRegenerated" })
	sock.Closed()
	a.Fails(t, "i", m{}, 401, "AUTHENTICATION_FAILED")
	app.Post(t, "i", m{})
	g.Fails(t, "signin", m{"username": "alice", "password": "password"}, 403, "INCORRECT_PASSWORD")
	a.Token = testsrv.Dig(g.Post(t, "signin", m{"username": "alice", "password": "second"}), "i").(string)
	a.Post(t, "i/change-password", m{"currentPassword": "second", "newPassword": "third", "revokeApps": true})
	app.Fails(t, "i", m{}, 401, "AUTHENTICATION_FAILED")
}

func TestAdminResetPassword(t *testing.T) {
	t.Parallel()
	s := testsrv.New(t)
	root, b, c, g := s.User(t, "alice"), s.User(t, "bora"), s.User(t, "chan"), s.Guest()
	far := testsrv.Dig(g.Post(t, "signup", m{"username": "far", "password": "x", "host": "far.example"}), "id")
	var acted []role.Acted
	s.App.Bus.Spy(func(ev any) {
		if a, ok := ev.(role.Acted); ok {
			acted = append(acted, a)
		}
	})
	c.Fails(t, "admin/reset-password", m{"userId": b.ID}, 403, "ROLE_PERMISSION_DENIED")
	root.Fails(t, "admin/reset-password", m{"userId": root.ID}, 400, "CANNOT_RESET_ADMINISTRATOR")
	root.Fails(t, "admin/reset-password", m{"userId": far}, 400, "NO_SUCH_USER")
	root.Fails(t, "admin/reset-password", m{"userId": "none"}, 400, "NO_SUCH_USER")
	fresh := testsrv.Dig(root.Post(t, "admin/reset-password", m{"userId": b.ID}), "password").(string)
	b.Fails(t, "i", m{}, 401, "AUTHENTICATION_FAILED")
	g.Fails(t, "signin", m{"username": "bora", "password": "password"}, 403, "INCORRECT_PASSWORD")
	g.Post(t, "signin", m{"username": "bora", "password": fresh})
	if len(acted) != 1 || acted[0].Moderator != root.ID || acted[0].Type != "resetPassword" || acted[0].Info["userId"] != b.ID || slices.ContainsFunc([]any{acted[0].Info["password"]}, func(v any) bool { return v != nil }) {
		t.Errorf("acted %+v", acted)
	}
	// The operator's, which can switch a lost second factor off too.
	ck := &clock{s: s}
	c.Post(t, "i", m{})
	withTOTP(t, ck, c)
	if err := s.App.Auth.ResetPassword(t.Context(), c.ID, "given", false); err != nil {
		t.Fatal(err)
	}
	testsrv.Is(t, g.Post(t, "signin-flow", m{"username": "chan", "password": "given"}), "totp", "next")
	if err := s.App.Auth.ResetPassword(t.Context(), c.ID, "given", true); err != nil {
		t.Fatal(err)
	}
	testsrv.Is(t, g.Post(t, "signin-flow", m{"username": "chan", "password": "given"}), true, "finished")
}
