// Package pg is in charge of talking to PostgreSQL: the pool, transactions that
// are retried when the database asks for it, hooks that run after a commit,
// advisory locks by registered class, and the little that optional conditions
// need. It knows no table.
package pg

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// Q is what a query needs: the pool or a transaction.
type Q interface {
	Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
	SendBatch(ctx context.Context, b *pgx.Batch) pgx.BatchResults
}

// MinVersion is the oldest server_version_num accepted: UNIQUE NULLS NOT
// DISTINCT, on which the identity of local users rests, is new in 15.
const MinVersion = 150000

// DB is a pool of connections to one database.
type DB struct {
	*pgxpool.Pool
	dsn   string
	count *counter
}

// Options bound a pool.
type Options struct {
	MaxConns int32  // 0: 16
	AppName  string // shown in pg_stat_activity; "" = oven
}

// Open connects and checks the version. The session's time zone is UTC and a
// statement may run for 30 s at most.
func Open(ctx context.Context, dsn string, o Options) (*DB, error) {
	cfg, err := pgxpool.ParseConfig(dsn)
	if err != nil {
		return nil, fmt.Errorf("database url: %w", err)
	}
	cfg.MaxConns = o.MaxConns
	if cfg.MaxConns == 0 {
		cfg.MaxConns = 16
	}
	cfg.MaxConnIdleTime = 5 * time.Minute
	rt := cfg.ConnConfig.RuntimeParams
	rt["timezone"] = "UTC"
	rt["application_name"] = "oven"
	if o.AppName != "" {
		rt["application_name"] = o.AppName
	}
	if rt["statement_timeout"] == "" {
		rt["statement_timeout"] = "30000"
	}
	// Less than a statement may wait for a lock: a process that is frozen in the
	// middle of a transaction must not fail what others do meanwhile.
	rt["idle_in_transaction_session_timeout"] = "15000"
	count := &counter{}
	cfg.ConnConfig.Tracer = count
	pool, err := pgxpool.NewWithConfig(ctx, cfg)
	if err != nil {
		return nil, fmt.Errorf("open database: %w", err)
	}
	var version int
	if err := pool.QueryRow(ctx, "SELECT current_setting('server_version_num')::int").Scan(&version); err != nil {
		pool.Close()
		return nil, fmt.Errorf("reach database: %w", err)
	}
	if version < MinVersion {
		pool.Close()
		return nil, fmt.Errorf("the database is PostgreSQL %d; Oven needs 15 or newer", version/10000)
	}
	return &DB{Pool: pool, dsn: dsn, count: count}, nil
}

// DSN is the address the pool was opened with. It holds the password.
func (db *DB) DSN() string { return db.dsn }

// Tx is a transaction with hooks.
type Tx struct {
	pgx.Tx
	after []func()
}

// AfterCommit runs f once the transaction has committed, in the committing
// goroutine. For what is nice to happen only: a crash between commit and hook
// loses it.
func (tx *Tx) AfterCommit(f func()) { tx.after = append(tx.after, f) }

// maxTries of a transaction that failed with a serialisation failure or a
// deadlock. The work function runs again from its start.
const maxTries = 3

// Tx runs f in a READ COMMITTED transaction and commits when f returns nil.
// After 40001 or 40P01 all is rolled back, the hooks are dropped, and f runs
// again; so f must not have effects outside its transaction.
func (db *DB) Tx(ctx context.Context, f func(tx *Tx) error) error {
	for try := 1; ; try++ {
		hooks, err := db.once(ctx, f)
		if err == nil {
			for _, h := range hooks {
				h()
			}
			return nil
		}
		if try == maxTries || !retryable(err) {
			return err
		}
	}
}

func (db *DB) once(ctx context.Context, f func(tx *Tx) error) (hooks []func(), err error) {
	t, err := db.Begin(ctx)
	if err != nil {
		return nil, fmt.Errorf("begin: %w", err)
	}
	// A no-op after Commit; on a panic or a cancelled context it must still
	// give the connection back.
	defer func() { _ = t.Rollback(context.WithoutCancel(ctx)) }()
	tx := &Tx{Tx: t}
	if err := f(tx); err != nil {
		return nil, err
	}
	if err := t.Commit(ctx); err != nil {
		return nil, fmt.Errorf("commit: %w", err)
	}
	return tx.after, nil
}

