package delivery_test

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"buttersc.one/oven/internal/socket/delivery"
)

// clock can be moved.
type clock struct{ offset atomic.Int64 }

func (c *clock) now() time.Time       { return time.Now().Add(time.Duration(c.offset.Load())) }
func (c *clock) move(d time.Duration) { c.offset.Add(int64(d)) }

func (c *clock) set(cfg *delivery.Config) {
	cfg.Now = c.now
	cfg.FlushEvery = 10 * time.Millisecond
}

func (r *rig) state(t testing.TB, host string) delivery.HostStatus {
	t.Helper()
	st, err := r.Status(context.Background())
	must(t, err)
	for _, h := range st.Hosts {
		if h.Host == host {
			return h
		}
	}
	return delivery.HostStatus{Host: host, State: "up"}
}

func (r *rig) until(t testing.TB, host, state string) {
	t.Helper()
	wait(t, host+" is "+state, func() bool { return r.state(t, host).State == state })
}

func always(status int) func(string, string, int) (delivery.Answer, error) {
	return func(string, string, int) (delivery.Answer, error) { return delivery.Answer{Status: status}, nil }
}

// A host that refuses everything is asked now and then, what is for it waits,
// and it gets all of it, but what it had refused, when it takes again.
func TestRefusing(t *testing.T) {
	t.Parallel()
	c := &clock{}
	f := newFleet()
	f.setAnswer(always(http.StatusBadRequest))
	r := newRig(t, open(t, newDSN(t)), f, c.set).run(t)
	r.stage(t, 0, 200, delivery.Fanout, "a.example")
	r.until(t, "a.example", "refusing")
	wait(t, "the answers", func() bool { return r.state(t, "a.example").InFlight == 0 })
	n := f.tried(shared("a.example"))
	if n > 60 {
		t.Errorf("asked %d times", n)
	}
	time.Sleep(200 * time.Millisecond)
	if more := f.tried(shared("a.example")); more != n {
		t.Errorf("asked %d times more while it is left alone", more-n)
	}
	f.setAnswer(nil)
	c.move(70 * time.Minute)
	wait(t, "what it had not refused", func() bool { return len(counts(f.at(shared("a.example")))) == 200-n })
	r.until(t, "a.example", "up")
}

// A host that answers 401 or 403 to everything for an hour is taken for
// refusing; nothing is given up before that, and nothing after.
func TestDenied(t *testing.T) {
	t.Parallel()
	c := &clock{}
	f := newFleet()
	f.setAnswer(always(http.StatusForbidden))
	r := newRig(t, open(t, newDSN(t)), f, c.set).run(t)
	r.stage(t, 0, 5, delivery.Fanout, "a.example")
	wait(t, "tried", func() bool { return f.tried(shared("a.example")) >= 5 })
	c.move(62 * time.Minute)
	r.stage(t, 10, 5, delivery.Fanout, "a.example")
	r.until(t, "a.example", "refusing")
	if st := r.state(t, "a.example"); st.Refused != 0 {
		t.Errorf("%d were given up", st.Refused)
	}
	f.setAnswer(nil)
	c.move(90 * time.Minute)
	wait(t, "all", func() bool { return len(counts(f.at(shared("a.example")))) == 10 })
	r.until(t, "a.example", "up")
}

// F31, F32: a shared inbox that says 404 is asked three times within two days
// before what waits for it is dropped; an account's own says it for itself alone.
func TestGone(t *testing.T) {
	t.Parallel()
	c := &clock{}
	f := newFleet()
	f.setAnswer(func(inbox, _ string, _ int) (delivery.Answer, error) {
		if hostOf(inbox) == "gone.example" || strings.Contains(inbox, "/users/left/") {
			return delivery.Answer{Status: http.StatusGone}, nil
		}
		return delivery.Answer{Status: http.StatusAccepted}, nil
	})
	r := newRig(t, open(t, newDSN(t)), f, c.set).run(t)
	r.stage(t, 0, 10, delivery.Fanout, "gone.example", "a.example")
	own := message("own", "Like", delivery.Direct)
	own.Extra = []delivery.Inbox{{URL: "https://a.example/users/left/inbox"}}
	r.send(t, own)
	r.until(t, "gone.example", "gone")
	wait(t, "the answers", func() bool { return r.state(t, "gone.example").InFlight == 0 })
	wait(t, "the other host", func() bool { return len(f.at(shared("a.example"))) == 10 })
	if st := r.state(t, "a.example"); st.State != "up" {
		t.Errorf("a 410 of one account stopped its server: %+v", st)
	}
	for i := range 2 {
		n := f.tried(shared("gone.example"))
		c.move(41 * time.Hour)
		wait(t, fmt.Sprint("probe ", i), func() bool {
			return f.tried(shared("gone.example")) > n && r.state(t, "gone.example").InFlight == 0
		})
		if got := r.state(t, "gone.example").Backlog; i == 0 && got == 0 {
			t.Error("dropped at the second time already")
		}
	}
	wait(t, "dropped", func() bool { return r.state(t, "gone.example").Backlog == 0 })
	// It comes back: what is new arrives.
	f.setAnswer(nil)
	r.Heard("gone.example")
	r.send(t, message("new", "Create", delivery.Fanout, "gone.example"))
	c.move(25 * time.Hour)
	wait(t, "the new one", func() bool { return slices.Contains(f.at(shared("gone.example")), "new Create") })
}

