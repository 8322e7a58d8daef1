package auth_test

import (
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"

	"buttersc.one/oven/internal/testsrv"
)

type m = testsrv.M

func TestSignup(t *testing.T) {
	t.Parallel()
	s := testsrv.New(t)
	g := s.Guest()
	testsrv.Is(t, g.Post(t, "meta", m{}), true, "requireSetup")
	a := s.User(t, "alice")
	testsrv.Is(t, g.Post(t, "meta", m{}), false, "requireSetup")
	testsrv.Is(t, a.Post(t, "i", m{}), true, "isAdmin") // the first
	b := s.User(t, "Bora")
	testsrv.Is(t, b.Post(t, "i", m{}), false, "isAdmin")
	g.Fails(t, "signup", m{"username": "alice", "password": "x"}, 400, "USED_USERNAME")
	g.Fails(t, "signup", m{"username": "BORA", "password": "x"}, 400, "USED_USERNAME")
	g.Fails(t, "signup", m{"username": "a-b", "password": "x"}, 400, "INVALID_USERNAME")
	g.Fails(t, "signup", m{"username": strings.Repeat("a", 21), "password": "x"}, 400, "INVALID_USERNAME")
	g.Fails(t, "signup", m{"username": "cha", "password": ""}, 400, "INVALID_PASSWORD")
	g.Fails(t, "signup", m{"username": "root", "password": "x"}, 400, "USED_USERNAME")
	testsrv.Is(t, g.Post(t, "username/available", m{"username": "alice"}), false, "available")
	testsrv.Is(t, g.Post(t, "username/available", m{"username": "root"}), false, "available")
	testsrv.Is(t, g.Post(t, "username/available", m{"username": "dana"}), true, "available")
	g.Fails(t, "username/available", m{"username": "a b"}, 400, "INVALID_PARAM")
	// An imaginary account of test mode.
	far := g.Post(t, "signup", m{"username": "far", "password": "x", "host": "far.example"})
	testsrv.Is(t, far, "far.example", "host")
	b.Post(t, "following/create", m{"userId": testsrv.Dig(far, "id")})
	testsrv.Is(t, b.Post(t, "users/relation", m{"userId": testsrv.Dig(far, "id")}), true, "isFollowing")
}

// Twenty at once for one name: one account. Twenty at once on an empty server:
// one root.
func TestSignupRace(t *testing.T) {
	t.Parallel()
	s := testsrv.New(t)
	var wg sync.WaitGroup
	var mu sync.Mutex
	made, roots := map[string]int{}, 0
	for i := range 20 {
		name := []string{"alice", "bora"}[i%2]
		wg.Go(func() {
			status, out := s.Guest().Call(t, "signup", m{"username": name, "password": "x"})
			mu.Lock()
			defer mu.Unlock()
			if status == 200 {
				made[name]++
				if testsrv.Dig(out, "isAdmin") == true {
					roots++
				}
			}
		})
	}
	wg.Wait()
	if made["alice"] != 1 || made["bora"] != 1 || roots != 1 {
		t.Errorf("made %v, %d roots", made, roots)
	}
}

func TestSignin(t *testing.T) {
	t.Parallel()
	s := testsrv.New(t)
	a := s.User(t, "alice")
	g := s.Guest()
	testsrv.Is(t, g.Post(t, "signin-flow", m{"username": "alice"}), false, "finished")
	res := g.Post(t, "signin-flow", m{"username": "ALICE", "password": "password"})
	testsrv.Is(t, res, true, "finished")
	testsrv.Is(t, res, a.Token, "i")
	testsrv.Is(t, g.Post(t, "signin", m{"username": "alice", "password": "password"}), a.Token, "i")
	g.Fails(t, "signin-flow", m{"username": "alice", "password": "wrong"}, 403, "INCORRECT_PASSWORD")
	g.Fails(t, "signin-flow", m{"username": "nobody", "password": "x"}, 404, "NO_SUCH_USER")
	if l := a.List(t, "i/notifications", m{}); len(l) != 2 || l[0]["type"] != "login" {
		t.Errorf("notifications %v", l)
	}
	if err := s.App.Moderation.Suspend(t.Context(), "", a.ID, true); err != nil {
		t.Fatal(err)
	}
	s.Settle(t)
	g.Fails(t, "signin-flow", m{"username": "alice", "password": "password"}, 403, "SUSPENDED")
	a.Fails(t, "i", m{}, 403, "YOUR_ACCOUNT_SUSPENDED")
}

