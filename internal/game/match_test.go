package game_test

import (
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"buttersc.one/oven/internal/testsrv"
)

type m = testsrv.M

func clock(t testing.TB, s *testsrv.Server, by time.Duration) {
	t.Helper()
	s.Guest().Post(t, "oven/clock", m{"offsetMs": by.Milliseconds()})
}

// told waits for an event of the channel reversi.
func told(sock *testsrv.Socket, typ string) any {
	return testsrv.Dig(sock.Next(typ, func(m m) bool {
		return m["type"] == "channel" && testsrv.Dig(m, "body", "id") == "reversi" && testsrv.Dig(m, "body", "type") == typ
	}), "body", "body")
}

// matches looks for somebody and gives the game, "" where there is none yet.
func matches(t testing.TB, u *testsrv.User, params m) string {
	t.Helper()
	status, out := u.Call(t, "reversi/match", params)
	if status == http.StatusNoContent {
		return ""
	}
	id, _ := testsrv.Dig(out, "id").(string)
	if status != http.StatusOK || id == "" {
		t.Fatalf("match %v by %s: %d %v", params, u.Name, status, out)
	}
	return id
}

// invitations are the names of those who invite.
func invitations(t testing.TB, u *testsrv.User) string {
	t.Helper()
	names := ""
	for _, u := range u.List(t, "reversi/invitations", m{}) {
		names += u["username"].(string) + " "
	}
	return names
}

func TestInvite(t *testing.T) {
	t.Parallel()
	s := testsrv.New(t)
	a, b, c := s.User(t, "alice"), s.User(t, "bora"), s.User(t, "cho")
	far := testsrv.Dig(s.Guest().Post(t, "signup", m{"username": "far", "password": "x", "host": "far.example"}), "id")
	s.Guest().Fails(t, "reversi/match", m{}, 401, "CREDENTIAL_REQUIRED")
	a.Fails(t, "reversi/match", m{"userId": a.ID}, 400, "TARGET_IS_YOURSELF")
	a.Fails(t, "reversi/match", m{"userId": "nobody0000"}, 400, "NO_SUCH_USER")
	a.Fails(t, "reversi/match", m{"userId": far}, 400, "NO_SUCH_USER")
	for _, bad := range []m{{"userId": ""}, {"userId": 1}, {"userId": "a b"}, {"noIrregularRules": 1}, {"multiple": "x"}} {
		a.Fails(t, "reversi/match", bad, 400, "INVALID_PARAM")
	}
	if n := s.Count(t, "SELECT (SELECT count(*) FROM reversi_invitation) + (SELECT count(*) FROM reversi_waiting)"); n != 0 {
		t.Errorf("%d were written", n)
	}

	as, bs := a.Stream(t, "reversi"), b.Stream(t, "reversi")
	if id := matches(t, a, m{"userId": b.ID}); id != "" {
		t.Fatal("a game with somebody who was not asked")
	}
	testsrv.Is(t, told(bs, "invited"), "alice", "user", "username")
	if got := invitations(t, b); got != "alice " {
		t.Errorf("invited by %s", got)
	}
	if got := invitations(t, a) + invitations(t, c); got != "" {
		t.Errorf("others are invited by %s", got)
	}
	// It is for one person.
	if matches(t, c, m{"userId": a.ID}) != "" {
		t.Error("another's invitation is taken")
	}
	game := b.Post(t, "reversi/match", m{"userId": a.ID})
	id := testsrv.Dig(game, "id")
	testsrv.Is(t, game, a.ID, "user1Id")
	testsrv.Is(t, game, "bora", "user2", "username")
	testsrv.Is(t, game, false, "isStarted")
	testsrv.Is(t, game, false, "noIrregularRules")
	testsrv.Is(t, game, "random", "bw")
	testsrv.Is(t, game, 90, "timeLimitForEachTurn")
	testsrv.Is(t, game, "---wb---", "map", 3)
	testsrv.Is(t, game, []any{}, "logs")
	testsrv.Is(t, told(as, "matched"), id, "game", "id")
	// Who asks again finds the game that is there, not another; unless he wants one.
	if again := matches(t, a, m{"userId": b.ID}); again != id {
		t.Errorf("%s, then %s", id, again)
	}
	if again := matches(t, b, m{}); again != id {
		t.Errorf("%s, then %s with anybody", id, again)
	}
	if matches(t, a, m{"userId": b.ID, "multiple": true}) != "" {
		t.Error("a second game without being asked")
	}
	if second := matches(t, b, m{"userId": a.ID, "multiple": true}); second == "" || second == id {
		t.Errorf("the second game is %q", second)
	}
	clock(t, s, 4*time.Minute) // and after a while there is nothing to be found
	if matches(t, a, m{"userId": b.ID}) != "" {
		t.Error("a game of long ago is found")
	}
	// An invitation is taken back, and ends by itself.
	a.Post(t, "reversi/cancel-match", m{"userId": b.ID})
	if got := invitations(t, b); got != "" {
		t.Errorf("still invited by %s", got)
	}
	matches(t, a, m{"userId": b.ID})
	clock(t, s, 4*time.Minute+30*time.Second)
	if got := invitations(t, b); got != "" {
		t.Errorf("still invited by %s", got)
	}
	if matches(t, b, m{"userId": a.ID}) != "" {
		t.Error("an invitation that has ended is taken")
	}
}

