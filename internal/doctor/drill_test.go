package doctor_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"

	"buttersc.one/oven/db"
	"buttersc.one/oven/internal/doctor"
	"buttersc.one/oven/internal/lib/pgserver/pgtest"
	mech "buttersc.one/oven/internal/socket/doctor"
	"buttersc.one/oven/internal/testsrv"
)

// The drill: every way known in which a server's database goes wrong is done to
// a database that is clean, and the doctor must find it, and nothing besides.

// planted is a transaction in which something was done; what the doctor begins are
// savepoints of it, and all of it is undone.
type planted struct{ tx pgx.Tx }

func (p planted) BeginTx(ctx context.Context, _ pgx.TxOptions) (pgx.Tx, error) {
	return p.tx.Begin(ctx)
}

// fault is a statement list and what it must lead to.
type fault struct {
	name string
	sql  string
	want string // "code where" of each finding, comma-separated
}

// cleanMisskey is Misskey's database A without what Misskey itself left wrong.
func cleanMisskey(t *testing.T) string {
	t.Helper()
	path := sharedData(t, "misskey-2024.10-a.dump")
	if path == "" {
		t.Log("shared/data/misskey-2024.10-a.dump is missing: the drill on Misskey's schema was not run")
		return ""
	}
	return pgtest.Template(t, "clean 1 "+path, func(dsn string) error {
		if err := restore(dsn, path, "--no-owner", "--no-privileges", "--exit-on-error"); err != nil {
			return err
		}
		conn, err := pgx.Connect(context.Background(), dsn)
		if err != nil {
			return err
		}
		defer func() { _ = conn.Close(context.Background()) }()
		_, err = conn.Exec(context.Background(), `
UPDATE "user" u SET "notesCount" = (SELECT count(*) FROM note WHERE "userId" = u.id),
	"followersCount" = (SELECT count(*) FROM following WHERE "followeeId" = u.id), "followingCount" = (SELECT count(*) FROM following WHERE "followerId" = u.id) WHERE host IS NULL;
UPDATE instance i SET "usersCount" = (SELECT count(*) FROM "user" WHERE host = i.host), "notesCount" = (SELECT count(*) FROM note WHERE "userHost" = i.host),
	"followingCount" = (SELECT count(*) FROM following WHERE "followerHost" = i.host), "followersCount" = (SELECT count(*) FROM following WHERE "followeeHost" = i.host);
UPDATE note SET "renoteCount" = 0 WHERE id = 'atv8zrbysf2t05vk';
UPDATE note SET "fileIds" = '{atv8ss2tsf2t005z}' WHERE id = 'atv8zr30sf2t05ve'`)
		return err
	})
}

// A remote and a local account and a remote note of database A.
const (
	sencha   = "atv8t94dsf2t00uj"
	haru     = "atv8sb9psf2t0005"
	teahouse = "teahouse.fedi.test"
)

// twin makes a second row of an account, with profile and key of its own. Its
// columns may be changed by the expressions given.
func twin(of, id string, change ...string) string {
	set := map[string]string{"id": "'" + id + "'", "token": "NULL", `"avatarId"`: "NULL", `"bannerId"`: "NULL", `"notesCount"`: "0", `"followersCount"`: "0", `"followingCount"`: "0"}
	for i := 0; i < len(change); i += 2 {
		set[change[i]] = change[i+1]
	}
	return fmt.Sprintf(`
CREATE TEMP TABLE twin ON COMMIT DROP AS SELECT * FROM "user" WHERE id = '%[1]s';
UPDATE twin SET %[3]s;
INSERT INTO "user" SELECT * FROM twin; DROP TABLE twin;
INSERT INTO user_profile ("userId", "userHost", "loggedInDates") SELECT '%[2]s', "userHost", '{}' FROM user_profile WHERE "userId" = '%[1]s';
INSERT INTO user_publickey ("userId", "keyId", "keyPem") SELECT '%[2]s', "keyId" || '%[2]s', "keyPem" FROM user_publickey WHERE "userId" = '%[1]s';
INSERT INTO user_keypair SELECT '%[2]s', "publicKey", "privateKey" FROM user_keypair WHERE "userId" = '%[1]s';
UPDATE instance SET "usersCount" = "usersCount" + 1 WHERE host = (SELECT host FROM "user" WHERE id = '%[2]s')`, of, id, assignments(set))
}

