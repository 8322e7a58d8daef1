package account_test

import (
	"net/http"
	"testing"

	"buttersc.one/oven/internal/testsrv"
)

// An account ends: every server is told once, nothing of it is left but the name
// and, for those who want to verify its end, the key.
func TestLeave(t *testing.T) {
	t.Parallel()
	far := testsrv.NewRemote(t)
	s := testsrv.New(t)
	root, me, friend := s.User(t, "root"), s.User(t, "mia"), s.User(t, "friend")
	root.Fails(t, "i/delete-account", m{"password": "password"}, 400, "ROOT_CANNOT_LEAVE")
	me.Fails(t, "i/delete-account", m{"password": "wrong"}, 400, "INCORRECT_PASSWORD")
	fan := far.Actor("fan")
	fan.Tell(t, s, m{"type": "Follow", "object": me.URI()})
	far.Got(t, "Accept")
	friend.Post(t, "following/create", m{"userId": me.ID})
	me.Post(t, "following/create", m{"userId": friend.ID})
	note := me.Note(t, m{"text": "mine"})
	far.Got(t, "Create")
	answer := friend.Note(t, m{"text": "an answer", "replyId": note})
	friend.Post(t, "notes/reactions/create", m{"noteId": note, "reaction": "👍"})
	s.Settle(t)
	sock := me.Stream(t, "main")
	me.Post(t, "i/delete-account", m{"password": "password"})
	end := far.Got(t, "Delete")
	testsrv.Is(t, end, me.URI(), "object")
	testsrv.Is(t, end, me.URI(), "actor")
	sock.Closed()
	s.Settle(t)
	if left := far.Left(); len(left) > 0 {
		t.Errorf("it was also told %v", left)
	}
	me.Fails(t, "i", m{}, 401, "AUTHENTICATION_FAILED")
	if got := exists(t, s, note, answer); got[0] || !got[1] {
		t.Errorf("note, answer are there: %v", got)
	}
	friend.Fails(t, "users/show", m{"userId": me.ID}, 404, "NO_SUCH_USER")
	testsrv.Is(t, friend.Post(t, "users/show", m{"userId": friend.ID}), 0.0, "followersCount")
	testsrv.Is(t, friend.Post(t, "users/show", m{"userId": friend.ID}), 0.0, "followingCount")
	for _, table := range []string{"account", "access_token", "signin"} {
		if n := s.Count(t, "SELECT count(*) FROM "+table+" WHERE user_id = $1", me.ID); n != 0 {
			t.Errorf("%d rows of %s are left", n, table)
		}
	}
	if n := s.Count(t, "SELECT count(*) FROM following WHERE follower_id = $1 OR followee_id = $1", me.ID); n != 0 {
		t.Errorf("%d ties are left", n)
	}
	status, _ := s.Guest().Call(t, "signup", m{"username": "mia", "password": "password"})
	if status == http.StatusOK {
		t.Error("somebody else got the name")
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, me.URI(), nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Accept", "application/activity+json")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	if res.StatusCode != http.StatusOK {
		t.Errorf("the key of an account that has ended: %s", res.Status)
	}
}

// An administrator ends accounts, here and what is known of others'.
func TestRemove(t *testing.T) {
	t.Parallel()
	far := testsrv.NewRemote(t)
	s := testsrv.New(t)
	root, me := s.User(t, "root"), s.User(t, "mia")
	bob := far.Actor("bob")
	doc := bob.Note("/notes/1", m{"content": "hello"})
	bob.Tell(t, s, m{"type": "Create", "id": far.Origin + "/notes/1/activity", "object": doc})
	me.Fails(t, "admin/delete-account", m{"userId": root.ID}, 403, "ROLE_PERMISSION_DENIED")
	root.Fails(t, "admin/accounts/delete", m{"userId": root.ID}, 400, "ROOT_CANNOT_LEAVE")
	root.Fails(t, "admin/delete-account", m{"userId": "nobody0000"}, 400, "NO_SUCH_USER")
	note := me.Note(t, m{"text": "mine"})
	root.Post(t, "admin/accounts/delete", m{"userId": me.ID})
	root.Post(t, "admin/delete-account", m{"userId": bob.On(t, root).ID})
	s.Settle(t)
	if got := exists(t, s, note); got[0] {
		t.Error("the note is there")
	}
	if n := s.Count(t, "SELECT count(*) FROM note WHERE uri IS NOT NULL"); n != 0 {
		t.Error("a note of a removed remote account is there")
	}
	me.Fails(t, "i", m{}, 401, "AUTHENTICATION_FAILED")
}
