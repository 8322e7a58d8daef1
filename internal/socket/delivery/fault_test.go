package delivery_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/socket/delivery"
)

var errDown = errors.New("connection refused")

// stage sends n messages of a class in transactions of 500.
func (r *rig) stage(t testing.TB, from, n int, class delivery.Class, audience ...string) {
	t.Helper()
	for i := from; i < from+n; {
		must(t, r.db.Tx(context.Background(), func(tx *pg.Tx) error {
			for end := min(i+500, from+n); i < end; i++ {
				if _, err := r.Send(context.Background(), tx, message(fmt.Sprintf("o%d", i), "Create", class, audience...)); err != nil {
					return err
				}
			}
			return nil
		}))
	}
}

// The set that arrives is whole at the sizes of windows and segments, and one
// beside them: both for an endpoint that was there and for one that was behind.
func TestBoundaries(t *testing.T) {
	t.Parallel()
	for _, n := range []int{1, 255, 256, 257, 511, 512, 513, 1023, 1024, 1025} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			t.Parallel()
			d := open(t, newDSN(t))
			f := newFleet()
			r := newRig(t, d, f)
			// Others' rows in between, so that numbers and windows do not coincide.
			r.stage(t, 0, 3, delivery.Fanout, "other.example")
			r.stage(t, 1000, n, delivery.Fanout, "a.example", "b.example")
			r.stage(t, 5, 2, delivery.Fanout, "other.example")
			r.run(t)
			r.settle(t)
			r.stage(t, 3000, n, delivery.Fanout, "a.example")
			r.settle(t)
			for host, want := range map[string]int{"a.example": 2 * n, "b.example": n, "other.example": 5} {
				got := f.at(shared(host))
				if len(got) != want || len(counts(got)) != want {
					t.Errorf("%s: %d, %d distinct, want %d", host, len(got), len(counts(got)), want)
				}
			}
		})
	}
}

// A process that dies takes at most its last acks with it.
func TestHardStop(t *testing.T) {
	t.Parallel()
	dsn := newDSN(t)
	f := newFleet()
	f.wait = func(string) time.Duration { return time.Millisecond }
	names := hosts(8)
	const n = 1500
	flushes := func(c *delivery.Config) { c.FlushEvery = 50 * time.Millisecond }
	r := newRig(t, open(t, dsn), f, flushes)
	r.stage(t, 0, n, delivery.Fanout, names...)
	for round := range 4 {
		r.run(t)
		before := f.total()
		wait(t, "progress", func() bool { return f.total() > before+n*len(names)/8 })
		r.kill()
		r = newRig(t, open(t, dsn), f, flushes)
		if round == 1 {
			r.stage(t, n, 10, delivery.Direct, names...)
		}
	}
	r.run(t)
	r.settle(t)
	total := 0
	for _, h := range names {
		got := f.at(shared(h))
		total += len(got)
		if len(counts(got)) != n+10 {
			t.Errorf("%s: %d distinct, want %d", h, len(counts(got)), n+10)
		}
	}
	t.Logf("%d duplicates of %d", total-(n+10)*len(names), (n+10)*len(names))
	r.stop()

	// After a good end nothing comes twice.
	r = newRig(t, open(t, dsn), f).run(t)
	r.settle(t)
	time.Sleep(300 * time.Millisecond)
	if f.total() != total {
		t.Errorf("%d came again", f.total()-total)
	}
}

// Hosts that fail, and hosts that hang, do not delay the others.
func TestFailingHosts(t *testing.T) {
	t.Parallel()
	f := newFleet()
	f.answer = func(inbox, _ string, _ int) (delivery.Answer, error) {
		if strings.HasPrefix(hostOf(inbox), "down") {
			return delivery.Answer{}, errDown
		}
		return delivery.Answer{Status: 202}, nil
	}
	f.wait = func(inbox string) time.Duration {
		if strings.HasPrefix(hostOf(inbox), "hang") {
			return time.Hour
		}
		return 0
	}
	r := newRig(t, open(t, newDSN(t)), f, func(c *delivery.Config) { c.Slots = 40; c.Backoff = time.Second }).run(t)
	all := append(hosts(5), "down0.example", "down1.example", "hang0.example", "hang1.example")
	r.stage(t, 0, 600, delivery.Fanout, all...)
	for _, h := range hosts(5) {
		wait(t, h, func() bool { return len(f.at(shared(h))) == 600 })
	}
	if n := f.tried(shared("down0.example")); n > 12 {
		t.Errorf("a host that is down was asked %d times", n)
	}
	if n := f.tried(shared("hang0.example")); n > 16 {
		t.Errorf("a host that hangs was asked %d times", n)
	}
}

