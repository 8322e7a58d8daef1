package antenna_test

import (
	"slices"
	"testing"

	"buttersc.one/oven/internal/testsrv"
)

type m = testsrv.M

func with(params m, more m) m {
	out := m{"name": "x", "src": "all", "keywords": [][]string{{"bread"}}, "excludeKeywords": [][]string{}, "users": []string{}, "caseSensitive": false, "withReplies": true, "withFile": false}
	for _, p := range []m{params, more} {
		for k, v := range p {
			out[k] = v
		}
	}
	return out
}

func texts(list []m) []string {
	out := []string{}
	for _, n := range list {
		s, _ := n["text"].(string)
		out = append(out, s)
	}
	return out
}

// An antenna is made, changed and deleted by its owner, as many as the role allows.
func TestAntennas(t *testing.T) {
	t.Parallel()
	s := testsrv.New(t)
	alice, bob := s.User(t, "alice"), s.User(t, "bob")
	a := alice.Post(t, "antennas/create", with(m{"keywords": [][]string{{"rye", ""}, {""}}, "users": []string{" @Bob ", "bob", "carol@far.example"}, "localOnly": true}, nil)).(m)
	if a["isActive"] != true || a["hasUnreadNote"] != false || testsrv.Dig(a, "keywords", 0, 0) != "rye" || len(a["keywords"].([]any)) != 1 || len(a["users"].([]any)) != 2 || a["notify"] != false || a["localOnly"] != true {
		t.Errorf("made: %v", a)
	}
	up := alice.Post(t, "antennas/update", m{"antennaId": a["id"], "name": "y", "withReplies": false}).(m)
	if up["name"] != "y" || up["withReplies"] != false || testsrv.Dig(up, "keywords", 0, 0) != "rye" {
		t.Errorf("updated: %v", up)
	}
	theirs := testsrv.Dig(bob.Post(t, "users/lists/create", m{"name": "l"}), "id")
	for _, c := range []struct {
		params m
		code   string
	}{
		{m{"keywords": [][]string{}}, "EMPTY_KEYWORD"}, {m{"keywords": [][]string{{""}}, "excludeKeywords": [][]string{{}}}, "EMPTY_KEYWORD"}, {m{"src": "nowhere"}, "INVALID_PARAM"},
		{m{"src": "list"}, "NO_SUCH_USER_LIST"}, {m{"src": "list", "userListId": theirs}, "NO_SUCH_USER_LIST"}, {m{"name": ""}, "INVALID_PARAM"}, {m{"keywords": "bread"}, "INVALID_PARAM"},
	} {
		alice.Fails(t, "antennas/create", with(c.params, nil), 400, c.code)
	}
	alice.Fails(t, "antennas/update", m{"antennaId": a["id"], "keywords": [][]string{}}, 400, "EMPTY_KEYWORD")
	alice.Fails(t, "antennas/update", m{"antennaId": a["id"], "src": "list", "userListId": theirs}, 400, "NO_SUCH_USER_LIST")
	for _, name := range []string{"show", "update", "delete", "notes"} {
		bob.Fails(t, "antennas/"+name, m{"antennaId": a["id"]}, 400, "NO_SUCH_ANTENNA")
	}
	for range 4 {
		alice.Post(t, "antennas/create", with(nil, nil))
	}
	alice.Fails(t, "antennas/create", with(nil, nil), 400, "TOO_MANY_ANTENNAS")
	alice.Post(t, "antennas/delete", m{"antennaId": a["id"]})
	alice.Fails(t, "antennas/show", m{"antennaId": a["id"]}, 400, "NO_SUCH_ANTENNA")
	if list := alice.List(t, "antennas/list", m{}); len(list) != 4 {
		t.Errorf("list: %v", list)
	}
}

