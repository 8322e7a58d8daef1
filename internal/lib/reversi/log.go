package reversi

// Move is a stone that was put.
type Move struct {
	Time int64 // ms since 1970
	Side Stone
	Pos  int
}

// Serialize writes moves in the form that clients read: for each the milliseconds
// since the move before, of the first since 1970; 1 for black or 0 for white; 0, for
// putting a stone; and the square.
func Serialize(moves []Move) [][]int64 {
	out := make([][]int64, 0, len(moves))
	var before int64
	for _, m := range moves {
		black := int64(0)
		if m.Side == Black {
			black = 1
		}
		out = append(out, []int64{m.Time - before, black, 0, int64(m.Pos)})
		before = m.Time
	}
	return out
}

// Restore is the game in which these moves, all of them legal, were made; ErrMap.
func Restore(rows []string, o Options, moves []Move) (*Game, error) {
	g, err := New(rows, o)
	if err != nil || len(moves) == 0 {
		return g, err
	}
	for _, m := range moves {
		if m.Pos < 0 || m.Pos >= len(g.board) {
			return nil, ErrMap
		}
		g.place(m.Side, m.Pos)
	}
	g.settle(moves[len(moves)-1].Side.Other())
	return g, nil
}
