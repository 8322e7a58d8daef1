package list_test

import (
	"testing"

	"buttersc.one/oven/internal/testsrv"
)

type m = testsrv.M

func TestLists(t *testing.T) {
	t.Parallel()
	s := testsrv.New(t)
	a, b, c, d := s.User(t, "alice"), s.User(t, "bora"), s.User(t, "chul"), s.User(t, "dami")
	l := a.Post(t, "users/lists/create", m{"name": "빵집"})
	id := testsrv.Dig(l, "id").(string)
	testsrv.Is(t, l, "빵집", "name")
	testsrv.Is(t, l, false, "isPublic")
	live := a.Stream(t)
	live.Send(m{"type": "connect", "body": m{"channel": "userList", "id": "l", "params": m{"listId": id}, "pong": true}})
	live.Next("connected", func(e m) bool { return e["type"] == "connected" })
	a.Post(t, "users/lists/push", m{"listId": id, "userId": b.ID})
	live.Next("who came", func(e m) bool {
		return testsrv.Dig(e, "body", "type") == "userAdded" && testsrv.Dig(e, "body", "body", "id") == b.ID
	})
	a.Fails(t, "users/lists/push", m{"listId": id, "userId": b.ID}, 400, "ALREADY_ADDED")
	a.Fails(t, "users/lists/push", m{"listId": id, "userId": id}, 400, "NO_SUCH_USER")
	b.Fails(t, "users/lists/push", m{"listId": id, "userId": c.ID}, 400, "NO_SUCH_LIST")
	c.Post(t, "blocking/create", m{"userId": a.ID})
	a.Fails(t, "users/lists/push", m{"listId": id, "userId": c.ID}, 400, "YOU_HAVE_BEEN_BLOCKED")

	// The members' notes, by page and live; being listed is not being followed.
	seen := b.Note(t, m{"text": "on the list"})
	b.Note(t, m{"text": "hidden", "visibility": "followers"})
	answer := b.Note(t, m{"text": "reply", "replyId": d.Note(t, m{"text": "not on the list"})})
	last := b.Note(t, m{"text": "last", "visibility": "home"})
	page := a.List(t, "notes/user-list-timeline", m{"listId": id})
	if len(page) != 2 || page[0]["id"] != last || page[1]["id"] != seen {
		t.Errorf("the list's notes: %v", page)
	}
	if got := live.Notes("l", last); len(got) != 2 || got[0] != seen {
		t.Errorf("live: %v", got)
	}
	a.Post(t, "users/lists/update-membership", m{"listId": id, "userId": b.ID, "withReplies": true})
	if got := a.List(t, "notes/user-list-timeline", m{"listId": id}); len(got) != 3 || got[1]["id"] != answer {
		t.Errorf("with replies: %v", got)
	}
	members := a.List(t, "users/lists/get-memberships", m{"listId": id})
	if len(members) != 1 || testsrv.Dig(members[0], "user", "username") != "bora" || members[0]["withReplies"] != true {
		t.Errorf("members: %v", members)
	}
	for _, who := range []*testsrv.User{b, c} {
		who.Fails(t, "notes/user-list-timeline", m{"listId": id}, 400, "NO_SUCH_LIST")
		who.Fails(t, "users/lists/get-memberships", m{"listId": id}, 400, "NO_SUCH_LIST")
		who.Fails(t, "users/lists/show", m{"listId": id}, 400, "NO_SUCH_LIST")
		who.Fails(t, "users/lists/update", m{"listId": id, "name": "x"}, 400, "NO_SUCH_LIST")
		who.Fails(t, "users/lists/pull", m{"listId": id, "userId": b.ID}, 400, "NO_SUCH_LIST")
		who.Fails(t, "users/lists/update-membership", m{"listId": id, "userId": b.ID}, 400, "NO_SUCH_LIST")
		who.Fails(t, "users/lists/delete", m{"listId": id}, 400, "NO_SUCH_LIST")
	}
	a.Post(t, "users/lists/pull", m{"listId": id, "userId": b.ID})
	live.Next("who went", func(e m) bool { return testsrv.Dig(e, "body", "type") == "userRemoved" })
	a.Fails(t, "users/lists/pull", m{"listId": id, "userId": b.ID}, 400, "NO_SUCH_USER")
	if got := a.List(t, "notes/user-list-timeline", m{"listId": id}); len(got) != 0 {
		t.Errorf("of nobody: %v", got)
	}
	a.Post(t, "users/lists/delete", m{"listId": id})
	if got := a.List(t, "users/lists/list", m{}); len(got) != 0 {
		t.Errorf("deleted: %v", got)
	}
}

