package user_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"buttersc.one/oven/internal/app"
	"buttersc.one/oven/internal/lib/httpsig"
	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/testsrv"
	"buttersc.one/oven/internal/user"
)

// soul is one account of the world, through all its names and ids. Another
// person who gets its name later is another soul.
type soul struct {
	no     int
	name   string
	host   string // of the acct
	server string // of the ids
	ids    []string
	key    *httpsig.KeyPair
	split  bool // the acct's host leads to it, and its server says so
	ghost  bool // somebody else has its name now
	alive  bool // its document can be had
}

func (p *soul) id() string { return p.ids[len(p.ids)-1] }

// at is the host under which the account is to be known.
func (p *soul) at() string {
	if p.split {
		return p.host
	}
	return p.server
}

// heaven is a world with a model of it: documents and WebFinger are made from
// the souls, anew at every change.
type heaven struct {
	*world
	rnd   *rand.Rand // guarded by mu
	souls []*soul
	keys  []*httpsig.KeyPair
	next  int
}

func (h *heaven) newKey() *httpsig.KeyPair {
	k := h.keys[0]
	h.keys = h.keys[1:]
	return k
}

func (h *heaven) newID(server string) string {
	h.next++
	return fmt.Sprintf("http://%s/users/%d", server, h.next)
}

func (h *heaven) add(name, host, server string) *soul {
	p := &soul{no: len(h.souls), name: name, host: host, server: server, ids: []string{h.newID(server)}, key: h.newKey(), split: host != server, alive: true}
	h.souls = append(h.souls, p)
	return p
}

// change changes the model and what can be seen of it at once.
func (h *heaven) change(f func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	f()
	clear(h.docs)
	clear(h.fingers)
	clear(h.subject)
	for _, p := range h.souls {
		if !p.alive {
			continue
		}
		doc := fmt.Sprintf(`{"@context":"https://www.w3.org/ns/activitystreams","id":%q,"type":"Person","preferredUsername":%q,"inbox":%q,
			"endpoints":{"sharedInbox":%q},"publicKey":{"id":%q,"owner":%q,"publicKeyPem":%s}}`, p.id(), p.name, p.id()+"/inbox",
			"http://"+p.server+"/inbox", p.id()+"#main-key", p.id(), strconv.Quote(p.key.PublicPEM))
		for _, id := range p.ids {
			h.docs[id] = doc // an id of before leads to the one of today
		}
		if p.ghost {
			continue
		}
		h.docs["http://"+p.server+"/@"+p.name] = doc
		h.finger("acct:"+p.name+"@"+p.server, p.server, p.id())
		if p.split {
			h.finger("acct:"+p.name+"@"+p.host, p.host, p.id())
			h.subject["acct:"+p.name+"@"+p.server] = "acct:" + p.name + "@" + p.host
		}
	}
}

// pick is a soul of whom cond is true, nil when there is none.
func (h *heaven) pick(cond func(*soul) bool) *soul {
	var fit []*soul
	for _, p := range h.souls {
		if cond(p) {
			fit = append(fit, p)
		}
	}
	if len(fit) == 0 {
		return nil
	}
	return fit[h.rnd.IntN(len(fit))]
}

func living(p *soul) bool { return p.alive && !p.ghost && p.server != "d.example" }

// churn changes one thing: a name, two names, an account made anew, a split
// domain, a server that does not answer.
func (h *heaven) churn() {
	h.change(func() {
		p := h.pick(living)
		switch h.rnd.IntN(8) {
		case 0, 1:
			h.next++
			p.name = fmt.Sprintf("name%d", h.next)
		case 2:
			p.name = strings.ToUpper(p.name[:1]) + p.name[1:] // a name in another case is the same name
		case 3:
			if q := h.pick(func(q *soul) bool { return living(q) && q != p && q.server == p.server }); q != nil {
				p.name, q.name = q.name, p.name
			}
		case 4:
			if len(h.keys) > 0 {
				p.ghost, p.alive = true, h.rnd.IntN(2) == 0
				h.add(p.name, p.host, p.server).split = p.split
			}
		case 5:
			p.split = p.host != p.server && !p.split
		default:
			h.silent = map[string]bool{[]string{"b.example", "c.example", "social.c.example", "d.example"}[h.rnd.IntN(4)]: true}
		}
	})
}

