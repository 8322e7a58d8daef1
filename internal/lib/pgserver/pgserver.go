// Package pgserver runs a private PostgreSQL cluster from installed binaries.
//
// The cluster lies in DIR/pg of the data directory, listens on a unix socket only, asks for a password (scram) and
// runs as another user when Oven is root. One process owns it at a time: the server (Start), a command that needs a
// database while no server runs (Attach), or a keeper that leaves it up for a while after a command (Keep, Spawn).
// Others attach to what runs. The cluster ends with its owner, however that ends.
//
// It knows nothing of schemas, pools or migrations; those are package pg's. Linux only: it relies on the parent
// death signal, on /proc and on flock.
//
//	DIR/pg/data             the cluster
//	DIR/pg/run              the socket; /tmp/oven-HASH when that path is too long for a socket
//	DIR/pg/log              the server's log, at most 16 MiB
//	DIR/pg/password         of the superuser "oven"; readable by root and the owner of DIR only
//	DIR/pg/postgresql.conf  written at every start
//	DIR/pg/local.conf       the administrator's own settings, if there; they win
package pgserver

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
)

// Options say which cluster, and how it is run. The zero value of every field but Dir is right for a server.
type Options struct {
	Dir            string        // data directory (see package datadir); must exist
	SharedBuffers  string        // PostgreSQL's shared_buffers; empty: 128MB
	MaxConnections int           // 0: 100
	Unsafe         bool          // fsync off: a crash of the machine loses the cluster. For tests only.
	Throwaway      bool          // remove the cluster when it ends, and one that is there when it starts. For tests only.
	Wait           time.Duration // how long to wait for another owner to end; 0: 30 s
	Log            *slog.Logger  // nil: silent
}

// ErrBusy says that another Oven process owns the cluster and did not give it up in time.
var ErrBusy = errors.New("database cluster is in use by another oven process")

// Server is a running cluster, owned by this process or attached to.
type Server struct {
	at        layout
	dsn       string
	log       *slog.Logger
	owner     *os.File // the owner lock; nil when attached
	users     *os.File // the shared lock of one attached; nil when owned
	polite    bool     // an owner that lets those attached finish before it stops the cluster
	throwaway bool
	pm        *postmaster // nil when attached
	stop      sync.Once
	err       error // of Stop
}

// Start makes the cluster if there is none, runs it, and owns it until Stop. A keeper is asked to leave; a cluster
// left behind by a killed owner is stopped first; crash recovery is waited for as long as ctx allows. An error is one
// line that says what to do, where something can be done.
func Start(ctx context.Context, o Options) (*Server, error) {
	at, err := layoutOf(o.Dir)
	if err != nil {
		return nil, err
	}
	lock, err := at.waitOwner(ctx, o.wait())
	if err != nil {
		return nil, err
	}
	return o.run(ctx, at, lock, false)
}

// Attach gives a command the cluster for its duration: the running one, else one started for it and stopped by Stop
// once nobody else is attached.
func Attach(ctx context.Context, o Options) (*Server, error) {
	at, err := layoutOf(o.Dir)
	if err != nil {
		return nil, err
	}
	if err := at.makeHome(); err != nil {
		return nil, err
	}
	deadline := time.Now().Add(o.wait())
	for {
		lock, err := tryLock(at.ownerLock, exclusive)
		if err == nil {
			return o.run(ctx, at, lock, true)
		}
		if !errors.Is(err, errHeld) {
			return nil, err
		}
		s, err := o.attach(ctx, at)
		if s != nil || err != nil {
			return s, err
		}
		if time.Now().After(deadline) {
			return nil, fmt.Errorf("pgserver: %s: %w%s", at.home, ErrBusy, lockHolder(at.ownerLock))
		}
		if err := sleep(ctx, 20*time.Millisecond); err != nil {
			return nil, fmt.Errorf("pgserver: wait for the cluster: %w", err)
		}
	}
}

