package doctor_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"buttersc.one/oven/db"
	"buttersc.one/oven/internal/doctor"
	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/lib/pgserver"
	mech "buttersc.one/oven/internal/socket/doctor"
	"buttersc.one/oven/internal/testsrv"
)

// compare checks a database together with a copy of it.
func compare(t *testing.T, conn, copied *pgx.Conn, want string) {
	t.Helper()
	r, err := doctor.Check(t.Context(), conn, doctor.Options{Replicas: []mech.Replica{{Name: "copy", Source: copied, Patience: 3 * time.Second}}})
	if err != nil {
		t.Fatal(err)
	}
	r.Findings = slices.DeleteFunc(r.Findings, func(f mech.Finding) bool { return !strings.HasPrefix(f.Code, "replica-") })
	expect(t, "the copy", r, want)
}

// A copy that is kept by other means than the log of the disk has lost a row, has one
// too many, and sorts texts otherwise.
func TestCopyThatDiffers(t *testing.T) {
	t.Parallel()
	conn, copied := connect(t, testsrv.Database(t).Config().ConnString()), connect(t, testsrv.Database(t).Config().ConnString())
	exec1(t, conn, people)
	exec1(t, copied, people)
	compare(t, conn, copied, "")
	exec1(t, copied, `DELETE FROM muting; INSERT INTO clip (id, user_id, name) VALUES ('c9', 'alice', 'x')`)
	compare(t, conn, copied, "replica-differs copy muting,replica-differs copy clip")
	exec1(t, copied, `CREATE INDEX by_name ON "user" (username COLLATE "und-x-icu"); UPDATE pg_collation SET collversion = '1.0' WHERE collname = 'und-x-icu'`)
	compare(t, conn, copied, "replica-collation copy und-x-icu,replica-differs copy muting,replica-differs copy clip")
}

// A standby is compared while its primary is written to, and found behind when it
// does not follow.
func TestStandby(t *testing.T) {
	t.Parallel()
	dir, err := os.MkdirTemp("/tmp", "oven-test-") // PostgreSQL's user must reach it
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil { //nolint:gosec // as above
		t.Fatal(err)
	}
	primary, err := pgserver.Start(t.Context(), pgserver.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = primary.Stop(context.Background()) })
	d, err := pg.Open(t.Context(), primary.DSN(), pg.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.Close)
	if _, err := db.Migrate(t.Context(), d); err != nil {
		t.Fatal(err)
	}
	conn := connect(t, primary.DSN())
	exec1(t, conn, people)
	copied := standby(t, filepath.Join(dir, "pg"), primary.DSN())

	ctx, stop := context.WithCancel(t.Context())
	writer, done := connect(t, primary.DSN()), make(chan struct{})
	go func() {
		defer close(done)
		for ctx.Err() == nil {
			_, _ = writer.Exec(ctx, `INSERT INTO note (id, user_id, text, visibility) VALUES (gen_random_uuid()::text, 'alice', 'x', 'public')`)
			_, _ = writer.Exec(ctx, `DELETE FROM note WHERE id IN (SELECT id FROM note WHERE text = 'x' ORDER BY random() LIMIT 1)`)
		}
	}()
	// What the writer leaves uncounted is found in the database itself.
	r, err := doctor.Check(t.Context(), conn, doctor.Options{Replicas: []mech.Replica{{Name: "copy", Source: copied}}})
	stop()
	<-done
	if err != nil || strings.Contains(lines(r), "replica-") {
		t.Errorf("a standby that follows: %v\n%s", err, lines(r))
	}
	exec1(t, conn, `DELETE FROM note WHERE text = 'x'`)
	compare(t, conn, copied, "")
	exec1(t, copied, `SELECT pg_wal_replay_pause()`)
	exec1(t, conn, `DELETE FROM muting`)
	compare(t, conn, copied, "replica-behind copy")
}

// standby makes a second cluster that follows the one whose data are in pgdir.
func standby(t *testing.T, pgdir, dsn string) *pgx.Conn {
	t.Helper()
	var data string
	err := filepath.Walk(pgdir, func(path string, info os.FileInfo, err error) error {
		if err == nil && info.Name() == "PG_VERSION" && data == "" {
			data = filepath.Dir(path)
		}
		return err
	})
	if err != nil || data == "" {
		t.Fatalf("no cluster in %s: %v", pgdir, err)
	}
	info, err := os.Stat(data)
	if err != nil {
		t.Fatal(err)
	}
	owner := info.Sys().(*syscall.Stat_t)
	home, err := os.MkdirTemp("/tmp", "oven-standby-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(home) })
	if err := os.Chown(home, int(owner.Uid), int(owner.Gid)); err != nil {
		t.Fatal(err)
	}
	as := func(name string, args ...string) *exec.Cmd {
		bin, err := pgserver.Tool(name)
		if err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command(bin, args...)
		cmd.Dir = home
		if os.Geteuid() == 0 {
			cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: owner.Uid, Gid: owner.Gid}}
		}
		return cmd
	}
	if out, err := as("pg_basebackup", "-d", dsn, "-D", home+"/data", "-R", "-X", "stream", "-c", "fast").CombinedOutput(); err != nil {
		t.Fatalf("pg_basebackup: %v: %s", err, out)
	}
	run := as("postgres", "-D", home+"/data", "-c", "unix_socket_directories="+home, "-c", "listen_addresses=", "-c", "hot_standby=on")
	if err := run.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = run.Process.Signal(syscall.SIGQUIT)
		_ = run.Wait()
	})
	cfg, err := pgx.ParseConfig(dsn)
	if err != nil {
		t.Fatal(err)
	}
	cfg.Host = home
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		conn, err := pgx.ConnectConfig(t.Context(), cfg)
		if err == nil {
			t.Cleanup(func() { _ = conn.Close(context.Background()) })
			return conn
		}
		if time.Now().After(end) {
			t.Fatalf("the standby does not answer: %v", err)
		}
	}
}