func assignments(set map[string]string) string {
	var out []string
	for k, v := range set {
		out = append(out, k+" = "+v)
	}
	slices.Sort(out)
	return strings.Join(out, ", ")
}

const (
	nameIndex = `"IDX_5deb01ae162d1d70b80d064c27"` // unique (usernameLower, host)
	noteIndex = `"IDX_153536c67d05e9adb24e99fc2b"` // unique (uri)
	nameLost  = "index-missing user.usernameLower,host"
	nameTwice = "duplicate user.usernameLower,host"
	uriTwice  = "duplicate user.uri"
)

// lying makes an index that says it is whole and does not have the rows that were
// written meanwhile: what a crash, a change of collation or a bug leaves.
func lying(index, meanwhile string) string {
	return fmt.Sprintf(`UPDATE pg_index SET indisready = false, indisvalid = false WHERE indexrelid = '%[1]s'::regclass; %[2]s;
UPDATE pg_index SET indisready = true, indisvalid = true WHERE indexrelid = '%[1]s'::regclass`, index, meanwhile)
}

func misskeyFaults() []fault {
	other := twin(sencha, "atv8t94dsf2t9999", "uri", `uri || '/reborn'`)
	return []fault{
		{"nothing", `SELECT 1`, ""},
		{"an index dropped by hand", `DROP INDEX ` + nameIndex, nameLost},
		{"an index that only makes it fast dropped", `DROP INDEX "IDX_5b87d9d19127bd5d92026017a7", "IDX_NOTE_MENTIONS"`, "index-slow note.userId,index-slow note.mentions"},
		{"and an account that came back under another uri", `DROP INDEX ` + nameIndex + `; ` + other, nameLost + "," + nameTwice},
		{"a name without a host, twice: the index lets it in", twin(haru, "atv8sb9psf2t9999"), nameTwice},
		{"one uri stamped on two rows", twin(sencha, "atv8t94dsf2t9999", `"usernameLower"`, `'sencha2'`, "username", `'sencha2'`), uriTwice},
		{"an index that hides rows", lying(nameIndex, other), nameTwice},
		{"an index that hides rows, looked into", `CREATE EXTENSION amcheck; ` + lying(nameIndex, other), "index-corrupt user.IDX_5deb01ae162d1d70b80d064c27," + nameTwice},
		{"an order of texts that changed", `CREATE INDEX by_name ON "user" ("usernameLower" COLLATE "und-x-icu"); UPDATE pg_collation SET collversion = '1.0' WHERE collname = 'und-x-icu'; ` + lying(nameIndex, other),
			"collation-changed pg_collation.und-x-icu," + nameTwice},
		{"a schema made before there were migrations", `DELETE FROM migrations WHERE name = 'Init1000000000000'; DROP INDEX ` + nameIndex + `; CREATE INDEX "IDX_sync" ON "user" ("usernameLower", host)`,
			"index-differs user.usernameLower,host,migration-missing migrations.name"},
		{"no list of migrations", `DROP TABLE migrations`, "migration-missing migrations.name"},
		{"a migration listed twice", `INSERT INTO migrations ("timestamp", name) SELECT "timestamp", name FROM migrations WHERE name = 'Init1000000000000'`, "migration-twice migrations.name"},
		{"a note twice", `DROP INDEX ` + noteIndex + `; CREATE TEMP TABLE twin ON COMMIT DROP AS SELECT * FROM note WHERE uri IS NOT NULL AND "replyId" IS NULL AND "renoteId" IS NULL AND NOT "hasPoll" ORDER BY id LIMIT 1;
UPDATE twin SET id = 'atv8zzzzsf2t9999', reactions = '{}', "renoteCount" = 0, "repliesCount" = 0, "clippedCount" = 0; INSERT INTO note SELECT * FROM twin;
UPDATE instance SET "notesCount" = "notesCount" + 1 WHERE host = '` + teahouse + `'`, "index-missing note.uri,duplicate note.uri"},
		{"a row whose note is gone", `ALTER TABLE note_reaction DROP CONSTRAINT "FK_45145e4953780f3cd5656f0ea6a"; INSERT INTO note_reaction (id, "userId", "noteId", reaction) VALUES ('atv8zzzzsf2t9999', '` + haru + `', 'gone', 'x');
ALTER TABLE note_reaction ADD CONSTRAINT later FOREIGN KEY ("noteId") REFERENCES note (id) ON DELETE CASCADE NOT VALID`, "reference-unproved note_reaction.noteId,orphan note_reaction.noteId"},
		{"and no foreign key", `ALTER TABLE poll_vote DROP CONSTRAINT "FK_66d2bd2ee31d14bcc23069a89f8"; UPDATE poll_vote SET "userId" = 'gone' WHERE id = (SELECT min(id) FROM poll_vote)`,
			"reference-missing poll_vote.userId,orphan poll_vote.userId"},
		{"foreign keys that a later version dropped", `ALTER TABLE note DROP CONSTRAINT "FK_17cb3553c700a4985dff5a30ff5", DROP CONSTRAINT "FK_52ccc804d7c69037d558bac4c96"; INSERT INTO migrations ("timestamp", name) VALUES (1753868431598, 'RemoveNoteConstraints1753868431598');
UPDATE note SET "renoteId" = 'gone' WHERE id = 'atv8zrbysf2t05vk'`, "dangling note.renoteId"},
		{"a fork's table and column", `CREATE TABLE sweet (id text, note text); ALTER TABLE note ADD sweetness int`, ""},
		{"tables of a version that has fewer", `DROP TABLE note_unread, promo_read, promo_note, user_memo, bubble_game_record; ALTER TABLE meta DROP "proxyAccountId"; ALTER TABLE note DROP "clippedCount", DROP "renoteCount"`, ""},
		{"a note that mentions nobody", `UPDATE note SET mentions = array_append(mentions, 'gone') WHERE id = 'atv8zrbysf2t05vk'`, "dangling note.mentions"},
		{"a letter to nobody", `UPDATE note SET "visibleUserIds" = '{gone}' WHERE id = 'atv8zrbysf2t05vk'`, "dangling note.visibleUserIds"},
		{"a thread that is gone", `UPDATE note_thread_muting SET "threadId" = 'gone' WHERE id = (SELECT min(id) FROM note_thread_muting)`, "dangling note_thread_muting.threadId"},
		{"a counter too high", `UPDATE "user" SET "notesCount" = "notesCount" + 1 WHERE id = '` + haru + `'`, "counter-differs user.notesCount"},
		{"followers too many", `UPDATE "user" SET "followersCount" = "followersCount" + 1, "followingCount" = 0 WHERE id = '` + haru + `'`, "counter-differs user.followersCount,counter-differs user.followingCount"},
		{"reactions counted wrongly", `UPDATE note SET reactions = '{"x": 7}' WHERE id = (SELECT min("noteId") FROM note_reaction)`, "counter-differs note.reactions"},
		{"votes counted wrongly", `UPDATE poll SET votes[1] = votes[1] + 1 WHERE "noteId" = 'atv8v3clsf2t035c'`, "counter-differs poll.votes"},
		{"answers counted wrongly", `UPDATE note SET "repliesCount" = 99 WHERE id = 'atv8zrbysf2t05vk'`, "counter-differs note.repliesCount"},
		{"a sequence behind its table", `ALTER SEQUENCE user_ip_id_seq RESTART WITH 1`, "sequence-behind user_ip.id"},
		{"an enumeration that lacks a value", `ALTER TYPE relay_status_enum RENAME VALUE 'rejected' TO 'refused'`, "enum-differs relay_status_enum.value"},
		{"an account without a profile", `DELETE FROM user_profile WHERE "userId" = '` + sencha + `'`, "profile-missing user.id"},
		{"an account without a key", `DELETE FROM user_publickey WHERE "userId" = '` + sencha + `'`, "publickey-missing user.id"},
		{"a local account without a key", `DELETE FROM user_keypair WHERE "userId" = '` + haru + `'`, "keypair-missing user.id"},
		{"one key for two accounts", `DROP INDEX "IDX_171e64971c780ebd23fae140bb"; UPDATE user_publickey SET "keyId" = (SELECT "keyId" FROM user_publickey WHERE "userId" = '` + sencha + `') WHERE "userId" = (SELECT max("userId") FROM user_publickey)`,
			"index-missing user_publickey.keyId,duplicate user_publickey.keyId"},
		{"somebody who follows himself", `INSERT INTO following (id, "followerId", "followeeId") VALUES ('atv8zzzzsf2t9999', '` + haru + `', '` + haru + `'); UPDATE "user" SET "followersCount" = "followersCount" + 1, "followingCount" = "followingCount" + 1 WHERE id = '` + haru + `'`,
			"self-follow following.followerId"},
		{"somebody who blocks himself", `UPDATE blocking SET "blockeeId" = "blockerId" WHERE id = (SELECT min(id) FROM blocking)`, "self-block blocking.blockerId"},
		{"somebody who mutes himself", `UPDATE muting SET "muteeId" = "muterId" WHERE id = (SELECT min(id) FROM muting)`, "self-mute muting.muterId"},
		{"this server as another", twin(sencha, "atv8t94dsf2t9999", "host", `'bakery.fedi.test'`, "uri", "uri || '/x'"), "own-host user.host"},
		{"a host in capitals", twin(sencha, "atv8t94dsf2t9999", "host", `'Teahouse.fedi.test'`, "uri", "uri || '/x'"), "host-form user.host"},
		{"a remote account without a uri", `UPDATE "user" SET uri = NULL WHERE id = '` + sencha + `'`, "uri-missing user.uri"},
		{"a local account with one", `UPDATE "user" SET uri = 'https://x.example/1' WHERE id = '` + haru + `'`, "uri-unexpected user.uri"},
		{"a name whose lower form is another", `UPDATE "user" SET "usernameLower" = 'haruu' WHERE id = '` + haru + `'`, "name-form user.usernameLower"},
		{"a note of another host than its author", `UPDATE note SET "userHost" = 'x.example' WHERE id = 'atv8zrbysf2t05vk'`, "copy-differs note.userHost"},
		{"a poll that is not there", `UPDATE note SET "hasPoll" = true WHERE id = 'atv8zrbysf2t05vk'`, "poll-missing note.hasPoll"},
		{"a poll with more votes than choices", `UPDATE poll SET votes = votes || 0 WHERE "noteId" = 'atv8v3clsf2t035c'`, "poll-form poll.votes"},
		{"a vote for nothing", `UPDATE poll_vote SET choice = 40 WHERE id = (SELECT min(v.id) FROM poll_vote v JOIN note n ON n.id = v."noteId" WHERE n."userHost" IS NOT NULL)`, "vote-range poll_vote.choice"},
		{"a request of a follower", `INSERT INTO follow_request (id, "followerId", "followeeId") SELECT 'atv8zzzzsf2t9999', "followerId", "followeeId" FROM following ORDER BY id LIMIT 1`, "request-answered follow_request.followeeId"},
		{"a list's owner who is another", `UPDATE user_list_membership SET "userListUserId" = '` + sencha + `' WHERE id = (SELECT min(id) FROM user_list_membership)`, "copy-differs user_list_membership.userListUserId"},
	}
}

