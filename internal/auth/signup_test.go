package auth_test

import (
	"errors"
	"strings"
	"testing"

	"buttersc.one/oven/internal/auth"
	"buttersc.one/oven/internal/testsrv"
)

// There are accounts without the trace of one: no row, no key, no token.
func traces(t *testing.T, s *testsrv.Server, name string) int {
	t.Helper()
	return s.Count(t, `SELECT count(*) FROM "user" WHERE username_lower = $1`, name)
}

func TestSignupByMail(t *testing.T) {
	t.Parallel()
	s := testsrv.New(t)
	s.User(t, "alice")
	g := s.Guest()
	s.Set(t, m{"emailRequiredForSignup": true})
	testsrv.Is(t, g.Post(t, "meta", m{}), true, "emailRequiredForSignup")
	in := m{"username": "bora", "password": "secret", "emailAddress": "bora@example.com"}
	g.Fails(t, "signup", in, 400, "MAIL_NOT_AVAILABLE")
	box := s.Mailbox(t)
	g.Fails(t, "signup", m{"username": "bora", "password": "secret"}, 400, "INVALID_EMAIL_ADDRESS")
	g.Fails(t, "signup", m{"username": "bora", "password": "", "emailAddress": "bora@example.com"}, 400, "INVALID_PASSWORD")
	g.Fails(t, "signup", m{"username": "root", "password": "secret", "emailAddress": "bora@example.com"}, 400, "DENIED_USERNAME")
	g.Fails(t, "signup", m{"username": "alice", "password": "secret", "emailAddress": "bora@example.com"}, 400, "USED_USERNAME")
	if status, out := g.Call(t, "signup", in); status != 204 || out != nil {
		t.Fatalf("%d %v", status, out)
	}
	s.Settle(t)
	if traces(t, s, "bora") != 0 {
		t.Error("there is an account already")
	}
	g.Fails(t, "signin-flow", m{"username": "bora", "password": "secret"}, 404, "NO_SUCH_USER")
	if n := s.Count(t, `SELECT count(*) FROM signup_pending WHERE encode(email_enc, 'escape') LIKE '%example%' OR password_hash LIKE '%secret%'`); n != 0 {
		t.Error("the address or the password can be read")
	}
	code := box.Link("bora@example.com")
	g.Fails(t, "signup-pending", m{"code": "guess"}, 400, "NO_SUCH_CODE")
	res := g.Post(t, "signup-pending", m{"code": code})
	b := &testsrv.User{S: s, Name: "bora", Token: testsrv.Dig(res, "i").(string)}
	me := b.Post(t, "i", m{})
	testsrv.Is(t, me, "bora@example.com", "email")
	testsrv.Is(t, me, true, "emailVerified")
	testsrv.Is(t, me, testsrv.Dig(res, "id"), "id")
	g.Fails(t, "signup-pending", m{"code": code}, 400, "NO_SUCH_CODE") // once
	g.Fails(t, "signup", m{"username": "chan", "password": "x", "emailAddress": "BORA@example.com"}, 400, "EMAIL_ADDRESS_USED")
	// Two want a name: who completes first has it. One waits too long.
	for _, who := range []string{"one", "two", "late"} {
		g.Post(t, "signup", m{"username": "chan", "password": who, "emailAddress": who + "@example.com"})
	}
	s.Settle(t)
	g.Post(t, "signup-pending", m{"code": box.Link("two@example.com")})
	g.Fails(t, "signup-pending", m{"code": box.Link("one@example.com")}, 400, "USED_USERNAME")
	(&clock{s: s}).skip(t, 31*60e9)
	g.Fails(t, "signup-pending", m{"code": box.Link("late@example.com")}, 400, "NO_SUCH_CODE")
	g.Post(t, "signin", m{"username": "chan", "password": "two"})
	// The first account of a server needs no letter.
	g.Post(t, "reset-db", m{})
	s.Set(t, m{"emailRequiredForSignup": true, "disableRegistration": true, "approvalRequiredForSignup": true})
	testsrv.Is(t, g.Post(t, "signup", m{"username": "root", "password": "x"}), true, "isAdmin")
}