// Who blocks somebody is not invited by him, and does not meet him.
func TestBlocked(t *testing.T) {
	t.Parallel()
	s := testsrv.New(t)
	a, b, c := s.User(t, "alice"), s.User(t, "bora"), s.User(t, "cho")
	matches(t, a, m{"userId": b.ID})
	b.Post(t, "blocking/create", m{"userId": a.ID})
	if got := invitations(t, b); got != "" {
		t.Errorf("invited by %s, whom he blocks", got)
	}
	a.Fails(t, "reversi/match", m{"userId": b.ID}, 400, "NO_SUCH_USER")
	b.Fails(t, "reversi/match", m{"userId": a.ID}, 400, "NO_SUCH_USER")
	if matches(t, b, m{}) != "" || matches(t, a, m{}) != "" {
		t.Error("they meet")
	}
	if matches(t, c, m{}) == "" { // who meets whom has waited longest
		t.Error("nobody is met")
	}
	testsrv.Is(t, b.List(t, "reversi/games", m{"my": true})[0], c.ID, "user2Id")
	if l := a.List(t, "reversi/games", m{"my": true}); len(l) != 0 {
		t.Errorf("%v", l)
	}
	// Nor is anybody invited by who has been suspended.
	matches(t, c, m{"userId": a.ID})
	if _, err := s.DB.Exec(t.Context(), `UPDATE "user" SET is_suspended = true WHERE id = $1`, c.ID); err != nil {
		t.Fatal(err)
	}
	if got := invitations(t, a); got != "" {
		t.Errorf("invited by %s, who is suspended", got)
	}
}

func TestAnybody(t *testing.T) {
	t.Parallel()
	s := testsrv.New(t)
	a, b, c := s.User(t, "alice"), s.User(t, "bora"), s.User(t, "cho")
	if matches(t, a, m{"noIrregularRules": true}) != "" || matches(t, a, m{"userId": nil, "noIrregularRules": true}) != "" {
		t.Fatal("a game against oneself")
	}
	as := a.Stream(t, "reversi")
	game := b.Post(t, "reversi/match", m{})
	testsrv.Is(t, game, true, "noIrregularRules") // as one of them wants it
	testsrv.Is(t, game, a.ID, "user1Id")
	testsrv.Is(t, told(as, "matched"), testsrv.Dig(game, "id"), "game", "id")
	if matches(t, c, m{}) != "" {
		t.Error("who has found somebody still waits")
	}
	c.Post(t, "reversi/cancel-match", m{"userId": nil})
	if matches(t, a, m{"multiple": true}) != "" {
		t.Error("who has given up still waits")
	}
	clock(t, s, 16*time.Second)
	if matches(t, c, m{}) != "" {
		t.Error("who does not ask any more still waits")
	}
	// An invitation comes before who waits.
	d := s.User(t, "dan")
	matches(t, d, m{"userId": b.ID})
	testsrv.Is(t, b.Post(t, "reversi/match", m{"multiple": true}), d.ID, "user1Id")
}

// However many look at the same moment, each finds one other.
func TestCrowd(t *testing.T) {
	t.Parallel()
	s := testsrv.New(t)
	const people = 12
	users, games := make([]*testsrv.User, people), make([]string, people)
	for i := range users {
		users[i] = s.User(t, fmt.Sprintf("user%d", i))
	}
	for range 2 { // who waits finds his game when he asks again
		var wg sync.WaitGroup
		for i, u := range users {
			wg.Go(func() {
				if status, out := u.Call(t, "reversi/match", m{}); status == http.StatusOK {
					games[i] = testsrv.Dig(out, "id").(string)
				}
			})
		}
		wg.Wait()
	}
	in := map[string]int{}
	for _, id := range games {
		in[id]++
	}
	for id, n := range in {
		if id == "" || n != 2 {
			t.Errorf("%d are in game %q", n, id)
		}
	}
	if n := s.Count(t, "SELECT count(*) FROM reversi_game"); n != people/2 {
		t.Errorf("%d games", n)
	}
}

// What came to nothing is swept; what was played is kept.
func TestSweep(t *testing.T) {
	t.Parallel()
	s := testsrv.New(t)
	a, b, c := s.User(t, "alice"), s.User(t, "bora"), s.User(t, "cho")
	pair := func() string {
		matches(t, a, m{"userId": b.ID, "multiple": true})
		return matches(t, b, m{"userId": a.ID, "multiple": true})
	}
	idle, lost := pair(), pair()
	a.Post(t, "reversi/surrender", m{"gameId": lost})
	p := begin(t, a, b, pair(), nil)
	p.move()
	matches(t, c, m{"userId": a.ID})
	matches(t, c, m{})
	exists := func(id string) bool {
		status, _ := a.Call(t, "reversi/show-game", m{"gameId": id})
		return status == http.StatusOK
	}
	clock(t, s, 2*time.Hour)
	s.Settle(t)
	if exists(idle) || !exists(lost) || !exists(p.id) {
		t.Errorf("kept: idle %v, lost %v, begun %v", exists(idle), exists(lost), exists(p.id))
	}
	if n := s.Count(t, "SELECT (SELECT count(*) FROM reversi_invitation) + (SELECT count(*) FROM reversi_waiting)"); n != 0 {
		t.Errorf("%d who look are left", n)
	}
	testsrv.Is(t, a.Post(t, "reversi/show-game", m{"gameId": p.id}), false, "isEnded")
	// Whom both have left has been lost by who should have moved.
	clock(t, s, 30*time.Hour)
	s.Settle(t)
	g := a.Post(t, "reversi/show-game", m{"gameId": p.id})
	testsrv.Is(t, g, true, "isEnded")
	testsrv.Is(t, g, p.mover().u.ID, "timeoutUserId")
	testsrv.Is(t, g, p.waiter().u.ID, "winnerId")
}
