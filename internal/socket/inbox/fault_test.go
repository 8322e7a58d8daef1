package inbox_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/socket/inbox"
)

// TestDuplicates: copies that come at once, from two doors and two workers, and
// copies that come after the first was processed, have one effect.
func TestDuplicates(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.s.Plug(everything(record)...)
	w.run(w.s)
	second := w.service()
	second.Plug(everything(record)...)
	w.run(second)
	bob := w.actor("https://b.example/bob")
	var want []string
	for i := range 20 {
		v := bob.create(fmt.Sprint(i))
		want = append(want, v["id"].(string))
		var wg sync.WaitGroup
		for n := range 6 {
			wg.Go(func() {
				if n%3 == 0 {
					if err := second.Accept(t.Context(), bob.info, text(v)); err != nil {
						t.Error(err)
					}
				} else {
					w.must(bob, v, 202)
				}
			})
		}
		wg.Wait()
	}
	w.settle()
	w.must(bob, bob.create("0"), 202)
	w.settle()
	got := w.effects()
	slices.Sort(got)
	slices.Sort(want)
	same(t, got, want...)
}

// TestF39: deletions and updates of accounts that nobody here has heard of cost
// neither a fetch nor a row.
func TestF39(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.s.Plug(everything(record)...)
	for i := range 50 {
		a := w.stranger(fmt.Sprintf("https://b.example/u%d", i))
		for _, object := range []any{a.id, doc("id", a.id, "type", "Person")} {
			w.must(a, doc("id", a.id+"#delete", "type", "Delete", "actor", a.id, "object", object), 202)
			w.must(a, doc("id", a.id+"#update", "type", "Update", "actor", a.id, "object", object), 202)
		}
	}
	if w.rows()+w.seen()+w.calls("b.example") != 0 {
		t.Fatal(w.rows(), w.seen(), w.calls("b.example"))
	}
	// One who is known is another matter: also when the key has gone since.
	bob := w.actor("https://b.example/bob")
	w.must(bob, doc("id", bob.id+"#delete", "type", "Delete", "actor", bob.id, "object", bob.id), 202)
	if w.rows() != 1 {
		t.Fatal(w.rows())
	}
	old := *bob
	old.key.ID = bob.id + "#old"
	w.keyErr[old.key.ID] = errGone
	w.must(&old, doc("id", bob.id+"#delete2", "type", "Delete", "actor", bob.id, "object", bob.id), 202)
	w.must(&old, bob.create("1"), 401)
	if w.rows() != 1 || w.calls("b.example") != 1 {
		t.Fatal(w.rows(), w.calls("b.example"))
	}
}

// TestF40: behind a long queue of one host, what is said to somebody here comes
// first, and other hosts have their turn.
func TestF40(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var open atomic.Bool
	gate := make(chan struct{})
	var most, now atomic.Int64
	w.s.Plug(everything(func(ctx context.Context, tx *pg.Tx, a *inbox.Activity) error {
		if a.Host == "relay.example" {
			n := now.Add(1)
			defer now.Add(-1)
			for was := most.Load(); n > was && !most.CompareAndSwap(was, n); was = most.Load() {
			}
			if !open.Load() {
				select {
				case <-gate:
				case <-ctx.Done():
				}
			}
			time.Sleep(10 * time.Millisecond) // or the queue is worked off before it is looked at again
		}
		return record(ctx, tx, a)
	})...)
	relay, bob := w.actor("https://relay.example/r"), w.actor("https://b.example/bob")
	for i := range 300 {
		if err := w.s.Accept(t.Context(), relay.info, text(relay.create(fmt.Sprint(i)))); err != nil {
			t.Fatal(err)
		}
	}
	w.run(w.s)
	w.until("busy", func() bool { return now.Load() == 4 })
	w.must(bob, bob.create("1"), 202)
	w.until("bob", func() bool { return slices.Equal(w.effects(), []string{bob.id + "/create/1"}) })
	w.must(relay, relay.create("direct", "to", []any{w.url + "/users/ann"}), 202)
	open.Store(true)
	close(gate)
	w.settle()
	got := w.effects()
	if at := slices.Index(got, relay.id+"/create/direct"); len(got) != 302 || at > 150 {
		t.Fatal(len(got), at)
	}
	if most.Load() > 4 {
		t.Fatal(most.Load())
	}
}