// rehome gives accounts other ids, as a server does that has changed to https.
func (h *heaven) rehome() {
	h.change(func() {
		for _, p := range h.souls {
			if living(p) && h.rnd.IntN(2) == 0 {
				p.ids = append(p.ids, h.newID(p.server))
			}
		}
	})
}

// seen is which row each soul was known as, by every answer that was given.
type seen struct {
	mu   sync.Mutex
	rows map[int]map[string]bool
}

func (h *heaven) saw(s *seen, u *user.User) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, p := range h.souls {
		if slices.Contains(p.ids, *u.URI) {
			s.mu.Lock()
			if s.rows[p.no] == nil {
				s.rows[p.no] = map[string]bool{}
			}
			s.rows[p.no][u.ID] = true
			s.mu.Unlock()
		}
	}
}

// lagging is a reader of the database as it was when it began.
type lagging struct {
	mu sync.Mutex
	tx pgx.Tx
}

func lag(t *testing.T, dsn string) *lagging {
	conn, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	tx, err := conn.BeginTx(t.Context(), pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly})
	if err == nil {
		_, err = tx.Exec(t.Context(), "SELECT count(*) FROM pg_class")
	}
	if err != nil {
		t.Fatal(err)
	}
	return &lagging{tx: tx}
}

// resolve looks for an account in one of the ways there are.
func (h *heaven) resolve(ctx context.Context, a *app.App, l *lagging, way int, p *soul) (*user.User, error) {
	h.mu.Lock()
	id, first, name, host, server := p.id(), p.ids[0], p.name, p.at(), p.server
	h.mu.Unlock()
	switch way {
	case 0:
		return a.Users.Resolve(ctx, id)
	case 1:
		return a.Users.Refresh(ctx, "http://"+server+"/@"+name)
	case 2:
		return a.Users.ResolveAcct(ctx, name, host)
	case 3: // what a reader does who is behind: it knows nobody, so it asks
		l.mu.Lock()
		u, err := a.Users.ByURI(ctx, l.tx, id)
		l.mu.Unlock()
		if !errors.Is(err, user.ErrNotFound) {
			return u, err
		}
		return a.Users.Refresh(ctx, id)
	case 4:
		return a.Users.Refresh(ctx, first)
	}
	return a.Users.Refresh(ctx, id)
}

// storm lets sixty-four resolvers in several processes look for everybody while
// meanwhile happens, over and over.
func (h *heaven) storm(apps []*app.App, l *lagging, s *seen, times int, meanwhile func(i int)) {
	var wg sync.WaitGroup
	for i := range 64 {
		h.mu.Lock()
		rnd := rand.New(rand.NewPCG(h.rnd.Uint64(), uint64(i)))
		h.mu.Unlock()
		wg.Go(func() {
			ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
			defer cancel()
			for range times {
				h.mu.Lock()
				p := h.souls[rnd.IntN(len(h.souls))]
				h.mu.Unlock()
				u, err := h.resolve(ctx, apps[rnd.IntN(len(apps))], l, rnd.IntN(6), p)
				switch {
				case err == nil:
					h.saw(s, u)
				case pg.Code(err) != "" || ctx.Err() != nil:
					h.t.Errorf("%s: %v", p.id(), err)
				}
			}
		})
	}
	for i := range 2 * times {
		meanwhile(i)
		apps[i%len(apps)].Remote.ForgetAll()
		time.Sleep(3 * time.Millisecond) // the storm goes on in the meantime
	}
	wg.Wait()
}

// calm lets everything answer, and asks for everybody once more.
func (h *heaven) calm(apps []*app.App, s *seen) {
	h.change(func() { h.silent = nil })
	for _, a := range apps {
		a.Remote.ForgetAll()
	}
	for round := range 2 {
		for i, p := range h.souls {
			if !living(p) {
				continue
			}
			u, err := apps[(i+round)%len(apps)].Users.Refresh(h.t.Context(), p.id())
			if err != nil {
				h.t.Errorf("%s after the storm: %v", p.id(), err)
				continue
			}
			h.saw(s, u)
		}
	}
}