func TestDrillMisskey(t *testing.T) {
	t.Parallel()
	dsn := cleanMisskey(t)
	if dsn == "" {
		return
	}
	conn := connect(t, dsn)
	for _, f := range misskeyFaults() {
		inside(t, conn, f, true)
	}
	everyKeyTwice(t, conn, true)
}

// inside plants one fault and undoes it.
func inside(t *testing.T, conn *pgx.Conn, f fault, misskey bool) {
	t.Helper()
	tx, err := conn.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback(context.Background()) }()
	if _, err := tx.Exec(t.Context(), f.sql); err != nil {
		t.Errorf("%s: could not be planted: %v", f.name, err)
		return
	}
	r, err := doctor.Check(t.Context(), planted{tx}, doctor.Options{Misskey: misskey, Newest: db.Newest()})
	if err != nil {
		t.Errorf("%s: %v", f.name, err)
		return
	}
	expect(t, f.name, r, f.want)
}

func expect(t *testing.T, name string, r *mech.Report, want string) {
	t.Helper()
	var list []string
	// A place may have commas too: the codes are what begins a new one.
	for _, w := range strings.Split(want, ",") {
		if n := len(list); n > 0 && !strings.Contains(w, " ") {
			list[n-1] += "," + w
		} else if w != "" {
			list = append(list, w)
		}
	}
	slices.Sort(list)
	if got := codes(r); !slices.Equal(got, list) {
		t.Errorf("%s:\n got %q\nwant %q\n%s", name, got, list, lines(r))
	}
}

