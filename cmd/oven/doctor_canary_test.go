package main

import (
	"context"
	"encoding/hex"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"buttersc.one/oven/db"
	"buttersc.one/oven/internal/lib/id"
	"buttersc.one/oven/internal/lib/pgserver"
	"buttersc.one/oven/internal/lib/pgserver/pgtest"
)

// What the doctor may tell: ids, hosts and names of accounts; and what says what
// the database is.
var told = regexp.MustCompile(`(?i)^id$|[a-z]Ids?$|_ids?$|host$|^username|^goose_|^version$`)

// But these are named like ids and are none.
var private = map[string]bool{"keyId": true, "key_id": true, "client_id": true, "activity_id": true}

// canaries fills a database with rows whose every private column has a word that
// occurs nowhere else, twice each, so that there is something wrong everywhere.
func canaries(t *testing.T, conn *pgx.Conn, word string) {
	t.Helper()
	do := func(sql string) {
		t.Helper()
		if _, err := conn.Exec(t.Context(), sql); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
	}
	do(`DO $$ DECLARE x record; BEGIN
	FOR x IN SELECT conrelid::regclass AS t, conname FROM pg_constraint WHERE connamespace = 'public'::regnamespace AND conparentid = 0 AND contype IN ('u', 'p', 'f', 'c') ORDER BY contype = 'p' LOOP
		EXECUTE format('ALTER TABLE %s DROP CONSTRAINT IF EXISTS %I CASCADE', x.t, x.conname);
	END LOOP;
	FOR x IN SELECT indexrelid::regclass AS i FROM pg_index JOIN pg_class c ON c.oid = indexrelid WHERE indisunique AND c.relnamespace = 'public'::regnamespace LOOP
		EXECUTE format('DROP INDEX %s', x.i);
	END LOOP;
END $$`)
	rows, err := conn.Query(t.Context(), `
SELECT c.relname, a.attname, format_type(a.atttypid, NULL), coalesce((SELECT min(enumlabel) FROM pg_enum e WHERE e.enumtypid = a.atttypid), '')
FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r' AND NOT c.relispartition AND c.relname NOT IN ('migrations', 'goose_db_version') ORDER BY 1, a.attnum`)
	if err != nil {
		t.Fatal(err)
	}
	type column struct{ Table, Name, Type, Enum string }
	columns, err := pgx.CollectRows(rows, pgx.RowToStructByPos[column])
	if err != nil {
		t.Fatal(err)
	}
	names, values := map[string][]string{}, map[string][]string{}
	for _, c := range columns {
		v, secret := "'"+word+"'", !told.MatchString(c.Name) || private[c.Name]
		switch {
		case c.Enum != "":
			v = "'" + c.Enum + "'"
		case strings.HasSuffix(c.Type, "[]") && (strings.HasPrefix(c.Type, "text") || strings.HasPrefix(c.Type, "char")):
			if v = "'{" + word + "}'"; !secret {
				v = "'{gone}'"
			}
		case strings.HasSuffix(c.Type, "[]"):
			v = "'{}'"
		case c.Type == "jsonb":
			v = fmt.Sprintf(`'{"%[1]s": "%[1]s", "n": 7}'`, word)
		case strings.HasPrefix(c.Type, "timestamp"), c.Type == "date":
			v = "now()"
		case c.Type == "uuid":
			v = "gen_random_uuid()"
		case c.Type == "boolean":
			v = "false"
		case c.Type == "integer", c.Type == "bigint", c.Type == "smallint", strings.HasPrefix(c.Type, "double"):
			v = "7"
		case !secret:
			v = "'row'"
		}
		names[c.Table] = append(names[c.Table], pgx.Identifier{c.Name}.Sanitize())
		values[c.Table] = append(values[c.Table], v)
	}
	for table, cols := range names {
		row := "(" + strings.Join(values[table], ", ") + ")"
		do(fmt.Sprintf(`INSERT INTO %s (%s) OVERRIDING SYSTEM VALUE VALUES %s, %s`, pgx.Identifier{table}.Sanitize(), strings.Join(cols, ", "), row, row))
	}
}

