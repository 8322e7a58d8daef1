package main

import (
	"context"
	"encoding/json"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"buttersc.one/oven/db"
	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/lib/pgserver/pgtest"
)

// oven runs a command in this process. Tests that call it are not parallel.
func oven(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	was := [2]*os.File{os.Stdout, os.Stderr}
	var read [2]func() string
	for i, at := range []**os.File{&os.Stdout, &os.Stderr} {
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		*at = w
		text := make(chan string, 1)
		go func() {
			b, _ := io.ReadAll(r)
			text <- string(b)
		}()
		read[i] = func() string { _ = w.Close(); return <-text }
	}
	code = run(context.Background(), args)
	os.Stdout, os.Stderr = was[0], was[1]
	return code, read[0](), read[1]()
}

func migrated(dsn string) error {
	d, err := pg.Open(context.Background(), dsn, pg.Options{})
	if err != nil {
		return err
	}
	defer d.Close()
	_, err = db.Migrate(context.Background(), d)
	return err
}

func TestDoctorCheck(t *testing.T) {
	dsn := pgtest.Template(t, "cmd "+db.Fingerprint(), migrated)
	t.Setenv("OVEN_DATABASE_URL", dsn)
	code, out, _ := oven(t, "doctor", "check")
	if code != 0 || out != "" {
		t.Errorf("a fresh database: exit %d, %q", code, out)
	}
	conn, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.Background()) }()
	if _, err := conn.Exec(t.Context(), `ALTER TABLE "user" DROP CONSTRAINT user_uri_key`); err != nil {
		t.Fatal(err)
	}
	code, out, _ = oven(t, "doctor", "check")
	if code != 1 || !strings.HasPrefix(out, "index-missing user.uri ") || !strings.HasSuffix(out, " 1\n") || strings.Count(out, "\n") != 1 {
		t.Errorf("a key dropped: exit %d, %q", code, out)
	}
	code, out, _ = oven(t, "doctor", "check", "--json")
	var report struct {
		Findings []struct {
			Code, Where string
			Count       int
		}
	}
	if err := json.Unmarshal([]byte(out), &report); err != nil || code != 1 || len(report.Findings) != 1 || report.Findings[0].Where != "user.uri" {
		t.Errorf("as JSON: exit %d, %q, %v", code, out, err)
	}
}

// An empty database has nothing wrong; one that is something else, or none, is
// refused.
func TestDoctorCouldNotRun(t *testing.T) {
	empty := pgtest.DSN(t)
	if code, out, _ := oven(t, "doctor", "check", "--misskey", empty); code != 0 || out != "" {
		t.Errorf("an empty database: exit %d, %q", code, out)
	}
	other := pgtest.Template(t, "cmd "+db.Fingerprint(), migrated)
	for _, dsn := range []string{other, "postgres://nobody@127.0.0.1:1/none", "nonsense"} {
		code, out, text := oven(t, "doctor", "check", "--misskey", dsn)
		if code != 2 || out != "" || text == "" {
			t.Errorf("%s: exit %d, %q, %q", dsn, code, out, text)
		}
	}
}
