package reversi_test

import (
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"

	"buttersc.one/oven/internal/lib/reversi"
)

func TestMaps(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("-", reversi.MaxSide+1)
	tall := make([]string, reversi.MaxSide+1)
	for i := range tall {
		tall[i] = "-"
	}
	for _, bad := range [][]string{nil, {}, {""}, {"", ""}, {"--", "-"}, {"-", "--"}, {"-x"}, {"빵"}, {"-\x00"}, {long}, tall} {
		if _, err := reversi.New(bad, reversi.Options{}); err == nil {
			t.Errorf("%q is taken for a board", bad)
		}
	}
	for _, good := range [][]string{{"-"}, {" "}, {long[1:]}, tall[1:], reversi.Standard()} {
		if _, err := reversi.New(good, reversi.Options{}); err != nil {
			t.Errorf("%q: %v", good, err)
		}
	}
}

// Who cannot move is passed over, and where nobody can, the game is over.
func TestBeginnings(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]struct {
		turn, winner, llotheo reversi.Stone
	}{
		"-wb": {reversi.Black, reversi.None, reversi.None},
		"-bw": {reversi.White, reversi.None, reversi.None},
		"bbw": {reversi.None, reversi.Black, reversi.White},
		"-ww": {reversi.None, reversi.White, reversi.Black},
		" bw": {reversi.None, reversi.None, reversi.None},
	} {
		g, err := reversi.New([]string{text}, reversi.Options{})
		if err != nil {
			t.Fatal(err)
		}
		l, _ := reversi.New([]string{text}, reversi.Options{Llotheo: true})
		if g.Turn() != want.turn || g.Over() && (g.Winner() != want.winner || l.Winner() != want.llotheo) {
			t.Errorf("%q: turn %d, winner %d, %d when fewer win", text, g.Turn(), g.Winner(), l.Winner())
		}
	}
}

// On a looped board a line may come back to where it began.
func TestLoop(t *testing.T) {
	t.Parallel()
	flat, _ := reversi.New([]string{"-ww"}, reversi.Options{})
	loop, _ := reversi.New([]string{"-ww"}, reversi.Options{Looped: true})
	if flat.Can(reversi.Black, 0) || !loop.Can(reversi.Black, 0) {
		t.Error("a loop counts as a line only where there is one")
	}
	loop.Put(0)
	if loop.Count(reversi.Black) != 3 || !loop.Over() || loop.Winner() != reversi.Black {
		t.Errorf("%d black", loop.Count(reversi.Black))
	}
	for _, pos := range []int{-1, 3, 1 << 40} {
		if loop.Can(reversi.White, pos) {
			t.Errorf("%d is no square", pos)
		}
	}
}

// A game that is made again from its moves is the game; its log is what clients read.
func TestRestore(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 2))
	for i := range 200 {
		o := reversi.Options{Llotheo: i&1 != 0, PutEverywhere: i&2 != 0, Looped: i&4 != 0}
		g, err := reversi.New(reversi.Standard(), o)
		if err != nil {
			t.Fatal(err)
		}
		var moves []reversi.Move
		for !g.Over() && len(moves) < r.IntN(70) {
			pos := r.IntN(64)
			if g.Can(g.Turn(), pos) {
				moves = append(moves, reversi.Move{Time: int64(1000 * len(moves)), Side: g.Turn(), Pos: pos})
				g.Put(pos)
			}
		}
		again, err := reversi.Restore(reversi.Standard(), o, moves)
		if err != nil || !reflect.DeepEqual(g, again) {
			t.Fatalf("not the same after %d moves: %v", len(moves), err)
		}
	}
	got := reversi.Serialize([]reversi.Move{{Time: 1700000000000, Side: reversi.Black, Pos: 19}, {Time: 1700000001500, Side: reversi.White, Pos: 18}})
	if want := [][]int64{{1700000000000, 1, 0, 19}, {1500, 0, 0, 18}}; !reflect.DeepEqual(got, want) {
		t.Errorf("%v", got)
	}
	if got := reversi.Serialize(nil); got == nil {
		t.Error("no moves are no list")
	}
	if _, err := reversi.Restore(reversi.Standard(), reversi.Options{}, []reversi.Move{{Side: reversi.Black, Pos: 64}}); err == nil {
		t.Error("a move beside the board is taken")
	}
}
