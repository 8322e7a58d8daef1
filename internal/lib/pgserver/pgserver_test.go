package pgserver_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"buttersc.one/oven/internal/lib/pgserver"
)

// The test binary is also the other process of some tests: with the first variable it acts on the data directory of
// the second.
const (
	roleVar = "PGSERVER_TEST_ROLE"
	dirVar  = "PGSERVER_TEST_DIR"
)

func TestMain(m *testing.M) {
	if role := os.Getenv(roleVar); role != "" {
		if err := play(role, pgserver.Options{Dir: os.Getenv(dirVar), Unsafe: true}); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func play(role string, o pgserver.Options) error {
	ctx := context.Background()
	switch role {
	case "serve": // until killed
		if _, err := pgserver.Start(ctx, o); err != nil {
			return err
		}
		fmt.Println("ready")
		select {}
	case "command": // until standard input ends
		s, err := pgserver.Attach(ctx, o)
		if err != nil {
			return err
		}
		fmt.Println("ready")
		bufio.NewReader(os.Stdin).ReadString('\n')
		return s.Stop(ctx)
	case "keep":
		return pgserver.Keep(ctx, o, 400*time.Millisecond, nil)
	}
	return fmt.Errorf("no role %q", role)
}

// other starts this binary in a role and returns when it is ready.
func other(t *testing.T, role, dir string) (*exec.Cmd, func()) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), roleVar+"="+role, dirVar+"="+dir)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill() })
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil || line != "ready\n" {
		t.Fatalf("%s: %q %v", role, line, err)
	}
	return cmd, func() {
		in.Close()
		if err := cmd.Wait(); err != nil {
			t.Errorf("%s: %v", role, err)
		}
	}
}

// dataDir is a directory that PostgreSQL's user can reach; the parents of t.TempDir are the caller's alone.
func dataDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "oven-test-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

func start(t *testing.T, dir string) *pgserver.Server {
	t.Helper()
	s, err := pgserver.Start(t.Context(), pgserver.Options{Dir: dir, Unsafe: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stop(t, s) })
	return s
}

func stop(t *testing.T, s *pgserver.Server) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if err := s.Stop(ctx); err != nil {
		t.Error(err)
	}
}

func ask(t *testing.T, dsn, query string) string {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	var answer string
	if err := conn.QueryRow(t.Context(), query).Scan(&answer); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return answer
}

