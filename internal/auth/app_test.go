package auth_test

import (
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"buttersc.one/oven/internal/auth"
	"buttersc.one/oven/internal/testsrv"
)

// older registers an app of the older kind and begins a session.
func older(t *testing.T, s *testsrv.Server, callback any, permissions ...string) (secret, session string) {
	t.Helper()
	made := s.Guest().Post(t, "app/create", m{"name": "Bread", "description": "Bakes", "permission": append([]string{}, permissions...), "callbackUrl": callback})
	secret = testsrv.Dig(made, "secret").(string)
	begun := s.Guest().Post(t, "auth/session/generate", m{"appSecret": secret})
	session = testsrv.Dig(begun, "token").(string)
	testsrv.Is(t, begun, s.Origin+"/auth/"+session, "url")
	return secret, session
}

func digest(token, secret string) string {
	h := sha256.Sum256([]byte(token + secret))
	return hex.EncodeToString(h[:])
}

func TestOlderApp(t *testing.T) {
	t.Parallel()
	s := testsrv.New(t)
	a, b, g := s.User(t, "alice"), s.User(t, "bora"), s.Guest()
	secret, session := older(t, s, nil, "account-read", "note/write", "write:notes", "no:such")
	show := g.Post(t, "auth/session/show", m{"token": session})
	testsrv.Is(t, show, "Bread", "app", "name")
	testsrv.Is(t, show, []any{"read:account", "write:note", "write:notes", "no:such"}, "app", "permission")
	testsrv.Is(t, show, nil, "app", "secret")
	g.Fails(t, "auth/session/show", m{"token": "nothing"}, 400, "NO_SUCH_SESSION")
	g.Fails(t, "auth/session/generate", m{"appSecret": "nothing"}, 400, "NO_SUCH_APP")
	g.Fails(t, "auth/session/userkey", m{"appSecret": "nothing", "token": session}, 400, "NO_SUCH_APP")
	g.Fails(t, "auth/session/userkey", m{"appSecret": secret, "token": "nothing"}, 400, "NO_SUCH_SESSION")
	g.Fails(t, "auth/session/userkey", m{"appSecret": secret, "token": session}, 400, "PENDING_SESSION")
	a.Fails(t, "auth/accept", m{"token": "nothing"}, 400, "NO_SUCH_SESSION")
	a.Post(t, "auth/accept", m{"token": session})
	b.Fails(t, "auth/accept", m{"token": session}, 400, "NO_SUCH_SESSION") // it is alice's
	// Another app's secret does not fetch it.
	otherSecret, otherSession := older(t, s, nil, "read:account")
	g.Fails(t, "auth/session/userkey", m{"appSecret": otherSecret, "token": session}, 400, "NO_SUCH_SESSION")
	key := g.Post(t, "auth/session/userkey", m{"appSecret": secret, "token": session})
	testsrv.Is(t, key, a.ID, "user", "id")
	g.Fails(t, "auth/session/userkey", m{"appSecret": secret, "token": session}, 400, "NO_SUCH_SESSION") // once
	token := testsrv.Dig(key, "accessToken").(string)
	// Both forms of the token work, the computed one in either case.
	for _, i := range []string{token, digest(token, secret), strings.ToUpper(digest(token, secret))} {
		app := &testsrv.User{S: s, Name: "app", Token: i}
		testsrv.Is(t, app.Post(t, "i", m{}), a.ID, "id")
		app.Note(t, m{"text": "from an app"})
		app.Fails(t, "following/create", m{"userId": b.ID}, 403, "PERMISSION_DENIED")
		app.Fails(t, "auth/accept", m{"token": otherSession}, 403, "ACCESS_DENIED")
		app.Fails(t, "i/apps", m{}, 403, "ACCESS_DENIED")
	}
	for _, i := range []string{strings.ToLower(token), digest(token, otherSecret), digest(token, "")} {
		(&testsrv.User{S: s, Name: "nobody", Token: i}).Fails(t, "i", m{}, 401, "AUTHENTICATION_FAILED")
	}
	// Let in once more, the app keeps the token it has.
	again := testsrv.Dig(g.Post(t, "auth/session/generate", m{"appSecret": secret}), "token")
	a.Post(t, "auth/accept", m{"token": again})
	testsrv.Is(t, g.Post(t, "auth/session/userkey", m{"appSecret": secret, "token": again}), token, "accessToken")
	if n := s.Count(t, `SELECT count(*) FROM access_token`); n != 1 {
		t.Errorf("%d tokens", n)
	}
	// What waits too long is over.
	a.Post(t, "auth/accept", m{"token": otherSession})
	if _, err := s.DB.Exec(t.Context(), `UPDATE auth_session SET expires_at = now() - interval '1 s'`); err != nil {
		t.Fatal(err)
	}
	g.Fails(t, "auth/session/userkey", m{"appSecret": otherSecret, "token": otherSession}, 400, "NO_SUCH_SESSION")
	g.Fails(t, "auth/session/show", m{"token": otherSession}, 400, "NO_SUCH_SESSION")
	older(t, s, nil)
	if n := s.Count(t, `SELECT count(*) FROM auth_session`); n != 1 {
		t.Errorf("%d sessions are kept", n)
	}
}

