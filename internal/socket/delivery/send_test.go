package delivery_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"buttersc.one/oven/internal/lib/httpsig"
	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/socket/delivery"
)

var errBack = errors.New("rolled back")

// 16 producers, some of whose transactions roll back or commit late: each
// receiver gets what was committed, once, in order for each object.
func TestEachOnceInOrder(t *testing.T) {
	t.Parallel()
	r := newRig(t, open(t, newDSN(t)), newFleet()).run(t)
	names := hosts(4)
	var mu sync.Mutex
	want := map[string]bool{}
	var wg sync.WaitGroup
	for p := range 16 {
		wg.Go(func() {
			for i := range 30 {
				object := fmt.Sprintf("p%d-%d", p, i%6)
				body := fmt.Sprintf("%s %03d", object, i)
				back := rand.IntN(5) == 0
				err := r.db.Tx(context.Background(), func(tx *pg.Tx) error {
					m := message(object, fmt.Sprintf("%03d", i), delivery.Class(p%2), names...)
					if _, err := r.Send(context.Background(), tx, m); err != nil {
						return err
					}
					if rand.IntN(8) == 0 {
						time.Sleep(time.Duration(rand.IntN(20)) * time.Millisecond)
					}
					if back {
						return errBack
					}
					return nil
				})
				if back != errors.Is(err, errBack) {
					t.Error(err)
				}
				if !back {
					mu.Lock()
					want[body] = true
					mu.Unlock()
				}
			}
		})
	}
	wg.Wait()
	r.settle(t)
	for _, h := range names {
		got := r.fleet.at(shared(h))
		if len(got) != len(want) {
			t.Fatalf("%s: got %d, want %d", h, len(got), len(want))
		}
		last := map[string]string{}
		for _, body := range got {
			if !want[body] {
				t.Fatalf("%s: %q was not committed, or came twice", h, body)
			}
			object, n, _ := strings.Cut(body, " ")
			if n <= last[object] {
				t.Fatalf("%s: %s after %s of %s", h, n, last[object], object)
			}
			last[object] = n
		}
		if n := len(counts(got)); n != len(want) {
			t.Fatalf("%s: %d distinct, want %d", h, n, len(want))
		}
	}
	if len(r.fleet.clash) > 0 {
		t.Fatalf("two of an object at a time: %v", r.fleet.clash[:1])
	}
}

func TestRecipients(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	r := newRig(t, open(t, newDSN(t)), newFleet(), func(c *delivery.Config) {
		c.Drop = func(host string) bool { return host == "blocked.example" }
	}).run(t)

	m := message("n1", "Create", delivery.Fanout, "a.example", "b.example", "self.example", "blocked.example")
	m.Extra = []delivery.Inbox{
		{URL: "https://a.example/users/bob/inbox", Shared: shared("a.example")}, // in the audience
		{URL: "https://c.example/users/carol/inbox", Shared: shared("c.example")},
		{URL: "https://self.example/users/dan/inbox"},
	}
	to := r.send(t, m)
	if to.AudienceID == nil || len(to.Extra) != 1 {
		t.Fatalf("recipients %+v", to)
	}
	again := message("n2", "Create", delivery.Fanout, "b.example", "a.example")
	if other := r.send(t, again); *other.AudienceID != *to.AudienceID || len(other.Extra) != 0 {
		t.Fatalf("the same set was stored twice: %+v", other)
	}
	del := message("n1", "Delete", delivery.Fanout)
	del.To = &to
	del.Extra = []delivery.Inbox{{URL: "https://d.example/inbox"}, {URL: "https://b.example/users/eve/inbox", Shared: shared("b.example")}}
	if got := r.send(t, del); *got.AudienceID != *to.AudienceID || len(got.Extra) != 2 {
		t.Fatalf("recipients of the Delete %+v", got)
	}
	nobody := message("n3", "Create", delivery.Fanout, "self.example")
	if got := r.send(t, nobody); got.AudienceID != nil || got.Extra != nil {
		t.Fatalf("recipients of nobody %+v", got)
	}
	r.settle(t)
	for inbox, want := range map[string][]string{
		shared("a.example"):                   {"n1 Create", "n2 Create", "n1 Delete"},
		shared("b.example"):                   {"n1 Create", "n2 Create", "n1 Delete"},
		"https://c.example/users/carol/inbox": {"n1 Create", "n1 Delete"},
		"https://d.example/inbox":             {"n1 Delete"},
		shared("self.example"):                nil,
		shared("blocked.example"):             nil,
		"https://a.example/users/bob/inbox":   nil,
	} {
		got := r.fleet.at(inbox)
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("%s: got %q, want %q", inbox, got, want)
		}
	}
	var rows int
	must(t, r.db.QueryRow(ctx, "SELECT count(*) FROM fed_log_live").Scan(&rows))
	if rows != 3 {
		t.Errorf("%d rows in the log, want 3", rows)
	}
	ids, err := r.Endpoints(ctx, r.db, []delivery.Inbox{{URL: "https://d.example/inbox"}, {URL: "x", Shared: shared("new.example")}, {URL: "junk"}})
	if err != nil || len(ids) != 2 {
		t.Errorf("endpoints %v, %v", ids, err)
	}
}

