package reaction_test

import (
	"testing"

	"buttersc.one/oven/internal/testsrv"
)

// Reactions come from other servers in several forms.
func TestRemoteReactions(t *testing.T) {
	t.Parallel()
	far := testsrv.NewRemote(t)
	s := testsrv.New(t)
	a := s.User(t, "alice")
	bread := m{"type": "Emoji", "id": far.Origin + "/emojis/bread", "name": ":bread:", "icon": m{"type": "Image", "url": far.Origin + "/bread.png", "mediaType": "image/png"}}
	for i, c := range []struct {
		like m
		want string
	}{
		{m{"type": "Like"}, "❤"}, {m{"type": "Like", "content": "🍞"}, "🍞"}, {m{"type": "Like", "_misskey_reaction": "🎉", "content": "🍞"}, "🎉"},
		{m{"type": "EmojiReact", "content": "🍞"}, "🍞"}, {m{"type": "EmojiReaction", "content": "👍"}, "👍"},
		{m{"type": "Like", "content": ":bread:", "tag": []m{bread}}, ":bread@" + far.Host + ":"},
		{m{"type": "EmojiReact", "content": ":unknown:"}, "❤"},
	} {
		bob := far.Actor(string(rune('a'+i)) + "bob")
		id := a.Note(t, m{"text": "x"})
		c.like["object"], c.like["id"] = s.Origin+"/notes/"+id, bob.ID+"/likes/1"
		bob.Tell(t, s, c.like)
		bob.Tell(t, s, m{"type": "Like", "id": bob.ID + "/likes/1", "object": s.Origin + "/notes/" + id, "content": "💢"}) // seen before
		n := a.Post(t, "notes/show", m{"noteId": id})
		testsrv.Is(t, n, 1, "reactions", c.want)
		testsrv.Is(t, n, 1, "reactionCount")
		if c.want == ":bread@"+far.Host+":" {
			testsrv.Is(t, n, far.Origin+"/bread.png", "reactionEmojis", "bread@"+far.Host)
		}
		delete(c.like, "@context")
		bob.Tell(t, s, m{"type": "Undo", "object": c.like})
		testsrv.Is(t, a.Post(t, "notes/show", m{"noteId": id}), 0, "reactionCount")
	}
	bob, eve := far.Actor("bob"), far.Actor("eve")
	id := a.Note(t, m{"text": "x"})
	like := m{"type": "Like", "id": bob.ID + "/likes/9", "object": s.Origin + "/notes/" + id, "content": "🍞"}
	bob.Tell(t, s, like)
	eve.Tell(t, s, m{"type": "Undo", "object": like}) // not hers
	testsrv.Is(t, a.Post(t, "notes/show", m{"noteId": id}), 1, "reactionCount")
	// Undone before it came.
	bob.Tell(t, s, m{"type": "Undo", "object": m{"type": "Like", "id": bob.ID + "/likes/9", "object": s.Origin + "/notes/" + id}})
	late := m{"type": "Like", "id": bob.ID + "/likes/10", "object": s.Origin + "/notes/" + id}
	bob.Tell(t, s, m{"type": "Undo", "object": late})
	bob.Tell(t, s, late)
	testsrv.Is(t, a.Post(t, "notes/show", m{"noteId": id}), 0, "reactionCount")
	// What the sender may not see, or is kept from, it does not react to.
	secret := a.Note(t, m{"text": "x", "visibility": "followers"})
	a.Post(t, "blocking/create", m{"userId": eve.On(t, a).ID})
	bob.Tell(t, s, m{"type": "Like", "object": s.Origin + "/notes/" + secret})
	eve.Tell(t, s, m{"type": "Like", "object": s.Origin + "/notes/" + id})
	bob.Tell(t, s, m{"type": "Like", "object": s.Origin + "/notes/nothing0"})
	if n := s.Count(t, "SELECT count(*) FROM note_reaction"); n != 0 {
		t.Errorf("%d reactions", n)
	}
	if l := a.List(t, "i/notifications", m{"includeTypes": []string{"reaction"}, "limit": 100}); len(l) != 8 {
		t.Errorf("told of %d reactions", len(l))
	}
}

// Reactions of local accounts go to the author's server, and are taken back
// there.
func TestReactionsGoOut(t *testing.T) {
	t.Parallel()
	far := testsrv.NewRemote(t)
	s := testsrv.New(t)
	a, bob := s.User(t, "alice"), far.Actor("bob")
	uri := bob.Note("/notes/1", nil)["id"]
	id := testsrv.Dig(a.Post(t, "ap/show", m{"uri": uri}), "object", "id")
	sock := a.Stream(t)
	sock.Capture(id)
	sock.Send(m{"type": "connect", "body": m{"channel": "main", "id": "1", "pong": true}})
	sock.Next("connected", func(e m) bool { return e["type"] == "connected" })
	heard := func(typ, reaction string) {
		t.Helper()
		sock.Next(typ, func(e m) bool {
			return e["type"] == "noteUpdated" && testsrv.Dig(e, "body", "type") == typ && testsrv.Dig(e, "body", "body", "reaction") == reaction
		})
	}
	a.Post(t, "notes/reactions/create", m{"noteId": id, "reaction": "🍞"})
	like := far.Got(t, "Like")
	testsrv.Is(t, like, uri, "object")
	testsrv.Is(t, like, "🍞", "_misskey_reaction")
	heard("reacted", "🍞")
	a.Post(t, "notes/reactions/create", m{"noteId": id, "reaction": "🎉"})
	testsrv.Is(t, far.Got(t, "Undo"), like["id"], "object", "id")
	testsrv.Is(t, far.Got(t, "Like"), "🎉", "content")
	heard("unreacted", "🍞")
	heard("reacted", "🎉")
	a.Post(t, "notes/reactions/delete", m{"noteId": id})
	testsrv.Is(t, far.Got(t, "Undo"), "🎉", "object", "content")
	heard("unreacted", "🎉")
}
