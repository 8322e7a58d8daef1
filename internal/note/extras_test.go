package note_test

import (
	"testing"

	"buttersc.one/oven/internal/testsrv"
)

func TestFavorites(t *testing.T) {
	t.Parallel()
	s := testsrv.New(t)
	a, b := s.User(t, "alice"), s.User(t, "bora")
	n := a.Note(t, m{"text": "n"})
	secret := a.Note(t, m{"text": "secret", "visibility": "followers"})
	b.Post(t, "notes/favorites/create", m{"noteId": n})
	b.Fails(t, "notes/favorites/create", m{"noteId": n}, 400, "ALREADY_FAVORITED")
	b.Fails(t, "notes/favorites/create", m{"noteId": secret}, 400, "NO_SUCH_NOTE")
	b.Fails(t, "notes/favorites/delete", m{"noteId": secret}, 400, "NO_SUCH_NOTE")
	testsrv.Is(t, b.Post(t, "notes/state", m{"noteId": n}), true, "isFavorited")
	testsrv.Is(t, a.Post(t, "notes/state", m{"noteId": n}), false, "isFavorited")
	list := b.List(t, "i/favorites", m{})
	if len(list) != 1 || list[0]["noteId"] != n || testsrv.Dig(list[0], "note", "text") != "n" {
		t.Errorf("favourites: %v", list)
	}
	if l := b.List(t, "i/favorites", m{"untilId": list[0]["id"]}); len(l) != 0 {
		t.Errorf("second page: %v", l)
	}
	// Nobody is told who it was; the first one earns an achievement.
	if l := a.List(t, "i/notifications", m{}); len(l) != 1 || l[0]["type"] != "achievementEarned" {
		t.Errorf("the author was told: %v", l)
	}
	b.Post(t, "notes/favorites/delete", m{"noteId": n})
	b.Fails(t, "notes/favorites/delete", m{"noteId": n}, 400, "NOT_FAVORITED")
	// What may not be seen any more is shown blank, and can be let go.
	b.Post(t, "following/create", m{"userId": a.ID})
	b.Post(t, "notes/favorites/create", m{"noteId": secret})
	b.Post(t, "following/delete", m{"userId": a.ID})
	list = b.List(t, "i/favorites", m{})
	if len(list) != 1 || testsrv.Dig(list[0], "note", "text") != nil {
		t.Errorf("favourites that may not be seen: %v", list)
	}
	b.Post(t, "notes/favorites/delete", m{"noteId": secret})
}

func TestThreadMuting(t *testing.T) {
	t.Parallel()
	s := testsrv.New(t)
	a, b := s.User(t, "alice"), s.User(t, "bora")
	root := a.Note(t, m{"text": "root"})
	reply := b.Note(t, m{"text": "one", "replyId": root})
	a.Post(t, "notes/thread-muting/create", m{"noteId": reply})
	a.Post(t, "notes/thread-muting/create", m{"noteId": root}) // once is enough
	testsrv.Is(t, a.Post(t, "notes/state", m{"noteId": root}), true, "isMutedThread")
	b.Note(t, m{"text": "two", "replyId": root})
	b.Note(t, m{"text": "@alice three", "replyId": reply})
	if l := a.List(t, "i/notifications", m{}); len(l) != 1 || testsrv.Dig(l[0], "note", "text") != "one" {
		t.Errorf("notifications of a muted thread: %v", l)
	}
	a.Post(t, "notes/thread-muting/delete", m{"noteId": root})
	b.Note(t, m{"text": "four", "replyId": root})
	if l := a.List(t, "i/notifications", m{}); len(l) != 2 {
		t.Errorf("notifications: %v", l)
	}
	secret := b.Note(t, m{"text": "x", "visibility": "followers"})
	for _, name := range []string{"notes/thread-muting/create", "notes/thread-muting/delete"} {
		a.Fails(t, name, m{"noteId": secret}, 400, "NO_SUCH_NOTE")
	}
}

func TestBrowse(t *testing.T) {
	t.Parallel()
	s := testsrv.New(t)
	a, b, g := s.User(t, "alice"), s.User(t, "bora"), s.Guest()
	n := a.Note(t, m{"text": "n"})
	secret := a.Note(t, m{"text": "secret", "visibility": "followers"})
	a.Note(t, m{"text": "home", "visibility": "home"})
	a.Note(t, m{"text": "here", "localOnly": true})
	poll := a.Note(t, m{"text": "?", "poll": m{"choices": []string{"x", "y"}}, "replyId": n})
	renote := b.Note(t, m{"renoteId": n})
	for _, c := range []struct {
		p    m
		want []string
	}{
		{m{}, []string{renote, poll, n}}, {m{"local": true, "limit": 1}, []string{renote}}, {m{"reply": true}, []string{poll}}, {m{"reply": false, "renote": false}, []string{n}},
		{m{"renote": true}, []string{renote}}, {m{"poll": true}, []string{poll}}, {m{"poll": false, "reply": false, "renote": false, "withFiles": false}, []string{n}}, {m{"withFiles": true}, nil},
		{m{"sinceId": n}, []string{poll, renote}},
	} {
		got := g.List(t, "notes", c.p)
		if len(got) != len(c.want) {
			t.Errorf("%v: %d notes", c.p, len(got))
			continue
		}
		for i := range got {
			testsrv.Is(t, got[i], c.want[i], "id")
		}
	}
	b.Post(t, "notes/reactions/create", m{"noteId": n, "reaction": "🍞"})
	part := b.List(t, "notes/show-partial-bulk", m{"noteIds": []string{n, secret, poll}})
	if len(part) != 2 || testsrv.Dig(part[0], "reactions", "🍞") != 1.0 || part[1]["id"] != poll {
		t.Errorf("partial: %v", part)
	}
	if l := b.List(t, "notes/polls/recommendation", m{"excludeChannels": true}); len(l) != 1 || l[0]["id"] != poll {
		t.Errorf("polls: %v", l)
	}
	if l := a.List(t, "notes/polls/recommendation", m{}); len(l) != 0 {
		t.Errorf("one's own polls: %v", l)
	}
	b.Post(t, "notes/polls/vote", m{"noteId": poll, "choice": 0})
	if l := b.List(t, "notes/polls/recommendation", m{}); len(l) != 0 {
		t.Errorf("polls one has voted in: %v", l)
	}
}