// An address that was interned in a transaction that rolled back is not
// remembered.
func TestRolledBackEndpoint(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	r := newRig(t, open(t, newDSN(t)), newFleet()).run(t)
	err := r.db.Tx(ctx, func(tx *pg.Tx) error {
		if _, err := r.Send(ctx, tx, message("n", "Create", delivery.Direct, "a.example")); err != nil {
			return err
		}
		return errBack
	})
	if !errors.Is(err, errBack) {
		t.Fatal(err)
	}
	r.send(t, message("n", "Create", delivery.Direct, "a.example"))
	wait(t, "delivery", func() bool { return len(r.fleet.at(shared("a.example"))) == 1 })
}

func TestKeys(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	r := newRig(t, open(t, newDSN(t)), newFleet()).run(t)
	if _, err := r.Key(ctx, "nobody"); !errors.Is(err, delivery.ErrNoKey) {
		t.Fatal(err)
	}
	if _, err := r.PublicPEM(ctx, "nobody"); !errors.Is(err, delivery.ErrNoKey) {
		t.Fatal(err)
	}
	p, err := httpsig.GenerateRSA()
	must(t, err)
	must(t, r.db.Tx(ctx, func(tx *pg.Tx) error { return r.AddKey(ctx, tx, "alice", "https://self.example/users/alice#second", p) }))
	k, err := r.Key(ctx, "alice")
	if err != nil || k.ID != "https://self.example/users/alice#second" {
		t.Fatal(k.ID, err)
	}
	if text, err := r.PublicPEM(ctx, "alice"); err != nil || text != p.PublicPEM {
		t.Fatal(text, err)
	}
	var leaks int
	must(t, r.db.QueryRow(ctx, "SELECT count(*) FROM fed_key WHERE position('PRIVATE'::bytea IN private_enc) > 0").Scan(&leaks))
	if leaks > 0 {
		t.Error("a private key is stored in the clear")
	}

	// The account is gone (nothing of this package refers to it): its Delete is
	// signed all the same. An actor without a key stops nobody.
	ghost := message("g", "Create", delivery.Direct, "a.example")
	ghost.ActorID = "ghost"
	r.send(t, ghost)
	r.send(t, message("alice", "Delete", delivery.Direct, "a.example"))
	r.settle(t)
	if got := r.fleet.at(shared("a.example")); !slices.Equal(got, []string{"alice Delete"}) {
		t.Errorf("got %q", got)
	}
	if r.fleet.keyIDs["https://self.example/users/alice#second"] != 1 {
		t.Errorf("keys %v", r.fleet.keyIDs)
	}
}

// What was not sent of an object that is deleted loses its text; the Delete
// goes out.
func TestBlankUnsent(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	f := newFleet()
	f.answer = func(string, string, int) (delivery.Answer, error) { return delivery.Answer{}, errors.New("down") }
	r := newRig(t, open(t, newDSN(t)), f).run(t)
	r.send(t, message("n", "Create", delivery.Direct, "a.example"))
	r.send(t, message("other", "Create", delivery.Direct, "a.example"))
	wait(t, "tries", func() bool { return f.tried(shared("a.example")) > 0 })
	must(t, r.db.Tx(ctx, func(tx *pg.Tx) error {
		if err := r.BlankUnsent(ctx, tx, "n"); err != nil {
			return err
		}
		_, err := r.Send(ctx, tx, message("n", "Delete", delivery.Direct, "a.example"))
		return err
	}))
	var texts int
	must(t, r.db.QueryRow(ctx, "SELECT count(*) FROM fed_log_live WHERE body = 'n Create'").Scan(&texts))
	if texts != 0 {
		t.Error("the text is still there")
	}
	var tombs int
	wait(t, "a tombstone", func() bool {
		must(t, r.db.QueryRow(ctx, "SELECT count(*) FROM fed_log_tomb WHERE object = 'n'").Scan(&tombs))
		return tombs == 1
	})
	// A try that was begun before would still take the text along.
	wait(t, "the end of what was under way", func() bool { return r.state(t, "a.example").InFlight == 0 })
	f.setAnswer(nil)
	r.Heard("a.example") // it may have failed often by now
	wait(t, "the Delete", func() bool {
		got := f.at(shared("a.example"))
		return slices.Contains(got, "n Delete") && slices.Contains(got, "other Create")
	})
	if got := f.at(shared("a.example")); len(got) != 2 {
		t.Errorf("got %q", got)
	}
}

func TestReset(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	r := newRig(t, open(t, newDSN(t)), newFleet()).run(t)
	for round := range 3 {
		r.send(t, message(fmt.Sprint("n", round), "Create", delivery.Direct, "a.example"))
		r.settle(t)
		_, err := r.db.Exec(ctx, `TRUNCATE fed_host, fed_endpoint, fed_audience, fed_key, fed_stage, fed_log_live, fed_log_bulk, fed_log_tomb, fed_cursor, fed_exception RESTART IDENTITY CASCADE`)
		must(t, err)
		must(t, r.Reset(ctx))
		if _, err := r.Key(ctx, "alice"); !errors.Is(err, delivery.ErrNoKey) {
			t.Fatal(err)
		}
		p, err := pair()
		must(t, err)
		must(t, r.db.Tx(ctx, func(tx *pg.Tx) error { return r.AddKey(ctx, tx, "alice", "k", p) }))
	}
	if got := r.fleet.at(shared("a.example")); !slices.Equal(got, []string{"n0 Create", "n1 Create", "n2 Create"}) {
		t.Errorf("got %q", got)
	}
}
