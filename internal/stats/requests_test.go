package stats_test

import (
	"net/http"
	"testing"

	"buttersc.one/oven/internal/testsrv"
)

// What no change tells of: requests out and in, views of accounts, who is here.
func TestRequestCharts(t *testing.T) {
	t.Parallel()
	far := testsrv.NewRemote(t)
	s := testsrv.New(t)
	clock := clock(t, s)
	clock(1)
	alice, bob, guest := s.User(t, "alice"), s.User(t, "bob"), s.Guest()
	carol := far.Actor("carol")
	carol.Tell(t, s, m{"type": "Follow", "object": alice.URI()})
	carol.Tell(t, s, m{"type": "Create", "object": carol.Note("/n/1", m{})})
	far.Got(t, "Accept")
	alice.Note(t, m{"text": "x"})
	alice.Note(t, m{"text": "y"})
	far.Got(t, "Create")
	far.Got(t, "Create")
	s.Settle(t)
	n := func(name string, params m, path ...any) float64 {
		t.Helper()
		return sum(line(t, bob, name, params, path...))
	}
	for _, c := range []struct {
		name   string
		params m
		path   []any
		want   float64
	}{
		{"ap-request", nil, []any{"deliverSucceeded"}, 3}, {"ap-request", nil, []any{"deliverFailed"}, 0}, {"ap-request", nil, []any{"inboxReceived"}, 2},
		{"instance", m{"host": far.Host}, []any{"requests", "succeeded"}, 3}, {"instance", m{"host": far.Host}, []any{"requests", "received"}, 2},
		{"instance", m{"host": far.Host}, []any{"notes", "inc"}, 1}, {"instance", m{"host": far.Host}, []any{"users", "inc"}, 1},
		{"instance", m{"host": far.Host}, []any{"following", "inc"}, 1}, {"instance", m{"host": "nobody.example"}, []any{"notes", "total"}, 0},
		{"federation", m{"span": "day", "limit": 1}, []any{"deliveredInstances"}, 1}, {"federation", m{"span": "day", "limit": 1}, []any{"inboxInstances"}, 1},
		{"federation", nil, []any{"stalled"}, 0},
		{"users", m{"span": "day", "limit": 1}, []any{"local", "inc"}, 2}, {"users", m{"span": "day", "limit": 1}, []any{"remote", "inc"}, 1},
		{"users", nil, []any{"local", "dec"}, 0}, {"notes", nil, []any{"remote", "inc"}, 1},
	} {
		if got := n(c.name, c.params, c.path...); got != c.want {
			t.Errorf("charts/%s %v %v: %v, want %v", c.name, c.params, c.path, got, c.want)
		}
	}

	// A server that does not answer.
	s.App.Stats.Sent("gone.example", false)
	s.App.Stats.Sent("gone.example", false)
	s.Settle(t)
	if n("instance", m{"host": "GONE.example"}, "requests", "failed") != 2 || n("federation", m{"span": "day"}, "stalled") != 1 || n("ap-request", nil, "deliverFailed") != 2 {
		t.Error("failures are not counted")
	}

	// Who follows whom is looked at now and then.
	clock(2)
	for _, c := range []struct {
		col  string
		want float64
	}{{"pub", 1}, {"sub", 0}, {"pubsub", 0}, {"pubActive", 1}, {"subActive", 0}} {
		if got := line(t, bob, "federation", nil, c.col); got[0] != c.want {
			t.Errorf("%s: %v, want %v now", c.col, got, c.want)
		}
	}
	clock(3)
	s.Set(t, m{"blockedHosts": []string{far.Host}}) // within an hour, which may be looked at before it ends
	at := clock(4)
	if pub, active := line(t, bob, "federation", nil, "pub"), line(t, bob, "federation", nil, "pubActive"); pub[0] != 1 || active[0] != 0 || active[2] != 1 {
		t.Errorf("a server that is blocked: pub %v, active %v", pub, active)
	}

	// Views: others count, each once, guests by their address; oneself does not.
	for _, u := range []*testsrv.User{bob, bob, guest, guest, guest, alice} {
		u.Post(t, "users/show", m{"userId": alice.ID})
	}
	s.Settle(t)
	of := m{"userId": alice.ID, "limit": 1}
	is(t, "pv", line(t, bob, "user/pv", of, "pv", "user"), 2)
	is(t, "upv", line(t, bob, "user/pv", of, "upv", "user"), 1)
	is(t, "pv of guests", line(t, bob, "user/pv", of, "pv", "visitor"), 3)
	is(t, "upv of guests", line(t, bob, "user/pv", of, "upv", "visitor"), 1)
	if n := s.Count(t, `SELECT count(*) FROM chart_member WHERE name = 'perUserPv' AND (member LIKE '%127.%' OR member LIKE '%::1%')`); n != 0 {
		t.Error("addresses are kept")
	}

	// What was gathered is written when the server ends.
	bob.Post(t, "users/show", m{"userId": alice.ID})
	s.Stop(t)
	s.Start(t)
	offset := m{"userId": alice.ID, "limit": 1, "span": "hour", "offset": at.UnixMilli()}
	if got := line(t, bob, "user/pv", offset, "pv", "user"); got[0] != 3 {
		t.Errorf("%v views after a stop, there were 3", got)
	}
}

