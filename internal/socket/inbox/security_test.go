package inbox_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"buttersc.one/oven/internal/lib/httpsig"
	"buttersc.one/oven/internal/socket/inbox"
)

// TestRow1: what is not signed as it must be is answered with 401 and leaves
// nothing (security row 1: CVE-2023-49079, CVE-2026-28432, CVE-2025-54888).
func TestRow1(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.s.Plug(everything(record)...)
	w.run(w.s)
	bob, eve := w.actor("https://b.example/bob"), w.actor("https://b.example/eve")
	mal := w.actor("https://m.example/mal")
	body := text(bob.create("1"))
	sign := func(r *http.Request, a *actor, at time.Time) {
		if err := httpsig.SignCavage(r, a.key, body, at); err != nil {
			t.Fatal(err)
		}
	}
	change := func(name, from, to string) func(r *http.Request) {
		return func(r *http.Request) {
			sign(r, bob, w.clock())
			was := r.Header.Get(name)
			if r.Header.Set(name, strings.Replace(was, from, to, 1)); r.Header.Get(name) == was {
				t.Errorf("%s did not change", name)
			}
		}
	}
	for name, spoil := range map[string]func(r *http.Request){
		"Unsigned":       func(*http.Request) {},
		"DigestNotAmong": change("Signature", " digest", ""),
		"HostNotAmong":   change("Signature", " host", ""),
		"DateNotAmong":   change("Signature", " date", ""),
		"TargetNotAmong": change("Signature", "(request-target) ", ""),
		"NoDigest":       func(r *http.Request) { sign(r, bob, w.clock()); r.Header.Del("Digest") },
		"WrongDigest":    func(r *http.Request) { sign(r, bob, w.clock()); r.Header.Set("Digest", httpsig.Digest([]byte("x"))) },
		"WrongBody": func(r *http.Request) {
			sign(r, bob, w.clock())
			other := text(bob.create("2"))
			r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(other)), int64(len(other))
		},
		"HostMismatch": func(r *http.Request) { r.Host = "other.example"; sign(r, bob, w.clock()) },
		"Target":       func(r *http.Request) { sign(r, bob, w.clock()); r.URL.Path = "/users/x/inbox" },
		"OldDate":      func(r *http.Request) { sign(r, bob, w.clock().Add(-13*time.Hour)) },
		"FutureDate":   func(r *http.Request) { sign(r, bob, w.clock().Add(2*time.Hour)) },
		"OwnerNotActor": func(r *http.Request) {
			sign(r, eve, w.clock()) // of the same host
		},
		"OtherHostsKey": func(r *http.Request) { sign(r, mal, w.clock()) },
		"ClaimedKeyID": func(r *http.Request) {
			sign(r, &actor{key: httpsig.Key{ID: bob.key.ID, Signer: mal.key.Signer}}, w.clock())
		},
		"TwoSignatures": func(r *http.Request) {
			sign(r, bob, w.clock())
			r.Header.Add("Signature", r.Header.Get("Signature"))
		},
		"KeyOfThisServer": func(r *http.Request) {
			sign(r, &actor{key: httpsig.Key{ID: w.url + "/users/a#main-key", Signer: mal.key.Signer}}, w.clock())
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := w.request(body)
			spoil(r)
			status, why := w.send(r)
			if status != 401 || why == "" || len(why) > 200 {
				t.Errorf("%d %q", status, why)
			}
		})
	}
	w.settle()
	if w.rows()+w.seen() != 0 || len(w.effects()) != 0 || len(w.heard) != 0 {
		t.Fatal("something was believed", w.heard)
	}
	// F44: none of the copies has spoiled the real one.
	w.must(bob, bob.create("1"), 202)
	w.settle()
	same(t, w.effects(), bob.id+"/create/1")
}

// TestRow1NothingBefore: with the workers standing still, nothing is in the
// database after a bad signature, and no key was asked for because of a bad
// host.
func TestRow1NothingBefore(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.s.Plug(everything(record)...)
	bob := w.stranger("https://b.example/bob")
	mal := newActor("https://b.example/bob") // another key of the same name
	w.must(mal, bob.create("1"), 401)
	v := bob.create("2")
	v["actor"] = "https://c.example/carol"
	w.must(bob, v, 401)
	if w.rows()+w.seen() != 0 || w.calls("b.example") != 1 || w.calls("c.example") != 0 {
		t.Fatal(w.rows(), w.seen(), w.keyCalls)
	}
}

