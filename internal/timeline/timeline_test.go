package timeline_test

import (
	"fmt"
	"slices"
	"testing"

	"buttersc.one/oven/internal/testsrv"
)

type m = testsrv.M

func ids(list []m) []string {
	var out []string
	for _, n := range list {
		out = append(out, n["id"].(string))
	}
	return out
}

// The same notes, by page and live, for each timeline and reader.
func TestTimelines(t *testing.T) {
	t.Parallel()
	s := testsrv.New(t)
	reader, friend, other := s.User(t, "reader"), s.User(t, "friend"), s.User(t, "other")
	reader.Post(t, "following/create", m{"userId": friend.ID})
	far := s.Guest().Post(t, "signup", m{"username": "far", "password": "x", "host": "far.example"})
	remote := &testsrv.User{S: s, Name: "far", ID: testsrv.Dig(far, "id").(string), Token: testsrv.Dig(far, "token").(string)}
	live := reader.Stream(t, "homeTimeline", "localTimeline", "hybridTimeline", "globalTimeline")
	guest := s.Guest().Stream(t, "localTimeline", "globalTimeline")
	base := other.Note(t, m{"text": "base"})
	type want struct{ home, local, hybrid, global bool }
	notes := map[string]want{}
	add := func(u *testsrv.User, p m, w want) string {
		id := u.Note(t, p)
		notes[id] = w
		return id
	}
	notes[base] = want{false, true, true, true}
	add(friend, m{"text": "1"}, want{true, true, true, true})
	add(friend, m{"text": "2", "visibility": "home"}, want{true, false, true, false})
	add(friend, m{"text": "3", "visibility": "followers"}, want{true, false, true, false})
	add(friend, m{"text": "4", "visibility": "specified", "visibleUserIds": []string{reader.ID}}, want{true, false, true, false})
	add(friend, m{"text": "5", "visibility": "specified", "visibleUserIds": []string{other.ID}}, want{})
	add(friend, m{"text": "6", "replyId": base}, want{false, false, false, true}) // a reply to somebody else
	mine := add(reader, m{"text": "7", "visibility": "home"}, want{true, false, true, false})
	add(friend, m{"text": "8", "replyId": mine}, want{true, false, true, false})
	add(other, m{"text": "9", "visibility": "home"}, want{})
	add(other, m{"text": "10", "visibility": "followers"}, want{})
	add(remote, m{"text": "11"}, want{false, false, false, true})
	add(friend, m{"renoteId": base}, want{true, true, true, true})
	last := add(friend, m{"text": "last"}, want{true, true, true, true})
	check := func(what string, got []string, in func(w want) bool) {
		t.Helper()
		for id, w := range notes {
			if slices.Contains(got, id) != in(w) {
				t.Errorf("%s: note %s is there: %v", what, id, !in(w))
			}
		}
		if len(got) > 0 && !slices.IsSortedFunc(got, func(a, b string) int { return -compare(a, b) }) && what[0] != '~' {
			t.Errorf("%s is not in order: %v", what, got)
		}
	}
	lines := map[string]func(w want) bool{
		"notes/timeline": func(w want) bool { return w.home }, "notes/local-timeline": func(w want) bool { return w.local },
		"notes/hybrid-timeline": func(w want) bool { return w.hybrid }, "notes/global-timeline": func(w want) bool { return w.global },
	}
	for name, in := range lines {
		check(name, ids(reader.List(t, name, m{"limit": 100})), in)
	}
	for _, name := range []string{"notes/local-timeline", "notes/global-timeline"} {
		check("guest "+name, ids(s.Guest().List(t, name, m{"limit": 100})), lines[name])
	}
	heard := map[string][]string{}
	for open := 4; open > 0; {
		e := live.Next("a note", func(e m) bool { return e["type"] == "channel" && testsrv.Dig(e, "body", "type") == "note" })
		c, id := testsrv.Dig(e, "body", "id").(string), testsrv.Dig(e, "body", "body", "id").(string)
		heard[c] = append(heard[c], id)
		if id == last {
			open--
		}
	}
	check("~homeTimeline", heard["homeTimeline"], lines["notes/timeline"])
	check("~localTimeline", heard["localTimeline"], lines["notes/local-timeline"])
	check("~hybridTimeline", heard["hybridTimeline"], lines["notes/hybrid-timeline"])
	check("~globalTimeline", heard["globalTimeline"], lines["notes/global-timeline"])
	for open := 2; open > 0; {
		e := guest.Next("a note", func(e m) bool { return e["type"] == "channel" && testsrv.Dig(e, "body", "type") == "note" })
		id := testsrv.Dig(e, "body", "body", "id").(string)
		if w := notes[id]; !w.local && !w.global {
			t.Errorf("a guest hears %s", id)
		}
		if id == last {
			open--
		}
	}
	// With replies, those of the followed to others are there too.
	reader.Post(t, "following/update", m{"userId": friend.ID, "withReplies": true})
	if l := reader.List(t, "notes/timeline", m{"limit": 100}); len(l) != len(heard["homeTimeline"])+1 {
		t.Errorf("with replies: %d notes, %d without", len(l), len(heard["homeTimeline"]))
	}
	if l := reader.List(t, "notes/timeline", m{"limit": 100, "withRenotes": false}); slices.ContainsFunc(l, func(n m) bool { return n["text"] == nil }) {
		t.Error("a renote in a timeline without")
	}
	if l := reader.List(t, "notes/timeline", m{"withFiles": true}); len(l) != 0 {
		t.Errorf("with files: %v", l)
	}
	reader.Fails(t, "notes/hybrid-timeline", m{"withReplies": true, "withFiles": true}, 400, "BOTH_WITH_REPLIES_AND_WITH_FILES")
	s.Guest().Fails(t, "notes/local-timeline", m{"withReplies": true, "withFiles": true}, 400, "BOTH_WITH_REPLIES_AND_WITH_FILES")
	s.Guest().Fails(t, "notes/timeline", m{}, 401, "CREDENTIAL_REQUIRED")
	if err := s.App.Meta.Update(t.Context(), m{"policies": m{"ltlAvailable": false, "gtlAvailable": false}}); err != nil {
		t.Fatal(err)
	}
	reader.Fails(t, "notes/local-timeline", m{}, 400, "LTL_DISABLED")
	reader.Fails(t, "notes/hybrid-timeline", m{}, 400, "STL_DISABLED")
	reader.Fails(t, "notes/global-timeline", m{}, 400, "GTL_DISABLED")
}

