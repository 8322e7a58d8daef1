package account_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"buttersc.one/oven/internal/app"
	"buttersc.one/oven/internal/testsrv"
)

// Somebody with many followers here has moved. Whoever works at it is broken off
// again and again, in the middle of a statement as likely as not; each follower
// asks to follow the new account once, in the move's own stream of the lower lane,
// and never are all asked for at once.
func TestMoveOfMany(t *testing.T) {
	t.Parallel()
	const followers = 45
	far := testsrv.NewRemote(t)
	s := testsrv.New(t, func(o *app.Options) { o.Workers = false })
	watcher := s.User(t, "watcher")
	old := far.Actor("old")
	fresh := far.Actor("new", m{"alsoKnownAs": []string{old.ID}})
	oldID, newID := old.On(t, watcher).ID, fresh.On(t, watcher).ID
	exec := func(sql string, args ...any) {
		t.Helper()
		if _, err := s.DB.Exec(t.Context(), sql, args...); err != nil {
			t.Fatal(err)
		}
	}
	for i := range followers {
		id := fmt.Sprintf("follower%02d", i)
		exec(`INSERT INTO "user" (id, username, username_lower) VALUES ($1, $1, $1)`, id)
		exec(`INSERT INTO user_stat (user_id, following_count) VALUES ($1, 1)`, id)
		exec(`INSERT INTO user_profile (user_id) VALUES ($1)`, id)
		exec(`INSERT INTO following (id, follower_id, followee_id, followee_host) VALUES ($1, $1, $2, $3)`, id, oldID, far.Host)
	}
	exec(`UPDATE user_stat SET followers_count = $2 WHERE user_id = $1`, oldID, followers)
	exec(`INSERT INTO following (id, follower_id, followee_id, followee_host) VALUES ('w', $1, $2, $3)`, watcher.ID, oldID, far.Host)
	exec(`UPDATE user_stat SET followers_count = followers_count + 1 WHERE user_id = $1`, oldID)
	exec(`INSERT INTO blocking (id, blocker_id, blockee_id) VALUES ('b', 'follower07', $1)`, newID)
	exec(`INSERT INTO account_move (user_id, target_id, at, state) VALUES ($1, $2, now(), 'running')`, oldID, newID)

	asked := func() int {
		return s.Count(t, `SELECT (SELECT count(*) FROM follow_request WHERE followee_id = $1)`, newID)
	}
	steps, before := 0, 0
	for s.Count(t, "SELECT count(*) FROM account_move WHERE state = 'running'") > 0 {
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); _ = s.App.Accounts.RunMoves(ctx) }()
		time.Sleep(time.Duration(5+rand.IntN(80)) * time.Millisecond)
		cancel()
		<-done
		if now := asked(); now-before > 20 {
			t.Errorf("%d asked at once", now-before)
		}
		before = asked()
		if steps++; steps > 500 {
			t.Fatal("it comes to no end")
		}
		// What was broken off is somebody's for half a minute.
		watcher.Post(t, "oven/clock", m{"offsetMs": steps * 60_000})
	}
	if steps < 3 {
		t.Errorf("done in %d steps", steps)
	}
	if n := asked(); n != followers { // all but the one who blocks, and the watcher
		t.Errorf("%d ask to follow the new account", n)
	}
	if n := s.Count(t, "SELECT count(*) FROM following WHERE followee_id = $1", oldID); n != 0 {
		t.Errorf("%d still follow the old one", n)
	}
	if n := s.Count(t, "SELECT followers_count FROM user_stat WHERE user_id = $1", oldID); n != 0 {
		t.Errorf("counted %d followers", n)
	}
	// What was told, and where: Follows in the operation's stream, each once.
	const all = `WITH told AS (SELECT stream_id, type, actor_id FROM fed_stage UNION ALL SELECT stream_id, type, actor_id FROM fed_log_bulk
		UNION ALL SELECT stream_id, type, actor_id FROM fed_log_live) `
	for what, c := range map[string]struct {
		sql  string
		want int
	}{
		"Follows":                   {`SELECT count(*) FROM told WHERE type = 'Follow'`, followers},
		"who follow":                {`SELECT count(DISTINCT actor_id) FROM told WHERE type = 'Follow'`, followers},
		"Follows outside a stream":  {`SELECT count(*) FROM told WHERE type = 'Follow' AND stream_id NOT IN (SELECT stream_id FROM fed_stream WHERE kind = 'move')`, 0},
		"Undos":                     {`SELECT count(*) FROM told WHERE type = 'Undo' AND stream_id = 3`, followers + 1},
		"open streams":              {`SELECT count(*) FROM fed_stream WHERE kind = 'move' AND closed_at IS NULL`, 0},
		"streams":                   {`SELECT count(*) FROM fed_stream WHERE kind = 'move'`, 1},
		"requests of who blocks it": {`SELECT count(*) FROM follow_request WHERE follower_id = 'follower07'`, 0},
	} {
		if n := s.Count(t, all+c.sql); n != c.want {
			t.Errorf("%d %s, want %d", n, what, c.want)
		}
	}
}