// Savepoint runs f under a savepoint of tx: when f fails, what it wrote is
// undone and tx can go on.
func (tx *Tx) Savepoint(ctx context.Context, f func(tx *Tx) error) error {
	sp, err := tx.Begin(ctx)
	if err != nil {
		return fmt.Errorf("savepoint: %w", err)
	}
	inner := &Tx{Tx: sp}
	if err := f(inner); err != nil {
		if rerr := sp.Rollback(ctx); rerr != nil {
			return errors.Join(err, rerr)
		}
		return err
	}
	if err := sp.Commit(ctx); err != nil {
		return fmt.Errorf("release savepoint: %w", err)
	}
	tx.after = append(tx.after, inner.after...)
	return nil
}

func retryable(err error) bool {
	code := Code(err)
	return code == "40001" || code == "40P01"
}

// Code is the SQLSTATE of err, "" when err is not the database's.
func Code(err error) string {
	var pe *pgconn.PgError
	if errors.As(err, &pe) {
		return pe.Code
	}
	return ""
}

// Violated names the unique constraint or index that err (23505) reports, ""
// for any other error. The name, never the message, which is translated.
func Violated(err error) string {
	var pe *pgconn.PgError
	if errors.As(err, &pe) && pe.Code == "23505" {
		return pe.ConstraintName
	}
	return ""
}

// Unreferenced names the foreign key that err (23503) reports, "" for any other
// error.
func Unreferenced(err error) string {
	var pe *pgconn.PgError
	if errors.As(err, &pe) && pe.Code == "23503" {
		return pe.ConstraintName
	}
	return ""
}

// NoRows tells whether err says that a single-row query found none.
func NoRows(err error) bool { return errors.Is(err, pgx.ErrNoRows) }

// Lock classes of the two-int advisory locks. Registered here so that no two
// users of a lock can collide.
const (
	LockSequencer int32 = 1 + iota // second int: log number
	LockResolve                    // second int: hash of a uri or acct
	LockMigrate                    // second int: 0
	LockNode                       // second int: node slot
	LockLeader                     // second int: hash of a task's name
	LockFirst                      // second int: 0; making the first account
	LockDelivery                   // second int: number of a node that delivers
	LockBackup                     // second int: 0; one backup at a time
	LockDoctor                     // second int: 0; one repair at a time
	LockFence                      // second int: hash of a key under repair
	LockSearch                     // second int: 0; one process writes the search cluster
	LockMove                       // second int: 0; one process moves files to another store
	LockChart                      // second int: 0; one transaction at a time adds to charts
	LockCarry                      // second int: 0 taking archives of emoji in, 1 writing them; 2 exports, 3 imports of accounts; one process at a time
	LockEvict                      // second int: 0; one process gives up kept pictures
	LockMatch                      // second int: 0; one account at a time finds somebody to play with
)

// Lock is a session-level advisory lock, on a connection of its own.
type Lock struct {
	once       sync.Once
	conn       *pgxpool.Conn
	class, key int32
}

// ErrLocked says that someone else holds a lock.
var ErrLocked = errors.New("someone else holds the lock")

// TryLock takes a lock that is held until Release is called or the connection
// breaks; ErrLocked when someone else holds it.
func (db *DB) TryLock(ctx context.Context, class, key int32) (*Lock, error) {
	c, err := db.Acquire(ctx)
	if err != nil {
		return nil, fmt.Errorf("acquire for lock: %w", err)
	}
	var ok bool
	if err := c.QueryRow(ctx, "SELECT pg_try_advisory_lock($1, $2)", class, key).Scan(&ok); err != nil || !ok {
		c.Release()
		if err != nil {
			return nil, fmt.Errorf("try lock: %w", err)
		}
		return nil, ErrLocked
	}
	return &Lock{conn: c, class: class, key: key}, nil
}

// Held asks the server whether the session that holds the lock still lives. It
// must not be called beside Release.
func (l *Lock) Held(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	return l.conn.Ping(ctx) == nil
}

// Release gives the lock back.
func (l *Lock) Release() {
	l.once.Do(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		defer cancel()
		if _, err := l.conn.Exec(ctx, "SELECT pg_advisory_unlock($1, $2)", l.class, l.key); err != nil {
			// The session is in doubt: ending it is what releases the lock.
			_ = l.conn.Conn().Close(ctx)
		}
		l.conn.Release()
	})
}
