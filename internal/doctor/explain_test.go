package doctor_test

import (
	"context"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"buttersc.one/oven/internal/doctor"
	mech "buttersc.one/oven/internal/socket/doctor"
	"buttersc.one/oven/internal/testsrv"
)

// explained compares what is said of a database, as "mechanism where confidence",
// and that all of it has grounds.
func explained(t *testing.T, name string, src mech.Source, misskey bool, want ...string) {
	t.Helper()
	list, err := doctor.Explain(t.Context(), src, doctor.Options{Misskey: misskey})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, a := range list {
		got = append(got, a.Mechanism+" "+a.Where+" "+a.Confidence)
		if len(a.Evidence) == 0 || a.Count == 0 || a.Confidence != "certain" && a.Settle == "" {
			t.Errorf("%s: no grounds: %+v", name, a)
		}
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("%s:\n got %q\nwant %q\n%+v", name, got, want, list)
	}
}

// A cause, and how the doctor explains what it left.
type cause struct {
	name, sql string
	want      []string
}

func TestExplainMisskey(t *testing.T) {
	t.Parallel()
	dsn := cleanMisskey(t)
	if dsn == "" {
		return
	}
	conn := connect(t, dsn)
	const old, lost = "restore-went-on user.usernameLower,host medium", "index-left-out user.usernameLower,host low"
	// What is made now is younger than the database, which was restored before.
	now := strconv.FormatInt(time.Now().Add(time.Hour).UnixMilli()-time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC).UnixMilli(), 36) + "sf2t9999"
	drop := `DROP INDEX ` + nameIndex + `; `
	for _, c := range []cause{
		{"nothing", `SELECT 1`, nil},
		{"two at a time", drop + twin(sencha, "atv8t94esf2t9999"), []string{old, "race user.usernameLower,host high", "race user.uri medium"}},
		{"looked up again", drop + twin(sencha, now), []string{lost, "looked-up-again user.usernameLower,host medium", "looked-up-again user.uri medium"}},
		{"a handle of another domain", drop + twin(sencha, now) + `; UPDATE user_profile SET url = 'https://www.fedi.test/@sencha' WHERE "userId" = '` + now + `'`,
			[]string{lost, "split-domain user.usernameLower,host high", "split-domain user.uri high"}},
		{"a name used again", drop + twin(sencha, now, "uri", "uri || '/2'"), []string{lost, "rebirth user.usernameLower,host medium"}},
		{"two sign-ups", twin(haru, "atv8sb9qsf2t9999"), []string{"null-host user.usernameLower,host certain"}},
		{"an index that hides rows", lying(nameIndex, twin(sencha, now, "uri", "uri || '/2'")), []string{"index-lied user.usernameLower,host medium"}},
		{"looked into", `CREATE EXTENSION amcheck; ` + lying(nameIndex, twin(sencha, now, "uri", "uri || '/2'")),
			[]string{"index-lied user.IDX_5deb01ae162d1d70b80d064c27 certain", "index-lied user.usernameLower,host medium"}},
		{"another order of texts", `CREATE INDEX by_name ON "user" ("usernameLower" COLLATE "und-x-icu"); UPDATE pg_collation SET collversion = '1.0' WHERE collname = 'und-x-icu'; ` + lying(nameIndex, twin(sencha, now, "uri", "uri || '/2'")),
			[]string{"collation-changed pg_collation.und-x-icu certain", "collation-changed user.usernameLower,host high"}},
		{"before migrations", `DELETE FROM migrations WHERE name = 'Init1000000000000'; ` + drop + `CREATE INDEX sync ON "user" ("usernameLower", host)`, []string{"before-migrations user.usernameLower,host high"}},
		{"one uri for two names", twin(sencha, now, "host", "'other.example'"), []string{"moved-host user.uri medium"}},
		{"a row loaded twice", `ALTER TABLE clip_note DROP CONSTRAINT "PK_e94cda2f40a99b57e032a1a738b"; DROP INDEX "IDX_6fc0ec357d55a18646262fdfff"; INSERT INTO clip_note SELECT * FROM clip_note ORDER BY id LIMIT 1`,
			[]string{"restore-went-on clip_note.id medium", "restore-went-on clip_note.noteId,clipId medium", "loaded-twice clip_note.id high", "loaded-twice clip_note.noteId,clipId high"}},
		{"done again", `DROP INDEX "IDX_6fc0ec357d55a18646262fdfff"; INSERT INTO clip_note SELECT '` + now + `', "noteId", "clipId" FROM clip_note ORDER BY id LIMIT 1`,
			[]string{"index-left-out clip_note.noteId,clipId low", "done-again clip_note.noteId,clipId medium"}},
	} {
		because(t, conn, c, true)
	}
}

func TestExplainOven(t *testing.T) {
	t.Parallel()
	pool, err := testsrv.Database(t).Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Release()
	exec1(t, pool.Conn(), people)
	const drop = `ALTER TABLE "user" DROP CONSTRAINT user_username_lower_host_key; `
	for _, c := range []cause{
		{"nothing", `SELECT 1`, nil},
		{"dropped", drop, []string{"dropped user.username_lower,host medium"}},
		{"another key", drop + `CREATE UNIQUE INDEX user_username_lower_host_key ON "user" (username_lower, host); INSERT INTO "user" (id, username, username_lower) VALUES ('alice2', 'alice', 'alice')`,
			[]string{"made-otherwise user.username_lower,host medium", "null-host user.username_lower,host certain"}},
		{"never finished", `UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'user_uri_key'::regclass`, []string{"build-failed user.uri certain"}},
		{"a foreign key", `ALTER TABLE note DROP CONSTRAINT note_user_id_fkey`, []string{"dropped note.user_id low"}},
	} {
		because(t, pool.Conn(), c, false)
	}
}

func because(t *testing.T, conn *pgx.Conn, c cause, misskey bool) {
	t.Helper()
	tx, err := conn.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback(context.Background()) }()
	if _, err := tx.Exec(t.Context(), c.sql); err != nil {
		t.Errorf("%s: %v", c.name, err)
		return
	}
	explained(t, c.name, planted{tx}, misskey, c.want...)
}
