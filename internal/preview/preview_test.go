package preview_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"buttersc.one/oven/internal/app"
	"buttersc.one/oven/internal/testsrv"
)

type m = testsrv.M

// site is somebody else's: pages by path, and who asked.
type site struct {
	*httptest.Server
	host string

	mu    sync.Mutex
	asked map[string]int
	last  *http.Request
	pages map[string]http.HandlerFunc
}

func newSite(t *testing.T) *site {
	t.Helper()
	s := &site{asked: map[string]int{}, pages: map[string]http.HandlerFunc{}}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		s.asked[r.URL.Path]++
		s.last = r
		page := s.pages[r.URL.Path]
		s.mu.Unlock()
		if page == nil {
			http.NotFound(w, r)
			return
		}
		page(w, r)
	}))
	s.host = s.Listener.Addr().String()
	t.Cleanup(s.Close)
	return s
}

// html serves a page whose head is given.
func (s *site) html(path, head string) {
	s.on(path, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = w.Write([]byte("<!doctype html><head>" + head + "</head><body>x"))
	})
}

func (s *site) to(path, where string) {
	s.on(path, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, where, http.StatusFound) })
}

func (s *site) on(path string, h http.HandlerFunc) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pages[path] = h
}

func (s *site) count(path string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked[path]
}

// all is how often anything was asked for.
func (s *site) all() (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, k := range s.asked {
		n += k
	}
	return n
}

// look asks a server what is at an address.
func look(t testing.TB, s *testsrv.Server, address string, more ...string) (*http.Response, m) {
	t.Helper()
	return get(t, s, "/url?url="+url.QueryEscape(address)+strings.Join(more, ""), "")
}

func get(t testing.TB, s *testsrv.Server, path, ip string) (*http.Response, m) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.Origin+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	if ip != "" {
		req.Header.Set("X-Forwarded-For", ip)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	var v m
	_ = json.Unmarshal(b, &v)
	if v == nil {
		v = m{"text": string(b)}
	}
	return res, v
}

func maxAge(t testing.TB, res *http.Response) time.Duration {
	t.Helper()
	n, err := strconv.Atoi(strings.TrimPrefix(res.Header.Get("Cache-Control"), "public, max-age="))
	if err != nil {
		t.Fatalf("Cache-Control %q", res.Header.Get("Cache-Control"))
	}
	return time.Duration(n) * time.Second
}

func fails(t testing.TB, s *testsrv.Server, address string) {
	t.Helper()
	res, v := look(t, s, address)
	if res.StatusCode != http.StatusUnprocessableEntity || testsrv.Dig(v, "error", "code") != "URL_PREVIEW_FAILED" || testsrv.Dig(v, "error", "id") != "09d01cb5-53b9-4856-82e5-38a50c290a3b" {
		t.Errorf("%s: %d %v", address, res.StatusCode, v)
	}
}

func clock(t testing.TB, s *testsrv.Server, d time.Duration) {
	t.Helper()
	s.Guest().Post(t, "oven/clock", m{"offsetMs": d.Milliseconds()})
}

func TestSummary(t *testing.T) {
	t.Parallel()
	far := newSite(t)
	far.html("/bread", `<title>갓 구운 빵</title><meta property="og:image" content="/bread.jpg"><meta name="description" content="매일 아침">`)
	s := testsrv.New(t)
	res, v := look(t, s, far.URL+"/bread#crumbs", "&lang=ko-KR")
	if res.StatusCode != http.StatusOK || !strings.HasPrefix(res.Header.Get("Content-Type"), "application/json") || res.Header.Get("Access-Control-Allow-Origin") != "*" {
		t.Fatalf("%s %v %v", res.Status, res.Header, v)
	}
	proxied := s.Origin + "/proxy/preview.webp?url=" + url.QueryEscape(far.URL+"/bread.jpg") + "&preview=1"
	for key, want := range map[string]any{"title": "갓 구운 빵", "description": "매일 아침", "thumbnail": proxied, "sitename": far.host, "sensitive": false, "activityPub": nil,
		"fediverseCreator": nil, "url": far.URL + "/bread", "icon": s.Origin + "/proxy/preview.webp?url=" + url.QueryEscape(far.URL+"/favicon.ico") + "&preview=1"} {
		testsrv.Is(t, v, want, key)
	}
	testsrv.Is(t, v, nil, "player", "url")
	if allow, ok := testsrv.Dig(v, "player", "allow").([]any); !ok || len(allow) != 0 {
		t.Errorf("allow %v", testsrv.Dig(v, "player", "allow"))
	}
	far.mu.Lock()
	lang, agent := far.last.Header.Get("Accept-Language"), far.last.UserAgent()
	far.mu.Unlock()
	if lang != "ko, *;q=0.5" || !strings.HasPrefix(agent, "OvenBot/") || !strings.Contains(agent, s.Origin) {
		t.Errorf("asked as %q in %q", agent, lang)
	}
	if d := maxAge(t, res); d < 6*24*time.Hour-time.Minute || d > 8*24*time.Hour {
		t.Errorf("kept for %v", d)
	}
	// The same again, in a variant of the language, and after a restart.
	look(t, s, far.URL+"/bread", "&lang=ko")
	s.Stop(t)
	s.Start(t)
	if res, _ = look(t, s, far.URL+"/bread", "&lang=KO-kp"); res.StatusCode != http.StatusOK || far.count("/bread") != 1 {
		t.Errorf("%s, fetched %d times", res.Status, far.count("/bread"))
	}
	look(t, s, far.URL+"/bread", "&lang=ja")
	clock(t, s, 9*24*time.Hour)
	look(t, s, far.URL+"/bread", "&lang=ko")
	if far.count("/bread") != 3 {
		t.Errorf("fetched %d times", far.count("/bread"))
	}
}