func TestClusterIsAsPromised(t *testing.T) {
	old := syscall.Umask(0o077)
	defer syscall.Umask(old)
	dir := dataDir(t)
	s, err := pgserver.Start(t.Context(), pgserver.Options{Dir: dir}) // not Unsafe: the server's own settings
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stop(t, s) })
	for query, want := range map[string]string{
		`SHOW listen_addresses`:   "",
		`SHOW data_checksums`:     "on",
		`SHOW server_encoding`:    "UTF8",
		`SHOW fsync`:              "on",
		`SHOW synchronous_commit`: "on",
		`SHOW jit`:                "off",
		`SHOW wal_compression`:    "pglz",
		`SHOW timezone`:           "UTC",
		`SHOW max_connections`:    "100",
		`SHOW shared_buffers`:     "128MB",
		`SELECT datcollate || datctype FROM pg_database WHERE datname = current_database()`: "CC.UTF-8",
		`SELECT upper('é') || lower('Д')`:                                                   "Éд",
		`SELECT left(rolpassword, 14) FROM pg_authid WHERE rolname = 'oven'`:                "SCRAM-SHA-256$",
		`SELECT string_agg(DISTINCT auth_method, ' ') FROM pg_hba_file_rules`:               "scram-sha-256",
		`SELECT current_user || '@' || current_database()`:                                  "oven@oven",
	} {
		if got := ask(t, s.DSN(), query); got != want {
			t.Errorf("%s: got %q, want %q", query, got, want)
		}
	}
	for name, want := range map[string]os.FileMode{"": 0o711, "run": 0o711, "data": 0o700, "log": 0o700, "password": 0o600} {
		info, err := os.Stat(filepath.Join(dir, "pg", name))
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != want {
			t.Errorf("pg/%s has mode %o, want %o", name, info.Mode().Perm(), want)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "pg", "*initdb*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	wrong := strings.Replace(s.DSN(), "oven:", "oven:x", 1)
	if _, err := pgx.Connect(t.Context(), wrong); err == nil {
		t.Error("connected with a wrong password")
	}
}

func TestPostgresRunsAsAnotherUserThanRoot(t *testing.T) {
	s := start(t, dataDir(t))
	pid := ask(t, s.DSN(), `SELECT pg_backend_pid()::text || ' ' || current_setting('data_directory')`)
	data := strings.Fields(pid)[1]
	info, err := os.Stat(data)
	if err != nil {
		t.Fatal(err)
	}
	owner := int(info.Sys().(*syscall.Stat_t).Uid)
	if me := os.Geteuid(); me == 0 && owner == 0 || me != 0 && owner != me {
		t.Errorf("user %d made a cluster of user %d", me, owner)
	}
}

// psql as the calling user, and for root as nobody too: the URL is all that is needed.
func TestPsqlOpensTheURL(t *testing.T) {
	psql, err := exec.LookPath("psql")
	if err != nil {
		t.Fatal(err)
	}
	s := start(t, dataDir(t))
	users := []*syscall.Credential{nil}
	if os.Geteuid() == 0 {
		users = append(users, &syscall.Credential{Uid: 65534, Gid: 65534, Groups: []uint32{}})
	}
	for _, user := range users {
		cmd := exec.Command(psql, "-XAtc", "SELECT 6 * 7", s.DSN())
		cmd.Dir = "/"
		cmd.Env = append(os.Environ(), "PGPORT=9", "PGHOST=nowhere.invalid", "PGUSER=x", "PGDATABASE=x")
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: user}
		out, err := cmd.CombinedOutput()
		if err != nil || string(out) != "42\n" {
			t.Errorf("psql as %v: %q %v", user, out, err)
		}
	}
}

func TestDataSurvivesARestart(t *testing.T) {
	dir := dataDir(t)
	s := start(t, dir)
	run(t, s.DSN(), `CREATE TABLE kept AS SELECT 'yes' AS answer`)
	first := s.DSN()
	stop(t, s)
	select {
	case <-s.Done():
	default:
		t.Error("Done is open after Stop")
	}
	again := start(t, dir)
	if again.DSN() != first {
		t.Error("the URL changed")
	}
	if got := ask(t, again.DSN(), `SELECT answer FROM kept`); got != "yes" {
		t.Errorf("got %q", got)
	}
}

func run(t *testing.T, dsn, statement string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	if _, err := conn.Exec(t.Context(), statement); err != nil {
		t.Fatal(err)
	}
}

func TestKilledOwner(t *testing.T) {
	dir := dataDir(t)
	cmd, _ := other(t, "serve", dir)
	attached, err := pgserver.Attach(t.Context(), pgserver.Options{Dir: dir, Unsafe: true})
	if err != nil {
		t.Fatal(err)
	}
	if attached.Owned() {
		t.Error("attached to a running cluster and owns it")
	}
	run(t, attached.DSN(), `CREATE TABLE kept AS SELECT 'yes' AS answer`)
	stop(t, attached)
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	cmd.Wait()
	began := time.Now()
	s := start(t, dir)
	if took := time.Since(began); took > 5*time.Second { // after which Start would have stopped it
		t.Errorf("the cluster did not end with its owner: start took %v", took)
	}
	if got := ask(t, s.DSN(), `SELECT answer FROM kept`); got != "yes" {
		t.Errorf("got %q", got)
	}
}

