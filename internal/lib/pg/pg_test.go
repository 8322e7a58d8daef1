package pg_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/lib/pgserver/pgtest"
)

func open(t *testing.T) *pg.DB {
	t.Helper()
	db, err := pg.Open(t.Context(), pgtest.DSN(t), pg.Options{MaxConns: 8})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	exec(t, db, "CREATE TABLE thing (id int PRIMARY KEY, name text CONSTRAINT thing_name_key UNIQUE, n int NOT NULL DEFAULT 0)")
	return db
}

func exec(t *testing.T, q pg.Q, sql string, args ...any) {
	t.Helper()
	if _, err := q.Exec(t.Context(), sql, args...); err != nil {
		t.Fatal(err)
	}
}

func count(t *testing.T, q pg.Q) int {
	t.Helper()
	var n int
	if err := q.QueryRow(t.Context(), "SELECT count(*) FROM thing").Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func TestTx(t *testing.T) {
	t.Parallel()
	db := open(t)
	boom := errors.New("boom")
	hooks := 0
	err := db.Tx(t.Context(), func(tx *pg.Tx) error {
		exec(t, tx, "INSERT INTO thing (id) VALUES (1)")
		tx.AfterCommit(func() { hooks++ })
		return boom
	})
	if !errors.Is(err, boom) || count(t, db) != 0 || hooks != 0 {
		t.Errorf("a failed transaction left %d rows and ran %d hooks (%v)", count(t, db), hooks, err)
	}
	err = db.Tx(t.Context(), func(tx *pg.Tx) error {
		exec(t, tx, "INSERT INTO thing (id) VALUES (1)")
		tx.AfterCommit(func() {
			if count(t, db) != 1 {
				t.Error("the hook ran before the commit")
			}
			hooks++
		})
		return nil
	})
	if err != nil || hooks != 1 {
		t.Errorf("%d hooks (%v)", hooks, err)
	}
}

// A panic gives the connection back and undoes the work.
func TestTxPanic(t *testing.T) {
	t.Parallel()
	db := open(t)
	for range 20 { // more often than the pool has connections
		func() {
			defer func() { _ = recover() }()
			_ = db.Tx(t.Context(), func(tx *pg.Tx) error {
				exec(t, tx, "INSERT INTO thing (id) VALUES (1)")
				panic("boom")
			})
		}()
	}
	if n := count(t, db); n != 0 {
		t.Errorf("%d rows", n)
	}
}

func TestSavepoint(t *testing.T) {
	t.Parallel()
	db := open(t)
	err := db.Tx(t.Context(), func(tx *pg.Tx) error {
		exec(t, tx, "INSERT INTO thing (id, name) VALUES (1, 'a')")
		err := tx.Savepoint(t.Context(), func(tx *pg.Tx) error {
			_, err := tx.Exec(t.Context(), "INSERT INTO thing (id, name) VALUES (2, 'a')")
			return err
		})
		if got := pg.Violated(err); got != "thing_name_key" {
			t.Errorf("violated %q (%v)", got, err)
		}
		exec(t, tx, "INSERT INTO thing (id, name) VALUES (3, 'b')")
		return nil
	})
	if err != nil || count(t, db) != 2 {
		t.Errorf("%d rows (%v)", count(t, db), err)
	}
}

// Two transactions that lock two rows in opposite order: one is chosen as the
// victim, runs again, and both take effect.
func TestTxRetriesDeadlock(t *testing.T) {
	t.Parallel()
	db := open(t)
	exec(t, db, "INSERT INTO thing (id) VALUES (1), (2)")
	var both sync.WaitGroup
	both.Add(2)
	meet := func() {
		both.Done()
		both.Wait()
	}
	var wg sync.WaitGroup
	for _, order := range [][2]int{{1, 2}, {2, 1}} {
		wg.Go(func() {
			first := true
			err := db.Tx(context.Background(), func(tx *pg.Tx) error {
				if _, err := tx.Exec(context.Background(), "UPDATE thing SET n = n + 1 WHERE id = $1", order[0]); err != nil {
					return err
				}
				if first {
					first = false
					meet()
				}
				_, err := tx.Exec(context.Background(), "UPDATE thing SET n = n + 1 WHERE id = $1", order[1])
				return err
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	var sum int
	if err := db.QueryRow(t.Context(), "SELECT sum(n) FROM thing").Scan(&sum); err != nil || sum != 4 {
		t.Errorf("sum %d (%v)", sum, err)
	}
}

func TestTryLock(t *testing.T) {
	t.Parallel()
	db := open(t)
	lock, err := db.TryLock(t.Context(), pg.LockLeader, 1)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.TryLock(t.Context(), pg.LockLeader, 1); !errors.Is(err, pg.ErrLocked) {
		t.Errorf("a lock that is held: %v", err)
	}
	other, err := db.TryLock(t.Context(), pg.LockLeader, 2)
	if err != nil {
		t.Fatal(err)
	}
	other.Release()
	if !lock.Held(t.Context()) {
		t.Error("not held")
	}
	lock.Release()
	lock.Release() // harmless
	again, err := db.TryLock(t.Context(), pg.LockLeader, 1)
	if err != nil {
		t.Fatal(err)
	}
	again.Release()
}

func TestListen(t *testing.T) {
	t.Parallel()
	db := open(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	got := make(chan string, 10)
	go db.Listen(ctx, "bell", func(p string) { got <- p })
	next := func() string {
		select {
		case p := <-got:
			return p
		case <-time.After(10 * time.Second):
			t.Fatal("not woken")
			return ""
		}
	}
	if p := next(); p != "" {
		t.Errorf("first %q", p)
	}
	exec(t, db, "SELECT pg_notify('bell', 'ding')")
	if p := next(); p != "ding" {
		t.Errorf("then %q", p)
	}
	// A broken connection is made again, and the caller is told to look.
	exec(t, db, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN%' AND pid <> pg_backend_pid()")
	if p := next(); p != "" {
		t.Errorf("after the break %q", p)
	}
}

func TestWhere(t *testing.T) {
	t.Parallel()
	var w pg.Where
	if w.SQL() != "" || w.All() != "true" {
		t.Error("empty")
	}
	w.And("a = ? AND b = ?", 1, "x")
	w.And("c IS NULL")
	w.And("d > ?", 3)
	if got := w.SQL() + " LIMIT " + w.Arg(4); got != " WHERE a = $1 AND b = $2 AND c IS NULL AND d > $3 LIMIT $4" || len(w.Args) != 4 {
		t.Error(got, w.Args)
	}
}
