package app_test

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"strings"
	"testing"

	"buttersc.one/oven/internal/testsrv"
)

// What somebody uploaded is never served as a document of ActivityPub, nor as
// a page (CVE-2024-25636).
func TestRow3Files(t *testing.T) {
	t.Parallel()
	s := testsrv.New(t)
	doc := []byte(`{"@context":"https://www.w3.org/ns/activitystreams","id":"` + s.Origin + `/files/forged","type":"Note"}`)
	for typ, want := range map[string]string{
		"application/activity+json": "application/octet-stream", "application/ld+json": "application/octet-stream", "application/json": "application/octet-stream",
		"text/html": "application/octet-stream", "image/svg+xml": "application/octet-stream", "text/javascript": "application/octet-stream", "image/png": "image/png",
	} {
		// A picture by its first bytes, whatever its row says it is.
		f, err := s.App.Drive.Store(t.Context(), "x", io.MultiReader(testsrv.Picture(t, typ), bytes.NewReader(doc)))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.DB.Exec(t.Context(), "UPDATE drive_blob SET type = $2 WHERE file_id = $1", f.ID, typ); err != nil {
			t.Fatal(err)
		}
		for _, accept := range []string{"application/activity+json", "text/html", "*/*"} {
			req, err := http.NewRequest(http.MethodGet, f.URL, nil)
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("Accept", accept)
			res, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			_, _ = io.Copy(io.Discard, res.Body)
			_ = res.Body.Close()
			if res.StatusCode != http.StatusOK || res.Header.Get("Content-Type") != want || res.Header.Get("X-Content-Type-Options") != "nosniff" ||
				!strings.Contains(res.Header.Get("Content-Security-Policy"), "sandbox") {
				t.Errorf("%s for %s: %s %v", typ, accept, res.Status, res.Header)
			}
		}
	}
}

// A signature inside a document is no authority, however it is dressed up
// (CVE-2024-32983, CVE-2026-46349): what somebody else is said to have written
// is fetched where he writes.
func TestRow4(t *testing.T) {
	t.Parallel()
	victims, evil := testsrv.NewRemote(t), testsrv.NewRemote(t)
	s := testsrv.New(t)
	alice := s.User(t, "alice")
	victim, attacker := victims.Actor("victim"), evil.Actor("attacker")
	victimID := victim.On(t, alice).ID
	attacker.On(t, alice)
	forged := m{"id": victims.Origin + "/notes/1", "type": "Note", "attributedTo": victim.ID, "content": "forged", "to": "https://www.w3.org/ns/activitystreams#Public"}
	create := m{"id": victims.Origin + "/creates/1", "type": "Create", "actor": victim.ID, "object": forged, "to": "https://www.w3.org/ns/activitystreams#Public"}
	sig := m{"type": "RsaSignature2017", "creator": victim.ID + "#main-key", "created": "2026-01-01T00:00:00Z", "signatureValue": "AAAA"}
	with := func(doc m, more m) m {
		out := m{}
		for _, from := range []m{doc, more} {
			for k, v := range from {
				out[k] = v
			}
		}
		return out
	}
	own := m{"id": evil.Origin + "/creates/1", "type": "Create", "actor": attacker.ID,
		"object": m{"id": evil.Origin + "/notes/1", "type": "Note", "attributedTo": attacker.ID, "content": "mine", "to": "https://www.w3.org/ns/activitystreams#Public"}}
	for what, a := range map[string]m{
		"signed inside":         with(create, m{"signature": sig}),
		"as an announce":        {"id": evil.Origin + "/a", "type": "Announce", "actor": attacker.ID, "object": with(create, m{"signature": sig})},
		"named graph":           with(own, m{"id": evil.Origin + "/creates/2", "@graph": []any{create}, "signature": sig}),
		"included":              with(own, m{"id": evil.Origin + "/creates/3", "@included": []any{create}, "signature": sig}),
		"reverse":               with(own, m{"id": evil.Origin + "/creates/4", "@reverse": m{"object": create}, "signature": sig}),
		"another context":       with(create, m{"@context": []any{"https://www.w3.org/ns/activitystreams", m{"x": "as:actor"}}, "x": attacker.ID, "signature": sig}),
		"actor in two spelling": with(create, m{"actor": attacker.ID, "as:actor": victim.ID, "signature": sig}),
		"others' object":        with(own, m{"id": evil.Origin + "/creates/5", "object": forged}),
		"update of it":          {"id": evil.Origin + "/u", "type": "Update", "actor": attacker.ID, "object": forged, "signature": sig},
		"actor's profile":       {"id": evil.Origin + "/p", "type": "Update", "actor": attacker.ID, "object": m{"id": victim.ID, "type": "Person", "preferredUsername": "victim", "name": "forged", "inbox": victim.ID + "/inbox"}, "signature": sig},
	} {
		attacker.Send(t, s, a)
		s.Settle(t)
		if n := s.Count(t, `SELECT count(*) FROM note WHERE user_id = $1 OR text LIKE '%forged%'`, victimID); n != 0 {
			t.Fatalf("%s: believed", what)
		}
		if n := s.Count(t, `SELECT count(*) FROM "user" WHERE id = $1 AND name IS NULL`, victimID); n != 1 {
			t.Fatalf("%s: the victim's profile was changed", what)
		}
	}
}

