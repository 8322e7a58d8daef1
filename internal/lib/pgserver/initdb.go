package pgserver

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// ensureCluster makes the cluster if there is none and returns the superuser's password.
//
// The cluster is made under another name and renamed when complete: what a crash leaves behind is thrown away by the
// next start. The password is written first, so that there is never a cluster without one.
func (o Options) ensureCluster(ctx context.Context, at layout, who account, bin programs) (string, error) {
	if _, err := os.Stat(at.data); err == nil {
		password, err := readPassword(at)
		if errors.Is(err, os.ErrNotExist) {
			err = fmt.Errorf("pgserver: %s is missing; put back the one that belongs to the cluster in %s", at.password, at.data)
		}
		return password, err
	} else if !errors.Is(err, os.ErrNotExist) {
		return "", fmt.Errorf("pgserver: %w", err)
	}
	password := rand.Text()
	if err := replaceFile(at.password, []byte(password+"\n"), 0o600); err != nil {
		return "", err
	}
	if who.other { // run by root: the owner of the data directory may read it too
		info, err := os.Stat(at.dir)
		if err == nil {
			st := info.Sys().(*syscall.Stat_t)
			err = os.Chown(at.password, int(st.Uid), int(st.Gid))
		}
		if err != nil {
			return "", fmt.Errorf("pgserver: %w", err)
		}
	}
	unfinished := at.data + ".new"
	if err := os.RemoveAll(unfinished); err != nil {
		return "", fmt.Errorf("pgserver: remove an unfinished cluster: %w", err)
	}
	if err := makeDir(unfinished, 0o700, &who); err != nil {
		return "", err
	}
	if err := o.initdb(ctx, at, who, bin, unfinished, password); err != nil {
		return "", err
	}
	if err := os.Rename(unfinished, at.data); err != nil {
		return "", fmt.Errorf("pgserver: %w", err)
	}
	return password, syncDir(at.home)
}

func (o Options) initdb(ctx context.Context, at layout, who account, bin programs, dir, password string) error {
	// The account must read it, once; a pipe would not do, since /dev/stdin is opened anew by another user.
	pwfile := filepath.Join(at.home, "password.initdb")
	defer os.Remove(pwfile)
	if err := replaceFile(pwfile, []byte(password+"\n"), 0o600); err != nil {
		return err
	}
	if who.other {
		if err := os.Chown(pwfile, who.uid, who.gid); err != nil {
			return fmt.Errorf("pgserver: %w", err)
		}
	}
	args := []string{"-D", dir, "-U", superuser, "-E", "UTF8", "--locale=C", "--lc-ctype=C.UTF-8", "--data-checksums",
		"--auth=scram-sha-256", "--pwfile=" + pwfile, "--no-instructions"}
	if o.Unsafe {
		args = append(args, "--no-sync")
	}
	o.logger().Info("making the database cluster", "version", bin.version)
	cmd := exec.CommandContext(ctx, bin.initdb, args...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	dress(cmd, who)
	if err := <-launch(cmd).exited; err != nil {
		if ctx.Err() != nil {
			return fmt.Errorf("pgserver: initdb: %w", context.Cause(ctx))
		}
		return fmt.Errorf("pgserver: initdb: %w: %s", err, reason(out.String()))
	}
	return nil
}

// ensureDatabase makes Oven's database in a running cluster. It also proves that the password fits.
func ensureDatabase(ctx context.Context, socketDir, password string) error {
	conn, err := pgx.Connect(ctx, dsn(socketDir, password, database))
	if err == nil {
		return conn.Close(ctx)
	}
	if code(err) != "3D000" { // invalid_catalog_name: not made yet
		if code(err) == "28P01" {
			return errPassword
		}
		return fmt.Errorf("pgserver: connect: %w", err)
	}
	conn, err = pgx.Connect(ctx, dsn(socketDir, password, "postgres"))
	if err != nil {
		return fmt.Errorf("pgserver: connect: %w", err)
	}
	defer conn.Close(ctx)
	if _, err := conn.Exec(ctx, `CREATE DATABASE `+database); err != nil {
		return fmt.Errorf("pgserver: make the database: %w", err)
	}
	return nil
}

func code(err error) string {
	var pgErr *pgconn.PgError
	if errors.As(err, &pgErr) {
		return pgErr.Code
	}
	return ""
}

// reason finds the line of PostgreSQL's output that says why, and its hint.
func reason(output string) string {
	var found []string
	for line := range strings.Lines(output) {
		line = strings.TrimSpace(line)
		for _, mark := range []string{"FATAL:", "PANIC:", "HINT:", "error:", "could not "} {
			if i := strings.Index(line, mark); i >= 0 {
				found = append(found, strings.Join(strings.Fields(line[i:]), " "))
				break
			}
		}
	}
	if len(found) == 0 {
		found = strings.Fields(output)
		if len(found) > 40 {
			found = found[len(found)-40:]
		}
		return strings.Join(found, " ")
	}
	if len(found) > 3 {
		found = found[len(found)-3:]
	}
	return strings.Join(found, "; ")
}

// replaceFile writes a file whole or not at all. The mode does not depend on the umask.
func replaceFile(path string, text []byte, mode os.FileMode) error {
	temp := path + ".new"
	if err := os.Remove(temp); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("pgserver: %w", err)
	}
	f, err := os.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return fmt.Errorf("pgserver: %w", err)
	}
	_, err = f.Write(text)
	err = errors.Join(err, f.Chmod(mode), f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(temp, path)
	}
	if err != nil {
		return fmt.Errorf("pgserver: write %s: %w", path, err)
	}
	return nil
}

func syncDir(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("pgserver: %w", err)
	}
	if err := errors.Join(d.Sync(), d.Close()); err != nil {
		return fmt.Errorf("pgserver: sync %s: %w", path, err)
	}
	return nil
}
