package auth_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/netip"
	"testing"

	"buttersc.one/oven/internal/app"
	"buttersc.one/oven/internal/testsrv"
)

// from calls as a proxy that names the client's address would.
func from(t *testing.T, s *testsrv.Server, ip, name string, params m) (int, any) {
	t.Helper()
	b, err := json.Marshal(params)
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.Origin+"/api/"+name, bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("X-Forwarded-For", ip)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	var out any
	if res.StatusCode != http.StatusNoContent {
		if err := json.NewDecoder(res.Body).Decode(&out); err != nil {
			t.Fatal(err)
		}
	}
	return res.StatusCode, out
}

// behindProxy believes loopback's X-Forwarded-For, in production's limits.
func behindProxy(o *app.Options) {
	o.Mode = "production"
	o.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
}

const tooOften = "22d05606-fbcf-421a-a2db-b32610dcfd1b"

// An address that fails ten times waits; forged headers make no other of it
// where no proxy is trusted (security row 18).
func TestAddressBudget(t *testing.T) {
	t.Parallel()
	s := testsrv.New(t, testsrv.Mode("production"))
	a := s.User(t, "alice")
	for i := range 12 {
		_, out := from(t, s, fmt.Sprintf("203.0.113.%d", i), "signin-flow", m{"username": "alice", "password": "wrong"})
		want := "932c904e-9460-45b7-9ce6-7ed33be7eb2c"
		if i >= 10 {
			want = tooOften
		}
		id(t, out, want)
	}
	_, out := from(t, s, "203.0.113.99", "signin-flow", m{"username": "alice", "password": "password"})
	id(t, out, tooOften)
	_, out = from(t, s, "203.0.113.99", "signin", m{"username": "alice", "password": "password"})
	id(t, out, tooOften)
	// Somebody who holds the token and not the password cannot guess it either.
	for i := range 12 {
		status, _ := a.Call(t, "i/2fa/register", m{"password": "wrong"})
		if want := map[bool]int{true: 429, false: 400}[i >= 10]; status != want {
			t.Errorf("guess %d: %d, want %d", i, status, want)
		}
	}
}

// What succeeds does not count: a household signs in as often as it likes.
func TestSuccessIsFree(t *testing.T) {
	t.Parallel()
	s := testsrv.New(t, testsrv.Mode("production"))
	s.User(t, "alice")
	for range 15 {
		s.Guest().Post(t, "signin", m{"username": "alice", "password": "password"})
	}
}

// An account's budget holds from whatever addresses it is tried, for the second
// factor too, and does not lock out its owner where he always is.
func TestAccountBudget(t *testing.T) {
	t.Parallel()
	s := testsrv.New(t, behindProxy)
	a := s.User(t, "alice")
	home := "2001:db8:1:2::1"
	if status, out := from(t, s, home, "signin", m{"username": "alice", "password": "password"}); status != 200 {
		t.Fatalf("%d %v", status, out)
	}
	failed, refused := 0, 0
	for i := range 36 {
		switch status, _ := from(t, s, fmt.Sprintf("198.51.%d.7", i), "signin-flow", m{"username": "alice", "password": "wrong"}); status {
		case 403:
			failed++
		case 429:
			refused++
		}
	}
	if failed != 30 || refused != 6 {
		t.Errorf("%d failed, %d refused", failed, refused)
	}
	_, out := from(t, s, "192.0.2.77", "signin-flow", m{"username": "alice", "password": "password"})
	id(t, out, tooOften)
	// At home, wherever in its /64.
	if status, out := from(t, s, "2001:db8:1:2::9", "signin-flow", m{"username": "alice", "password": "password"}); status != 200 || testsrv.Dig(out, "i") != a.Token {
		t.Errorf("at home: %d %v", status, out)
	}
	if n := s.Count(t, `SELECT count(*) FROM signin WHERE user_id = $1 AND NOT success`, a.ID); n != 30 {
		t.Errorf("%d failures are written down", n)
	}
	// The second factor: the password is right, and guessing codes has an end.
	b := s.User(t, "bora")
	secret := testsrv.Dig(b.Post(t, "i/2fa/register", m{"password": "password"}), "secret").(string)
	b.Post(t, "i/2fa/done", m{"token": now(t, secret)})
	last := 0
	for i := range 31 {
		last, _ = from(t, s, fmt.Sprintf("198.52.%d.7", i), "signin-flow", m{"username": "bora", "password": "password", "token": "000000"})
	}
	if last != 429 {
		t.Errorf("the 31st code: %d", last)
	}
}

// Many at once do not slip through.
func TestAccountBudgetRace(t *testing.T) {
	t.Parallel()
	s := testsrv.New(t, behindProxy)
	s.User(t, "alice")
	done := make(chan int, 45)
	for i := range 45 {
		go func() {
			status, _ := from(t, s, fmt.Sprintf("198.51.%d.7", i), "signin", m{"username": "alice", "password": "wrong"})
			done <- status
		}()
	}
	n := 0
	for range 45 {
		if <-done == 403 {
			n++
		}
	}
	if n != 30 {
		t.Errorf("%d guesses were answered", n)
	}
}

func TestSigninHistory(t *testing.T) {
	t.Parallel()
	s := testsrv.New(t)
	a, b, g := s.User(t, "alice"), s.User(t, "bora"), s.Guest()
	sock := a.Stream(t, "main")
	g.Call(t, "signin-flow", m{"username": "alice", "password": "wrong"})
	g.Post(t, "signin-flow", m{"username": "alice", "password": "password"})
	e := sock.Next("signin", func(e m) bool { return testsrv.Dig(e, "body", "type") == "signin" })
	testsrv.Is(t, e, true, "body", "body", "success")
	testsrv.Is(t, e, "127.0.0.1", "body", "body", "ip")
	l := a.List(t, "i/signin-history", m{})
	if len(l) != 2 {
		t.Fatalf("history %v", l)
	}
	testsrv.Is(t, l[0], true, "success")
	testsrv.Is(t, l[0], testsrv.Dig(e, "body", "body", "id"), "id")
	testsrv.Is(t, l[1], false, "success")
	testsrv.Is(t, l[1], m{}, "headers") // they hold cookies; nothing of them is kept
	if older := a.List(t, "i/signin-history", m{"untilId": l[0]["id"], "limit": 1}); len(older) != 1 || older[0]["id"] != l[1]["id"] {
		t.Errorf("older: %v", older)
	}
	if l := b.List(t, "i/signin-history", m{}); len(l) != 0 {
		t.Errorf("another's history: %v", l)
	}
}
