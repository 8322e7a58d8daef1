package account_test

import (
	"testing"

	"buttersc.one/oven/internal/testsrv"
)

type m = testsrv.M

// Somebody elsewhere moves: followers here follow the new account, and mutes,
// blocks and lists go along.
func TestMoveElsewhere(t *testing.T) {
	t.Parallel()
	far := testsrv.NewRemote(t)
	s := testsrv.New(t)
	follower, muter, blocker := s.User(t, "follower"), s.User(t, "muter"), s.User(t, "blocker")
	old := far.Actor("old")
	fresh := far.Actor("new", m{"alsoKnownAs": []string{old.ID}})
	stranger := far.Actor("stranger")
	oldID := old.On(t, follower).ID
	follower.Post(t, "following/create", m{"userId": oldID, "withReplies": true})
	old.Tell(t, s, m{"type": "Accept", "object": far.Got(t, "Follow")})
	muter.Post(t, "mute/create", m{"userId": oldID})
	blocker.Post(t, "blocking/create", m{"userId": oldID})
	far.Got(t, "Block")
	list := testsrv.Dig(follower.Post(t, "users/lists/create", m{"name": "l"}), "id")
	follower.Post(t, "users/lists/push", m{"listId": list, "userId": oldID})

	// A Move is only a reason to look; the profile must say so itself.
	old.Tell(t, s, m{"type": "Move", "object": old.ID, "target": fresh.ID})
	if n := s.Count(t, "SELECT count(*) FROM account_move"); n != 0 {
		t.Error("a Move was believed though the profile does not say so")
	}
	// Nobody moves to an account that does not name him.
	far.Actor("old", m{"movedTo": stranger.ID})
	old.Tell(t, s, m{"type": "Move", "object": old.ID, "target": stranger.ID})
	if n := s.Count(t, "SELECT count(*) FROM account_move"); n != 0 {
		t.Error("moved to an account that knows nothing of it")
	}
	// Nor does somebody else move him.
	far.Actor("old", m{"movedTo": fresh.ID})
	stranger.Tell(t, s, m{"type": "Move", "object": old.ID, "target": fresh.ID})
	if n := s.Count(t, "SELECT count(*) FROM account_move"); n != 0 {
		t.Error("moved by another")
	}
	old.Tell(t, s, m{"type": "Move", "object": old.ID, "target": fresh.ID})
	follow := far.Got(t, "Follow")
	testsrv.Is(t, follow, fresh.ID, "object")
	testsrv.Is(t, far.Got(t, "Undo"), "Follow", "object", "type")
	testsrv.Is(t, far.Got(t, "Block"), fresh.ID, "object")
	fresh.Tell(t, s, m{"type": "Accept", "object": follow})
	if n := s.Count(t, "SELECT count(*) FROM fed_stream WHERE kind = 'move' AND owner_id = $1 AND closed_at IS NOT NULL", oldID); n != 1 {
		t.Errorf("%d streams of the move", n)
	}
	newID := fresh.On(t, follower).ID
	for id, want := range map[string]bool{oldID: false, newID: true} {
		rel := follower.Post(t, "users/relation", m{"userId": id})
		testsrv.Is(t, rel, want, "isFollowing")
		testsrv.Is(t, muter.Post(t, "users/relation", m{"userId": id}), true, "isMuted")
		testsrv.Is(t, blocker.Post(t, "users/relation", m{"userId": id}), true, "isBlocking")
	}
	testsrv.Is(t, follower.Post(t, "users/lists/show", m{"listId": list}), []any{newID}, "userIds")
	testsrv.Is(t, follower.Post(t, "users/show", m{"userId": oldID}), newID, "movedTo")
	// The next move within two weeks carries nobody on.
	third := far.Actor("third", m{"alsoKnownAs": []string{old.ID}})
	far.Actor("old", m{"movedTo": third.ID})
	old.Tell(t, s, m{"type": "Move", "object": old.ID, "target": third.ID})
	if n := s.Count(t, `SELECT count(*) FROM account_move JOIN "user" u ON u.id = target_id WHERE u.username = 'new'`); n != 1 {
		t.Error("moved on within two weeks")
	}
}

// Somebody here moves elsewhere.
func TestMoveAway(t *testing.T) {
	t.Parallel()
	far := testsrv.NewRemote(t)
	s := testsrv.New(t)
	s.User(t, "root").Fails(t, "i/move", m{"moveToAccount": "@root"}, 400, "NOT_ROOT_FORBIDDEN")
	me, friend := s.User(t, "mia"), s.User(t, "friend")
	fan, home := far.Actor("fan"), far.Actor("home")
	fan.Tell(t, s, m{"type": "Follow", "object": me.URI()})
	far.Got(t, "Accept")
	friend.Post(t, "following/create", m{"userId": me.ID})
	me.Post(t, "following/create", m{"userId": friend.ID})
	acct := "@home@" + far.Host
	me.Fails(t, "i/move", m{"moveToAccount": "@nobody@" + far.Host}, 400, "NO_SUCH_USER")
	me.Fails(t, "i/move", m{"moveToAccount": acct}, 400, "DESTINATION_ACCOUNT_FORBIDS")
	me.Fails(t, "i/move", m{"moveToAccount": "@mia"}, 400, "DESTINATION_ACCOUNT_FORBIDS")
	// An address that merely begins with ours is no alias (behaviour 3.15).
	far.Actor("home", m{"alsoKnownAs": []string{me.URI() + "0"}})
	me.Fails(t, "i/move", m{"moveToAccount": acct}, 400, "DESTINATION_ACCOUNT_FORBIDS")
	far.Actor("home", m{"alsoKnownAs": []string{me.URI()}})
	me.Post(t, "i/move", m{"moveToAccount": acct})
	update := far.Got(t, "Update")
	testsrv.Is(t, update, home.ID, "object", "movedTo")
	move := far.Got(t, "Move")
	testsrv.Is(t, move, me.URI(), "object")
	testsrv.Is(t, move, home.ID, "target")
	// Followers here ask to follow there.
	testsrv.Is(t, far.Got(t, "Follow"), friend.URI(), "actor")
	s.Settle(t)
	testsrv.Is(t, me.Post(t, "users/relation", m{"userId": friend.ID}), false, "isFollowing")
	testsrv.Is(t, me.Post(t, "users/relation", m{"userId": friend.ID}), false, "isFollowed")
	me.Fails(t, "i/move", m{"moveToAccount": acct}, 403, "YOUR_ACCOUNT_MOVED")
	me.Fails(t, "notes/create", m{"text": "still here"}, 403, "YOUR_ACCOUNT_MOVED")
	testsrv.Is(t, s.Guest().Post(t, "users/show", m{"userId": me.ID}), home.On(t, friend).ID, "movedTo")
}