// The breaker opens, asks with one request at a time, and the host gets all
// that waited, in order, when it is back.
func TestBreaker(t *testing.T) {
	t.Parallel()
	f := newFleet()
	f.setAnswer(func(string, string, int) (delivery.Answer, error) { return delivery.Answer{}, errDown })
	r := newRig(t, open(t, newDSN(t)), f, func(c *delivery.Config) { c.Backoff = 5 * time.Millisecond }).run(t)
	r.stage(t, 0, 700, delivery.Fanout, "a.example")
	status := func() delivery.HostStatus {
		st, err := r.Status(context.Background())
		must(t, err)
		for _, h := range st.Hosts {
			if h.Host == "a.example" {
				return h
			}
		}
		return delivery.HostStatus{State: "up"}
	}
	wait(t, "open", func() bool { s := status(); return s.State == "open" && s.Fails >= 6 })
	if s := status(); s.FailSince == nil || s.NextTry == nil || s.LastError != errDown.Error() || s.InFlight > 1 || s.Backlog == 0 {
		t.Errorf("status %+v", s)
	}
	// As many failures as requests: since it opened, one at a time.
	if s := status(); f.tried(shared("a.example")) > s.Fails+8 {
		t.Errorf("%d requests for %d failures", f.tried(shared("a.example")), s.Fails)
	}
	f.setAnswer(nil)
	r.Heard("a.example")
	wait(t, "all", func() bool { return len(f.at(shared("a.example"))) >= 700 })
	r.settle(t)
	if got := f.at(shared("a.example")); len(got) != 700 || len(counts(got)) != 700 {
		t.Errorf("%d, %d distinct", len(got), len(counts(got)))
	}
	if s := status(); s.State != "up" || s.Fails != 0 {
		t.Errorf("status %+v", s)
	}
}

// State survives a restart, and an inbound request ends the wait at once.
func TestHeardAfterRestart(t *testing.T) {
	t.Parallel()
	dsn := newDSN(t)
	f := newFleet()
	f.setAnswer(func(string, string, int) (delivery.Answer, error) {
		return delivery.Answer{Status: 503, RetryAfter: 10 * 365 * 24 * time.Hour}, nil
	})
	r := newRig(t, open(t, dsn), f).run(t)
	r.send(t, message("n", "Create", delivery.Direct, "a.example"))
	waits := func() bool {
		st, err := r.Status(context.Background())
		must(t, err)
		return len(st.Hosts) == 1 && st.Hosts[0].NextTry != nil
	}
	wait(t, "waiting", waits)
	st, err := r.Status(context.Background())
	must(t, err)
	if d := time.Until(*st.Hosts[0].NextTry); d < 23*time.Hour || d > 24*time.Hour {
		t.Errorf("next try in %v, want a day", d)
	}
	r.stop()
	tries := f.tried(shared("a.example"))
	f.setAnswer(nil)
	r = newRig(t, open(t, dsn), f).run(t)
	wait(t, "state", waits)
	time.Sleep(100 * time.Millisecond)
	if f.tried(shared("a.example")) != tries {
		t.Fatal("asked before its time")
	}
	wait(t, "delivery", func() bool { r.Heard("a.example"); return len(f.at(shared("a.example"))) == 1 })
}

