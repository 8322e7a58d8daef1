package moderation_test

import (
	"net/http"
	"testing"

	"buttersc.one/oven/internal/testsrv"
)

// An account here that is suspended is told of as gone, once to everybody, and as
// back when it is.
func TestSuspensionFederates(t *testing.T) {
	t.Parallel()
	far := testsrv.NewRemote(t)
	s := testsrv.New(t)
	root, me, friend := s.User(t, "root"), s.User(t, "mia"), s.User(t, "friend")
	fan, star := far.Actor("fan"), far.Actor("star")
	fan.Tell(t, s, m{"type": "Follow", "object": me.URI()})
	far.Got(t, "Accept")
	me.Post(t, "following/create", m{"userId": star.On(t, me).ID})
	star.Tell(t, s, m{"type": "Accept", "object": far.Got(t, "Follow")})
	me.Post(t, "following/create", m{"userId": friend.ID})
	friend.Post(t, "following/create", m{"userId": me.ID})
	s.Settle(t)
	ties := func() (n [2]int) {
		n[0] = s.Count(t, "SELECT count(*) FROM following WHERE follower_id = $1", me.ID)
		n[1] = s.Count(t, "SELECT count(*) FROM following WHERE followee_id = $1", me.ID)
		return n
	}
	if got := ties(); got != [2]int{2, 2} {
		t.Fatalf("ties before: %v", got)
	}
	staged := func() int {
		return s.Count(t, "SELECT (SELECT count(*) FROM fed_log_live WHERE actor_id = $1) + (SELECT count(*) FROM fed_log_bulk WHERE actor_id = $1)", me.ID)
	}
	before := staged()
	root.Post(t, "admin/suspend-user", m{"userId": me.ID})
	root.Post(t, "admin/suspend-user", m{"userId": me.ID}) // again: nobody is told
	end := far.Got(t, "Delete")
	testsrv.Is(t, end, me.URI(), "object")
	testsrv.Is(t, end, me.URI(), "actor")
	s.Settle(t)
	if left, n := far.Left(), staged()-before; len(left) > 0 || n != 1 {
		t.Errorf("it was also told %v; %d activities in the log", left, n)
	}
	if got := ties(); got != [2]int{0, 2} {
		t.Errorf("ties after: %v", got)
	}
	testsrv.Is(t, friend.Post(t, "users/show", m{"userId": friend.ID}), 0, "followersCount")
	root.Post(t, "admin/unsuspend-user", m{"userId": me.ID})
	root.Post(t, "admin/unsuspend-user", m{"userId": me.ID})
	undo := far.Got(t, "Undo")
	testsrv.Is(t, undo, end["id"], "object", "id")
	testsrv.Is(t, undo, me.URI(), "object", "object")
	s.Settle(t)
	if left := far.Left(); len(left) > 0 {
		t.Errorf("it was also told %v", left)
	}
	// Another time is another Delete.
	root.Post(t, "admin/suspend-user", m{"userId": me.ID})
	if again := far.Got(t, "Delete"); again["id"] == end["id"] {
		t.Error("the second Delete has the id of the first")
	}
	s.Settle(t)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.Origin+"/@mia", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Accept", "application/activity+json")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	if res.StatusCode == http.StatusOK {
		t.Error("a suspended account is shown to other servers")
	}
}

// One of another server loses what ties it to people here, both ways; its server
// is told by the lane of large operations.
func TestSuspendRemote(t *testing.T) {
	t.Parallel()
	far := testsrv.NewRemote(t)
	s := testsrv.New(t)
	root, me, shy := s.User(t, "root"), s.User(t, "mia"), s.User(t, "shy")
	shy.Post(t, "i/update", m{"isLocked": true})
	bad := far.Actor("bad")
	bad.Tell(t, s, m{"type": "Follow", "object": me.URI()})
	far.Got(t, "Accept")
	follow := bad.ID + "/follows/1"
	bad.Tell(t, s, m{"type": "Follow", "id": follow, "object": shy.URI()})
	them := bad.On(t, me)
	me.Post(t, "following/create", m{"userId": them.ID})
	bad.Tell(t, s, m{"type": "Accept", "object": far.Got(t, "Follow")})
	root.Post(t, "admin/suspend-user", m{"userId": them.ID})
	s.Settle(t)
	testsrv.Is(t, far.Got(t, "Undo"), "Follow", "object", "type")
	rejected := map[any]bool{}
	for range 2 {
		rejected[testsrv.Dig(far.Got(t, "Reject"), "object", "object")] = true
	}
	if !rejected[me.URI()] || !rejected[shy.URI()] {
		t.Errorf("rejected %v", rejected)
	}
	s.Settle(t)
	if left := far.Left(); len(left) > 0 {
		t.Errorf("it was also told %v", left)
	}
	for _, table := range []string{"following", "follow_request"} {
		if n := s.Count(t, "SELECT count(*) FROM "+table+" WHERE $1 IN (follower_id, followee_id)", them.ID); n != 0 {
			t.Errorf("%d of %s are left", n, table)
		}
	}
	if n := s.Count(t, "SELECT count(*) FROM fed_log_bulk WHERE type IN ('Undo', 'Reject')"); n != 3 {
		t.Errorf("%d in the lane of large operations", n)
	}
	root.Post(t, "admin/unsuspend-user", m{"userId": them.ID})
	s.Settle(t)
	if left := far.Left(); len(left) > 0 {
		t.Errorf("an account of theirs coming back told them %v", left)
	}
}

// What another server suspends is gone here, and back when it says so; nobody
// else can bring it back.
func TestSuspendedElsewhere(t *testing.T) {
	t.Parallel()
	far := testsrv.NewRemote(t)
	s := testsrv.New(t)
	me := s.User(t, "mia")
	bob, eve := far.Actor("bob"), far.Actor("eve")
	doc := bob.Note("/notes/1", nil)
	bob.Tell(t, s, m{"type": "Create", "id": far.Origin + "/notes/1/activity", "object": doc})
	them := bob.On(t, me)
	end := m{"type": "Delete", "id": bob.ID + "#suspend/1", "actor": bob.ID, "object": bob.ID}
	bob.Tell(t, s, end)
	me.Fails(t, "users/show", m{"userId": them.ID}, 404, "NO_SUCH_USER")
	eve.Send(t, s, m{"type": "Undo", "object": m{"type": "Delete", "id": bob.ID + "#suspend/1", "actor": bob.ID, "object": bob.ID}})
	eve.Tell(t, s, m{"type": "Undo", "object": m{"type": "Delete", "id": eve.ID + "#suspend/1", "actor": eve.ID, "object": bob.ID}})
	me.Fails(t, "users/show", m{"userId": them.ID}, 404, "NO_SUCH_USER")
	bob.Tell(t, s, m{"type": "Undo", "object": end})
	testsrv.Is(t, me.Post(t, "users/show", m{"userId": them.ID}), "bob", "username")
	if n := s.Count(t, "SELECT count(*) FROM note WHERE user_id = $1", them.ID); n != 0 {
		t.Error("the notes that were deleted are there")
	}
}
