package reaction_test

import (
	"testing"

	"buttersc.one/oven/internal/testsrv"
)

func TestReactionsOfUser(t *testing.T) {
	t.Parallel()
	s := testsrv.New(t)
	a, b, g := s.User(t, "alice"), s.User(t, "bora"), s.Guest()
	open := a.Note(t, m{"text": "open"})
	secret := a.Note(t, m{"text": "secret", "visibility": "followers"})
	b.Post(t, "following/create", m{"userId": a.ID})
	for _, n := range []string{open, secret} {
		b.Post(t, "notes/reactions/create", m{"noteId": n, "reaction": "🍞"})
	}
	list := g.List(t, "users/reactions", m{"userId": b.ID})
	if len(list) != 1 || testsrv.Dig(list[0], "note", "id") != open || list[0]["type"] != "🍞" || testsrv.Dig(list[0], "user", "id") != b.ID {
		t.Errorf("to a guest: %v", list)
	}
	if l := a.List(t, "users/reactions", m{"userId": b.ID, "limit": 1}); len(l) != 1 || testsrv.Dig(l[0], "note", "id") != secret {
		t.Errorf("to the author: %v", l)
	}
	b.Post(t, "i/update", m{"publicReactions": false})
	a.Fails(t, "users/reactions", m{"userId": b.ID}, 400, "REACTIONS_NOT_PUBLIC")
	if l := b.List(t, "users/reactions", m{"userId": b.ID}); len(l) != 2 {
		t.Errorf("to himself: %v", l)
	}
	far := g.Post(t, "signup", m{"username": "far", "password": "x", "host": "far.example"})
	a.Fails(t, "users/reactions", m{"userId": testsrv.Dig(far, "id")}, 400, "IS_REMOTE_USER")
	a.Fails(t, "users/reactions", m{"userId": open}, 400, "REACTIONS_NOT_PUBLIC")
}