// A note with a link has nobody fetch anything: only who looks at it does.
func TestNothingIsFetchedUnasked(t *testing.T) {
	t.Parallel()
	far, b := newSite(t), testsrv.NewRemote(t)
	far.html("/", "<title>x</title>")
	s := testsrv.New(t)
	alice := s.User(t, "alice")
	bob := b.Actor("bob")
	alice.Post(t, "following/create", m{"userId": bob.On(t, alice).ID})
	alice.Note(t, m{"text": "look: " + far.URL + "/"})
	bob.Tell(t, s, m{"type": "Create", "object": bob.Note("/notes/1", m{"content": `<a href="` + far.URL + `/">look</a>`}), "to": []string{"https://www.w3.org/ns/activitystreams#Public"}})
	s.Settle(t)
	if n := far.all(); n != 0 {
		t.Errorf("fetched %d times", n)
	}
}

// When previews end differs, so that servers which fetched together do not come
// back together.
func TestEndsAreSpread(t *testing.T) {
	t.Parallel()
	far := newSite(t)
	s := testsrv.New(t)
	least, most := 10000*time.Hour, time.Duration(0)
	for i := range 20 {
		far.html(fmt.Sprintf("/%d", i), "<title>x</title>")
		res, _ := look(t, s, fmt.Sprintf("%s/%d", far.URL, i))
		least, most = min(least, maxAge(t, res)), max(most, maxAge(t, res))
	}
	if most-least < 6*time.Hour {
		t.Errorf("between %v and %v", least, most)
	}
}

func TestBadRequests(t *testing.T) {
	t.Parallel()
	far := newSite(t)
	s := testsrv.New(t)
	for _, q := range []string{"", "?url=", "?url=a&url=b", "?url=javascript:alert(1)", "?url=file:///etc/passwd", "?url=http%3A%2F%2Fu:p@" + far.host, "?url=" + url.QueryEscape(far.URL) + "&lang=a&lang=b", "?url=https://",
		"?url=" + url.QueryEscape(far.URL+"/"+strings.Repeat("x", 2100)), "?url[]=" + url.QueryEscape(far.URL)} {
		if res, _ := get(t, s, "/url"+q, ""); res.StatusCode != http.StatusBadRequest {
			t.Errorf("%.60s: %s", q, res.Status)
		}
	}
	s.Set(t, m{"urlPreviewEnabled": false})
	res, v := look(t, s, far.URL+"/")
	if res.StatusCode != http.StatusForbidden || testsrv.Dig(v, "error", "code") != "URL_PREVIEW_DISABLED" || testsrv.Dig(v, "error", "id") != "58b36e13-d2f5-0323-b0c6-76aa9dabefb8" || far.all() != 0 {
		t.Errorf("%s %v", res.Status, v)
	}
	testsrv.Is(t, s.Guest().Post(t, "meta", m{}), false, "enableUrlPreview")
}

