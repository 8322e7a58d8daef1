// Package pgtest gives tests empty or prepared PostgreSQL databases in a moment.
//
// All test binaries of a checkout share one cluster with fsync off. The first to need it starts it; a keeper, which
// outlives the test binaries, stops and removes it when nobody has used it for some minutes.
package pgtest

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"buttersc.one/oven/internal/lib/pgserver"
)

const idle = 5 * time.Minute

// Names of databases: testPrefix PID _ RANDOM, templatePrefix HASH.
const (
	testPrefix     = "t_"
	templatePrefix = "tpl_"
)

// DSN is the URL of a new, empty database that is dropped when the test ends.
func DSN(t testing.TB) string {
	t.Helper()
	return cluster(t).create(t, "template0")
}

// Template is DSN for a database that build has prepared. Build runs once for each name, whatever the number of test
// binaries: the name must change with what build does, such as the hash of all migrations. The tests get copies.
// Build must not start what goes on using its database.
func Template(t testing.TB, name string, build func(dsn string) error) string {
	t.Helper()
	c := cluster(t)
	sum := sha256.Sum256([]byte(name))
	template := templatePrefix + hex.EncodeToString(sum[:12])
	if err := c.ensureTemplate(t.Context(), template, int64(binary.BigEndian.Uint64(sum[:])), build); err != nil {
		t.Fatalf("pgtest: template %s: %v", name, err)
	}
	return c.create(t, template)
}

// Keep runs the cluster in dir until nobody has used it for some minutes. It is what the keeper does.
func Keep(ctx context.Context, dir string) error {
	return pgserver.Keep(ctx, options(dir), idle, dropAbandoned)
}

func options(dir string) pgserver.Options {
	// Wait: the keeper may have to be compiled first, while all other tests are.
	return pgserver.Options{Dir: dir, Unsafe: true, Throwaway: true, MaxConnections: 300, Wait: 5 * time.Minute}
}

// shared is the cluster as one test uses it.
type shared struct{ dsn string }

// cluster attaches the test to the shared cluster; while it runs, the keeper does not leave.
func cluster(t testing.TB) shared {
	t.Helper()
	dir, argv, err := place()
	if err != nil {
		t.Fatalf("pgtest: %v", err)
	}
	s, err := pgserver.Spawn(t.Context(), options(dir), argv...)
	if err != nil {
		t.Fatalf("pgtest: %v", err)
	}
	t.Cleanup(func() {
		if err := s.Stop(context.Background()); err != nil {
			t.Errorf("pgtest: %v", err)
		}
	})
	return shared{dsn: s.DSN()}
}

// place is the data directory, one for each user and checkout, and the command that keeps a cluster there. It is in
// /tmp since PostgreSQL's user must reach it, which TMPDIR does not promise.
func place() (dir string, argv []string, err error) {
	root, err := checkout()
	if err != nil {
		return "", nil, err
	}
	sum := sha256.Sum256([]byte(root))
	dir = fmt.Sprintf("/tmp/oven-pgtest-%d-%s", os.Geteuid(), hex.EncodeToString(sum[:4]))
	if err := os.Mkdir(dir, 0o755); err != nil && !errors.Is(err, os.ErrExist) {
		return "", nil, err
	}
	info, err := os.Lstat(dir)
	if err != nil {
		return "", nil, err
	}
	if st := info.Sys().(*syscall.Stat_t); !info.IsDir() || int(st.Uid) != os.Geteuid() {
		return "", nil, fmt.Errorf("%s belongs to someone else; remove it", dir)
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		return "", nil, err
	}
	// go test puts its own go first on PATH.
	return dir, []string{"go", "-C", root, "run", "./internal/lib/pgserver/pgtest/keeper", dir}, nil
}

