package delivery_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/socket/delivery"
)

// F12, F13: every session of the database is ended again and again, those that
// listen too. What was committed arrives all the same.
func TestSessionsEnd(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	dsn := newDSN(t)
	f := newFleet()
	r := newRig(t, open(t, dsn), f).run(t)
	aside, err := pgx.Connect(ctx, dsn)
	must(t, err)
	defer aside.Close(ctx)
	names := hosts(5)
	sent := 0
	for range 12 {
		for range 10 {
			err := r.db.Tx(ctx, func(tx *pg.Tx) error {
				_, err := r.Send(ctx, tx, message(fmt.Sprint("o", sent), "Create", delivery.Class(sent%2), names...))
				return err
			})
			if err == nil {
				sent++
			}
		}
		_, err := aside.Exec(ctx, `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()`)
		must(t, err)
		time.Sleep(100 * time.Millisecond)
	}
	for _, h := range names {
		wait(t, "all at "+h, func() bool { return len(counts(f.at(shared(h)))) >= sent })
	}
	r.settle(t)
}

// F14: a transaction stays open that has sent something and holds back the
// horizon of all others. Those that commit meanwhile are delivered meanwhile,
// and it when it commits.
func TestLongTransaction(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	r := newRig(t, open(t, newDSN(t)), newFleet()).run(t)
	r.stage(t, 1000, 1, delivery.Fanout, "a.example", "b.example") // a new inbox is one row, which others would wait for
	begun, end, ended := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	go func() {
		ended <- r.db.Tx(ctx, func(tx *pg.Tx) error {
			_, err := r.Send(ctx, tx, message("long", "Create", delivery.Fanout, "a.example"))
			close(begun)
			for stay := true; stay; { // not idle, or its session is ended
				select {
				case <-end:
					stay = false
				case <-t.Context().Done():
					return t.Context().Err()
				case <-time.After(time.Second):
					_, err := tx.Exec(ctx, "SELECT 1")
					if err != nil {
						return err
					}
				}
			}
			return err
		})
	}()
	<-begun
	r.stage(t, 0, 300, delivery.Fanout, "a.example", "b.example")
	at := shared("a.example")
	wait(t, "the others", func() bool { return len(r.fleet.at(at)) == 301 && len(r.fleet.at(shared("b.example"))) == 301 })
	close(end)
	must(t, <-ended)
	wait(t, "the long one", func() bool { return counts(r.fleet.at(at))["long Create"] == 1 })
}

// F16: a process ends while it drops a partition: before it is detached, in the
// middle, and between that and the drop. The next one ends the work.
func TestCrashWhileDropping(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	dsn := newDSN(t)
	d := open(t, dsn)
	for _, sql := range []string{
		`CREATE TABLE fed_log_live_20200101 (LIKE fed_log_live INCLUDING STORAGE)`, // detached, and left
		`CREATE TABLE fed_log_bulk_20200101 PARTITION OF fed_log_bulk FOR VALUES FROM ('2020-01-01') TO ('2020-01-02')`,
		`CREATE TABLE fed_log_tomb_20200101 PARTITION OF fed_log_tomb FOR VALUES FROM ('2020-01-01') TO ('2020-01-02')`,
		`CREATE TABLE fed_log_live_notes (x int)`, // none of ours
	} {
		_, err := d.Exec(ctx, sql)
		must(t, err)
	}
	// A reader keeps the bulk partition from being detached.
	reader, err := pgx.Connect(ctx, dsn)
	must(t, err)
	defer reader.Close(ctx)
	tx, err := reader.Begin(ctx)
	must(t, err)
	_, err = tx.Exec(ctx, `SELECT count(*) FROM fed_log_bulk`)
	must(t, err)
	r := newRig(t, open(t, dsn), newFleet()).run(t)
	pending := func() (n int) {
		must(t, d.QueryRow(ctx, `SELECT count(*) FROM pg_inherits WHERE inhdetachpending`).Scan(&n))
		return n
	}
	wait(t, "detaching", func() bool { return pending() == 1 })
	r.kill()
	_, err = d.Exec(ctx, `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'ALTER TABLE%' AND datname = current_database()`)
	must(t, err)
	must(t, tx.Rollback(ctx))
	if pending() != 1 {
		t.Fatal("it was not broken off in the middle")
	}
	r = newRig(t, open(t, dsn), newFleet()).run(t)
	wait(t, "all are dropped", func() bool {
		var n int
		must(t, d.QueryRow(ctx, `SELECT count(*) FROM pg_class WHERE relname LIKE 'fed_log%20200101'`).Scan(&n))
		return n == 0
	})
	r.stage(t, 0, 5, delivery.Bulk, "a.example")
	r.settle(t)
	if _, err := d.Exec(ctx, `SELECT FROM fed_log_live_notes`); err != nil {
		t.Error("a table that is no partition was dropped")
	}
}