// The parent death signal follows a thread; it must not be one that ends before the process.
func TestThreadsComeAndGo(t *testing.T) {
	s := start(t, dataDir(t))
	var wg sync.WaitGroup
	for range 100 {
		wg.Go(func() { runtime.LockOSThread() }) // the thread ends with the goroutine
	}
	wg.Wait()
	select {
	case <-s.Done():
		t.Error("the cluster has ended")
	case <-time.After(300 * time.Millisecond):
		ask(t, s.DSN(), `SELECT 'still here'`)
	}
}

// A postmaster that is killed leaves postmaster.pid, and for a moment its children.
func TestKilledPostmaster(t *testing.T) {
	dir := dataDir(t)
	s, err := pgserver.Start(t.Context(), pgserver.Options{Dir: dir}) // not Unsafe: what is committed must be there
	if err != nil {
		t.Fatal(err)
	}
	run(t, s.DSN(), `CREATE TABLE kept AS SELECT 'yes' AS answer`)
	text, err := os.ReadFile(filepath.Join(dir, "pg", "data", "postmaster.pid"))
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.SplitN(string(text), "\n", 2)[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	<-s.Done()
	if err := s.Stop(t.Context()); err == nil {
		t.Error("Stop says that all went well")
	}
	again := start(t, dir)
	if got := ask(t, again.DSN(), `SELECT answer FROM kept`); got != "yes" {
		t.Errorf("got %q", got)
	}
}

// After a reboot the number in postmaster.pid may be any process's, here our own.
func TestStalePidFile(t *testing.T) {
	dir := dataDir(t)
	s := start(t, dir)
	path := filepath.Join(dir, "pg", "data", "postmaster.pid")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	stop(t, s)
	lines := strings.SplitN(string(text), "\n", 2)
	if err := os.WriteFile(path, []byte(strconv.Itoa(os.Getppid())+"\n"+lines[1]), 0o600); err != nil {
		t.Fatal(err)
	}
	start(t, dir)
}

func TestUnfinishedInitdbIsThrownAway(t *testing.T) {
	dir := dataDir(t)
	left := filepath.Join(dir, "pg", "data.new", "base")
	if err := os.MkdirAll(left, 0o700); err != nil {
		t.Fatal(err)
	}
	start(t, dir)
	if _, err := os.Stat(filepath.Dir(left)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("still there: %v", err)
	}
}

func TestLongPath(t *testing.T) {
	dir := filepath.Join(dataDir(t), strings.Repeat("long-", 20), "with space, comma and 'quote'")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	s := start(t, dir)
	socket := ask(t, s.DSN(), `SHOW unix_socket_directories`)
	if !strings.HasPrefix(socket, "/tmp/oven-") {
		t.Errorf("socket in %s", socket)
	}
	if info, err := os.Stat(socket); err != nil || info.Mode().Perm() != 0o711 {
		t.Errorf("socket directory: %v %v", info, err)
	}
	stop(t, s)
	if _, err := os.Stat(socket); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("socket directory is left: %v", err)
	}
}

func TestBusy(t *testing.T) {
	dir := dataDir(t)
	_, end := other(t, "command", dir)
	defer end()
	began := time.Now()
	_, err := pgserver.Start(t.Context(), pgserver.Options{Dir: dir, Unsafe: true, Wait: 200 * time.Millisecond})
	if !errors.Is(err, pgserver.ErrBusy) || time.Since(began) > 2*time.Second {
		t.Errorf("after %v: %v", time.Since(began), err)
	}
}

// A command that started the cluster waits for another that uses it.
func TestCommandsShareACluster(t *testing.T) {
	dir := dataDir(t)
	_, end := other(t, "command", dir)
	s, err := pgserver.Attach(t.Context(), pgserver.Options{Dir: dir, Unsafe: true})
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { end(); close(ended) }()
	select {
	case <-ended:
		t.Error("the cluster ended under an attached command")
	case <-time.After(300 * time.Millisecond):
	}
	ask(t, s.DSN(), `SELECT 'still here'`)
	stop(t, s)
	<-ended
}

