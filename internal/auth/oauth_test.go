package auth_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"

	"golang.org/x/oauth2"

	"buttersc.one/oven/internal/testsrv"
)

// site is an OAuth client's own: pages by path, on loopback.
type site struct {
	origin string
	mux    *http.ServeMux
}

func newSite(t *testing.T) *site {
	t.Helper()
	mux := http.NewServeMux()
	srv := httptest.NewServer(mux)
	t.Cleanup(srv.Close)
	return &site{origin: srv.URL, mux: mux}
}

func (c *site) serve(path, contentType, body string, headers ...string) string {
	c.mux.HandleFunc(path, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", contentType)
		for i := 0; i < len(headers); i += 2 {
			w.Header().Add(headers[i], headers[i+1])
		}
		_, _ = io.WriteString(w, body)
	})
	return c.origin + strings.TrimSuffix(path, "{$}")
}

const clientPage = `<!doctype html><title>x</title><link rel="redirect_uri" href="/back"><link rel="stylesheet redirect_uri" href="myapp://back">
<div class="h-app"><a href="/" class="u-url p-name">Bread
 maker</a></div><link rel="redirect_uri" href="/in-body">`

// flow is one client on one server with one browser.
type flow struct {
	t        *testing.T
	s        *testsrv.Server
	browser  *http.Client
	conf     oauth2.Config
	verifier string
	with     url.Values // parameters that are other than usual
}

func newFlow(t *testing.T, s *testsrv.Server, clientID, redirect string) *flow {
	t.Helper()
	return &flow{t: t, s: s, browser: stay(t), verifier: oauth2.GenerateVerifier(), with: url.Values{}, conf: oauth2.Config{ClientID: clientID, RedirectURL: redirect,
		Scopes:   []string{"write:notes", "read:account", "no:such"},
		Endpoint: oauth2.Endpoint{AuthURL: s.Origin + "/oauth/authorize", TokenURL: s.Origin + "/oauth/token"}}}
}

// set is the flow with another parameter; "" takes it away.
func (f *flow) set(name string, values ...string) *flow {
	f.with[name] = values
	return f
}

func (f *flow) address() string {
	u, err := url.Parse(f.conf.AuthCodeURL("st&te", oauth2.S256ChallengeOption(f.verifier)))
	if err != nil {
		f.t.Fatal(err)
	}
	q := u.Query()
	for k, v := range f.with {
		q[k] = v
	}
	u.RawQuery = q.Encode()
	return u.String()
}

var hidden = regexp.MustCompile(`name="transaction_id" value="([^"]+)"`)

// ask opens the consent page.
func (f *flow) ask() (transaction, html string) {
	f.t.Helper()
	res, html := page(f.t, f.browser, f.address(), nil)
	m := hidden.FindStringSubmatch(html)
	if res.StatusCode != http.StatusOK || m == nil {
		f.t.Fatalf("no consent page: %s to %q: %s", res.Status, res.Header.Get("Location"), html)
	}
	return m[1], html
}

func (f *flow) decide(form url.Values, headers ...string) (*http.Response, url.Values) {
	f.t.Helper()
	res, _ := page(f.t, f.browser, f.s.Origin+"/oauth/decision", form, headers...)
	u, err := url.Parse(res.Header.Get("Location"))
	if err != nil {
		f.t.Fatal(err)
	}
	return res, u.Query()
}

// code goes through the consent page as alice.
func (f *flow) code() string {
	f.t.Helper()
	transaction, _ := f.ask()
	res, q := f.decide(url.Values{"transaction_id": {transaction}, "username": {"alice"}, "password": {"password"}})
	if q.Get("code") == "" || res.StatusCode != http.StatusSeeOther {
		f.t.Fatalf("no code: %s %v", res.Status, q)
	}
	testsrv.Is(f.t, map[string]any{"state": q.Get("state"), "iss": q.Get("iss")}, "st&te", "state")
	if q.Get("iss") != f.s.Origin {
		f.t.Errorf("iss %q", q.Get("iss"))
	}
	return q.Get("code")
}