// Antennas catch what they look for, from every source, and nothing that their owner may
// not or does not want to see.
func TestAntennasCatch(t *testing.T) {
	t.Parallel()
	far := testsrv.NewRemote(t)
	s := testsrv.New(t)
	root := s.User(t, "root")
	alice, bob, eve := s.User(t, "alice"), s.User(t, "bob"), s.User(t, "eve")
	root.Post(t, "admin/roles/update-default-policies", m{"policies": m{"antennaLimit": 20}})
	carol := far.Actor("carol")
	list := testsrv.Dig(alice.Post(t, "users/lists/create", m{"name": "l"}), "id")
	alice.Post(t, "users/lists/push", m{"listId": list, "userId": bob.ID})
	alice.Post(t, "following/create", m{"userId": eve.ID})
	kinds := map[string]m{
		"all": {}, "two words": {"keywords": [][]string{{"bread", "rye"}, {"butter"}}}, "without": {"excludeKeywords": [][]string{{"rye"}, {"toast", "warm"}}},
		"only without": {"keywords": [][]string{}, "excludeKeywords": [][]string{{"bread"}}}, "case": {"caseSensitive": true, "keywords": [][]string{{"Bread"}}},
		"local": {"localOnly": true}, "no replies": {"withReplies": false}, "files": {"withFile": true}, "bob": {"src": "users", "users": []string{"@bob"}},
		"bob by address": {"src": "users", "users": []string{"@bob@" + s.Host}}, "carol": {"src": "users", "users": []string{"carol@" + far.Host}},
		"not bob": {"src": "users_blacklist", "users": []string{"bob"}}, "list": {"src": "list", "userListId": list}, "home": {"src": "home"},
	}
	ids := map[string]any{}
	for name, p := range kinds {
		ids[name] = testsrv.Dig(alice.Post(t, "antennas/create", with(p, nil)), "id")
	}
	heard := alice.Stream(t)
	heard.Send(m{"type": "connect", "body": m{"channel": "antenna", "id": "a", "pong": true, "params": m{"antennaId": ids["two words"]}}})
	heard.Next("connected", func(e m) bool { return e["type"] == "connected" })
	first := testsrv.Dig(bob.Post(t, "notes/create", m{"text": "Bread of bob"}), "createdNote", "id")
	bob.Post(t, "notes/create", m{"text": "RYE bread", "visibility": "home"})
	eve.Post(t, "notes/create", m{"cw": "bread", "text": "of eve"})
	eve.Post(t, "notes/create", m{"text": "bread back", "replyId": first})
	bob.Post(t, "notes/create", m{"text": "nothing"})
	bob.Post(t, "notes/create", m{"text": "bread for me", "visibility": "specified"})
	bob.Post(t, "notes/create", m{"text": "bread for followers", "visibility": "followers"})
	bob.Post(t, "notes/create", m{"renoteId": first})
	carol.Tell(t, s, m{"type": "Create", "object": carol.Note("/notes/c", m{"content": "bread of carol"})})
	alice.Post(t, "notes/create", m{"text": "my bread"})
	s.Settle(t)
	heard.Next("what was caught", func(e m) bool {
		return testsrv.Dig(e, "body", "type") == "note" && testsrv.Dig(e, "body", "body", "text") == "RYE bread"
	})
	everything := []string{"my bread", "bread of carol", "bread back", "of eve", "RYE bread", "Bread of bob"}
	except := func(gone ...string) []string {
		return slices.DeleteFunc(slices.Clone(everything), func(s string) bool { return slices.Contains(gone, s) })
	}
	for name, want := range map[string][]string{
		"all": everything, "two words": {"RYE bread"}, "without": except("RYE bread"), "only without": {"nothing"}, "case": {"Bread of bob"}, "local": except("bread of carol"),
		"no replies": except("bread back"), "files": {}, "bob": {"RYE bread", "Bread of bob"}, "bob by address": {"RYE bread", "Bread of bob"}, "carol": {"bread of carol"},
		"not bob": except("RYE bread", "Bread of bob"), "list": {"RYE bread", "Bread of bob"}, "home": {"my bread", "bread back", "of eve"},
	} {
		got := texts(alice.List(t, "antennas/notes", m{"antennaId": ids[name], "limit": 20}))
		// Where the note of the other server stands is up to its clock.
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("%s: %q, not %q", name, got, want)
		}
	}
	// Pages, and what has been read.
	whole := texts(alice.List(t, "antennas/notes", m{"antennaId": ids["all"]}))
	page := alice.List(t, "antennas/notes", m{"antennaId": ids["all"], "limit": 2})
	if got := texts(alice.List(t, "antennas/notes", m{"antennaId": ids["all"], "limit": 2, "untilId": page[1]["id"]})); !slices.Equal(got, whole[2:4]) {
		t.Errorf("the next page: %q", got)
	}
	if a := alice.Post(t, "antennas/show", m{"antennaId": ids["all"]}).(m); a["hasUnreadNote"] != false {
		t.Errorf("read: %v", a)
	}
	bob.Post(t, "notes/create", m{"text": "more bread"})
	s.Settle(t)
	if a := alice.Post(t, "antennas/show", m{"antennaId": ids["all"]}).(m); a["hasUnreadNote"] != true {
		t.Errorf("not read: %v", a)
	}
	// What is deleted goes; whom one mutes one does not see.
	bob.Post(t, "notes/delete", m{"noteId": first})
	alice.Post(t, "mute/create", m{"userId": eve.ID})
	got := texts(alice.List(t, "antennas/notes", m{"antennaId": ids["all"]}))
	if slices.Sort(got); !slices.Equal(got, []string{"RYE bread", "bread of carol", "more bread", "my bread"}) {
		t.Errorf("afterwards: %q", got)
	}
	s.Guest().Fails(t, "antennas/notes", m{"antennaId": ids["all"]}, 401, "CREDENTIAL_REQUIRED")
}

