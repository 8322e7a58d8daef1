package game

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/lib/reversi"
)

// readyFor is how long both must be ready before a game begins: one may still think
// better of it.
const readyFor = 3 * time.Second

// ready says that a player agrees with the rules, or does not any more.
func (s *Service) ready(ctx context.Context, gameID, userID string, yes bool) error {
	return s.change(ctx, gameID, func(tx *pg.Tx, g *Game) (bool, error) {
		of := g.seatOf(userID)
		if of == 0 || !g.open() || g.Ready[of-1] == yes {
			return false, nil
		}
		g.Ready[of-1], g.DueAt = yes, nil
		if g.Ready[0] && g.Ready[1] {
			due := s.Now().Add(readyFor)
			g.DueAt = &due
			tx.AfterCommit(s.wake)
		}
		return true, s.tell(ctx, tx, g, event{Type: "changeReadyStates", Ready: &readyStates{g.Ready[0], g.Ready[1]}})
	})
}

const sqlForget = `DELETE FROM reversi_game WHERE id = $1`

// cancel takes back a game that has not begun.
func (s *Service) cancel(ctx context.Context, gameID, userID string) error {
	return s.change(ctx, gameID, func(tx *pg.Tx, g *Game) (bool, error) {
		if g.seatOf(userID) == 0 || !g.open() {
			return false, nil
		}
		if _, err := tx.Exec(ctx, sqlForget, g.ID); err != nil {
			return false, fmt.Errorf("cancel game: %w", err)
		}
		return false, s.tell(ctx, tx, g, event{Type: "canceled", UserID: userID})
	})
}

// set changes one of the rules of a game that has not begun, for a player who has not
// said that he agrees with them. A value that is none changes nothing.
func (s *Service) set(ctx context.Context, gameID, userID, key string, value json.RawMessage) error {
	return s.change(ctx, gameID, func(tx *pg.Tx, g *Game) (bool, error) {
		of := g.seatOf(userID)
		if of == 0 || !g.open() || g.Ready[of-1] || g.Regular && irregular(key) || !g.apply(key, value) {
			return false, nil
		}
		return true, s.tell(ctx, tx, g, event{Type: "updateSettings", UserID: userID, Key: key})
	})
}

// irregular tells which of the rules are not to be changed where both want to play by
// the usual ones.
func irregular(key string) bool {
	return slices.Contains([]string{"map", "isLlotheo", "canPutEverywhere", "loopedBoard"}, key)
}

// longestTurn is the most seconds that a turn may be given.
const longestTurn = 24 * 60 * 60

// apply sets a rule to a value that a client sent; false where it is no rule, or no value
// of it.
func (g *Game) apply(key string, value json.RawMessage) bool {
	switch key {
	case "map":
		var rows []string
		if !reads(value, &rows) || reversi.CheckMap(rows) != nil {
			return false
		}
		g.Map = rows
	case "bw":
		var bw string
		if !reads(value, &bw) || bw != "random" && bw != "1" && bw != "2" {
			return false
		}
		g.BW = bw
	case "timeLimitForEachTurn":
		var n int
		if !reads(value, &n) || n < 1 || n > longestTurn {
			return false
		}
		g.TimeLimit = n
	default:
		to := map[string]*bool{"isLlotheo": &g.Rules.Llotheo, "canPutEverywhere": &g.Rules.PutEverywhere, "loopedBoard": &g.Rules.Looped}[key]
		var yes *bool
		if to == nil || !reads(value, &yes) || yes == nil {
			return false
		}
		*to = *yes
	}
	return true
}

// setting is the value of a rule, as clients have it.
func (g *Game) setting(key string) any {
	switch key {
	case "map":
		return g.Map
	case "bw":
		return g.BW
	case "timeLimitForEachTurn":
		return g.TimeLimit
	case "isLlotheo":
		return g.Rules.Llotheo
	case "canPutEverywhere":
		return g.Rules.PutEverywhere
	}
	return g.Rules.Looped
}
