// Package reversi is in charge of the rules of reversi as Misskey's client plays
// it, with its boards of any shape and its variants: what a move turns over, whose
// turn is next, who has won, and the checksum by which client and server see that
// they have the same board. It must agree with npm's misskey-reversi to the bit.
package reversi

import (
	"errors"
	"hash/crc32"
	"math"
)

// Stone is what is on a square, and which side somebody plays.
type Stone int8

// The contents of a square. None is no square at all.
const (
	None Stone = iota
	Empty
	Black
	White
)

// Other is the opponent's side; only Black and White have one.
func (s Stone) Other() Stone {
	if s == Black {
		return White
	}
	return Black
}

// Options are the variants of the rules.
type Options struct {
	Llotheo       bool // who has fewer stones wins
	PutEverywhere bool // a move need not turn anything over
	Looped        bool // what leaves the board comes in on the other side
}

// MaxSide is the most rows, and the most squares in a row, that a board may have.
// The largest of Misskey's has 16.
const MaxSide = 32

// ErrMap says that a text is no board.
var ErrMap = errors.New("not a board of reversi")

// CheckMap gives ErrMap unless rows are a board: as many squares in each row, which
// are '-' for an empty square, 'b' and 'w' for stones, and ' ' for none.
func CheckMap(rows []string) error {
	if len(rows) == 0 || len(rows) > MaxSide || len(rows[0]) == 0 || len(rows[0]) > MaxSide {
		return ErrMap
	}
	for _, row := range rows {
		if len(row) != len(rows[0]) {
			return ErrMap
		}
		for _, c := range []byte(row) {
			if square(c) == None && c != ' ' {
				return ErrMap
			}
		}
	}
	return nil
}

func square(c byte) Stone {
	switch c {
	case '-':
		return Empty
	case 'b':
		return Black
	case 'w':
		return White
	}
	return None
}

// Standard is the board on which a game is played when nobody asks for another.
func Standard() []string {
	return []string{"--------", "--------", "--------", "---wb---", "---bw---", "--------", "--------", "--------"}
}

// Game is a board and whose turn it is.
type Game struct {
	width, height int
	board         []Stone
	turn          Stone // None: the game is over
	opts          Options
}

// New begins a game; ErrMap.
func New(rows []string, o Options) (*Game, error) {
	if err := CheckMap(rows); err != nil {
		return nil, err
	}
	g := &Game{width: len(rows[0]), height: len(rows), opts: o}
	for _, row := range rows {
		for _, c := range []byte(row) {
			g.board = append(g.board, square(c))
		}
	}
	g.settle(Black) // who begins, unless only the other can
	return g, nil
}

// settle gives the turn to a side, or to the other when that one has no move.
func (g *Game) settle(to Stone) {
	g.turn = None
	for _, side := range []Stone{to, to.Other()} {
		if g.canSomewhere(side) {
			g.turn = side
			return
		}
	}
}

// Turn is whose turn it is, None when the game is over.
func (g *Game) Turn() Stone { return g.turn }

// Over tells that nobody can move.
func (g *Game) Over() bool { return g.turn == None }

// Size is how many squares there are, those that are none included.
func (g *Game) Size() int { return len(g.board) }

// At is what is on a square. Squares are numbered by rows, from 0.
func (g *Game) At(pos int) Stone { return g.board[pos] }

// Count is how many stones a side has.
func (g *Game) Count(side Stone) (n int) {
	for _, s := range g.board {
		if s == side {
			n++
		}
	}
	return n
}

// Winner is who has won a game that is over; None for a draw.
func (g *Game) Winner() Stone {
	black, white := g.Count(Black), g.Count(White)
	switch {
	case black == white:
		return None
	case (black > white) != g.opts.Llotheo:
		return Black
	}
	return White
}

// Can tells whether a side could put a stone on a square, whoever's turn it is. A
// number that is no square's is none.
func (g *Game) Can(side Stone, pos int) bool {
	if pos < 0 || pos >= len(g.board) || g.board[pos] != Empty {
		return false
	}
	return g.opts.PutEverywhere || g.turns(side, pos, nil)
}

func (g *Game) canSomewhere(side Stone) bool {
	for pos := range g.board {
		if g.Can(side, pos) {
			return true
		}
	}
	return false
}

// Put puts a stone of whose turn it is on a square where it can be put, and gives
// the turn on.
func (g *Game) Put(pos int) {
	side := g.turn
	g.place(side, pos)
	g.settle(side.Other())
}

func (g *Game) place(side Stone, pos int) {
	var turned []int
	g.turns(side, pos, &turned)
	g.board[pos] = side
	for _, p := range turned {
		g.board[p] = side
	}
}

// turns tells whether a stone would turn others over, and adds them to out, unless
// that is nil.
func (g *Game) turns(side Stone, pos int, out *[]int) bool {
	any := false
	for _, d := range [8][2]int{{0, -1}, {1, -1}, {1, 0}, {1, 1}, {0, 1}, {-1, 1}, {-1, 0}, {-1, -1}} {
		n := g.line(side, pos, d)
		if n == 0 {
			continue
		}
		any = true
		if out == nil {
			return true
		}
		for at := pos; n > 0; n-- {
			at, _ = g.step(at, d)
			*out = append(*out, at)
		}
	}
	return any
}

// line is how many of the opponent's stones are taken between a square and the
// next stone of the side's in a direction. On a looped board the square itself
// is that stone too, when it is come back to.
func (g *Game) line(side Stone, pos int, d [2]int) int {
	at, n := pos, 0
	for {
		next, on := g.step(at, d)
		if !on {
			return 0
		}
		if g.opts.Looped && next == pos {
			return n
		}
		switch g.board[next] {
		case side:
			return n
		case side.Other():
			n++
		default:
			return 0
		}
		at = next
	}
}

// step is the next square in a direction, false where the board ends.
func (g *Game) step(at int, d [2]int) (int, bool) {
	x, y := at%g.width+d[0], at/g.width+d[1]
	if g.opts.Looped {
		x, y = (x+g.width)%g.width, (y+g.height)%g.height
	}
	return x + y*g.width, x >= 0 && y >= 0 && x < g.width && y < g.height
}

// CRC32 is the checksum of the game as it stands: of its board and turn as JSON, in
// the form of npm's crc-32, which is signed.
func (g *Game) CRC32() int32 {
	b := []byte(`{"board":[`)
	for i, s := range g.board {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, word(s)...)
	}
	b = append(b, `],"turn":`...)
	b = append(append(b, word(g.turn)...), '}')
	sum := crc32.ChecksumIEEE(b)
	if sum > math.MaxInt32 {
		return int32(int64(sum) - 1<<32)
	}
	return int32(sum)
}

func word(s Stone) string {
	switch s {
	case Black:
		return "true"
	case White:
		return "false"
	}
	return "null"
}
