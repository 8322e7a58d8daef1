package game_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strconv"
	"testing"
	"time"

	"buttersc.one/oven/internal/app"
	"buttersc.one/oven/internal/lib/reversi"
	"buttersc.one/oven/internal/testsrv"
)

// small is a board on which a game is short.
var small = []string{"----", "-wb-", "-bw-", "----"}

// seat is somebody with the channel of a game open.
type seat struct {
	t    testing.TB
	u    *testsrv.User
	sock *testsrv.Socket
}

func sit(t testing.TB, u *testsrv.User, gameID string) *seat {
	t.Helper()
	s := &seat{t, u, u.Stream(t)}
	s.sock.Send(m{"type": "connect", "body": m{"channel": "reversiGame", "id": "g", "params": m{"gameId": gameID}, "pong": true}})
	s.sock.Next("connected", func(m m) bool { return m["type"] == "connected" && testsrv.Dig(m, "body", "id") == "g" })
	return s
}

func (s *seat) say(typ string, body any) {
	s.t.Helper()
	s.sock.Send(m{"type": "channel", "body": m{"id": "g", "type": typ, "body": body}})
}

// next waits for the next thing that is told, which must be of this type.
func (s *seat) next(typ string) any {
	s.t.Helper()
	e := s.sock.Next(typ, func(m m) bool { return m["type"] == "channel" && testsrv.Dig(m, "body", "id") == "g" })
	if got := testsrv.Dig(e, "body", "type"); got != typ {
		s.t.Fatalf("%s is told of %v, where %s is due: %v", s.u.Name, got, typ, e)
	}
	return testsrv.Dig(e, "body", "body")
}

// heard returns when all that was said has been taken: messages are in order.
func (s *seat) heard() {
	s.t.Helper()
	s.sock.Send(m{"type": "connect", "body": m{"channel": "queueStats", "id": "heard", "pong": true}})
	s.sock.Next("connected", func(m m) bool { return m["type"] == "connected" && testsrv.Dig(m, "body", "id") == "heard" })
	s.sock.Send(m{"type": "disconnect", "body": m{"id": "heard"}})
}

// play is a game that is played: two players, one who watches, and what the board
// should be.
type play struct {
	t       testing.TB
	id      string
	players [2]*seat
	watcher *seat
	board   *reversi.Game
	black   int // which of the players
	moves   int
}

func (p *play) all() []*seat { return []*seat{p.players[0], p.players[1], p.watcher} }

// begin opens a game for two and a guest, agrees on rules, and begins.
func begin(t testing.TB, a, b *testsrv.User, id string, rules m) *play {
	t.Helper()
	p := &play{t: t, id: id}
	p.open(a, b, a.S.Guest())
	for key, value := range rules {
		p.players[0].say("updateSettings", m{"key": key, "value": value})
		for _, s := range p.all() {
			told := s.next("updateSettings")
			testsrv.Is(t, told, key, "key")
			testsrv.Is(t, told, a.ID, "userId")
		}
	}
	p.start()
	return p
}

func (p *play) open(a, b, guest *testsrv.User) {
	p.t.Helper()
	p.players, p.watcher = [2]*seat{sit(p.t, a, p.id), sit(p.t, b, p.id)}, sit(p.t, guest, p.id)
}

func (p *play) start() {
	p.t.Helper()
	for i, s := range p.players {
		s.say("ready", true)
		for _, s := range p.all() {
			told := s.next("changeReadyStates")
			testsrv.Is(p.t, told, true, "user1")
			testsrv.Is(p.t, told, i == 1, "user2")
		}
	}
	for _, s := range p.all() {
		p.began(testsrv.Dig(s.next("started"), "game"))
	}
}