func TestInvitations(t *testing.T) {
	t.Parallel()
	s := testsrv.New(t)
	root, b, g := s.User(t, "alice"), s.User(t, "bora"), s.Guest()
	s.Set(t, m{"disableRegistration": true})
	testsrv.Is(t, g.Post(t, "meta", m{}), true, "disableRegistration")
	testsrv.Is(t, g.Post(t, "meta", m{"detail": true}), false, "features", "registration")
	g.Fails(t, "signup", m{"username": "chan", "password": "x"}, 400, "REGISTRATION_CLOSED")
	g.Fails(t, "signup", m{"username": "chan", "password": "x", "invitationCode": "GUESS"}, 400, "INVALID_INVITATION_CODE")
	b.Fails(t, "invite/create", m{}, 403, "ROLE_PERMISSION_DENIED")
	b.Fails(t, "admin/invite/create", m{}, 403, "ROLE_PERMISSION_DENIED")
	s.Set(t, m{"policies": m{"canInvite": true, "inviteLimit": 2, "inviteLimitCycle": 60, "inviteExpirationTime": 30}})
	testsrv.Is(t, b.Post(t, "invite/limit", m{}), 2, "remaining")
	in := b.Post(t, "invite/create", m{})
	testsrv.Is(t, in, "bora", "createdBy", "username")
	testsrv.Is(t, in, false, "used")
	if testsrv.Dig(in, "expiresAt") == nil {
		t.Error("it does not expire")
	}
	other := b.Post(t, "invite/create", m{})
	b.Fails(t, "invite/create", m{}, 400, "EXCEEDED_LIMIT_OF_CREATE_INVITE_CODE")
	testsrv.Is(t, b.Post(t, "invite/limit", m{}), 0, "remaining")
	code := testsrv.Dig(in, "code").(string)
	// Twenty at once with one code: one account.
	made := make(chan bool, 20)
	for i := range 20 {
		go func() {
			status, _ := g.Call(t, "signup", m{"username": "chan" + string(rune('a'+i)), "password": "x", "invitationCode": " " + strings.ToLower(code)})
			made <- status == 200
		}()
	}
	n := 0
	for range 20 {
		if <-made {
			n++
		}
	}
	if n != 1 || s.Count(t, `SELECT count(*) FROM "user" WHERE username_lower LIKE 'chan%'`) != 1 {
		t.Errorf("one code made %d accounts", n)
	}
	l := b.List(t, "invite/list", m{})
	if len(l) != 2 || l[1]["used"] != true || testsrv.Dig(l[1], "usedBy", "username") == nil || l[0]["used"] != false {
		t.Errorf("invitations %v", l)
	}
	if l := b.List(t, "invite/list", m{"untilId": l[0]["id"]}); len(l) != 1 {
		t.Errorf("a page: %v", l)
	}
	b.Fails(t, "invite/delete", m{"inviteId": "none"}, 400, "NO_SUCH_INVITE_CODE")
	b.Fails(t, "invite/delete", m{"inviteId": testsrv.Dig(in, "id")}, 400, "CAN_NOT_DELETE_INVITE_CODE")
	c := s.Guest()
	c.Token = testsrv.Dig(g.Post(t, "signup", m{"username": "dana", "password": "x", "invitationCode": testsrv.Dig(root.Post(t, "admin/invite/create", m{}), 0, "code")}), "token").(string)
	c.Fails(t, "invite/delete", m{"inviteId": testsrv.Dig(other, "id")}, 400, "ACCESS_DENIED")
	b.Post(t, "invite/delete", m{"inviteId": testsrv.Dig(other, "id")})
	g.Fails(t, "signup", m{"username": "ean", "password": "x", "invitationCode": testsrv.Dig(other, "code")}, 400, "INVALID_INVITATION_CODE")
	// A spent code stays spent when the account goes.
	if _, err := s.DB.Exec(t.Context(), `UPDATE registration_ticket SET used_by_id = NULL WHERE code = $1`, code); err != nil {
		t.Fatal(err)
	}
	g.Fails(t, "signup", m{"username": "ean", "password": "x", "invitationCode": code}, 400, "INVALID_INVITATION_CODE")

	root.Fails(t, "admin/invite/create", m{"expiresAt": "soon"}, 400, "INVALID_DATE_TIME")
	batch := root.List(t, "admin/invite/create", m{"count": 3, "expiresAt": "2001-01-01T00:00:00.000Z"})
	if len(batch) != 3 {
		t.Fatalf("made %v", batch)
	}
	g.Fails(t, "signup", m{"username": "ean", "password": "x", "invitationCode": batch[0]["code"]}, 400, "INVALID_INVITATION_CODE")
	root.Post(t, "admin/invite/create", m{})
	for typ, want := range map[string]int{"expired": 3, "used": 2, "unused": 1, "all": 6} {
		if l := root.List(t, "admin/invite/list", m{"type": typ}); len(l) != want {
			t.Errorf("%s: %d, want %d", typ, len(l), want)
		}
	}
	for _, order := range []string{"+createdAt", "-createdAt", "+usedAt", "-usedAt"} {
		root.List(t, "admin/invite/list", m{"sort": order, "limit": 2, "offset": 1})
	}
	if l := root.List(t, "admin/invite/list", m{"sort": "-usedAt", "limit": 1}); l[0]["usedAt"] == nil {
		t.Errorf("the last used: %v", l)
	}
}

