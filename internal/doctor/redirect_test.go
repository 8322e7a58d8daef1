package doctor_test

import (
	"testing"

	"buttersc.one/oven/internal/doctor"
	"buttersc.one/oven/internal/testsrv"
)

// bakers are an account elsewhere that is there twice, and a note of it that is.
const bakers = `
ALTER TABLE "user" DROP CONSTRAINT user_username_lower_host_key, DROP CONSTRAINT user_uri_key; ALTER TABLE note DROP CONSTRAINT note_uri_key;
INSERT INTO "user" (id, username, username_lower, host, actor_host, uri, last_fetched_at)
SELECT 'abaker000000000' || n, 'baker', 'baker', 'wide.example', 'wide.example', 'https://wide.example/baker', now() FROM generate_series(1, 2) n;
INSERT INTO user_profile (user_id) SELECT id FROM "user" WHERE host = 'wide.example';
INSERT INTO user_stat (user_id) SELECT id FROM "user" WHERE host = 'wide.example';
INSERT INTO user_publickey (key_id, user_id, pem) SELECT 'key of ' || id, id, 'x' FROM "user" WHERE host = 'wide.example';
INSERT INTO note (id, user_id, user_host, text, visibility, uri) SELECT 'arye00000000000' || n, 'abaker000000000' || n, 'wide.example', 'rye', CASE n WHEN 1 THEN 'public' ELSE 'followers' END, 'https://wide.example/rye' FROM generate_series(1, 2) n;
INSERT INTO note_stat (note_id) SELECT id FROM note WHERE user_host = 'wide.example'`

// Who remembers the id of a row that has become part of another is shown the other,
// if it may be seen.
func TestOldIDsLeadOn(t *testing.T) {
	t.Parallel()
	srv := testsrv.New(t)
	reader := srv.User(t, "reader")
	conn := connect(t, srv.DB.Config().ConnString())
	exec1(t, conn, bakers)
	exec1(t, conn, `INSERT INTO search_node (name, driver) VALUES ('elsewhere', 'textindex')`)
	p := plan(t, conn, doctor.Options{})
	done, err := doctor.Apply(t.Context(), conn, doctor.Options{}, p, nil)
	if err != nil || len(done.Failed) > 0 {
		t.Fatalf("%v, %+v", err, done)
	}
	if got := one(t, conn, `SELECT wanted FROM search_node WHERE name = 'elsewhere'`); got != "reindex" {
		t.Errorf("the search index is asked for %q", got)
	}
	for _, old := range []string{"abaker0000000001", "abaker0000000002"} {
		got := srv.Guest().Post(t, "users/show", testsrv.M{"userId": old})
		if testsrv.Dig(got, "username") != "baker" || testsrv.Dig(got, "id") != one(t, conn, `SELECT id FROM "user" WHERE host = 'wide.example'`) {
			t.Errorf("%s leads to %v", old, got)
		}
	}
	// The narrower of the two is what is left: for followers.
	text := func(id string) any { return testsrv.Dig(reader.Post(t, "notes/show", testsrv.M{"noteId": id}), "text") }
	for _, old := range []string{"arye000000000001", "arye000000000002"} {
		if got := text(old); got == "rye" {
			t.Errorf("%s is shown to one who does not follow", old)
		}
	}
	exec1(t, conn, `INSERT INTO following (id, follower_id, followee_id, followee_host) SELECT 'follows', $1, id, host FROM "user" WHERE host = 'wide.example'`, reader.ID)
	reader.Post(t, "i", nil)
	for _, old := range []string{"arye000000000001", "arye000000000002"} {
		if got := text(old); got != "rye" {
			t.Errorf("%s leads to %v", old, got)
		}
	}
	if undone, err := doctor.Undo(t.Context(), conn, doctor.Options{}, done.Run); err != nil {
		t.Fatal(err, undone)
	}
	if n := one(t, conn, `SELECT count(*) FROM redirect`); n != "0" {
		t.Errorf("%s redirects are left", n)
	}
}