// everyKeyTwice takes the guard from every key of every table and copies a row of
// each: all of them must be found.
func everyKeyTwice(t *testing.T, conn *pgx.Conn, misskey bool) {
	t.Helper()
	tx, err := conn.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback(context.Background()) }()
	_, err = tx.Exec(t.Context(), `
DO $$ DECLARE x record; BEGIN
	FOR x IN SELECT conrelid::regclass AS t, conname FROM pg_constraint WHERE contype IN ('u', 'p') AND connamespace = 'public'::regnamespace AND conparentid = 0 LOOP
		EXECUTE format('ALTER TABLE %s DROP CONSTRAINT %I CASCADE', x.t, x.conname);
	END LOOP;
	FOR x IN SELECT indexrelid::regclass AS i FROM pg_index JOIN pg_class c ON c.oid = indexrelid WHERE indisunique AND c.relnamespace = 'public'::regnamespace LOOP
		EXECUTE format('DROP INDEX %s', x.i);
	END LOOP;
	FOR x IN SELECT c.oid::regclass AS t, string_agg(quote_ident(a.attname), ', ' ORDER BY a.attnum) AS cols FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
		WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r' AND NOT c.relispartition AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = '' GROUP BY 1 LOOP
		EXECUTE format('INSERT INTO %1$s (%2$s) OVERRIDING SYSTEM VALUE SELECT %2$s FROM %1$s ORDER BY %1$s DESC LIMIT 1', x.t, x.cols);
	END LOOP;
END $$`)
	if err != nil {
		t.Fatal(err)
	}
	s, err := doctor.Oven()
	if misskey {
		s, err = doctor.Misskey()
	}
	if err != nil {
		t.Fatal(err)
	}
	r, err := mech.Check(t.Context(), planted{tx}, s, mech.Options{Skip: map[string]bool{"references": true, "types": true, "rows": true, "counters": true, "rules": true}})
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	for _, table := range s.Tables {
		for _, k := range table.Keys {
			where := table.Name + "." + strings.Join(k.Columns, ",")
			switch {
			case where == "registration_ticket.usedById": // has a plain index beside the unique one
				want = append(want, "index-differs "+where)
			case !k.Wanted:
				want = append(want, "index-missing "+where)
			}
			twice := true
			for _, c := range k.Columns {
				if !strings.Contains(c, "(") {
					c = pgx.Identifier{c}.Sanitize()
				}
				if !k.Nulls {
					twice = twice && has(t, tx, fmt.Sprintf(`SELECT count(%s) > 1 FROM %s WHERE %s`, c, pgx.Identifier{table.Name}.Sanitize(), either(k.Where)))
				} else {
					twice = twice && has(t, tx, fmt.Sprintf(`SELECT count(*) > 1 FROM %s`, pgx.Identifier{table.Name}.Sanitize()))
				}
			}
			if twice && copied(t, tx, table.Name, k) {
				want = append(want, "duplicate "+where)
			}
		}
	}
	slices.Sort(want)
	want = slices.Compact(want)
	if got := codes(r); !slices.Equal(got, want) {
		t.Errorf("every key twice:\nbesides %q\nmissing %q", without(got, want), without(want, got))
	}
	t.Logf("%d keys lost their guard, %d had rows to copy", strings.Count(strings.Join(want, "\n"), "index-"), strings.Count(strings.Join(want, "\n"), "duplicate"))
}