// TestLanes: what is to somebody here goes before what those write whom people
// here follow, that before the rest, and what a relay tells comes last but for
// accounts that change.
func TestLanes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.s.Plug(everything(record)...)
	want := []string{}
	actors := map[string]*actor{}
	for _, name := range []string{"account", "relay", "other", "followed", "direct"} {
		a := w.actor("https://" + name + ".example/u")
		a.info.Followed = name == "followed"
		actors[name] = a
		want = append([]string{a.id}, want...)
	}
	send := func(name string, activity map[string]any) {
		t.Helper()
		if err := w.s.Accept(t.Context(), actors[name].info, text(activity)); err != nil {
			t.Fatal(err)
		}
	}
	acc := actors["account"]
	send("account", map[string]any{"id": acc.id + "/update/1", "type": "Update", "actor": acc.id, "object": map[string]any{"id": acc.id, "type": "Person"}})
	rel := actors["relay"]
	send("relay", map[string]any{"id": rel.id + "/announce/1", "type": "Announce", "actor": rel.id, "object": "https://elsewhere.example/n/1"})
	send("other", actors["other"].create("1"))
	send("followed", actors["followed"].create("1"))
	send("direct", actors["direct"].create("1", "to", []any{w.url + "/users/ann"}))
	var got []string
	rows, err := w.db.Query(t.Context(), "SELECT actor FROM fed_inbox ORDER BY lane")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var a string
		if err := rows.Scan(&a); err != nil {
			t.Fatal(err)
		}
		got = append(got, a)
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// TestF41: a host that does not answer for its keys holds up itself only, its
// requests are bounded, and it is not asked for each of them.
func TestF41(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.s.Plug(everything(record)...)
	hang := make(chan struct{})
	w.hang["h.example"] = hang
	bob := w.stranger("https://b.example/bob")
	var mu sync.Mutex
	got := map[int]int{}
	var wg sync.WaitGroup
	for i := range 130 {
		a := w.stranger(fmt.Sprintf("https://h.example/u%d", i%40))
		wg.Go(func() {
			status := w.post(a, a.create(fmt.Sprint(i)))
			mu.Lock()
			defer mu.Unlock()
			got[status]++
		})
	}
	w.until("refused", func() bool { mu.Lock(); defer mu.Unlock(); return got[503] == 30 })
	if n := w.calls("h.example"); n != 4 {
		t.Fatalf("%d at a time", n)
	}
	w.must(bob, bob.create("1"), 202)
	close(hang)
	wg.Wait()
	// The last key of each name is the right one; the others do not fit it.
	if n := w.calls("h.example"); n > 40+got[401] || got[202] == 0 || got[202]+got[401] != 100 {
		t.Fatal(n, got)
	}
}

// TestKeyFailures: a key that could not be had is not asked for again for a
// minute, one that is gone for an hour.
func TestKeyFailures(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.s.Plug(everything(record)...)
	gone, down := w.stranger("https://b.example/gone"), w.stranger("https://b.example/down")
	w.keyErr[gone.key.ID], w.keyErr[down.key.ID] = errGone, errors.New("no answer")
	ask := func(want int) {
		t.Helper()
		w.must(gone, gone.create("1"), 401)
		w.must(down, down.create("1"), 503)
		if n := w.calls("b.example"); n != want {
			t.Fatalf("%d requests, want %d", n, want)
		}
	}
	ask(2)
	ask(2)
	w.advance(61 * time.Second)
	ask(3)
	w.advance(59 * time.Minute)
	ask(5)
	delete(w.keyErr, down.key.ID)
	w.advance(61 * time.Second)
	w.must(down, down.create("1"), 202)
}

