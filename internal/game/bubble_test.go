package game_test

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"buttersc.one/oven/internal/testsrv"
)

func TestBubbleGame(t *testing.T) {
	t.Parallel()
	s := testsrv.New(t)
	a, b, c, g := s.User(t, "alice"), s.User(t, "bora"), s.User(t, "cho"), s.Guest()
	began := time.Now()
	seed := func(ago time.Duration) string { return strconv.FormatInt(began.Add(-ago).UnixMilli(), 10) }
	game := func(score any, seed any) m {
		return m{"score": score, "seed": seed, "logs": [][]float64{{1, 2.5}, {}}, "gameMode": "normal", "gameVersion": 3}
	}
	count := func() int { return s.Count(t, "SELECT count(*) FROM bubble_game_record") }
	ranking := func(mode string, want ...any) {
		t.Helper()
		list := g.List(t, "bubble-game/ranking", m{"gameMode": mode})
		if len(list) != len(want)/2 {
			t.Fatalf("%d are ranked: %v", len(list), list)
		}
		for i, r := range list {
			testsrv.Is(t, r, want[2*i], "user", "username")
			testsrv.Is(t, r, want[2*i+1], "score")
		}
	}
	ranking("normal")

	g.Fails(t, "bubble-game/register", game(1, seed(0)), 401, "CREDENTIAL_REQUIRED")
	for _, bad := range []string{seed(-time.Hour), seed(5*time.Hour + time.Second), "0", "-1", "bread", "1e12", " 1", "9223372036854775807", "-9223372036854775808", "99999999999999999999", seed(0) + "x"} {
		a.Fails(t, "bubble-game/register", game(1, bad), 400, "INVALID_SEED")
	}
	for _, bad := range []m{{}, {"score": -1}, {"score": 1.5}, {"score": "1"}, {"score": 1e300}, {"seed": ""}, {"seed": 1}, {"logs": "x"}, {"logs": []any{m{}}}, {"logs": []any{[]any{"x"}}},
		{"gameMode": strings.Repeat("x", 129)}, {"gameMode": nil}, {"gameVersion": "3"}, {"gameVersion": nil}} {
		params := game(1, seed(time.Minute))
		for k, v := range bad {
			params[k] = v
		}
		if len(bad) == 0 {
			params = m{}
		}
		a.Fails(t, "bubble-game/register", params, 400, "INVALID_PARAM")
	}
	if n := count(); n != 0 {
		t.Fatalf("%d records of what is none", n)
	}

	a.Post(t, "bubble-game/register", game(100, seed(time.Minute)))
	a.Post(t, "bubble-game/register", game(300, seed(2*time.Minute)))
	a.Post(t, "bubble-game/register", game(900, seed(2*time.Minute))) // the same game again
	a.Post(t, "bubble-game/register", game(901, "0"+seed(2*time.Minute)))
	b.Post(t, "bubble-game/register", game(200, seed(time.Minute)))
	b.Post(t, "bubble-game/register", game(1<<40, seed(5*time.Hour-time.Minute)))
	c.Post(t, "bubble-game/register", m{"score": 0, "seed": seed(0), "gameMode": "yen", "gameVersion": 3, "sessionId": "x"})
	if n := count(); n != 5 {
		t.Errorf("%d records", n)
	}
	ranking("normal", "bora", 1<<40, "alice", 300)
	ranking("yen", "cho", 0)

	// Ten are ranked, and nobody who may not be here.
	for i := range 10 {
		s.User(t, "user"+strconv.Itoa(i)).Post(t, "bubble-game/register", game(1000+i, seed(0)))
	}
	if list := g.List(t, "bubble-game/ranking", m{"gameMode": "normal"}); len(list) != 10 || list[0]["score"] != float64(1<<40) || list[9]["score"] != 1001.0 {
		t.Errorf("%v", list)
	}
	if _, err := s.DB.Exec(t.Context(), `UPDATE "user" SET is_suspended = id = $1`, b.ID); err != nil {
		t.Fatal(err)
	}
	if list := g.List(t, "bubble-game/ranking", m{"gameMode": "normal"}); list[0]["score"] != 1009.0 {
		t.Errorf("%v", list)
	}
	// What was a week ago does not count, and is kept.
	g.Post(t, "oven/clock", m{"offsetMs": (7*24*time.Hour + time.Minute).Milliseconds()})
	ranking("normal")
	if n := count(); n != 15 {
		t.Errorf("%d records are left", n)
	}
}