// F31: what waited for an inbox that moved goes to where it is now.
func TestMovedInbox(t *testing.T) {
	t.Parallel()
	f := newFleet()
	f.setAnswer(func(inbox, _ string, _ int) (delivery.Answer, error) {
		if inbox == shared("a.example") {
			return delivery.Answer{Status: http.StatusNotFound}, nil
		}
		return delivery.Answer{Status: http.StatusAccepted}, nil
	})
	r := newRig(t, open(t, newDSN(t)), f, func(c *delivery.Config) {
		c.Moved = func(_ context.Context, inbox string) string {
			if inbox == shared("a.example") {
				return "https://a.example/new-inbox"
			}
			return ""
		}
	}).run(t)
	r.stage(t, 0, 20, delivery.Fanout, "a.example")
	wait(t, "all at the new one", func() bool { return len(counts(f.at("https://a.example/new-inbox"))) == 20 })
	r.settle(t)
	r.until(t, "a.example", "up")
}

// F31: a parked domain takes everything, with a page. It is found out, and what
// comes then waits.
func TestParkedDomain(t *testing.T) {
	t.Parallel()
	f := newFleet()
	f.setAnswer(func(string, string, int) (delivery.Answer, error) {
		return delivery.Answer{Status: http.StatusOK, HTML: true}, nil
	})
	r := newRig(t, open(t, newDSN(t)), f, func(c *delivery.Config) {
		c.Backoff = time.Hour
		c.Alive = func(_ context.Context, host string) bool { return host != "parked.example" }
	}).run(t)
	r.send(t, message("n", "Create", delivery.Fanout, "parked.example", "odd.example"))
	wait(t, "found out", func() bool { return r.state(t, "parked.example").Fails > 0 })
	if st := r.state(t, "odd.example"); st.State != "up" {
		t.Errorf("a server that answers with pages: %+v", st)
	}
}