func (p *play) began(g any) {
	p.t.Helper()
	testsrv.Is(p.t, g, true, "isStarted")
	testsrv.Is(p.t, g, false, "isEnded")
	testsrv.Is(p.t, g, []any{}, "logs")
	var rows []string
	for _, row := range testsrv.Dig(g, "map").([]any) {
		rows = append(rows, row.(string))
	}
	is := func(key string) bool { return testsrv.Dig(g, key) == true }
	board, err := reversi.New(rows, reversi.Options{Llotheo: is("isLlotheo"), PutEverywhere: is("canPutEverywhere"), Looped: is("loopedBoard")})
	if err != nil {
		p.t.Fatal(err)
	}
	p.board, p.black = board, int(testsrv.Dig(g, "black").(float64))-1
}

func (p *play) side(s reversi.Stone) *seat {
	if s == reversi.Black {
		return p.players[p.black]
	}
	return p.players[1-p.black]
}

// mover is whose turn it is, waiter the other.
func (p *play) mover() *seat  { return p.side(p.board.Turn()) }
func (p *play) waiter() *seat { return p.side(p.board.Turn().Other()) }

// legal is where a stone can be put.
func (p *play) legal() (out []int) {
	for pos := range p.board.Size() {
		if p.board.Can(p.board.Turn(), pos) {
			out = append(out, pos)
		}
	}
	return out
}

// move puts a stone somewhere, which all are told.
func (p *play) move() {
	p.t.Helper()
	legal := p.legal()
	pos, op, black := legal[rand.IntN(len(legal))], fmt.Sprintf("op%d", p.moves), p.board.Turn() == reversi.Black
	p.mover().say("putStone", m{"pos": pos, "id": op})
	for _, s := range p.all() {
		told := s.next("log")
		testsrv.Is(p.t, told, pos, "pos")
		testsrv.Is(p.t, told, op, "id")
		testsrv.Is(p.t, told, "put", "operation")
		testsrv.Is(p.t, told, black, "player")
	}
	p.board.Put(pos)
	p.moves++
}

// ended has all be told that the game has ended, and gives it.
func (p *play) ended() any {
	p.t.Helper()
	var g any
	for _, s := range p.all() {
		told := s.next("ended")
		g = testsrv.Dig(told, "game")
		testsrv.Is(p.t, told, testsrv.Dig(g, "winnerId"), "winnerId")
		testsrv.Is(p.t, g, true, "isEnded")
	}
	return g
}

// winner is who should have won, nil for nobody.
func (p *play) winner() any {
	if w := p.board.Winner(); w != reversi.None {
		return p.side(w).u.ID
	}
	return nil
}

func (p *play) verify(desynced bool) {
	p.t.Helper()
	res := p.watcher.u.Post(p.t, "reversi/verify", m{"gameId": p.id, "crc32": strconv.Itoa(int(p.board.CRC32()))})
	testsrv.Is(p.t, res, desynced, "desynced")
	if desynced != (testsrv.Dig(res, "game") != nil) {
		p.t.Errorf("the game is in the answer: %v", !desynced)
	}
}

func pair(t testing.TB, a, b *testsrv.User) string {
	t.Helper()
	matches(t, a, m{"userId": b.ID, "multiple": true})
	return matches(t, b, m{"userId": a.ID, "multiple": true})
}