func TestOwnApps(t *testing.T) {
	t.Parallel()
	s := testsrv.New(t)
	a, b := s.User(t, "alice"), s.User(t, "bora")
	made := a.Post(t, "app/create", m{"name": "One", "description": "", "permission": []string{"read:account"}, "callbackUrl": "https://one.example/"})
	id := testsrv.Dig(made, "id")
	two := testsrv.Dig(a.Post(t, "app/create", m{"name": "Two", "description": "", "permission": []string{}}), "id").(string)
	testsrv.Is(t, a.Post(t, "app/show", m{"appId": id}), testsrv.Dig(made, "secret"), "secret")
	testsrv.Is(t, a.Post(t, "app/show", m{"appId": id}), false, "isAuthorized")
	testsrv.Is(t, a.Post(t, "app/show", m{"appId": id}), "https://one.example/", "callbackUrl")
	app := &testsrv.User{S: s, Name: "app", Token: testsrv.Dig(a.Post(t, "miauth/gen-token", m{"session": nil, "permission": []string{"read:account"}}), "token").(string)}
	for _, u := range []*testsrv.User{b, app, s.Guest()} { // the secret is for nobody else
		testsrv.Is(t, u.Post(t, "app/show", m{"appId": id}), nil, "secret")
		testsrv.Is(t, u.Post(t, "app/show", m{"appId": id}), "One", "name")
	}
	s.Guest().Fails(t, "app/show", m{"appId": "nothing0"}, 400, "NO_SUCH_APP")
	if l := a.List(t, "my/apps", m{}); len(l) != 2 || l[0]["id"] != two || l[0]["secret"] != nil {
		t.Errorf("own apps %v", l)
	}
	if l := app.List(t, "my/apps", m{"limit": 1, "offset": 1}); len(l) != 1 || l[0]["id"] != id {
		t.Errorf("own apps, page 2: %v", l)
	}
	if l := b.List(t, "my/apps", m{}); len(l) != 0 {
		t.Errorf("apps of another: %v", l)
	}
}

