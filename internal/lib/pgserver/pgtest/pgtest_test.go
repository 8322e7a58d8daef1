package pgtest_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"

	"buttersc.one/oven/internal/lib/pgserver/pgtest"
)

func connect(t *testing.T, dsn string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close(context.Background()) })
	return conn
}

func TestDatabaseIsEmptyAndDropped(t *testing.T) {
	var dsn string
	t.Run("use", func(t *testing.T) {
		dsn = pgtest.DSN(t)
		conn := connect(t, dsn)
		if _, err := conn.Exec(t.Context(), `CREATE TABLE a (b int)`); err != nil {
			t.Fatal(err)
		}
		if other := pgtest.DSN(t); other == dsn {
			t.Error("the same database twice")
		}
	})
	if _, err := pgx.Connect(t.Context(), dsn); err == nil {
		t.Error("still there after the test")
	}
}

func TestTemplateIsBuiltOnceAndCopied(t *testing.T) {
	name := t.Name() + pgtest.DSN(t) // new in every run
	var built atomic.Int32
	build := func(dsn string) error {
		built.Add(1)
		conn, err := pgx.Connect(context.Background(), dsn)
		if err != nil {
			return err
		}
		// Left open: the template must get rid of it.
		_, err = conn.Exec(context.Background(), `CREATE TABLE a AS SELECT 1 AS b`)
		return err
	}
	t.Run("parallel", func(t *testing.T) {
		for range 6 {
			t.Run("", func(t *testing.T) {
				t.Parallel()
				conn := connect(t, pgtest.Template(t, name, build))
				var n int
				err := conn.QueryRow(t.Context(), `WITH more AS (INSERT INTO a VALUES (2)) SELECT count(*) FROM a`).Scan(&n)
				if err != nil || n != 1 {
					t.Errorf("%d rows: %v", n, err)
				}
			})
		}
	})
	if built.Load() != 1 {
		t.Errorf("built %d times", built.Load())
	}
}

// A build that fails fails its test, and the next one builds again.
func TestTemplateAfterAFailure(t *testing.T) {
	name := t.Name() + pgtest.DSN(t)
	failing := &recorder{TB: t}
	done := make(chan struct{})
	go func() {
		defer close(done) // Fatalf ends the goroutine
		pgtest.Template(failing, name, func(string) error { return errors.New("no luck") })
	}()
	<-done
	if !failing.failed {
		t.Fatal("the test went on")
	}
	connect(t, pgtest.Template(t, name, func(string) error { return nil }))
}