// F35, F37: a host that was away gets exactly what it missed: all of it after 23
// minutes and two days; after eight and sixty days what the log still holds, and
// every deletion.
func TestAway(t *testing.T) {
	t.Parallel()
	for _, away := range []struct {
		name string
		time time.Duration
		old  bool // what came first is no longer in the log
	}{{"23 minutes", 23 * time.Minute, false}, {"2 days", 48 * time.Hour, false}, {"8 days", 8 * 24 * time.Hour, true}, {"60 days", 60 * 24 * time.Hour, true}} {
		t.Run(away.name, func(t *testing.T) {
			t.Parallel()
			ctx := context.Background()
			dsn := newDSN(t)
			c := &clock{}
			f := newFleet()
			down := atomic.Bool{}
			f.answer = func(inbox, _ string, _ int) (delivery.Answer, error) {
				if down.Load() && hostOf(inbox) == "away.example" {
					return delivery.Answer{}, errDown
				}
				return delivery.Answer{Status: 202}, nil
			}
			set := func(cfg *delivery.Config) {
				c.set(cfg)
				cfg.Tombstone = func(_, _, object string) []byte { return []byte(object + " Delete") }
			}
			r := newRig(t, open(t, dsn), f, set).run(t)
			both := []string{"away.example", "there.example"}
			for i := range 10 {
				r.send(t, message(fmt.Sprint("had", i), "Create", delivery.Fanout, both...))
			}
			r.settle(t)
			down.Store(true)
			r.send(t, message("missed", "Create", delivery.Fanout, both...))
			wait(t, "it is away", func() bool { return r.state(t, "away.example").Fails > 0 })
			for i := range 5 {
				r.send(t, message(fmt.Sprint("had", i), "Delete", delivery.Fanout, both...))
			}
			undo := message("liked", "Undo", delivery.Direct, both...)
			r.send(t, undo)
			wait(t, "the other has them", func() bool { return len(counts(f.at(shared("there.example")))) == 10+1+5+1 })
			// An operation while it is away.
			half := away.time / 2
			c.move(half)
			r.send(t, message("probe", "Like", delivery.Direct, "away.example"))
			op := r.openStream(t, "had", 0)
			for i := 5; i < 8; i++ {
				m := message(fmt.Sprint("had", i), "Delete", delivery.Bulk, both...)
				m.Stream = op
				r.send(t, m)
			}
			r.closeStream(t, op)
			wait(t, "the other has it", func() bool { return f.of("there.example", "had") == 10+8 })
			c.move(away.time - half)
			r.stop() // its partitions are looked after at the start
			r = newRig(t, open(t, dsn), f, set).run(t)
			if away.old {
				wait(t, "what is old was dropped", func() bool {
					var n int
					must(t, r.db.QueryRow(ctx, "SELECT count(*) FROM fed_log_live WHERE activity_id LIKE '%/missed/%'").Scan(&n))
					return n == 0
				})
				r.stop() // it may have read them before
				r = newRig(t, open(t, dsn), f, set).run(t)
			}
			r.send(t, message("probe2", "Like", delivery.Direct, "away.example"))
			r.send(t, message("fresh", "Create", delivery.Fanout, both...))
			wait(t, "it is tried", func() bool { return r.state(t, "away.example").Fails > 0 })
			down.Store(false)
			r.Heard("away.example")
			c.move(7 * time.Hour)
			wait(t, "what is new", func() bool { return slices.Contains(f.at(shared("away.example")), "fresh Create") })
			r.settle(t)
			wait(t, "all deletions", func() bool {
				got := counts(f.at(shared("away.example")))
				for i := range 8 {
					if got[fmt.Sprintf("had%d Delete", i)] == 0 {
						return false
					}
				}
				return got["liked Undo"] > 0
			})
			got := f.at(shared("away.example"))
			if has := slices.Contains(got, "missed Create"); has == away.old {
				t.Errorf("has what it missed first: %v", has)
			}
			if away.old {
				if d, fresh := slices.Index(got, "had0 Delete"), slices.Index(got, "fresh Create"); fresh < d {
					t.Errorf("was told what is new (%d) before what was deleted (%d)", fresh, d)
				}
			}
			if !away.old && len(got) != len(counts(got)) {
				t.Errorf("%d, %d distinct", len(got), len(counts(got)))
			}
		})
	}
}

// F37: a host that was away for long is told first what was deleted, also when so
// few requests failed that its breaker is not open.
func TestAwaySeldomAsked(t *testing.T) {
	t.Parallel()
	c := &clock{}
	f := newFleet()
	down := atomic.Bool{}
	f.answer = func(string, string, int) (delivery.Answer, error) {
		if down.Load() {
			return delivery.Answer{}, errDown
		}
		return delivery.Answer{Status: 202}, nil
	}
	f.wait = func(string) time.Duration { return 50 * time.Millisecond }
	r := newRig(t, open(t, newDSN(t)), f, func(cfg *delivery.Config) {
		c.set(cfg)
		cfg.Backoff = time.Hour
		cfg.Tombstone = func(_, _, object string) []byte { return []byte(object + " Delete") }
	}).run(t)
	for i := range 40 { // it is asked with many at once
		r.send(t, message(fmt.Sprint("before", i), "Create", delivery.Fanout, "away.example"))
	}
	r.send(t, message("had", "Create", delivery.Fanout, "away.example"))
	r.settle(t)
	down.Store(true)
	r.send(t, message("missed", "Create", delivery.Fanout, "away.example"))
	wait(t, "it is away", func() bool { return r.state(t, "away.example").Fails > 0 })
	r.send(t, message("had", "Delete", delivery.Fanout, "away.example"))
	r.send(t, message("probe", "Like", delivery.Direct, "away.example"))
	down.Store(false)
	c.move(8 * 24 * time.Hour)
	r.Heard("away.example")
	wait(t, "all of it", func() bool {
		got := counts(f.at(shared("away.example")))
		return got["missed Create"] > 0 && got["had Delete"] > 0 && got["probe Like"] > 0
	})
	got := f.at(shared("away.example"))
	if slices.Index(got, "missed Create") < slices.Index(got, "had Delete") {
		t.Errorf("what is new came before what was deleted: %q", got)
	}
}

