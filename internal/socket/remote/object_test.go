package remote_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"buttersc.one/oven/internal/lib/httpsig"
	"buttersc.one/oven/internal/socket/remote"
)

func TestGetObject(t *testing.T) {
	w := newWorld(t, "b.example", "c.example")
	w.doc("http://b.example/notes/1", "http://b.example/notes/1")
	w.doc("http://b.example/@bob/1", "http://b.example/notes/1")
	w.redirect("http://b.example/short", "/notes/1")
	w.redirect("http://c.example/moved", "http://b.example/notes/1")
	w.serve("http://b.example/page", "text/html; charset=utf-8",
		`<!doctype html><title>x</title><link rel="stylesheet" href="/a.css"><link rel="alternate" type="application/activity+json" href="/notes/1"><body>`)
	w.serve("http://b.example/longpage", "text/html", `<link rel="alternate" type="application/activity+json" href="/notes/1"><body>`+strings.Repeat("x", 2<<20))
	w.serve("http://b.example/ld", `application/ld+json; profile="https://www.w3.org/ns/activitystreams"`,
		`{"@context":["https://www.w3.org/ns/activitystreams"],"id":"http://b.example/ld"}`)
	w.serve("http://b.example/path", activityJSON, "\xef\xbb\xbf"+`{"@context":"https://www.w3.org/ns/activitystreams","id":"http://B.example:80/path?q=1"}`)
	c := w.client()
	for uri, id := range map[string]string{
		"http://b.example/notes/1":          "http://b.example/notes/1",
		"http://b.example/notes/1#fragment": "http://b.example/notes/1",
		"http://B.example:80/notes/1":       "http://b.example/notes/1",
		"http://b.example/@bob/1":           "http://b.example/notes/1",
		"http://b.example/short":            "http://b.example/notes/1",
		"http://c.example/moved":            "http://b.example/notes/1",
		"http://b.example/page":             "http://b.example/notes/1",
		"http://b.example/longpage":         "http://b.example/notes/1",
		"http://b.example/ld":               "http://b.example/ld",
		"http://b.example/path?q=1":         "http://B.example:80/path?q=1",
	} {
		o, err := c.GetObject(t.Context(), uri)
		if err != nil || o.ID() != id {
			t.Errorf("%s: %q, %v; want %q", uri, o.ID(), err, id)
		}
	}
	if c.Waiting() != 0 {
		t.Error("places are not given back")
	}
}

