package relation_test

import (
	"testing"

	"buttersc.one/oven/internal/testsrv"
)

type m = testsrv.M

func tie(t *testing.T, from, to *testsrv.User) any {
	t.Helper()
	return from.Post(t, "users/relation", m{"userId": to.ID})
}

func TestFollow(t *testing.T) {
	t.Parallel()
	s := testsrv.New(t)
	a, b := s.User(t, "alice"), s.User(t, "bora")
	a.Fails(t, "following/create", m{"userId": a.ID}, 400, "FOLLOWEE_IS_YOURSELF")
	a.Fails(t, "following/create", m{"userId": "nobody0"}, 400, "NO_SUCH_USER")
	a.Fails(t, "following/create", m{}, 400, "INVALID_PARAM")
	s.Guest().Fails(t, "following/create", m{"userId": b.ID}, 401, "CREDENTIAL_REQUIRED")
	a.Fails(t, "following/delete", m{"userId": b.ID}, 400, "NOT_FOLLOWING")
	testsrv.Is(t, a.Post(t, "following/create", m{"userId": b.ID, "withReplies": true}), "bora", "username")
	a.Fails(t, "following/create", m{"userId": b.ID}, 400, "ALREADY_FOLLOWING")
	testsrv.Is(t, tie(t, a, b), true, "isFollowing")
	testsrv.Is(t, tie(t, a, b), true, "withReplies")
	testsrv.Is(t, tie(t, b, a), true, "isFollowed")
	a.Post(t, "following/update", m{"userId": b.ID, "notify": "normal", "withReplies": false})
	testsrv.Is(t, tie(t, a, b), "normal", "notify")
	testsrv.Is(t, tie(t, a, b), false, "withReplies")
	a.Post(t, "following/update-all", m{"notify": "none", "withReplies": true})
	testsrv.Is(t, tie(t, a, b), "none", "notify")
	b.Fails(t, "following/update", m{"userId": a.ID, "notify": "normal"}, 400, "NOT_FOLLOWING")
	if l := b.List(t, "users/followers", m{"userId": b.ID}); len(l) != 1 || l[0]["followerId"] != a.ID {
		t.Errorf("followers %v", l)
	}
	if l := s.Guest().List(t, "users/following", m{"username": "alice", "host": nil}); len(l) != 1 || l[0]["followeeId"] != b.ID {
		t.Errorf("following %v", l)
	}
	testsrv.Is(t, a.Post(t, "users/show", m{"userId": b.ID}), 1, "followersCount")
	b.Post(t, "following/invalidate", m{"userId": a.ID})
	b.Fails(t, "following/invalidate", m{"userId": a.ID}, 400, "NOT_FOLLOWING")
	testsrv.Is(t, tie(t, a, b), false, "isFollowing")
	a.Post(t, "following/create", m{"userId": b.ID})
	a.Post(t, "following/delete", m{"userId": b.ID})
	testsrv.Is(t, a.Post(t, "users/show", m{"userId": b.ID}), 0, "followersCount")
	testsrv.Is(t, a.Post(t, "i", m{}), 0, "followingCount")
	both := a.List(t, "users/relation", m{"userId": []string{a.ID, b.ID}})
	if len(both) != 2 || both[1]["id"] != b.ID {
		t.Errorf("ties %v", both)
	}
}

func TestFollowLists(t *testing.T) {
	t.Parallel()
	s := testsrv.New(t)
	a, b := s.User(t, "alice"), s.User(t, "bora")
	a.Post(t, "following/create", m{"userId": b.ID})
	b.Post(t, "i/update", m{"followersVisibility": "private", "followingVisibility": "followers"})
	s.Guest().Fails(t, "users/followers", m{"userId": b.ID}, 400, "FORBIDDEN")
	a.Fails(t, "users/followers", m{"userId": b.ID}, 400, "FORBIDDEN")
	a.Post(t, "users/following", m{"userId": b.ID})
	s.Guest().Fails(t, "users/following", m{"userId": b.ID}, 400, "FORBIDDEN")
	testsrv.Is(t, s.Guest().Post(t, "users/show", m{"userId": b.ID}), 0, "followersCount")
	testsrv.Is(t, b.Post(t, "i", m{}), 1, "followersCount")
	s.Guest().Fails(t, "users/followers", m{"userId": "nobody0"}, 400, "NO_SUCH_USER")
	s.Guest().Fails(t, "users/followers", m{}, 400, "INVALID_PARAM")
}

func TestLocked(t *testing.T) {
	t.Parallel()
	s := testsrv.New(t)
	a, b, c := s.User(t, "alice"), s.User(t, "bora"), s.User(t, "cha")
	b.Post(t, "i/update", m{"isLocked": true})
	main := b.Stream(t, "main")
	a.Post(t, "following/create", m{"userId": b.ID})
	main.Next("receiveFollowRequest", func(e m) bool { return testsrv.Dig(e, "body", "type") == "receiveFollowRequest" })
	testsrv.Is(t, tie(t, a, b), false, "isFollowing")
	testsrv.Is(t, tie(t, a, b), true, "hasPendingFollowRequestFromYou")
	testsrv.Is(t, b.Post(t, "i", m{}), true, "hasPendingReceivedFollowRequest")
	if l := b.List(t, "following/requests/list", m{}); len(l) != 1 || testsrv.Dig(l[0], "follower", "id") != a.ID {
		t.Errorf("requests %v", l)
	}
	if l := a.List(t, "following/requests/sent", m{}); len(l) != 1 || testsrv.Dig(l[0], "followee", "id") != b.ID {
		t.Errorf("sent %v", l)
	}
	a.Post(t, "following/requests/cancel", m{"userId": b.ID})
	a.Fails(t, "following/requests/cancel", m{"userId": b.ID}, 400, "FOLLOW_REQUEST_NOT_FOUND")
	b.Fails(t, "following/requests/accept", m{"userId": a.ID}, 400, "NO_FOLLOW_REQUEST")
	a.Post(t, "following/create", m{"userId": b.ID})
	b.Post(t, "following/requests/reject", m{"userId": a.ID})
	testsrv.Is(t, tie(t, a, b), false, "hasPendingFollowRequestFromYou")
	a.Post(t, "following/create", m{"userId": b.ID})
	b.Post(t, "following/requests/accept", m{"userId": a.ID})
	testsrv.Is(t, tie(t, a, b), true, "isFollowing")
	if l := a.List(t, "i/notifications", m{}); len(l) != 1 || l[0]["type"] != "followRequestAccepted" {
		t.Errorf("notifications %v", l)
	}
	// Whoever waits is let in when the account opens.
	c.Post(t, "following/create", m{"userId": b.ID})
	b.Post(t, "i/update", m{"isLocked": false})
	testsrv.Is(t, tie(t, c, b), true, "isFollowing")
	testsrv.Is(t, b.Post(t, "i", m{}), 2, "followersCount")
}

