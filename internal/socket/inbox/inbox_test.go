package inbox_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"net/http/httptest"
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
	"buttersc.one/oven/internal/socket/inbox"
)

func newDB(t testing.TB) *pg.DB {
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
	dsn := pgtest.Template(t, "inbox-"+hex.EncodeToString(sum.Sum(nil)), func(dsn string) error {
		d, err := pg.Open(context.Background(), dsn, pg.Options{})
		if err != nil {
			return err
		}
		defer d.Close()
		if _, err := db.Migrate(context.Background(), d); err != nil {
			return err
		}
		_, err = d.Exec(context.Background(), `CREATE TABLE effect (n bigint GENERATED ALWAYS AS IDENTITY, id text, last bool, object text)`)
		return err
	})
	d, err := pg.Open(t.Context(), dsn, pg.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.Close)
	return d
}

// world is an inbox on a real port, and everything that is lent to it.
type world struct {
	t    testing.TB
	db   *pg.DB
	s    *inbox.Service
	url  string
	self string

	mu       sync.Mutex
	now      time.Time // zero: the real one
	known    map[string]*inbox.Key
	remote   map[string]*inbox.Key // what FetchKey finds
	keyErr   map[string]error
	hang     map[string]chan struct{} // by host: FetchKey waits
	keyCalls map[string]int
	blocked  map[string]bool
	fetch    func(uri string) error
	fetched  []string
	heard    []string
	logs     bytes.Buffer
}

var errGone = errors.New("gone")

func newWorld(t testing.TB) *world {
	w := &world{t: t, db: newDB(t), known: map[string]*inbox.Key{}, remote: map[string]*inbox.Key{}, keyErr: map[string]error{},
		hang: map[string]chan struct{}{}, keyCalls: map[string]int{}, blocked: map[string]bool{}}
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { w.s.ServeHTTP(rw, r) }))
	w.self = srv.Listener.Addr().String()
	w.s = w.service()
	srv.Start()
	t.Cleanup(srv.Close)
	w.url = srv.URL
	return w
}

// service makes another inbox on the same database, as after a restart.
func (w *world) service() *inbox.Service {
	return inbox.New(inbox.Config{DB: w.db, Keys: w, Policy: w, Fetcher: w, Self: w.self, Origin: "http://" + w.self,
		Log: slog.New(slog.NewTextHandler(lockedWriter{w}, nil)), Now: w.clock, Workers: 6,
		Heard: func(host string) { w.mu.Lock(); defer w.mu.Unlock(); w.heard = append(w.heard, host) },
		Gone:  func(err error) bool { return errors.Is(err, errGone) }})
}

type lockedWriter struct{ w *world }

func (l lockedWriter) Write(b []byte) (int, error) {
	l.w.mu.Lock()
	defer l.w.mu.Unlock()
	return l.w.logs.Write(b)
}

func (w *world) clock() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.now.IsZero() {
		return time.Now()
	}
	return w.now
}

func (w *world) advance(d time.Duration) {
	now := w.clock().Add(d)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = now
}

func (w *world) Key(_ context.Context, id string) (*inbox.Key, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if k := w.known[id]; k != nil {
		return k, nil
	}
	return nil, inbox.ErrNoKey
}