// A failure is believed for a while, the shorter the likelier it is to pass.
func TestFailures(t *testing.T) {
	t.Parallel()
	far := newSite(t)
	far.on("/picture", func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Content-Type", "image/png") })
	far.on("/down", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) })
	far.html("/untitled", "")
	s := testsrv.New(t)
	for _, path := range []string{"/gone", "/picture", "/untitled", "/down"} {
		fails(t, s, far.URL+path)
		fails(t, s, far.URL+path)
		if far.count(path) != 1 {
			t.Errorf("%s was fetched %d times", path, far.count(path))
		}
	}
	if res, _ := look(t, s, far.URL+"/gone"); maxAge(t, res) > 2*time.Hour || maxAge(t, res) < 50*time.Minute {
		t.Errorf("%v", maxAge(t, res))
	}
	clock(t, s, 15*time.Minute)
	far.html("/down", "<title>up</title>")
	if res, _ := look(t, s, far.URL+"/down"); res.StatusCode != http.StatusOK {
		t.Errorf("the site is back: %s", res.Status)
	}
	fails(t, s, far.URL+"/gone")
	clock(t, s, 3*time.Hour)
	fails(t, s, far.URL+"/gone")
	if far.count("/gone") != 2 {
		t.Errorf("fetched %d times", far.count("/gone"))
	}
}

// What is private stays so, whatever leads there; and what is blocked.
func TestGuards(t *testing.T) {
	t.Parallel()
	far := newSite(t)
	addr := netip.MustParseAddrPort(far.host)
	s := testsrv.New(t, testsrv.TestHosts(map[string]netip.AddrPort{"page.example": addr, "bad.example": addr, "sub.bad.example": addr}))
	s.Set(t, m{"blockedHosts": []string{"bad.example"}, "federation": "none"})
	far.html("/ok", "<title>x</title>")
	far.to("/private", "http://10.1.2.3/")
	far.to("/meta", "http://169.254.169.254/latest/")
	far.to("/blocked", "http://bad.example/ok")
	far.to("/self", s.Origin+"/ok")
	far.to("/file", "file:///etc/passwd")
	far.to("/a", "/b")
	far.to("/b", "/a")
	far.to("/once", "/ok")
	if res, v := look(t, s, "http://page.example/once"); res.StatusCode != http.StatusOK || v["url"] != "http://page.example/ok" {
		t.Fatalf("a redirect, on a server that federates with nobody: %s %v", res.Status, v)
	}
	for _, path := range []string{"/private", "/meta", "/blocked", "/self", "/file", "/a"} {
		fails(t, s, "http://page.example"+path)
	}
	if n := far.count("/a") + far.count("/b"); n > 7 {
		t.Errorf("%d rounds", n)
	}
	before := far.all()
	for _, bad := range []string{"http://10.1.2.3/", "http://[fd00::1]/", "http://0x0a010203/", "http://bad.example/ok", "https://sub.BAD.example/ok", "http://metadata.google.internal/"} {
		fails(t, s, bad)
	}
	if far.all() != before {
		t.Error("a blocked host was asked")
	}
	// A block holds for what is known already.
	s.Set(t, m{"blockedHosts": []string{"page.example"}})
	fails(t, s, "http://page.example/once")

	s.Set(t, m{"blockedHosts": []string{}, "urlPreviewAllowRedirect": false})
	far.to("/moved", "/ok")
	fails(t, s, "http://page.example/moved")
}

// In production loopback is as private as the rest.
func TestLoopback(t *testing.T) {
	t.Parallel()
	far := newSite(t)
	far.html("/", "<title>x</title>")
	s := testsrv.New(t, testsrv.Mode("production"))
	for _, bad := range []string{far.URL, strings.Replace(far.URL, "127.0.0.1", "localhost", 1), strings.Replace(far.URL, "127.0.0.1", "[::ffff:127.0.0.1]", 1)} {
		fails(t, s, bad+"/")
	}
	if n := far.all(); n != 0 {
		t.Errorf("reached %d times", n)
	}
}

