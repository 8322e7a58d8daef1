package app_test

import (
	"context"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"buttersc.one/oven/internal/emoji"
	"buttersc.one/oven/internal/socket/doctor"
	"buttersc.one/oven/internal/testsrv"
)

type m = testsrv.M

func TestFacts(t *testing.T) {
	t.Parallel()
	s := testsrv.New(t)
	g := s.Guest()
	if p, ok := testsrv.Dig(g.Post(t, "ping", m{}), "pong").(float64); !ok || time.Since(time.UnixMilli(int64(p))) > time.Minute {
		t.Errorf("pong %v", p)
	}
	names, _ := g.Post(t, "endpoints", m{}).([]any)
	if len(names) < 50 {
		t.Errorf("%d endpoints", len(names))
	}
	testsrv.Is(t, g.Post(t, "endpoint", m{"endpoint": "notes/show"}), "noteId", "params", 0, "name")
	if g.Post(t, "endpoint", m{"endpoint": "nothing"}) != nil {
		t.Error("an endpoint that does not exist")
	}
	testsrv.Is(t, g.Post(t, "meta", m{}), s.Origin, "uri")
	testsrv.Is(t, g.Post(t, "meta", m{"detail": false}), nil, "features")
	if _, err := s.App.Emojis.Add(t.Context(), emoji.Emoji{Name: "bread", OriginalURL: s.Origin + "/files/x"}); err != nil {
		t.Fatal(err)
	}
	s.Settle(t)
	testsrv.Is(t, g.Post(t, "emojis", m{}), "bread", "emojis", 0, "name")
	testsrv.Is(t, g.Post(t, "emoji", m{"name": "bread"}), s.Origin+"/files/x", "url")
	g.Fails(t, "emoji", m{"name": "none"}, 404, "NO_SUCH_EMOJI")
	s.User(t, "alice").Note(t, m{"text": "x"})
	s.Settle(t)
	testsrv.Is(t, g.Post(t, "stats", m{}), 1, "originalNotesCount")
	testsrv.Is(t, g.Post(t, "stats", m{}), 1, "originalUsersCount")
}

// reset-db leaves a server as after its first start.
func TestReset(t *testing.T) {
	t.Parallel()
	s := testsrv.New(t)
	a := s.User(t, "alice")
	a.Note(t, m{"text": "x"})
	if _, err := s.App.Emojis.Add(t.Context(), emoji.Emoji{Name: "bread", OriginalURL: s.Origin + "/files/x"}); err != nil {
		t.Fatal(err)
	}
	s.Set(t, m{"name": "changed"})
	sock := a.Stream(t, "main")
	s.Guest().Post(t, "oven/clock", m{"offsetMs": 3_600_000})
	s.Guest().Post(t, "oven/jobs", m{"run": false})
	s.Guest().Post(t, "oven/jobs", m{"run": true})
	start := time.Now()
	s.Guest().Post(t, "reset-db", m{})
	t.Logf("took %s", time.Since(start)) // 2 s are promised; what a busy machine takes says nothing
	sock.Closed()
	for _, what := range []string{`"user" WHERE NOT is_system`, "note", "emoji", "notification", "meta WHERE settings ? 'name'", "drive_file", "poll", "access_token", "used_username"} {
		if n := s.Count(t, "SELECT count(*) FROM "+what); n != 0 {
			t.Errorf("%d rows are left in %s", n, what)
		}
	}
	if l, _ := testsrv.Dig(s.Guest().Post(t, "emojis", m{}), "emojis").([]any); len(l) != 0 {
		t.Errorf("emoji %v", l)
	}
	if name := testsrv.Dig(s.Guest().Post(t, "meta", m{}), "name"); name == "changed" {
		t.Error("settings are left")
	}
	a.Fails(t, "i", m{}, 401, "AUTHENTICATION_FAILED")
	b := s.User(t, "alice") // the name is free again
	testsrv.Is(t, b.Post(t, "i", m{}), true, "isAdmin")
	b.Note(t, m{"text": "y"})
	s.Settle(t)
	testsrv.Is(t, s.Guest().Post(t, "stats", m{}), 1, "notesCount")
	if l := s.Guest().List(t, "notes/local-timeline", m{}); len(l) != 1 {
		t.Errorf("%d notes", len(l))
	}
}

// What the server is at meanwhile has locks in every order.
func TestResetWhileBusy(t *testing.T) {
	t.Parallel()
	s := testsrv.New(t)
	tables := []string{"note", `"user"`, "role", "drive_file", "notification", "clip", "antenna", "following"}
	var wg sync.WaitGroup
	ctx, stop := context.WithCancel(t.Context())
	for i := range 3 {
		wg.Go(func() {
			for r := rand.New(rand.NewPCG(uint64(i), 1)); ctx.Err() == nil; { //nolint:gosec // no secret
				_ = pgx.BeginFunc(ctx, s.DB, func(tx pgx.Tx) error {
					for range 2 {
						if _, err := tx.Exec(ctx, "LOCK TABLE "+tables[r.IntN(len(tables))]+" IN ROW EXCLUSIVE MODE"); err != nil {
							return err
						}
						time.Sleep(5 * time.Millisecond)
					}
					return nil
				})
				time.Sleep(time.Duration(r.IntN(40)) * time.Millisecond)
			}
		})
	}
	for range 3 {
		s.User(t, "alice")
		s.Guest().Post(t, "reset-db", m{})
	}
	stop()
	wg.Wait()
	if n := s.Count(t, `SELECT count(*) FROM "user" WHERE NOT is_system`); n != 0 {
		t.Errorf("%d users are left", n)
	}
}

// Each way of losing a key of identity is found.
func TestIdentityCheck(t *testing.T) {
	t.Parallel()
	s := testsrv.New(t)
	find := func() map[string]string {
		t.Helper()
		list, err := doctor.CheckSchema(t.Context(), s.DB)
		if err != nil {
			t.Fatal(err)
		}
		out := map[string]string{}
		for _, f := range list {
			if f.Kind() == doctor.Identity {
				out[f.Where] = f.Code
			}
		}
		return out
	}
	if got := find(); len(got) != 0 {
		t.Fatalf("a fresh database: %v", got)
	}
	for _, sql := range []string{
		`ALTER TABLE "user" DROP CONSTRAINT user_uri_key`,
		`ALTER TABLE note DROP CONSTRAINT note_uri_key; CREATE INDEX note_uri_key ON note (uri)`,
		`ALTER TABLE following DROP CONSTRAINT following_pair_key; CREATE UNIQUE INDEX following_pair_key ON following (follower_id)`,
		`UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'user_username_lower_host_key'::regclass`,
	} {
		if _, err := s.DB.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	want := map[string]string{"user.user_uri_key": "index-missing", "note.note_uri_key": "index-not-unique",
		"following.following_pair_key": "index-differs", "user.user_username_lower_host_key": "index-invalid"}
	got := find()
	for where, code := range want {
		if got[where] != code {
			t.Errorf("%s: %q, want %s", where, got[where], code)
		}
	}
	if len(got) != len(want) {
		t.Errorf("found %v", got)
	}
}
