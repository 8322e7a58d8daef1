package webhook_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"

	"buttersc.one/oven/internal/testsrv"
)

type m = testsrv.M

// listener is an address that is told.
type listener struct {
	*httptest.Server
	mu     sync.Mutex
	got    []m
	head   []http.Header
	status int
}

func listen(t *testing.T) *listener {
	t.Helper()
	l := &listener{status: http.StatusNoContent}
	l.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var b m
		if err := json.NewDecoder(r.Body).Decode(&b); err != nil {
			t.Error(err)
		}
		l.mu.Lock()
		defer l.mu.Unlock()
		l.got, l.head = append(l.got, b), append(l.head, r.Header)
		w.WriteHeader(l.status)
	}))
	t.Cleanup(l.Close)
	return l
}

func (l *listener) types() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := []string{}
	for _, b := range l.got {
		out = append(out, b["type"].(string))
	}
	slices.Sort(out)
	return out
}

func (l *listener) clear(status int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.got, l.head, l.status = nil, nil, status
}

func eventually(t *testing.T, what string, f func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !f(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within 30 s: %s", what)
		}
	}
}

var every = []string{"mention", "unfollow", "follow", "followed", "note", "reply", "renote", "reaction"}

// Webhooks are made, changed and deleted by their owner, as many as the role allows.
func TestWebhooks(t *testing.T) {
	t.Parallel()
	s := testsrv.New(t)
	alice, bob := s.User(t, "alice"), s.User(t, "bob")
	h := alice.Post(t, "i/webhooks/create", m{"name": "x", "url": "https://hooks.example/a", "secret": "s3cret", "on": []string{"note"}}).(m)
	if h["active"] != true || h["secret"] != "s3cret" || h["latestSentAt"] != nil || h["latestStatus"] != nil || fmt.Sprint(h["on"]) != "[note]" || h["userId"] != alice.ID {
		t.Errorf("made: %v", h)
	}
	if n := s.Count(t, `SELECT count(*) FROM webhook WHERE position('s3cret'::bytea IN secret_enc) > 0`); n != 0 {
		t.Error("the secret can be read in the database")
	}
	alice.Post(t, "i/webhooks/update", m{"webhookId": h["id"], "name": "y", "secret": nil, "active": false})
	got := alice.Post(t, "i/webhooks/show", m{"webhookId": h["id"]}).(m)
	if got["name"] != "y" || got["secret"] != "" || got["active"] != false || got["url"] != "https://hooks.example/a" {
		t.Errorf("updated: %v", got)
	}
	for _, params := range []m{
		{"name": "", "url": "https://x.example", "on": every}, {"name": "x", "url": "ftp://x.example", "on": every}, {"name": "x", "url": "https://me:pw@x.example", "on": every},
		{"name": "x", "url": "nothing", "on": every}, {"name": "x", "url": "https://x.example", "on": []string{"baked"}}, {"name": "x", "url": "https://x.example"},
	} {
		alice.Fails(t, "i/webhooks/create", params, 400, "INVALID_PARAM")
	}
	alice.Fails(t, "i/webhooks/update", m{"webhookId": h["id"], "url": "file:///etc/passwd"}, 400, "INVALID_PARAM")
	for _, name := range []string{"show", "update", "delete", "test"} {
		bob.Fails(t, "i/webhooks/"+name, m{"webhookId": h["id"], "type": "note"}, 400, "NO_SUCH_WEBHOOK")
	}
	for range 2 {
		alice.Post(t, "i/webhooks/create", m{"name": "x", "url": "https://x.example", "on": every})
	}
	alice.Fails(t, "i/webhooks/create", m{"name": "x", "url": "https://x.example", "on": every}, 400, "TOO_MANY_WEBHOOKS")
	alice.Post(t, "i/webhooks/delete", m{"webhookId": h["id"]})
	alice.Fails(t, "i/webhooks/delete", m{"webhookId": h["id"]}, 400, "NO_SUCH_WEBHOOK")
	if list := alice.List(t, "i/webhooks/list", m{}); len(list) != 2 {
		t.Errorf("list: %v", list)
	}
	if list := bob.List(t, "i/webhooks/list", m{}); len(list) != 0 {
		t.Errorf("another's: %v", list)
	}
}

