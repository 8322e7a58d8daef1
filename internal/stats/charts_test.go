package stats_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/socket/chart"
	"buttersc.one/oven/internal/testsrv"
)

// line is a column of a chart, the newest value first.
func line(t *testing.T, u *testsrv.User, name string, params m, path ...any) []float64 {
	t.Helper()
	with := m{"span": "hour", "limit": 3}
	maps.Copy(with, params)
	res := u.Post(t, "charts/"+name, with)
	values, ok := testsrv.Dig(res, path...).([]any)
	if !ok {
		t.Fatalf("charts/%s has no %v: %v", name, path, res)
	}
	out := []float64{}
	for _, v := range values {
		out = append(out, v.(float64))
	}
	return out
}

func is(t *testing.T, what string, got []float64, want ...float64) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s: %v, want %v", what, got, want)
	}
}

// clock gives what moves the server's clock to some hours after the present one
// (it is a minute past), and gives that time. A test that is in one hour with it
// is so, whatever the time is.
func clock(t *testing.T, s *testsrv.Server) func(hours int) time.Time {
	t.Helper()
	base := chart.Hour.Bucket(time.Now()).Add(time.Minute)
	return func(hours int) time.Time {
		t.Helper()
		s.Settle(t)
		at := base.Add(time.Duration(hours) * time.Hour)
		s.Guest().Post(t, "oven/clock", m{"offsetMs": time.Until(at).Milliseconds()})
		s.Settle(t)
		return at
	}
}

// What is there, by what charts say there is: a row for each number that is
// another. Charts keep their totals at the epoch.
const sqlWrongTotals = `
WITH truth (name, grp, col, n) AS (
	SELECT 'notes', '', 1, count(*) FILTER (WHERE user_host IS NULL) FROM note
	UNION ALL SELECT 'notes', '', 8, count(*) FILTER (WHERE user_host IS NOT NULL) FROM note
	UNION ALL SELECT 'users', '', 1, count(*) FROM "user" WHERE host IS NULL AND NOT is_system AND NOT is_deleted
	UNION ALL SELECT 'users', '', 4, count(*) FROM "user" WHERE host IS NOT NULL AND NOT is_deleted
	UNION ALL SELECT 'perUserNotes', u.id, 1, (SELECT count(*) FROM note WHERE user_id = u.id) FROM "user" u
	UNION ALL SELECT 'perUserFollowing', u.id, 1, (SELECT count(*) FROM following WHERE follower_id = u.id AND followee_host IS NULL) FROM "user" u
	UNION ALL SELECT 'perUserFollowing', u.id, 4, (SELECT count(*) FROM following WHERE followee_id = u.id AND follower_host IS NULL) FROM "user" u
	UNION ALL SELECT 'perUserFollowing', u.id, 7, (SELECT count(*) FROM following WHERE follower_id = u.id AND followee_host IS NOT NULL) FROM "user" u
	UNION ALL SELECT 'perUserFollowing', u.id, 10, (SELECT count(*) FROM following WHERE followee_id = u.id AND follower_host IS NOT NULL) FROM "user" u
	UNION ALL SELECT 'perUserDrive', u.id, 1, (SELECT count(*) FROM drive_file WHERE user_id = u.id AND NOT is_link) FROM "user" u
	UNION ALL SELECT 'perUserDrive', u.id, 2, (SELECT coalesce(sum(size), 0) FROM drive_file WHERE user_id = u.id AND NOT is_link) FROM "user" u
	UNION ALL SELECT 'instance', h, 4, (SELECT count(*) FROM note n JOIN "user" u ON u.id = n.user_id WHERE u.actor_host = h) FROM (SELECT DISTINCT actor_host FROM "user" WHERE actor_host IS NOT NULL) a (h)
	UNION ALL SELECT 'instance', h, 11, (SELECT count(*) FROM "user" u WHERE u.actor_host = h AND NOT is_deleted) FROM (SELECT DISTINCT actor_host FROM "user" WHERE actor_host IS NOT NULL) a (h)
	UNION ALL SELECT 'instance', h, 14, (SELECT count(*) FROM following WHERE follower_host = h) FROM (SELECT DISTINCT actor_host FROM "user" WHERE actor_host IS NOT NULL) a (h)
	UNION ALL SELECT 'instance', h, 17, (SELECT count(*) FROM following WHERE followee_host = h) FROM (SELECT DISTINCT actor_host FROM "user" WHERE actor_host IS NOT NULL) a (h)
), counted (name, grp, col, n) AS (
	SELECT c.name, c.grp, v.col, v.n FROM chart c, unnest(c.v) WITH ORDINALITY v (n, col) WHERE c.span = 'all' AND c.name <> 'federation' AND v.n <> 0
)
SELECT name || ' ' || grp || ' ' || col, coalesce(c.n, 0), coalesce(t.n, 0) FROM truth t FULL JOIN counted c USING (name, grp, col) WHERE coalesce(c.n, 0) <> coalesce(t.n, 0)
UNION ALL
-- What was added in hours, in days and ever is the same.
SELECT 'sums of ' || name || ' ' || grp || ' ' || i, h, d FROM (
	SELECT name, grp, i, sum(n) FILTER (WHERE span = 'hour') AS h, sum(n) FILTER (WHERE span = 'day') AS d
	FROM chart c, unnest(c.v) WITH ORDINALITY v (n, i) WHERE name NOT IN ('activeUsers', 'federation', 'perUserPv') GROUP BY 1, 2, 3) s WHERE h IS DISTINCT FROM d`