// exchange calls the token endpoint by hand; values of with replace the right ones.
func (f *flow) exchange(code string, with url.Values) (int, map[string]any) {
	f.t.Helper()
	form := url.Values{"grant_type": {"authorization_code"}, "code": {code}, "client_id": {f.conf.ClientID}, "redirect_uri": {f.conf.RedirectURL}, "code_verifier": {f.verifier}}
	for k, v := range with {
		form[k] = v
	}
	res, err := http.PostForm(f.s.Origin+"/oauth/token", form)
	if err != nil {
		f.t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	var out map[string]any
	if err := json.NewDecoder(res.Body).Decode(&out); err != nil {
		f.t.Fatal(err)
	}
	if res.Header.Get("Cache-Control") != "no-store" || res.Header.Get("Access-Control-Allow-Origin") != "*" {
		f.t.Errorf("headers %v", res.Header)
	}
	return res.StatusCode, out
}

func TestOAuth(t *testing.T) {
	t.Parallel()
	client := newSite(t)
	s := testsrv.New(t)
	a := s.User(t, "alice")
	f := newFlow(t, s, client.serve("/{$}", "text/html", clientPage), client.origin+"/back")
	_, html := f.ask()
	for _, want := range []string{"Bread maker", strings.TrimPrefix(client.origin, "http://"), "write and delete notes", "see your account", `<meta name="misskey:oauth:client-name" content="Bread maker">`} {
		if !strings.Contains(html, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	if strings.Contains(html, "no:such") || strings.Contains(html, "<script") {
		t.Error("the page shows a scope that does not exist, or runs a script")
	}
	// The library finds out by itself how clients name themselves here.
	token, err := f.conf.Exchange(t.Context(), f.code(), oauth2.VerifierOption(f.verifier))
	if err != nil {
		t.Fatal(err)
	}
	if token.TokenType != "Bearer" || token.Extra("scope") != "write:notes read:account" || token.Extra("me") != s.Origin+"/@alice" {
		t.Errorf("token %+v %v", token, token.Extra("scope"))
	}
	app := &testsrv.User{S: s, Name: "app", Token: token.AccessToken}
	testsrv.Is(t, app.Post(t, "i", m{}), a.ID, "id")
	app.Note(t, m{"text": "x"})
	app.Fails(t, "following/create", m{}, 403, "PERMISSION_DENIED")
	if l := a.List(t, "i/apps", m{}); len(l) != 1 || l[0]["name"] != "Bread maker" {
		t.Errorf("tokens %v", l)
	}
	// An app's own scheme, and a body in JSON.
	f = newFlow(t, s, client.origin+"/", "myapp://back")
	body, _ := json.Marshal(map[string]string{"grant_type": "authorization_code", "code": f.code(), "client_id": f.conf.ClientID, "redirect_uri": "myapp://back", "code_verifier": f.verifier, "client_secret": ""})
	res, err := http.Post(s.Origin+"/oauth/token", "application/json", strings.NewReader(string(body)))
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	if res.StatusCode != http.StatusOK {
		t.Errorf("JSON: %s", res.Status)
	}
	// A client of Misskey's answers for the person by his token, from no page.
	transaction, _ := f.ask()
	f.browser = stay(t)
	if _, q := f.decide(url.Values{"transaction_id": {transaction}, "login_token": {a.Token}}); q.Get("code") == "" {
		t.Errorf("by token: %v", q)
	}
	for _, bad := range []string{"0123456789abcdef", token.AccessToken} {
		if res, q := f.decide(url.Values{"transaction_id": {transaction}, "login_token": {bad}}); q.Get("code") != "" || res.StatusCode < 400 {
			t.Errorf("by %q: %s", bad, res.Status)
		}
	}
}

func TestOAuthMetadata(t *testing.T) {
	t.Parallel()
	s := testsrv.New(t)
	_, body := page(t, stay(t), s.Origin+"/.well-known/oauth-authorization-server", nil)
	var doc map[string]any
	if err := json.Unmarshal([]byte(body), &doc); err != nil {
		t.Fatal(err)
	}
	testsrv.Is(t, doc, s.Origin, "issuer")
	testsrv.Is(t, doc, s.Origin+"/oauth/authorize", "authorization_endpoint")
	testsrv.Is(t, doc, s.Origin+"/oauth/token", "token_endpoint")
	testsrv.Is(t, doc, []any{"code"}, "response_types_supported")
	testsrv.Is(t, doc, []any{"S256"}, "code_challenge_methods_supported")
	testsrv.Is(t, doc, true, "authorization_response_iss_parameter_supported")
}

// A client's document in place of a page, and links in headers.
func TestOAuthClients(t *testing.T) {
	t.Parallel()
	client := newSite(t)
	s := testsrv.New(t)
	s.User(t, "alice")
	id := client.origin + "/client.json"
	client.serve("/client.json", "application/json", `{"client_id":"`+id+`","client_name":"Do\u202ecument","redirect_uris":["`+client.origin+`/back"]}`)
	if _, html := newFlow(t, s, id, client.origin+"/back").ask(); !strings.Contains(html, "<b>Document</b>") {
		t.Error("the name of the document is not shown")
	}
	header := client.serve("/header", "text/html", "", "Link", `</style.css>; rel=stylesheet, </back>; rel="redirect_uri"`)
	newFlow(t, s, header, client.origin+"/back").ask()
	// A page of another app cannot take its name.
	taken := client.serve("/taken", "text/html", `<link rel=redirect_uri href=/back><div class=h-app><a class="u-url p-name" href="/">Bread</a></div>`)
	if _, html := newFlow(t, s, taken, client.origin+"/back").ask(); strings.Contains(html, "<b>Bread</b>") {
		t.Error("the name of another app is shown")
	}
	moved := client.origin + "/moved"
	client.mux.HandleFunc("/moved", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/header", http.StatusFound) })
	newFlow(t, s, moved, client.origin+"/back").ask()
}

// What cannot be proven to be the client's is told to the person, and leads
// nowhere.
func TestOAuthBadClients(t *testing.T) {
	t.Parallel()
	client, other := newSite(t), newSite(t)
	s := testsrv.New(t)
	s.User(t, "alice")
	good := client.serve("/{$}", "text/html", clientPage)
	other.serve("/{$}", "text/html", clientPage)
	back := client.origin + "/back"
	client.serve("/huge", "text/html", clientPage+strings.Repeat("<p>x</p>", 100_000))
	client.serve("/image", "image/png", clientPage)
	client.serve("/stolen.json", "application/json", `{"client_id":"https://good.example/","redirect_uris":["`+back+`"]}`)
	client.serve("/broken.json", "application/json", `{"client_id":`)
	client.serve("/runs", "text/html", `<link rel=redirect_uri href="javascript:alert(1)"><link rel=redirect_uri href="https://a;script-src%20*/back"><link rel=redirect_uri href="/back#x">`)
	client.mux.HandleFunc("/loop", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "/loop?"+r.URL.RawQuery+"x", http.StatusFound)
	})
	client.mux.HandleFunc("/away", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, other.origin+"/", http.StatusFound) })
	client.mux.HandleFunc("/gone", http.NotFound)
	for what, c := range map[string][2]string{
		"another redirect":         {good, client.origin + "/other"},
		"a longer redirect":        {good, back + "/more"},
		"a redirect with a query":  {good, back + "?x=1"},
		"a redirect in the body":   {good, client.origin + "/in-body"},
		"another host":             {good, other.origin + "/back"},
		"no redirect":              {good, ""},
		"a script":                 {client.origin + "/runs", "javascript:alert(1)"},
		"a policy":                 {client.origin + "/runs", "https://a;script-src%20*/back"},
		"a fragment":               {client.origin + "/runs", back + "#x"},
		"a huge page":              {client.origin + "/huge", back},
		"a picture":                {client.origin + "/image", back},
		"another's document":       {client.origin + "/stolen.json", back},
		"half a document":          {client.origin + "/broken.json", back},
		"redirects without end":    {client.origin + "/loop", back},
		"a redirect elsewhere":     {client.origin + "/away", other.origin + "/back"},
		"nothing there":            {client.origin + "/gone", back},
		"an id that is no address": {"client", back},
		"an id with a fragment":    {good + "#x", back},
		"an id with a password":    {strings.Replace(good, "http://", "http://a:b@", 1), back},
		"an id that goes up":       {client.origin + "/x/../", back},
		"an id that goes up, hid":  {client.origin + "/x/%2E%2e/", back},
		"a private address":        {"http://10.0.0.1/", "http://10.0.0.1/back"},
		"this server":              {s.Origin + "/", s.Origin + "/back"},
		"another scheme":           {"ftp://a.example/", back},
	} {
		f := newFlow(t, s, c[0], c[1])
		for _, accept := range []string{"text/html", "*/*"} {
			res, body := page(t, f.browser, f.address(), nil, "Accept", accept)
			if res.StatusCode != http.StatusBadRequest || res.Header.Get("Location") != "" || !strings.Contains(body, "invalid_request") {
				t.Errorf("%s: %s to %q", what, res.Status, res.Header.Get("Location"))
			}
		}
	}
	for _, twice := range []string{"client_id", "redirect_uri"} {
		f := newFlow(t, s, good, back)
		u := f.address()
		q, _ := url.Parse(u)
		if res, _ := page(t, f.browser, u+"&"+twice+"="+url.QueryEscape(q.Query().Get(twice)), nil); res.StatusCode != http.StatusBadRequest {
			t.Errorf("%s twice: %s", twice, res.Status)
		}
	}
}