// TestKeyRotation: a known key that does not fit is asked for again, once in a
// quarter of an hour.
func TestKeyRotation(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.s.Plug(everything(record)...)
	old := w.actor("https://b.example/bob")
	renewed := w.stranger("https://b.example/bob")
	w.must(renewed, renewed.create("1"), 202)
	w.must(renewed, renewed.create("2"), 202)
	if n := w.calls("b.example"); n != 1 {
		t.Fatal(n)
	}
	for range 5 {
		w.must(old, old.create("3"), 401)
	}
	if n := w.calls("b.example"); n != 1 {
		t.Fatal(n)
	}
	w.advance(16 * time.Minute)
	w.must(old, old.create("3"), 401)
	w.must(old, old.create("3"), 401)
	if n := w.calls("b.example"); n != 2 || w.rows() != 2 {
		t.Fatal(n, w.rows())
	}
}

// TestF42: a Delete that comes before its Create buries it, for seven days.
func TestF42(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.s.Plug(inbox.On("Delete", func(ctx context.Context, tx *pg.Tx, a *inbox.Activity) error {
		return w.s.Tombstone(ctx, tx, a.Object.Ref("object"))
	}), inbox.On("Create", func(ctx context.Context, tx *pg.Tx, a *inbox.Activity) error {
		buried, err := w.s.Buried(ctx, tx, a.Object.Ref("object"))
		if err != nil {
			return err
		}
		if buried {
			return inbox.Drop("buried")
		}
		return record(ctx, tx, a)
	}))
	stop := w.run(w.s)
	bob := w.actor("https://b.example/bob")
	w.must(bob, doc("id", bob.id+"/d", "type", "Delete", "actor", bob.id, "object", bob.id+"/note/1"), 202)
	w.settle()
	w.must(bob, bob.create("1"), 202)
	w.must(bob, bob.create("2"), 202)
	w.settle()
	same(t, w.effects(), bob.id+"/create/2")
	// What was dropped is done with: seen, and not tried again.
	if w.rows() != 0 || w.seen() != 3 {
		t.Fatal(w.rows(), w.seen())
	}
	stop()
	w.advance(8 * 24 * time.Hour)
	w.run(w.service())
	w.until("forgotten", func() bool { return w.count(`SELECT count(*) FROM fed_tombstone`) == 0 })
	if w.seen() != 3 {
		t.Fatal("forgot too early what it saw")
	}
}

// TestF43: what was answered with 202 is processed by the next process when
// this one died before, or in the middle of it.
func TestF43(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	bob := w.actor("https://b.example/bob")
	started := make(chan struct{}, 10)
	w.s.Plug(everything(func(ctx context.Context, tx *pg.Tx, a *inbox.Activity) error {
		if err := record(ctx, tx, a); err != nil {
			return err
		}
		started <- struct{}{}
		<-ctx.Done() // until it is cut off
		return ctx.Err()
	})...)
	for i := range 10 {
		w.must(bob, bob.create(fmt.Sprint(i)), 202)
	}
	stop := w.run(w.s)
	<-started
	stop()
	if w.rows() != 10 || w.seen() != 0 || len(w.effects()) != 0 {
		t.Fatal(w.rows(), w.seen(), w.effects())
	}
	next := w.service()
	next.Plug(everything(record)...)
	w.run(next)
	w.settle()
	if n := len(w.effects()); n != 10 || w.rows() != 0 || w.seen() != 10 {
		t.Fatal(n, w.rows(), w.seen())
	}
	if n := w.count(`SELECT max(attempts) FROM (SELECT 0 AS attempts UNION SELECT attempts FROM fed_inbox) x`); n != 0 {
		t.Fatal("being stopped counted as an attempt")
	}
}

// TestF43Killed: a backend that dies in the middle of a handler leaves nothing
// half done, and the activity is processed once.
func TestF43Killed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	bob := w.actor("https://b.example/bob")
	var once sync.Once
	w.s.Plug(everything(func(ctx context.Context, tx *pg.Tx, a *inbox.Activity) error {
		if err := record(ctx, tx, a); err != nil {
			return err
		}
		once.Do(func() { _, _ = tx.Exec(ctx, `SELECT pg_terminate_backend(pg_backend_pid())`) })
		return nil
	})...)
	w.run(w.s)
	w.must(bob, bob.create("1"), 202)
	w.until("processed", func() bool { return len(w.effects()) == 1 && w.rows() == 0 })
}