// refusing makes every read by role fail with a message that quotes a row.
func refusing(t *testing.T, conn *pgx.Conn, dsn, word string) (as string) {
	t.Helper()
	role := "canary_" + id.Random(8)
	_, err := conn.Exec(t.Context(), fmt.Sprintf(`CREATE ROLE %[1]s LOGIN PASSWORD '%[1]s'; GRANT SELECT ON ALL TABLES IN SCHEMA public TO %[1]s;
DO $$ DECLARE x record; BEGIN
	FOR x IN SELECT c.oid::regclass AS t FROM pg_class c WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r' AND NOT c.relispartition AND c.relname NOT IN ('migrations', 'goose_db_version') LOOP
		EXECUTE format('ALTER TABLE %%s ENABLE ROW LEVEL SECURITY', x.t);
		EXECUTE format('CREATE POLICY quoting ON %%s USING ((substring(%%s::text FROM ''%[2]s''))::int > 0)', x.t, x.t);
	END LOOP;
END $$`, role, word))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if _, err := conn.Exec(context.Background(), "DROP OWNED BY "+role+"; DROP ROLE "+role); err != nil {
			t.Error(err)
		}
	})
	u, err := url.Parse(dsn)
	if err != nil {
		t.Fatal(err)
	}
	u.User = url.UserPassword(role, role)
	return u.String()
}

// misskey is the schema of a real Misskey database, where one stands beside the
// checkout.
func misskey(t *testing.T) string {
	t.Helper()
	for dir := ".."; len(dir) < 30; dir += "/.." {
		path, err := filepath.Abs(dir + "/shared/data/misskey-2024.10-a.dump")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(path); err != nil {
			continue
		}
		bin, err := pgserver.Tool("pg_restore")
		if err != nil {
			t.Fatal(err)
		}
		dsn := pgtest.DSN(t)
		if out, err := exec.Command(bin, "--schema-only", "--no-owner", "--no-privileges", "-d", dsn, path).CombinedOutput(); err != nil {
			t.Fatalf("pg_restore: %v: %s", err, out)
		}
		return dsn
	}
	t.Log("shared/data/misskey-2024.10-a.dump is missing: canaries were not put into Misskey's schema")
	return ""
}

// Nothing that people wrote is ever told: not by findings, not in JSON, not when
// statements fail with messages that quote rows.
func TestDoctorTellsNothingPrivate(t *testing.T) {
	for name, dsn := range map[string]string{"oven": pgtest.Template(t, "cmd "+db.Fingerprint(), migrated), "misskey": misskey(t)} {
		if dsn == "" {
			continue
		}
		conn, err := pgx.Connect(t.Context(), dsn)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close(context.Background()) })
		word := "zq" + id.Random(7)
		canaries(t, conn, word)
		for _, as := range []string{dsn, refusing(t, conn, dsn, word)} {
			t.Setenv("OVEN_DATABASE_URL", as)
			file, run := filepath.Join(t.TempDir(), "plan"), "none"
			for _, command := range privateCommands() {
				args := append([]string{"doctor"}, command...)
				for i, a := range args {
					args[i] = strings.NewReplacer("FILE", file, "RUN", run).Replace(a)
				}
				if name == "misskey" {
					args = append(args, "--misskey", as)
				}
				code, out, text := oven(t, args...)
				want := 1
				switch {
				case as != dsn && command[0] != "check" && command[0] != "explain":
					want = 2 // what cannot be read cannot be repaired
				case command[0] == "report", command[0] == "undo":
					want = 0
				}
				if code != want || want < 2 && len(out) < 50 {
					t.Errorf("%s %v: exit %d, not %d, with %d bytes: %s", name, args, code, want, len(out), text)
				}
				if _, id, ok := strings.Cut(text, "run "); ok && command[0] == "apply" {
					run, _, _ = strings.Cut(id, "\n")
				}
				if b, err := os.ReadFile(file); err == nil {
					out += string(b)
				}
				silent(t, name+" "+strings.Join(args, " "), word, out, text)
				if as != dsn && command[0] == "check" && !strings.Contains(out, "unreadable") {
					t.Errorf("%s %v: nothing was unreadable", name, args)
				}
			}
		}
	}
}

// silent looks for a word in what a command told.
func silent(t *testing.T, command, word string, told ...string) {
	t.Helper()
	for _, form := range []string{word, hex.EncodeToString([]byte(word))} {
		for _, s := range told {
			if i := strings.Index(strings.ToLower(s), form); i >= 0 {
				t.Errorf("%s tells %q", command, s[max(0, i-200):min(len(s), i+50)])
			}
		}
	}
}

func privateCommands() [][]string {
	return [][]string{{"check"}, {"check", "--json"}, {"explain"}, {"explain", "--json"}, {"plan", "--offline", "--json", "--out", "FILE"}, {"plan", "--offline", "--out", "FILE"},
		{"apply", "FILE"}, {"verify", "RUN"}, {"verify", "RUN", "--json"}, {"report", "RUN"}, {"undo", "RUN"}}
}
