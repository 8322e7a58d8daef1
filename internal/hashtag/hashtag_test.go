package hashtag_test

import (
	"testing"

	"buttersc.one/oven/internal/testsrv"
)

type m = testsrv.M

func TestHashtags(t *testing.T) {
	t.Parallel()
	s := testsrv.New(t)
	a, b, g := s.User(t, "alice"), s.User(t, "bora"), s.Guest()
	far := g.Post(t, "signup", m{"username": "far", "password": "x", "host": "far.example"})
	remote := &testsrv.User{S: s, ID: testsrv.Dig(far, "id").(string), Token: testsrv.Dig(far, "token").(string)}
	for _, u := range []*testsrv.User{a, a, b, remote} {
		u.Note(t, m{"text": "#Bread #식빵"})
	}
	a.Note(t, m{"text": "#secret", "visibility": "followers"})
	b.Note(t, m{"text": "#bread_roll"})
	a.Post(t, "i/update", m{"description": "#bread lover"})
	s.Settle(t)
	tag := g.Post(t, "hashtags/show", m{"tag": "BREAD"})
	for key, n := range map[string]int{"mentionedUsersCount": 3, "mentionedLocalUsersCount": 2, "mentionedRemoteUsersCount": 1,
		"attachedUsersCount": 1, "attachedLocalUsersCount": 1, "attachedRemoteUsersCount": 0} {
		testsrv.Is(t, tag, n, key)
	}
	g.Fails(t, "hashtags/show", m{"tag": "secret"}, 400, "NO_SUCH_HASHTAG")
	trend := g.List(t, "hashtags/trend", m{})
	if len(trend) != 3 || trend[0]["tag"] != "bread" || trend[0]["usersCount"] != 3.0 || testsrv.Dig(trend[0], "chart", 0) != 3.0 || len(trend[0]["chart"].([]any)) != 20 {
		t.Errorf("trend: %v", trend)
	}
	s.Set(t, m{"hiddenTags": []string{"bread"}})
	s.Settle(t)
	if trend := g.List(t, "hashtags/trend", m{}); len(trend) != 2 || trend[0]["tag"] != "식빵" {
		t.Errorf("trend without the hidden: %v", trend)
	}
	found := g.Post(t, "hashtags/search", m{"query": "Brea"})
	testsrv.Is(t, found, []any{"bread", "bread_roll"})
	testsrv.Is(t, g.Post(t, "hashtags/search", m{"query": "bread_"}), []any{"bread_roll"}) // no wildcard
	testsrv.Is(t, g.Post(t, "hashtags/search", m{"query": "%"}), []any{})
	for sort, first := range map[string]string{"+mentionedUsers": "bread", "-mentionedUsers": "bread_roll", "+attachedUsers": "bread", "+mentionedRemoteUsers": "bread"} {
		if l := g.List(t, "hashtags/list", m{"sort": sort}); len(l) != 3 || l[0]["tag"] != first {
			t.Errorf("%s: %v", sort, l)
		}
	}
	if l := g.List(t, "hashtags/list", m{"sort": "+attachedUsers", "attachedToUserOnly": true, "attachedToLocalUserOnly": true}); len(l) != 1 {
		t.Errorf("attached: %v", l)
	}
	if l := g.List(t, "hashtags/list", m{"sort": "+attachedUsers", "attachedToRemoteUserOnly": true}); len(l) != 0 {
		t.Errorf("attached elsewhere: %v", l)
	}
	for _, sort := range []string{"+follower", "-createdAt", "+updatedAt"} {
		if l := g.List(t, "hashtags/users", m{"tag": "bread", "sort": sort, "state": "alive", "origin": "combined"}); len(l) != 1 || l[0]["username"] != "alice" {
			t.Errorf("users by %s: %v", sort, l)
		}
	}
	if l := g.List(t, "hashtags/users", m{"tag": "bread", "sort": "+follower", "origin": "remote"}); len(l) != 0 {
		t.Errorf("users elsewhere: %v", l)
	}
	g.Fails(t, "hashtags/users", m{"tag": "bread", "sort": "id; DROP TABLE hashtag"}, 400, "INVALID_PARAM")
	// Taken off the profile.
	a.Post(t, "i/update", m{"description": nil})
	s.Settle(t)
	testsrv.Is(t, g.Post(t, "hashtags/show", m{"tag": "bread"}), 0, "attachedUsersCount")
	// What nobody says any more is no trend.
	g.Post(t, "oven/clock", m{"offsetMs": 5 * 3600 * 1000})
	s.Settle(t)
	if l := g.List(t, "hashtags/trend", m{}); len(l) != 0 {
		t.Errorf("old trend: %v", l)
	}
	if n := s.Count(t, "SELECT count(*) FROM hashtag_use"); n != 0 {
		t.Errorf("%d uses are kept", n)
	}
}