// TestRow5: nobody changes or removes what is on another host, whatever form
// the object has (security rows 2 and 5; FEP-fe34).
func TestRow5(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.s.Plug(everything(record)...)
	mal := w.actor("https://m.example/mal")
	own, theirs := mal.id+"/note/1", "https://b.example/note/1"
	note := func(id any) map[string]any { return doc("id", id, "type", "Note") }
	for name, object := range map[string]any{
		"ID":             theirs,
		"Object":         note(theirs),
		"Tombstone":      doc("id", theirs, "type", "Tombstone"),
		"Account":        "https://b.example/bob",
		"OtherPort":      note("https://m.example:8443/note/1"),
		"Subdomain":      note("https://x.m.example/note/1"),
		"UserInfo":       note("https://m.example@b.example/note/1"),
		"NoID":           doc("type", "Note"),
		"Nothing":        nil,
		"TwoIDs":         []any{own, theirs},
		"IDThenObject":   []any{own, note(theirs)},
		"IDThenNoID":     []any{own, doc("type", "Note", "url", theirs)},
		"ObjectThenID":   []any{note(own), theirs},
		"Ours":           w.url + "/notes/1",
		"NumberAsID":     note(5),
		"ListOfNoObject": []any{},
	} {
		for _, typ := range []string{"Create", "Update", "Delete"} {
			status := w.post(mal, doc("id", mal.id+"/"+typ+name, "type", typ, "actor", mal.id, "object", object))
			if status != 400 && status != 401 {
				t.Errorf("%s %s: %d", typ, name, status)
			}
		}
	}
	like := doc("id", "https://b.example/like/1", "type", "Like", "actor", "https://b.example/bob", "object", w.url+"/notes/1")
	for _, object := range []any{like, "https://b.example/like/1", doc("id", mal.id+"/like", "type", "Like", "actor", "https://b.example/bob"),
		doc("type", "Like", "actor", "https://b.example/bob"), []any{mal.id + "/like", like}} {
		if status := w.post(mal, doc("id", mal.id+"/undo", "type", "Undo", "actor", mal.id, "object", object)); status != 400 && status != 401 {
			t.Errorf("undo %v: %d", object, status)
		}
	}
	// The id of the activity itself, and a second actor beside the signer.
	v := mal.create("1")
	v["id"] = "https://b.example/create/1"
	w.must(mal, v, 401)
	v = mal.create("2")
	v["actor"] = []any{mal.id, "https://b.example/bob"}
	w.must(mal, v, 400)
	if w.rows()+w.seen() != 0 {
		t.Fatal(w.rows(), w.seen())
	}
	// The part after verification checks the same by itself.
	err := w.s.Accept(t.Context(), mal.info, text(doc("id", mal.id+"/d", "type", "Delete", "actor", mal.id, "object", theirs)))
	if !errors.Is(err, inbox.ErrRefused) {
		t.Fatal(err)
	}
}

// TestForwarded: what another host forwards is refused, whatever signature the
// document carries inside (security row 4).
func TestForwarded(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.s.Plug(everything(record)...)
	bob, relay := w.actor("https://b.example/bob"), w.actor("https://r.example/relay")
	v := bob.create("1")
	v["signature"] = doc("type", "RsaSignature2017", "creator", bob.key.ID, "signatureValue", "AAAA")
	w.must(relay, v, 401)
	if w.rows() != 0 {
		t.Fatal(w.rows())
	}
}

// TestRow8Size: bodies above 1 MiB get 413, with and without a length.
func TestRow8Size(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.s.Plug(everything(record)...)
	bob := w.actor("https://b.example/bob")
	body := text(bob.create("1", "content", strings.Repeat("x", 1<<20)))
	for _, length := range []int64{int64(len(body)), -1} {
		r := w.request(nil)
		if err := httpsig.SignCavage(r, bob.key, body, w.clock()); err != nil {
			t.Fatal(err)
		}
		r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), length
		if status, _ := w.send(r); status != 413 {
			t.Errorf("length %d: %d", length, status)
		}
	}
	w.must(bob, bob.create("2", "content", strings.Repeat("x", 1<<20-1000)), 202)
	if w.rows() != 1 {
		t.Fatal(w.rows())
	}
}

// TestBadRequests: what is no activity is refused.
func TestBadRequests(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.s.Plug(everything(record)...)
	bob := w.actor("https://b.example/bob")
	for _, body := range []string{`[]`, `{`, `7`, `{}`, `{"type":"Create"}`, `{"actor":"https://b.example/bob"}`,
		`{"type":"Create","type":"Delete","actor":"https://b.example/bob"}`, `{"type":"Create","actor":"bob"}`, strings.Repeat("[", 500)} {
		r := w.request([]byte(body))
		if err := httpsig.SignCavage(r, bob.key, []byte(body), w.clock()); err != nil {
			t.Fatal(err)
		}
		if status, _ := w.send(r); status != 400 {
			t.Errorf("%.40s: %d", body, status)
		}
	}
	res, err := http.Get(w.url + "/inbox")
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	if res.StatusCode != http.StatusMethodNotAllowed {
		t.Error(res.StatusCode)
	}
}

// TestRateLimit: too many requests in the name of one host get 429 before
// anything else is done with them; another host is not touched by it.
func TestRateLimit(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.s.Plug(everything(record)...)
	mal, bob := w.actor("https://m.example/mal"), w.actor("https://b.example/bob")
	var mu sync.Mutex
	got := map[int]int{}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 250 {
				r := w.request([]byte("{}"))
				if err := httpsig.SignCavage(r, mal.key, []byte("{}"), w.clock()); err != nil {
					t.Error(err)
				}
				status, _ := w.send(r)
				mu.Lock()
				got[status]++
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if got[429] < 100 || got[400] < 500 {
		t.Fatal(got)
	}
	w.must(bob, bob.create("1"), 202)
}

// TestSlowBody: a sender that drips its body does not keep others out.
func TestSlowBody(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.s.Plug(everything(record)...)
	bob := w.actor("https://b.example/bob")
	conn, err := net.Dial("tcp", w.self)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	_, err = fmt.Fprintf(conn, "POST /inbox HTTP/1.1\r\nHost: %s\r\nContent-Length: 1000\r\nSignature: keyId=\"https://m.example/k\",signature=\"AAAA\"\r\n\r\n{", w.self)
	if err != nil {
		t.Fatal(err)
	}
	w.must(bob, bob.create("1"), 202)
}
