package doctor_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"buttersc.one/oven/internal/doctor"
	mech "buttersc.one/oven/internal/socket/doctor"
)

const (
	twinOfSencha = "atv8t94dsf2t9991"
	oolong       = "atv8t9jlsf2t00um"
	chai         = "atv8t9ktsf2t00up"
)

// dirt is what duplicates look like when they have lived for a while: both rows of an
// account are followed, write, react, are blocked and mentioned.
func dirt() string {
	return `
DROP INDEX ` + nameIndex + `; DROP INDEX ` + noteIndex + `;
DROP INDEX "IDX_307be5f1d1252e0388662acb96"; DROP INDEX "IDX_ad0c221b25672daf2df320a817"; DROP INDEX "IDX_4f4d35e1256c84ae3d1f0eab10"; DROP INDEX "IDX_8d5afc98982185799b160e10eb";
` + twin(sencha, twinOfSencha, `"isSuspended"`, "true", `"lastFetchedAt"`, "now()", "name", "'sencha, newer'") + `;
` + twin(oolong, "atv8t9jlsf2t9992", "uri", "uri || '/new'") + `;
` + twin(chai, "atv8t9ktsf2t9993", "uri", "uri || '/new'") + `; UPDATE user_publickey SET "keyPem" = 'another' WHERE "userId" = 'atv8t9ktsf2t9993';
` + twin(haru, "atv8sb9psf2t9994") + `;
UPDATE note SET "userId" = '` + twinOfSencha + `' WHERE id IN (SELECT id FROM note WHERE "userId" = '` + sencha + `' ORDER BY id DESC LIMIT 5);
UPDATE note SET "replyUserId" = '` + twinOfSencha + `' WHERE id IN (SELECT id FROM note WHERE "replyUserId" = '` + sencha + `' ORDER BY id DESC LIMIT 3);
UPDATE note SET mentions = mentions || ARRAY['` + twinOfSencha + `', '` + sencha + `'] WHERE id = 'atv8zrbysf2t05vk';
INSERT INTO following (id, "followerId", "followeeId", "followeeHost", notify) SELECT 'zz' || substr(id, 3), "followerId", '` + twinOfSencha + `', "followeeHost", 'normal' FROM following WHERE "followeeId" = '` + sencha + `' LIMIT 4;
INSERT INTO following (id, "followerId", "followeeId", "followerHost", "followeeHost") VALUES ('zzself', '` + twinOfSencha + `', '` + sencha + `', '` + teahouse + `', '` + teahouse + `');
INSERT INTO follow_request (id, "followerId", "followeeId") SELECT 'zz' || substr(id, 3), "followerId", '` + twinOfSencha + `' FROM following WHERE "followeeId" = '` + sencha + `' ORDER BY id LIMIT 1;
INSERT INTO note_reaction (id, "userId", "noteId", reaction) SELECT 'zz' || substr(id, 3), '` + twinOfSencha + `', "noteId", reaction FROM note_reaction WHERE "userId" = '` + sencha + `' LIMIT 3;
UPDATE note n SET reactions = (SELECT jsonb_object_agg(reaction, c) FROM (SELECT reaction, count(*) AS c FROM note_reaction WHERE "noteId" = n.id GROUP BY 1) x) WHERE id IN (SELECT "noteId" FROM note_reaction WHERE "userId" = '` + twinOfSencha + `');
INSERT INTO muting (id, "muterId", "muteeId", "expiresAt") VALUES ('zzm1', '` + haru + `', '` + sencha + `', now() + interval '1 day'), ('zzm2', '` + haru + `', '` + twinOfSencha + `', NULL) ON CONFLICT DO NOTHING;
INSERT INTO blocking (id, "blockerId", "blockeeId") SELECT 'zzb1', "followerId", '` + twinOfSencha + `' FROM following WHERE "followeeId" = '` + sencha + `' AND "followerHost" IS NULL ORDER BY id DESC LIMIT 1;
CREATE TEMP TABLE n AS SELECT * FROM note WHERE uri IS NOT NULL AND "replyId" IS NULL AND "renoteId" IS NULL AND NOT "hasPoll" AND visibility = 'public' AND "userId" = '` + sencha + `' ORDER BY id LIMIT 1;
UPDATE n SET id = 'zznote', visibility = 'followers', reactions = '{}', "userId" = '` + twinOfSencha + `'; INSERT INTO note SELECT * FROM n;
INSERT INTO note_favorite (id, "userId", "noteId") VALUES ('zzf', '` + haru + `', 'zznote');
INSERT INTO following (id, "followerId", "followeeId", "withReplies") SELECT 'zy' || substr(id, 3), "followerId", "followeeId", true FROM following WHERE "followerHost" IS NULL AND "followeeHost" IS NULL ORDER BY id LIMIT 2;
INSERT INTO instance (id, host, "firstRetrievedAt", "isSilenced", "usersCount", "notesCount") SELECT 'zzi', host, now(), true, 0, 0 FROM instance WHERE host = '` + teahouse + `';
INSERT INTO emoji (id, name, host, "originalUrl", aliases) SELECT 'zze', name, host, "originalUrl", '{other}' FROM emoji WHERE host IS NOT NULL ORDER BY id LIMIT 1;
DROP TABLE n`
}