func totalsAreRight(t *testing.T, d *pg.DB, when string) {
	t.Helper()
	rows, err := d.Query(t.Context(), sqlWrongTotals)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var what string
		var counted, there int64
		if err := rows.Scan(&what, &counted, &there); err != nil {
			t.Fatal(err)
		}
		t.Errorf("%s: %s: counted %d, there are %d", when, what, counted, there)
	}
	if rows.Err() != nil {
		t.Fatal(rows.Err())
	}
}

// people do at random what charts count.
type people struct {
	users []*testsrv.User
	notes []string
	rand  *rand.Rand
	// by what was done
	created, replies, renotes, reactions int
}

func (p *people) act(t *testing.T, times int) {
	t.Helper()
	for range times {
		u := p.users[p.rand.IntN(len(p.users))]
		id, other := p.notes[p.rand.IntN(len(p.notes))], p.users[p.rand.IntN(len(p.users))].ID
		c := []struct {
			name   string
			params m
		}{
			{"notes/create", m{"text": "n"}}, {"notes/create", m{"text": "r", "replyId": id}}, {"notes/create", m{"renoteId": id}}, {"notes/create", m{"text": "q", "renoteId": id}},
			{"notes/delete", m{"noteId": id}}, {"notes/unrenote", m{"noteId": id}}, {"notes/reactions/create", m{"noteId": id, "reaction": []string{"🍞", "🎉"}[p.rand.IntN(2)]}},
			{"following/create", m{"userId": other}}, {"following/delete", m{"userId": other}}, {"following/invalidate", m{"userId": other}}, {"blocking/create", m{"userId": other}},
			{"blocking/delete", m{"userId": other}},
		}[p.rand.IntN(12)]
		status, out := u.Call(t, c.name, c.params)
		if status >= 500 {
			t.Fatalf("%s %v: %d %v", c.name, c.params, status, out)
		}
		if status >= 300 {
			continue
		}
		if id, ok := testsrv.Dig(out, "createdNote", "id").(string); ok {
			p.notes = append(p.notes, id)
			p.created++
			if c.params["replyId"] != nil {
				p.replies++
			}
			if c.params["renoteId"] != nil {
				p.renotes++
			}
		}
		if c.name == "notes/reactions/create" {
			p.reactions++
		}
	}
}

