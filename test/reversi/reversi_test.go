// Package reversi plays random games with this module's rules of reversi and has
// npm's misskey-reversi play them again: each board, turn, legal move, checksum and
// winner must be the same.
package reversi_test

import (
	"bufio"
	"encoding/json"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"buttersc.one/oven/internal/lib/reversi"
	"buttersc.one/oven/test/npm"
)

type game struct {
	Map  []string `json:"map"`
	Opts struct {
		Llotheo       bool `json:"isLlotheo"`
		PutEverywhere bool `json:"canPutEverywhere"`
		Looped        bool `json:"loopedBoard"`
	} `json:"opts"`
	States []state `json:"states"`
	Moves  []int   `json:"moves"`
}

type state struct {
	Board  []any `json:"board"` // true is black, false white, nil empty, "x" no square
	Turn   any   `json:"turn"`
	Black  []int `json:"black"`
	White  []int `json:"white"`
	CRC32  int32 `json:"crc32"`
	Winner any   `json:"winner"` // "none" before the end
}

func word(s reversi.Stone) any {
	switch s {
	case reversi.Black:
		return true
	case reversi.White:
		return false
	case reversi.Empty:
		return nil
	}
	return "x"
}

func stateOf(g *reversi.Game) state {
	s := state{Board: []any{}, Black: []int{}, White: []int{}, CRC32: g.CRC32(), Winner: "none"}
	for pos := range g.Size() {
		s.Board = append(s.Board, word(g.At(pos)))
		if g.Can(reversi.Black, pos) {
			s.Black = append(s.Black, pos)
		}
		if g.Can(reversi.White, pos) {
			s.White = append(s.White, pos)
		}
	}
	if !g.Over() {
		s.Turn = word(g.Turn())
	} else if s.Winner = nil; g.Winner() != reversi.None {
		s.Winner = word(g.Winner())
	}
	return s
}

// play plays a game to the end by chance.
func play(t *testing.T, r *rand.Rand, rows []string, variant int) *game {
	t.Helper()
	out := &game{Map: rows, Moves: []int{}}
	out.Opts.Llotheo, out.Opts.PutEverywhere, out.Opts.Looped = variant&1 != 0, variant&2 != 0, variant&4 != 0
	g, err := reversi.New(rows, reversi.Options{Llotheo: out.Opts.Llotheo, PutEverywhere: out.Opts.PutEverywhere, Looped: out.Opts.Looped})
	if err != nil {
		t.Fatalf("%q: %v", rows, err)
	}
	for {
		s := stateOf(g)
		out.States = append(out.States, s)
		if g.Over() {
			return out
		}
		legal := s.Black
		if g.Turn() == reversi.White {
			legal = s.White
		}
		pos := legal[r.IntN(len(legal))]
		out.Moves = append(out.Moves, pos)
		g.Put(pos)
	}
}

// board is one of any shape, with holes and stones anywhere.
func board(r *rand.Rand) []string {
	rows := make([]string, 1+r.IntN(9))
	width := 1 + r.IntN(9)
	kinds := []string{"-bw", "--bw", "-----bw", " --bw", " ---------bw", "-w", "-b", " -"}[r.IntN(8)]
	for y := range rows {
		row := make([]byte, width)
		for x := range row {
			row[x] = kinds[r.IntN(len(kinds))]
		}
		rows[y] = string(row)
	}
	return rows
}

func TestAgainstMisskey(t *testing.T) {
	npm.Install(t)
	dir := t.TempDir()
	npm.Run(t, "node", "maps.mjs", filepath.Join(dir, "maps.json"))
	b, err := os.ReadFile(filepath.Join(dir, "maps.json"))
	if err != nil {
		t.Fatal(err)
	}
	var maps [][]string
	if err := json.Unmarshal(b, &maps); err != nil || len(maps) < 30 {
		t.Fatalf("%d boards: %v", len(maps), err)
	}
	r := rand.New(rand.NewPCG(rand.Uint64(), 0))
	f, err := os.Create(filepath.Join(dir, "games"))
	if err != nil {
		t.Fatal(err)
	}
	w := bufio.NewWriter(f)
	games := json.NewEncoder(w)
	write := func(g *game) {
		if err := games.Encode(g); err != nil {
			t.Fatal(err)
		}
	}
	for variant := range 8 {
		for _, rows := range append(maps, reversi.Standard()) {
			write(play(t, r, rows, variant))
		}
		for range 200 {
			write(play(t, r, board(r), variant))
		}
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	npm.Run(t, "node", "check.mjs", f.Name())
}
