package relation_test

import (
	"testing"

	"buttersc.one/oven/internal/testsrv"
)

// Somebody elsewhere follows a local account: accepted at once, or after the
// account said so; taken back; refused.
func TestRemoteFollower(t *testing.T) {
	t.Parallel()
	far := testsrv.NewRemote(t)
	s := testsrv.New(t)
	a, bob := s.User(t, "alice"), far.Actor("bob")
	follow := m{"type": "Follow", "id": far.Origin + "/follows/1", "object": a.URI()}
	bob.Tell(t, s, follow)
	accept := far.Got(t, "Accept")
	testsrv.Is(t, accept, a.URI(), "actor")
	testsrv.Is(t, accept, far.Origin+"/follows/1", "object", "id")
	b := bob.On(t, a)
	testsrv.Is(t, tie(t, a, b), true, "isFollowed")
	testsrv.Is(t, a.Post(t, "i", m{}), 1, "followersCount")
	// Asked again, it is accepted again and counted once.
	bob.Tell(t, s, m{"type": "Follow", "id": far.Origin + "/follows/2", "object": a.URI()})
	testsrv.Is(t, far.Got(t, "Accept"), far.Origin+"/follows/2", "object", "id")
	testsrv.Is(t, a.Post(t, "i", m{}), 1, "followersCount")
	for range 2 {
		bob.Tell(t, s, m{"type": "Undo", "object": follow})
		testsrv.Is(t, a.Post(t, "i", m{}), 0, "followersCount")
	}
	a.Post(t, "i/update", m{"isLocked": true})
	for range 2 { // a server that asks twice is told of once
		bob.Tell(t, s, m{"type": "Follow", "object": a.URI()})
	}
	if l := a.List(t, "i/notifications", m{"includeTypes": []string{"receiveFollowRequest"}}); len(l) != 1 {
		t.Errorf("told %d times of one request", len(l))
	}
	if l := a.List(t, "following/requests/list", m{}); len(l) != 1 || testsrv.Dig(l[0], "follower", "id") != b.ID {
		t.Errorf("requests %v", l)
	}
	a.Post(t, "following/requests/reject", m{"userId": b.ID})
	testsrv.Is(t, far.Got(t, "Reject"), bob.ID, "object", "actor")
	bob.Tell(t, s, m{"type": "Follow", "id": far.Origin + "/follows/4", "object": a.URI()})
	a.Post(t, "following/requests/accept", m{"userId": b.ID})
	testsrv.Is(t, far.Got(t, "Accept"), far.Origin+"/follows/4", "object", "id")
	testsrv.Is(t, a.Post(t, "i", m{}), 1, "followersCount")
	a.Post(t, "following/invalidate", m{"userId": b.ID})
	testsrv.Is(t, far.Got(t, "Reject"), bob.ID, "object", "actor")
	testsrv.Is(t, a.Post(t, "i", m{}), 0, "followersCount")
	// Whom the account blocks is refused.
	a.Post(t, "blocking/create", m{"userId": b.ID})
	testsrv.Is(t, far.Got(t, "Block"), bob.ID, "object")
	bob.Tell(t, s, m{"type": "Follow", "object": a.URI()})
	far.Got(t, "Reject")
	testsrv.Is(t, tie(t, a, b), false, "isFollowed")
	a.Post(t, "blocking/delete", m{"userId": b.ID})
	testsrv.Is(t, far.Got(t, "Undo"), "Block", "object", "type")
	carol := far.Actor("carol").On(t, a)
	for _, odd := range []m{
		{"type": "Follow", "object": s.Origin + "/users/nobody0"}, {"type": "Follow", "object": bob.ID}, {"type": "Follow"},
		{"type": "Undo", "object": m{"type": "Follow", "actor": far.Origin + "/users/other", "object": a.URI()}},
		{"type": "Undo", "object": m{"type": "Block", "object": a.URI()}},
		{"type": "Follow", "object": s.Origin + "/users/" + carol.ID}, {"type": "Block", "object": s.Origin + "/users/" + carol.ID},
	} {
		bob.Send(t, s, odd) // whatever is answered, nothing happens
	}
	s.Settle(t)
	if n := s.Count(t, `SELECT (SELECT count(*) FROM following) + (SELECT count(*) FROM follow_request) + (SELECT count(*) FROM blocking)`); n != 0 {
		t.Errorf("%d ties came of odd activities", n)
	}
	if left := far.Left(); len(left) != 0 {
		t.Errorf("also delivered: %v", left)
	}
}