// Whole games, by every rule.
func TestPlay(t *testing.T) {
	t.Parallel()
	s := testsrv.New(t)
	a, b := s.User(t, "alice"), s.User(t, "bora")
	for i, rules := range []m{
		nil,
		{"map": small, "bw": "1", "isLlotheo": true, "timeLimitForEachTurn": 5},
		{"map": []string{" ---- ", "--bw--", "--wb--"}, "bw": "2", "canPutEverywhere": true},
		{"map": small, "loopedBoard": true},
	} {
		p := begin(t, a, b, pair(t, a, b), rules)
		if bw := rules["bw"]; bw != nil && strconv.Itoa(p.black+1) != bw {
			t.Errorf("black is %d, wanted %v", p.black+1, bw)
		}
		for !p.board.Over() {
			p.move()
		}
		g := p.ended()
		testsrv.Is(t, g, p.winner(), "winnerId")
		testsrv.Is(t, g, p.winner(), "winner", "id")
		testsrv.Is(t, g, nil, "surrenderedUserId")
		testsrv.Is(t, g, nil, "timeoutUserId")
		shown := s.Guest().Post(t, "reversi/show-game", m{"gameId": p.id})
		if n := len(testsrv.Dig(shown, "logs").([]any)); n != p.moves {
			t.Errorf("%d moves of %d are kept", n, p.moves)
		}
		testsrv.Is(t, shown, testsrv.Dig(g, "logs"), "logs")
		p.verify(false)
		p.board, _ = reversi.New(small, reversi.Options{})
		p.verify(true)
		// Nothing is done to it any more.
		a.Fails(t, "reversi/surrender", m{"gameId": p.id}, 400, "ALREADY_ENDED")
		if l := s.Guest().List(t, "reversi/games", m{}); len(l) != i+1 || l[0]["id"] != p.id || l[0]["logs"] != nil {
			t.Errorf("games: %v", l)
		}
	}
	pair(t, a, b)
	if mine, all := len(a.List(t, "reversi/games", m{"my": true})), len(a.List(t, "reversi/games", m{})); mine != 5 || all != 4 {
		t.Errorf("%d own games, %d that have begun", mine, all)
	}
	if n := len(s.User(t, "cho").List(t, "reversi/games", m{"my": true})); n != 0 {
		t.Errorf("%d games of who has not played", n)
	}
	page := a.List(t, "reversi/games", m{"limit": 2})
	if next := a.List(t, "reversi/games", m{"limit": 2, "untilId": page[1]["id"]}); len(page) != 2 || len(next) != 2 || next[0]["id"] == page[1]["id"] {
		t.Errorf("pages: %v, %v", page, next)
	}
	for _, name := range []string{"reversi/show-game", "reversi/verify", "reversi/surrender"} {
		a.Fails(t, name, m{"gameId": "nothing000", "crc32": "0"}, 400, "NO_SUCH_GAME")
		a.Fails(t, name, m{"gameId": 1}, 400, "INVALID_PARAM")
	}
	a.Fails(t, "reversi/games", m{"limit": 0}, 400, "INVALID_PARAM")
}

// Where nobody can move, a game ends as it begins.
func TestOverAtOnce(t *testing.T) {
	t.Parallel()
	s := testsrv.New(t)
	a, b := s.User(t, "alice"), s.User(t, "bora")
	p := begin(t, a, b, pair(t, a, b), m{"map": []string{"bbw"}, "bw": "2"})
	g := p.ended()
	testsrv.Is(t, g, b.ID, "winnerId")
	p.verify(false)
}

