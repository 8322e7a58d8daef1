package instance_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"buttersc.one/oven/internal/testsrv"
)

// A server that has sent something of late is asked once a day how it looks;
// what it says in one place only is taken from there, and what it cannot tell
// today stays.
func TestLook(t *testing.T) {
	t.Parallel()
	var asked atomic.Int64
	var down atomic.Bool
	far := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		say := func(typ, text string) {
			w.Header().Set("Content-Type", typ)
			_, _ = w.Write([]byte(strings.ReplaceAll(text, "ORIGIN", "http://"+r.Host)))
		}
		switch {
		case r.URL.Path == "/.well-known/nodeinfo" && !down.Load():
			say("application/json", `{"links":[{"rel":"http://nodeinfo.diaspora.software/ns/schema/2.1","href":"ORIGIN/n"}]}`)
		case r.URL.Path == "/n":
			say("application/json", `{"software":{"name":"toaster","version":"9"},"metadata":{"nodeName":"The Toaster"}}`)
		case r.URL.Path == "/":
			asked.Add(1)
			say("text/html", `<!doctype html><html><head><link rel="shortcut icon" href="/fav.png"><link rel="apple-touch-icon" href="javascript:alert(1)">
				<link rel="manifest" href="m.json"><meta name="Theme-Color" content="#abc"></head><body><link rel="icon" href="/of-a-user.png"></body></html>`)
		case r.URL.Path == "/m.json":
			say("application/manifest+json", `{"short_name":"T","theme_color":"#def","icons":[{"src":"data:image/png;base64,AA"},{"src":"/big.png"}]}`)
		default:
			http.NotFound(w, r)
		}
	}))
	t.Cleanup(far.Close)
	host := strings.TrimPrefix(far.URL, "http://")
	s := testsrv.New(t)
	root := s.User(t, "root")
	exec := func(sql string, args ...any) {
		t.Helper()
		if _, err := s.DB.Exec(t.Context(), sql, args...); err != nil {
			t.Fatal(err)
		}
	}
	tick := func() {
		t.Helper()
		root.Post(t, "oven/clock", m{"offsetMs": 0})
		s.Settle(t)
	}
	exec(`INSERT INTO instance (id, host) VALUES ('a1', $1)`, host)
	tick()
	if n := asked.Load(); n != 0 {
		t.Fatalf("asked %d times though it never spoke", n)
	}
	exec(`INSERT INTO fed_sender (host, last_at) VALUES ($1, now())`, host)
	tick()
	tick() // not again today
	if n := asked.Load(); n != 1 {
		t.Errorf("asked %d times", n)
	}
	look := func(want m) {
		t.Helper()
		i := root.Post(t, "federation/show-instance", m{"host": host})
		for key, v := range want {
			testsrv.Is(t, i, v, key)
		}
	}
	want := m{"name": "The Toaster", "softwareName": "toaster", "themeColor": "#abc", "faviconUrl": far.URL + "/fav.png", "iconUrl": far.URL + "/big.png"}
	look(want)
	down.Store(true)
	exec(`UPDATE instance SET asked_at = now() - interval '2 days'`)
	tick()
	look(want)
}
