package doctor_test

import (
	"testing"

	"buttersc.one/oven/db"
	"buttersc.one/oven/internal/doctor"
	"buttersc.one/oven/internal/testsrv"
)

// The description of Oven's own database is the one that the migrations make:
// every unique index and foreign key is in it, and nothing else.
func TestOvenIsDescribed(t *testing.T) {
	t.Parallel()
	d := testsrv.Database(t)
	newest, err := db.Newest()
	if err != nil {
		t.Fatal(err)
	}
	r, err := doctor.Check(t.Context(), d, doctor.Options{Newest: newest})
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Findings) > 0 {
		t.Errorf("an empty database has findings:\n%s", lines(r))
	}
	for _, n := range r.Notes {
		if n.Where != "amcheck" && n.Where != "host" {
			t.Errorf("note %s: %s", n.Where, n.Says)
		}
	}
	conn, err := d.Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Release()
	covers(t, conn.Conn(), false)
}

// What people do leaves nothing to find.
func TestOvenInUseIsClean(t *testing.T) {
	t.Parallel()
	s := testsrv.New(t)
	alice, bob := s.User(t, "alice"), s.User(t, "bob")
	note := testsrv.Dig(alice.Post(t, "notes/create", testsrv.M{"text": "fresh bread", "poll": testsrv.M{"choices": []string{"rye", "oat"}}}), "createdNote", "id").(string)
	reply := testsrv.Dig(bob.Post(t, "notes/create", testsrv.M{"text": "@alice warm?", "replyId": note}), "createdNote", "id").(string)
	bob.Post(t, "notes/create", testsrv.M{"renoteId": note})
	bob.Post(t, "notes/reactions/create", testsrv.M{"noteId": note, "reaction": "👍"})
	bob.Post(t, "notes/polls/vote", testsrv.M{"noteId": note, "choice": 1})
	bob.Post(t, "following/create", testsrv.M{"userId": alice.ID})
	alice.Post(t, "following/create", testsrv.M{"userId": bob.ID})
	alice.Post(t, "blocking/create", testsrv.M{"userId": bob.ID})
	bob.Post(t, "notes/delete", testsrv.M{"noteId": reply})
	r, err := doctor.Check(t.Context(), s.DB, doctor.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Findings) > 0 {
		t.Errorf("findings:\n%s", lines(r))
	}
}
