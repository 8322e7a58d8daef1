package delivery_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"buttersc.one/oven/db"
	"buttersc.one/oven/internal/lib/httpsig"
	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/lib/pgserver/pgtest"
	"buttersc.one/oven/internal/lib/secret"
	"buttersc.one/oven/internal/socket/delivery"
)

// newDSN is a migrated database.
func newDSN(t testing.TB) string {
	t.Helper()
	sum := sha256.New()
	err := filepath.WalkDir("../../../db/migrations", func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		sum.Write(b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return pgtest.Template(t, "delivery-"+hex.EncodeToString(sum.Sum(nil)), func(dsn string) error {
		d, err := pg.Open(context.Background(), dsn, pg.Options{})
		if err != nil {
			return err
		}
		defer d.Close()
		_, err = db.Migrate(context.Background(), d)
		return err
	})
}

func open(t testing.TB, dsn string) *pg.DB {
	t.Helper()
	d, err := pg.Open(t.Context(), dsn, pg.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.Close)
	return d
}

// fleet is other servers: it records what arrives, in order, by inbox.
type fleet struct {
	mu     sync.Mutex
	got    map[string][]string                                        // inbox → bodies that were taken
	tries  map[string]int                                             // inbox → requests
	now    map[string]int                                             // inbox + object → under way
	answer func(inbox, body string, try int) (delivery.Answer, error) // nil: 202
	wait   func(inbox string) time.Duration
	clash  []string // two of one object at a time
	keyIDs map[string]int
}

func newFleet() *fleet {
	return &fleet{got: map[string][]string{}, tries: map[string]int{}, now: map[string]int{}, keyIDs: map[string]int{}}
}

func (f *fleet) Post(ctx context.Context, inbox string, body []byte, key httpsig.Key, still func() error) (delivery.Answer, error) {
	object, _, _ := strings.Cut(string(body), " ")
	slot := inbox + " " + object
	f.mu.Lock()
	f.tries[inbox]++
	try := f.tries[inbox]
	f.keyIDs[key.ID]++
	if f.now[slot]++; f.now[slot] > 1 {
		f.clash = append(f.clash, slot)
	}
	answer, wait := f.answer, f.wait
	f.mu.Unlock()
	defer func() {
		f.mu.Lock()
		f.now[slot]--
		f.mu.Unlock()
	}()
	if wait != nil {
		select {
		case <-time.After(wait(inbox)):
		case <-ctx.Done():
			return delivery.Answer{}, ctx.Err()
		}
	}
	if err := still(); err != nil {
		return delivery.Answer{}, err
	}
	a := delivery.Answer{Status: 202}
	if answer != nil {
		var err error
		if a, err = answer(inbox, string(body), try); err != nil {
			return a, err
		}
	}
	if a.Status/100 == 2 {
		f.mu.Lock()
		f.got[inbox] = append(f.got[inbox], string(body))
		f.mu.Unlock()
	}
	return a, nil
}

func (f *fleet) setAnswer(answer func(inbox, body string, try int) (delivery.Answer, error)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.answer = answer
}

func (f *fleet) at(inbox string) []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.got[inbox])
}

func (f *fleet) tried(inbox string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.tries[inbox]
}

// underWay is how many requests have not been answered.
func (f *fleet) underWay() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := 0
	for _, k := range f.now {
		n += k
	}
	return n
}

func (f *fleet) total() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := 0
	for _, g := range f.got {
		n += len(g)
	}
	return n
}

// rig is a service on a database.
type rig struct {
	*delivery.Service
	db    *pg.DB
	fleet *fleet
	stop  func() // graceful
}

var pair = sync.OnceValues(httpsig.GenerateRSA)

var box = sync.OnceValues(func() (*secret.Box, error) {
	dir, err := os.MkdirTemp("", "box")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	return secret.LoadOrCreate(filepath.Join(dir, "key"))
})

// newRig makes a service with a key for alice.
func newRig(t testing.TB, d *pg.DB, f *fleet, change ...func(*delivery.Config)) *rig {
	t.Helper()
	b, err := box()
	if err != nil {
		t.Fatal(err)
	}
	cfg := delivery.Config{DB: d, Box: b, Poster: f, Log: slog.New(slog.NewTextHandler(io.Discard, nil)), SelfHost: "self.example",
		Backoff: 20 * time.Millisecond, BulkRate: -1, Retries: 1_000_000}
	if testing.Verbose() {
		cfg.Log = slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	}
	for _, c := range change {
		c(&cfg)
	}
	r := &rig{Service: delivery.New(cfg), db: d, fleet: f}
	if _, err := r.Key(t.Context(), "alice"); errors.Is(err, delivery.ErrNoKey) {
		p, err := pair()
		if err != nil {
			t.Fatal(err)
		}
		must(t, d.Tx(t.Context(), func(tx *pg.Tx) error {
			return r.AddKey(t.Context(), tx, "alice", "https://self.example/users/alice#main-key", p)
		}))
	}
	return r
}

// run starts the service; stop ends it gracefully.
func (r *rig) run(t testing.TB) *rig {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = r.Run(ctx)
	}()
	r.stop = sync.OnceFunc(func() { cancel(); <-done })
	t.Cleanup(r.stop)
	return r
}

// kill ends the service without its writing anything more, and begins anew on
// the same database.
func (r *rig) kill() {
	closed := make(chan struct{})
	go func() { r.db.Close(); close(closed) }()
	for r.db.Ping(context.Background()) == nil {
		time.Sleep(time.Millisecond)
	}
	r.stop()
	<-closed
}

func (r *rig) send(t testing.TB, m delivery.Message) delivery.Recipients {
	t.Helper()
	var to delivery.Recipients
	must(t, r.db.Tx(context.Background(), func(tx *pg.Tx) error {
		var err error
		to, err = r.Send(context.Background(), tx, m)
		return err
	}))
	return to
}

// settle waits until nothing is pending.
func (r *rig) settle(t testing.TB) {
	t.Helper()
	wait(t, "nothing pending", func() bool {
		n, err := r.Pending(context.Background())
		must(t, err)
		return n == 0
	})
}

// waitFor is longer than anything takes on a busy machine.
var waitFor = 60 * time.Second

func wait(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(waitFor); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("timed out: %s", what)
		}
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func message(object, verb string, class delivery.Class, audience ...string) delivery.Message {
	m := delivery.Message{ActorID: "alice", ActivityID: "https://self.example/" + object + "/" + verb, Type: verb,
		Object: object, Body: []byte(object + " " + verb), Class: class}
	for _, host := range audience {
		m.Audience = append(m.Audience, delivery.Inbox{URL: "https://" + host + "/users/x/inbox", Shared: shared(host)})
	}
	return m
}

func shared(host string) string { return "https://" + host + "/inbox" }

func hosts(n int) []string {
	var out []string
	for i := range n {
		out = append(out, fmt.Sprintf("h%d.example", i))
	}
	return out
}

func hostOf(inbox string) string {
	u, _ := url.Parse(inbox)
	return u.Host
}

// counts is how often each body is there.
func counts(bodies []string) map[string]int {
	m := map[string]int{}
	for _, b := range bodies {
		m[b]++
	}
	return m
}