func TestPublicLists(t *testing.T) {
	t.Parallel()
	s := testsrv.New(t)
	a, b, c := s.User(t, "alice"), s.User(t, "bora"), s.User(t, "chul")
	id := testsrv.Dig(a.Post(t, "users/lists/create", m{"name": "l"}), "id").(string)
	a.Post(t, "users/lists/push", m{"listId": id, "userId": c.ID})
	b.Fails(t, "users/lists/show", m{"listId": id, "forPublic": true}, 400, "NO_SUCH_LIST")
	b.Fails(t, "users/lists/favorite", m{"listId": id}, 400, "NO_SUCH_USER_LIST")
	b.Fails(t, "users/lists/create-from-public", m{"listId": id, "name": "copy"}, 400, "NO_SUCH_LIST")
	testsrv.Is(t, a.Post(t, "users/lists/update", m{"listId": id, "isPublic": true}), true, "isPublic")
	b.Post(t, "users/lists/favorite", m{"listId": id})
	b.Fails(t, "users/lists/favorite", m{"listId": id}, 400, "ALREADY_FAVORITED")
	shown := b.Post(t, "users/lists/show", m{"listId": id, "forPublic": true})
	testsrv.Is(t, shown, 1, "likedCount")
	testsrv.Is(t, shown, true, "isLiked")
	testsrv.Is(t, s.Guest().Post(t, "users/lists/show", m{"listId": id, "forPublic": true}), false, "isLiked")
	b.Post(t, "users/lists/unfavorite", m{"listId": id})
	b.Fails(t, "users/lists/unfavorite", m{"listId": id}, 400, "ALREADY_FAVORITED")
	if got := b.List(t, "users/lists/list", m{"userId": a.ID}); len(got) != 1 || got[0]["id"] != id {
		t.Errorf("public lists: %v", got)
	}
	s.Guest().Fails(t, "users/lists/list", m{}, 400, "INVALID_PARAM")
	s.Guest().Fails(t, "users/lists/list", m{"userId": id}, 400, "NO_SUCH_USER")
	far := s.Guest().Post(t, "signup", m{"username": "far", "password": "x", "host": "far.example"})
	s.Guest().Fails(t, "users/lists/list", m{"userId": testsrv.Dig(far, "id")}, 400, "REMOTE_USER_NOT_ALLOWED")
	made := b.Post(t, "users/lists/create-from-public", m{"listId": id, "name": "copy"})
	testsrv.Is(t, made, c.ID, "userIds", 0)
	// Whoever blocks the caller makes it fail whole.
	c.Post(t, "blocking/create", m{"userId": b.ID})
	b.Fails(t, "users/lists/create-from-public", m{"listId": id, "name": "again"}, 400, "YOU_HAVE_BEEN_BLOCKED")
	if got := b.List(t, "users/lists/list", m{}); len(got) != 1 {
		t.Errorf("half a copy: %v", got)
	}
}

func TestLimits(t *testing.T) {
	t.Parallel()
	s := testsrv.New(t)
	a, b, c := s.User(t, "alice"), s.User(t, "bora"), s.User(t, "chul")
	s.Set(t, m{"policies": m{"userListLimit": 1, "userEachUserListsLimit": 1}})
	id := testsrv.Dig(a.Post(t, "users/lists/create", m{"name": "l"}), "id")
	a.Fails(t, "users/lists/create", m{"name": "m"}, 400, "TOO_MANY_USERLISTS")
	a.Post(t, "users/lists/push", m{"listId": id, "userId": b.ID})
	a.Fails(t, "users/lists/push", m{"listId": id, "userId": c.ID}, 400, "TOO_MANY_USERS")
	a.Post(t, "users/lists/update", m{"listId": id, "isPublic": true})
	a.Fails(t, "users/lists/create-from-public", m{"listId": id, "name": "x"}, 400, "TOO_MANY_USERLISTS")
	a.Fails(t, "users/lists/create", m{"name": ""}, 400, "INVALID_PARAM")
}
