package federation_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"buttersc.one/oven/internal/federation"
	"buttersc.one/oven/internal/testsrv"
)

// What is counted of each server, against what is there.
const sqlWrongInstances = `
WITH truth AS (
	SELECT host, sum(u) AS u, sum(n) AS n, sum(f) AS f, sum(s) AS s FROM (
		SELECT actor_host, 1, 0, 0, 0 FROM "user" WHERE actor_host IS NOT NULL AND NOT is_deleted
		UNION ALL SELECT u.actor_host, 0, 1, 0, 0 FROM note n JOIN "user" u ON u.id = n.user_id WHERE u.actor_host IS NOT NULL
		UNION ALL SELECT u.actor_host, 0, 0, 1, 0 FROM following f JOIN "user" u ON u.id = f.follower_id WHERE u.actor_host IS NOT NULL
		UNION ALL SELECT u.actor_host, 0, 0, 0, 1 FROM following f JOIN "user" u ON u.id = f.followee_id WHERE u.actor_host IS NOT NULL
	) x (host, u, n, f, s) GROUP BY host)
SELECT count(*) FROM truth t FULL JOIN instance_stat c USING (host)
WHERE (coalesce(t.u, 0), coalesce(t.n, 0), coalesce(t.f, 0), coalesce(t.s, 0))
	IS DISTINCT FROM (coalesce(c.users_count, 0), coalesce(c.notes_count, 0), coalesce(c.following_count, 0), coalesce(c.followers_count, 0))`

func instance(t *testing.T, u *testsrv.User, host string) m {
	t.Helper()
	out, ok := u.Post(t, "federation/show-instance", m{"host": host}).(m)
	if !ok {
		t.Fatalf("%s is not known", host)
	}
	return out
}