// TestRow2Origin: no server can pass off an object as another's (security row
// 2, FEP-fe34).
func TestRow2Origin(t *testing.T) {
	w := newWorld(t, "b.example", "c.example")
	victim := "http://b.example/users/bob"
	w.doc(victim, victim)
	w.doc("http://b.example/users/slash/", "http://b.example/users/slash/")
	w.doc("http://c.example/id", victim)
	w.redirect("http://b.example/away", "http://c.example/id-of-b")
	w.doc("http://c.example/id-of-b", "http://b.example/away")
	w.redirect("http://c.example/bounce", "http://b.example/id-of-c")
	w.doc("http://b.example/id-of-c", "http://c.example/bounce")
	w.serve("http://b.example/page-away", "text/html", `<link rel="alternate" type="application/activity+json" href="http://c.example/own">`)
	w.doc("http://c.example/own", "http://c.example/own")
	w.serve("http://b.example/page-back", "text/html", `<link rel="alternate" type="application/activity+json" href="/page-back-2">`)
	w.serve("http://b.example/page-back-2", "text/html", `<link rel="alternate" type="application/activity+json" href="/users/bob">`)
	w.serve("http://b.example/page-hop", "text/html", `<link rel="alternate" type="application/activity+json" href="/hop">`)
	w.redirect("http://b.example/hop", "http://c.example/id")
	// Written by a user of the same host (an upload, say) with the id of another's.
	w.doc("http://b.example/files/evil", "http://b.example/users/nobody")
	w.doc("http://b.example/files/other", "http://b.example/files/third")
	w.doc("http://b.example/files/third", "http://b.example/files/other")
	w.doc("http://b.example/files/moved", "http://b.example/files/gone-away")
	w.redirect("http://b.example/files/gone-away", "http://c.example/files/gone-away")
	w.doc("http://c.example/files/gone-away", "http://b.example/files/gone-away")
	w.doc("http://b.example/files/hop", "http://b.example/files/hop-id")
	w.redirect("http://b.example/files/hop-id", "http://b.example/files/hop-end")
	w.doc("http://b.example/files/hop-end", "http://b.example/files/hop-id")
	w.serve("http://b.example/none", activityJSON, `{"@context":"https://www.w3.org/ns/activitystreams","type":"Note"}`)
	w.serve("http://b.example/list", activityJSON, `{"@context":"https://www.w3.org/ns/activitystreams","id":["http://b.example/list"]}`)
	w.doc("http://b.example/frag", "http://b.example/frag#main-key")
	w.doc("http://b.example/slash", "http://b.example/slash/")
	w.doc("http://b.example/port", "http://b.example:8080/port")
	w.doc("http://b.example/sub", "http://x.b.example/sub")
	w.doc("http://b.example/user", "http://b.example@c.example/user")
	c := w.client()
	for _, uri := range []string{
		"http://c.example/id", "http://b.example/away", "http://c.example/bounce", "http://b.example/page-hop",
		"http://b.example/files/other", "http://b.example/files/moved", "http://b.example/files/hop",
		"http://b.example/none", "http://b.example/list", "http://b.example/frag", "http://b.example/port", "http://b.example/sub", "http://b.example/user",
	} {
		_, err := c.GetObject(t.Context(), uri)
		isErr(t, uri, err, remote.ErrOrigin, false)
	}
	for _, uri := range []string{"http://b.example/page-away", "http://b.example/page-back"} {
		_, err := c.GetObject(t.Context(), uri)
		isErr(t, uri, err, remote.ErrType, false)
	}
	for _, uri := range []string{"http://b.example/files/evil", "http://b.example/slash"} {
		_, err := c.GetObject(t.Context(), uri)
		if isErr(t, uri, err, nil, false); !remote.IsGone(err) {
			t.Errorf("%s: %v", uri, err)
		}
	}
	if w.got("http://c.example/own") != 0 {
		t.Error("a page's link to another host was followed")
	}
	if o, err := c.GetObject(t.Context(), "http://b.example/users/slash/"); err != nil || o.ID() != "http://b.example/users/slash/" {
		t.Error(err)
	}
}

// TestRow2GetKey: a key document is taken from its own host only.
func TestRow2GetKey(t *testing.T) {
	w := newWorld(t, "b.example", "c.example")
	w.doc("http://b.example/users/1/main-key", "http://b.example/users/1")
	w.redirect("http://b.example/key2", "http://c.example/key2")
	w.doc("http://c.example/key2", "http://b.example/users/1")
	c := w.client()
	if o, err := c.GetKey(t.Context(), "http://b.example/users/1/main-key#x"); err != nil || o.ID() != "http://b.example/users/1" {
		t.Error(err)
	}
	_, err := c.GetKey(t.Context(), "http://b.example/key2")
	isErr(t, "redirected", err, remote.ErrOrigin, false)
}

// TestRow3ContentType: what does not say that it is ActivityPub is none
// (security row 3).
func TestRow3ContentType(t *testing.T) {
	w := newWorld(t, "b.example")
	for path, ct := range map[string]string{
		"json": "application/json", "ld": "application/ld+json", "other": `application/ld+json; profile="https://example.com/ns"`,
		"prefix": `application/ld+json; profile="https://www.w3.org/ns/activitystreams.evil"`,
		"text":   "text/plain", "none": "", "two": "image/png, application/activity+json", "jpg": "image/jpeg", "html": "text/html",
	} {
		uri := "http://b.example/" + path
		w.serve(uri, ct, `{"@context":"https://www.w3.org/ns/activitystreams","id":"`+uri+`","type":"Note"}`)
		_, err := w.client().GetObject(t.Context(), uri)
		isErr(t, path, err, remote.ErrType, false)
	}
	w.handle("http://b.example/twice", func(rw http.ResponseWriter, _ *http.Request) {
		rw.Header()["Content-Type"] = []string{"application/activity+json", "image/png"}
		_, _ = rw.Write([]byte(`{"@context":"https://www.w3.org/ns/activitystreams","id":"http://b.example/twice"}`))
	})
	for uri, text := range map[string]string{"http://b.example/bad": `{`, "http://b.example/twokeys": `{"@context":"https://www.w3.org/ns/activitystreams","id":"a","id":"b"}`,
		"http://b.example/nocontext": `{"id":"http://b.example/nocontext"}`} {
		w.serve(uri, activityJSON, text)
	}
	for _, uri := range []string{"http://b.example/twice", "http://b.example/bad", "http://b.example/twokeys", "http://b.example/nocontext"} {
		_, err := w.client().GetObject(t.Context(), uri)
		isErr(t, uri, err, remote.ErrType, false)
	}
}