// attach returns nil, nil while the cluster that someone owns is not ready.
func (o Options) attach(ctx context.Context, at layout) (*Server, error) {
	users, err := tryLock(at.usersLock, shared)
	if errors.Is(err, errHeld) { // its owner is stopping it
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	pid, err := readPidFile(at.data)
	if err != nil || pid.status != "ready" {
		users.Close()
		if err == nil || errors.Is(err, os.ErrNotExist) {
			return nil, nil
		}
		return nil, fmt.Errorf("pgserver: %w", err)
	}
	password, err := readPassword(at)
	if err != nil {
		users.Close()
		return nil, err
	}
	s := &Server{at: at, dsn: dsn(pid.socketDir, password, database), log: o.logger(), users: users}
	conn, err := pgx.Connect(ctx, s.dsn)
	if err != nil { // on its way down, or its first owner is still making the database
		users.Close()
		if code(err) == "28P01" {
			return nil, errPassword
		}
		return nil, nil
	}
	conn.Close(ctx)
	return s, nil
}

// errPassword is a line for the administrator: files of two clusters were mixed.
var errPassword = errors.New("pgserver: DIR/pg/password is not the password of the cluster in DIR/pg/data; put back the one that is")

// run starts the cluster for the holder of the owner lock. It takes the lock over, also when it fails.
func (o Options) run(ctx context.Context, at layout, lock *os.File, polite bool) (_ *Server, err error) {
	defer func() {
		if err != nil {
			lock.Close()
		}
	}()
	log := o.logger()
	who, err := accountFor(at)
	if err != nil {
		return nil, err
	}
	bin, err := findPrograms(at)
	if err != nil {
		return nil, err
	}
	if err := at.prepare(who, bin); err != nil {
		return nil, err
	}
	if err := stopOrphan(ctx, at, log); err != nil {
		return nil, err
	}
	if o.Throwaway {
		if err := os.RemoveAll(at.data); err != nil {
			return nil, fmt.Errorf("pgserver: remove the cluster: %w", err)
		}
	}
	password, err := o.ensureCluster(ctx, at, who, bin)
	if err != nil {
		return nil, err
	}
	if err := o.writeSettings(at); err != nil {
		return nil, err
	}
	pm, err := startPostmaster(ctx, at, who, bin, log)
	if err != nil {
		return nil, err
	}
	s := &Server{at: at, dsn: dsn(at.run, password, database), log: log, owner: lock, polite: polite, throwaway: o.Throwaway, pm: pm}
	if err := ensureDatabase(ctx, at.run, password); err != nil {
		pm.stop(context.WithoutCancel(ctx))
		return nil, err
	}
	go s.limitLog()
	log.Info("PostgreSQL is ready", "version", bin.version, "seconds", time.Since(pm.started).Seconds())
	return s, nil
}

// DSN is a URL of the database "oven" that pgx and psql open as the calling user. It contains the superuser's
// password: print it only to who may read the data directory's secrets.
func (s *Server) DSN() string { return s.dsn }

// Owned reports whether Stop ends the cluster (true) or only lets go of it.
func (s *Server) Owned() bool { return s.owner != nil }

// Done is closed when an owned cluster has ended, by Stop or by itself; it never is for one attached to.
func (s *Server) Done() <-chan struct{} {
	if s.pm == nil {
		return nil
	}
	return s.pm.done
}

// Stop ends an owned cluster (open transactions are rolled back, data is flushed) and waits until it is gone; when
// ctx ends first the cluster is stopped without flushing and recovers at the next start. One that is attached to is
// let go of. Later calls return what the first returned.
func (s *Server) Stop(ctx context.Context) error {
	s.stop.Do(func() {
		if s.owner == nil {
			s.err = s.users.Close()
			return
		}
		if s.polite {
			users, err := waitLock(ctx, s.at.usersLock, exclusive)
			if err == nil {
				defer users.Close()
			} else { // they took all the time there was; a clean shutdown needs some too
				var cancel context.CancelFunc
				ctx, cancel = context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
				defer cancel()
			}
		}
		s.err = s.pm.stop(ctx)
		s.at.removeFallback()
		if s.throwaway {
			s.err = errors.Join(s.err, os.RemoveAll(s.at.data))
		}
		s.owner.Close()
	})
	return s.err
}

const (
	superuser = "oven"
	database  = "oven"
	port      = "5432" // only a part of the socket's name
)

// dsn needs no escaping: layout allows only plain characters in a socket directory, passwords are letters and digits.
func dsn(socketDir, password, db string) string {
	return "postgres://" + superuser + ":" + password + "@/" + db + "?host=" + socketDir + "&port=" + port
}

func (o Options) wait() time.Duration {
	if o.Wait == 0 {
		return 30 * time.Second
	}
	return o.Wait
}

func (o Options) logger() *slog.Logger {
	if o.Log == nil {
		return slog.New(slog.DiscardHandler)
	}
	return o.Log
}

func readPassword(at layout) (string, error) {
	text, err := os.ReadFile(at.password)
	switch {
	case errors.Is(err, os.ErrPermission):
		return "", fmt.Errorf("pgserver: %s can be read by root and the owner of the data directory only", at.password)
	case err != nil:
		return "", fmt.Errorf("pgserver: %w", err)
	}
	return strings.TrimSpace(string(text)), nil
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(d):
		return nil
	}
}

// layoutOf resolves the data directory to its one name.
func layoutOf(dir string) (layout, error) {
	if dir == "" {
		return layout{}, errors.New("pgserver: no data directory given")
	}
	abs, err := filepath.Abs(dir)
	if err == nil {
		abs, err = filepath.EvalSymlinks(abs)
	}
	if err != nil {
		return layout{}, fmt.Errorf("pgserver: data directory: %w", err)
	}
	return newLayout(abs), nil
}