// Who is active: once an hour and once a day, by how long they have been here.
func TestActiveUsers(t *testing.T) {
	t.Parallel()
	s := testsrv.New(t)
	clock := clock(t, s)
	clock(1)
	alice, bob := s.User(t, "alice"), s.User(t, "bob")
	alice.Note(t, m{"text": "x"})
	alice.Note(t, m{"text": "y"})
	bob.Post(t, "i", m{})
	s.Settle(t)
	ask := m{"span": "day", "limit": 1}
	got := func(col string) float64 { return sum(line(t, bob, "active-users", ask, col)) }
	for col, want := range map[string]float64{"read": 2, "write": 1, "readWrite": 1, "registeredWithinWeek": 2, "registeredWithinYear": 2, "registeredOutsideWeek": 0} {
		if n := got(col); n != want {
			t.Errorf("%s: %v, want %v", col, n, want)
		}
	}
	clock(24 * 10)
	s.App.Stats.Seen(bob.ID)
	s.Settle(t)
	now := m{"span": "hour", "limit": 1}
	for col, want := range map[string]float64{"read": 1, "write": 0, "readWrite": 0, "registeredOutsideWeek": 1, "registeredWithinMonth": 1, "registeredOutsideMonth": 0, "registeredWithinWeek": 0} {
		is(t, col, line(t, bob, "active-users", now, col), want)
	}
	bob.Note(t, m{"text": "x"}) // writes after having read
	s.Settle(t)
	is(t, "readWrite", line(t, bob, "active-users", now, "readWrite"), 1)

	// Who was counted is forgotten, what was counted is not.
	before := s.Count(t, `SELECT count(*) FROM chart_member`)
	clock(24 * 60)
	if after := s.Count(t, `SELECT count(*) FROM chart_member`); before == 0 || after != 0 {
		t.Errorf("%d members are kept of %d", after, before)
	}
	if sum(line(t, bob, "active-users", m{"span": "day", "limit": 62}, "write")) != 2 {
		t.Error("who wrote is not counted any more")
	}
}

