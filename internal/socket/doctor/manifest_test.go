package doctor_test

import (
	"strings"
	"testing"

	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/socket/doctor"
	"buttersc.one/oven/internal/testsrv"
)

func check(t *testing.T, d *pg.DB) map[string]doctor.Finding {
	t.Helper()
	list, err := doctor.CheckSchema(t.Context(), d)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]doctor.Finding{}
	for _, f := range list {
		out[f.Code+" "+f.Where] = f
	}
	return out
}

// The manifest is what the migrations make, and a database that they made has
// nothing to be told of.
func TestManifestIsCurrent(t *testing.T) {
	t.Parallel()
	d := testsrv.Database(t)
	got, err := doctor.Manifest(t.Context(), d)
	if err != nil {
		t.Fatal(err)
	}
	if got != doctor.Embedded() {
		t.Error("manifest.txt is not what the migrations make: run make schema")
	}
	if found := check(t, d); len(found) > 0 {
		t.Errorf("%v", found)
	}
}

// The keys that guard identity are in the manifest: what comes in stops when they
// are gone.
func TestIdentityIsInTheManifest(t *testing.T) {
	t.Parallel()
	d := testsrv.Database(t)
	if _, err := d.Exec(t.Context(), `DO $$ DECLARE x record; BEGIN
		FOR x IN SELECT conrelid::regclass AS t, conname FROM pg_constraint WHERE contype IN ('u', 'p') AND connamespace = 'public'::regnamespace AND conparentid = 0 LOOP
			EXECUTE format('ALTER TABLE %s DROP CONSTRAINT %I CASCADE', x.t, x.conname);
		END LOOP;
		FOR x IN SELECT i.indexrelid::regclass AS i FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid WHERE c.relnamespace = 'public'::regnamespace AND NOT c.relispartition LOOP
			EXECUTE format('DROP INDEX IF EXISTS %s', x.i);
		END LOOP; END $$`); err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, f := range check(t, d) {
		if f.Kind() == doctor.Identity {
			n++
		}
	}
	if n != 13 {
		t.Errorf("%d keys that guard identity", n)
	}
}