// In production no client is fetched from private addresses or without TLS.
func TestOAuthProduction(t *testing.T) {
	t.Parallel()
	client := newSite(t)
	s := testsrv.New(t, testsrv.Mode("production"))
	asked := false
	client.mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { asked = true })
	for _, id := range []string{client.origin + "/", strings.Replace(client.origin, "http:", "https:", 1) + "/", "https://localhost:" + client.origin[strings.LastIndex(client.origin, ":")+1:] + "/",
		"https://[::1]/", "https://169.254.169.254/latest", "https://192.168.0.1/"} {
		f := newFlow(t, s, id, id+"back")
		if res, _ := page(t, f.browser, f.address(), nil); res.StatusCode != http.StatusBadRequest {
			t.Errorf("%s: %s", id, res.Status)
		}
	}
	if asked {
		t.Error("a private address was asked")
	}
}

// What is wrong with a client's own request is told to the client.
func TestOAuthBadRequests(t *testing.T) {
	t.Parallel()
	client := newSite(t)
	s := testsrv.New(t)
	s.User(t, "alice")
	id := client.serve("/{$}", "text/html", clientPage)
	challenge := oauth2.S256ChallengeFromVerifier("x")
	for what, c := range map[string]struct {
		name   string
		values []string
		code   string
	}{
		"no PKCE":             {"code_challenge", nil, "invalid_request"},
		"no method":           {"code_challenge_method", nil, "invalid_request"},
		"plain":               {"code_challenge_method", []string{"plain"}, "invalid_request"},
		"a short challenge":   {"code_challenge", []string{"x"}, "invalid_request"},
		"two challenges":      {"code_challenge", []string{challenge, challenge}, "invalid_request"},
		"implicit":            {"response_type", []string{"token"}, "unsupported_response_type"},
		"hybrid":              {"response_type", []string{"code token"}, "unsupported_response_type"},
		"no type":             {"response_type", nil, "invalid_request"},
		"a fragment":          {"response_mode", []string{"fragment"}, "invalid_request"},
		"no scope":            {"scope", nil, "invalid_scope"},
		"no scope that is":    {"scope", []string{"no:such"}, "invalid_scope"},
		"a request object":    {"request", []string{"x"}, "request_not_supported"},
		"a request's address": {"request_uri", []string{"http://127.0.0.1/"}, "request_uri_not_supported"},
		"two scopes":          {"scope", []string{"read:account", "write:notes"}, "invalid_request"},
	} {
		res, _ := page(t, stay(t), newFlow(t, s, id, client.origin+"/back").set(c.name, c.values...).address(), nil)
		u, err := url.Parse(res.Header.Get("Location"))
		if err != nil {
			t.Fatal(err)
		}
		q := u.Query()
		if u.Path != "/back" || q.Get("error") != c.code || q.Get("state") != "st&te" || q.Get("iss") != s.Origin || q.Has("code") {
			t.Errorf("%s: %s", what, res.Header.Get("Location"))
		}
	}
}

