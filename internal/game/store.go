package game

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/lib/reversi"
)

// ErrNotFound says that there is no such game.
var ErrNotFound = errors.New("no such game")

// seat is one of the two players: 1, or 2; 0 is neither.
type seat = int16

func other(of seat) seat { return 3 - of }

// Game is a game of reversi.
type Game struct {
	ID                   string
	Players              [2]string // accounts
	Ready                [2]bool
	CreatedAt            time.Time
	DueAt                *time.Time // when it begins; nil: not both are ready
	StartedAt, EndedAt   *time.Time
	Black                *seat
	Turn                 *seat      // nil: it is not under way
	TurnAt               *time.Time // since when it is whose turn it is
	Winner               *seat      // nil of a game that has ended: nobody
	Surrendered, TooLate *seat
	Map                  []string
	BW                   string // random, or the seat that is black
	TimeLimit            int    // seconds a turn
	Regular              bool   // neither other rules nor other boards
	Rules                reversi.Options
	CRC32                *int32 // of the board, once the game has begun

	moves []reversi.Move
}

const (
	gameCols = `t.id, t.user1_id, t.user2_id, t.user1_ready, t.user2_ready, t.created_at, t.due_at, t.started_at, t.ended_at, t.black, t.turn, t.turn_at,
	t.winner, t.surrendered, t.timed_out, t.map, t.bw, t.time_limit, t.no_irregular_rules, t.is_llotheo, t.can_put_everywhere, t.looped_board, t.crc32`
	sqlGames = `SELECT ` + gameCols + ` FROM reversi_game t`
	sqlGame  = sqlGames + ` WHERE t.id = $1`
	sqlLock  = sqlGame + ` FOR NO KEY UPDATE`
	sqlSave  = `
UPDATE reversi_game SET user1_ready = $2, user2_ready = $3, due_at = $4, started_at = $5, ended_at = $6, black = $7, turn = $8, turn_at = $9, winner = $10,
	surrendered = $11, timed_out = $12, map = $13, bw = $14, time_limit = $15, is_llotheo = $16, can_put_everywhere = $17, looped_board = $18, crc32 = $19
WHERE id = $1`
	sqlMoves = `SELECT game_id, (extract(epoch FROM at) * 1000)::bigint, black, pos FROM reversi_move WHERE game_id = ANY($1) ORDER BY game_id, number`
	sqlMove  = `INSERT INTO reversi_move (game_id, number, at, black, pos) VALUES ($1, $2, $3, $4, $5)`
)

func scan(rows pgx.Rows) ([]*Game, error) {
	list, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) (*Game, error) {
		g := &Game{}
		return g, r.Scan(&g.ID, &g.Players[0], &g.Players[1], &g.Ready[0], &g.Ready[1], &g.CreatedAt, &g.DueAt, &g.StartedAt, &g.EndedAt, &g.Black, &g.Turn, &g.TurnAt,
			&g.Winner, &g.Surrendered, &g.TooLate, &g.Map, &g.BW, &g.TimeLimit, &g.Regular, &g.Rules.Llotheo, &g.Rules.PutEverywhere, &g.Rules.Looped, &g.CRC32)
	})
	if err != nil {
		return nil, fmt.Errorf("games: %w", err)
	}
	return list, nil
}

func (s *Service) list(ctx context.Context, q pg.Q, sql string, args ...any) ([]*Game, error) {
	rows, err := q.Query(ctx, sql, args...)
	if err != nil {
		return nil, fmt.Errorf("games: %w", err)
	}
	return scan(rows)
}

func (s *Service) one(ctx context.Context, q pg.Q, sql, gameID string) (*Game, error) {
	list, err := s.list(ctx, q, sql, gameID)
	if err == nil && len(list) == 0 {
		err = ErrNotFound
	}
	if err != nil {
		return nil, err
	}
	return list[0], nil
}

// change locks a game, has f look at it, and saves it when f says that it has
// changed. ErrNotFound.
func (s *Service) change(ctx context.Context, gameID string, f func(tx *pg.Tx, g *Game) (changed bool, err error)) error {
	return s.DB.Tx(ctx, func(tx *pg.Tx) error {
		g, err := s.one(ctx, tx, sqlLock, gameID)
		if err != nil {
			return err
		}
		changed, err := f(tx, g)
		if err != nil || !changed {
			return err
		}
		_, err = tx.Exec(ctx, sqlSave, g.ID, g.Ready[0], g.Ready[1], g.DueAt, g.StartedAt, g.EndedAt, g.Black, g.Turn, g.TurnAt, g.Winner, g.Surrendered, g.TooLate,
			g.Map, g.BW, g.TimeLimit, g.Rules.Llotheo, g.Rules.PutEverywhere, g.Rules.Looped, g.CRC32)
		if err != nil {
			return fmt.Errorf("save game: %w", err)
		}
		return nil
	})
}

// read reads the moves of games.
func (s *Service) read(ctx context.Context, q pg.Q, games ...*Game) error {
	by, ids := map[string]*Game{}, []string{}
	for _, g := range games {
		by[g.ID], g.moves = g, nil
		ids = append(ids, g.ID)
	}
	rows, err := q.Query(ctx, sqlMoves, ids)
	if err != nil {
		return fmt.Errorf("moves: %w", err)
	}
	var gameID string
	var m reversi.Move
	var black bool
	_, err = pgx.ForEachRow(rows, []any{&gameID, &m.Time, &black, &m.Pos}, func() error {
		m.Side = reversi.White
		if black {
			m.Side = reversi.Black
		}
		by[gameID].moves = append(by[gameID].moves, m)
		return nil
	})
	if err != nil {
		return fmt.Errorf("moves: %w", err)
	}
	return nil
}

// seatOf is which of the players an account is.
func (g *Game) seatOf(userID string) seat {
	switch userID {
	case "":
		return 0
	case g.Players[0]:
		return 1
	case g.Players[1]:
		return 2
	}
	return 0
}

// player is the account of a seat, nil for none.
func (g *Game) player(of *seat) *string {
	if of == nil {
		return nil
	}
	return &g.Players[*of-1]
}

// open tells that a game has neither begun nor ended.
func (g *Game) open() bool { return g.StartedAt == nil && g.EndedAt == nil }

// running tells that a game has begun and not ended.
func (g *Game) running() bool { return g.StartedAt != nil && g.EndedAt == nil }

// seatFor is who plays a side of a game that has begun; nil for neither side.
func (g *Game) seatFor(side reversi.Stone) *seat {
	var of seat
	switch side {
	case reversi.Black:
		of = *g.Black
	case reversi.White:
		of = other(*g.Black)
	default:
		return nil
	}
	return &of
}