// Whatever people do, here and elsewhere, and whenever the server is stopped: the
// totals of charts are what is there.
func TestTotalsOfCharts(t *testing.T) {
	t.Parallel()
	far := testsrv.NewRemote(t)
	s := testsrv.New(t)
	root := s.User(t, "root")
	p := &people{rand: rand.New(rand.NewPCG(1, 2)), users: []*testsrv.User{root}}
	for i := range 4 {
		p.users = append(p.users, s.User(t, fmt.Sprintf("p%d", i)))
	}
	carol := far.Actor("carol")
	carolHere := carol.On(t, root)
	post := func(n int) {
		t.Helper()
		for i := range n {
			note := carol.Note(fmt.Sprintf("/n/%d-%d", len(p.notes), i), m{})
			carol.Tell(t, s, m{"type": "Create", "object": note})
			p.notes = append(p.notes, testsrv.Dig(root.Post(t, "ap/show", m{"uri": note["id"]}), "object", "id").(string))
		}
	}
	p.notes = []string{root.Note(t, m{"text": "first"})}
	p.created++
	post(2)
	carol.Tell(t, s, m{"type": "Follow", "object": p.users[1].URI()})
	root.Post(t, "following/create", m{"userId": carolHere.ID})
	follow := far.Got(t, "Follow")
	carol.Tell(t, s, m{"type": "Accept", "object": follow})
	p.act(t, 150)
	s.Settle(t)
	totalsAreRight(t, s.DB, "first")

	// Whoever folds is killed in the middle, and the server stops while changes are
	// still to be read.
	goOn := killFolding(t, s, func() { p.act(t, 60) })
	s.Stop(t)
	if s.Count(t, `SELECT (SELECT next_seq - 1 FROM log_head WHERE name = 'change') - (SELECT seq FROM log_cursor WHERE name = 'stats.charts')`) == 0 {
		t.Error("nothing was left to be read")
	}
	goOn()
	s.Start(t)
	p.act(t, 60)
	post(1)
	s.Settle(t)
	totalsAreRight(t, s.DB, "after a stop")

	// What is told of the hours is what was done in them.
	inc := line(t, root, "notes", m{"limit": 2}, "local", "inc")
	if got := inc[0] + inc[1]; got != float64(p.created) {
		t.Errorf("%v notes came, %d were written", got, p.created)
	}
	dec, total := line(t, root, "notes", m{"limit": 2}, "local", "dec"), line(t, root, "notes", m{"limit": 2}, "local", "total")
	if total[0] != inc[0]+inc[1]-dec[0]-dec[1] || total[0] != float64(s.Count(t, `SELECT count(*) FROM note WHERE user_host IS NULL`)) {
		t.Errorf("total %v of %v and %v", total, inc, dec)
	}
	sum := 0.0
	for _, u := range append(slices.Clone(p.users), carolHere) {
		for _, side := range []string{"local", "remote"} {
			l := line(t, root, "user/reactions", m{"userId": u.ID, "limit": 2}, side, "count")
			sum += l[0] + l[1]
		}
	}
	if sum != float64(p.reactions) {
		t.Errorf("%v reactions were counted, there were %d", sum, p.reactions)
	}
	diffs := `SELECT sum(v.n) FROM chart c, unnest(c.v) WITH ORDINALITY v (n, i) WHERE c.name = 'notes' AND c.span = 'day' AND v.i = $1`
	for i, what := range map[int]string{4: `reply_id IS NULL AND renote_id IS NULL`, 5: `reply_id IS NOT NULL`, 6: `renote_id IS NOT NULL`} {
		there := s.Count(t, `SELECT count(*) FROM note WHERE user_host IS NULL AND `+what)
		if got := s.Count(t, diffs, i); got < there || got > there+p.replies+p.renotes {
			t.Errorf("%s: counted %d, there are %d", what, got, there)
		}
	}

	// Accounts end, here and elsewhere, and come back.
	carol.Tell(t, s, m{"type": "Delete", "object": carol.ID})
	totalsAreRight(t, s.DB, "an account's end elsewhere")
	carol.Tell(t, s, m{"type": "Undo", "object": m{"type": "Delete", "object": carol.ID}})
	totalsAreRight(t, s.DB, "an account's return")
	root.Post(t, "admin/accounts/delete", m{"userId": p.users[1].ID})
	root.Post(t, "admin/accounts/delete", m{"userId": p.users[2].ID})
	s.Settle(t)
	totalsAreRight(t, s.DB, "an account's end here")
	res := root.Post(t, "stats", m{})
	for col, there := range map[string]string{"usersCount": `"user" WHERE NOT is_system AND NOT is_deleted`, "originalUsersCount": `"user" WHERE host IS NULL AND NOT is_system AND NOT is_deleted`,
		"notesCount": `note`, "originalNotesCount": `note WHERE user_host IS NULL`} {
		testsrv.Is(t, res, s.Count(t, `SELECT count(*) FROM `+there), col)
	}
}