// A local account follows somebody elsewhere: a request until it is accepted.
func TestRemoteFollowee(t *testing.T) {
	t.Parallel()
	far := testsrv.NewRemote(t)
	s := testsrv.New(t)
	a, bob, eve := s.User(t, "alice"), far.Actor("bob"), far.Actor("eve")
	b := bob.On(t, a)
	ask := func() m {
		t.Helper()
		a.Post(t, "following/create", m{"userId": b.ID})
		f := far.Got(t, "Follow")
		testsrv.Is(t, f, a.URI(), "actor")
		testsrv.Is(t, f, bob.ID, "object")
		testsrv.Is(t, tie(t, a, b), false, "isFollowing")
		testsrv.Is(t, tie(t, a, b), true, "hasPendingFollowRequestFromYou")
		return f
	}
	f := ask()
	eve.Tell(t, s, m{"type": "Accept", "object": f}) // only the followee may
	eve.Tell(t, s, m{"type": "Accept", "object": f["id"]})
	testsrv.Is(t, tie(t, a, b), false, "isFollowing")
	bob.Tell(t, s, m{"type": "Accept", "object": f["id"]}) // by its id alone, as Mastodon does
	testsrv.Is(t, tie(t, a, b), true, "isFollowing")
	testsrv.Is(t, a.Post(t, "i", m{}), 1, "followingCount")
	if l := a.List(t, "i/notifications", m{"includeTypes": []string{"followRequestAccepted"}}); len(l) != 1 {
		t.Errorf("told of the acceptance: %v", l)
	}
	bob.Tell(t, s, m{"type": "Accept", "object": f})
	testsrv.Is(t, a.Post(t, "i", m{}), 1, "followingCount")
	a.Post(t, "following/delete", m{"userId": b.ID})
	testsrv.Is(t, far.Got(t, "Undo"), "Follow", "object", "type")
	bob.Tell(t, s, m{"type": "Accept", "object": f}) // too late: it was taken back
	testsrv.Is(t, tie(t, a, b), false, "isFollowing")
	f = ask()
	bob.Tell(t, s, m{"type": "Reject", "object": f})
	testsrv.Is(t, tie(t, a, b), false, "hasPendingFollowRequestFromYou")
	ask()
	a.Post(t, "following/requests/cancel", m{"userId": b.ID})
	testsrv.Is(t, far.Got(t, "Undo"), bob.ID, "object", "object")
	ask()
	bob.Tell(t, s, m{"type": "Accept", "object": m{"type": "Follow", "actor": a.URI(), "object": bob.ID}})
	testsrv.Is(t, tie(t, a, b), true, "isFollowing")
	bob.Tell(t, s, m{"type": "Reject", "object": m{"type": "Follow", "actor": a.URI(), "object": bob.ID}}) // thrown out
	testsrv.Is(t, tie(t, a, b), false, "isFollowing")
	f = ask()
	bob.Tell(t, s, m{"type": "Accept", "object": f})
	bob.Tell(t, s, m{"type": "Undo", "object": m{"type": "Accept", "object": f}})
	testsrv.Is(t, tie(t, a, b), false, "isFollowing")
	testsrv.Is(t, a.Post(t, "i", m{}), 0, "followingCount")
	// The other side blocks, and stops.
	bob.Tell(t, s, m{"type": "Block", "id": far.Origin + "/blocks/1", "object": a.URI()})
	a.Fails(t, "following/create", m{"userId": b.ID}, 400, "BLOCKED")
	bob.Tell(t, s, m{"type": "Undo", "object": m{"type": "Block", "id": far.Origin + "/blocks/1", "actor": bob.ID, "object": a.URI()}})
	ask()
}