// TestKnocks: fetches are signed, and 401 is answered by another signature.
func TestKnocks(t *testing.T) {
	w := newWorld(t, "b.example")
	var tried []string
	var mu sync.Mutex
	takes := func(wants func(httpsig.Scheme, *http.Request) bool) http.HandlerFunc {
		return func(rw http.ResponseWriter, r *http.Request) {
			s, err := w.verifies(r, "b.example", nil)
			mu.Lock()
			tried = append(tried, s.String())
			mu.Unlock()
			if err != nil || !wants(s, r) || r.Header.Get("User-Agent") != "Oven/test" || !strings.Contains(r.Header.Get("Accept"), "application/activity+json") {
				rw.WriteHeader(http.StatusUnauthorized)
				return
			}
			rw.Header().Set("Content-Type", activityJSON)
			_, _ = rw.Write([]byte(`{"@context":"https://www.w3.org/ns/activitystreams","id":"http://b.example` + r.RequestURI + `"}`))
		}
	}
	w.handle("http://b.example/cavage", takes(func(s httpsig.Scheme, _ *http.Request) bool { return s == httpsig.Cavage }))
	w.handle("http://b.example/rfc", takes(func(s httpsig.Scheme, _ *http.Request) bool { return s == httpsig.RFC9421 }))
	w.handle("http://b.example/path", takes(func(_ httpsig.Scheme, r *http.Request) bool {
		// Valid for the path alone?
		bare := httptest.NewRequest(http.MethodGet, "/path", nil)
		bare.Header, bare.Host = r.Header, r.Host
		_, err := w.verifies(bare, "b.example", nil)
		return err == nil
	}))
	w.handle("http://b.example/never", takes(func(httpsig.Scheme, *http.Request) bool { return false }))
	c := w.client()
	for _, tc := range []struct {
		uri, want string
		ok        bool
	}{
		{"http://b.example/cavage", "cavage", true},
		{"http://b.example/cavage?page=1", "cavage", true},
		{"http://b.example/rfc", "cavage rfc9421", true},
		{"http://b.example/rfc?page=1", "cavage cavage rfc9421", true},
		{"http://b.example/path?page=1", "cavage cavage", true},
		{"http://b.example/never", "cavage rfc9421", false},
	} {
		tried = nil
		_, err := c.GetObject(t.Context(), tc.uri)
		if got := strings.Join(tried, " "); got != tc.want || (err == nil) != tc.ok {
			t.Errorf("%s: tried %q, %v", tc.uri, got, err)
		}
		var e *remote.Error
		if !tc.ok && (!errors.As(err, &e) || e.Status != 401 || e.Temporary || e.Host != "b.example") {
			t.Errorf("%+v", e)
		}
	}
	w.handle("http://b.example/open", func(rw http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Signature") != "" {
			rw.WriteHeader(http.StatusBadRequest)
			return
		}
		rw.Header().Set("Content-Type", activityJSON)
		_, _ = rw.Write([]byte(`{"@context":"https://www.w3.org/ns/activitystreams","id":"http://b.example/open"}`))
	})
	if _, err := remote.New(w.cfg, nil, nil).GetObject(t.Context(), "http://b.example/open"); err != nil {
		t.Error("without a signer:", err)
	}
}