func TestBounds(t *testing.T) {
	t.Parallel()
	far := newSite(t)
	head := "<title>x</title>"
	far.on("/announced", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		w.Header().Set("Content-Length", "200000")
		_, _ = w.Write([]byte(head + strings.Repeat(" ", 200000-len(head))))
	})
	var sent atomic.Int64
	endless := func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		_, _ = w.Write([]byte(head))
		for r.Context().Err() == nil && sent.Load() < 100<<20 {
			n, err := w.Write(make([]byte, 64<<10))
			sent.Add(int64(n))
			if err != nil {
				return
			}
		}
	}
	far.on("/endless", endless)
	far.on("/large", endless)
	far.on("/drip", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		for r.Context().Err() == nil {
			_, _ = w.Write([]byte(" "))
			w.(http.Flusher).Flush()
			time.Sleep(20 * time.Millisecond)
		}
	})
	far.on("/unsaid", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		_, _ = w.Write([]byte(head))
		w.(http.Flusher).Flush()
	})
	s := testsrv.New(t)
	// A long page is read as far as its head may be.
	if res, _ := look(t, s, far.URL+"/large"); res.StatusCode != http.StatusOK || sent.Load() > 20<<20 {
		t.Errorf("%s after %d bytes", res.Status, sent.Load())
	}
	s.Set(t, m{"urlPreviewMaximumContentLength": 100_000, "urlPreviewTimeout": 700, "urlPreviewUserAgent": "Baker/1"})
	begin := time.Now()
	for _, path := range []string{"/announced", "/endless", "/drip"} {
		fails(t, s, far.URL+path)
	}
	if d := time.Since(begin); d > 5*time.Second {
		t.Errorf("took %v", d)
	}
	if res, _ := look(t, s, far.URL+"/unsaid"); res.StatusCode != http.StatusOK {
		t.Errorf("%s", res.Status)
	}
	far.mu.Lock()
	if ua := far.last.UserAgent(); ua != "Baker/1" {
		t.Errorf("asked as %s", ua)
	}
	far.mu.Unlock()
	s.Set(t, m{"urlPreviewRequireContentLength": true})
	far.on("/unsaid2", far.pages["/unsaid"])
	fails(t, s, far.URL+"/unsaid2")
	far.html("/said", head)
	if res, _ := look(t, s, far.URL+"/said"); res.StatusCode != http.StatusOK {
		t.Errorf("%s", res.Status)
	}
}

// It is no lever: one look for many who ask, a budget for each who asks and for
// each who is asked; what is known costs nothing.
func TestBudgets(t *testing.T) {
	t.Parallel()
	far := newSite(t)
	wait := make(chan struct{})
	far.on("/slow", func(w http.ResponseWriter, _ *http.Request) {
		<-wait
		w.Header().Set("Content-Type", "text/html")
		_, _ = w.Write([]byte("<title>x</title>"))
	})
	s := testsrv.New(t, func(o *app.Options) { o.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")} })
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			if res, _ := get(t, s, "/url?url="+url.QueryEscape(far.URL+"/slow"), fmt.Sprintf("192.0.2.%d", i)); res.StatusCode != http.StatusOK {
				t.Errorf("%s", res.Status)
			}
		})
	}
	time.Sleep(300 * time.Millisecond)
	close(wait)
	wg.Wait()
	if far.count("/slow") != 1 {
		t.Errorf("fetched %d times for twenty who asked at once", far.count("/slow"))
	}
	ask := func(i int, ip string) int {
		res, _ := get(t, s, fmt.Sprintf("/url?url=%s", url.QueryEscape(fmt.Sprintf("%s/%d", far.URL, i))), ip)
		if res.StatusCode == http.StatusTooManyRequests && res.Header.Get("Retry-After") == "" {
			t.Error("it does not say when")
		}
		return res.StatusCode
	}
	for i := range 60 {
		if status := ask(i, "198.51.100.1"); status != http.StatusUnprocessableEntity {
			t.Fatalf("page %d: %d", i, status)
		}
	}
	if status := ask(60, "198.51.100.1"); status != http.StatusTooManyRequests {
		t.Errorf("one page more: %d", status)
	}
	if status := ask(0, "198.51.100.1"); status != http.StatusUnprocessableEntity {
		t.Errorf("what is known: %d", status)
	}
	// 1 + 60 of 120 are gone for this host, whoever asks.
	n := far.all()
	for i := range 100 {
		ask(100+i, fmt.Sprintf("198.51.100.%d", 2+i))
	}
	if more := far.all() - n; more != 59 {
		t.Errorf("%d more pages of one host were fetched", more)
	}
	s.Guest().Post(t, "oven/clock", m{"offsetMs": 0})
}