func TestRegenerateToken(t *testing.T) {
	t.Parallel()
	s := testsrv.New(t)
	a := s.User(t, "alice")
	sock := a.Stream(t, "main")
	a.Fails(t, "i/regenerate-token", m{"password": "wrong"}, 400, "INCORRECT_PASSWORD")
	a.Post(t, "i/regenerate-token", m{"password": "password"})
	sock.Next("myTokenRegenerated", func(e m) bool { return testsrv.Dig(e, "body", "type") == "myTokenRegenerated" })
	sock.Closed()
	a.Fails(t, "i", m{}, 401, "AUTHENTICATION_FAILED")
	fresh := testsrv.Dig(s.Guest().Post(t, "signin", m{"username": "alice", "password": "password"}), "i").(string)
	if fresh == a.Token {
		t.Error("the same token")
	}
	a.Token = fresh
	a.Post(t, "i", m{})
}

func TestMiauth(t *testing.T) {
	t.Parallel()
	s := testsrv.New(t)
	a := s.User(t, "alice")
	session := "0b9e3a5c-1111-4222-8333-444455556666"
	check := func() any {
		_, out := s.Raw(t, "miauth/"+session+"/check", []byte("{}"))
		return out
	}
	testsrv.Is(t, check(), false, "ok")
	a.Fails(t, "miauth/gen-token", m{"session": session, "permission": []string{"write:everything"}}, 400, "INVALID_PARAM")
	a.Post(t, "miauth/gen-token", m{"session": session, "name": "App", "permission": []string{"read:account", "write:notes"}})
	res := check()
	testsrv.Is(t, res, true, "ok")
	testsrv.Is(t, res, "alice", "user", "username")
	testsrv.Is(t, check(), false, "ok") // once
	app := &testsrv.User{S: s, Name: "app of alice", ID: a.ID, Token: testsrv.Dig(res, "token").(string)}
	app.Note(t, m{"text": "from an app"})
	testsrv.Is(t, app.Post(t, "i", m{}), nil, "emailVerified") // secrets are the native token's
	app.Fails(t, "following/create", m{"userId": a.ID}, 403, "PERMISSION_DENIED")
	app.Fails(t, "miauth/gen-token", m{"session": nil, "permission": []string{}}, 403, "ACCESS_DENIED")
	app.Fails(t, "i/regenerate-token", m{"password": "password"}, 403, "ACCESS_DENIED")
}

// The page on which somebody lets an app in without a client of his own.
func TestMiauthPage(t *testing.T) {
	t.Parallel()
	s := testsrv.New(t)
	s.User(t, "alice")
	page := s.Origin + "/miauth/0b9e3a5c-7777?name=App&permission=read:account,bogus&callback=myapp%3A%2F%2Fback"
	c := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	post := func(password string) *http.Response {
		res, err := c.PostForm(page, url.Values{"username": {"alice"}, "password": {password}})
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		return res
	}
	if res := post("wrong"); res.StatusCode != http.StatusForbidden {
		t.Errorf("a wrong password: %s", res.Status)
	}
	if res := post("password"); res.Header.Get("Location") != "myapp://back?session=0b9e3a5c-7777" {
		t.Errorf("%s to %q", res.Status, res.Header.Get("Location"))
	}
	_, out := s.Raw(t, "miauth/0b9e3a5c-7777/check", []byte("{}"))
	app := &testsrv.User{S: s, Token: testsrv.Dig(out, "token").(string)}
	app.Post(t, "i", m{})
	app.Fails(t, "notes/create", m{"text": "x"}, 403, "PERMISSION_DENIED")
	for _, bad := range []string{"javascript:alert(1)", "data:text/html,x"} {
		page = s.Origin + "/miauth/0b9e3a5c-8888?callback=" + url.QueryEscape(bad)
		if res := post("password"); res.Header.Get("Location") != "" {
			t.Errorf("led to %q", res.Header.Get("Location"))
		}
	}
	// Another site's form is refused.
	req, err := http.NewRequest(http.MethodPost, page, strings.NewReader("username=alice&password=password"))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Sec-Fetch-Site", "cross-site")
	res, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	if res.StatusCode != http.StatusForbidden {
		t.Errorf("another site's form: %s", res.Status)
	}
}

// form fills in a page's form and gives its answer.
func form(t *testing.T, page string, fields m) (int, string) {
	t.Helper()
	values := url.Values{}
	for k, v := range fields {
		values.Set(k, v.(string))
	}
	res, err := http.PostForm(page, values)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(b)
}