func TestAuthorizedAndRevoked(t *testing.T) {
	t.Parallel()
	s := testsrv.New(t)
	a, b, g := s.User(t, "alice"), s.User(t, "bora"), s.Guest()
	secret, session := older(t, s, nil, "read:account", "write:notes")
	a.Post(t, "auth/accept", m{"token": session})
	token := testsrv.Dig(g.Post(t, "auth/session/userkey", m{"appSecret": secret, "token": session}), "accessToken").(string)
	other := testsrv.Dig(a.Post(t, "miauth/gen-token", m{"session": nil, "name": "Tool", "description": "d", "permission": []string{"read:account"}}), "token").(string)
	if l := a.List(t, "i/authorized-apps", m{}); len(l) != 1 || l[0]["name"] != "Bread" || l[0]["isAuthorized"] != true {
		t.Errorf("authorized %v", l)
	}
	if l := a.List(t, "i/authorized-apps", m{"offset": 1, "sort": "asc"}); len(l) != 0 {
		t.Errorf("page 2: %v", l)
	}
	(&testsrv.User{S: s, Token: token}).Note(t, m{"text": "used"})
	l := a.List(t, "i/apps", m{})
	if len(l) != 2 || l[0]["name"] != "Bread" || l[0]["lastUsedAt"] == nil || l[0]["description"] != "Bakes" || l[1]["name"] != "Tool" || l[1]["lastUsedAt"] != nil {
		t.Errorf("tokens %v", l)
	}
	for sort, first := range map[string]string{"+createdAt": "Tool", "-createdAt": "Bread", "+lastUsedAt": "Bread", "-lastUsedAt": "Tool"} {
		if l := a.List(t, "i/apps", m{"sort": sort}); l[0]["name"] != first {
			t.Errorf("%s: %v", sort, l)
		}
	}
	if l := b.List(t, "i/apps", m{}); len(l) != 0 {
		t.Errorf("tokens of another: %v", l)
	}
	// Nobody takes back what is another's, nor learns that it is there.
	for _, p := range []m{{"tokenId": l[0]["id"]}, {"token": token}, {"tokenId": "nothing0"}, {"token": "nothing"}, {"token": nil, "tokenId": "nothing0"}} {
		if status, out := b.Call(t, "i/revoke-token", p); status != 204 {
			t.Errorf("%v: %d %v", p, status, out)
		}
	}
	a.Fails(t, "i/revoke-token", m{}, 400, "INVALID_PARAM")
	a.Fails(t, "i/revoke-token", m{"token": nil}, 400, "INVALID_PARAM")
	app, tool := &testsrv.User{S: s, Name: "app", Token: token}, &testsrv.User{S: s, Name: "tool", Token: other}
	appSock, toolSock, own := app.Stream(t, "main"), tool.Stream(t, "main"), a.Stream(t, "main")
	a.Post(t, "i/revoke-token", m{"tokenId": l[0]["id"]})
	appSock.Closed()
	app.Fails(t, "i", m{}, 401, "AUTHENTICATION_FAILED")
	(&testsrv.User{S: s, Name: "digest", Token: digest(token, secret)}).Fails(t, "i", m{}, 401, "AUTHENTICATION_FAILED")
	tool.Post(t, "i", m{})
	a.Post(t, "i/revoke-token", m{"token": other})
	toolSock.Closed()
	tool.Fails(t, "i", m{}, 401, "AUTHENTICATION_FAILED")
	// The native token is no access token.
	a.Post(t, "i/revoke-token", m{"token": a.Token})
	a.Post(t, "i", m{})
	own.Send(m{"type": "connect", "body": m{"channel": "localTimeline", "id": "still", "pong": true}})
	own.Next("connected", func(e m) bool { return testsrv.Dig(e, "body", "id") == "still" })
}