// Pages of this server are not fetched but known, as far as a guest may see them.
func TestOwnPages(t *testing.T) {
	t.Parallel()
	s := testsrv.New(t)
	a := s.User(t, "alice")
	s.Set(t, m{"name": "빵집"})
	a.Post(t, "i/update", m{"name": "앨리스", "description": "굽는 사람"})
	file := a.File(t, "a.png", testsrv.Picture(t, "a"), m{})
	open := a.Note(t, m{"text": "식빵이 나왔어요", "fileIds": []any{file["id"]}})
	warned := a.Note(t, m{"text": "the end", "cw": "spoiler"})
	hidden := a.Note(t, m{"text": "for friends", "visibility": "followers"})
	for path, want := range map[string]m{
		"/":                 {"title": "빵집"},
		"/notes/" + open:    {"title": "앨리스 (@alice)", "description": "식빵이 나왔어요", "activityPub": s.Origin + "/notes/" + open, "thumbnail": file["url"], "sitename": "빵집"},
		"/notes/" + warned:  {"title": "앨리스 (@alice)", "description": "spoiler"},
		"/@alice":           {"title": "앨리스 (@alice)", "description": "굽는 사람"},
		"/@alice@" + s.Host: nil, "/notes/" + hidden: nil, "/notes/nothing": nil, "/@nobody": nil, "/api/ping": nil, "/url?url=" + url.QueryEscape(s.Origin): nil,
	} {
		res, v := look(t, s, s.Origin+path)
		if want == nil && strings.HasPrefix(path, "/@alice@") {
			continue // either is right
		}
		if want == nil {
			if res.StatusCode != http.StatusUnprocessableEntity {
				t.Errorf("%s: %s %v", path, res.Status, v)
			}
			continue
		}
		if res.StatusCode != http.StatusOK || maxAge(t, res) > time.Minute {
			t.Errorf("%s: %s %v", path, res.Status, v)
		}
		for key, value := range want {
			testsrv.Is(t, v, value, key)
		}
	}
	a.Post(t, "notes/delete", m{"noteId": open})
	fails(t, s, s.Origin+"/notes/"+open)
	if n := s.Count(t, "SELECT count(*) FROM link_preview"); n != 0 {
		t.Errorf("%d own pages are kept", n)
	}
}

// A Summaly server that is named in the settings is asked instead, wherever it is;
// it is trusted no more than a page.
func TestSummaryProxy(t *testing.T) {
	t.Parallel()
	summaly := newSite(t)
	s := testsrv.New(t, testsrv.Mode("production"))
	summaly.on("/", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		switch r.FormValue("url") {
		case "https://page.example/down":
			w.WriteHeader(http.StatusInternalServerError)
		case "https://page.example/untitled":
			_, _ = w.Write([]byte(`{"title":null,"url":"https://page.example/untitled"}`))
		case "https://page.example/away":
			http.Redirect(w, r, "/elsewhere", http.StatusFound)
		default:
			_, _ = w.Write([]byte(`{"title":"T\u202e","icon":"javascript:x","description":null,"thumbnail":"https://page.example/t.png","player":{"url":"http://page.example/p","width":1,"height":1,"allow":["camera"]},
				"sitename":"S","sensitive":true,"url":"https://page.example/a"}`))
		}
	})
	s.Set(t, m{"urlPreviewSummaryProxyUrl": summaly.URL + "/?token=x", "urlPreviewTimeout": 5000})
	res, v := look(t, s, "https://page.example/a", "&lang=ja-JP")
	if res.StatusCode != http.StatusOK {
		t.Fatalf("%s %v", res.Status, v)
	}
	for key, want := range map[string]any{"title": "T", "icon": nil, "sensitive": true, "thumbnail": s.Origin + "/proxy/preview.webp?url=https%3A%2F%2Fpage.example%2Ft.png&preview=1"} {
		testsrv.Is(t, v, want, key)
	}
	testsrv.Is(t, v, nil, "player", "url")
	summaly.mu.Lock()
	q := summaly.last.URL.Query()
	summaly.mu.Unlock()
	for key, want := range map[string]string{"url": "https://page.example/a", "lang": "ja", "token": "x", "followRedirects": "true", "operationTimeout": "5000", "contentLengthLimit": "10485760", "contentLengthRequired": "false"} {
		if q.Get(key) != want {
			t.Errorf("%s is %q", key, q.Get(key))
		}
	}
	for _, path := range []string{"down", "untitled", "away"} {
		fails(t, s, "https://page.example/"+path)
	}
	if summaly.count("/elsewhere") != 0 {
		t.Error("it was followed elsewhere")
	}
	s.Set(t, m{"blockedHosts": []string{"bad.example"}})
	n := summaly.all()
	fails(t, s, "https://bad.example/")
	if summaly.all() != n {
		t.Error("a blocked host was asked through it")
	}
}