// An activity that is refused, or that makes the host fail, stops no other; an
// inbox that is gone stops no other inbox of its host.
func TestPoison(t *testing.T) {
	t.Parallel()
	f := newFleet()
	f.answer = func(inbox, body string, _ int) (delivery.Answer, error) {
		switch {
		case strings.HasPrefix(body, "o7 "):
			return delivery.Answer{Status: 400}, nil
		case strings.HasPrefix(body, "o8 "):
			return delivery.Answer{Status: 500}, nil
		case strings.HasPrefix(body, "o9 "):
			return delivery.Answer{Status: 401}, nil
		case strings.HasPrefix(body, "o10 "):
			panic("a bug")
		case strings.Contains(inbox, "/users/gone/"):
			return delivery.Answer{Status: 410}, nil
		}
		return delivery.Answer{Status: 202}, nil
	}
	dsn := newDSN(t)
	r := newRig(t, open(t, dsn), f, func(c *delivery.Config) { c.Backoff = time.Millisecond; c.FlushEvery = 10 * time.Millisecond }).run(t)
	r.stage(t, 0, 400, delivery.Fanout, "a.example")
	for i := range 3 {
		m := message(fmt.Sprint("d", i), "Like", delivery.Direct)
		m.Extra = []delivery.Inbox{{URL: "https://a.example/users/gone/inbox"}}
		r.send(t, m)
		wait(t, "an answer", func() bool { return f.tried("https://a.example/users/gone/inbox") > 0 })
	}
	wait(t, "the good ones", func() bool { return len(counts(f.at(shared("a.example")))) == 396 })
	if n := f.tried("https://a.example/users/gone/inbox"); n > 2 {
		t.Errorf("an inbox that is gone was asked %d times", n)
	}
	// What comes after an activity that is tried again waits for it, and only that.
	r.send(t, message("o9", "Delete", delivery.Fanout, "a.example"))
	r.send(t, message("late", "Create", delivery.Fanout, "a.example"))
	wait(t, "late", func() bool { return slices.Contains(f.at(shared("a.example")), "late Create") })
	count := func() (n int) {
		must(t, r.db.QueryRow(context.Background(), "SELECT count(*) FROM fed_exception").Scan(&n))
		return n
	}
	wait(t, "exceptions", func() bool { return count() == 4 })
	st, err := r.Status(context.Background())
	must(t, err)
	if len(st.Hosts) != 1 || st.Hosts[0].Refused != 1 || st.Hosts[0].Singles != 4 || !strings.Contains(st.Hosts[0].LastRefused, "/o7/") {
		t.Errorf("status %+v", st.Hosts)
	}
	r.stop()

	// They are tried again after a restart, once their time has come.
	f.setAnswer(nil)
	r = newRig(t, open(t, dsn), f, func(c *delivery.Config) {
		c.Now = func() time.Time { return time.Now().Add(time.Hour) }
	}).run(t)
	wait(t, "the rest", func() bool { return len(f.at(shared("a.example"))) == 396+1+3+1 })
	got := f.at(shared("a.example"))
	if c, d := slices.Index(got, "o9 Create"), slices.Index(got, "o9 Delete"); c < 0 || d < c {
		t.Errorf("Create at %d, Delete at %d", c, d)
	}
	wait(t, "no exceptions", func() bool { return count() == 0 })
}

// Create, Update and Delete of an object keep their order through failures,
// also when the Delete is in the bulk lane.
func TestOrderOfAnObject(t *testing.T) {
	t.Parallel()
	f := newFleet()
	f.answer = func(inbox, _ string, try int) (delivery.Answer, error) {
		if hostOf(inbox) == "flaky.example" && try%3 != 0 {
			return delivery.Answer{Status: 429}, nil
		}
		return delivery.Answer{Status: 202}, nil
	}
	f.wait = func(string) time.Duration { return 2 * time.Millisecond }
	r := newRig(t, open(t, newDSN(t)), f, func(c *delivery.Config) { c.Backoff = time.Millisecond }).run(t)
	names := append(hosts(3), "flaky.example")
	const objects = 40
	for i := range objects {
		object := fmt.Sprintf("o%d", i)
		r.send(t, message(object, "1Create", delivery.Fanout, names...))
		r.send(t, message(object, "2Update", delivery.Background, names...))
		r.send(t, message(object, "3Like", delivery.Direct, names...))
		r.send(t, message(object, "4Delete", delivery.Bulk, names...))
	}
	for _, h := range names {
		wait(t, h, func() bool { return len(counts(f.at(shared(h)))) == 4*objects })
		last := map[string]string{}
		for _, body := range f.at(shared(h)) {
			object, verb, _ := strings.Cut(body, " ")
			if verb == "3Like" {
				continue // a higher lane does not wait for what is unread of a lower
			}
			if verb <= last[object] {
				t.Errorf("%s: %s of %s after %s", h, verb, object, last[object])
			}
			last[object] = verb
		}
	}
	if len(f.clash) > 0 {
		t.Errorf("two of an object at a time: %v", f.clash)
	}
}

