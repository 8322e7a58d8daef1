package main

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"buttersc.one/oven/internal/testsrv"
)

// The commands ask the servers that run; where none does, they work themselves. What
// was wrong is mended, and ends with 1.
func TestSearchCommands(t *testing.T) {
	srv := testsrv.New(t)
	bob := srv.User(t, "bob")
	for _, text := range []string{"rye", "oats"} {
		bob.Post(t, "notes/create", testsrv.M{"text": text})
	}
	srv.Settle(t)
	dir := t.TempDir()
	for name, value := range map[string]string{"OVEN_MODE": "test", "OVEN_DATABASE_URL": srv.DB.Config().ConnString(), "OVEN_DATA_DIR": dir, "OVEN_URL": srv.Origin,
		"OVEN_SECRET_KEY_FILE": filepath.Dir(srv.SearchDir) + "/secret.key"} {
		t.Setenv(name, value)
	}
	for end := time.Now().Add(20 * time.Second); srv.Count(t, `SELECT count(*) FROM search_node WHERE state = 'ready' AND (stats ->> 'docs')::int = 2`) == 0; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the server does not tell of its index")
		}
	}
	code, out, errs := oven(t, "search", "status")
	if lines := strings.Split(strings.TrimSpace(out), "\n"); code != 0 || len(lines) != 2 || !strings.Contains(lines[1], "textindex  ready  all   2") {
		t.Errorf("status: exit %d, %q, %q", code, out, errs)
	}
	if code, out, errs = oven(t, "search", "verify"); code != 0 || !strings.HasPrefix(out, "0 notes were missing, 0 were too many") {
		t.Errorf("verify: exit %d, %q, %q", code, out, errs)
	}
	if _, err := srv.DB.Exec(t.Context(), `DELETE FROM note WHERE text = 'rye'`); err != nil {
		t.Fatal(err)
	}
	if code, out, errs = oven(t, "search", "verify", "--json"); code != 1 || !strings.Contains(out, `"extra":1`) {
		t.Errorf("verify: exit %d, %q, %q", code, out, errs)
	}
	srv.Stop(t)
	if _, err := srv.DB.Exec(t.Context(), `UPDATE search_node SET updated_at = now() - interval '1 hour'`); err != nil {
		t.Fatal(err)
	}
	// The command's data directory has no index yet: it makes one.
	for _, task := range []string{"reindex", "optimize", "verify"} {
		if code, out, errs = oven(t, "search", task); code != 0 || out == "" {
			t.Errorf("%s: exit %d, %q, %q", task, code, out, errs)
		}
	}
	if code, out, _ = oven(t, "search", "status", "--json"); code != 0 || !strings.Contains(out, `"running":false`) {
		t.Errorf("status: exit %d, %q", code, out)
	}
	if code, _, _ = oven(t, "search", "bake"); code != 2 {
		t.Errorf("a task that is none: exit %d", code)
	}
}