// What is not somebody's to do is passed over, and nobody is told.
func TestRefused(t *testing.T) {
	t.Parallel()
	s := testsrv.New(t)
	a, b, c := s.User(t, "alice"), s.User(t, "bora"), s.User(t, "cho")
	p := &play{t: t, id: pair(t, a, b)}
	p.open(a, b, s.Guest())
	reader := &testsrv.User{S: s, Name: "app", Token: testsrv.Dig(a.Post(t, "miauth/gen-token", m{"session": nil, "permission": []string{"read:account"}}), "token").(string)}
	app, third := sit(t, reader, p.id), sit(t, c, p.id)
	quiet := func(what string) {
		t.Helper()
		for _, s := range append(p.all(), app, third) {
			s.heard()
		}
		n := s.Count(t, "SELECT (SELECT count(*) FROM change_log WHERE kind = 'game.happened') + (SELECT count(*) FROM change_stage WHERE kind = 'game.happened')")
		if n != p.told() {
			t.Errorf("%s: %d things have happened, %d should have", what, n, p.told())
		}
	}
	nobody := func(typ string, body any) {
		t.Helper()
		for _, s := range []*seat{p.watcher, app, third} {
			s.say(typ, body)
		}
		quiet(typ)
	}
	nobody("ready", true)
	nobody("cancel", m{})
	nobody("updateSettings", m{"key": "isLlotheo", "value": true})
	for key, values := range map[string][]any{
		"map":                  {nil, 1, "x", []any{}, []any{1}, []any{nil}, []string{""}, []string{"--", "-"}, []string{"x"}, m{}, [][]string{{"-"}}},
		"bw":                   {nil, 1, "3", "", "Random", m{}},
		"isLlotheo":            {nil, 1, "true", m{}},
		"canPutEverywhere":     {nil, 0},
		"loopedBoard":          {nil, []any{true}},
		"timeLimitForEachTurn": {nil, 0, -1, 1.5, "90", 1e9, m{}},
		"noIrregularRules":     {true}, "black": {1}, "user1Ready": {true}, "": {true},
	} {
		for _, v := range values {
			p.players[0].say("updateSettings", m{"key": key, "value": v})
		}
	}
	for _, body := range []any{nil, 1, "x", []any{}, m{}, m{"key": "isLlotheo"}, m{"key": 1, "value": true}} {
		p.players[0].say("updateSettings", body)
		p.players[0].say("putStone", body)
	}
	for _, body := range []any{nil, 1, "true", m{}} {
		p.players[0].say("ready", body)
	}
	p.players[0].say("claimTimeIsUp", m{})
	p.players[0].say("putStone", m{"pos": 19, "id": "x"})
	quiet("before the beginning")
	g := a.Post(t, "reversi/show-game", m{"gameId": p.id})
	for key, want := range map[string]any{"bw": "random", "isLlotheo": false, "canPutEverywhere": false, "loopedBoard": false, "timeLimitForEachTurn": 90, "user1Ready": false} {
		testsrv.Is(t, g, want, key)
	}

	p.start()
	nobody("putStone", m{"pos": p.legal()[0], "id": "x"})
	nobody("claimTimeIsUp", nil)
	p.waiter().say("putStone", m{"pos": p.legal()[0], "id": "x"})
	quiet("another's turn")
	illegal := []any{-1, 0, 27, 64, 1e18, 1.5, "19", nil, true, m{}}
	for _, pos := range illegal {
		p.mover().say("putStone", m{"pos": pos, "id": "x"})
	}
	legal := p.legal()[0]
	for _, op := range []any{1, m{}, "a b", "빵", "\x00", fmt.Sprintf("%0100d", 0)} {
		p.mover().say("putStone", m{"pos": legal, "id": op})
	}
	p.mover().say("ready", false)
	p.mover().say("cancel", nil)
	p.mover().say("updateSettings", m{"key": "bw", "value": "1"})
	p.mover().say("claimTimeIsUp", m{}) // it is not up
	p.mover().say("nothing", m{})
	quiet("not allowed")
	p.move()
	p.verify(false)
	c.Fails(t, "reversi/surrender", m{"gameId": p.id}, 400, "ACCESS_DENIED")
	reader.Fails(t, "reversi/surrender", m{"gameId": p.id}, 403, "PERMISSION_DENIED")
	s.Guest().Fails(t, "reversi/surrender", m{"gameId": p.id}, 401, "CREDENTIAL_REQUIRED")
	quiet("surrender")

	// There is no channel for what is no game.
	for _, params := range []any{nil, m{}, m{"gameId": 1}, m{"gameId": "nothing000"}, m{"gameId": "\x00"}} {
		third.sock.Send(m{"type": "connect", "body": m{"channel": "reversiGame", "id": "none", "params": params, "pong": true}})
	}
	third.sock.Send(m{"type": "connect", "body": m{"channel": "queueStats", "id": "last", "pong": true}})
	third.sock.Next("connected", func(m m) bool {
		if testsrv.Dig(m, "body", "id") == "none" {
			t.Error("a channel of no game is open")
		}
		return m["type"] == "connected" && testsrv.Dig(m, "body", "id") == "last"
	})
}