// checkout finds the module's root: from this file's name, or with -trimpath from the working directory, which is
// the package's in a test.
func checkout() (string, error) {
	_, file, _, _ := runtime.Caller(0)
	from := filepath.Dir(file)
	if !filepath.IsAbs(file) {
		wd, err := os.Getwd()
		if err != nil {
			return "", err
		}
		from = wd
	}
	for dir := from; ; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "internal/lib/pgserver/pgtest/keeper/main.go")); err == nil {
			return dir, nil
		}
		if dir == "/" {
			return "", fmt.Errorf("no checkout of Oven around %s", from)
		}
	}
}

// named is the URL of another database of the cluster.
func (c shared) named(db string) string {
	u, err := url.Parse(c.dsn)
	if err != nil { // pgserver promises a URL
		panic(err)
	}
	u.Path = "/" + db
	return u.String()
}

func (c shared) create(t testing.TB, template string) string {
	t.Helper()
	name := testPrefix + strconv.Itoa(os.Getpid()) + "_" + strings.ToLower(rand.Text()[:10])
	// Copying files is faster than logging every page, as long as nothing is flushed.
	if err := c.admin(t.Context(), `CREATE DATABASE `+name+` TEMPLATE `+template+` STRATEGY FILE_COPY`); err != nil {
		t.Fatalf("pgtest: create a database: %v", err)
	}
	t.Cleanup(func() {
		if err := c.admin(context.Background(), `DROP DATABASE `+name+` WITH (FORCE)`); err != nil {
			t.Errorf("pgtest: drop the test's database: %v", err)
		}
	})
	return c.named(name)
}

func (c shared) admin(ctx context.Context, statement string) error {
	conn, err := pgx.Connect(ctx, c.dsn)
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	_, err = conn.Exec(ctx, statement)
	return err
}

func (c shared) ensureTemplate(ctx context.Context, name string, key int64, build func(string) error) error {
	conn, err := pgx.Connect(ctx, c.dsn)
	if err != nil {
		return err
	}
	defer conn.Close(ctx) // releases the advisory lock too
	exists := func() (there bool, err error) {
		err = conn.QueryRow(ctx, `SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)`, name).Scan(&there)
		return there, err
	}
	if there, err := exists(); there || err != nil {
		return err
	}
	if _, err := conn.Exec(ctx, `SELECT pg_advisory_lock($1)`, key); err != nil {
		return err
	}
	if there, err := exists(); there || err != nil {
		return err
	}
	unfinished := name + "_new"
	for _, statement := range []string{
		`DROP DATABASE IF EXISTS ` + unfinished + ` WITH (FORCE)`,
		`CREATE DATABASE ` + unfinished + ` TEMPLATE template0 STRATEGY FILE_COPY`,
	} {
		if _, err := conn.Exec(ctx, statement); err != nil {
			return err
		}
	}
	if err := build(c.named(unfinished)); err != nil {
		return err
	}
	// A pool that was closed may still be closing its connections: nobody may be in a database that is renamed.
	if _, err := conn.Exec(ctx, `ALTER DATABASE `+unfinished+` ALLOW_CONNECTIONS false`); err != nil {
		return err
	}
	for deadline := time.Now().Add(10 * time.Second); ; {
		if _, err := conn.Exec(ctx, `SELECT pg_terminate_backend(pid, 1000) FROM pg_stat_activity WHERE datname = $1`, unfinished); err != nil {
			return err
		}
		_, err := conn.Exec(ctx, `ALTER DATABASE `+unfinished+` RENAME TO `+name)
		if err == nil || time.Now().After(deadline) {
			return err
		}
	}
}

// dropAbandoned drops the databases of test binaries that were killed.
func dropAbandoned(ctx context.Context, conn *pgx.Conn) error {
	rows, err := conn.Query(ctx, `SELECT datname FROM pg_database WHERE starts_with(datname, $1)`, testPrefix)
	if err != nil {
		return err
	}
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return err
	}
	for _, name := range names {
		owner, _, _ := strings.Cut(strings.TrimPrefix(name, testPrefix), "_")
		pid, err := strconv.Atoi(owner)
		if err != nil || !errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
			continue
		}
		if _, err := conn.Exec(ctx, `DROP DATABASE IF EXISTS `+name+` WITH (FORCE)`); err != nil {
			return err
		}
	}
	return nil
}