func without(list, others []string) (out []string) {
	for _, x := range list {
		if !slices.Contains(others, x) {
			out = append(out, x)
		}
	}
	return out
}

func either(where string) string {
	if where == "" {
		return "true"
	}
	return where
}

// copied tells whether the row that was copied has a value in all columns of the
// key, found by counting the rows that are there with their copy.
func copied(t *testing.T, tx pgx.Tx, table string, k mech.Key) bool {
	t.Helper()
	var present []string
	for _, c := range k.Columns {
		if !strings.Contains(c, "(") {
			c = pgx.Identifier{c}.Sanitize()
		}
		if !k.Nulls {
			present = append(present, c+" IS NOT NULL")
		}
	}
	present = append(present, either(k.Where))
	// Rows are compared whole here, and by the key's columns in the doctor.
	return has(t, tx, fmt.Sprintf(`SELECT EXISTS (SELECT FROM (SELECT t.*, count(*) OVER (PARTITION BY t::text) AS same FROM %s t) t WHERE same > 1 AND %s)`,
		pgx.Identifier{table}.Sanitize(), strings.Join(present, " AND ")))
}

func has(t *testing.T, tx pgx.Tx, sql string) bool {
	t.Helper()
	var yes bool
	if err := tx.QueryRow(t.Context(), sql).Scan(&yes); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return yes
}

