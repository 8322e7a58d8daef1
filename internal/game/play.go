package game

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/lib/reversi"
	"buttersc.one/oven/internal/socket/api"
)

var (
	errSurrenderNone   = api.Err("NO_SUCH_GAME", "ace0b11f-e0a6-4076-a30d-e8284c81b2df", "There is no such game.")
	errSurrenderLate   = api.Err("ALREADY_ENDED", "6c2ad4a6-cbf1-4a5b-b187-b772826cfc6d", "The game has ended.")
	errSurrenderDenied = api.Err("ACCESS_DENIED", "6e04164b-a992-4c93-8489-2123069973e1", "You do not play in this game.")
)

// begin begins a game for which both have been ready for a while; of any other it
// changes nothing.
func (s *Service) begin(ctx context.Context, gameID string) error {
	return s.change(ctx, gameID, func(tx *pg.Tx, g *Game) (bool, error) {
		now := s.Now()
		if !g.open() || g.DueAt == nil || g.DueAt.After(now) {
			return false, nil
		}
		board, err := reversi.New(g.Map, g.Rules)
		if err != nil {
			return false, fmt.Errorf("game %s: %w", g.ID, err)
		}
		black := seat(1)
		if g.BW == "2" || g.BW == "random" && rand.IntN(2) == 1 {
			black = 2
		}
		g.Black, g.DueAt, g.StartedAt = &black, nil, &now
		if err := s.tell(ctx, tx, g, event{Type: "started"}); err != nil {
			return false, err
		}
		return true, s.pass(ctx, tx, g, board, now)
	})
}

// pass gives the turn to whom the board says, or ends a game in which nobody can move.
func (s *Service) pass(ctx context.Context, tx *pg.Tx, g *Game, board *reversi.Game, now time.Time) error {
	sum := board.CRC32()
	g.CRC32 = &sum
	if board.Over() {
		return s.end(ctx, tx, g, g.seatFor(board.Winner()))
	}
	g.Turn, g.TurnAt = g.seatFor(board.Turn()), &now
	return nil
}

// end ends a game; winner nil is a draw.
func (s *Service) end(ctx context.Context, tx *pg.Tx, g *Game, winner *seat) error {
	now := s.Now()
	g.EndedAt, g.Winner, g.Turn, g.TurnAt, g.DueAt = &now, winner, nil, nil, nil
	return s.tell(ctx, tx, g, event{Type: "ended"})
}

// put puts a stone for a player. What is not his turn, or not allowed, changes
// nothing, as in Misskey. op is the client's name for it.
func (s *Service) put(ctx context.Context, gameID, userID string, pos int, op *string) error {
	return s.change(ctx, gameID, func(tx *pg.Tx, g *Game) (bool, error) {
		of := g.seatOf(userID)
		if of == 0 || !g.running() || *g.Turn != of {
			return false, nil
		}
		if err := s.read(ctx, tx, g); err != nil {
			return false, err
		}
		board, err := reversi.Restore(g.Map, g.Rules, g.moves)
		if err != nil {
			return false, fmt.Errorf("game %s: %w", g.ID, err)
		}
		side := board.Turn()
		if !board.Can(side, pos) {
			return false, nil
		}
		board.Put(pos)
		now := s.Now().Truncate(time.Millisecond)
		if _, err := tx.Exec(ctx, sqlMove, g.ID, len(g.moves), now, side == reversi.Black, pos); err != nil {
			return false, fmt.Errorf("put stone: %w", err)
		}
		if err := s.tell(ctx, tx, g, event{Type: "log", Log: &logged{Time: now.UnixMilli(), Player: side == reversi.Black, Operation: "put", Pos: pos, ID: op}}); err != nil {
			return false, err
		}
		return true, s.pass(ctx, tx, g, board, now)
	})
}

// timeUp ends a game in favour of who waits, when the other has let his time pass.
func (s *Service) timeUp(ctx context.Context, gameID, userID string) error {
	return s.change(ctx, gameID, func(tx *pg.Tx, g *Game) (bool, error) {
		if g.seatOf(userID) == 0 || !g.running() {
			return false, nil
		}
		return s.outOfTime(ctx, tx, g, 0)
	})
}

// outOfTime ends a game whose turn has been over for a while.
func (s *Service) outOfTime(ctx context.Context, tx *pg.Tx, g *Game, while time.Duration) (bool, error) {
	if s.Now().Before(g.TurnAt.Add(time.Duration(g.TimeLimit)*time.Second + while)) {
		return false, nil
	}
	late := *g.Turn
	winner := other(late)
	g.TooLate = &late
	return true, s.end(ctx, tx, g, &winner)
}

// apiSurrender gives a game up.
func (s *Service) apiSurrender(ctx context.Context, c *api.Call, req gameReq) (api.None, error) {
	err := s.change(ctx, req.GameID, func(tx *pg.Tx, g *Game) (bool, error) {
		of := g.seatOf(c.UserID)
		switch {
		case g.EndedAt != nil:
			return false, errSurrenderLate
		case of == 0:
			return false, errSurrenderDenied
		}
		winner := other(of)
		g.Surrendered = &of
		return true, s.end(ctx, tx, g, &winner)
	})
	if errors.Is(err, ErrNotFound) {
		err = errSurrenderNone
	}
	return api.None{}, err
}
