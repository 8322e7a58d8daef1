package auth_test

import (
	"strings"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"

	"buttersc.one/oven/internal/testsrv"
)

// clock moves the server's clock, and tells what time it is there.
type clock struct {
	s      *testsrv.Server
	offset time.Duration
}

func (c *clock) skip(t *testing.T, d time.Duration) {
	t.Helper()
	c.offset += d
	c.s.Guest().Post(t, "oven/clock", m{"offsetMs": c.offset.Milliseconds()})
}

// code is what an authenticator with the seed shows now. Codes are taken once,
// so each is of a step of its own.
func (c *clock) code(t *testing.T, seed string) string {
	t.Helper()
	c.skip(t, 30*time.Second)
	out, err := totp.GenerateCode(seed, time.Now().Add(c.offset))
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// withTOTP sets an authenticator up.
func withTOTP(t *testing.T, c *clock, u *testsrv.User) (seed string, backup []any) {
	t.Helper()
	seed = testsrv.Dig(u.Post(t, "i/2fa/register", m{"password": "password"}), "secret").(string)
	backup = testsrv.Dig(u.Post(t, "i/2fa/done", m{"token": c.code(t, seed)}), "backupCodes").([]any)
	return seed, backup
}

func id(t *testing.T, out any, want string) {
	t.Helper()
	testsrv.Is(t, out, want, "error", "id")
}

func TestTOTP(t *testing.T) {
	t.Parallel()
	s := testsrv.New(t)
	a, c, g := s.User(t, "alice"), &clock{s: s}, s.Guest()
	a.Fails(t, "i/2fa/register", m{"password": "wrong"}, 400, "INCORRECT_PASSWORD")
	a.Fails(t, "i/2fa/done", m{"token": "123456"}, 400, "NO_SEED")
	res := a.Post(t, "i/2fa/register", m{"password": "password"})
	seed := testsrv.Dig(res, "secret").(string)
	if qr, _ := testsrv.Dig(res, "qr").(string); !strings.HasPrefix(qr, "data:image/png;base64,") {
		t.Errorf("the picture is %.40q", qr)
	}
	if at, _ := testsrv.Dig(res, "url").(string); !strings.HasPrefix(at, "otpauth://totp/") || !strings.Contains(at, "secret="+seed) {
		t.Errorf("the address is %q", at)
	}
	a.Fails(t, "i/2fa/done", m{"token": "000000"}, 400, "INCORRECT_TOKEN")
	testsrv.Is(t, a.Post(t, "i", m{}), false, "twoFactorEnabled")
	testsrv.Is(t, g.Post(t, "signin-flow", m{"username": "alice"}), "captcha", "next")
	sock := a.Stream(t, "main")
	first := c.code(t, seed)
	backup := testsrv.Dig(a.Post(t, "i/2fa/done", m{"token": first}), "backupCodes").([]any)
	if len(backup) != 5 {
		t.Fatalf("backup codes %v", backup)
	}
	sock.Next("meUpdated", func(e m) bool { return testsrv.Dig(e, "body", "type") == "meUpdated" })
	me := a.Post(t, "i", m{})
	testsrv.Is(t, me, true, "twoFactorEnabled")
	testsrv.Is(t, me, "full", "twoFactorBackupCodesStock")

	// One step after the other.
	testsrv.Is(t, g.Post(t, "signin-flow", m{"username": "alice"}), "password", "next")
	_, out := g.Call(t, "signin-flow", m{"username": "alice", "password": "wrong"})
	id(t, out, "932c904e-9460-45b7-9ce6-7ed33be7eb2c")
	testsrv.Is(t, g.Post(t, "signin-flow", m{"username": "alice", "password": "password"}), "totp", "next")
	status, out := g.Call(t, "signin-flow", m{"username": "alice", "password": "password", "token": "000000"})
	if status != 403 {
		t.Errorf("a wrong code: %d", status)
	}
	id(t, out, "cdf1235b-ac71-46d4-a3a6-84ccce48df6f")
	g.Fails(t, "signin-flow", m{"username": "alice", "password": "password", "token": first}, 403, "INVALID_TOKEN") // it was used to set up
	now := c.code(t, seed)
	g.Fails(t, "signin-flow", m{"username": "alice", "password": "wrong", "token": now}, 403, "INCORRECT_PASSWORD") // spends no code
	res = g.Post(t, "signin-flow", m{"username": "alice", "password": "password", "token": now})
	testsrv.Is(t, res, a.Token, "i")
	testsrv.Is(t, res, true, "finished")
	g.Fails(t, "signin-flow", m{"username": "alice", "password": "password", "token": now}, 403, "INVALID_TOKEN") // once
	c.skip(t, 5*time.Minute)
	old, err := totp.GenerateCode(seed, time.Now().Add(c.offset-2*time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	g.Fails(t, "signin-flow", m{"username": "alice", "password": "password", "token": old}, 403, "INVALID_TOKEN")

	// A backup code: once, however it is typed.
	spare := strings.ToLower(backup[0].(string))
	spare = " " + spare[:4] + "-" + spare[4:]
	testsrv.Is(t, g.Post(t, "signin-flow", m{"username": "alice", "password": "password", "token": spare}), a.Token, "i")
	g.Fails(t, "signin-flow", m{"username": "alice", "password": "password", "token": spare}, 403, "INVALID_TOKEN")
	testsrv.Is(t, a.Post(t, "i", m{}), "partial", "twoFactorBackupCodesStock")
	if n := s.Count(t, `SELECT count(*) FROM account WHERE totp_enc::text LIKE '%' || $1 || '%' OR $2 = ANY(SELECT encode(x, 'escape') FROM unnest(backup_codes) x)`, seed, backup[1]); n != 0 {
		t.Error("a secret lies in the database as it is")
	}

	// The form of older apps.
	g.Fails(t, "signin", m{"username": "alice", "password": "password"}, 403, "INVALID_TOKEN")
	testsrv.Is(t, g.Post(t, "signin", m{"username": "alice", "password": "password", "token": c.code(t, seed)}), a.Token, "i")

	// What needs the password needs a code, too.
	a.Fails(t, "i/2fa/register", m{"password": "password"}, 400, "INCORRECT_TOKEN")
	a.Fails(t, "i/2fa/unregister", m{"password": "password", "token": "000000"}, 400, "INCORRECT_TOKEN")
	a.Fails(t, "i/2fa/unregister", m{"password": "wrong", "token": c.code(t, seed)}, 400, "INCORRECT_PASSWORD")
	a.Fails(t, "i/change-password", m{"currentPassword": "password", "newPassword": "x"}, 400, "INCORRECT_TOKEN")
	// Another authenticator: the old one works until the new one has.
	other := testsrv.Dig(a.Post(t, "i/2fa/register", m{"password": "password", "token": c.code(t, seed)}), "secret").(string)
	g.Post(t, "signin-flow", m{"username": "alice", "password": "password", "token": c.code(t, seed)})
	a.Post(t, "i/2fa/done", m{"token": c.code(t, other)})
	g.Fails(t, "signin-flow", m{"username": "alice", "password": "password", "token": c.code(t, seed)}, 403, "INVALID_TOKEN")
	g.Fails(t, "signin-flow", m{"username": "alice", "password": "password", "token": backup[1]}, 403, "INVALID_TOKEN") // of the old one

	a.Post(t, "i/2fa/unregister", m{"password": "password", "token": c.code(t, other)})
	testsrv.Is(t, g.Post(t, "signin-flow", m{"username": "alice", "password": "password"}), a.Token, "i")
	testsrv.Is(t, a.Post(t, "i", m{}), "none", "twoFactorBackupCodesStock")
}

// Fifty at once with one code, or one backup code: one gets in.
func TestCodeRace(t *testing.T) {
	t.Parallel()
	s := testsrv.New(t)
	a, c := s.User(t, "alice"), &clock{s: s}
	seed, backup := withTOTP(t, c, a)
	for _, code := range []any{c.code(t, seed), backup[2]} {
		in := make(chan bool, 20)
		for range 20 {
			go func() {
				status, _ := s.Guest().Call(t, "signin-flow", m{"username": "alice", "password": "password", "token": code})
				in <- status == 200
			}()
		}
		n := 0
		for range 20 {
			if <-in {
				n++
			}
		}
		if n != 1 {
			t.Errorf("%v let %d in", code, n)
		}
	}
}

// The page for apps asks for the code as well: a password alone opens nothing.
func TestMiauthPageAsksForCode(t *testing.T) {
	t.Parallel()
	s := testsrv.New(t)
	a, c := s.User(t, "alice"), &clock{s: s}
	seed, _ := withTOTP(t, c, a)
	page := s.Origin + "/miauth/0b9e3a5c-7777?name=App&permission=read:account"
	for _, f := range []struct {
		token string
		want  int
	}{{"", 403}, {"000000", 403}, {c.code(t, seed), 200}} {
		if status, body := form(t, page, m{"username": "alice", "password": "password", "token": f.token}); status != f.want || f.want == 403 && !strings.Contains(body, `name="token"`) {
			t.Errorf("%q: %d", f.token, status)
		}
	}
	if n := s.Count(t, `SELECT count(*) FROM access_token`); n != 1 {
		t.Errorf("%d tokens", n)
	}
}

// now is a code of the moment, on a server whose clock is everybody's.
func now(t *testing.T, seed string) string {
	t.Helper()
	out, err := totp.GenerateCode(seed, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return out
}