// dirty is database A with all of that in it.
func dirty(t *testing.T) (conn *pgx.Conn, dsn string) {
	t.Helper()
	if dsn = cleanMisskey(t); dsn == "" {
		return nil, ""
	}
	conn = connect(t, dsn)
	exec1(t, conn, dirt())
	return conn, dsn
}

// plan makes a plan, twice, since it has to be the same.
func plan(t *testing.T, conn *pgx.Conn, o doctor.Options) *mech.Plan {
	t.Helper()
	p, err := doctor.Plan(t.Context(), conn, o, nil)
	if err != nil {
		t.Fatal(err)
	}
	again, err := doctor.Plan(t.Context(), conn, o, nil)
	if err != nil || again.Hash != p.Hash {
		a, _ := json.MarshalIndent(p, "", " ")
		b, _ := json.MarshalIndent(again, "", " ")
		t.Fatalf("two plans of one database differ: %v\n%s\n%s", err, a, b)
	}
	return p
}

// tables is a hash of every table's rows.
func tables(t *testing.T, conn *pgx.Conn) map[string]string {
	t.Helper()
	rows, err := conn.Query(t.Context(), `SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' ORDER BY 1`)
	if err != nil {
		t.Fatal(err)
	}
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	for _, n := range names {
		q := pgx.Identifier{n}.Sanitize()
		if err := conn.QueryRow(t.Context(), fmt.Sprintf(`SELECT count(*) || ' ' || coalesce(md5(string_agg(t::text, E'\n' ORDER BY t::text)), '') FROM %s t`, q)).Scan(ref(out, n)); err != nil {
			t.Fatal(err)
		}
	}
	return out
}

type into struct {
	m   map[string]string
	key string
}

func ref(m map[string]string, key string) *into { return &into{m, key} }

// Scan implements sql.Scanner.
func (i *into) Scan(v any) error { i.m[i.key] = fmt.Sprint(v); return nil }

func one(t *testing.T, conn *pgx.Conn, sql string) string {
	t.Helper()
	var s string
	if err := conn.QueryRow(t.Context(), `SELECT coalesce((`+sql+`)::text, 'NULL')`).Scan(&s); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return s
}