func (w *world) FetchKey(ctx context.Context, id string) (*inbox.Key, error) {
	host := strings.Split(id, "/")[2]
	w.mu.Lock()
	w.keyCalls[host]++
	hang := w.hang[host]
	w.mu.Unlock()
	if hang != nil {
		select {
		case <-hang:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.keyErr[id]; err != nil {
		return nil, err
	}
	k := w.remote[id]
	if k == nil {
		return nil, inbox.ErrNoKey
	}
	w.known[id] = k
	return k, nil
}

func (w *world) Known(_ context.Context, actor string) (bool, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, k := range w.known {
		if k.Actor == actor {
			return true, nil
		}
	}
	return false, nil
}

func (w *world) Allowed(_ context.Context, host string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.blocked[host] {
		return errors.New("blocked")
	}
	return nil
}

func (w *world) Fetch(_ context.Context, uri string) error {
	w.mu.Lock()
	w.fetched = append(w.fetched, uri)
	f := w.fetch
	w.mu.Unlock()
	if f == nil {
		return errors.New("no way")
	}
	return f(uri)
}

func (w *world) calls(host string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.keyCalls[host]
}

// actor is somebody on another server.
type actor struct {
	id   string
	key  httpsig.Key
	info *inbox.Key
}

func newActor(id string) *actor {
	pub, priv, err := ed25519.GenerateKey(nil)
	if err != nil {
		panic(err)
	}
	a := &actor{id: id, key: httpsig.Key{ID: id + "#main-key", Signer: priv}}
	a.info = &inbox.Key{ID: a.key.ID, Public: pub, Actor: id, UserID: "u:" + id}
	return a
}

// actor makes one whose key is known here.
func (w *world) actor(id string) *actor {
	a := newActor(id)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.known[a.key.ID] = a.info
	return a
}

// stranger makes one whose key is only at home.
func (w *world) stranger(id string) *actor {
	a := newActor(id)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.remote[a.key.ID] = a.info
	return a
}

// doc is a JSON object of pairs.
func doc(pairs ...any) map[string]any {
	m := map[string]any{}
	for i := 0; i < len(pairs); i += 2 {
		m[pairs[i].(string)] = pairs[i+1]
	}
	return m
}

func (a *actor) create(n string, more ...any) map[string]any {
	return doc("@context", "https://www.w3.org/ns/activitystreams", "id", a.id+"/create/"+n, "type", "Create", "actor", a.id,
		"object", doc(append([]any{"id", a.id + "/note/" + n, "type", "Note", "attributedTo", a.id}, more...)...))
}

func text(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return b
}

func (w *world) request(body []byte) *http.Request {
	r, err := http.NewRequestWithContext(w.t.Context(), http.MethodPost, w.url+"/inbox", bytes.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/activity+json")
	return r
}

// send gives the status and the text of the answer. Who is to come again must
// be told when.
func (w *world) send(r *http.Request) (int, string) {
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		w.t.Error(err)
		return 0, ""
	}
	defer func() { _ = res.Body.Close() }()
	b, _ := io.ReadAll(res.Body)
	if (res.StatusCode == http.StatusTooManyRequests || res.StatusCode == http.StatusServiceUnavailable) && res.Header.Get("Retry-After") == "" {
		w.t.Errorf("%d without Retry-After", res.StatusCode)
	}
	return res.StatusCode, string(b)
}

func (w *world) post(a *actor, v any) int {
	body := text(v)
	r := w.request(body)
	if err := httpsig.SignCavage(r, a.key, body, w.clock()); err != nil {
		w.t.Fatal(err)
	}
	status, _ := w.send(r)
	return status
}

func (w *world) must(a *actor, v any, want int) {
	w.t.Helper()
	if got := w.post(a, v); got != want {
		w.t.Fatalf("answered %d, want %d", got, want)
	}
}

func (w *world) count(sql string, args ...any) (n int) {
	w.t.Helper()
	if err := w.db.QueryRow(w.t.Context(), sql, args...).Scan(&n); err != nil {
		w.t.Fatal(err)
	}
	return n
}

func (w *world) rows() int { w.t.Helper(); return w.count(`SELECT count(*) FROM fed_inbox`) }
func (w *world) seen() int { w.t.Helper(); return w.count(`SELECT count(*) FROM fed_seen`) }

func (w *world) effects() (ids []string) {
	w.t.Helper()
	rows, err := w.db.Query(w.t.Context(), `SELECT id || CASE WHEN last THEN ' (last)' ELSE '' END FROM effect ORDER BY n`)
	if err != nil {
		w.t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var id string
		if err := rows.Scan(&id); err != nil {
			w.t.Fatal(err)
		}
		ids = append(ids, id)
	}
	return ids
}

// record is a handler that leaves a trace.
func record(ctx context.Context, tx *pg.Tx, a *inbox.Activity) error {
	_, err := tx.Exec(ctx, `INSERT INTO effect (id, last, object) VALUES ($1, $2, $3)`, a.ID, a.Last, a.Object.Ref("object"))
	return err
}

func everything(f func(context.Context, *pg.Tx, *inbox.Activity) error) []inbox.Handler {
	var hs []inbox.Handler
	for _, t := range []string{"Create", "Update", "Delete", "Follow", "Like", "Undo", "Announce", "Add"} {
		hs = append(hs, inbox.On(t, f))
	}
	return hs
}

// run starts the workers; stop ends them and waits.
func (w *world) run(s *inbox.Service) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := s.Run(ctx); err != nil {
			w.t.Error(err)
		}
	}()
	var once sync.Once
	stop = func() {
		once.Do(func() {
			cancel()
			select {
			case <-done:
			case <-time.After(8 * time.Second):
				w.t.Error("Run does not end")
			}
		})
	}
	w.t.Cleanup(stop)
	return stop
}