// TestF44: an id that somebody forged, or for which he has no right, does not
// keep the real activity out.
func TestF44(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.s.Plug(everything(record)...)
	w.run(w.s)
	bob, mal := w.actor("https://b.example/bob"), w.actor("https://m.example/mal")
	real := bob.create("1")
	forged := bob.create("1", "content", "forged")
	w.must(&actor{id: bob.id, key: mal.key}, forged, 401) // signed by another
	w.must(newActor(bob.id), forged, 401)                 // signed with another key
	forged["actor"] = mal.id
	w.must(mal, forged, 401) // an id of another host
	w.must(bob, real, 202)
	w.settle()
	same(t, w.effects(), bob.id+"/create/1")
}

// TestOrder: activities on one object are processed one at a time and in the
// order in which they came, also when one of them fails or waits; others do not
// wait for them.
func TestOrder(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	bob := w.actor("https://b.example/bob")
	var mu sync.Mutex
	busy := map[string]bool{}
	tries := map[string]int{}
	w.s.Plug(everything(func(ctx context.Context, tx *pg.Tx, a *inbox.Activity) error {
		object := a.Object.Ref("object")
		mu.Lock()
		if busy[object] {
			t.Error("two at a time on", object)
		}
		busy[object] = true
		tries[a.ID]++
		try := tries[a.ID]
		mu.Unlock()
		time.Sleep(time.Millisecond)
		defer func() { mu.Lock(); busy[object] = false; mu.Unlock() }()
		switch {
		case strings.HasSuffix(a.ID, "/fails") && try == 1:
			return errors.New("not now")
		case strings.HasSuffix(a.ID, "/waits") && try == 1:
			return inbox.Needs{URI: "https://c.example/1"}
		}
		return record(ctx, tx, a)
	})...)
	w.fetch = func(string) error { time.Sleep(50 * time.Millisecond); return nil }
	w.run(w.s)
	const objects, each = 8, 12
	for n := range each {
		for i := range objects {
			v := bob.create(fmt.Sprint(i))
			v["id"] = fmt.Sprintf("%s/%d/%02d", bob.id, i, n)
			if n > 0 {
				v["type"] = "Update"
			}
			if n%3 == 1 { // another lane
				v["to"] = []any{w.url + "/users/ann"}
			}
			if n == 2 && i == 0 {
				v["id"] = bob.id + "/0/02/fails"
			}
			if n == 2 && i == 1 {
				v["id"] = bob.id + "/1/02/waits"
			}
			w.must(bob, v, 202)
		}
	}
	w.until("all", func() bool { return w.count(`SELECT count(*) FROM effect`) == objects*each })
	byObject := map[string][]string{}
	for _, id := range w.effects() {
		o := strings.Split(id, "/")[4]
		byObject[o] = append(byObject[o], id)
	}
	for o, ids := range byObject {
		if !slices.IsSorted(ids) {
			t.Errorf("object %s: %v", o, ids)
		}
	}
}

// TestBacklog: a queue that was there before the start is processed whole, also
// where many activities stand behind each other.
func TestBacklog(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	bob := w.actor("https://b.example/bob")
	w.s.Plug(everything(record)...)
	for i := range 1200 {
		v := bob.create(fmt.Sprint(i % 3))
		v["id"] = fmt.Sprintf("%s/%04d", bob.id, i)
		if err := w.s.Accept(t.Context(), bob.info, text(v)); err != nil {
			t.Fatal(err)
		}
	}
	start := time.Now()
	w.run(w.s)
	w.settle()
	if n := len(w.effects()); n != 1200 {
		t.Fatal(n)
	}
	t.Log(time.Since(start))
}

