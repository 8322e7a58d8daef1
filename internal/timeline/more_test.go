package timeline_test

import (
	"testing"

	"buttersc.one/oven/internal/testsrv"
)

func TestByTag(t *testing.T) {
	t.Parallel()
	s := testsrv.New(t)
	a, b, g := s.User(t, "alice"), s.User(t, "bora"), s.Guest()
	live := b.Stream(t)
	live.Send(m{"type": "connect", "body": m{"channel": "hashtag", "id": "h", "params": m{"q": [][]string{{"Bread", "butter"}, {"쨈"}}}, "pong": true}})
	live.Next("connected", func(e m) bool { return e["type"] == "connected" })
	plain := a.Note(t, m{"text": "#bread"})
	both := a.Note(t, m{"text": "#Bread #butter"})
	a.Note(t, m{"text": "#bread #butter to followers", "visibility": "followers"})
	poll := a.Note(t, m{"text": "#쨈 ?", "poll": m{"choices": []string{"a", "b"}}, "replyId": plain})
	if got := live.Notes("h", poll); len(got) != 2 || got[0] != both {
		t.Errorf("live: %v", got)
	}
	for _, c := range []struct {
		p    m
		want []string
	}{
		{m{"tag": "BREAD"}, []string{both, plain}},
		{m{"query": [][]string{{"bread", "butter"}, {"쨈"}}}, []string{poll, both}},
		{m{"query": [][]string{{"bread", "쨈"}}}, nil},
		{m{"tag": "쨈", "poll": true, "reply": true, "renote": false}, []string{poll}},
		{m{"tag": "쨈", "poll": false}, nil},
		{m{"tag": "쨈", "reply": false}, nil},
		{m{"tag": "bread", "renote": true}, nil},
		{m{"tag": "bread", "withFiles": true}, nil},
		{m{"tag": "bread", "untilId": both}, []string{plain}},
	} {
		got := ids(g.List(t, "notes/search-by-tag", c.p))
		if len(got) != len(c.want) || len(got) > 0 && (got[0] != c.want[0] || got[len(got)-1] != c.want[len(got)-1]) {
			t.Errorf("%v: %v, want %v", c.p, got, c.want)
		}
	}
	if got := a.List(t, "notes/search-by-tag", m{"tag": "bread"}); len(got) != 3 {
		t.Errorf("one's own: %v", got)
	}
	g.Fails(t, "notes/search-by-tag", m{}, 400, "INVALID_PARAM")
	g.Fails(t, "notes/search-by-tag", m{"query": [][]string{}}, 400, "INVALID_PARAM")
}

func TestMentions(t *testing.T) {
	t.Parallel()
	s := testsrv.New(t)
	a, b, c := s.User(t, "alice"), s.User(t, "bora"), s.User(t, "chul")
	a.Post(t, "following/create", m{"userId": b.ID})
	b.Note(t, m{"text": "nothing"})
	hi := b.Note(t, m{"text": "@alice hi"})
	direct := c.Note(t, m{"text": "psst", "visibility": "specified", "visibleUserIds": []string{a.ID}})
	c.Note(t, m{"text": "@bora hi", "visibility": "specified"})
	if got := ids(a.List(t, "notes/mentions", m{})); len(got) != 2 || got[0] != direct || got[1] != hi {
		t.Errorf("mentions: %v", got)
	}
	if got := ids(a.List(t, "notes/mentions", m{"following": true})); len(got) != 1 || got[0] != hi {
		t.Errorf("of the followed: %v", got)
	}
	if got := ids(a.List(t, "notes/mentions", m{"visibility": "specified"})); len(got) != 1 || got[0] != direct {
		t.Errorf("direct: %v", got)
	}
	a.Post(t, "mute/create", m{"userId": c.ID})
	if got := ids(a.List(t, "notes/mentions", m{})); len(got) != 1 {
		t.Errorf("muted: %v", got)
	}
	s.Guest().Fails(t, "notes/mentions", m{}, 401, "CREDENTIAL_REQUIRED")
}

func TestFeatured(t *testing.T) {
	t.Parallel()
	s := testsrv.New(t)
	a, b, g := s.User(t, "alice"), s.User(t, "bora"), s.Guest()
	liked := a.Note(t, m{"text": "liked"})
	shared := a.Note(t, m{"text": "shared"})
	a.Note(t, m{"text": "ignored"})
	reply := a.Note(t, m{"text": "answer", "replyId": liked})
	hidden := a.Note(t, m{"text": "to followers", "visibility": "followers"})
	for _, n := range []string{liked, reply} {
		b.Post(t, "notes/reactions/create", m{"noteId": n, "reaction": "🍞"})
	}
	a.Post(t, "notes/reactions/create", m{"noteId": hidden, "reaction": "🍞"})
	b.Note(t, m{"renoteId": shared})
	for name, p := range map[string]m{"notes/featured": {}, "users/featured-notes": {"userId": a.ID}} {
		if got := ids(g.List(t, name, p)); len(got) != 2 || got[0] != shared || got[1] != liked {
			t.Errorf("%s: %v", name, got)
		}
		p["untilId"] = shared
		if got := ids(g.List(t, name, p)); len(got) != 1 || got[0] != liked {
			t.Errorf("%s, second page: %v", name, got)
		}
	}
	// Kept for a while, but who may not see a note does not.
	a.Post(t, "blocking/create", m{"userId": b.ID})
	if got := b.List(t, "notes/featured", m{}); len(got) != 0 {
		t.Errorf("of somebody who blocks: %v", got)
	}
	a.Post(t, "notes/delete", m{"noteId": shared})
	if got := ids(g.List(t, "notes/featured", m{})); len(got) != 1 || got[0] != liked {
		t.Errorf("after a deletion: %v", got)
	}
	if got := g.List(t, "notes/featured", m{"channelId": liked}); len(got) != 0 {
		t.Errorf("of no channel: %v", got)
	}
}