// tell sends an activity of the soul to every process, twice each and all at
// once, as servers do that hear no answer.
func (h *heaven) tell(apps []*app.App, p *soul, activity string) {
	key, err := httpsig.ParsePrivateKey(p.key.PrivatePEM)
	if err != nil {
		h.t.Fatal(err)
	}
	var wg sync.WaitGroup
	for i := range 2 * len(apps) {
		wg.Go(func() {
			req := httptest.NewRequest(http.MethodPost, "http://oven.example/inbox", bytes.NewReader([]byte(activity)))
			req.Header.Set("Content-Type", "application/activity+json")
			if err := httpsig.SignCavage(req, httpsig.Key{ID: p.id() + "#main-key", Signer: key}, []byte(activity), time.Now()); err != nil {
				h.t.Error(err)
				return
			}
			w := httptest.NewRecorder()
			apps[i%len(apps)].Handler().ServeHTTP(w, req)
			if w.Code != http.StatusAccepted {
				h.t.Errorf("%.120s: %d %s", activity, w.Code, w.Body)
			}
		})
	}
	wg.Wait()
}

func call(t *testing.T, a *app.App, name, body string) string {
	t.Helper()
	req := httptest.NewRequest(http.MethodPost, "http://oven.example/api/"+name, strings.NewReader(body))
	req.Header.Set("Content-Type", "application/json")
	w := httptest.NewRecorder()
	a.Handler().ServeHTTP(w, req)
	if w.Code != http.StatusOK {
		t.Fatalf("%s: %d %s", name, w.Code, w.Body)
	}
	return w.Body.String()
}

