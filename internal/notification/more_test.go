package notification_test

import (
	"testing"

	"buttersc.one/oven/internal/testsrv"
)

func types(list []m) (out []string) {
	for _, n := range list {
		out = append(out, n["type"].(string))
	}
	return out
}

func TestGrouped(t *testing.T) {
	t.Parallel()
	s := testsrv.New(t)
	a, b, c := s.User(t, "alice"), s.User(t, "bora"), s.User(t, "chul")
	one, two := a.Note(t, m{"text": "1"}), a.Note(t, m{"text": "2"})
	b.Post(t, "following/create", m{"userId": a.ID})
	for _, u := range []*testsrv.User{b, c} {
		u.Post(t, "notes/reactions/create", m{"noteId": one, "reaction": "🍞"})
	}
	b.Post(t, "notes/reactions/create", m{"noteId": two, "reaction": "🥐"})
	for _, u := range []*testsrv.User{b, c, c} {
		u.Note(t, m{"renoteId": two})
	}
	list := a.List(t, "i/notifications-grouped", m{"markAsRead": false})
	want := []string{"renote:grouped", "reaction", "reaction:grouped", "follow"}
	if got := types(list); len(got) != len(want) || got[0] != want[0] || got[1] != want[1] || got[2] != want[2] {
		t.Fatalf("grouped: %v, want %v", got, want)
	}
	testsrv.Is(t, list[0], two, "note", "id")
	if users := list[0]["users"].([]any); len(users) != 3 {
		t.Errorf("users: %v", users)
	}
	testsrv.Is(t, list[2], one, "note", "id")
	testsrv.Is(t, list[2], c.ID, "reactions", 0, "user", "id")
	testsrv.Is(t, list[2], "🍞", "reactions", 1, "reaction")
	testsrv.Is(t, list[2], nil, "user")
	// The next page goes on below the oldest of a group.
	first := a.List(t, "i/notifications-grouped", m{"limit": 3, "markAsRead": false})
	rest := a.List(t, "i/notifications-grouped", m{"limit": 3, "untilId": first[2]["id"]})
	if len(rest) != 1 || rest[0]["type"] != "follow" {
		t.Errorf("second page: %v", types(rest))
	}
	if got := types(a.List(t, "i/notifications-grouped", m{"includeTypes": []string{"reaction:grouped"}})); len(got) != 2 {
		t.Errorf("only reactions: %v", got)
	}
	testsrv.Is(t, a.Post(t, "i", m{}), 0, "unreadNotificationsCount")
	main := a.Stream(t, "main")
	a.Post(t, "notifications/flush", m{})
	main.Next("flushed", func(e m) bool { return testsrv.Dig(e, "body", "type") == "notificationFlushed" })
	if l := a.List(t, "i/notifications", m{}); len(l) != 0 {
		t.Errorf("after flush: %v", l)
	}
}

func TestOwn(t *testing.T) {
	t.Parallel()
	s := testsrv.New(t)
	a := s.User(t, "alice")
	a.Post(t, "notifications/create", m{"body": "빵이 다 됐어요", "header": "오븐"})
	a.Post(t, "notifications/test-notification", m{})
	list := a.List(t, "i/notifications", m{"markAsRead": false})
	if got := types(list); len(got) != 2 || got[0] != "test" || got[1] != "app" {
		t.Fatalf("own: %v", got)
	}
	testsrv.Is(t, list[1], "빵이 다 됐어요", "body")
	testsrv.Is(t, list[1], "오븐", "header")
	if icon, ok := list[1]["icon"]; !ok || icon != nil {
		t.Error("icon must be null")
	}
	a.Fails(t, "notifications/create", m{}, 400, "INVALID_PARAM")
	a.Post(t, "i/read-all-unread-notes", m{})
	testsrv.Is(t, a.Post(t, "i", m{}), 0, "unreadNotificationsCount")
}

// Who is told of every note of somebody, by asking for it.
func TestSubscribers(t *testing.T) {
	t.Parallel()
	s := testsrv.New(t)
	a, b, c := s.User(t, "alice"), s.User(t, "bora"), s.User(t, "chul")
	for _, u := range []*testsrv.User{b, c} {
		u.Post(t, "following/create", m{"userId": a.ID})
	}
	b.Post(t, "following/update", m{"userId": a.ID, "notify": "normal"})
	open := a.Note(t, m{"text": "open", "visibility": "followers"})
	a.Note(t, m{"text": "@bora hi"}) // a mention is enough
	a.Note(t, m{"text": "x", "visibility": "specified", "visibleUserIds": []string{c.ID}})
	a.Note(t, m{"renoteId": c.Note(t, m{"text": "c"})})
	a.Note(t, m{"text": "re", "replyId": c.Note(t, m{"text": "c"})})
	s.Settle(t)
	list := b.List(t, "i/notifications", m{})
	if got := types(list); len(got) != 2 || got[0] != "note" && got[1] != "note" {
		t.Fatalf("notifications: %v", got)
	}
	for _, n := range list {
		if n["type"] == "note" {
			testsrv.Is(t, n, open, "note", "id")
		}
	}
	for _, n := range c.List(t, "i/notifications", m{}) {
		if n["type"] == "note" {
			t.Error("told without having asked")
		}
	}
}

// Whose doings one is told of, by type.
func TestReceiveRules(t *testing.T) {
	t.Parallel()
	s := testsrv.New(t)
	a := s.User(t, "alice")
	following, follower, mutual, stranger := s.User(t, "following"), s.User(t, "follower"), s.User(t, "mutual"), s.User(t, "stranger")
	for _, u := range []*testsrv.User{following, mutual} {
		a.Post(t, "following/create", m{"userId": u.ID})
	}
	for _, u := range []*testsrv.User{follower, mutual} {
		u.Post(t, "following/create", m{"userId": a.ID})
	}
	list := testsrv.Dig(a.Post(t, "users/lists/create", m{"name": "l"}), "id")
	a.Post(t, "users/lists/push", m{"listId": list, "userId": stranger.ID})
	all := []*testsrv.User{following, follower, mutual, stranger}
	for rule, want := range map[string][]*testsrv.User{
		"all": all, "never": nil, "following": {following, mutual}, "follower": {follower, mutual}, "mutualFollow": {mutual},
		"followingOrFollower": {following, follower, mutual}, "list": {stranger},
	} {
		cfg := m{"type": rule}
		if rule == "list" {
			cfg["userListId"] = list
		}
		a.Post(t, "i/update", m{"notificationRecieveConfig": m{"mention": cfg}})
		a.Post(t, "notifications/flush", m{})
		for _, u := range all {
			u.Note(t, m{"text": "@alice " + rule})
		}
		got := map[any]bool{}
		for _, n := range a.List(t, "i/notifications", m{"includeTypes": []string{"mention"}}) {
			got[n["userId"]] = true
		}
		for _, u := range all {
			wanted := false
			for _, w := range want {
				wanted = wanted || w == u
			}
			if got[u.ID] != wanted {
				t.Errorf("%s: told of %s: %v", rule, u.Name, got[u.ID])
			}
		}
	}
	for _, bad := range []m{{"mention": m{"type": "sometimes"}}, {"mention": m{"type": "list"}}, {"mention": "all"}, {"nonsense": m{"type": "all"}}} {
		a.Fails(t, "i/update", m{"notificationRecieveConfig": bad}, 400, "INVALID_PARAM")
	}
}
