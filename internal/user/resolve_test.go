package user_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"buttersc.one/oven/db"
	"buttersc.one/oven/internal/app"
	"buttersc.one/oven/internal/lib/blob"
	"buttersc.one/oven/internal/lib/httpsig"
	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/lib/pgserver/pgtest"
	"buttersc.one/oven/internal/lib/secret"
	"buttersc.one/oven/internal/user"
)

// world is a fediverse on one socket: hosts by name, each with actors and
// WebFinger.
type world struct {
	t    *testing.T
	srv  *httptest.Server
	addr netip.AddrPort

	mu      sync.Mutex
	docs    map[string]string // URL → document
	fingers map[string]string // "acct:name@host asked at host" → actor id
	subject map[string]string // acct asked for → subject answered
	asked   map[string]int
	delay   time.Duration
	jitter  time.Duration                 // an answer takes up to this long, and may be old when it comes
	silent  map[string]bool               // hosts whose WebFinger is out of order
	held    map[string]chan chan struct{} // by URL: an answer is made, tells so, and leaves when it may
}

func newWorld(t *testing.T) *world {
	w := &world{t: t, docs: map[string]string{}, fingers: map[string]string{}, subject: map[string]string{}, asked: map[string]int{}}
	w.srv = httptest.NewServer(http.HandlerFunc(w.serve))
	t.Cleanup(w.srv.Close)
	u, err := url.Parse(w.srv.URL)
	if err != nil {
		t.Fatal(err)
	}
	w.addr = netip.MustParseAddrPort(u.Host)
	return w
}

func (w *world) serve(rw http.ResponseWriter, r *http.Request) {
	w.mu.Lock()
	here := "http://" + r.Host + r.URL.Path
	doc, ok := w.docs[here]
	w.asked[here]++
	resource := r.URL.Query().Get("resource")
	self, known := w.fingers[resource+" at "+r.Host]
	subject := w.subject[resource]
	delay, silent := w.delay, w.silent[r.Host]
	if w.jitter > 0 {
		delay += rand.N(w.jitter)
	}
	hold := w.held[here]
	delete(w.held, here)
	w.mu.Unlock()
	time.Sleep(delay)
	if hold != nil {
		leave := make(chan struct{})
		hold <- leave
		<-leave
	}
	switch {
	case r.Method == http.MethodPost:
		rw.WriteHeader(http.StatusAccepted)
	case r.URL.Path == "/.well-known/webfinger" && silent:
		rw.WriteHeader(http.StatusServiceUnavailable)
	case r.URL.Path == "/.well-known/webfinger" && known:
		if subject == "" {
			subject = resource
		}
		rw.Header().Set("Content-Type", "application/jrd+json")
		_ = json.NewEncoder(rw).Encode(map[string]any{"subject": subject, "links": []any{map[string]string{"rel": "self", "type": "application/activity+json", "href": self}}})
	case ok:
		rw.Header().Set("Content-Type", "application/activity+json")
		_, _ = rw.Write([]byte(doc))
	default:
		http.NotFound(rw, r)
	}
}

// actor puts an actor at its id, and WebFinger for name@host on the id's host.
func (w *world) actor(id, name string, more ...string) {
	w.t.Helper()
	pair, err := httpsig.GenerateRSA()
	if err != nil {
		w.t.Fatal(err)
	}
	u, err := url.Parse(id)
	if err != nil {
		w.t.Fatal(err)
	}
	key, err := json.Marshal(pair.PublicPEM)
	if err != nil {
		w.t.Fatal(err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.docs[id] = fmt.Sprintf(`{"@context":"https://www.w3.org/ns/activitystreams","id":%q,"type":"Person","preferredUsername":%q,"inbox":%q,
		"publicKey":{"id":%q,"owner":%q,"publicKeyPem":%s}%s}`, id, name, id+"/inbox", id+"#main-key", id, key, strings.Join(more, ""))
	w.finger("acct:"+name+"@"+u.Host, u.Host, id)
}

func (w *world) finger(acct, at, id string) { w.fingers[acct+" at "+at] = id }

// server is an Oven whose way out leads into the world. It is not running:
// resolving needs no more than the database.
func (w *world) server(dsn string, hosts ...string) *app.App {
	w.t.Helper()
	a := w.build(dsn, false, hosts)
	if err := a.Prepare(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(a.Release)
	return a
}

// running is such an Oven that also works.
func (w *world) running(dsn string, hosts ...string) *app.App {
	w.t.Helper()
	a := w.build(dsn, true, hosts)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- a.Run(ctx) }()
	w.t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			w.t.Error(err)
		}
	})
	select {
	case <-a.Ready():
	case err := <-done:
		done <- err
		w.t.Fatal(err)
	}
	return a
}