// stay is a client that shows where it is sent, and keeps cookies.
func stay(t *testing.T) *http.Client {
	t.Helper()
	jar := &jar{}
	return &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// jar keeps all cookies of one server.
type jar struct{ all []*http.Cookie }

func (j *jar) SetCookies(_ *url.URL, c []*http.Cookie) { j.all = append(j.all, c...) }
func (j *jar) Cookies(*url.URL) []*http.Cookie         { return j.all }

// page fetches a page, or sends a form when there is one.
func page(t *testing.T, c *http.Client, at string, form url.Values, headers ...string) (*http.Response, string) {
	t.Helper()
	method, body := http.MethodGet, io.Reader(nil)
	if form != nil {
		method, body = http.MethodPost, strings.NewReader(form.Encode())
	}
	req, err := http.NewRequestWithContext(t.Context(), method, at, body)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Accept", "text/html")
	if form != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	res, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res, string(b)
}

func TestSessionPage(t *testing.T) {
	t.Parallel()
	s := testsrv.New(t)
	s.User(t, "alice")
	c := stay(t)
	signIn := url.Values{"username": {"@alice"}, "password": {"password"}}
	secret, session := older(t, s, "https://bread.example/back?x=1", "write:notes", "made:up")
	res, html := page(t, c, s.Origin+"/auth/"+session, nil, "Accept-Language", "ko")
	for _, want := range []string{"Bread", "노트를 쓰고 지우기", "made:up", "https://bread.example/back"} {
		if !strings.Contains(html, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	if csp := res.Header.Get("Content-Security-Policy"); !strings.Contains(csp, "frame-ancestors 'none'") || !strings.Contains(csp, "form-action 'self' https://bread.example;") || strings.Contains(csp, "script-src") {
		t.Errorf("policy %s", csp)
	}
	if res, _ := page(t, c, s.Origin+"/auth/"+session, url.Values{"username": {"alice"}, "password": {"no"}}); res.StatusCode != http.StatusForbidden {
		t.Errorf("a wrong password: %s", res.Status)
	}
	if res, _ := page(t, c, s.Origin+"/auth/"+session, signIn, "Sec-Fetch-Site", "cross-site"); res.StatusCode != http.StatusForbidden {
		t.Errorf("another site's form: %s", res.Status)
	}
	s.Guest().Fails(t, "auth/session/userkey", m{"appSecret": secret, "token": session}, 400, "PENDING_SESSION")
	if res, _ := page(t, c, s.Origin+"/auth/"+session, signIn); res.Header.Get("Location") != "https://bread.example/back?token="+session+"&x=1" {
		t.Errorf("%s to %q", res.Status, res.Header.Get("Location"))
	}
	s.Guest().Post(t, "auth/session/userkey", m{"appSecret": secret, "token": session})
	// Denied, the session is over; an address that a browser would run leads nowhere.
	secret, session = older(t, s, "javascript:alert(1)")
	if res, _ := page(t, c, s.Origin+"/auth/"+session, url.Values{"cancel": {"cancel"}}); res.StatusCode != http.StatusOK {
		t.Errorf("denied: %s", res.Status)
	}
	s.Guest().Fails(t, "auth/session/userkey", m{"appSecret": secret, "token": session}, 400, "NO_SUCH_SESSION")
	if res, _ := page(t, c, s.Origin+"/auth/"+session, nil); res.StatusCode != http.StatusNotFound {
		t.Errorf("a session that is over: %s", res.Status)
	}
	_, session = older(t, s, "javascript:alert(1)")
	if res, html := page(t, c, s.Origin+"/auth/"+session, signIn); res.StatusCode != http.StatusOK || strings.Contains(html, "javascript:") {
		t.Errorf("a callback that runs: %s", res.Status)
	}
}

// Every permission has a text of its own in every language.
func TestPermissionTexts(t *testing.T) {
	t.Parallel()
	s := testsrv.New(t)
	c := stay(t)
	for _, lang := range []string{"ko", "ja", "en"} {
		_, html := page(t, c, s.Origin+"/miauth/0b9e3a5c-7777?permission="+strings.Join(auth.Permissions(), ","), nil, "Accept-Language", lang)
		seen := map[string]bool{}
		for _, part := range strings.Split(html, "<li>")[1:] {
			text, _, _ := strings.Cut(part, "</li>")
			if seen[text] || strings.Contains(text, ":") && !strings.Contains(text, ": ") || lang != "en" && text[0] < 0x80 && !strings.HasPrefix(text, "Play") {
				t.Errorf("%s: %q", lang, text)
			}
			seen[text] = true
		}
		if len(seen) != len(auth.Permissions()) {
			t.Errorf("%s: %d texts for %d permissions", lang, len(seen), len(auth.Permissions()))
		}
	}
}