// F18: the clock is an hour ahead, and is put right, while a host is down. It
// is tried again soon, and gets all of it. Within a process what is waited for
// is measured by a clock that does not jump.
func TestClockJumps(t *testing.T) {
	t.Parallel()
	dsn := newDSN(t)
	f := newFleet()
	f.setAnswer(func(inbox, _ string, _ int) (delivery.Answer, error) {
		if hostOf(inbox) == "down.example" {
			return delivery.Answer{}, errDown
		}
		return delivery.Answer{Status: 202}, nil
	})
	at := shared("down.example")
	for i, ahead := range []time.Duration{time.Hour, 0, -time.Hour} {
		r := newRig(t, open(t, dsn), f, func(c *delivery.Config) {
			c.Now = func() time.Time { return time.Now().Add(ahead) }
			c.FlushEvery = 10 * time.Millisecond
		}).run(t)
		tries := f.tried(at)
		r.stage(t, i*20, 20, delivery.Fanout, "down.example", "up.example")
		wait(t, fmt.Sprintf("up, %v ahead", ahead), func() bool { return len(f.at(shared("up.example"))) == 20*(i+1) })
		wait(t, fmt.Sprintf("tries, %v ahead", ahead), func() bool { return f.tried(at) > tries+2 })
		wait(t, "it is written down", func() bool {
			var fails int
			must(t, r.db.QueryRow(context.Background(), `SELECT coalesce(max(fails), 0) FROM fed_host`).Scan(&fails))
			return fails > 0
		})
		r.stop()
	}
	f.setAnswer(nil)
	r := newRig(t, open(t, dsn), f).run(t)
	wait(t, "all", func() bool { return len(counts(f.at(at))) == 60 })
	r.settle(t)
}

// F23: the answer is lost after the other server has taken the activity. It is
// told again, with the same words, before what comes after it.
func TestAnswerIsLost(t *testing.T) {
	t.Parallel()
	f := newFleet()
	f.setAnswer(func(inbox, body string, try int) (delivery.Answer, error) {
		if try%3 == 1 {
			f.mu.Lock()
			f.got[inbox] = append(f.got[inbox], body)
			f.mu.Unlock()
			return delivery.Answer{}, errors.New("timeout")
		}
		return delivery.Answer{Status: 202}, nil
	})
	r := newRig(t, open(t, newDSN(t)), f).run(t)
	for _, verb := range []string{"1Create", "2Update", "3Delete"} {
		for i := range 20 {
			r.send(t, message(fmt.Sprint("o", i), verb, delivery.Fanout, "a.example"))
		}
	}
	r.settle(t)
	got := f.at(shared("a.example"))
	if len(counts(got)) != 60 {
		t.Errorf("%d of 60", len(counts(got)))
	}
	last := map[string]string{}
	for _, body := range got {
		var object, verb string
		_, _ = fmt.Sscan(body, &object, &verb)
		if verb < last[object] {
			t.Errorf("%s after %s", body, last[object])
		}
		last[object] = verb
	}
}

// F29, F30, F48: a key that cannot be read, an inbox that is not there any more,
// and a host at which the program fails stop nobody else, and are not tried for
// ever.
func TestBrokenRows(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	dsn := newDSN(t)
	f := newFleet()
	f.setAnswer(func(inbox, _ string, _ int) (delivery.Answer, error) {
		if hostOf(inbox) == "bug.example" {
			panic("a bug")
		}
		return delivery.Answer{Status: 202}, nil
	})
	r := newRig(t, open(t, dsn), f)
	p, err := pair()
	must(t, err)
	must(t, r.db.Tx(ctx, func(tx *pg.Tx) error { return r.AddKey(ctx, tx, "bob", "https://self.example/users/bob#main-key", p) }))
	of := func(actor, object string) delivery.Message {
		m := message(object, "Create", delivery.Fanout, "a.example", "bug.example", "removed.example")
		m.ActorID = actor
		return m
	}
	for i := range 10 {
		r.send(t, of("alice", fmt.Sprint("alice", i)))
		r.send(t, of("bob", fmt.Sprint("bob", i)))
	}
	for _, sql := range []string{
		`UPDATE fed_key SET private_enc = '\x0102' WHERE actor_id = 'bob'`,
		`DELETE FROM fed_endpoint WHERE url LIKE '%removed.example%'`,
	} {
		_, err := r.db.Exec(ctx, sql)
		must(t, err)
	}
	r = newRig(t, open(t, dsn), f).run(t)
	at := shared("a.example")
	wait(t, "alice's", func() bool { return len(counts(f.at(at))) == 10 })
	r.send(t, message("later", "Create", delivery.Fanout, "a.example"))
	wait(t, "a later one", func() bool { return counts(f.at(at))["later Create"] == 1 })
	wait(t, "bug.example was tried", func() bool { return f.tried(shared("bug.example")) > 0 })
	wait(t, "bob's are given up", func() bool {
		hosts, err := r.Hosts(ctx)
		must(t, err)
		for _, h := range hosts {
			if h.Host == "a.example" {
				if h.State != "up" || h.Refused > 0 {
					t.Fatalf("a.example is taken for one that refuses: %+v", h)
				}
				return h.Backlog == 0 && h.Singles == 0
			}
		}
		return false
	})
	if n := f.tried(shared("removed.example")); n != 0 {
		t.Errorf("an inbox that is not there was tried %d times", n)
	}
}

// F3: one host is a hundred times slower than the others, with the same
// backlog. They do not wait for it.
func TestSlowHost(t *testing.T) {
	t.Parallel()
	f := newFleet()
	f.wait = func(inbox string) time.Duration {
		if hostOf(inbox) == "slow.example" {
			return 200 * time.Millisecond
		}
		return 2 * time.Millisecond
	}
	r := newRig(t, open(t, newDSN(t)), f, func(c *delivery.Config) { c.Slots = 32 })
	names := hosts(8)
	r.stage(t, 0, 1000, delivery.Bulk, append(names, "slow.example")...)
	r.run(t)
	for _, h := range names {
		wait(t, "all at "+h, func() bool { return len(f.at(shared(h))) == 1000 })
	}
	if n := len(f.at(shared("slow.example"))); n > 900 {
		t.Errorf("the slow one has %d by then", n)
	}
}