// F36: when our own network is down nobody is taken for dead by it, and on its
// return not all are asked at once.
func TestOwnNetworkDown(t *testing.T) {
	t.Parallel()
	f := newFleet()
	var most, now atomic.Int32
	down := atomic.Bool{}
	down.Store(true)
	f.answer = func(string, string, int) (delivery.Answer, error) {
		if down.Load() {
			return delivery.Answer{}, errDown
		}
		return delivery.Answer{Status: 202}, nil
	}
	f.wait = func(string) time.Duration {
		if down.Load() {
			return 0
		}
		for n := now.Add(1); ; {
			if m := most.Load(); n <= m || most.CompareAndSwap(m, n) {
				break
			}
		}
		time.Sleep(5 * time.Millisecond)
		now.Add(-1)
		return 0
	}
	r := newRig(t, open(t, newDSN(t)), f, func(c *delivery.Config) { c.Backoff = 40 * time.Millisecond }).run(t)
	names := hosts(120)
	r.stage(t, 0, 5, delivery.Fanout, names...)
	wait(t, "all fail", func() bool {
		st, err := r.Status(context.Background())
		must(t, err)
		n := 0
		for _, h := range st.Hosts {
			if h.Fails >= 3 {
				n++
			}
		}
		return n == len(names)
	})
	down.Store(false)
	wait(t, "all have all", func() bool { return f.total() >= 5*len(names) })
	r.settle(t)
	if most.Load() > 60 {
		t.Errorf("%d hosts were asked at once", most.Load())
	}
	for _, h := range names {
		if got := f.at(shared(h)); len(got) != 5 || len(counts(got)) != 5 {
			t.Errorf("%s: %d", h, len(got))
		}
	}
}

// F9, retries: three thousand dead hosts are asked at most eight at a time, and
// no more than the budget allows.
func TestDeadHostsCostLittle(t *testing.T) {
	t.Parallel()
	f := newFleet()
	var most, now atomic.Int32
	f.wait = func(inbox string) time.Duration {
		if hostOf(inbox) == "good.example" {
			return 0
		}
		n := now.Add(1)
		for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
		}
		time.Sleep(20 * time.Millisecond)
		now.Add(-1)
		return 0
	}
	f.answer = func(inbox, _ string, _ int) (delivery.Answer, error) {
		if hostOf(inbox) == "good.example" {
			return delivery.Answer{Status: 202}, nil
		}
		return delivery.Answer{}, errDown
	}
	d := open(t, newDSN(t))
	r := newRig(t, d, f, func(c *delivery.Config) { c.Retries = 20; c.Backoff = time.Millisecond })
	names := append(hosts(3000), "good.example")
	r.stage(t, 0, 1, delivery.Fanout, names...)
	// They have been dead for long.
	_, err := d.Exec(context.Background(), `INSERT INTO fed_host (host, fails, fail_since, next_try)
		SELECT 'h' || i || '.example', 20, now() - interval '8 days', now() FROM generate_series(0, 2999) i
		ON CONFLICT (host) DO UPDATE SET fails = excluded.fails, fail_since = excluded.fail_since, next_try = excluded.next_try`)
	must(t, err)
	r.run(t)
	wait(t, "probes", func() bool { return now.Load() > 0 || f.total() > 0 })
	began := time.Now()
	for i := range 50 {
		r.send(t, message(fmt.Sprint("live", i), "Create", delivery.Fanout, "good.example"))
		time.Sleep(20 * time.Millisecond)
	}
	wait(t, "the good host", func() bool { return len(f.at(shared("good.example"))) == 51 })
	took := time.Since(began)
	tries := 0
	for _, h := range names[:3000] {
		tries += f.tried(shared(h))
	}
	if most.Load() > 8 {
		t.Errorf("%d at a time", most.Load())
	}
	if allowed := 20 + int(took.Seconds()) + 51/10 + 10; tries > allowed {
		t.Errorf("%d retries in %v, allowed %d", tries, took, allowed)
	}
}

// F4, F7: hundreds of hosts that begin to hang in the same second leave room for
// those who answer.
func TestHundredsHang(t *testing.T) {
	t.Parallel()
	f := newFleet()
	hang := atomic.Bool{}
	f.wait = func(inbox string) time.Duration {
		if hang.Load() && !strings.HasPrefix(hostOf(inbox), "good") {
			return time.Hour
		}
		return 0
	}
	r := newRig(t, open(t, newDSN(t)), f).run(t)
	names := hosts(500)
	r.stage(t, 0, 1, delivery.Fanout, append(names, "good.example")...)
	wait(t, "all", func() bool { return f.total() == 501 })
	hang.Store(true)
	r.stage(t, 10, 20, delivery.Fanout, names...)
	wait(t, "many under way", func() bool { return f.underWay() > 500 })
	r.stage(t, 100, 20, delivery.Fanout, "good.example")
	wait(t, "who answers", func() bool { return len(f.at(shared("good.example"))) == 21 })
	// None of those that hang has ended yet: it was not their places that were used.
	st, err := r.Status(context.Background())
	must(t, err)
	for _, h := range st.Hosts {
		if h.Fails > 0 {
			t.Fatalf("%s had ended before", h.Host)
		}
	}
}