func TestOAuthDecision(t *testing.T) {
	t.Parallel()
	client := newSite(t)
	s := testsrv.New(t)
	s.User(t, "alice")
	f := newFlow(t, s, client.serve("/{$}", "text/html", clientPage), client.origin+"/back")
	transaction, _ := f.ask()
	form := url.Values{"transaction_id": {transaction}, "username": {"alice"}, "password": {"password"}}
	with := func(name, value string) url.Values {
		c := url.Values{}
		for k, v := range form {
			c[k] = v
		}
		c.Set(name, value)
		return c
	}
	refused := func(what string, c *http.Client, form url.Values, headers ...string) {
		t.Helper()
		own := *f
		own.browser = c
		if res, q := own.decide(form, headers...); res.StatusCode != http.StatusForbidden || q.Has("code") {
			t.Errorf("%s: %s %v", what, res.Status, q)
		}
	}
	refused("another browser", stay(t), form)
	refused("another browser denies", stay(t), with("cancel", "cancel"))
	refused("another site", f.browser, form, "Sec-Fetch-Site", "cross-site")
	refused("another site, by origin", f.browser, form, "Origin", "https://evil.example")
	refused("a wrong password", f.browser, with("password", "no"))
	refused("nobody", f.browser, with("username", "nobody"))
	refused("a transaction that is none", f.browser, with("transaction_id", "x"))
	refused("another transaction", f.browser, with("transaction_id", transaction[:len(transaction)-4]+"AAAA"))
	if n := s.Count(t, `SELECT count(*) FROM oauth_code`); n != 0 {
		t.Errorf("%d codes", n)
	}
	if res, q := f.decide(with("cancel", "cancel")); q.Get("error") != "access_denied" || q.Get("state") != "st&te" || q.Get("iss") != s.Origin {
		t.Errorf("denied: %s %v", res.Status, q)
	}
	if res, q := f.decide(form); !q.Has("code") || !strings.HasPrefix(res.Header.Get("Location"), client.origin+"/back?") {
		t.Errorf("allowed: %s %v", res.Status, q)
	}
	if res, _ := page(t, f.browser, f.address(), nil); !strings.Contains(res.Header.Get("Content-Security-Policy"), "frame-ancestors 'none'") || res.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("headers %v", res.Header)
	}
}

