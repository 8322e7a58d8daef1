package profile_test

import (
	"testing"

	"buttersc.one/oven/internal/testsrv"
)

func TestMemo(t *testing.T) {
	t.Parallel()
	s := testsrv.New(t)
	a, b := s.User(t, "alice"), s.User(t, "bora")
	a.Post(t, "users/update-memo", m{"userId": b.ID, "memo": "likes rye"})
	testsrv.Is(t, a.Post(t, "users/show", m{"userId": b.ID}), "likes rye", "memo")
	for _, who := range []*testsrv.User{b, s.Guest()} {
		testsrv.Is(t, who.Post(t, "users/show", m{"userId": b.ID}), nil, "memo")
	}
	a.Post(t, "users/update-memo", m{"userId": b.ID, "memo": nil})
	testsrv.Is(t, a.Post(t, "users/show", m{"userId": b.ID}), nil, "memo")
	a.Fails(t, "users/update-memo", m{"userId": b.ID}, 400, "INVALID_PARAM")
	a.Fails(t, "users/update-memo", m{"userId": "0000000000000000", "memo": "x"}, 400, "NO_SUCH_USER")
}

func TestAchievements(t *testing.T) {
	t.Parallel()
	s := testsrv.New(t)
	a, b := s.User(t, "alice"), s.User(t, "bora")
	a.Post(t, "i/claim-achievement", m{"name": "viewInstanceChart"})
	a.Post(t, "i/claim-achievement", m{"name": "viewInstanceChart"})
	a.Fails(t, "i/claim-achievement", m{"name": "madeUp"}, 400, "INVALID_PARAM")
	b.Post(t, "notes/favorites/create", m{"noteId": a.Note(t, m{"text": "x"})})
	list := s.Guest().List(t, "users/achievements", m{"userId": a.ID})
	if len(list) != 2 || list[0]["name"] != "viewInstanceChart" || list[1]["name"] != "myNoteFavorited1" {
		t.Errorf("achievements: %v", list)
	}
	if l := a.List(t, "i/notifications", m{}); len(l) != 2 || l[0]["type"] != "achievementEarned" || l[0]["achievement"] != "myNoteFavorited1" {
		t.Errorf("notifications: %v", l)
	}
	testsrv.Is(t, a.Post(t, "i", m{}), "viewInstanceChart", "achievements", 0, "name")
}

func TestPins(t *testing.T) {
	t.Parallel()
	far := testsrv.NewRemote(t)
	s := testsrv.New(t)
	a, b := s.User(t, "alice"), s.User(t, "bora")
	fan := far.Actor("fan")
	fan.Tell(t, s, m{"type": "Follow", "object": a.URI()})
	far.Got(t, "Accept")
	s.Set(t, m{"policies": m{"pinLimit": 2}})
	one := a.Note(t, m{"text": "1"})
	secret := a.Note(t, m{"text": "2", "visibility": "followers"})
	third := a.Note(t, m{"text": "3"})
	testsrv.Is(t, a.Post(t, "i/pin", m{"noteId": one}), one, "pinnedNoteIds", 0)
	add := far.Got(t, "Add")
	testsrv.Is(t, add, s.Origin+"/notes/"+one, "object")
	testsrv.Is(t, add, a.URI()+"/collections/featured", "target")
	a.Post(t, "i/pin", m{"noteId": secret})
	a.Fails(t, "i/pin", m{"noteId": secret}, 400, "ALREADY_PINNED")
	a.Fails(t, "i/pin", m{"noteId": third}, 400, "PIN_LIMIT_EXCEEDED")
	b.Fails(t, "i/pin", m{"noteId": one}, 400, "NO_SUCH_NOTE")
	b.Fails(t, "i/unpin", m{"noteId": one}, 400, "NO_SUCH_NOTE")
	// The followers-only one is shown to followers, and nobody else hears of it.
	testsrv.Is(t, b.Post(t, "users/show", m{"userId": a.ID}), []any{one}, "pinnedNoteIds")
	testsrv.Is(t, a.Post(t, "users/show", m{"userId": a.ID}), []any{secret, one}, "pinnedNoteIds")
	a.Post(t, "i/unpin", m{"noteId": secret})
	a.Post(t, "i/unpin", m{"noteId": one})
	testsrv.Is(t, far.Got(t, "Remove"), s.Origin+"/notes/"+one, "object")
	for _, typ := range far.Left() {
		if typ == "Add" || typ == "Remove" {
			t.Errorf("told of a note that may not be fetched: %v", far.Left())
		}
	}
}