// What happens to an account is told to its webhooks, once, with their secret, and
// nothing of what the account may not see.
func TestWebhooksAreTold(t *testing.T) {
	t.Parallel()
	s := testsrv.New(t)
	alice, bob, eve := s.User(t, "alice"), s.User(t, "bob"), s.User(t, "eve")
	l := listen(t)
	h := alice.Post(t, "i/webhooks/create", m{"name": "x", "url": l.URL + "/hook?a=b", "secret": "s3cret", "on": every}).(m)
	write := func(u *testsrv.User, params m) any {
		t.Helper()
		return testsrv.Dig(u.Post(t, "notes/create", params), "createdNote", "id")
	}
	mine := write(alice, m{"text": "bread"})
	write(bob, m{"text": "@alice hello"})
	write(bob, m{"text": "@alice warm?", "replyId": mine})
	write(bob, m{"renoteId": mine})
	write(bob, m{"text": "nothing of hers"})
	bob.Post(t, "notes/reactions/create", m{"noteId": mine, "reaction": "👍"})
	alice.Post(t, "notes/reactions/create", m{"noteId": mine, "reaction": "👍"}) // her own is no news
	bob.Post(t, "following/create", m{"userId": alice.ID})
	alice.Post(t, "following/create", m{"userId": bob.ID})
	alice.Post(t, "following/delete", m{"userId": bob.ID})
	alice.Post(t, "mute/create", m{"userId": eve.ID})
	write(eve, m{"text": "@alice buy"})
	s.Settle(t)
	want := []string{"follow", "followed", "mention", "note", "reaction", "renote", "reply", "unfollow"}
	eventually(t, "everything", func() bool { return len(l.types()) >= len(want) })
	if got := l.types(); !slices.Equal(got, want) {
		t.Fatalf("told %v", got)
	}
	seen := map[string]bool{}
	for i, b := range l.got {
		body := b["body"].(m)
		id := b["eventId"].(string)
		if seen[id] || b["server"] != s.Origin || b["hookId"] != h["id"] || b["userId"] != alice.ID || b["createdAt"] == nil {
			t.Errorf("a message: %v", b)
		}
		seen[id] = true
		if hd := l.head[i]; hd.Get("X-Misskey-Hook-Secret") != "s3cret" || hd.Get("X-Misskey-Hook-Id") != h["id"] || hd.Get("X-Misskey-Host") != s.Host || hd.Get("User-Agent") != "Misskey-Hooks" || hd.Get("Content-Type") != "application/json" {
			t.Errorf("headers: %v", hd)
		}
		switch b["type"] {
		case "note", "renote", "reply", "mention":
			if testsrv.Dig(body, "note", "id") == nil {
				t.Errorf("%v without its note: %v", b["type"], body)
			}
		case "reaction":
			if testsrv.Dig(body, "note", "id") != mine || body["reaction"] != "👍" || testsrv.Dig(body, "user", "username") != "bob" {
				t.Errorf("a reaction: %v", body)
			}
		default:
			if testsrv.Dig(body, "user", "username") != "bob" {
				t.Errorf("%v: %v", b["type"], body)
			}
		}
	}
	if got := alice.Post(t, "i/webhooks/show", m{"webhookId": h["id"]}).(m); got["latestStatus"] != 204.0 || got["latestSentAt"] == nil {
		t.Errorf("remembered: %v", got)
	}

	// One that refuses is not asked again; one that is switched off is not asked.
	l.clear(http.StatusForbidden)
	write(alice, m{"text": "refused"})
	eventually(t, "the refusal", func() bool {
		return alice.Post(t, "i/webhooks/show", m{"webhookId": h["id"]}).(m)["latestStatus"] == 403.0
	})
	s.Settle(t)
	if got := l.types(); len(got) != 1 {
		t.Errorf("asked again: %v", got)
	}
	alice.Post(t, "i/webhooks/update", m{"webhookId": h["id"], "active": false})
	l.clear(http.StatusNoContent)
	write(alice, m{"text": "off"})
	s.Settle(t)
	if got := l.types(); len(got) != 0 {
		t.Errorf("told while it is off: %v", got)
	}

	// A test goes wherever it is sent, also while it is off.
	other := listen(t)
	alice.Post(t, "i/webhooks/test", m{"webhookId": h["id"], "type": "followed", "override": m{"url": other.URL, "secret": "other"}})
	alice.Post(t, "i/webhooks/test", m{"webhookId": h["id"], "type": "reaction"})
	eventually(t, "the tests", func() bool { return len(other.types()) == 1 && len(l.types()) == 1 })
	if other.head[0].Get("X-Misskey-Hook-Secret") != "other" || testsrv.Dig(other.got[0], "body", "user", "id") != alice.ID || testsrv.Dig(l.got[0], "body", "note", "text") != "off" {
		t.Errorf("tests: %v, %v", other.got, l.got)
	}
	alice.Fails(t, "i/webhooks/test", m{"webhookId": h["id"], "type": "baked"}, 400, "INVALID_PARAM")
	alice.Fails(t, "i/webhooks/test", m{"webhookId": h["id"], "type": "note", "override": m{"url": "gopher://x"}}, 400, "INVALID_PARAM")
}

// A webhook leads neither to this server, nor anywhere by a redirect.
func TestWebhooksStayOutside(t *testing.T) {
	t.Parallel()
	s := testsrv.New(t)
	alice := s.User(t, "alice")
	inner := listen(t)
	away := httptest.NewServer(http.RedirectHandler(inner.URL, http.StatusTemporaryRedirect))
	t.Cleanup(away.Close)
	self := alice.Post(t, "i/webhooks/create", m{"name": "self", "url": s.Origin + "/api/ping", "on": every}).(m)
	moved := alice.Post(t, "i/webhooks/create", m{"name": "away", "url": away.URL, "on": every}).(m)
	alice.Post(t, "notes/create", m{"text": "x"})
	status := func(h m) any { return alice.Post(t, "i/webhooks/show", m{"webhookId": h["id"]}).(m)["latestStatus"] }
	eventually(t, "both to be tried", func() bool { return status(self) != nil && status(moved) != nil })
	if status(self) != 1.0 || status(moved) != 307.0 || len(inner.types()) != 0 {
		t.Errorf("self %v, redirect %v, reached %v", status(self), status(moved), inner.types())
	}
}