// dumped writes a dump of a database, and gives a new, empty one to restore to.
func dumped(t *testing.T, dsn string) (path, to string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "dump")
	if _, err := tool("pg_dump", "-Fc", "-f", path, "-d", dsn); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Size() == 0 {
		t.Fatalf("no dump: %v", err)
	}
	return path, pgtest.DSN(t)
}

// What a dump and its restore do to a database with duplicates.
func TestDrillRestores(t *testing.T) {
	t.Parallel()
	other := twin(sencha, "atv8t94dsf2t9999", "uri", `uri || '/reborn'`)
	t.Run("a restore that goes on after an error", func(t *testing.T) {
		t.Parallel()
		dsn := cleanMisskey(t)
		if dsn == "" {
			return
		}
		exec1(t, connect(t, dsn), lying(nameIndex, other))
		path, to := dumped(t, dsn)
		if err := restore(to, path); err == nil {
			t.Fatal("the restore had no error")
		}
		expect(t, t.Name(), check(t, connect(t, to), true), nameLost+","+nameTwice)
		explained(t, t.Name(), connect(t, to), true, "restore-went-on user.usernameLower,host medium", "rebirth user.usernameLower,host medium")
	})
	t.Run("a restore cut short", func(t *testing.T) {
		t.Parallel()
		dsn := cleanMisskey(t)
		if dsn == "" {
			return
		}
		path, to := dumped(t, dsn)
		if err := restore(to, path, "--section=pre-data", "--section=data"); err != nil {
			t.Fatal(err)
		}
		s, err := doctor.Misskey()
		if err != nil {
			t.Fatal(err)
		}
		var want []string
		for _, table := range s.Tables {
			for _, k := range table.Keys {
				if !k.Wanted {
					want = append(want, "index-missing "+table.Name+"."+strings.Join(k.Columns, ","))
				}
			}
			for _, col := range table.Indexed {
				want = append(want, "index-slow "+table.Name+"."+col.Name)
			}
			for _, ref := range table.Refs {
				if ref.Kind == mech.Constraint {
					want = append(want, "reference-missing "+table.Name+"."+ref.Column)
				}
			}
		}
		slices.Sort(want)
		if got := codes(check(t, connect(t, to), true)); !slices.Equal(got, want) {
			t.Errorf("besides %q\nmissing %q", without(got, want), without(want, got))
		}
		explained(t, t.Name(), connect(t, to), true, "restore-cut * high")
	})
	t.Run("an index whose building failed, then a dump that leaves it out", func(t *testing.T) {
		t.Parallel()
		dsn := cleanMisskey(t)
		if dsn == "" {
			return
		}
		conn := connect(t, dsn)
		exec1(t, conn, `DROP INDEX `+nameIndex)
		exec1(t, conn, other)
		if _, err := conn.Exec(t.Context(), `CREATE UNIQUE INDEX CONCURRENTLY `+nameIndex+` ON "user" ("usernameLower", host)`); err == nil {
			t.Fatal("the index was built")
		}
		expect(t, "the index", check(t, conn, true), "index-invalid user.usernameLower,host,"+nameTwice)
		explained(t, "the index", conn, true, "build-failed user.usernameLower,host certain", "rebirth user.usernameLower,host medium")
		path, to := dumped(t, dsn)
		if err := restore(to, path, "--exit-on-error"); err != nil {
			t.Fatal(err)
		}
		expect(t, "the copy", check(t, connect(t, to), true), nameLost+","+nameTwice)
		explained(t, "the copy", connect(t, to), true, "restore-went-on user.usernameLower,host medium", "rebirth user.usernameLower,host medium")
	})
	t.Run("a rebuild that failed", func(t *testing.T) {
		t.Parallel()
		dsn := cleanMisskey(t)
		if dsn == "" {
			return
		}
		conn := connect(t, dsn)
		exec1(t, conn, lying(nameIndex, other))
		if _, err := conn.Exec(t.Context(), `REINDEX INDEX CONCURRENTLY `+nameIndex); err == nil {
			t.Fatal("the index was rebuilt")
		}
		expect(t, t.Name(), check(t, conn, true), "index-leftover user.IDX_5deb01ae162d1d70b80d064c27_ccnew,"+nameTwice)
		explained(t, t.Name(), conn, true, "build-failed user.IDX_5deb01ae162d1d70b80d064c27_ccnew certain", "index-lied user.usernameLower,host medium")
	})
	t.Run("many resolve one account at a time, without the index", func(t *testing.T) {
		t.Parallel()
		dsn := cleanMisskey(t)
		if dsn == "" {
			return
		}
		conn := connect(t, dsn)
		exec1(t, conn, `DROP INDEX `+nameIndex)
		resolveTogether(t, dsn, 4)
		r := check(t, conn, true)
		expect(t, t.Name(), r, nameLost+","+nameTwice+","+uriTwice)
		if n := len(r.Findings[1].IDs); n != 4 {
			t.Errorf("%d ids are told: %v", n, r.Findings[1])
		}
		explained(t, t.Name(), conn, true, "restore-went-on user.usernameLower,host medium", "race user.usernameLower,host high", "race user.uri medium")
	})
}