// With a backlog of bulk, what is live is delivered before the bulk is.
func TestLiveBeforeBulk(t *testing.T) {
	t.Parallel()
	f := newFleet()
	f.wait = func(string) time.Duration { return 20 * time.Millisecond }
	r := newRig(t, open(t, newDSN(t)), f, func(c *delivery.Config) { c.Slots = 60 })
	names := hosts(10)
	backlog := 20_000
	if testing.Short() {
		backlog = 2000
	}
	r.stage(t, 0, backlog, delivery.Bulk, names...)
	r.run(t)
	wait(t, "bulk begins", func() bool { return f.total() > 200 })
	before := f.total()
	const live = 20
	for i := range live {
		r.send(t, message(fmt.Sprint("live", i), "Create", delivery.Class(i%2), names...))
	}
	for _, h := range names {
		wait(t, h, func() bool {
			n := 0
			for _, b := range f.at(shared(h)) {
				if strings.HasPrefix(b, "live") {
					n++
				}
			}
			return n == live
		})
	}
	during := f.total() - before - live*len(names)
	t.Logf("%d of bulk meanwhile", during)
	if during > 5000 {
		t.Errorf("%d of bulk went out before %d live ones", during, live*len(names))
	}
	var size, cursors int
	must(t, r.db.QueryRow(context.Background(), "SELECT (SELECT count(*) FROM fed_log_bulk), (SELECT count(*) FROM fed_cursor)").Scan(&size, &cursors))
	if size != backlog || cursors > 3*len(names) {
		t.Errorf("%d rows, %d cursors", size, cursors)
	}
}

func TestPause(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	r := newRig(t, open(t, newDSN(t)), newFleet()).run(t)
	if err := r.Pause(ctx, "a.example"); !errors.Is(err, delivery.ErrNoHost) {
		t.Fatal(err)
	}
	r.stage(t, 0, 1, delivery.Direct, "a.example")
	r.settle(t)
	must(t, r.Pause(ctx, "a.example"))
	r.stage(t, 1, 600, delivery.Fanout, "a.example", "b.example")
	wait(t, "the other", func() bool { return len(r.fleet.at(shared("b.example"))) == 600 })
	if n := len(r.fleet.at(shared("a.example"))); n != 1 {
		t.Fatalf("%d came in the pause", n)
	}
	must(t, r.Resume(ctx, "a.example"))
	r.settle(t)
	if got := r.fleet.at(shared("a.example")); len(got) != 601 || len(counts(got)) != 601 {
		t.Errorf("%d came", len(got))
	}
}

// What is too old is dropped with its partition; a cursor that waited there
// goes on behind it, and the skipped numbers are counted.
func TestRetention(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	dsn := newDSN(t)
	f := newFleet()
	f.setAnswer(func(string, string, int) (delivery.Answer, error) { return delivery.Answer{}, errDown })
	days := 0
	clock := func(c *delivery.Config) {
		c.Now = func() time.Time { return time.Now().AddDate(0, 0, days) }
		c.FlushEvery = 10 * time.Millisecond
	}
	r := newRig(t, open(t, dsn), f, clock).run(t)
	r.stage(t, 0, 1300, delivery.Fanout, "a.example")
	wait(t, "open", func() bool { return f.tried(shared("a.example")) > 4 })
	wait(t, "numbered", func() bool {
		var n int
		must(t, r.db.QueryRow(ctx, "SELECT count(*) FROM fed_stage").Scan(&n))
		return n == 0
	})
	r.stop()

	days = 9
	f.setAnswer(nil)
	r = newRig(t, open(t, dsn), f, clock).run(t)
	wait(t, "dropped", func() bool {
		var n int
		must(t, r.db.QueryRow(ctx, "SELECT count(*) FROM fed_log_live").Scan(&n))
		return n == 0
	})
	r.stage(t, 2000, 3, delivery.Fanout, "a.example")
	wait(t, "the new ones", func() bool {
		return len(slices.DeleteFunc(f.at(shared("a.example")), func(b string) bool { return b < "o2000" || len(b) < 12 })) == 3
	})
	r.settle(t)
	r.stop()
	var acked, skipped int64
	must(t, open(t, dsn).QueryRow(ctx, "SELECT acked, skipped FROM fed_cursor").Scan(&acked, &skipped))
	if acked != 1303 {
		t.Errorf("acked %d, want 1303", acked)
	}
	t.Logf("skipped %d", skipped)
}
