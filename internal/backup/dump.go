package backup

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"strings"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sys/unix"

	"buttersc.one/oven/internal/lib/pgserver"
)

// libpq is how PostgreSQL's programs are told where the database is. The password
// goes into the environment: arguments are seen by everybody on the machine.
func libpq(dsn string) (conninfo string, env []string, err error) {
	cfg, err := pgx.ParseConfig(dsn)
	if err != nil {
		return "", nil, fmt.Errorf("backup: database url: %w", err)
	}
	env = []string{"PATH=/usr/bin:/bin", "LC_ALL=C", "TZ=UTC", "HOME=/", "PGAPPNAME=oven backup", "PGPASSWORD=" + cfg.Password, "PGCONNECT_TIMEOUT=30",
		"PGOPTIONS=-c statement_timeout=0 -c idle_in_transaction_session_timeout=0"}
	for _, name := range []string{"PGSSLMODE", "PGSSLROOTCERT", "PGSSLCERT", "PGSSLKEY"} {
		if v := os.Getenv(name); v != "" {
			env = append(env, name+"="+v)
		}
	}
	q := map[string]string{"host": cfg.Host, "port": fmt.Sprint(cfg.Port), "dbname": cfg.Database, "user": cfg.User}
	// Of the rest, those that libpq needs to get the same connection.
	if u, err := url.Parse(dsn); err == nil && u.Scheme != "" {
		for _, name := range []string{"sslmode", "sslrootcert", "sslcert", "sslkey"} {
			if v := u.Query().Get(name); v != "" {
				q[name] = v
			}
		}
	} else {
		for _, name := range []string{"sslmode", "sslrootcert", "sslcert", "sslkey"} {
			for field := range strings.FieldsSeq(dsn) {
				if v, ok := strings.CutPrefix(field, name+"="); ok {
					q[name] = strings.Trim(v, "'")
				}
			}
		}
	}
	var b strings.Builder
	for name, value := range q {
		fmt.Fprintf(&b, "%s='%s' ", name, strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(value))
	}
	return strings.TrimSpace(b.String()), env, nil
}

// dump writes the database, as an exported snapshot has it.
func (v *vault) dump(ctx context.Context, tools pgserver.Tools, dsn, snapshot, name string) (Part, int64, error) {
	info, env, err := libpq(dsn)
	if err != nil {
		return Part{}, 0, err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	p := newProgram(ctx, tools.Dump, env, []string{"--format=custom", "--compress=3", "--no-owner", "--no-privileges", "--no-password",
		"--no-publications", "--no-subscriptions", "--lock-wait-timeout=60s", "--snapshot=" + snapshot, "--dbname=" + info})
	out, in, err := os.Pipe()
	if err != nil {
		return Part{}, 0, err
	}
	defer func() { _ = out.Close() }()
	p.cmd.Stdout = in
	err = p.start()
	_ = in.Close()
	if err != nil {
		return Part{}, 0, fmt.Errorf("backup: pg_dump: %w", err)
	}
	// The end of what it writes counts only when it says that it was all.
	var ended, failed error
	part, n, err := v.write(ctx, name, readerFunc(func(b []byte) (int, error) {
		n, err := out.Read(b)
		if errors.Is(err, io.EOF) {
			if ended == nil {
				ended, failed = io.EOF, <-p.exited
			}
			if failed != nil {
				return n, fmt.Errorf("pg_dump: %w: %s", failed, p.said.last())
			}
		}
		return n, err
	}), -1)
	if err != nil {
		cancel()
		if ended == nil {
			<-p.exited
		}
		return Part{}, 0, fmt.Errorf("backup: dump the database: %w", err)
	}
	return part, n, nil
}

type readerFunc func(p []byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// load puts a dump into an empty database. Any error ends it.
func load(ctx context.Context, tools pgserver.Tools, dsn string, r io.Reader) error {
	info, env, err := libpq(dsn)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	p := newProgram(ctx, tools.Restore, env, []string{"--exit-on-error", "--no-owner", "--no-privileges", "--no-password", "--dbname=" + info})
	out, in, err := os.Pipe()
	if err != nil {
		return err
	}
	p.cmd.Stdin = out
	err = p.start()
	_ = out.Close()
	if err != nil {
		_ = in.Close()
		return fmt.Errorf("backup: pg_restore: %w", err)
	}
	_, cerr := io.Copy(in, reader{ctx, r})
	if errors.Is(cerr, unix.EPIPE) { // it has ended, and says why
		cerr = nil
	}
	if cerr != nil {
		cancel() // what is damaged is not loaded to its end
	}
	_ = in.Close()
	err = <-p.exited
	switch {
	case cerr != nil:
		return fmt.Errorf("backup: load the database: %w", cerr)
	case err != nil:
		return fmt.Errorf("backup: pg_restore: %w: %s", err, p.said.last())
	}
	// It may end before what comes last has been read, and checked.
	_, err = io.Copy(io.Discard, r)
	return err
}
