package note_test

import (
	"testing"
	"time"

	"buttersc.one/oven/internal/meta"
	"buttersc.one/oven/internal/testsrv"
)

func TestEdit(t *testing.T) {
	t.Parallel()
	far := testsrv.NewRemote(t)
	s := testsrv.New(t)
	root, a, b := s.User(t, "chief"), s.User(t, "alice"), s.User(t, "bora")
	fan, reader := far.Actor("fan"), far.Actor("reader")
	fan.Tell(t, s, m{"type": "Follow", "object": a.URI()})
	far.Got(t, "Accept")
	reader.On(t, a)
	n := a.Note(t, m{"text": "rye #one", "cw": "bread"})
	far.Got(t, "Create")
	live := b.Stream(t)
	live.Capture(n)
	g := s.Guest().Stream(t, "localTimeline")
	a.Post(t, "notes/update", m{"noteId": n, "text": "wheat #two @bora", "cw": nil})
	e := live.Next("the edit", func(e m) bool { return e["type"] == "noteUpdated" && testsrv.Dig(e, "body", "type") == "updated" })
	testsrv.Is(t, e, "wheat #two @bora", "body", "body", "text")
	testsrv.Is(t, e, nil, "body", "body", "cw")
	got := b.Post(t, "notes/show", m{"noteId": n})
	testsrv.Is(t, got, "wheat #two @bora", "text")
	testsrv.Is(t, got, nil, "cw")
	testsrv.Is(t, got, []any{"two"}, "tags")
	testsrv.Is(t, got, []any{b.ID}, "mentions")
	if testsrv.Dig(got, "updatedAt") == nil {
		t.Error("no updatedAt")
	}
	update := far.Got(t, "Update")
	testsrv.Is(t, update, s.Origin+"/notes/"+n, "object", "id")
	if testsrv.Dig(update, "object", "updated") == nil {
		t.Error("the wire does not say when")
	}
	// Whom it mentions now is told, once.
	a.Post(t, "notes/update", m{"noteId": n, "text": "spelt @bora", "visibility": "public"})
	if l := b.List(t, "i/notifications", m{}); len(l) != 1 || l[0]["type"] != "mention" {
		t.Errorf("notifications: %v", l)
	}
	far.Got(t, "Update")
	// Nothing changes: nothing happens.
	a.Post(t, "notes/update", m{"noteId": n, "text": "spelt @bora"})
	s.Settle(t)
	if l := far.Left(); len(l) != 0 {
		t.Errorf("an edit that changes nothing was sent: %v", l)
	}
	history := b.List(t, "oven/notes/history", m{"noteId": n})
	if len(history) != 2 || history[0]["text"] != "wheat #two @bora" || history[1]["text"] != "rye #one" || history[1]["cw"] != "bread" {
		t.Errorf("history: %v", history)
	}
	b.Fails(t, "oven/notes/forget-history", m{"noteId": n}, 400, "NO_SUCH_NOTE")
	a.Post(t, "oven/notes/forget-history", m{"noteId": n})
	if l := a.List(t, "oven/notes/history", m{"noteId": n}); len(l) != 0 {
		t.Errorf("history that was taken away: %v", l)
	}
	// Refusals.
	for _, who := range []*testsrv.User{b, root} {
		who.Fails(t, "notes/update", m{"noteId": n, "text": "x"}, 400, "ACCESS_DENIED")
		who.Fails(t, "notes/update", m{"noteId": n, "cw": "x", "visibility": "public"}, 400, "ACCESS_DENIED")
	}
	b.Fails(t, "notes/update", m{"noteId": n, "visibility": "public"}, 400, "ACCESS_DENIED")
	a.Fails(t, "notes/update", m{"noteId": n, "visibility": "home"}, 400, "ACCESS_DENIED")
	a.Fails(t, "notes/update", m{"noteId": n}, 400, "INVALID_PARAM")
	a.Fails(t, "notes/update", m{"noteId": n, "text": ""}, 400, "INVALID_PARAM")
	a.Fails(t, "notes/update", m{"noteId": a.Note(t, m{"renoteId": n}), "text": "x"}, 400, "ACCESS_DENIED")
	s.Set(t, m{"prohibitedWords": []string{"mould"}})
	s.Settle(t)
	a.Fails(t, "notes/update", m{"noteId": n, "text": "mould"}, 400, "CONTAINS_PROHIBITED_WORDS")
	secret := a.Note(t, m{"text": "x", "visibility": "specified"})
	b.Fails(t, "notes/update", m{"noteId": secret, "text": "x"}, 400, "NO_SUCH_NOTE")
	b.Fails(t, "oven/notes/history", m{"noteId": secret}, 400, "NO_SUCH_NOTE")
	s.Set(t, m{"policies": m{"canEditNote": false}})
	s.Settle(t)
	a.Fails(t, "notes/update", m{"noteId": n, "text": "x"}, 403, "ROLE_PERMISSION_DENIED")
	s.Set(t, m{"policies": m{}})
	s.Settle(t)
	// A moderator narrows it: who captured it and may not see it any more hears
	// nothing, and timelines show it no more.
	stranger := s.User(t, "dami").Stream(t)
	stranger.Capture(n)
	stranger.Send(m{"type": "connect", "body": m{"channel": "globalTimeline", "id": "g", "pong": true}})
	stranger.Next("connected", func(e m) bool { return e["type"] == "connected" })
	root.Post(t, "notes/update", m{"noteId": n, "visibility": "followers"})
	live.Next("the narrowing, by whom it mentions", func(e m) bool { return testsrv.Dig(e, "body", "body", "visibility") == "followers" })
	end := a.Note(t, m{"text": "end"})
	stranger.Next("the end", func(e m) bool {
		if e["type"] == "noteUpdated" {
			t.Errorf("heard: %v", e)
		}
		return testsrv.Dig(e, "body", "body", "id") == end
	})
	for _, x := range s.Guest().List(t, "notes/local-timeline", m{}) {
		if x["id"] == n {
			t.Error("still in the local timeline")
		}
	}
	g.Notes("localTimeline", end)
	// And wider again.
	root.Post(t, "notes/update", m{"noteId": n, "visibility": "public"})
	found := false
	for _, x := range s.Guest().List(t, "notes/local-timeline", m{}) {
		found = found || x["id"] == n
	}
	if !found {
		t.Error("not back in the local timeline")
	}
	// Somebody elsewhere mentioned by an edit gets it, and its deletion.
	quiet := b.Note(t, m{"text": "quiet"})
	b.Post(t, "notes/update", m{"noteId": quiet, "text": "hi @reader@" + far.Host})
	b.Post(t, "notes/delete", m{"noteId": quiet})
}