// An antenna that nobody looks at rests after a week, and wakes when somebody looks. It
// keeps the newest of what it caught.
func TestAntennasRest(t *testing.T) {
	t.Parallel()
	s := testsrv.New(t)
	alice := s.User(t, "alice")
	a := testsrv.Dig(alice.Post(t, "antennas/create", with(nil, nil)), "id")
	active := func() any { return testsrv.Dig(alice.Post(t, "antennas/show", m{"antennaId": a}), "isActive") }
	s.Guest().Post(t, "oven/clock", m{"offsetMs": int64(8 * 24 * 3600 * 1000)})
	s.Settle(t)
	if active() != false {
		t.Error("it does not rest")
	}
	alice.Post(t, "notes/create", m{"text": "bread missed"})
	s.Settle(t)
	if got := alice.List(t, "antennas/notes", m{"antennaId": a}); len(got) != 0 || active() != true {
		t.Errorf("awake %v, caught %v", active(), texts(got))
	}
	s.Guest().Post(t, "oven/clock", m{"offsetMs": 0})
	if _, err := s.DB.Exec(t.Context(), `INSERT INTO note (id, user_id, text, visibility) SELECT '0' || lpad(g::text, 15, '0'), $1, 'x', 'public' FROM generate_series(1, 600) g`, alice.ID); err != nil {
		t.Fatal(err)
	}
	if _, err := s.DB.Exec(t.Context(), `INSERT INTO antenna_note (antenna_id, note_id) SELECT $1, id FROM note WHERE id LIKE '0%'`, a); err != nil {
		t.Fatal(err)
	}
	alice.Post(t, "notes/create", m{"text": "bread caught"})
	s.Settle(t)
	if n := s.Count(t, `SELECT count(*) FROM antenna_note`); n != 500 {
		t.Errorf("%d notes are kept", n)
	}
	if got := alice.List(t, "antennas/notes", m{"antennaId": a, "limit": 1}); texts(got)[0] != "bread caught" {
		t.Errorf("the newest: %v", texts(got))
	}
}