// Files are counted from what the drive tells the change log, in kB.
func TestDriveCharts(t *testing.T) {
	t.Parallel()
	s := testsrv.New(t)
	clock(t, s)(1)
	alice := s.User(t, "alice")
	tell := func(kind string, size int, host any) {
		t.Helper()
		if _, err := s.DB.Exec(t.Context(), `INSERT INTO change_stage (kind, object_id, actor_id, data) VALUES ($1, 'f', $2, $3)`,
			kind, alice.ID, m{"userId": alice.ID, "size": size, "host": host}); err != nil {
			t.Fatal(err)
		}
	}
	tell("drive.created", 1400, nil)
	tell("drive.created", 1400, nil)
	tell("drive.created", 2600, nil)
	tell("drive.deleted", 1400, nil)
	tell("drive.created", 7000, "far.example")
	s.Settle(t)
	of := m{"span": "day", "limit": 1, "userId": alice.ID}
	host := m{"span": "day", "limit": 1, "host": "far.example"}
	is(t, "local.incCount", line(t, alice, "drive", of, "local", "incCount"), 3)
	is(t, "local.incSize", line(t, alice, "drive", of, "local", "incSize"), 5)
	is(t, "local.decSize", line(t, alice, "drive", of, "local", "decSize"), 1)
	is(t, "remote.incSize", line(t, alice, "drive", of, "remote", "incSize"), 7)
	is(t, "remote.decCount", line(t, alice, "drive", of, "remote", "decCount"), 0)
	is(t, "totalCount", line(t, alice, "user/drive", of, "totalCount"), 3)
	is(t, "totalSize", line(t, alice, "user/drive", of, "totalSize"), 11)
	is(t, "decCount", line(t, alice, "user/drive", of, "decCount"), 1)
	is(t, "totalFiles", line(t, alice, "instance", host, "drive", "totalFiles"), 1)
	is(t, "incUsage", line(t, alice, "instance", host, "drive", "incUsage"), 7)
	is(t, "decFiles", line(t, alice, "instance", host, "drive", "decFiles"), 0)
}

// What charts are asked by, and what is refused.
func TestChartParams(t *testing.T) {
	t.Parallel()
	s := testsrv.New(t)
	alice := s.User(t, "alice")
	for name, params := range map[string]m{
		"charts/active-users": {}, "charts/ap-request": {}, "charts/drive": {}, "charts/federation": {}, "charts/notes": {}, "charts/users": {},
		"charts/instance": {"host": "far.example"}, "charts/user/drive": {"userId": alice.ID}, "charts/user/following": {"userId": alice.ID},
		"charts/user/notes": {"userId": alice.ID}, "charts/user/pv": {"userId": alice.ID}, "charts/user/reactions": {"userId": alice.ID},
	} {
		s.Guest().Fails(t, name, params, 400, "INVALID_PARAM")
		params["span"] = "week"
		s.Guest().Fails(t, name, params, 400, "INVALID_PARAM")
		params["span"] = "day"
		for _, limit := range []int{0, 501} {
			params["limit"] = limit
			s.Guest().Fails(t, name, params, 400, "INVALID_PARAM")
		}
		delete(params, "limit")
		params["offset"] = nil
		if n := depth(t, s.Guest().Post(t, name, params)); n != 30 {
			t.Errorf("%s gives %d values, not 30", name, n)
		}
		for _, who := range []string{"host", "userId"} {
			if _, ok := params[who]; ok {
				delete(params, who)
				s.Guest().Fails(t, name, params, 400, "INVALID_PARAM")
			}
		}
	}
	res, err := http.Get(s.Origin + "/api/charts/notes?span=day&limit=2")
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	if res.StatusCode != http.StatusOK || res.Header.Get("Cache-Control") != "public, max-age=3600" {
		t.Errorf("GET: %s, %s", res.Status, res.Header.Get("Cache-Control"))
	}
}

// depth is the one length of all lists in an answer.
func depth(t *testing.T, v any) int {
	t.Helper()
	switch v := v.(type) {
	case []any:
		return len(v)
	case m:
		n := -1
		for k, in := range v {
			d := depth(t, in)
			if n >= 0 && d != n {
				t.Errorf("%s has %d values, others %d", k, d, n)
			}
			n = d
		}
		return n
	}
	t.Errorf("no list: %v", v)
	return -1
}