func TestEditElsewhere(t *testing.T) {
	t.Parallel()
	far := testsrv.NewRemote(t)
	s := testsrv.New(t)
	a := s.User(t, "alice")
	actor, other := far.Actor("far"), far.Actor("other")
	doc := actor.Note("/notes/1", m{"content": "<p>first</p>", "summary": "cw", "attachment": []m{{"type": "Image", "mediaType": "image/png", "url": far.Origin + "/1.png"}}})
	actor.Tell(t, s, m{"type": "Create", "object": doc})
	other.On(t, a)
	id := testsrv.Dig(a.Post(t, "ap/show", m{"uri": doc["id"]}), "object", "id")
	show := func() any { t.Helper(); return a.Post(t, "notes/show", m{"noteId": id}) }
	file := testsrv.Dig(show(), "files", 0, "id")
	edit := func(more m) m {
		d := m{}
		for _, from := range []m{doc, more} {
			for k, v := range from {
				d[k] = v
			}
		}
		return m{"type": "Update", "object": d}
	}
	at := func(d time.Duration) string { return time.Now().Add(d).UTC().Format(time.RFC3339Nano) }
	actor.Tell(t, s, edit(m{"content": "<p>second #tag</p>", "summary": nil, "updated": at(-time.Minute), "tag": []m{{"type": "Hashtag", "name": "#tag"}}}))
	testsrv.Is(t, show(), "second #tag", "text")
	testsrv.Is(t, show(), nil, "cw")
	testsrv.Is(t, show(), []any{"tag"}, "tags")
	testsrv.Is(t, show(), file, "files", 0, "id") // the same picture is the same file
	// What is older than what is known comes too late; what another says is nothing.
	actor.Tell(t, s, edit(m{"content": "<p>late</p>", "updated": at(-time.Hour)}))
	other.Send(t, s, edit(m{"content": "<p>forged</p>", "updated": at(0)}))
	other.Send(t, s, edit(m{"content": "<p>forged</p>", "attributedTo": other.ID, "updated": at(0)}))
	s.Settle(t)
	testsrv.Is(t, show(), "second #tag", "text")
	actor.Tell(t, s, edit(m{"content": "<p>third</p>", "updated": at(0), "attachment": []m{{"type": "Image", "mediaType": "image/png", "url": far.Origin + "/2.png"}},
		"to": []string{"https://www.w3.org/ns/activitystreams#Public"}}))
	testsrv.Is(t, show(), "third", "text")
	testsrv.Is(t, show(), s.App.Meta.Proxied(far.Origin+"/2.png", meta.ProxyWhole), "files", 0, "url")
	if l := a.List(t, "oven/notes/history", m{"noteId": id}); len(l) != 2 || l[0]["text"] != "second #tag" || l[1]["cw"] != "cw" {
		t.Errorf("history: %v", l)
	}
	if n := s.Count(t, "SELECT count(*) FROM note"); n != 1 {
		t.Errorf("%d notes", n)
	}
}