func TestOAuthExchange(t *testing.T) {
	t.Parallel()
	client := newSite(t)
	s := testsrv.New(t)
	a := s.User(t, "alice")
	f := newFlow(t, s, client.serve("/{$}", "text/html", clientPage), client.origin+"/back")
	code := f.code()
	for what, c := range map[string]struct {
		with  url.Values
		error string
	}{
		"another verifier": {url.Values{"code_verifier": {oauth2.GenerateVerifier()}}, "invalid_grant"},
		"the challenge":    {url.Values{"code_verifier": {oauth2.S256ChallengeFromVerifier(f.verifier)}}, "invalid_grant"},
		"no verifier":      {url.Values{"code_verifier": nil}, "invalid_request"},
		"two verifiers":    {url.Values{"code_verifier": {f.verifier, f.verifier}}, "invalid_request"},
		"another client":   {url.Values{"client_id": {client.origin + "/other"}}, "invalid_grant"},
		"no client":        {url.Values{"client_id": nil}, "invalid_request"},
		"a secret":         {url.Values{"client_secret": {"x"}}, "invalid_client"},
		"another redirect": {url.Values{"redirect_uri": {client.origin + "/other"}}, "invalid_grant"},
		"no redirect":      {url.Values{"redirect_uri": nil}, "invalid_request"},
		"another code":     {url.Values{"code": {code[1:]}}, "invalid_grant"},
		"no grant":         {url.Values{"grant_type": nil}, "invalid_request"},
		"a password":       {url.Values{"grant_type": {"password"}}, "unsupported_grant_type"},
		"a refresh":        {url.Values{"grant_type": {"refresh_token"}}, "unsupported_grant_type"},
	} {
		if status, out := f.exchange(code, c.with); out["error"] != c.error || status/100 != 4 || out["access_token"] != nil {
			t.Errorf("%s: %d %v", what, status, out)
		}
	}
	status, out := f.exchange(code, nil)
	token, _ := out["access_token"].(string)
	if status != http.StatusOK || token == "" {
		t.Fatalf("%d %v", status, out)
	}
	app := &testsrv.User{S: s, Name: "app", Token: token}
	sock := app.Stream(t, "main")
	// The code comes again: whoever has it stole it, so what it gave is taken back.
	if status, out := f.exchange(code, url.Values{"code_verifier": {"x"}}); status != http.StatusBadRequest || out["error"] != "invalid_grant" {
		t.Errorf("again: %d %v", status, out)
	}
	sock.Closed()
	app.Fails(t, "i", m{}, 401, "AUTHENTICATION_FAILED")
	if status, out := f.exchange(code, nil); out["error"] != "invalid_grant" {
		t.Errorf("once more: %d %v", status, out)
	}
	// Too late, and for an account that is suspended meanwhile.
	code = f.code()
	if _, err := s.DB.Exec(t.Context(), `UPDATE oauth_code SET expires_at = now() - interval '1 s'`); err != nil {
		t.Fatal(err)
	}
	if _, out := f.exchange(code, nil); out["error"] != "invalid_grant" {
		t.Errorf("too late: %v", out)
	}
	code = f.code()
	if err := s.App.Moderation.Suspend(t.Context(), "", a.ID, true); err != nil {
		t.Fatal(err)
	}
	if _, out := f.exchange(code, nil); out["error"] != "invalid_grant" {
		t.Errorf("suspended: %v", out)
	}
}

// Ten at once with one code: at most one token is left, and it is not one that
// two got.
func TestOAuthExchangeRace(t *testing.T) {
	t.Parallel()
	client := newSite(t)
	s := testsrv.New(t)
	s.User(t, "alice")
	f := newFlow(t, s, client.serve("/{$}", "text/html", clientPage), client.origin+"/back")
	code := f.code()
	var wg sync.WaitGroup
	var mu sync.Mutex
	given := 0
	for range 10 {
		wg.Go(func() {
			if status, _ := f.exchange(code, nil); status == http.StatusOK {
				mu.Lock()
				given++
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if left := s.Count(t, `SELECT count(*) FROM access_token`); given != 1 || left != 0 {
		t.Errorf("%d were given, %d are left", given, left)
	}
}