// TestRetry: a failing handler is asked ten times, less and less often; then the
// activity stays as failed, without its body after a day.
func TestRetry(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	bob := w.actor("https://b.example/bob")
	var tries atomic.Int64
	w.s.Plug(inbox.On("Create", func(ctx context.Context, tx *pg.Tx, a *inbox.Activity) error {
		if err := record(ctx, tx, a); err != nil {
			return err
		}
		if n := tries.Add(1); n == 3 {
			panic("secret words")
		} else if n == 4 {
			_, err := tx.Exec(ctx, `SELECT 'secret words'::int`)
			return err
		}
		return errors.New("broken")
	}), inbox.On("Update", record))
	w.advance(0)
	stop := w.run(w.s)
	w.must(bob, bob.create("1"), 202)
	v := bob.create("1")
	v["id"], v["type"] = bob.id+"/update", "Update"
	w.must(bob, v, 202)
	for n := range 10 {
		w.until("try", func() bool {
			return tries.Load() == int64(n+1) && w.count(`SELECT count(*) FROM fed_inbox WHERE attempts = $1`, n+1) == 1
		})
		if n == 2 {
			// It is not due: neither it nor what stands behind it is pending.
			if p, err := w.s.Pending(t.Context()); p != 0 || err != nil {
				t.Fatal(p, err)
			}
		}
		w.advance(time.Second<<n - 10*time.Millisecond)
		w.advance(20 * time.Millisecond)
	}
	w.until("the next", func() bool { return len(w.effects()) == 1 })
	same(t, w.effects(), bob.id+"/update")
	if tries.Load() != 10 || w.count(`SELECT count(*) FROM fed_inbox WHERE state = 3 AND body IS NOT NULL`) != 1 {
		t.Fatal(tries.Load())
	}
	stop()
	w.advance(25 * time.Hour)
	w.run(w.service())
	w.until("blanked", func() bool { return w.count(`SELECT count(*) FROM fed_inbox WHERE state = 3 AND body IS NULL`) == 1 })
	w.mu.Lock()
	defer w.mu.Unlock()
	if strings.Contains(w.logs.String(), "secret") {
		t.Error("a text is in the log")
	}
}

// needing is a handler that must know something first.
func needing(uri string, have func() bool) func(context.Context, *pg.Tx, *inbox.Activity) error {
	return func(ctx context.Context, tx *pg.Tx, a *inbox.Activity) error {
		if err := record(ctx, tx, a); err != nil {
			return err
		}
		if a.Last || have() {
			return nil
		}
		return fmt.Errorf("create: %w", inbox.Needs{URI: uri})
	}
}

// TestParking: what is missing is fetched once for all that wait for it, with no
// transaction open, and then they are processed.
func TestParking(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	bob := w.actor("https://b.example/bob")
	var have atomic.Bool
	w.s.Plug(inbox.On("Create", needing("https://c.example/parent", have.Load)))
	begun, release := make(chan struct{}, 9), make(chan struct{})
	w.fetch = func(string) error {
		begun <- struct{}{}
		<-release
		have.Store(true)
		return nil
	}
	w.run(w.s)
	var want []string
	for i := range 5 {
		v := bob.create(fmt.Sprint(i))
		want = append(want, v["id"].(string))
		w.must(bob, v, 202)
	}
	<-begun
	w.until("parked", func() bool { return w.count(`SELECT count(*) FROM fed_inbox WHERE state = 2`) == 5 })
	if n := w.count(`SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state LIKE 'idle in transaction%'`); n != 0 {
		t.Fatal("a transaction is open")
	}
	if n, err := w.s.Pending(t.Context()); n != 5 || err != nil {
		t.Fatal(n, err)
	}
	close(release)
	w.settle()
	got := w.effects()
	slices.Sort(got)
	same(t, got, want...)
	if len(w.fetched) != 1 {
		t.Fatal(w.fetched)
	}
}

