package internal_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"buttersc.one/oven/internal/testsrv"
)

// large are the tables that may hold millions of rows: what locks one of them
// while it is read through stops the server for as long.
var large = []string{"user", "user_stat", "user_profile", "user_publickey", "user_alias", "note", "note_stat", "note_reaction", "note_favorite", "note_holder", "poll_vote",
	"following", "drive_file", "notification", "hashtag", "instance", "fed_endpoint", "fed_cursor", "fed_inbox", "change_log"}

var (
	comments   = regexp.MustCompile(`(?m)--(.*)$`)
	makesTable = regexp.MustCompile(`(?i)CREATE\s+(?:UNLOGGED\s+)?TABLE\s+(?:IF\s+NOT\s+EXISTS\s+)?"?([a-z_]+)"?`)
	makesIndex = regexp.MustCompile(`(?i)^CREATE\s+(UNIQUE\s+)?INDEX\s+(CONCURRENTLY\s+)?(IF\s+NOT\s+EXISTS\s+)?"?([a-z_]+)"?\s+ON\s+(?:ONLY\s+)?"?([a-z_]+)"?`)
	dropsIndex = regexp.MustCompile(`(?i)^DROP\s+INDEX\s+CONCURRENTLY\s+IF\s+EXISTS\s+"?([a-z_]+)"?$`)
	addsKey    = regexp.MustCompile(`(?is)^ALTER\s+TABLE\s+(?:ONLY\s+)?"?([a-z_]+)"?.*\bADD\s+(?:CONSTRAINT\s+\S+\s+)?(UNIQUE|PRIMARY\s+KEY)(.*)`)
)

// judge tells what a migration does that would stop a server with many rows. An
// index of a large table is built while others write, in a file of its own
// without a transaction, which first drops what an earlier try has left and at
// last makes sure that it is valid:
//
//	-- +goose NO TRANSACTION
//	-- +goose Up
//	DROP INDEX CONCURRENTLY IF EXISTS note_example_idx;
//	CREATE INDEX CONCURRENTLY note_example_idx ON note (example);
//	SELECT require_valid_index('note_example_idx');
//
// A unique one has a file before it that removes duplicates. A key is made of
// such an index: ADD CONSTRAINT … UNIQUE USING INDEX.
func judge(text string) (faults []string) {
	noTx := strings.Contains(text, "-- +goose NO TRANSACTION")
	up, _, _ := strings.Cut(text, "-- +goose Down")
	plain := comments.ReplaceAllString(up, "")
	made := map[string]bool{}
	for _, m := range makesTable.FindAllStringSubmatch(plain, -1) {
		made[m[1]] = true
	}
	var statements []string
	for s := range strings.SplitSeq(plain, ";") {
		if s = strings.TrimSpace(s); s != "" {
			statements = append(statements, s)
		}
	}
	concerns := func(table string) bool { return slices.Contains(large, table) && !made[table] }
	for i, s := range statements {
		if m := addsKey.FindStringSubmatch(s); m != nil && concerns(m[1]) && !strings.Contains(strings.ToUpper(m[3]), "USING INDEX") {
			faults = append(faults, "a key of "+m[1]+" is built while nobody may write: make it USING INDEX")
		}
		m := makesIndex.FindStringSubmatch(s)
		if m == nil || !concerns(m[5]) {
			continue
		}
		name := m[4]
		fault := func(why string) { faults = append(faults, name+" on "+m[5]+": "+why) }
		switch {
		case m[2] == "":
			fault("not built CONCURRENTLY")
		case m[3] != "":
			fault("IF NOT EXISTS takes one that was never finished for good")
		case !noTx:
			fault("CONCURRENTLY needs -- +goose NO TRANSACTION")
		case len(statements) != 3:
			fault("a file of its own, with what an earlier try left dropped before and its validity checked after")
		default:
			if d := dropsIndex.FindStringSubmatch(statements[0]); i != 1 || d == nil || d[1] != name {
				fault("what an earlier try left is not dropped before")
			}
			if statements[2] != fmt.Sprintf("SELECT require_valid_index('%s')", name) {
				fault("its validity is not checked after")
			}
		}
	}
	return faults
}

// firstJudged is the first migration that the rule is for. Those before it ran on
// small databases.
const firstJudged = "0050"

// Migrations stop no server that has many rows.
func TestMigrationsLetOthersWrite(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("../db/migrations/*.sql")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, path := range files {
		if filepath.Base(path)[:4] < firstJudged {
			continue
		}
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, fault := range judge(string(b)) {
			t.Errorf("%s: %s", filepath.Base(path), fault)
		}
	}
}

// The rule finds what breaks it, and what it asks for runs, more than once.
func TestJudgeOfMigrations(t *testing.T) {
	t.Parallel()
	const head, up = "-- +goose NO TRANSACTION\n-- +goose Up\n", "-- +goose Up\n"
	good := head + "DROP INDEX CONCURRENTLY IF EXISTS x_idx;\nCREATE UNIQUE INDEX CONCURRENTLY x_idx ON note (uri, id); -- why\nSELECT require_valid_index('x_idx');\n"
	for text, faults := range map[string]int{
		good:                                    0,
		up + "CREATE INDEX x_idx ON small (a);": 0,
		up + "CREATE TABLE note (id text); CREATE INDEX x_idx ON note (id);":                                   0,
		up + "CREATE INDEX x_idx ON note (id);":                                                                1,
		up + "create unique index x_idx on \"user\" (name);":                                                   1,
		up + "CREATE INDEX CONCURRENTLY x_idx ON note (id);":                                                   1,
		head + "CREATE INDEX CONCURRENTLY x_idx ON note (id);":                                                 1,
		strings.Replace(good, "CONCURRENTLY x_idx ON", "CONCURRENTLY IF NOT EXISTS x_idx ON", 1):               1,
		strings.Replace(good, "SELECT require_valid_index('x_idx')", "SELECT require_valid_index('y_idx')", 1): 1,
		strings.Replace(good, "EXISTS x_idx", "EXISTS y_idx", 1):                                               1,
		good + "ALTER TABLE note ADD COLUMN x int;":                                                            1,
		up + "ALTER TABLE note ADD CONSTRAINT x_key UNIQUE (uri);":                                             1,
		up + "ALTER TABLE note ADD CONSTRAINT x_key UNIQUE USING INDEX x_key;":                                 0,
		up + "ALTER TABLE small ADD CONSTRAINT x_key UNIQUE (a);":                                              0,
	} {
		if got := judge(text); len(got) != faults {
			t.Errorf("%q: %q, want %d", text, got, faults)
		}
	}
	d := testsrv.Database(t)
	for range 2 {
		for s := range strings.SplitSeq(strings.TrimSpace(comments.ReplaceAllString(good, "")), ";") {
			if _, err := d.Exec(t.Context(), s); err != nil {
				t.Fatalf("%s: %v", s, err)
			}
		}
	}
	if _, err := d.Exec(t.Context(), `UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'x_idx'::regclass`); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"x_idx", "none_idx"} {
		if _, err := d.Exec(t.Context(), `SELECT require_valid_index($1)`, name); err == nil {
			t.Errorf("%s is taken for finished", name)
		}
	}
}