func TestCommandStartsAndStops(t *testing.T) {
	dir := dataDir(t)
	for range 2 {
		s, err := pgserver.Attach(t.Context(), pgserver.Options{Dir: dir, Unsafe: true})
		if err != nil {
			t.Fatal(err)
		}
		if !s.Owned() {
			t.Error("started, not owned")
		}
		ask(t, s.DSN(), `SELECT 'x'`)
		stop(t, s)
		if _, err := pgx.Connect(t.Context(), s.DSN()); err == nil {
			t.Error("still up after Stop")
		}
	}
}

func TestKeeper(t *testing.T) {
	dir := dataDir(t)
	t.Setenv(roleVar, "keep")
	t.Setenv(dirVar, dir)
	o := pgserver.Options{Dir: dir, Unsafe: true}
	s, err := pgserver.Spawn(t.Context(), o, os.Args[0])
	if err != nil {
		t.Fatal(err)
	}
	conn, err := pgx.Connect(t.Context(), s.DSN())
	if err != nil {
		t.Fatal(err)
	}
	stop(t, s)
	time.Sleep(time.Second) // longer than the keeper's idle time: a connection holds it
	if err := conn.Ping(t.Context()); err != nil {
		t.Fatalf("the keeper left while connected: %v", err)
	}
	conn.Close(t.Context())
	for deadline := time.Now().Add(20 * time.Second); ; {
		conn, err := pgx.Connect(t.Context(), s.DSN())
		if err != nil {
			break
		}
		conn.Close(t.Context())
		if time.Now().After(deadline) {
			t.Fatal("the keeper does not end")
		}
		time.Sleep(600 * time.Millisecond) // our own connections count as use
	}
	// A server takes the cluster over from a keeper, also from one that is in use.
	s, err = pgserver.Spawn(t.Context(), o, os.Args[0])
	if err != nil {
		t.Fatal(err)
	}
	if conn, err = pgx.Connect(t.Context(), s.DSN()); err != nil {
		t.Fatal(err)
	}
	stop(t, s)
	start(t, dir)
	if conn.Ping(t.Context()) == nil {
		t.Error("the keeper's cluster is still up")
	}
}

func TestSpawnReportsAKeeperThatFails(t *testing.T) {
	dir := dataDir(t)
	_, err := pgserver.Spawn(t.Context(), pgserver.Options{Dir: dir}, "/bin/sh", "-c", "echo no luck >&2; exit 3")
	if err == nil || !strings.Contains(err.Error(), "no luck") {
		t.Errorf("got %v", err)
	}
}

func TestRestoredByRoot(t *testing.T) {
	dir := dataDir(t)
	stop(t, start(t, dir))
	if os.Geteuid() == 0 { // as tar leaves it
		if out, err := exec.Command("chown", "-R", "0:0", filepath.Join(dir, "pg")).CombinedOutput(); err != nil {
			t.Fatalf("%s %v", out, err)
		}
	}
	start(t, dir)
}

func TestPasswordMissing(t *testing.T) {
	dir := dataDir(t)
	stop(t, start(t, dir))
	if err := os.Remove(filepath.Join(dir, "pg", "password")); err != nil {
		t.Fatal(err)
	}
	_, err := pgserver.Start(t.Context(), pgserver.Options{Dir: dir})
	if err == nil || !strings.Contains(err.Error(), "is missing; put back") {
		t.Errorf("got %v", err)
	}
}

// What is wrong in local.conf must be said, not only logged.
func TestBadSettingIsNamed(t *testing.T) {
	dir := dataDir(t)
	stop(t, start(t, dir))
	if err := os.WriteFile(filepath.Join(dir, "pg", "local.conf"), []byte("max_connections = many\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	_, err := pgserver.Start(t.Context(), pgserver.Options{Dir: dir})
	if err == nil || strings.Contains(err.Error(), "\n") {
		t.Errorf("got %v", err)
	}
	t.Log(err)
}

func TestStartIsCancelled(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err := pgserver.Start(ctx, pgserver.Options{Dir: dataDir(t), Unsafe: true})
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
}