// killFolding ends the connection of whoever folds what the act makes, in the
// middle of its transaction, and keeps others from folding until goOn is called.
func killFolding(t *testing.T, s *testsrv.Server, act func()) (goOn func()) {
	t.Helper()
	gate, err := s.DB.TryLock(t.Context(), pg.LockChart, 0)
	if err != nil {
		t.Fatal(err)
	}
	act()
	const sqlKill = `SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'advisory' AND query LIKE '%pg_advisory_xact_lock%'`
	for deadline := time.Now().Add(20 * time.Second); s.Count(t, sqlKill) == 0; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("nobody folds")
		}
	}
	tx, err := s.DB.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec(t.Context(), `SELECT FROM log_cursor WHERE name = 'stats.charts' FOR UPDATE`); err != nil {
		t.Fatal(err)
	}
	gate.Release()
	return func() {
		if err := tx.Rollback(t.Context()); err != nil {
			t.Error(err)
		}
	}
}

// A server that is upgraded has the totals of what it had: what the migration
// writes is what the change log would have made.
func TestChartsOfAnOlderServer(t *testing.T) {
	t.Parallel()
	far := testsrv.NewRemote(t)
	s := testsrv.New(t)
	root := s.User(t, "root")
	p := &people{rand: rand.New(rand.NewPCG(3, 4)), users: []*testsrv.User{root, s.User(t, "alice"), s.User(t, "bob")}, notes: []string{root.Note(t, m{"text": "x"})}}
	carol := far.Actor("carol")
	carol.On(t, root)
	carol.Tell(t, s, m{"type": "Follow", "object": p.users[1].URI()})
	carol.Tell(t, s, m{"type": "Create", "object": carol.Note("/n/1", m{})})
	p.act(t, 60)
	s.Settle(t)
	s.Stop(t)
	for _, sql := range []string{`DELETE FROM chart`, `DELETE FROM log_cursor WHERE name = 'stats.charts'`,
		`INSERT INTO drive_file (id, user_id, name, type, size, url) VALUES ('f1', (SELECT id FROM "user" WHERE username = 'bob'), 'x', 'x', 5300, 'x')`,
		`INSERT INTO change_stage (kind, object_id, actor_id, data) SELECT 'note.created', id, user_id, '{}' FROM note LIMIT 1`, seed(t)} {
		if _, err := s.DB.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	totalsAreRight(t, s.DB, "after the migration")
	s.Start(t)
	is(t, "files", line(t, root, "user/drive", m{"userId": p.users[2].ID}, "totalCount"), 1, 1, 1)
	is(t, "sizes", line(t, root, "user/drive", m{"userId": p.users[2].ID}, "totalSize"), 5, 5, 5)
	p.act(t, 30)
	s.Settle(t)
	totalsAreRight(t, s.DB, "after some more")
}

// Hours and days are UTC's. What is carried over is so over hours in which nothing
// was; what was not there to count is told.
func TestBuckets(t *testing.T) {
	t.Parallel()
	s := testsrv.New(t)
	clock := clock(t, s)
	alice := s.User(t, "alice")
	first := clock(1)
	alice.Note(t, m{"text": "1"})
	alice.Note(t, m{"text": "2"})
	clock(4)
	alice.Note(t, m{"text": "3"})
	id := alice.Note(t, m{"text": "4"})
	alice.Post(t, "notes/delete", m{"noteId": id})
	clock(5)
	of := m{"userId": alice.ID, "limit": 6}
	is(t, "total", line(t, alice, "user/notes", of, "total"), 3, 3, 2, 2, 2, 0)
	is(t, "inc", line(t, alice, "user/notes", of, "inc"), 0, 2, 0, 0, 2, 0)
	is(t, "dec", line(t, alice, "user/notes", of, "dec"), 0, 1, 0, 0, 0, 0)
	is(t, "diffs", line(t, alice, "user/notes", of, "diffs", "normal"), 0, 1, 0, 0, 2, 0)
	is(t, "up to the first hour", line(t, alice, "user/notes", m{"userId": alice.ID, "offset": first.UnixMilli()}, "total"), 2, 0, 0)
	is(t, "offset 0", line(t, alice, "user/notes", m{"userId": alice.ID, "offset": 0}, "total"), 3, 3, 2)
	is(t, "long ago", line(t, alice, "user/notes", m{"userId": alice.ID, "offset": 1}, "total"), 0, 0, 0)

	// Days later: the day carries over, hours of the past are found again.
	later := clock(24 * 4)
	alice.Note(t, m{"text": "5"})
	s.Settle(t)
	days := line(t, alice, "user/notes", m{"userId": alice.ID, "span": "day", "limit": 6}, "total")
	if days[0] != 4 || days[1] != 3 || days[2] != 3 || days[5] != 0 {
		t.Errorf("days %v", days)
	}
	is(t, "hours of the past", line(t, alice, "user/notes", m{"userId": alice.ID, "limit": 4, "offset": first.Add(3 * time.Hour).UnixMilli()}, "total"), 3, 2, 2, 2)
	is(t, "the last hours", line(t, alice, "user/notes", of, "total"), 4, 3, 3, 3, 3, 3)
	if got := line(t, alice, "user/notes", m{"userId": alice.ID, "limit": 500}, "inc"); len(got) != 500 || sum(got) != 5 {
		t.Errorf("%d hours, %v notes", len(got), sum(got))
	}

	// A server that is started there has counted in that hour, and not in those
	// between.
	s.Stop(t)
	if _, err := s.DB.Exec(t.Context(), `DELETE FROM chart_hour`); err != nil {
		t.Fatal(err)
	}
	for _, at := range []time.Time{later, later.Add(-2 * time.Hour), later.Add(-24 * time.Hour)} {
		if _, err := s.DB.Exec(t.Context(), `INSERT INTO chart_hour VALUES ($1) ON CONFLICT DO NOTHING`, at.Truncate(time.Hour)); err != nil {
			t.Fatal(err)
		}
	}
	s.Start(t)
	ask := m{"span": "hour", "limit": 4, "offset": later.UnixMilli()}
	if got := fmt.Sprint(testsrv.Dig(alice.Post(t, "oven/charts/hours", ask), "hours")); got != "[1 0 1 0]" {
		t.Errorf("hours %s", got)
	}
	since, err := time.Parse(time.RFC3339, testsrv.Dig(alice.Post(t, "oven/charts/hours", ask), "since").(string))
	if err != nil || since.After(later.Add(-24*time.Hour)) {
		t.Errorf("since %v, %v", since, err)
	}
	ask["span"], ask["limit"] = "day", 1
	want := 2.0
	if later.Hour() < 2 {
		want = 1
	}
	testsrv.Is(t, alice.Post(t, "oven/charts/hours", ask), want, "hours", 0)
	const sqlNow = `SELECT count(*) FROM chart_hour WHERE at > now() - interval '2 hours' AND at <= now()`
	for deadline := time.Now().Add(20 * time.Second); s.Count(t, sqlNow) == 0; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the running server does not count this hour")
		}
	}
}

func sum(list []float64) (n float64) {
	for _, v := range list {
		n += v
	}
	return n
}

// seed is what the migration fills charts with.
func seed(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile("../../db/migrations/0100_chart.sql")
	if err != nil {
		t.Fatal(err)
	}
	_, fill, _ := strings.Cut(string(b), "LOCK TABLE")
	return "LOCK TABLE" + fill
}