func (w *world) build(dsn string, workers bool, hosts []string) *app.App {
	w.t.Helper()
	ctx := w.t.Context()
	// Fewer connections than resolvers: none may need a second one while it waits.
	d, err := pg.Open(ctx, dsn, pg.Options{MaxConns: 12})
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(d.Close)
	if _, err := db.Migrate(ctx, d); err != nil {
		w.t.Fatal(err)
	}
	test := map[string]netip.AddrPort{}
	for _, h := range hosts {
		test[h] = w.addr
	}
	dir := w.t.TempDir()
	files, err := blob.NewDisk(dir)
	if err != nil {
		w.t.Fatal(err)
	}
	box, err := secret.LoadOrCreate(keyFile(w.t, dsn))
	if err != nil {
		w.t.Fatal(err)
	}
	a, err := app.New(ctx, app.Options{Mode: "test", Origin: "http://oven.example", Host: "oven.example", Hostname: "oven.example", Version: "test",
		DB: d, Box: box, Files: files, TempDir: dir, Zone: time.UTC, TestHosts: test, Workers: workers, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		w.t.Fatal(err)
	}
	return a
}

var keyFiles sync.Map // DSN → path; two servers on one database share their key

func keyFile(t *testing.T, dsn string) string {
	if p, ok := keyFiles.Load(dsn); ok {
		return p.(string)
	}
	p := t.TempDir() + "/secret.key"
	keyFiles.Store(dsn, p)
	return p
}

func rows(t *testing.T, a *app.App, cond string, args ...any) (n int) {
	t.Helper()
	if err := a.DB().QueryRow(t.Context(), `SELECT count(*) FROM "user" WHERE NOT is_system AND host IS NOT NULL AND `+cond, args...).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// Sixty-four resolvers in two processes, by id, by alias and by name: one row,
// and what follows from a new account happens once.
func TestResolveConcurrently(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := "http://b.example/users/1"
	w.actor(id, "bora")
	// An alias: another address that serves the same actor.
	w.docs["http://b.example/@bora"] = w.docs[id]
	w.delay = 20 * time.Millisecond
	dsn := pgtest.DSN(t)
	one, two := w.server(dsn, "b.example"), w.server(dsn, "b.example")
	var wg sync.WaitGroup
	ids := make(chan string, 64)
	for i := range 64 {
		a := one
		if i%2 == 1 {
			a = two
		}
		wg.Go(func() {
			ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
			defer cancel()
			var got string
			switch i % 3 {
			case 0:
				u, err := a.Users.Resolve(ctx, id)
				if err != nil {
					t.Error(err)
					return
				}
				got = u.ID
			case 1:
				u, err := a.Users.Resolve(ctx, "http://b.example/@bora")
				if err != nil {
					t.Error(err)
					return
				}
				got = u.ID
			default:
				u, err := a.Users.ResolveAcct(ctx, "bora", "B.example")
				if err != nil {
					t.Error(err)
					return
				}
				got = u.ID
			}
			ids <- got
		})
	}
	wg.Wait()
	close(ids)
	seen := map[string]bool{}
	for id := range ids {
		seen[id] = true
	}
	if len(seen) != 1 || rows(t, one, "true") != 1 {
		t.Errorf("%d ids, %d rows", len(seen), rows(t, one, "true"))
	}
	var created int
	err := one.DB().QueryRow(t.Context(), `SELECT (SELECT count(*) FROM change_stage WHERE kind = 'user.created' AND data ->> 'local' = 'false')
		+ (SELECT count(*) FROM change_log WHERE kind = 'user.created' AND data ->> 'local' = 'false')`).Scan(&created)
	if err != nil || created != 1 {
		t.Errorf("told of %d new accounts (%v)", created, err)
	}
}

// A handle on another host than the actor's: found by either, once.
func TestResolveSplitDomain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := "http://social.b.example/users/1"
	w.actor(id, "bora")
	w.finger("acct:bora@b.example", "b.example", id)
	w.subject["acct:bora@social.b.example"] = "acct:bora@b.example"
	a := w.server(pgtest.DSN(t), "b.example", "social.b.example")
	first, err := a.Users.ResolveAcct(t.Context(), "bora", "b.example")
	if err != nil {
		t.Fatal(err)
	}
	if *first.Host != "b.example" || *first.ActorHost != "social.b.example" {
		t.Errorf("host %s, actor's host %s", *first.Host, *first.ActorHost)
	}
	for range 3 {
		again, err := a.Users.ResolveAcct(t.Context(), "bora", "b.example")
		if err != nil || again.ID != first.ID {
			t.Errorf("another row (%v)", err)
		}
	}
	if byID, err := a.Users.Resolve(t.Context(), id); err != nil || byID.ID != first.ID {
		t.Errorf("another row (%v)", err)
	}
	if lite, err := a.Users.PackLite(t.Context(), map[string]*user.User{first.ID: first}); err != nil || lite[first.ID].Instance == nil {
		t.Errorf("shown without its server (%v)", err)
	}
	if n := rows(t, a, "true"); n != 1 {
		t.Errorf("%d rows", n)
	}
}

// A handle that claims another host, which does not name the actor back, stays
// on the actor's own host.
func TestResolveForeignSubject(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.actor("http://evil.example/users/1", "bora")
	w.subject["acct:bora@evil.example"] = "acct:bora@b.example"
	w.actor("http://b.example/users/1", "bora")
	a := w.server(pgtest.DSN(t), "b.example", "evil.example")
	u, err := a.Users.Resolve(t.Context(), "http://evil.example/users/1")
	if err != nil || *u.Host != "evil.example" {
		t.Fatalf("%+v (%v)", u, err)
	}
	u, err = a.Users.Resolve(t.Context(), "http://b.example/users/1")
	if err != nil || *u.Host != "b.example" {
		t.Fatalf("%+v (%v)", u, err)
	}
}

// The same handle under a new id (a server set up anew): the old account moves
// aside, with all that hangs on it, and is written down.
func TestResolveRebirth(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.actor("http://b.example/users/1", "bora")
	a := w.server(pgtest.DSN(t), "b.example")
	old, err := a.Users.Resolve(t.Context(), "http://b.example/users/1")
	if err != nil {
		t.Fatal(err)
	}
	w.actor("http://b.example/users/2", "bora")
	fresh, err := a.Users.Resolve(t.Context(), "http://b.example/users/2")
	if err != nil {
		t.Fatal(err)
	}
	if fresh.ID == old.ID || rows(t, a, "true") != 2 || rows(t, a, "username_lower = 'bora'") != 1 {
		t.Errorf("the old row was not moved aside")
	}
	var journal int
	if err := a.DB().QueryRow(t.Context(), `SELECT count(*) FROM user_rebirth WHERE old_user_id = $1 AND new_uri = 'http://b.example/users/2'`, old.ID).Scan(&journal); err != nil || journal != 1 {
		t.Errorf("%d lines in the journal (%v)", journal, err)
	}
	by, err := a.Users.ResolveAcct(t.Context(), "bora", "b.example")
	if err != nil || by.ID != fresh.ID {
		t.Errorf("the handle leads to the old row (%v)", err)
	}
}

// Who is not named by WebFinger cannot take a handle away.
func TestResolveImpostor(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.actor("http://b.example/users/1", "bora")
	a := w.server(pgtest.DSN(t), "b.example")
	if _, err := a.Users.Resolve(t.Context(), "http://b.example/users/1"); err != nil {
		t.Fatal(err)
	}
	w.actor("http://b.example/users/2", "bora")
	w.mu.Lock()
	w.finger("acct:bora@b.example", "b.example", "http://b.example/users/1")
	w.mu.Unlock()
	if u, err := a.Users.Resolve(t.Context(), "http://b.example/users/2"); err == nil {
		t.Errorf("taken: %+v", u)
	}
	if rows(t, a, "true") != 1 {
		t.Error("a second row")
	}
}

// A rename on the other server is followed.
func TestResolveRename(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.actor("http://b.example/users/1", "bora")
	a := w.server(pgtest.DSN(t), "b.example")
	old, err := a.Users.Resolve(t.Context(), "http://b.example/users/1")
	if err != nil {
		t.Fatal(err)
	}
	w.actor("http://b.example/users/1", "violet")
	now, err := a.Users.Refresh(t.Context(), "http://b.example/users/1")
	if err != nil || now.ID != old.ID || now.Username != "violet" || rows(t, a, "true") != 1 {
		t.Errorf("%+v (%v)", now, err)
	}
}

// An answer that was made before a rename, or before the account was deleted,
// and comes after: the newer one stays.
func TestResolveOlderAnswer(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := "http://b.example/users/1"
	w.actor(id, "bora")
	dsn := pgtest.DSN(t)
	one, two := w.server(dsn, "b.example"), w.server(dsn, "b.example")
	u, err := one.Users.Resolve(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	late := func(meanwhile func()) *user.User {
		t.Helper()
		hold := make(chan chan struct{})
		w.mu.Lock()
		w.held = map[string]chan chan struct{}{id: hold}
		w.mu.Unlock()
		got := make(chan *user.User, 1)
		go func() {
			u, err := one.Users.Refresh(context.WithoutCancel(t.Context()), id)
			if err != nil {
				t.Error(err)
			}
			got <- u
		}()
		leave := <-hold
		meanwhile()
		close(leave)
		return <-got
	}
	now := late(func() {
		w.actor(id, "violet")
		if _, err := two.Users.Refresh(t.Context(), id); err != nil {
			t.Error(err)
		}
	})
	if now == nil || now.ID != u.ID || now.Username != "violet" {
		t.Errorf("renamed back: %+v", now)
	}
	now = late(func() {
		err := two.DB().Tx(t.Context(), func(tx *pg.Tx) error { return two.Users.MarkDeleted(t.Context(), tx, u.ID) })
		if err != nil {
			t.Error(err)
		}
	})
	if now == nil || !now.IsDeleted {
		t.Errorf("back from the dead: %+v", now)
	}
}

// A host whose WebFinger does not answer for a moment renames nobody.
func TestResolveSilentHost(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := "http://social.b.example/users/1"
	w.actor(id, "bora")
	w.finger("acct:bora@b.example", "b.example", id)
	w.subject["acct:bora@social.b.example"] = "acct:bora@b.example"
	a := w.server(pgtest.DSN(t), "b.example", "social.b.example")
	if _, err := a.Users.Resolve(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	for _, host := range []string{"b.example", "social.b.example"} {
		w.mu.Lock()
		w.silent = map[string]bool{host: true}
		w.mu.Unlock()
		if u, err := a.Users.Refresh(t.Context(), id); err != nil || *u.Host != "b.example" {
			t.Errorf("while %s is silent: %+v (%v)", host, u, err)
		}
	}
	w.mu.Lock()
	w.silent = nil
	delete(w.fingers, "acct:bora@b.example at b.example") // it says no: that is an answer
	w.mu.Unlock()
	if u, err := a.Users.Refresh(t.Context(), id); err != nil || *u.Host != "social.b.example" {
		t.Errorf("%+v (%v)", u, err)
	}
}

// An account whose id has changed and whose key has not keeps its row; the id of
// before still leads to it, and the journal has it.
func TestResolveRehome(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	was, is := "http://b.example/users/1", "http://b.example/ap/1"
	w.actor(was, "bora")
	a := w.server(pgtest.DSN(t), "b.example")
	old, err := a.Users.Resolve(t.Context(), was)
	if err != nil {
		t.Fatal(err)
	}
	w.mu.Lock()
	w.docs[is] = strings.ReplaceAll(w.docs[was], was, is)
	delete(w.docs, was)
	w.finger("acct:bora@b.example", "b.example", is)
	w.mu.Unlock()
	now, err := a.Users.Resolve(t.Context(), is)
	if err != nil || now.ID != old.ID || *now.URI != is || now.IsDeleted || rows(t, a, "true") != 1 {
		t.Fatalf("%+v (%v)", now, err)
	}
	if u, err := a.Users.Resolve(t.Context(), was); err != nil || u.ID != old.ID {
		t.Errorf("%+v (%v)", u, err)
	}
	var journal int
	if err := a.DB().QueryRow(t.Context(), `SELECT count(*) FROM user_rebirth WHERE kept AND old_user_id = $1 AND old_uri = $2 AND new_uri = $3`, old.ID, was, is).Scan(&journal); err != nil || journal != 1 {
		t.Errorf("%d lines in the journal (%v)", journal, err)
	}
}

// A lost identity index is a loud error and never a second row.
func TestResolveWithoutTheIndex(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.actor("http://b.example/users/1", "bora")
	a := w.server(pgtest.DSN(t), "b.example")
	if _, err := a.DB().Exec(t.Context(), `ALTER TABLE "user" DROP CONSTRAINT user_username_lower_host_key`); err != nil {
		t.Fatal(err)
	}
	_, err := a.Users.Resolve(t.Context(), "http://b.example/users/1")
	if pg.Code(err) != "42P10" || rows(t, a, "true") != 0 {
		t.Errorf("%v, %d rows", err, rows(t, a, "true"))
	}
}

// Actors that must not be taken (FEP-fe34; pitfalls of foreign documents).
func TestResolveRefuses(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	bad := map[string]string{
		"inbox elsewhere": `{"@context":"https://www.w3.org/ns/activitystreams","id":"http://b.example/u","type":"Person","preferredUsername":"u","inbox":"http://c.example/inbox"}`,
		"key of another":  `{"@context":"https://www.w3.org/ns/activitystreams","id":"http://b.example/u","type":"Person","preferredUsername":"u","inbox":"http://b.example/in","publicKey":{"id":"http://b.example/u#k","owner":"http://b.example/v","publicKeyPem":"x"}}`,
		"key elsewhere":   `{"@context":"https://www.w3.org/ns/activitystreams","id":"http://b.example/u","type":"Person","preferredUsername":"u","inbox":"http://b.example/in","publicKey":{"id":"http://c.example/u#k","owner":"http://b.example/u","publicKeyPem":"x"}}`,
		"odd name":        `{"@context":"https://www.w3.org/ns/activitystreams","id":"http://b.example/u","type":"Person","preferredUsername":"a b","inbox":"http://b.example/in"}`,
		"no name":         `{"@context":"https://www.w3.org/ns/activitystreams","id":"http://b.example/u","type":"Person","inbox":"http://b.example/in"}`,
		"a note":          `{"@context":"https://www.w3.org/ns/activitystreams","id":"http://b.example/u","type":"Note"}`,
		"no context":      `{"id":"http://b.example/u","type":"Person","preferredUsername":"u","inbox":"http://b.example/in"}`,
	}
	a := w.server(pgtest.DSN(t), "b.example", "c.example")
	for name, doc := range bad {
		w.mu.Lock()
		w.docs["http://b.example/u"] = doc
		w.mu.Unlock()
		a.Remote.ForgetAll()
		if u, err := a.Users.Resolve(t.Context(), "http://b.example/u"); err == nil {
			t.Errorf("%s: taken as %+v", name, u)
		}
	}
	if n := rows(t, a, "true"); n != 0 {
		t.Errorf("%d rows", n)
	}
}