// A sign-up that waits for its letter holds the invitation as long as the
// letter is good.
func TestInvitationAndMail(t *testing.T) {
	t.Parallel()
	s := testsrv.New(t)
	root, g, c := s.User(t, "alice"), s.Guest(), &clock{s: s}
	box := s.Mailbox(t)
	s.Set(t, m{"disableRegistration": true, "emailRequiredForSignup": true})
	code := testsrv.Dig(root.Post(t, "admin/invite/create", m{}), 0, "code")
	in := func(name string) m {
		return m{"username": name, "password": "x", "emailAddress": name + "@example.com", "invitationCode": code}
	}
	g.Fails(t, "signup", m{"username": "bora", "password": "x", "emailAddress": "bora@example.com"}, 400, "REGISTRATION_CLOSED")
	g.Post(t, "signup", in("bora"))
	g.Fails(t, "signup", in("chan"), 400, "INVALID_INVITATION_CODE")
	s.Settle(t) // a letter whose code has expired does not go out
	c.skip(t, 31*60e9)
	g.Post(t, "signup", in("chan"))
	s.Settle(t)
	g.Fails(t, "signup-pending", m{"code": box.Link("bora@example.com")}, 400, "NO_SUCH_CODE")
	g.Post(t, "signup-pending", m{"code": box.Link("chan@example.com")})
	c.skip(t, 31*60e9)
	g.Fails(t, "signup", in("dana"), 400, "INVALID_INVITATION_CODE")
	// The sweeper gives back what nobody has completed, and only that.
	again := testsrv.Dig(root.Post(t, "admin/invite/create", m{}), 0, "code")
	code = again
	g.Post(t, "signup", in("ean"))
	c.skip(t, 31*60e9)
	if err := s.App.Jobs.RunPeriodic(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.Settle(t)
	if n := s.Count(t, `SELECT count(*) FROM signup_pending`); n != 0 {
		t.Errorf("%d sign-ups are left", n)
	}
	g.Post(t, "signup", in("fay"))
}

func TestApproval(t *testing.T) {
	t.Parallel()
	s := testsrv.New(t)
	root, b, g := s.User(t, "alice"), s.User(t, "bora"), s.Guest()
	s.Set(t, m{"approvalRequiredForSignup": true})
	testsrv.Is(t, g.Post(t, "meta", m{}), true, "approvalRequiredForSignup")
	g.Fails(t, "signup", m{"username": "chan", "password": "secret"}, 400, "REASON_REQUIRED")
	g.Fails(t, "signup", m{"username": "chan", "password": "secret", "reason": strings.Repeat("a", 1001)}, 400, "INVALID_PARAM")
	for _, name := range []string{"Chan", "dana"} {
		if status, out := g.Call(t, "signup", m{"username": name, "password": "secret", "reason": "빵을 좋아해요"}); status != 204 || out != nil {
			t.Fatalf("%d %v", status, out)
		}
	}
	// It is no account: it signs in nowhere, is not seen, has no document.
	g.Fails(t, "users/show", m{"username": "chan"}, 404, "NO_SUCH_USER")
	if traces(t, s, "chan") != 0 || s.Count(t, `SELECT count(*) FROM account`) != 2 {
		t.Error("there is an account already")
	}
	testsrv.Is(t, g.Post(t, "signin-flow", m{"username": "chan"}), false, "finished")
	g.Fails(t, "signin-flow", m{"username": "chan", "password": "wrong"}, 403, "INCORRECT_PASSWORD")
	g.Fails(t, "signin-flow", m{"username": "CHAN", "password": "secret"}, 403, "NOT_APPROVED")
	g.Fails(t, "signin", m{"username": "chan", "password": "secret"}, 404, "NO_SUCH_USER")
	// Its name is kept for it.
	testsrv.Is(t, g.Post(t, "username/available", m{"username": "chan"}), false, "available")
	g.Fails(t, "signup", m{"username": "chan", "password": "x", "reason": "x"}, 400, "USED_USERNAME")
	if n := s.Count(t, `SELECT count(*) FROM signup_pending WHERE encode(reason_enc, 'escape') LIKE '%' || encode('빵'::bytea, 'escape') || '%'`); n != 0 {
		t.Error("the reason can be read")
	}
	b.Fails(t, "oven/admin/signups/list", m{}, 403, "ROLE_PERMISSION_DENIED")
	b.Fails(t, "oven/admin/signups/approve", m{"id": "x"}, 403, "ROLE_PERMISSION_DENIED")
	b.Fails(t, "oven/admin/signups/reject", m{"id": "x"}, 403, "ROLE_PERMISSION_DENIED")
	l := root.List(t, "oven/admin/signups/list", m{})
	if len(l) != 2 || l[1]["username"] != "Chan" || l[1]["reason"] != "빵을 좋아해요" || l[1]["hasEmail"] != false {
		t.Fatalf("waiting %v", l)
	}
	root.Fails(t, "oven/admin/signups/approve", m{"id": "none"}, 400, "NO_SUCH_SIGNUP")
	root.Fails(t, "oven/admin/signups/reject", m{"id": "none"}, 400, "NO_SUCH_SIGNUP")
	res := root.Post(t, "oven/admin/signups/approve", m{"id": l[1]["id"]})
	testsrv.Is(t, g.Post(t, "signin", m{"username": "chan", "password": "secret"}), testsrv.Dig(res, "userId"), "id")
	root.Fails(t, "oven/admin/signups/approve", m{"id": l[1]["id"]}, 400, "NO_SUCH_SIGNUP")
	testsrv.Is(t, g.Post(t, "users/show", m{"username": "chan"}), "Chan", "username")
	// Refused: what it said is gone, its name is nobody's for ever.
	root.Post(t, "oven/admin/signups/reject", m{"id": l[0]["id"]})
	if n := s.Count(t, `SELECT count(*) FROM signup_pending`); n != 0 {
		t.Error("what was refused is still there")
	}
	g.Fails(t, "signin-flow", m{"username": "dana", "password": "secret"}, 404, "NO_SUCH_USER")
	g.Fails(t, "signup", m{"username": "dana", "password": "x", "reason": "x"}, 400, "USED_USERNAME")
	s.Set(t, m{"approvalRequiredForSignup": false})
	g.Fails(t, "signup", m{"username": "dana", "password": "x"}, 400, "USED_USERNAME")
}

// First the letter, then the moderator, whose decision is written to it.
func TestApprovalAndMail(t *testing.T) {
	t.Parallel()
	s := testsrv.New(t)
	root, g := s.User(t, "alice"), s.Guest()
	box := s.Mailbox(t)
	s.Set(t, m{"approvalRequiredForSignup": true, "emailRequiredForSignup": true, "disableRegistration": true})
	codes := root.List(t, "admin/invite/create", m{"count": 2})
	for i, name := range []string{"bora", "chan"} {
		g.Post(t, "signup", m{"username": name, "password": "secret", "reason": "bread", "emailAddress": name + "@example.com", "invitationCode": codes[i]["code"]})
	}
	s.Settle(t)
	if l := root.List(t, "oven/admin/signups/list", m{}); len(l) != 0 {
		t.Errorf("before they have an address: %v", l)
	}
	for _, name := range []string{"bora", "chan"} {
		if status, out := g.Call(t, "signup-pending", m{"code": box.Link(name + "@example.com")}); status != 204 || out != nil {
			t.Errorf("%d %v", status, out)
		}
	}
	waits, err := s.App.Auth.WaitingByName(t.Context(), "@Bora")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.App.Auth.Approve(t.Context(), "", waits); err != nil {
		t.Fatal(err)
	}
	waits, err = s.App.Auth.WaitingByName(t.Context(), "chan")
	if err != nil {
		t.Fatal(err)
	}
	if err := s.App.Auth.Reject(t.Context(), "", waits); err != nil {
		t.Fatal(err)
	}
	if _, err := s.App.Auth.WaitingByName(t.Context(), "chan"); !errors.Is(err, auth.ErrNoApplication) {
		t.Errorf("refused, and waits: %v", err)
	}
	s.Settle(t)
	for name, want := range map[string]string{"bora": "approved", "chan": "not approved"} {
		l := box.To(name + "@example.com")
		if len(l) != 2 || !strings.Contains(l[1].Subject, want) {
			t.Errorf("%s heard %+v", name, l)
		}
	}
	b := &testsrv.User{S: s, Token: testsrv.Dig(g.Post(t, "signin", m{"username": "bora", "password": "secret"}), "i").(string)}
	testsrv.Is(t, b.Post(t, "i", m{}), true, "emailVerified")
	// The refused one's invitation is spent.
	s.Set(t, m{"approvalRequiredForSignup": false, "emailRequiredForSignup": false})
	g.Fails(t, "signup", m{"username": "ean", "password": "x", "invitationCode": codes[1]["code"]}, 400, "INVALID_INVITATION_CODE")
}

// The form without scripts goes by the same rules.
func TestSignupForm(t *testing.T) {
	t.Parallel()
	s := testsrv.New(t)
	root := s.User(t, "alice")
	s.Set(t, m{"disableRegistration": true, "approvalRequiredForSignup": true})
	code := testsrv.Dig(root.Post(t, "admin/invite/create", m{}), 0, "code").(string)
	in := m{"username": "bora", "password": "x", "reason": "bread", "invitation": "GUESS"}
	if status, body := form(t, s.Origin+"/signup", in); status != 400 || !strings.Contains(body, `name="reason"`) || !strings.Contains(body, `name="invitation"`) {
		t.Errorf("%d %s", status, body)
	}
	in["invitation"] = code
	if status, body := form(t, s.Origin+"/signup", in); status != 200 || strings.Contains(body, "<form") {
		t.Errorf("%d %s", status, body)
	}
	if l := root.List(t, "oven/admin/signups/list", m{}); len(l) != 1 || l[0]["username"] != "bora" {
		t.Errorf("waiting %v", l)
	}
}