// brokenSigner has no key.
type brokenSigner struct{}

var errNoKey = errors.New("no key")

func (brokenSigner) SignGet(context.Context) (httpsig.Key, error) { return httpsig.Key{}, errNoKey }

func TestMisses(t *testing.T) {
	w := newWorld(t, "b.example")
	w.handle("http://b.example/broken", func(rw http.ResponseWriter, _ *http.Request) { rw.WriteHeader(http.StatusBadGateway) })
	c := w.client()
	get := func(uri string, want int64) {
		t.Helper()
		if _, err := c.GetObject(t.Context(), uri); err == nil {
			t.Error("found", uri)
		}
		if got := w.got(uri); got != want {
			t.Errorf("%s: asked %d times, want %d", uri, got, want)
		}
	}
	const gone, broken = "http://b.example/gone", "http://b.example/broken"
	get(gone, 1)
	get(gone, 1)
	get(gone+"#x", 1)
	get(broken, 1)
	w.pass(59 * time.Second)
	get(broken, 1)
	w.pass(time.Second)
	get(broken, 2)
	w.pass(58 * time.Minute)
	get(gone, 1)
	w.pass(time.Minute)
	get(gone, 2)
	c.Forget(gone + "#y")
	get(gone, 3)
	get(broken, 3)
	c.ForgetAll()
	get(gone, 4)
	get(broken, 4)

	// Failures of our own are not remembered.
	broke := remote.New(w.cfg, brokenSigner{}, nil)
	for range 2 {
		_, err := broke.GetObject(t.Context(), gone)
		isErr(t, "no key", err, errNoKey, true)
	}
}

// TestOneFlight: callers at the same time share one fetch, and it survives the
// first of them.
func TestOneFlight(t *testing.T) {
	w := newWorld(t, "b.example")
	arrived, let := make(chan struct{}, 10), make(chan struct{})
	w.handle("http://b.example/1", func(rw http.ResponseWriter, _ *http.Request) {
		arrived <- struct{}{}
		<-let
		rw.Header().Set("Content-Type", activityJSON)
		_, _ = rw.Write([]byte(`{"@context":"https://www.w3.org/ns/activitystreams","id":"http://b.example/1"}`))
	})
	c := w.client()
	first, leave := context.WithCancel(t.Context())
	errs := make(chan error, 11)
	go func() { _, err := c.GetObject(first, "http://b.example/1"); errs <- err }()
	<-arrived
	leave()
	if err := <-errs; !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	for range 10 {
		go func() { _, err := c.GetObject(t.Context(), "http://b.example/1"); errs <- err }()
	}
	if n := w.got("http://b.example/1"); n != 1 {
		t.Errorf("%d fetches", n)
	}
	close(let)
	for range 10 {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
}

func TestAlternateLink(t *testing.T) {
	const ap = `type="application/activity+json"`
	for page, want := range map[string]string{
		`<link rel="alternate" ` + ap + ` href="/1">`:                                                  "https://b.example/1",
		`<LINK REL="Alternate nofollow" TYPE="application/activity+json" HREF="https://c.example/1"/>`: "https://c.example/1",
		`<base href="https://c.example/"><link rel=alternate ` + ap + ` href=1>`:                       "https://b.example/x/1",
		`<link rel="alternate" type="application/rss+xml" href="/1">`:                                  "",
		`<link rel="canonical" ` + ap + ` href="/1">`:                                                  "",
		`<link rel="alternate" ` + ap + `>`:                                                            "",
		`<body><link rel="alternate" ` + ap + ` href="/1">`:                                            "",
		`<!-- <link rel="alternate" ` + ap + ` href="/1"> -->`:                                         "",
		`<title><link rel="alternate" ` + ap + ` href="/1"></title>`:                                   "",
		`<script>"<link rel='alternate' ` + ap + ` href='/1'>"</script>`:                               "",
		``: "",
	} {
		if got := remote.AlternateLink(page, "https://b.example/x/y"); got != want {
			t.Errorf("%s: %q", page, got)
		}
	}
}