// Links that a document brings lead only where its author may speak for, and
// never to a script (CVE-2024-52593, CVE-2023-24811).
func TestRow6(t *testing.T) {
	t.Parallel()
	far := testsrv.NewRemote(t)
	s := testsrv.New(t)
	alice := s.User(t, "alice")
	script := "javascript:alert(1)"
	actor := far.Actor("far", m{"url": script, "icon": m{"type": "Image", "url": script}, "image": m{"type": "Image", "url": "data:text/html,x"},
		"attachment": []m{{"type": "PropertyValue", "name": "x", "value": `<a href="` + script + `">site</a>`}}, "summary": `<a href="` + script + `">me</a>`,
		"tag": []m{{"type": "Emoji", "name": ":e:", "id": far.Origin + "/e", "icon": m{"type": "Image", "url": script}}}, "movedTo": script, "alsoKnownAs": []string{script}})
	for i, url := range []any{script, "https://another.example/@far/1", m{"type": "Link", "mediaType": "text/html", "href": script}, []any{script, "https://another.example/"}, far.Origin + "@another.example/"} {
		path := "/notes/" + string(rune('a'+i))
		doc := actor.Note(path, m{"url": url, "content": `<p><a href="` + script + `">click</a> <a href="https://evil.example" class="u-url mention">@alice</a></p>`,
			"attachment": []m{{"type": "Image", "url": script}, {"type": "Document", "mediaType": "image/png", "url": m{"type": "Link", "href": script}}},
			"tag":        []m{{"type": "Emoji", "name": ":e:", "id": far.Origin + "/e", "icon": m{"type": "Image", "url": script}}}})
		actor.Tell(t, s, m{"type": "Create", "object": doc})
		note := testsrv.Dig(alice.Post(t, "ap/show", m{"uri": far.Origin + path}), "object")
		if u := testsrv.Dig(note, "url"); u != nil {
			t.Errorf("url %v was taken as %v", url, u)
		}
		testsrv.Is(t, note, []any{}, "files")
		testsrv.Is(t, note, far.Origin+path, "uri")
		id := testsrv.Dig(note, "id").(string)
		for _, page := range []string{"/notes/" + id, "/@far@" + far.Host} {
			if body := fetch(t, s.Origin+page); strings.Contains(body, `href="javascript:`) || strings.Contains(body, `src="javascript:`) {
				t.Errorf("%s has a script for a link", page)
			}
		}
	}
	user := alice.Post(t, "users/show", m{"username": "far", "host": far.Host})
	for _, key := range []string{"url", "bannerUrl", "movedTo", "alsoKnownAs"} {
		testsrv.Is(t, user, nil, key)
	}
	if u, _ := testsrv.Dig(user, "avatarUrl").(string); !strings.HasPrefix(u, "http") {
		t.Errorf("avatar %s", u)
	}
	// Going back after consent: never into a script.
	if body := fetch(t, s.Origin+"/miauth/0b9ad6d3-0d0a-4a5f-8a53-3c3c1c8e5c4e?name=x&permission=read:account&callback="+script); strings.Contains(body, script) {
		t.Error("the consent page leads to a script")
	}
}

func fetch(t *testing.T, url string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(context.Background(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Accept", "text/html")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// What one may not hear any more one does not hear any more, however early the
// stream was opened.
func TestRow12(t *testing.T) {
	t.Parallel()
	s := testsrv.New(t)
	a, b, c := s.User(t, "alice"), s.User(t, "bora"), s.User(t, "chul")
	b.Post(t, "following/create", m{"userId": a.ID})
	c.Post(t, "following/create", m{"userId": a.ID})
	secret := a.Note(t, m{"text": "secret", "visibility": "followers", "poll": m{"choices": []string{"x", "y"}}})
	s.Settle(t) // so that the note itself is not heard late
	live := b.Stream(t, "homeTimeline", "globalTimeline")
	live.Capture(secret)
	c.Post(t, "notes/reactions/create", m{"noteId": secret, "reaction": "🍞"})
	live.Next("a reaction while one follows", func(e m) bool { return e["type"] == "noteUpdated" && testsrv.Dig(e, "body", "type") == "reacted" })
	// No longer a follower: neither new notes nor what happens to old ones.
	a.Post(t, "following/invalidate", m{"userId": b.ID})
	a.Note(t, m{"text": "more", "visibility": "followers"})
	c.Post(t, "notes/reactions/delete", m{"noteId": secret})
	c.Post(t, "notes/polls/vote", m{"noteId": secret, "choice": 0})
	end := c.Note(t, m{"text": "end"})
	for heard := false; !heard; {
		e := live.Next("the end", func(e m) bool { return e["type"] == "channel" || e["type"] == "noteUpdated" })
		switch {
		case e["type"] == "noteUpdated":
			t.Errorf("heard of a note that may not be seen any more: %v", e)
		case testsrv.Dig(e, "body", "body", "userId") == a.ID:
			t.Errorf("heard %v", e)
		}
		heard = testsrv.Dig(e, "body", "id") == "globalTimeline" && testsrv.Dig(e, "body", "body", "id") == end
	}
	// A blocked author falls silent in every channel.
	a.Post(t, "blocking/create", m{"userId": b.ID})
	a.Note(t, m{"text": "public"})
	end = c.Note(t, m{"text": "end"})
	for _, id := range live.Notes("globalTimeline", end) {
		if id != end {
			t.Error("heard somebody who blocks")
		}
	}
	// A token that is revoked, and an account that is suspended, hear no more.
	token := app(t, b, "read:account")
	byApp := token.Stream(t, "main")
	b.Post(t, "i/regenerate-token", m{"password": "password"})
	live.Closed()
	if err := s.App.Moderation.Suspend(t.Context(), "", b.ID, true); err != nil {
		t.Fatal(err)
	}
	byApp.Closed()
}