// A player is found by oEmbed, and framed by a page that frames nothing else.
func TestPlayer(t *testing.T) {
	t.Parallel()
	far := newSite(t)
	s := testsrv.New(t)
	far.html("/film", `<title>"Film" <b></title><link rel="alternate" type="application/json+oembed" href="/oembed">`)
	far.on("/oembed", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(`{"version":"1.0","type":"video","width":640,"height":360,"html":"<iframe src=\"https://player.example/1?a=b\" allow=\"autoplay; camera\" allowfullscreen></iframe>"}`))
	})
	far.html("/ours", `<title>x</title><meta name="twitter:player" content="https://`+s.Host+`/notes/1">`)
	far.html("/none", `<title>x</title>`)
	far.html("/broken", `<title>x</title><link rel="alternate" type="application/json+oembed" href="/gone">`)
	framed := func(page string) (*http.Response, string) {
		res, v := get(t, s, "/url/player?lang=ko&url="+url.QueryEscape(page), "")
		text, _ := v["text"].(string)
		return res, text
	}
	if res, _ := framed(far.URL + "/film"); res.StatusCode != http.StatusNotFound {
		t.Errorf("a page that is not known: %s", res.Status)
	}
	_, v := look(t, s, far.URL+"/film", "&lang=ko")
	testsrv.Is(t, v, "https://player.example/1?a=b", "player", "url")
	testsrv.Is(t, v, []any{"autoplay", "fullscreen"}, "player", "allow")
	res, text := framed(far.URL + "/film")
	csp := res.Header.Get("Content-Security-Policy")
	for _, part := range []string{"default-src 'none'", "frame-src https:", "frame-ancestors 'self'", "base-uri 'none'", "form-action 'none'"} {
		if !strings.Contains(csp, part) {
			t.Errorf("the policy lacks %s: %s", part, csp)
		}
	}
	for _, part := range []string{`src="https://player.example/1?a=b&amp;auto_play=1&amp;autoplay=1"`, `allow="autoplay; fullscreen"`, `sandbox="allow-scripts allow-same-origin allow-popups`, "&lt;b&gt;"} {
		if !strings.Contains(text, part) {
			t.Errorf("the page lacks %s: %s", part, text)
		}
	}
	if strings.Contains(csp, "script-src") || strings.Contains(text, "top-navigation") || strings.Contains(text, "allow-forms") {
		t.Errorf("%s\n%s", csp, text)
	}
	for _, path := range []string{"/ours", "/none", "/broken"} {
		_, v := look(t, s, far.URL+path, "&lang=ko")
		testsrv.Is(t, v, "x", "title")
		testsrv.Is(t, v, nil, "player", "url")
		if res, _ := framed(far.URL + path); res.StatusCode != http.StatusNotFound {
			t.Errorf("%s: %s", path, res.Status)
		}
	}
	s.Set(t, m{"urlPreviewEnabled": false})
	if res, _ := framed(far.URL + "/film"); res.StatusCode != http.StatusNotFound {
		t.Errorf("previews are off: %s", res.Status)
	}
	// No page of this server but that one may be framed.
	if res, _ := get(t, s, "/", ""); !strings.Contains(res.Header.Get("Content-Security-Policy"), "frame-ancestors 'none'") {
		t.Error(res.Header.Get("Content-Security-Policy"))
	}
}

func TestClean(t *testing.T) {
	t.Parallel()
	s := testsrv.New(t)
	fill := func(n int, until string) {
		t.Helper()
		if _, err := s.DB.Exec(t.Context(), "INSERT INTO link_preview (key, until) SELECT sha256(($2 || i)::bytea), now() + $2::interval + i * interval '1 second' FROM generate_series(1, $1) i", n, until); err != nil {
			t.Fatal(err)
		}
	}
	fill(7000, "-1 day")
	fill(30, "1 day")
	if err := s.App.Previews.Clean(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := s.Count(t, "SELECT count(*) FROM link_preview"); n != 30 {
		t.Errorf("%d are left", n)
	}
	if err := s.App.Previews.Trim(t.Context(), 10); err != nil {
		t.Fatal(err)
	}
	if n := s.Count(t, "SELECT count(*) FROM link_preview WHERE until > now() + interval '1 day 20 seconds'"); n != 10 || s.Count(t, "SELECT count(*) FROM link_preview") != 10 {
		t.Errorf("%d of the latest are left", n)
	}
}