func (w *world) until(what string, ok func() bool) {
	w.t.Helper()
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if ok() {
			return
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.t.Fatalf("%s: not in 20 s\n%s", what, w.logs.String())
}

func (w *world) settle() {
	w.t.Helper()
	w.until("settle", func() bool {
		n, err := w.s.Pending(w.t.Context())
		return err == nil && n == 0
	})
}

func same(t *testing.T, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Fatalf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// TestFlow: a signed activity is kept, answered with 202, and reaches the
// handler that fits its object best, as it was sent.
func TestFlow(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	bob := w.actor("https://b.example/bob")
	var got []string
	var mu sync.Mutex
	note := func(name string) func(context.Context, *pg.Tx, *inbox.Activity) error {
		return func(_ context.Context, _ *pg.Tx, a *inbox.Activity) error {
			mu.Lock()
			defer mu.Unlock()
			got = append(got, name+" "+a.Type+" "+a.Actor+" "+a.ActorID+" "+a.Host+" "+fmt.Sprint(!a.Received.IsZero() && !a.Last))
			return nil
		}
	}
	w.s.Plug(inbox.On("Create", note("any")), inbox.On("Create", note("note"), "Note", "Article"), inbox.On("Create", note("id"), ""))
	w.run(w.s)
	one := func(v map[string]any, want string) {
		t.Helper()
		w.must(bob, v, 202)
		w.settle()
		mu.Lock()
		defer mu.Unlock()
		want += " Create https://b.example/bob u:https://b.example/bob b.example true"
		if len(got) != 1 || want != got[0] {
			t.Fatalf("got %q, want %q", got, want)
		}
		got = nil
	}
	one(bob.create("1"), "note")
	v := bob.create("2")
	v["object"].(map[string]any)["type"] = "Video"
	one(v, "any")
	v = bob.create("3")
	v["object"] = bob.id + "/note/3"
	one(v, "id")

	// Nobody takes it: no row, not even for a moment.
	w.must(bob, doc("id", bob.id+"/x", "type", "Dance", "actor", bob.id, "object", bob.id), 202)
	if w.rows() != 0 || w.s.Dropped()["no handler"] != 1 {
		t.Fatal(w.rows(), w.s.Dropped())
	}
	if w.seen() != 3 || len(w.heard) != 4 || w.heard[0] != "b.example" {
		t.Fatal(w.seen(), w.heard)
	}
}

// TestRFC9421: the other scheme of signing is verified as well.
func TestRFC9421(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.s.Plug(everything(record)...)
	bob := w.actor("https://b.example/bob")
	body := text(bob.create("1"))
	r := w.request(body)
	if err := httpsig.SignRFC9421(r, bob.key, body, w.clock()); err != nil {
		t.Fatal(err)
	}
	if status, why := w.send(r); status != 202 || w.rows() != 1 {
		t.Fatal(status, why, w.rows())
	}
}

// TestIDs: an activity without an id gets one, the same for the same body.
func TestIDs(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.s.Plug(everything(record)...)
	bob := w.actor("https://b.example/bob")
	v := bob.create("1")
	delete(v, "id")
	w.must(bob, v, 202)
	w.must(bob, v, 202)
	sum := sha256.Sum256(text(v))
	w.run(w.s)
	w.settle()
	w.must(bob, v, 202)
	w.settle()
	same(t, w.effects(), bob.id+"#"+hex.EncodeToString(sum[:]))
	for _, id := range []any{"https://b.example/a b", "https://b.example/" + strings.Repeat("x", 3000), 7, "", "urn:x"} {
		v := bob.create("2")
		v["id"] = id
		if got := w.post(bob, v); got != 400 && got != 401 {
			t.Errorf("%.40v: %d", id, got)
		}
	}
	if w.rows() != 0 {
		t.Fatal(w.rows())
	}
}

// TestRepeats: ties may be said again with the same id (Misskey's Follow) or
// with none (Mastodon's Add), and count each time.
func TestRepeats(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.s.Plug(everything(record)...)
	w.run(w.s)
	bob := w.actor("https://b.example/bob")
	follow := doc("id", bob.id+"/follows/ann", "type", "Follow", "actor", bob.id, "object", w.url+"/users/ann")
	undo := doc("id", bob.id+"/follows/ann/undo", "type", "Undo", "actor", bob.id, "object", follow)
	add := doc("type", "Add", "actor", bob.id, "object", bob.id+"/note/1", "target", bob.id+"/featured")
	var want []string
	for range 2 {
		for _, v := range []map[string]any{follow, undo} {
			w.must(bob, v, 202) // not settled in between: their order counts
			want = append(want, v["id"].(string))
		}
	}
	w.settle()
	same(t, w.effects(), want...)
	w.must(bob, add, 202)
	w.settle()
	w.must(bob, add, 202)
	w.settle()
	if n := len(w.effects()); n != 6 {
		t.Fatal(n)
	}
}

// TestCollection: activities come in a collection; those of others are left
// out.
func TestCollection(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.s.Plug(everything(record)...)
	w.run(w.s)
	bob, eve := w.actor("https://b.example/bob"), w.actor("https://b.example/eve")
	list := func(n int) map[string]any {
		var items []any
		for i := range n {
			items = append(items, bob.create(fmt.Sprint(i)))
		}
		return doc("type", "OrderedCollection", "orderedItems", append(items, eve.create("x")))
	}
	w.must(bob, list(2), 202)
	w.settle()
	got := w.effects()
	slices.Sort(got)
	same(t, got, bob.id+"/create/0", bob.id+"/create/1")
	w.must(bob, list(20), 400)
	w.must(eve, list(1), 401) // judged by the first
	if w.rows() != 0 {
		t.Fatal(w.rows())
	}
}

// TestPolicy: blocked hosts get 403 and leave nothing; also what they sent
// before they were blocked is dropped. Suspended accounts see no difference.
func TestPolicy(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.s.Plug(everything(record)...)
	bob := w.actor("https://b.example/bob")
	w.must(bob, bob.create("1"), 202)
	w.blocked["b.example"] = true
	w.must(bob, bob.create("2"), 403)
	if w.rows() != 1 {
		t.Fatal(w.rows())
	}
	w.run(w.s)
	w.settle()
	sue := w.actor("https://c.example/sue")
	sue.info.Suspended = true
	w.must(sue, sue.create("1"), 202)
	w.settle()
	same(t, w.effects())
	if d := w.s.Dropped(); d["host is blocked"] != 1 || d["account is suspended"] != 1 {
		t.Fatal(d)
	}
}
