package profile_test

import (
	"testing"

	"buttersc.one/oven/internal/testsrv"
)

func TestAliases(t *testing.T) {
	t.Parallel()
	far := testsrv.NewRemote(t)
	s := testsrv.New(t)
	a, b := s.User(t, "alice"), s.User(t, "bora")
	fan, old := far.Actor("fan"), far.Actor("old")
	fan.Tell(t, s, m{"type": "Follow", "object": a.URI()})
	far.Got(t, "Accept")
	me := a.Post(t, "i/update", m{"alsoKnownAs": []string{"@old@" + far.Host, "@bora"}})
	testsrv.Is(t, me, []any{old.On(t, a).ID, b.ID}, "alsoKnownAs")
	testsrv.Is(t, far.Got(t, "Update"), []any{old.ID, b.URI()}, "object", "alsoKnownAs")
	for acct, code := range map[string]string{"@alice": "FORBIDDEN_TO_SET_YOURSELF", "@nobody": "NO_SUCH_USER", "@nobody@" + far.Host: "NO_SUCH_USER", "": "NO_SUCH_USER"} {
		a.Fails(t, "i/update", m{"alsoKnownAs": []string{acct}}, 400, code)
	}
	// With that, the old account moves here, and its followers follow.
	b.Post(t, "following/create", m{"userId": old.On(t, b).ID})
	old.Tell(t, s, m{"type": "Accept", "object": far.Got(t, "Follow")})
	far.Actor("old", m{"movedTo": a.URI()})
	old.Tell(t, s, m{"type": "Move", "object": old.ID, "target": a.URI()})
	testsrv.Is(t, b.Post(t, "users/relation", m{"userId": a.ID}), true, "isFollowing")
	testsrv.Is(t, a.Post(t, "i/update", m{"alsoKnownAs": []string{}}), nil, "alsoKnownAs")
}