// told is how much has happened in the game, as a test with one game knows it.
func (p *play) told() int {
	if p.board == nil {
		return 0
	}
	return 3 + p.moves
}

func TestSettings(t *testing.T) {
	t.Parallel()
	s := testsrv.New(t)
	a, b := s.User(t, "alice"), s.User(t, "bora")
	p := &play{t: t, id: pair(t, a, b)}
	p.open(a, b, s.Guest())
	say := func(by int, key string, value any) {
		t.Helper()
		p.players[by].say("updateSettings", m{"key": key, "value": value})
	}
	told := func(key string, value any) {
		t.Helper()
		for _, s := range p.all() {
			e := s.next("updateSettings")
			testsrv.Is(t, e, key, "key")
			testsrv.Is(t, e, value, "value")
		}
	}
	ready := func(by int, yes, first, second bool) {
		t.Helper()
		p.players[by].say("ready", yes)
		for _, s := range p.all() {
			e := s.next("changeReadyStates")
			testsrv.Is(t, e, first, "user1")
			testsrv.Is(t, e, second, "user2")
		}
	}
	say(1, "map", small)
	told("map", []any{"----", "-wb-", "-bw-", "----"})
	ready(0, true, true, false)
	say(0, "bw", "2") // who agrees changes nothing
	p.players[0].heard()
	say(1, "bw", "1")
	told("bw", "1")
	// One who is not ready any more stops a game that is about to begin.
	ready(1, true, true, true)
	ready(0, false, false, true)
	say(0, "timeLimitForEachTurn", 3600)
	told("timeLimitForEachTurn", 3600.0)
	p.players[0].say("cancel", nil)
	for _, s := range p.all() {
		testsrv.Is(t, s.next("canceled"), a.ID, "userId")
	}
	a.Fails(t, "reversi/show-game", m{"gameId": p.id}, 400, "NO_SUCH_GAME")
	p.players[1].say("ready", true)
	p.players[1].say("cancel", nil)
	p.players[1].heard()

	// Where both want the usual rules, neither board nor rules are changed.
	matches(t, a, m{"noIrregularRules": true, "multiple": true})
	p = &play{t: t, id: matches(t, b, m{"multiple": true})}
	p.open(a, b, s.Guest())
	say(0, "map", small)
	say(0, "isLlotheo", true)
	say(0, "canPutEverywhere", true)
	say(0, "loopedBoard", true)
	say(0, "bw", "2")
	told("bw", "2")
	g := b.Post(t, "reversi/show-game", m{"gameId": p.id})
	for _, key := range []string{"isLlotheo", "canPutEverywhere", "loopedBoard"} {
		testsrv.Is(t, g, false, key)
	}
	testsrv.Is(t, g, "---wb---", "map", 3)
}

func TestSurrender(t *testing.T) {
	t.Parallel()
	s := testsrv.New(t)
	a, b := s.User(t, "alice"), s.User(t, "bora")
	p := begin(t, a, b, pair(t, a, b), nil)
	p.move()
	b.Post(t, "reversi/surrender", m{"gameId": p.id})
	g := p.ended()
	testsrv.Is(t, g, a.ID, "winnerId")
	testsrv.Is(t, g, b.ID, "surrenderedUserId")
	testsrv.Is(t, g, nil, "timeoutUserId")
	p.mover().say("putStone", m{"pos": p.legal()[0], "id": "x"})
	p.mover().heard()
	if n := s.Count(t, "SELECT count(*) FROM reversi_move"); n != 1 {
		t.Errorf("%d moves", n)
	}
	// A game may be given up before it begins, and does not begin then.
	p = &play{t: t, id: pair(t, a, b)}
	p.open(a, b, s.Guest())
	a.Post(t, "reversi/surrender", m{"gameId": p.id})
	testsrv.Is(t, p.ended(), false, "isStarted")
}