// TestParkingLast: after three failures, or one that is final, an activity goes
// on without what it waited for; so it does at once when the thing is of this
// server, or was fetched and is missing still.
func TestParkingLast(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		uri   string
		fetch func(string) error
		times int
	}{
		"Failures":  {"https://c.example/1", func(string) error { return errors.New("no answer") }, 3},
		"Panics":    {"https://c.example/1", func(string) error { panic("x") }, 3},
		"Gone":      {"https://c.example/1", func(string) error { return errGone }, 1},
		"Senseless": {"https://c.example/1", func(string) error { return nil }, 1},
		"Ours":      {"", nil, 0},
		"NoAddress": {"urn:x", nil, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			bob := w.actor("https://b.example/bob")
			if c.uri == "" {
				c.uri = w.url + "/notes/1"
			}
			w.fetch = c.fetch
			w.s.Plug(inbox.On("Create", needing(c.uri, func() bool { return false })))
			w.advance(0)
			w.run(w.s)
			w.must(bob, bob.create("1"), 202)
			w.until("done", func() bool { w.advance(100 * time.Millisecond); return len(w.effects()) == 1 && w.rows() == 0 })
			same(t, w.effects(), bob.id+"/create/1 (last)")
			w.mu.Lock()
			defer w.mu.Unlock()
			if len(w.fetched) != c.times {
				t.Fatalf("fetched %d times, want %d", len(w.fetched), c.times)
			}
		})
	}
}

// TestParkingEndless: a handler that always wants more is not served for ever,
// and one that wants more even at last is given up.
func TestParkingEndless(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	bob := w.actor("https://b.example/bob")
	var n atomic.Int64
	w.s.Plug(inbox.On("Create", func(context.Context, *pg.Tx, *inbox.Activity) error {
		return inbox.Needs{URI: fmt.Sprintf("https://c.example/%d", n.Add(1))}
	}))
	w.fetch = func(string) error { return nil }
	w.run(w.s)
	w.must(bob, bob.create("1"), 202)
	w.settle()
	if w.rows() != 0 || n.Load() > 12 || w.s.Dropped()["what it needs cannot be had"] != 1 {
		t.Fatal(w.rows(), n.Load(), w.s.Dropped())
	}
}

// TestFetchLaneFair: a host that hangs holds few places of the fetch lane, so
// that what is on others is fetched meanwhile.
func TestFetchLaneFair(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	bob := w.actor("https://b.example/bob")
	var have sync.Map
	release := make(chan struct{})
	w.fetch = func(uri string) error {
		if strings.Contains(uri, "h.example") {
			<-release
		}
		have.Store(uri, true)
		return nil
	}
	w.s.Plug(inbox.On("Create", func(ctx context.Context, tx *pg.Tx, a *inbox.Activity) error {
		uri := a.Object.Object("object").Ref("inReplyTo")
		if _, ok := have.Load(uri); !ok {
			return inbox.Needs{URI: uri}
		}
		return record(ctx, tx, a)
	}))
	w.run(w.s)
	for i := range 60 {
		w.must(bob, bob.create(fmt.Sprint(i), "inReplyTo", fmt.Sprintf("https://h.example/%d", i)), 202)
	}
	w.must(bob, bob.create("x", "inReplyTo", "https://c.example/1"), 202)
	w.until("the other", func() bool { return len(w.effects()) == 1 })
	w.mu.Lock()
	n := len(w.fetched)
	w.mu.Unlock()
	if n != 3 {
		t.Fatal(n)
	}
	close(release)
	w.settle()
}

// TestReset: after the tables were emptied under it the service works on.
func TestReset(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.s.Plug(everything(record)...)
	w.run(w.s)
	bob := w.actor("https://b.example/bob")
	w.must(bob, bob.create("1"), 202)
	w.settle()
	if _, err := w.db.Exec(t.Context(), `TRUNCATE fed_inbox, fed_seen, fed_tombstone, effect`); err != nil {
		t.Fatal(err)
	}
	w.s.Reset()
	w.must(bob, bob.create("1"), 202)
	w.settle()
	same(t, w.effects(), bob.id+"/create/1")
}

// TestForgetting: what was seen is remembered for 14 days.
func TestForgetting(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, days := range []int{13, 16} {
		sum := sha256.Sum256(fmt.Append(nil, days))
		if _, err := w.db.Exec(t.Context(), `INSERT INTO fed_seen (hash, day) VALUES ($1, $2::date)`, sum[:], time.Now().UTC().AddDate(0, 0, -days)); err != nil {
			t.Fatal(err)
		}
	}
	w.run(w.s)
	w.until("forgotten", func() bool { return w.seen() == 1 })
}