func TestBlock(t *testing.T) {
	t.Parallel()
	s := testsrv.New(t)
	a, b := s.User(t, "alice"), s.User(t, "bora")
	a.Post(t, "following/create", m{"userId": b.ID})
	b.Post(t, "following/create", m{"userId": a.ID})
	n := b.Note(t, m{"text": "b"})
	mine := a.Note(t, m{"text": "a"})
	b.Fails(t, "blocking/create", m{"userId": b.ID}, 400, "BLOCKEE_IS_YOURSELF")
	testsrv.Is(t, b.Post(t, "blocking/create", m{"userId": a.ID}), true, "isBlocking")
	b.Fails(t, "blocking/create", m{"userId": a.ID}, 400, "ALREADY_BLOCKING")
	testsrv.Is(t, tie(t, a, b), false, "isFollowing")
	testsrv.Is(t, tie(t, a, b), false, "isFollowed")
	testsrv.Is(t, tie(t, a, b), true, "isBlocked")
	a.Fails(t, "following/create", m{"userId": b.ID}, 400, "BLOCKED")
	b.Fails(t, "following/create", m{"userId": a.ID}, 400, "BLOCKING")
	a.Fails(t, "notes/create", m{"text": "x", "replyId": n}, 400, "YOU_HAVE_BEEN_BLOCKED")
	a.Fails(t, "notes/create", m{"renoteId": n}, 400, "YOU_HAVE_BEEN_BLOCKED")
	a.Fails(t, "notes/reactions/create", m{"noteId": n, "reaction": "🍞"}, 400, "YOU_HAVE_BEEN_BLOCKED")
	if testsrv.Has(b.List(t, "notes/local-timeline", m{}), mine) || testsrv.Has(a.List(t, "notes/local-timeline", m{}), n) {
		t.Error("a blocked account's note is shown")
	}
	if l := b.List(t, "blocking/list", m{}); len(l) != 1 || l[0]["blockeeId"] != a.ID {
		t.Errorf("blocks %v", l)
	}
	b.Post(t, "blocking/delete", m{"userId": a.ID})
	b.Fails(t, "blocking/delete", m{"userId": a.ID}, 400, "NOT_BLOCKING")
	a.Post(t, "following/create", m{"userId": b.ID})
}

func TestMute(t *testing.T) {
	t.Parallel()
	s := testsrv.New(t)
	a, b := s.User(t, "alice"), s.User(t, "bora")
	n := b.Note(t, m{"text": "b"})
	r := b.Note(t, m{"renoteId": a.Note(t, m{"text": "a"})})
	a.Fails(t, "mute/create", m{"userId": a.ID}, 400, "MUTEE_IS_YOURSELF")
	a.Post(t, "mute/create", m{"userId": b.ID})
	a.Fails(t, "mute/create", m{"userId": b.ID}, 400, "ALREADY_MUTING")
	if testsrv.Has(a.List(t, "notes/local-timeline", m{}), n) {
		t.Error("a muted account's note is shown")
	}
	if !testsrv.Has(a.List(t, "users/notes", m{"userId": b.ID}), n) {
		t.Error("hidden on its own page")
	}
	b.Note(t, m{"text": "@alice 안녕"})
	if l := a.List(t, "i/notifications", m{"includeTypes": []string{"mention"}}); len(l) != 0 {
		t.Errorf("a muted account notifies: %v", l)
	}
	if l := a.List(t, "mute/list", m{}); len(l) != 1 || l[0]["muteeId"] != b.ID || l[0]["expiresAt"] != nil {
		t.Errorf("mutes %v", l)
	}
	a.Post(t, "mute/delete", m{"userId": b.ID})
	a.Fails(t, "mute/delete", m{"userId": b.ID}, 400, "NOT_MUTING")
	a.Fails(t, "renote-mute/create", m{"userId": a.ID}, 400, "MUTEE_IS_YOURSELF")
	a.Post(t, "renote-mute/create", m{"userId": b.ID})
	a.Fails(t, "renote-mute/create", m{"userId": b.ID}, 400, "ALREADY_MUTING")
	list := a.List(t, "notes/local-timeline", m{})
	if testsrv.Has(list, r) || !testsrv.Has(list, n) {
		t.Error("renotes are muted, notes are not")
	}
	if l := a.List(t, "renote-mute/list", m{}); len(l) != 1 {
		t.Errorf("renote mutes %v", l)
	}
	a.Post(t, "renote-mute/delete", m{"userId": b.ID})
	a.Fails(t, "renote-mute/delete", m{"userId": b.ID}, 400, "NOT_MUTING")
}