func TestTimeUp(t *testing.T) {
	t.Parallel()
	s := testsrv.New(t)
	a, b := s.User(t, "alice"), s.User(t, "bora")
	for _, early := range []bool{true, false} { // whoever says so
		clock(t, s, 0)
		p := begin(t, a, b, pair(t, a, b), m{"timeLimitForEachTurn": 3600})
		clock(t, s, 50*time.Minute)
		p.move() // from when on the other has an hour
		clock(t, s, 100*time.Minute)
		for _, s := range p.players {
			s.say("claimTimeIsUp", m{})
			s.heard()
		}
		testsrv.Is(t, a.Post(t, "reversi/show-game", m{"gameId": p.id}), false, "isEnded")
		clock(t, s, 111*time.Minute)
		if early {
			p.waiter().say("claimTimeIsUp", m{})
		} else {
			p.mover().say("claimTimeIsUp", m{})
		}
		g := p.ended()
		testsrv.Is(t, g, p.waiter().u.ID, "winnerId")
		testsrv.Is(t, g, p.mover().u.ID, "timeoutUserId")
		testsrv.Is(t, g, nil, "surrenderedUserId")
	}
}

// A server that is started again in the middle of a game goes on with it, and begins
// one for which both had said that they are ready.
func TestRestart(t *testing.T) {
	t.Parallel()
	s := testsrv.New(t)
	a, b := s.User(t, "alice"), s.User(t, "bora")
	p := begin(t, a, b, pair(t, a, b), m{"map": small})
	p.move()
	p.move()
	next := &play{t: t, id: pair(t, a, b)}
	next.open(a, b, s.Guest())
	for i, who := range next.players {
		who.say("ready", true)
		testsrv.Is(t, who.next("changeReadyStates"), i == 1, "user2")
		next.players[1-i].next("changeReadyStates")
	}
	s.Stop(t)
	for _, s := range p.all() {
		s.sock.Closed()
	}
	s.Start(t)
	p.open(a, b, s.Guest())
	next.open(a, b, s.Guest())
	p.verify(false)
	for !p.board.Over() {
		p.move()
	}
	testsrv.Is(t, p.ended(), p.winner(), "winnerId")
	begun := func() any { return a.Post(t, "reversi/show-game", m{"gameId": next.id}) }
	for range 600 { // it may have begun before the channel was open
		if testsrv.Dig(begun(), "isStarted") == true {
			break
		}
		time.Sleep(100 * time.Millisecond)
	}
	next.began(begun())
	next.verify(false)
}

// The players, and who watches, may be served by different processes.
func TestTwoProcesses(t *testing.T) {
	t.Parallel()
	s := testsrv.New(t)
	other := testsrv.New(t, testsrv.On(s.DB), func(o *app.Options) {
		o.Origin, o.Host, o.Hostname, o.Box = s.Origin, s.App.Meta.Host, s.App.Meta.Hostname, s.Box()
	})
	a, b := s.User(t, "alice"), s.User(t, "bora")
	there := &testsrv.User{S: other, Name: b.Name, ID: b.ID, Token: b.Token}
	as := a.Stream(t, "reversi")
	matches(t, a, m{"userId": b.ID})
	if got := invitations(t, there); got != "alice " {
		t.Fatalf("invited by %s", got)
	}
	id := matches(t, there, m{"userId": a.ID})
	testsrv.Is(t, told(as, "matched"), id, "game", "id")
	p := begin(t, a, there, id, m{"map": small})
	for !p.board.Over() {
		p.move()
	}
	testsrv.Is(t, p.ended(), p.winner(), "winnerId")
}

