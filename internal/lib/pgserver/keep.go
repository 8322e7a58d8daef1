package pgserver

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

// Keep runs the cluster until nobody has been connected or attached for the idle time, until a Start wants it, or
// until ctx ends. It returns nil at once when someone runs it already. It is what a program started by Spawn does.
// When given, each is called now and then while the cluster is up, with an administrator's connection.
func Keep(ctx context.Context, o Options, idle time.Duration, each func(context.Context, *pgx.Conn) error) error {
	at, err := layoutOf(o.Dir)
	if err != nil {
		return err
	}
	if err := at.makeHome(); err != nil {
		return err
	}
	lock, err := tryLock(at.ownerLock, exclusive)
	if errors.Is(err, errHeld) {
		return nil
	}
	if err != nil {
		return err
	}
	s, err := o.run(ctx, at, lock, true)
	if err != nil {
		return err
	}
	err = s.keep(ctx, idle, each)
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), 20*time.Second)
	defer cancel()
	return errors.Join(err, s.Stop(stop))
}

func (s *Server) keep(ctx context.Context, idle time.Duration, each func(context.Context, *pgx.Conn) error) error {
	conn, err := pgx.Connect(ctx, s.dsn)
	if err != nil {
		return fmt.Errorf("pgserver: connect: %w", err)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	look := min(max(idle/10, 50*time.Millisecond), 10*time.Second) // how often to ask who is there
	lastUsed, lastLook := time.Now(), time.Now()
	for time.Since(lastUsed) < idle {
		select {
		case <-ctx.Done():
			return nil
		case <-s.Done():
			return s.pm.exit()
		case <-time.After(min(look, 100*time.Millisecond)):
		}
		if held(s.at.wantedLock) {
			return nil
		}
		if time.Since(lastLook) < look {
			continue
		}
		lastLook = time.Now()
		var others int
		err := conn.QueryRow(ctx, `SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()`).Scan(&others)
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return fmt.Errorf("pgserver: count connections: %w", err)
		}
		if others > 0 || held(s.at.usersLock) {
			lastUsed = time.Now()
		}
		if each != nil {
			if err := each(ctx, conn); err != nil && ctx.Err() == nil {
				return err
			}
		}
	}
	return nil
}

// held tells whether anyone has the lock.
func held(path string) bool {
	f, err := tryLock(path, exclusive)
	if err == nil {
		f.Close()
	}
	return errors.Is(err, errHeld)
}

// Spawn attaches to the cluster; when none runs it first starts argv, a program that calls Keep with the same
// options, in a session of its own, and waits until the cluster is ready. So the cluster outlives the caller.
func Spawn(ctx context.Context, o Options, argv ...string) (*Server, error) {
	at, err := layoutOf(o.Dir)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(at.makeHome(), makeDir(at.logDir, 0o700, nil)); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, o.wait(), ErrBusy)
	defer cancel()
	var exited <-chan error
	log := filepath.Join(at.logDir, "keeper.log")
	for {
		lock, err := tryLock(at.ownerLock, exclusive)
		if err == nil { // nobody runs it
			lock.Close()
			if exited == nil {
				exited, err = startKeeper(log, argv)
			}
		} else if errors.Is(err, errHeld) {
			var s *Server
			s, err = o.attach(ctx, at)
			if s != nil {
				return s, nil
			}
		}
		if err != nil {
			return nil, err
		}
		select {
		case err := <-exited:
			exited = nil
			if err != nil {
				text, _ := os.ReadFile(log) // best effort: the exit code is already known
				return nil, fmt.Errorf("pgserver: keeper: %w: %s", err, strings.TrimSpace(string(text)))
			}
		case <-ctx.Done():
			return nil, fmt.Errorf("pgserver: wait for the cluster: %w", context.Cause(ctx))
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func startKeeper(log string, argv []string) (<-chan error, error) {
	out, err := os.OpenFile(log, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, fmt.Errorf("pgserver: %w", err)
	}
	defer out.Close()
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Stdout, cmd.Stderr, cmd.Dir = out, out, "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("pgserver: start the keeper: %w", err)
	}
	exited := make(chan error, 1)
	go func() { exited <- cmd.Wait() }()
	return exited, nil
}