// resolveTogether does what Misskey does when several jobs meet an unknown account:
// each looks, none finds it, each inserts.
func resolveTogether(t *testing.T, dsn string, n int) {
	t.Helper()
	var looked, done sync.WaitGroup
	looked.Add(n)
	for i := range n {
		conn := connect(t, dsn)
		done.Add(1)
		go func() {
			defer done.Done()
			var there bool
			err := conn.QueryRow(t.Context(), `SELECT EXISTS (SELECT FROM "user" WHERE uri = 'https://teahouse.fedi.test/users/new')`).Scan(&there)
			looked.Done()
			looked.Wait()
			if err == nil && !there {
				_, err = conn.Exec(t.Context(), twin(sencha, fmt.Sprintf("atv9000%dsf2t0001", i), "uri", `'https://teahouse.fedi.test/users/new'`, "username", `'new'`, `"usernameLower"`, `'new'`))
			}
			if err != nil {
				t.Error(err)
			}
		}()
	}
	done.Wait()
}

// Two rows of one name are one account twice, or two accounts: which is told.
func TestTwoUrisOneName(t *testing.T) {
	t.Parallel()
	pool, err := testsrv.Database(t).Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Release()
	exec1(t, pool.Conn(), people)
	exec1(t, pool.Conn(), `ALTER TABLE "user" DROP CONSTRAINT user_username_lower_host_key, DROP CONSTRAINT user_uri_key`)
	exec1(t, pool.Conn(), ovenTwin)
	for says, sql := range map[string]string{
		"in 1 of them they differ in uri": `SELECT 1`,
		"in 0 of them they differ in uri": `UPDATE "user" SET uri = 'https://far.example/carol' WHERE username_lower = 'carol'`,
	} {
		exec1(t, pool.Conn(), sql)
		if r := check(t, pool.Conn(), false); !strings.Contains(lines(r), says) {
			t.Errorf("%s is not told:\n%s", says, lines(r))
		}
		exec1(t, pool.Conn(), `UPDATE "user" SET uri = 'https://far.example/carol/2' WHERE id = 'carol2'`)
	}
}