// settled waits until all activities that were accepted are processed.
func settled(t *testing.T, a *app.App) {
	t.Helper()
	for late := time.After(30 * time.Second); ; {
		n, err := a.Inbox.Pending(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if n == 0 {
			return
		}
		select {
		case <-late:
			t.Fatalf("%d activities are not processed", n)
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// lines are the rows of a statement whose columns are texts and numbers, told
// in one line each.
func lines(t *testing.T, q pg.Q, sql string, args ...any) []string {
	t.Helper()
	rows, err := q.Query(t.Context(), sql, args...)
	if err != nil {
		t.Fatal(err)
	}
	list, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) (string, error) {
		v, err := r.Values()
		return strings.TrimSuffix(fmt.Sprintln(v...), "\n"), err
	})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// check compares the database with the model: one soul, one row, under the name
// of today; and what was counted and told of accounts with what is there.
func (h *heaven) check(a *app.App, s *seen) {
	h.t.Helper()
	t, q := h.t, a.DB()
	for no, rows := range s.rows {
		if len(rows) != 1 {
			t.Errorf("soul %d was known as %v", no, slices.Collect(maps.Keys(rows)))
		}
	}
	owner := map[string]int{}
	for _, p := range h.souls {
		for row := range s.rows[p.no] {
			if other, ok := owner[row]; ok && other != p.no {
				t.Errorf("souls %d and %d are one row", other, p.no)
			}
			owner[row] = p.no
		}
		if !living(p) {
			continue
		}
		got := lines(t, q, `SELECT username, host, is_deleted FROM "user" WHERE uri = $1`, p.id())
		if want := fmt.Sprint(p.name, " ", p.at(), " false"); len(got) != 1 || got[0] != want {
			t.Errorf("soul %d (%s) is %q, not %s", p.no, p.id(), got, want)
		}
		for _, id := range p.ids {
			if u, err := a.Users.ByURI(t.Context(), q, id); err != nil || !s.rows[p.no][u.ID] {
				t.Errorf("%s leads to %v (%v), not to soul %d", id, u, err, p.no)
			}
		}
	}
	for _, what := range []struct{ why, sql string }{
		{"two rows of one id, or of one acct", `SELECT coalesce(uri, ''), count(*) FROM "user" GROUP BY 1 HAVING count(*) > 1 AND coalesce(uri, '') <> ''
			UNION ALL SELECT username_lower || '@' || coalesce(host, ''), count(*) FROM "user" GROUP BY 1 HAVING count(*) > 1`},
		{"told of as new other than once", `SELECT u.id, u.uri, count(c.object_id) FROM "user" u LEFT JOIN ` + changes + ` ON c.object_id = u.id AND c.kind = 'user.created'
			WHERE u.host IS NOT NULL GROUP BY u.id HAVING count(c.object_id) <> 1`},
		{"aside without a line in the journal", `SELECT u.id FROM "user" u WHERE strpos(u.username_lower, '~') > 0
			AND NOT EXISTS (SELECT FROM user_rebirth r WHERE r.old_user_id = u.id AND NOT r.kept)`},
		{"an account whose counts and profile are missing", `SELECT u.id FROM "user" u LEFT JOIN user_stat s ON s.user_id = u.id LEFT JOIN user_profile p ON p.user_id = u.id
			WHERE s.user_id IS NULL OR p.user_id IS NULL`},
		{"accounts of a server counted wrongly", `SELECT host, sum(told), sum(there) FROM (
				SELECT data ->> 'server', CASE kind WHEN 'user.created' THEN 1 WHEN 'user.returned' THEN 1 ELSE -1 END, 0 FROM ` + changes + `
				WHERE kind IN ('user.created', 'user.returned', 'user.deleted', 'user.movedAside') AND data ->> 'server' IS NOT NULL
				UNION ALL SELECT actor_host, 0, 1 FROM "user" WHERE host IS NOT NULL AND NOT is_deleted) x (host, told, there)
			GROUP BY host HAVING sum(told) <> sum(there)`},
		{"activities that did more or less than they say", `SELECT n.uri, count(c.object_id) FROM note n LEFT JOIN ` + changes + ` ON c.object_id = n.id AND c.kind = 'note.created'
			GROUP BY n.id HAVING count(c.object_id) <> 1
			UNION ALL SELECT f.follower_id, count(c.actor_id) FROM following f LEFT JOIN ` + changes + ` ON c.actor_id = f.follower_id AND c.kind = 'relation.followed'
			GROUP BY f.id HAVING count(c.actor_id) <> 1`},
		{"notes and followers counted wrongly", `SELECT s.user_id, s.notes_count, s.following_count FROM user_stat s
			WHERE s.notes_count <> (SELECT count(*) FROM note n WHERE n.user_id = s.user_id)
			OR s.following_count <> (SELECT count(*) FROM following f WHERE f.follower_id = s.user_id)`},
	} {
		if got := lines(t, q, what.sql); len(got) > 0 {
			t.Errorf("%s: %q", what.why, got)
		}
	}
}

// changes is all that was told, numbered or not.
const changes = `(SELECT kind, object_id, actor_id, data FROM change_stage UNION ALL SELECT kind, object_id, actor_id, data FROM change_log) c`

// One actor is one row, whatever other servers do while sixty-four resolvers in
// two processes look, some of them reading a database that is behind: split
// domains, aliases and redirects, renames and swapped names, accounts made
// anew, ids that change, WebFinger that disagrees or is silent, accounts
// deleted here. Each activity, told to both processes at once, has its effect
// once, and what an account has stays with it.
func TestOneActorOneRow(t *testing.T) {
	t.Parallel()
	seed := uint64(time.Now().UnixNano())
	if v, err := strconv.ParseUint(os.Getenv("OVEN_TEST_SEED"), 10, 64); err == nil {
		seed = v
	}
	t.Logf("OVEN_TEST_SEED=%d", seed)
	h := &heaven{world: newWorld(t), rnd: rand.New(rand.NewPCG(seed, 0))}
	var wg sync.WaitGroup
	h.keys = make([]*httpsig.KeyPair, 20)
	for i := range h.keys {
		wg.Go(func() {
			k, err := httpsig.GenerateRSA()
			if err != nil {
				t.Error(err)
			}
			h.keys[i] = k
		})
	}
	wg.Wait()
	h.change(func() {
		for _, p := range [][3]string{{"alice", "b.example", "b.example"}, {"bora", "b.example", "b.example"}, {"chul", "c.example", "social.c.example"},
			{"dara", "c.example", "social.c.example"}, {"eun", "c.example", "social.c.example"}, {"Twin", "d.example", "d.example"}, {"twin", "d.example", "d.example"}} {
			h.add(p[0], p[1], p[2])
		}
	})
	h.jitter = 4 * time.Millisecond
	d := testsrv.Database(t)
	hosts := []string{"b.example", "c.example", "social.c.example", "d.example"}
	apps := []*app.App{h.running(d.DSN(), hosts...), h.running(d.DSN(), hosts...)}
	local := call(t, apps[0], "signup", `{"username":"local","password":"password"}`)
	_, local, _ = strings.Cut(local, `"id":"`)
	local, _, _ = strings.Cut(local, `"`)
	s := &seen{rows: map[int]map[string]bool{}}
	l := lag(t, d.DSN())

	h.storm(apps, l, s, 6, func(int) {})
	h.calm(apps, s)
	h.check(apps[0], s)
	wrote := map[string]string{} // note's uri → row of its author
	say := func() {
		for _, p := range h.souls {
			if !living(p) {
				continue
			}
			u, err := apps[0].Users.ByURI(t.Context(), d, p.id())
			if err != nil {
				t.Fatal(err)
			}
			uri := fmt.Sprintf("%s/notes/%d", p.id(), len(wrote))
			wrote[uri] = u.ID
			h.tell(apps, p, fmt.Sprintf(`{"@context":"https://www.w3.org/ns/activitystreams","id":%q,"type":"Create","actor":%q,"object":{"id":%q,"type":"Note","attributedTo":%q,
				"content":"<p>x</p>","to":["https://www.w3.org/ns/activitystreams#Public"],"published":%q}}`, uri+"/activity", p.id(), uri, p.id(), time.Now().UTC().Format(time.RFC3339)))
			h.tell(apps, p, fmt.Sprintf(`{"@context":"https://www.w3.org/ns/activitystreams","id":%q,"type":"Follow","actor":%q,"object":"http://oven.example/users/%s"}`,
				uri+"/follow", p.id(), local))
		}
		settled(t, apps[0])
	}
	say()
	h.check(apps[0], s)
	// Names change hands, people come anew, servers fall silent, accounts are deleted here.
	h.storm(apps, l, s, 18, func(i int) {
		if i%5 == 4 {
			h.mu.Lock()
			id := h.pick(living).id()
			h.mu.Unlock()
			if u, err := apps[i%2].Users.ByURI(t.Context(), d, id); err == nil {
				if err := d.Tx(t.Context(), func(tx *pg.Tx) error { return apps[i%2].Users.MarkDeleted(t.Context(), tx, u.ID) }); err != nil {
					t.Error(err)
				}
			}
			return
		}
		h.churn()
	})
	h.calm(apps, s)
	h.check(apps[0], s)
	say()
	// Ids change, keys stay: whoever asks first, by whichever id.
	h.rehome()
	h.storm(apps, l, s, 6, func(int) {})
	h.calm(apps, s)
	say()
	h.check(apps[0], s)
	for uri, author := range wrote {
		if got := lines(t, d, `SELECT user_id FROM note WHERE uri = $1`, uri); len(got) != 1 || got[0] != author {
			t.Errorf("%s is by %q, not by %s", uri, got, author)
		}
	}
	follows := map[string]bool{}
	for _, author := range wrote {
		follows[author] = true
	}
	if got := lines(t, d, `SELECT follower_id FROM following WHERE followee_id = $1`, local); len(got) != len(follows) {
		t.Errorf("%d follows, not %d", len(got), len(follows))
	}
	if twins := lines(t, d, `SELECT acct FROM user_rebirth WHERE acct ILIKE 'twin@%'`); len(twins) > 0 {
		t.Errorf("names that differ in case take each other's row: %q", twins)
	}
	t.Logf("%d souls, %s", len(h.souls), lines(t, d, `SELECT count(*) FILTER (WHERE kept), count(*) FILTER (WHERE NOT kept) FROM user_rebirth`))
}

// An account whose id is on another server now, under its name and with its key,
// is counted of that one, with its notes and follows.
func TestResolveRehomeElsewhere(t *testing.T) {
	t.Parallel()
	h := &heaven{world: newWorld(t), rnd: rand.New(rand.NewPCG(1, 0))}
	key, err := httpsig.GenerateRSA()
	if err != nil {
		t.Fatal(err)
	}
	h.keys = []*httpsig.KeyPair{key}
	h.change(func() { h.add("bora", "b.example", "b.example") })
	p := h.souls[0]
	d := testsrv.Database(t)
	a := h.running(d.DSN(), "b.example", "social.b.example")
	local := call(t, a, "signup", `{"username":"local","password":"password"}`)
	_, local, _ = strings.Cut(local, `"id":"`)
	local, _, _ = strings.Cut(local, `"`)
	h.tell([]*app.App{a}, p, fmt.Sprintf(`{"@context":"https://www.w3.org/ns/activitystreams","id":"http://b.example/f","type":"Follow","actor":%q,"object":"http://oven.example/users/%s"}`, p.id(), local))
	settled(t, a)
	h.change(func() {
		p.server, p.split = "social.b.example", true
		p.ids = append(p.ids, h.newID(p.server))
	})
	if _, err := a.Users.Resolve(t.Context(), p.id()); err != nil {
		t.Fatal(err)
	}
	want := []string{"b.example 0 0", "social.b.example 1 1"}
	for late := time.After(30 * time.Second); ; {
		got := lines(t, d, `SELECT host, users_count, following_count FROM instance_stat ORDER BY host`)
		by := lines(t, d, `SELECT u.host, u.actor_host, f.follower_host FROM following f JOIN "user" u ON u.id = f.follower_id`)
		if slices.Equal(got, want) && slices.Equal(by, []string{"b.example social.b.example social.b.example"}) {
			return
		}
		select {
		case <-late:
			t.Fatalf("%q, %q", got, by)
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// An account that tells of another name is asked when it is next met; one that
// comes anew may have the key's address of the one before.
func TestResolveAfterUpdate(t *testing.T) {
	t.Parallel()
	h := &heaven{world: newWorld(t), rnd: rand.New(rand.NewPCG(1, 0))}
	for range 2 {
		key, err := httpsig.GenerateRSA()
		if err != nil {
			t.Fatal(err)
		}
		h.keys = append(h.keys, key)
	}
	h.change(func() { h.add("bora", "b.example", "b.example") })
	p := h.souls[0]
	a := h.running(testsrv.Database(t).DSN(), "b.example")
	old, err := a.Users.Resolve(t.Context(), p.id())
	if err != nil {
		t.Fatal(err)
	}
	h.change(func() { p.name = "violet" })
	h.mu.Lock()
	doc := h.docs[p.id()]
	h.mu.Unlock()
	h.tell([]*app.App{a}, p, fmt.Sprintf(`{"@context":"https://www.w3.org/ns/activitystreams","id":"http://b.example/u","type":"Update","actor":%q,"object":%s}`, p.id(), doc))
	settled(t, a)
	if u, err := a.Users.Resolve(t.Context(), p.id()); err != nil || u.ID != old.ID || u.Username != "violet" {
		t.Errorf("%+v (%v)", u, err)
	}
	was := p.id() + "#main-key"
	h.change(func() {
		p.ghost, p.alive = true, false
		p = h.add(p.name, p.host, p.server)
	})
	h.mu.Lock()
	h.docs[p.id()] = strings.ReplaceAll(h.docs[p.id()], p.id()+"#main-key", was)
	h.mu.Unlock()
	u, err := a.Users.Resolve(t.Context(), p.id())
	if err != nil || u.ID == old.ID {
		t.Fatalf("%+v (%v)", u, err)
	}
	if k, err := a.Users.Key(t.Context(), was); err != nil || k.UserID != u.ID {
		t.Errorf("%+v (%v)", k, err)
	}
}
