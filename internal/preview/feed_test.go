package preview_test

import (
	"crypto/sha512"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"buttersc.one/oven/internal/testsrv"
)

func TestFeeds(t *testing.T) {
	t.Parallel()
	far := newSite(t)
	far.on("/rss", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(`<rss><channel><title>빵집</title><item><title>식빵</title><link>/1</link><pubDate>Tue, 27 Jan 2026 10:00:00 +0900</pubDate></item></channel></rss>`))
	})
	far.on("/page", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<html>")) })
	far.on("/long", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte("<rss><channel><title>x</title></channel></rss>" + strings.Repeat(" ", 3<<20)))
	})
	far.to("/private", "http://10.1.2.3/rss")
	s := testsrv.New(t)
	g := s.Guest()
	v := g.Post(t, "fetch-rss", m{"url": far.URL + "/rss"})
	testsrv.Is(t, v, "빵집", "title")
	testsrv.Is(t, v, far.URL+"/1", "items", 0, "link")
	testsrv.Is(t, v, "2026-01-27T01:00:00.000Z", "items", 0, "isoDate")
	res, v2 := get(t, s, "/api/fetch-rss?url="+url.QueryEscape(far.URL+"/rss"), "")
	testsrv.Is(t, v2, "식빵", "items", 0, "title")
	if far.count("/rss") != 1 || res.Header.Get("Cache-Control") != "public, max-age=180" {
		t.Errorf("fetched %d times, %s", far.count("/rss"), res.Header.Get("Cache-Control"))
	}
	clock(t, s, 4*time.Minute)
	g.Post(t, "fetch-rss", m{"url": far.URL + "/rss"})
	if far.count("/rss") != 2 {
		t.Errorf("fetched %d times", far.count("/rss"))
	}
	for _, path := range []string{"/page", "/long", "/private", "/gone"} {
		g.Fails(t, "fetch-rss", m{"url": far.URL + path}, 400, "NO_SUCH_FEED")
		g.Fails(t, "fetch-rss", m{"url": far.URL + path}, 400, "NO_SUCH_FEED")
		if far.count(path) != 1 {
			t.Errorf("%s was fetched %d times", path, far.count(path))
		}
	}
	g.Fails(t, "fetch-rss", m{"url": "javascript:x"}, 400, "INVALID_PARAM")
	g.Fails(t, "fetch-rss", m{}, 400, "INVALID_PARAM")
	s.Set(t, m{"blockedHosts": []string{strings.Split(far.host, ":")[0], far.host}})
	g.Fails(t, "fetch-rss", m{"url": far.URL + "/other"}, 400, "NO_SUCH_FEED")
	if far.count("/other") != 0 {
		t.Error("a blocked host was asked")
	}
}

func TestFeedBudget(t *testing.T) {
	t.Parallel()
	far := newSite(t)
	s := testsrv.New(t)
	for range 60 {
		_, _ = look(t, s, far.URL+"/"+strings.Repeat("x", far.all()))
	}
	s.Guest().Fails(t, "fetch-rss", m{"url": far.URL + "/rss"}, 429, "RATE_LIMIT_EXCEEDED")
}

func TestResources(t *testing.T) {
	t.Parallel()
	far := newSite(t)
	s := testsrv.New(t)
	a := s.User(t, "alice")
	data := "{\r\n\"name\": \"빵 테마\"}"
	b, _ := json.Marshal(m{"type": "theme", "data": data, "more": 1})
	far.on("/theme", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(b) })
	far.on("/odd", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(`{"type":1,"data":"x"}`)) })
	far.on("/half", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(`{"type":"theme"}`)) })
	far.on("/long", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(`{"type":"theme","data":"` + strings.Repeat("x", 5<<20) + `"}`))
	})
	far.to("/private", "http://10.1.2.3/")
	sum := sha512.Sum512([]byte(strings.ReplaceAll(data, "\r\n", "\n")))
	hash := hex.EncodeToString(sum[:])
	v := a.Post(t, "fetch-external-resources", m{"url": far.URL + "/theme", "hash": hash})
	testsrv.Is(t, v, m{"type": "theme", "data": data})
	a.Fails(t, "fetch-external-resources", m{"url": far.URL + "/theme", "hash": hash[1:] + "0"}, 400, "EXT_RESOURCE_HASH_DIDNT_MATCH")
	for _, path := range []string{"/odd", "/half", "/long", "/private", "/gone"} {
		a.Fails(t, "fetch-external-resources", m{"url": far.URL + path, "hash": hash}, 400, "EXT_RESOURCE_RETURNED_INVALID_SCHEMA")
	}
	a.Fails(t, "fetch-external-resources", m{"url": "file:///x", "hash": hash}, 400, "INVALID_PARAM")
	s.Guest().Fails(t, "fetch-external-resources", m{"url": far.URL + "/theme", "hash": hash}, 401, "CREDENTIAL_REQUIRED")
	app := s.Guest()
	app.Token = testsrv.Dig(a.Post(t, "miauth/gen-token", m{"session": nil, "permission": []string{"read:account"}}), "token").(string)
	app.Fails(t, "fetch-external-resources", m{"url": far.URL + "/theme", "hash": hash}, 403, "ACCESS_DENIED")
}
