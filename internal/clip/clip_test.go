package clip_test

import (
	"testing"

	"buttersc.one/oven/internal/testsrv"
)

type m = testsrv.M

func TestClips(t *testing.T) {
	t.Parallel()
	s := testsrv.New(t)
	a, b, g := s.User(t, "alice"), s.User(t, "bora"), s.Guest()
	clip := a.Post(t, "clips/create", m{"name": "빵", "description": ""})
	id := testsrv.Dig(clip, "id").(string)
	testsrv.Is(t, clip, nil, "description")
	testsrv.Is(t, clip, 0, "notesCount")
	open, secret := a.Note(t, m{"text": "fresh bread"}), a.Note(t, m{"text": "secret", "visibility": "followers"})
	hidden := b.Note(t, m{"text": "b's secret", "visibility": "followers"})
	for _, n := range []string{open, secret} {
		a.Post(t, "clips/add-note", m{"clipId": id, "noteId": n})
	}
	a.Fails(t, "clips/add-note", m{"clipId": id, "noteId": open}, 400, "ALREADY_CLIPPED")
	a.Fails(t, "clips/add-note", m{"clipId": id, "noteId": hidden}, 400, "NO_SUCH_NOTE")
	testsrv.Is(t, a.Post(t, "notes/show", m{"noteId": open}), 1, "clippedCount")
	testsrv.Is(t, a.Post(t, "clips/show", m{"clipId": id}), 2, "notesCount")
	// Another's private clip is none.
	for name, p := range map[string]m{"clips/show": {}, "clips/notes": {}, "clips/update": {"name": "x"}, "clips/delete": {}, "clips/favorite": {}, "clips/unfavorite": {},
		"clips/add-note": {"noteId": open}, "clips/remove-note": {"noteId": open}} {
		p["clipId"] = id
		b.Fails(t, name, p, 400, "NO_SUCH_CLIP")
	}
	if l := g.List(t, "notes/clips", m{"noteId": open}); len(l) != 0 {
		t.Errorf("a private clip is told of: %v", l)
	}
	if l := g.List(t, "users/clips", m{"userId": a.ID}); len(l) != 0 {
		t.Errorf("a private clip is listed: %v", l)
	}
	testsrv.Is(t, a.Post(t, "clips/update", m{"clipId": id, "isPublic": true, "description": "all of it"}), "all of it", "description")
	testsrv.Is(t, a.Post(t, "clips/update", m{"clipId": id, "name": "빵집"}), "all of it", "description")
	// A public clip shows what its reader may see.
	if l := g.List(t, "clips/notes", m{"clipId": id}); len(l) != 1 || l[0]["id"] != open {
		t.Errorf("to a guest: %v", l)
	}
	if l := a.List(t, "clips/notes", m{"clipId": id}); len(l) != 2 {
		t.Errorf("to its owner: %v", l)
	}
	if l := a.List(t, "clips/notes", m{"clipId": id, "search": "BREAD"}); len(l) != 1 || l[0]["id"] != open {
		t.Errorf("searched: %v", l)
	}
	if l := a.List(t, "clips/notes", m{"clipId": id, "search": "%"}); len(l) != 0 {
		t.Errorf("searched for a wildcard: %v", l)
	}
	shown := g.Post(t, "clips/show", m{"clipId": id})
	testsrv.Is(t, shown, nil, "notesCount")
	testsrv.Is(t, shown, "alice", "user", "username")
	for what, l := range map[string][]m{"of the note": g.List(t, "notes/clips", m{"noteId": open}), "of the account": g.List(t, "users/clips", m{"userId": a.ID}), "own": a.List(t, "clips/list", m{})} {
		if len(l) != 1 || l[0]["id"] != id {
			t.Errorf("clips %s: %v", what, l)
		}
	}
	b.Post(t, "clips/favorite", m{"clipId": id})
	b.Fails(t, "clips/favorite", m{"clipId": id}, 400, "ALREADY_FAVORITED")
	testsrv.Is(t, b.Post(t, "clips/show", m{"clipId": id}), true, "isFavorited")
	if l := b.List(t, "clips/my-favorites", m{}); len(l) != 1 || l[0]["favoritedCount"] != 1.0 {
		t.Errorf("liked: %v", l)
	}
	b.Post(t, "clips/unfavorite", m{"clipId": id})
	b.Fails(t, "clips/unfavorite", m{"clipId": id}, 400, "NOT_FAVORITED")
	a.Post(t, "clips/remove-note", m{"clipId": id, "noteId": secret})
	a.Fails(t, "clips/remove-note", m{"clipId": id, "noteId": secret}, 400, "NO_SUCH_NOTE")
	a.Post(t, "clips/delete", m{"clipId": id})
	testsrv.Is(t, a.Post(t, "notes/show", m{"noteId": open}), 0, "clippedCount")
	a.Fails(t, "clips/show", m{"clipId": id}, 400, "NO_SUCH_CLIP")
}

func TestLimits(t *testing.T) {
	t.Parallel()
	s := testsrv.New(t)
	a := s.User(t, "alice")
	s.Set(t, m{"policies": m{"clipLimit": 1, "noteEachClipsLimit": 1}})
	id := testsrv.Dig(a.Post(t, "clips/create", m{"name": "one"}), "id")
	a.Fails(t, "clips/create", m{"name": "two"}, 400, "TOO_MANY_CLIPS")
	a.Fails(t, "clips/create", m{"name": ""}, 400, "INVALID_PARAM")
	a.Post(t, "clips/add-note", m{"clipId": id, "noteId": a.Note(t, m{"text": "1"})})
	a.Fails(t, "clips/add-note", m{"clipId": id, "noteId": a.Note(t, m{"text": "2"})}, 400, "TOO_MANY_CLIP_NOTES")
}