// Both may say the same at the same moment, over as many connections as they like: a
// turn is taken once.
func TestOnce(t *testing.T) {
	t.Parallel()
	s := testsrv.New(t)
	a, b := s.User(t, "alice"), s.User(t, "bora")
	p := begin(t, a, b, pair(t, a, b), nil)
	var seats []*seat
	for range 4 {
		seats = append(seats, sit(t, a, p.id), sit(t, b, p.id))
	}
	for round := 0; round < 8 && !p.board.Over(); round++ {
		for i, s := range seats {
			legal := p.legal()
			s.say("putStone", m{"pos": legal[i/2%len(legal)], "id": "x"})
		}
		told := p.watcher.next("log")
		testsrv.Is(t, told, p.board.Turn() == reversi.Black, "player")
		p.board.Put(int(testsrv.Dig(told, "pos").(float64)))
		for _, s := range seats {
			s.heard()
		}
		// What came after it may have been a move of the other's.
		for p.moves++; s.Count(t, "SELECT count(*) FROM reversi_move") > p.moves; p.moves++ {
			told := p.watcher.next("log")
			if !p.board.Can(p.board.Turn(), int(testsrv.Dig(told, "pos").(float64))) {
				t.Fatalf("%v is not allowed", told)
			}
			p.board.Put(int(testsrv.Dig(told, "pos").(float64)))
		}
		p.verify(false)
	}
}

// An account that is removed takes its games, and what it has won, with it.
func TestRemoved(t *testing.T) {
	t.Parallel()
	s := testsrv.New(t)
	a, b := s.User(t, "alice"), s.User(t, "bora")
	p := begin(t, a, b, pair(t, a, b), m{"map": small})
	p.move()
	matches(t, a, m{"userId": b.ID, "multiple": true})
	matches(t, b, m{"multiple": true})
	if _, err := s.DB.Exec(t.Context(), `DELETE FROM "user" WHERE id = ANY($1)`, []string{a.ID, b.ID}); err != nil {
		t.Fatal(err)
	}
	for _, table := range []string{"reversi_game", "reversi_move", "reversi_invitation", "reversi_waiting"} {
		if n := s.Count(t, "SELECT count(*) FROM "+table); n != 0 {
			t.Errorf("%d rows of %s are left", n, table)
		}
	}
}

// Whatever a player says, nothing breaks, and the board stays one that both have.
func FuzzMessages(f *testing.F) {
	s := testsrv.New(f)
	a, b := s.User(f, "alice"), s.User(f, "bora")
	for _, seed := range [][2]string{{"ready", "true"}, {"ready", "null"}, {"updateSettings", `{"key":"map","value":["-bw","---"]}`}, {"updateSettings", `{"key":"map","value":[]}`},
		{"updateSettings", `{"key":"timeLimitForEachTurn","value":1e400}`}, {"updateSettings", `{"key":"bw","value":"\u0000"}`}, {"putStone", `{"pos":19,"id":"x"}`},
		{"putStone", `{"pos":18446744073709551616}`}, {"putStone", `{"pos":26,"id":"\u0000"}`}, {"putStone", `[`}, {"claimTimeIsUp", ""}, {"cancel", "{}"}, {"\x00", "\x00"}} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, typ, body string) {
		for _, started := range []bool{false, true} {
			id := pair(t, a, b)
			if started {
				if _, err := s.DB.Exec(t.Context(), `UPDATE reversi_game SET started_at = now(), black = 1, turn = 1, turn_at = now() WHERE id = $1`, id); err != nil {
					t.Fatal(err)
				}
			}
			for _, u := range []*testsrv.User{a, b, s.Guest()} {
				if err := s.App.Games.Hear(t.Context(), u.ID, id, typ, json.RawMessage(body)); err != nil && typ != "cancel" {
					t.Errorf("%q %q: %v", typ, body, err)
				}
			}
			if status, g := a.Call(t, "reversi/show-game", m{"gameId": id}); status == 200 {
				var rows []string
				for _, row := range testsrv.Dig(g, "map").([]any) {
					rows = append(rows, row.(string))
				}
				if reversi.CheckMap(rows) != nil {
					t.Errorf("%q %q made the board %q", typ, body, rows)
				}
			} else if typ != "cancel" {
				t.Errorf("%q %q: %d %v", typ, body, status, g)
			}
		}
	})
}