// Pins of accounts elsewhere: only the account itself pins, only its own.
func TestRemotePins(t *testing.T) {
	t.Parallel()
	far := testsrv.NewRemote(t)
	s := testsrv.New(t)
	a := s.User(t, "alice")
	actor := far.Actor("far", m{"featured": far.Origin + "/users/far/featured"})
	other := far.Actor("other", m{"featured": far.Origin + "/users/other/featured"})
	id := actor.On(t, a).ID
	doc := actor.Note("/notes/1", nil)
	theirs := other.Note("/notes/2", nil)
	pins := func() int {
		t.Helper()
		ids, _ := testsrv.Dig(a.Post(t, "users/show", m{"userId": id}), "pinnedNoteIds").([]any)
		return len(ids)
	}
	target := far.Origin + "/users/far/featured"
	actor.Tell(t, s, m{"type": "Add", "object": theirs["id"], "target": target})
	other.Tell(t, s, m{"type": "Add", "object": doc["id"], "target": target})
	actor.Tell(t, s, m{"type": "Add", "object": doc["id"], "target": far.Origin + "/users/far/tags"})
	if n := pins(); n != 0 {
		t.Fatalf("%d pins of what is none", n)
	}
	actor.Tell(t, s, m{"type": "Add", "object": doc["id"], "target": target}) // fetched
	actor.Tell(t, s, m{"type": "Add", "object": doc["id"], "target": target})
	if n := pins(); n != 1 {
		t.Fatalf("%d pins", n)
	}
	for i := range 8 {
		d := actor.Note("/more/"+string(rune('a'+i)), nil)
		actor.Tell(t, s, m{"type": "Add", "object": d["id"], "target": target})
	}
	if n := pins(); n != 5 {
		t.Errorf("%d pins, of at most 5", n)
	}
	other.Tell(t, s, m{"type": "Remove", "object": doc["id"], "target": target})
	actor.Tell(t, s, m{"type": "Remove", "object": doc["id"], "target": target})
	if n := pins(); n != 4 {
		t.Errorf("%d pins after one was removed", n)
	}
}

func TestDirectory(t *testing.T) {
	t.Parallel()
	s := testsrv.New(t)
	a, b, c, g := s.User(t, "alice"), s.User(t, "bora"), s.User(t, "chul"), s.Guest()
	g.Post(t, "signup", m{"username": "faraway", "password": "x", "host": "far.example"})
	a.Post(t, "following/create", m{"userId": b.ID})
	c.Post(t, "following/create", m{"userId": b.ID})
	c.Post(t, "i/update", m{"isExplorable": false})
	b.Post(t, "i/update", m{"name": "제빵사 보라", "description": "rye and wheat", "birthday": "1999-12-31"})
	for _, u := range []*testsrv.User{a, b, c} {
		u.Post(t, "i", m{})
		if err := s.App.Users.Active(t.Context(), u.ID); err != nil {
			t.Fatal(err)
		}
	}
	names := func(list []m) (out []string) {
		for _, u := range list {
			out = append(out, u["username"].(string))
		}
		return out
	}
	same := func(what string, got []string, want ...string) {
		t.Helper()
		if len(got) != len(want) {
			t.Errorf("%s: %v, want %v", what, got, want)
			return
		}
		for i := range got {
			if got[i] != want[i] {
				t.Errorf("%s: %v, want %v", what, got, want)
			}
		}
	}
	same("users", names(g.List(t, "users", m{})), "alice", "bora")
	same("users by followers", names(g.List(t, "users", m{"sort": "+follower", "state": "alive"})), "bora", "alice")
	same("users, newest", names(g.List(t, "users", m{"sort": "+createdAt", "origin": "combined"})), "faraway", "bora", "alice")
	same("users elsewhere", names(g.List(t, "users", m{"origin": "remote", "hostname": "FAR.example", "sort": "-updatedAt"})), "faraway")
	same("page", names(g.List(t, "users", m{"limit": 1, "offset": 1})), "bora")
	for q, want := range map[string][]string{"bo": {"bora"}, "보라": {"bora"}, "wheat": {"bora"}, "@ali": {"alice"}, "@far@far.ex": {"faraway"}, "%": {}, "@": {}, "zzz": {}} {
		same("search "+q, names(a.List(t, "users/search", m{"query": q})), want...)
	}
	same("search here", names(a.List(t, "users/search", m{"query": "al", "origin": "local", "detail": false})), "alice")
	same("recommended", names(c.List(t, "users/recommendation", m{})), "alice")
	same("recommended to who follows all", names(a.List(t, "users/recommendation", m{})))
	n := b.Note(t, m{"text": "x"})
	for range 2 {
		a.Note(t, m{"text": "y", "replyId": n})
	}
	a.Note(t, m{"text": "z", "replyId": c.Note(t, m{"text": "c"})})
	a.Note(t, m{"text": "secret", "visibility": "specified", "visibleUserIds": []string{c.ID}, "replyId": c.Note(t, m{"text": "c"})})
	freq := g.List(t, "users/get-frequently-replied-users", m{"userId": a.ID})
	if len(freq) != 2 || testsrv.Dig(freq[0], "user", "username") != "bora" || freq[0]["weight"] != 1.0 || freq[1]["weight"] != 0.5 {
		t.Errorf("replied to: %v", freq)
	}
	g.Fails(t, "users/get-frequently-replied-users", m{"userId": n}, 400, "NO_SUCH_USER")
	for what, day := range map[string]m{"that day": {"month": 12, "day": 31}, "over New Year": {"begin": m{"month": 12, "day": 30}, "end": m{"month": 1, "day": 2}}} {
		l := a.List(t, "users/get-following-users-by-birthday", m{"birthday": day})
		if len(l) != 1 || l[0]["birthday"] != "1999-12-31" || testsrv.Dig(l[0], "user", "username") != "bora" {
			t.Errorf("%s: %v", what, l)
		}
	}
	if l := a.List(t, "users/get-following-users-by-birthday", m{"birthday": m{"month": 6, "day": 1}}); len(l) != 0 {
		t.Errorf("another day: %v", l)
	}
	a.Fails(t, "users/get-following-users-by-birthday", m{"birthday": m{"month": 6}}, 400, "INVALID_PARAM")
	s.Set(t, m{"pinnedUsers": []string{"@bora", "@faraway@far.example", "@nobody"}})
	s.Settle(t)
	same("pinned", names(g.List(t, "pinned-users", m{})), "bora", "faraway")
	testsrv.Is(t, g.Post(t, "get-online-users-count", m{}), 3, "count")
}