func compare(a, b string) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

func TestPages(t *testing.T) {
	t.Parallel()
	s := testsrv.New(t)
	a := s.User(t, "alice")
	var all []string
	for i := range 25 {
		all = append(all, a.Note(t, m{"text": fmt.Sprint(i)}))
	}
	for _, name := range []string{"notes/timeline", "notes/local-timeline", "notes/hybrid-timeline", "notes/global-timeline", "users/notes"} {
		page := func(p m) []string {
			p["userId"] = a.ID
			return ids(a.List(t, name, p))
		}
		var down []string
		until := ""
		for {
			p := m{"limit": 7}
			if until != "" {
				p["untilId"] = until
			}
			l := page(p)
			if len(l) == 0 {
				break
			}
			down = append(down, l...)
			until = l[len(l)-1]
		}
		slices.Reverse(down)
		if !slices.Equal(down, all) {
			t.Errorf("%s: pages down give %d notes", name, len(down))
		}
		if l := page(m{"sinceId": all[4], "limit": 3}); !slices.Equal(l, all[5:8]) {
			t.Errorf("%s: since alone ascends: %v", name, l)
		}
		want := slices.Clone(all[5:8])
		slices.Reverse(want)
		if l := page(m{"sinceId": all[4], "untilId": all[8], "limit": 100}); !slices.Equal(l, want) {
			t.Errorf("%s: between: %v", name, l)
		}
		a.Fails(t, name, m{"limit": 101, "userId": a.ID}, 400, "INVALID_PARAM")
		a.Fails(t, name, m{"untilId": "a b", "userId": a.ID}, 400, "INVALID_PARAM")
	}
	s.Guest().Fails(t, "users/notes", m{"userId": "nobody0"}, 400, "NO_SUCH_USER")
	s.Guest().Fails(t, "users/notes", m{"userId": a.ID, "withReplies": true, "withFiles": true}, 400, "BOTH_WITH_REPLIES_AND_WITH_FILES")
}