// Counts follow all that happens between servers, to the last end of an account.
func TestInstanceCounts(t *testing.T) {
	t.Parallel()
	far, other := testsrv.NewRemote(t), testsrv.NewRemote(t)
	s := testsrv.New(t)
	root, alice := s.User(t, "root"), s.User(t, "alice")
	bob, carol, dan := far.Actor("bob"), far.Actor("carol"), other.Actor("dan")
	bobID, danID := bob.On(t, alice).ID, dan.On(t, alice).ID
	check := func(what string) {
		t.Helper()
		s.Settle(t)
		if n := s.Count(t, sqlWrongInstances); n != 0 {
			t.Errorf("after %s %d servers are counted wrong", what, n)
		}
	}
	check("looking up")
	for i := range 5 {
		bob.Send(t, s, m{"type": "Create", "object": bob.Note(fmt.Sprintf("/notes/%d", i), m{})})
	}
	for _, a := range []*testsrv.Actor{bob, carol, dan} {
		a.Tell(t, s, m{"type": "Follow", "object": alice.URI()})
	}
	for _, id := range []string{bobID, danID} {
		alice.Post(t, "following/create", m{"userId": id})
	}
	bob.Tell(t, s, m{"type": "Accept", "object": far.Got(t, "Follow")})
	dan.Tell(t, s, m{"type": "Accept", "object": other.Got(t, "Follow")})
	check("follows")
	i := instance(t, alice, far.Host)
	for key, want := range (m{"usersCount": 2.0, "notesCount": 5.0, "followingCount": 2.0, "followersCount": 1.0, "isNotResponding": false, "suspensionState": "none", "moderationNote": nil}) {
		testsrv.Is(t, i, want, key)
	}
	if at, err := time.Parse(time.RFC3339, i["latestRequestReceivedAt"].(string)); err != nil || time.Since(at) > time.Hour {
		t.Errorf("last heard %v", i["latestRequestReceivedAt"])
	}
	bob.Tell(t, s, m{"type": "Delete", "object": far.Origin + "/notes/1"})
	bob.Tell(t, s, m{"type": "Undo", "object": m{"type": "Follow", "actor": bob.ID, "object": alice.URI()}})
	alice.Post(t, "following/delete", m{"userId": danID})
	check("undoing")
	alice.Post(t, "blocking/create", m{"userId": danID})
	check("a block")
	carol.Tell(t, s, m{"type": "Delete", "object": carol.ID})
	carol.Send(t, s, m{"type": "Delete", "object": carol.ID})
	check("an account's end there")
	testsrv.Is(t, instance(t, alice, far.Host), 1.0, "usersCount")
	var carolID string
	if err := s.DB.QueryRow(t.Context(), `SELECT id FROM "user" WHERE uri = $1`, carol.ID).Scan(&carolID); err != nil {
		t.Fatal(err)
	}
	alice.Post(t, "federation/update-remote-user", m{"userId": carolID}) // it is there again
	check("an account's return")
	testsrv.Is(t, instance(t, alice, far.Host), 2.0, "usersCount")
	root.Post(t, "admin/accounts/delete", m{"userId": alice.ID})
	check("an account's end here")
	// What a database that was there before is filled with is the same.
	b, err := os.ReadFile("../../db/migrations/0040_instance_counts.sql")
	if err != nil {
		t.Fatal(err)
	}
	_, fill, _ := strings.Cut(string(b), "INSERT INTO instance_stat")
	fill, _, _ = strings.Cut(fill, ";")
	for _, sql := range []string{"TRUNCATE instance_stat", "INSERT INTO instance_stat" + fill} {
		if _, err := s.DB.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	check("filling it anew")
	testsrv.Is(t, instance(t, root, far.Host), 0.0, "followersCount")
}

// Filters and sorts of the list, against what the servers are.
func TestInstanceList(t *testing.T) {
	t.Parallel()
	s := testsrv.New(t)
	root := s.User(t, "root")
	exec := func(sql string, args ...any) {
		t.Helper()
		if _, err := s.DB.Exec(t.Context(), sql, args...); err != nil {
			t.Fatal(err)
		}
	}
	for i, host := range []string{"a.example", "b.example", "c.example", "sub.b.example", "x.other"} {
		exec(`INSERT INTO instance (id, host, first_retrieved_at, is_silenced) VALUES ($1, $2, now() - $3 * interval '1 day', $4)`, fmt.Sprintf("a%d", i), host, i, i == 2)
		exec(`INSERT INTO instance_stat (host, users_count, notes_count, following_count, followers_count) VALUES ($1, $2, $3, $4, $5)`, host, i, 10-i, i%2, i%3)
	}
	exec(`INSERT INTO fed_sender (host, last_at) VALUES ('b.example', now()), ('a.example', now() - interval '1 day')`)
	exec(`INSERT INTO fed_host (host, fails, fail_since, gone_since) VALUES ('a.example', 3, now() - interval '1 hour', NULL), ('b.example', 9, now() - interval '8 days', NULL), ('c.example', 0, NULL, now())`)
	s.Set(t, m{"blockedHosts": []string{"b.example", "nobody.example"}, "mediaSilencedHosts": []string{"a.example"}})
	list := func(params m) (out []string) {
		t.Helper()
		for _, i := range root.List(t, "federation/instances", params) {
			out = append(out, i["host"].(string))
		}
		return out
	}
	for _, c := range []struct {
		params m
		want   []string
	}{
		{m{}, []string{"x.other", "sub.b.example", "c.example", "b.example", "a.example"}},
		{m{"limit": 2, "offset": 1}, []string{"sub.b.example", "c.example"}},
		{m{"host": "B.EXAMPLE"}, []string{"sub.b.example", "b.example"}},
		{m{"host": "%"}, nil},
		{m{"blocked": true}, []string{"sub.b.example", "b.example"}},
		{m{"blocked": false}, []string{"x.other", "c.example", "a.example"}},
		{m{"notResponding": true}, []string{"c.example", "b.example", "a.example"}},
		{m{"notResponding": false}, []string{"x.other", "sub.b.example"}},
		{m{"suspended": true}, []string{"c.example", "b.example"}},
		{m{"suspended": false}, []string{"x.other", "sub.b.example", "a.example"}},
		{m{"silenced": true}, []string{"c.example"}},
		{m{"federating": false}, []string{"a.example"}},
		{m{"subscribing": true}, []string{"x.other", "c.example", "b.example"}},
		{m{"publishing": true}, []string{"sub.b.example", "b.example"}},
		{m{"sort": "+notes"}, []string{"a.example", "b.example", "c.example", "sub.b.example", "x.other"}},
		{m{"sort": "-notes", "limit": 1}, []string{"x.other"}},
		{m{"sort": "+users", "limit": 1}, []string{"x.other"}},
		{m{"sort": "-users", "limit": 1}, []string{"a.example"}},
		{m{"sort": "+pubSub"}, []string{"b.example", "sub.b.example", "c.example", "x.other", "a.example"}},
		{m{"sort": "-pubSub", "limit": 1}, []string{"a.example"}},
		{m{"sort": "+following", "limit": 2}, []string{"b.example", "sub.b.example"}},
		{m{"sort": "-following", "limit": 1}, []string{"a.example"}},
		{m{"sort": "+followers", "limit": 1}, []string{"c.example"}},
		{m{"sort": "-followers", "limit": 2}, []string{"a.example", "sub.b.example"}},
		{m{"sort": "+firstRetrievedAt", "limit": 1}, []string{"a.example"}},
		{m{"sort": "-firstRetrievedAt", "limit": 1}, []string{"x.other"}},
		{m{"sort": "+latestRequestReceivedAt", "limit": 2}, []string{"b.example", "a.example"}},
		{m{"sort": "-latestRequestReceivedAt", "limit": 4, "offset": 3}, []string{"a.example", "b.example"}},
		{m{"sort": nil, "blocked": nil, "host": nil, "limit": 1}, []string{"x.other"}},
	} {
		if got := list(c.params); !slices.Equal(got, c.want) {
			t.Errorf("%v: %v, want %v", c.params, got, c.want)
		}
	}
	root.Fails(t, "federation/instances", m{"sort": "notes"}, 400, "INVALID_PARAM")
	for host, want := range map[string]string{"a.example": "none", "b.example": "autoSuspendedForNotResponding", "c.example": "goneSuspended"} {
		testsrv.Is(t, instance(t, root, host), want, "suspensionState")
		testsrv.Is(t, instance(t, root, host), want != "none", "isSuspended")
	}
	testsrv.Is(t, instance(t, root, "SUB.b.example"), true, "isBlocked")
	testsrv.Is(t, instance(t, root, "a.example"), true, "isMediaSilenced")
	testsrv.Is(t, instance(t, root, "a.example"), "", "moderationNote")
	for _, host := range []string{"nobody.example", "not a host"} {
		if got := root.Post(t, "federation/show-instance", m{"host": host}); got != nil {
			t.Errorf("%s: %v", host, got)
		}
	}
	st := root.Post(t, "federation/stats", m{"limit": 1})
	testsrv.Is(t, st, "c.example", "topSubInstances", 0, "host")
	testsrv.Is(t, st, "b.example", "topPubInstances", 0, "host")
	testsrv.Is(t, st, 2.0, "otherFollowersCount")
	testsrv.Is(t, st, 1.0, "otherFollowingCount")

	res, err := http.Get(s.Origin + "/api/v1/instance/peers") //nolint:noctx // a test
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	b, err := io.ReadAll(res.Body)
	if err != nil || string(b) != `["a.example","x.other"]`+"\n" {
		t.Errorf("peers %s %v", b, err)
	}
	res, err = http.Get(s.Origin + "/api/federation/instances?limit=1&sort=%2Bnotes") //nolint:noctx // a test
	if err != nil || res.StatusCode != http.StatusOK || res.Header.Get("Cache-Control") != "public, max-age=3600" {
		t.Errorf("GET %v %v", res, err)
	}
	_ = res.Body.Close()
}

// With 30,000 servers known a page reads no table anew for each row.
func TestInstancePlans(t *testing.T) {
	t.Parallel()
	d := testsrv.Database(t)
	for _, sql := range []string{
		`INSERT INTO instance (id, host, description) SELECT 'a' || i, 'h' || i || '.example', repeat('x', 500) FROM generate_series(1, 30000) i`,
		`INSERT INTO instance_stat (host, users_count, notes_count, following_count, followers_count) SELECT host, length(host), i, i % 7, i % 11 FROM (SELECT host, row_number() OVER () AS i FROM instance) x`,
		`INSERT INTO fed_host (host) SELECT host FROM instance`,
		`INSERT INTO fed_sender (host, last_at) SELECT host, now() FROM instance`,
		`ANALYZE`,
	} {
		if _, err := d.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	blocked := make([]string, 2000)
	for i := range blocked {
		blocked[i] = fmt.Sprintf("h%d.example", i*17)
	}
	// work is how many rows a plan touches.
	var work func(p map[string]any) float64
	work = func(p map[string]any) float64 {
		num := func(key string) float64 { n, _ := p[key].(float64); return n }
		n := num("Actual Loops") * (num("Actual Rows") + num("Rows Removed by Filter") + num("Rows Removed by Join Filter") + 1)
		plans, _ := p["Plans"].([]any)
		for _, c := range plans {
			n += work(c.(map[string]any))
		}
		return n
	}
	check := func(sql string, args []any) {
		t.Helper()
		var raw []byte
		if err := d.QueryRow(t.Context(), "EXPLAIN (ANALYZE, FORMAT JSON) "+sql, args...).Scan(&raw); err != nil {
			t.Fatalf("%v\n%s", err, sql)
		}
		var out []struct{ Plan map[string]any }
		if err := json.Unmarshal(raw, &out); err != nil {
			t.Fatal(err)
		}
		if n := work(out[0].Plan); n > 600_000 {
			t.Errorf("%.0f rows are touched:\n%s\n%s", n, sql, raw)
		}
	}
	yes, no := true, false
	for sort := range federation.Sorts() {
		for _, filter := range []*bool{nil, &yes, &no} {
			sql, args := federation.Page("7", filter, sort, blocked)
			check(sql, args)
		}
	}
	check(federation.Blocked, []any{blocked})
}

// Accounts of a server, and who follows whom, as each is shown.
func TestInstancePeople(t *testing.T) {
	t.Parallel()
	far := testsrv.NewRemote(t)
	s := testsrv.New(t)
	alice, shy, guest := s.User(t, "alice"), s.User(t, "shy"), s.Guest()
	bob := far.Actor("bob")
	id := bob.On(t, alice).ID
	for _, u := range []*testsrv.User{alice, shy} {
		u.Post(t, "following/create", m{"userId": id})
		bob.Tell(t, s, m{"type": "Accept", "object": far.Got(t, "Follow")})
		bob.Tell(t, s, m{"type": "Follow", "object": u.URI()})
	}
	shy.Post(t, "i/update", m{"followingVisibility": "private", "followersVisibility": "followers"})
	for _, name := range []string{"federation/followers", "federation/following"} {
		if l := guest.List(t, name, m{"host": far.Host}); len(l) != 1 {
			t.Errorf("%s: a guest is shown %d", name, len(l))
		}
		if l := shy.List(t, name, m{"host": far.Host}); len(l) != 2 {
			t.Errorf("%s: oneself is shown %d", name, len(l))
		}
		if l := alice.List(t, name, m{"host": "none.example"}); len(l) != 0 {
			t.Errorf("%s: of nobody %v", name, l)
		}
		if l := alice.List(t, name, m{"host": "no host"}); len(l) != 0 {
			t.Errorf("%s: of no host %v", name, l)
		}
		guest.Fails(t, name, m{}, 400, "INVALID_PARAM")
	}
	l := alice.List(t, "federation/followers", m{"host": far.Host})
	testsrv.Is(t, l[len(l)-1], id, "followee", "id")
	testsrv.Is(t, l[len(l)-1], alice.ID, "follower", "id")
	people := guest.List(t, "federation/users", m{"host": far.Host, "limit": 5})
	if len(people) != 1 || people[0]["id"] != id {
		t.Errorf("accounts %v", people)
	}
	if l := guest.List(t, "federation/users", m{"host": "no host"}); len(l) != 0 {
		t.Errorf("accounts of no host %v", l)
	}
	guest.Fails(t, "federation/users", m{"host": far.Host, "limit": 0}, 400, "INVALID_PARAM")

	// By the name in his handle, too, where that is another than the server's.
	if _, err := s.DB.Exec(t.Context(), `UPDATE "user" SET host = 'handle.example' WHERE id = $1`, id); err != nil {
		t.Fatal(err)
	}
	testsrv.Is(t, instance(t, alice, "handle.example"), far.Host, "host")
	if l := guest.List(t, "federation/users", m{"host": "handle.example"}); len(l) != 1 {
		t.Errorf("accounts by the handle's host: %v", l)
	}
	if _, err := s.DB.Exec(t.Context(), `UPDATE "user" SET host = actor_host WHERE id = $1`, id); err != nil {
		t.Fatal(err)
	}

	far.Actor("bob", m{"name": "Bob now"})
	guest.Post(t, "federation/update-remote-user", m{"userId": id})
	testsrv.Is(t, guest.Post(t, "users/show", m{"userId": id}), "Bob now", "name")
	guest.Fails(t, "federation/update-remote-user", m{"userId": alice.ID}, 400, "NO_SUCH_USER")
	guest.Fails(t, "federation/update-remote-user", m{"userId": "nobody00"}, 400, "NO_SUCH_USER")
	far.Remove("/users/bob")
	guest.Fails(t, "federation/update-remote-user", m{"userId": id}, 400, "REQUEST_FAILED")
}

// Moderators rule a server; it is in the log, and nobody else may.
func TestInstanceRules(t *testing.T) {
	t.Parallel()
	far := testsrv.NewRemote(t)
	s := testsrv.New(t)
	root, alice := s.User(t, "root"), s.User(t, "alice")
	bob := far.Actor("bob")
	id := bob.On(t, alice).ID
	for _, name := range []string{"update-instance", "refresh-remote-instance-metadata", "remove-all-following", "delete-all-files"} {
		alice.Fails(t, "admin/federation/"+name, m{"host": far.Host}, 403, "ROLE_PERMISSION_DENIED")
		root.Fails(t, "admin/federation/"+name, m{"host": "none.example"}, 400, "NO_SUCH_INSTANCE")
		root.Fails(t, "admin/federation/"+name, m{"host": "no host"}, 400, "NO_SUCH_INSTANCE")
	}
	root.Fails(t, "admin/federation/update-instance", m{"host": far.Host, "isSuspended": "yes"}, 400, "INVALID_PARAM")

	rule := func(params m) {
		t.Helper()
		params["host"] = far.Host
		root.Post(t, "admin/federation/update-instance", params)
	}
	rule(m{"isSuspended": true, "isSilenced": true, "moderationNote": "look at it"})
	rule(m{"isSuspended": true}) // changes nothing, says nothing
	i := instance(t, root, far.Host)
	for key, want := range (m{"suspensionState": "manuallySuspended", "isSuspended": true, "isSilenced": true, "moderationNote": "look at it"}) {
		testsrv.Is(t, i, want, key)
	}
	testsrv.Is(t, instance(t, alice, far.Host), nil, "moderationNote")
	// Nothing was ever for it, and nothing goes out now.
	alice.Post(t, "following/create", m{"userId": id})
	s.Settle(t)
	if left := far.Left(); len(left) != 0 {
		t.Errorf("delivered to a suspended server: %v", left)
	}
	rule(m{"isSuspended": false, "isSilenced": false})
	bob.Tell(t, s, m{"type": "Accept", "object": far.Got(t, "Follow")})
	var types []string
	for _, e := range root.List(t, "admin/show-moderation-logs", m{"search": far.Host}) {
		types = append(types, e["type"].(string))
	}
	if want := []string{"unsilenceRemoteInstance", "unsuspendRemoteInstance", "updateRemoteInstanceNote", "silenceRemoteInstance", "suspendRemoteInstance"}; !slices.Equal(types, want) {
		t.Errorf("log %v", types)
	}

	far.Put("/.well-known/nodeinfo", m{"links": []m{{"rel": "http://nodeinfo.diaspora.software/ns/schema/2.1", "href": far.Origin + "/n21"}}})
	far.Put("/n21", m{"software": m{"name": "toaster", "version": "9"}, "metadata": m{}})
	root.Post(t, "admin/federation/refresh-remote-instance-metadata", m{"host": far.Host})
	s.Settle(t)
	testsrv.Is(t, instance(t, root, far.Host), "toaster", "softwareName")

	for _, u := range []*testsrv.User{root, alice} {
		bob.Tell(t, s, m{"type": "Follow", "object": u.URI()})
		far.Got(t, "Accept")
	}
	bob.Tell(t, s, m{"type": "Create", "object": bob.Note("/notes/1", m{"attachment": []m{{"type": "Document", "mediaType": "image/png", "url": far.Origin + "/a.png"}}})})
	root.Post(t, "admin/federation/remove-all-following", m{"host": far.Host})
	root.Post(t, "admin/federation/delete-all-files", m{"host": far.Host})
	s.Settle(t)
	for range 2 {
		testsrv.Is(t, far.Got(t, "Reject"), "Follow", "object", "type")
	}
	testsrv.Is(t, instance(t, root, far.Host), 0.0, "followingCount")
	testsrv.Is(t, instance(t, root, far.Host), 1.0, "followersCount")
	if n := s.Count(t, "SELECT count(*) FROM drive_file"); n != 0 {
		t.Errorf("%d files are left", n)
	}
	if n := s.Count(t, sqlWrongInstances); n != 0 {
		t.Error("counts are wrong in the end")
	}
	if l := root.List(t, "admin/show-moderation-logs", m{"type": "deleteAllFilesOfRemoteInstance"}); len(l) != 1 {
		t.Errorf("log of files %v", l)
	}
}