// Everything that can be wrong is found, as what it is; what repairs it repairs
// it.
func TestCheckSchema(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		spoil, found, kind string
		also               []string // found with it
		alone              bool     // the repair leaves nothing
	}{
		{`ALTER TABLE "user" DROP CONSTRAINT user_uri_key`, "index-missing user.user_uri_key", doctor.Identity, nil, false},
		{`UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'note_uri_key'::regclass`, "index-invalid note.note_uri_key", doctor.Identity, nil, false},
		{`UPDATE pg_index SET indisready = false WHERE indexrelid = 'user_host_idx'::regclass`, "index-not-ready user.user_host_idx", doctor.Warning, nil, true},
		{`ALTER TABLE note_reaction DROP CONSTRAINT note_reaction_key; CREATE INDEX note_reaction_key ON note_reaction (user_id, note_id)`,
			"index-not-unique note_reaction.note_reaction_key", doctor.Identity, []string{"constraint-missing note_reaction.note_reaction_key"}, false},
		{`ALTER TABLE "user" DROP CONSTRAINT user_username_lower_host_key; ALTER TABLE "user" ADD CONSTRAINT user_username_lower_host_key UNIQUE (username_lower, host)`,
			"index-differs user.user_username_lower_host_key", doctor.Identity, []string{"constraint-differs user.user_username_lower_host_key"}, false},
		{`DROP INDEX user_host_idx`, "index-missing user.user_host_idx", doctor.Warning, nil, true},
		{`ALTER TABLE "user" DROP COLUMN banner_blurhash`, "column-missing user.banner_blurhash", doctor.Warning, nil, true},
		{`ALTER TABLE "user" ALTER COLUMN banner_blurhash TYPE varchar(10)`, "column-type user.banner_blurhash", doctor.Warning, nil, true},
		{`ALTER TABLE "user" ALTER COLUMN banner_id TYPE text COLLATE "POSIX"`, "column-collation user.banner_id", doctor.Warning, nil, true},
		{`ALTER TABLE user_stat ALTER COLUMN notes_count DROP NOT NULL`, "column-null user_stat.notes_count", doctor.Warning, nil, true},
		{`ALTER TABLE user_stat ALTER COLUMN notes_count SET DEFAULT 7`, "column-default user_stat.notes_count", doctor.Warning, nil, true},
		{`ALTER TABLE user_alias DROP CONSTRAINT user_alias_user_id_fkey`, "constraint-missing user_alias.user_alias_user_id_fkey", doctor.Warning, nil, true},
		{`ALTER TABLE user_alias DROP CONSTRAINT user_alias_user_id_fkey, ADD CONSTRAINT user_alias_user_id_fkey FOREIGN KEY (user_id) REFERENCES "user"(id)`,
			"constraint-differs user_alias.user_alias_user_id_fkey", doctor.Warning, nil, true},
		{`UPDATE pg_constraint SET convalidated = false WHERE conname = 'user_alias_user_id_fkey'`, "constraint-not-valid user_alias.user_alias_user_id_fkey", doctor.Warning, nil, true},
		{`DROP TABLE user_rebirth`, "table-missing user_rebirth", doctor.Warning, nil, false},
		{`CREATE TABLE theirs (id int PRIMARY KEY)`, "table-extra theirs", doctor.Information, nil, false},
		{`ALTER TABLE "user" ADD COLUMN theirs int`, "column-extra user.theirs", doctor.Information, nil, false},
		{`CREATE INDEX theirs ON "user" (name)`, "index-extra user.theirs", doctor.Information, nil, false},
		{`ALTER TABLE "user" ADD CONSTRAINT theirs CHECK (true)`, "constraint-extra user.theirs", doctor.Information, nil, false},
		{`UPDATE pg_database SET datcollversion = '0.1' WHERE datname = current_database() AND datcollversion IS NOT NULL`, "", "", nil, false},
	} {
		t.Run(c.found, func(t *testing.T) {
			t.Parallel()
			d := testsrv.Database(t)
			exec := func(sql string) {
				t.Helper()
				for s := range strings.SplitSeq(sql, "; ") { // CONCURRENTLY wants to be alone
					if _, err := d.Exec(t.Context(), s); err != nil {
						t.Fatalf("%s: %v", s, err)
					}
				}
			}
			exec(c.spoil)
			found := check(t, d)
			if c.found == "" { // where the system's collations have no versions there is nothing to find
				for _, f := range found {
					if f.Code != "collation-changed" {
						t.Errorf("%+v", f)
					}
				}
				return
			}
			f, ok := found[c.found]
			if !ok || f.Kind() != c.kind || len(found) != 1+len(c.also) {
				t.Fatalf("%v", found)
			}
			for _, also := range c.also {
				if _, ok := found[also]; !ok {
					t.Errorf("not %s: %v", also, found)
				}
			}
			if c.kind == doctor.Identity && f.Repair == "" {
				t.Error("nothing repairs it")
			}
			if c.alone {
				exec(f.Repair)
				if left := check(t, d); len(left) > 0 {
					t.Errorf("%s leaves %v", f.Repair, left)
				}
			}
		})
	}
}

// A lost key is repaired by what is told, in two steps: the index, which lets
// other servers in again, and the constraint.
func TestRepairOfAKey(t *testing.T) {
	t.Parallel()
	d := testsrv.Database(t)
	if _, err := d.Exec(t.Context(), `ALTER TABLE "user" DROP CONSTRAINT user_username_lower_host_key`); err != nil {
		t.Fatal(err)
	}
	for step := 0; ; step++ {
		found := check(t, d)
		if len(found) == 0 {
			if step != 2 {
				t.Errorf("after %d steps", step)
			}
			return
		}
		for _, f := range found {
			if step > 1 || (f.Kind() == doctor.Identity) != (step == 0) {
				t.Fatalf("step %d: %+v", step, f)
			}
			if _, err := d.Exec(t.Context(), f.Repair); err != nil {
				t.Fatalf("%s: %v", f.Repair, err)
			}
		}
	}
}