// A Misskey database full of duplicates: what can be is merged by the rules, what
// cannot waits for a person, nothing is lost, and all of it can be undone.
func TestRepairMisskey(t *testing.T) {
	t.Parallel()
	conn, _ := dirty(t)
	if conn == nil {
		return
	}
	o := doctor.Options{Misskey: true}
	before := tables(t, conn)
	notes, files := one(t, conn, `SELECT count(*) FROM note`), one(t, conn, `SELECT count(*) FROM drive_file`)
	p := plan(t, conn, o)
	b, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	if read, err := mech.ReadPlan(b); err != nil || read.Hash != p.Hash {
		t.Fatalf("the plan cannot be read back: %v", err)
	}
	if _, err := mech.ReadPlan([]byte(strings.Replace(string(b), sencha, chai, 1))); err == nil {
		t.Error("a plan that was changed is taken")
	}
	var waiting []string
	for _, g := range p.Groups {
		if g.Undecided != "" {
			waiting = append(waiting, g.IDs[0])
		}
	}
	if slices.Sort(waiting); !slices.Equal(waiting, []string{haru, chai}) {
		t.Errorf("what waits for a person: %v\n%s", waiting, b)
	}
	done, err := doctor.Apply(t.Context(), conn, o, p, nil)
	if err != nil || len(done.Failed) > 0 {
		t.Fatalf("apply: %v, %+v", err, done)
	}
	for sql, want := range map[string]string{
		`SELECT count(*) FROM "user" WHERE "usernameLower" IN ('sencha', 'oolong') AND host = '` + teahouse + `'`:                                                "2",
		`SELECT "isSuspended" FROM "user" WHERE id = '` + sencha + `'`:                                                                                           "true",
		`SELECT name FROM "user" WHERE id = '` + sencha + `'`:                                                                                                    "sencha, newer",
		`SELECT count(*) FROM note WHERE '` + twinOfSencha + `' IN ("userId", "replyUserId", "renoteUserId")`:                                                    "0",
		`SELECT mentions::text FROM note WHERE id = 'atv8zrbysf2t05vk'`:                                                                                          "{" + sencha + "}",
		`SELECT count(*) FROM following WHERE "followerId" = "followeeId"`:                                                                                       "0",
		`SELECT count(*) FROM follow_request r WHERE EXISTS (SELECT FROM following f WHERE f."followerId" = r."followerId" AND f."followeeId" = r."followeeId")`: "0",
		`SELECT count(*) FROM following f JOIN blocking b ON b."blockerId" = f."followerId" AND b."blockeeId" = f."followeeId" WHERE b.id = 'zzb1'`:              "0",
		`SELECT count(*) FROM (SELECT FROM following GROUP BY "followerId", "followeeId" HAVING count(*) > 1) x`:                                                 "0",
		`SELECT bool_or(notify = 'normal') FROM following WHERE "followeeId" = '` + sencha + `'`:                                                                 "true",
		`SELECT "expiresAt" FROM muting WHERE "muterId" = '` + haru + `' AND "muteeId" = '` + sencha + `'`:                                                       "NULL",
		`SELECT visibility FROM note WHERE uri = (SELECT (old::note).uri FROM doctor_archive.image WHERE key ->> 'id' = 'zznote' AND op = 'delete')`:             "followers",
		`SELECT count(*) FROM note_favorite WHERE id = 'zzf' AND "noteId" <> 'zznote'`:                                                                           "1",
		`SELECT count(*) FROM instance WHERE host = '` + teahouse + `' AND "isSilenced"`:                                                                         "1",
		`SELECT count(*) FROM emoji WHERE 'other' = ANY(aliases)`:                                                                                                "1",
		`SELECT count(*) FROM note`:       itoa(atoi(notes) - 1),
		`SELECT count(*) FROM drive_file`: files,
		`SELECT bool_and((SELECT coalesce(sum(v::int), 0) FROM jsonb_each_text(n.reactions) e(k, v)) = (SELECT count(*) FROM note_reaction r WHERE r."noteId" = n.id)) FROM note n WHERE "userHost" IS NULL AND id <> 'atv8zrbysf2t05vk'`: "true",
		`SELECT indisunique AND indisvalid FROM pg_index WHERE indexrelid = '` + noteIndex + `'::regclass`:                                                                                                                                "true",
		`SELECT count(*) FROM pg_trigger WHERE tgname LIKE 'oven_doctor%'`:                                                                                                                                                                "0",
		`SELECT count(*) FROM pg_class WHERE relname LIKE 'oven_doctor%'`:                                                                                                                                                                 "0",
	} {
		if got := one(t, conn, sql); got != want {
			t.Errorf("%s\n is %s, not %s", sql, got, want)
		}
	}
	found, err := doctor.Verify(t.Context(), conn, o, done.Run)
	if err != nil || len(found) > 0 {
		t.Errorf("verify: %v, %+v", err, found)
	}
	// The keys whose groups wait are all that is left.
	if left := codes(check(t, conn, true)); !slices.Equal(left, []string{nameTwice, nameLost}) {
		t.Errorf("left: %q", left)
	}
	if _, err := doctor.Apply(t.Context(), conn, o, p, nil); !errors.Is(err, mech.ErrStale) {
		t.Errorf("the same plan again: %v", err)
	}
	undone, err := doctor.Undo(t.Context(), conn, o, done.Run)
	if err != nil || undone.Kept > 0 {
		t.Fatalf("undo: %v, %+v", err, undone)
	}
	for name, hash := range tables(t, conn) {
		if before[name] != hash {
			t.Errorf("after undoing, table %s is %s, and was %s", name, hash, before[name])
		}
	}
}

// What nobody but a person may merge is merged as he says.
func TestRepairDecided(t *testing.T) {
	t.Parallel()
	conn, _ := dirty(t)
	if conn == nil {
		return
	}
	o := doctor.Options{Misskey: true}
	for _, g := range plan(t, conn, o).Groups {
		if g.Undecided == "" {
			continue
		}
		survivor := g.IDs[0]
		if slices.Contains(g.IDs, chai) {
			survivor = "atv8t9ktsf2t9993"
		}
		if err := mech.Decide(t.Context(), conn, g.ID, survivor); err != nil {
			t.Fatal(err)
		}
	}
	p := plan(t, conn, o)
	if n := p.Undecided(); n > 0 {
		t.Fatalf("%d groups wait though all are decided", n)
	}
	done, err := doctor.Apply(t.Context(), conn, o, p, nil)
	if err != nil || len(done.Failed) > 0 {
		t.Fatalf("apply: %v, %+v", err, done)
	}
	if found, err := doctor.Verify(t.Context(), conn, o, done.Run); err != nil || len(found) > 0 {
		t.Errorf("verify: %v, %+v", err, found)
	}
	if left := codes(check(t, conn, true)); len(left) > 0 {
		t.Errorf("left: %q", left)
	}
	if got := one(t, conn, `SELECT string_agg(id, ' ') FROM "user" WHERE "usernameLower" = 'chai'`); got != "atv8t9ktsf2t9993" {
		t.Errorf("of chai there is %s", got)
	}
	account, err := mech.Tell(t.Context(), conn, done.Run)
	if err != nil || !account.Chained || account.Groups != len(p.Groups) || account.State != "done" {
		t.Errorf("report: %v, %+v", err, account)
	}
	exec1(t, conn, `UPDATE doctor_archive.audit SET what = 'nothing' WHERE n = 1`)
	if account, err := mech.Tell(t.Context(), conn, done.Run); err != nil || account.Chained {
		t.Error("a line of the audit was changed, and it is told to be whole")
	}
}
