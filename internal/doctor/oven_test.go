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
	r, err := doctor.Check(t.Context(), d, doctor.Options{Newest: db.Newest()})
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

// Columns, and indexes that only make it fast, are compared with what the
// migrations make, too.
func TestOvenColumnsAndPlainIndexes(t *testing.T) {
	t.Parallel()
	d := testsrv.Database(t)
	for _, sql := range []string{
		`DROP INDEX abuse_report_open_idx`,
		`ALTER TABLE note_stat ALTER COLUMN replies_count DROP NOT NULL`,
		`ALTER TABLE note ADD COLUMN of_a_fork int`, // nobody's fault
	} {
		if _, err := d.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	r, err := doctor.Check(t.Context(), d, doctor.Options{Newest: db.Newest()})
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]bool{}
	for _, f := range r.Findings {
		found[f.Code+" "+f.Where] = f.Repair != ""
	}
	if len(found) != 2 || !found["index-missing abuse_report.abuse_report_open_idx"] || !found["column-null note_stat.replies_count"] {
		t.Errorf("found:\n%s", lines(r))
	}
}

// What people do leaves nothing to find: here, from elsewhere, and when they leave.
func TestOvenInUseIsClean(t *testing.T) {
	t.Parallel()
	far := testsrv.NewRemote(t)
	s := testsrv.New(t)
	alice, bob, dora, carol := s.User(t, "alice"), s.User(t, "bob"), s.User(t, "dora"), far.Actor("carol")
	write := func(u *testsrv.User, params testsrv.M) string {
		t.Helper()
		return testsrv.Dig(u.Post(t, "notes/create", params), "createdNote", "id").(string)
	}
	note := write(alice, testsrv.M{"text": "fresh bread", "poll": testsrv.M{"choices": []string{"rye", "oat"}}})
	reply := write(bob, testsrv.M{"text": "@alice warm?", "replyId": note})
	for i, u := range []*testsrv.User{bob, dora} {
		write(u, testsrv.M{"renoteId": note})
		write(u, testsrv.M{"text": "still?", "replyId": note})
		u.Post(t, "notes/reactions/create", testsrv.M{"noteId": note, "reaction": "👍"})
		u.Post(t, "notes/polls/vote", testsrv.M{"noteId": note, "choice": i})
		u.Post(t, "following/create", testsrv.M{"userId": alice.ID})
		alice.Post(t, "following/create", testsrv.M{"userId": u.ID})
	}
	carol.Tell(t, s, testsrv.M{"type": "Follow", "id": far.Origin + "/follows/1", "object": alice.URI()})
	carol.Tell(t, s, testsrv.M{"type": "Like", "id": far.Origin + "/likes/1", "object": s.Origin + "/notes/" + note})
	carol.Tell(t, s, testsrv.M{"type": "Create", "object": carol.Note("/notes/1", testsrv.M{"content": "hello", "inReplyTo": s.Origin + "/notes/" + note})})
	alice.Post(t, "blocking/create", testsrv.M{"userId": bob.ID})
	bob.Post(t, "notes/delete", testsrv.M{"noteId": reply})
	clean := func(when, want string) {
		t.Helper()
		s.Settle(t)
		r, err := doctor.Check(t.Context(), s.DB, doctor.Options{})
		if err != nil {
			t.Fatal(err)
		}
		expect(t, when, r, want)
	}
	if n := s.Count(t, `SELECT count(*) FROM "user" WHERE host IS NOT NULL`); n != 1 {
		t.Fatalf("%d accounts from elsewhere", n)
	}
	clean("in use", "")
	dora.Post(t, "i/delete-account", testsrv.M{"password": "password"})
	s.Settle(t)
	// Votes and reactions of who has left stay counted, as Misskey has it.
	clean("after somebody left", "counter-differs note_stat.reactions,counter-differs poll.votes")
}
