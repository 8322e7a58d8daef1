package game

import (
	"context"
	"errors"
	"fmt"
	"time"

	"buttersc.one/oven/internal/lib/pg"
)

// lookEvery is how long a game may wait whose process died before it began.
const lookEvery = 5 * time.Second

func (s *Service) wake() {
	select {
	case s.soon <- struct{}{}:
	default:
	}
}

// Run begins games at their time until ctx ends. It may run in any number of processes.
func (s *Service) Run(ctx context.Context) error {
	for ctx.Err() == nil {
		wait, err := s.beginDue(ctx)
		if err != nil && ctx.Err() == nil {
			s.Slog.Warn("reversi: begin games", "err", err)
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
		case <-s.soon:
		case <-timer.C:
		}
		timer.Stop()
	}
	return nil
}

const sqlDue = sqlGames + ` WHERE t.due_at IS NOT NULL ORDER BY t.due_at LIMIT 100`

// beginDue begins the games whose time has come, and gives how long it is to the next.
func (s *Service) beginDue(ctx context.Context) (time.Duration, error) {
	games, err := s.list(ctx, s.DB, sqlDue)
	if err != nil {
		return lookEvery, err
	}
	var failed error
	for _, g := range games {
		if wait := g.DueAt.Sub(s.Now()); wait > 0 {
			return min(wait, lookEvery), failed
		}
		if err := s.begin(ctx, g.ID); err != nil && !errors.Is(err, ErrNotFound) { // which was cancelled
			failed = fmt.Errorf("game %s: %w", g.ID, err)
		}
	}
	return lookEvery, failed
}

const (
	forgetAfter  = time.Hour      // a game that does not begin
	abandonAfter = 24 * time.Hour // a game in which it is nobody's turn that he takes, nor anybody's claim
)

type sweepArgs struct{}

// Kind implements job.Args.
func (sweepArgs) Kind() string { return "game.sweep" }

const (
	sqlSweepGames       = `DELETE FROM reversi_game WHERE started_at IS NULL AND ended_at IS NULL AND created_at < $1`
	sqlSweepInvitations = `DELETE FROM reversi_invitation WHERE expires_at < $1`
	sqlSweepWaiting     = `DELETE FROM reversi_waiting WHERE expires_at < $1`
	sqlAbandoned        = sqlGames + ` WHERE t.started_at IS NOT NULL AND t.ended_at IS NULL AND t.turn_at < $1 ORDER BY t.turn_at LIMIT 1000`
)

// workSweep removes what came to nothing, and ends the games that both have left. What
// was played is kept.
func (s *Service) workSweep(ctx context.Context) error {
	now := s.Now()
	for sql, before := range map[string]time.Time{sqlSweepGames: now.Add(-forgetAfter), sqlSweepInvitations: now, sqlSweepWaiting: now} {
		if _, err := s.DB.Exec(ctx, sql, before); err != nil {
			return fmt.Errorf("sweep games: %w", err)
		}
	}
	games, err := s.list(ctx, s.DB, sqlAbandoned, now.Add(-abandonAfter))
	if err != nil {
		return err
	}
	for _, g := range games {
		err := s.change(ctx, g.ID, func(tx *pg.Tx, g *Game) (bool, error) {
			if !g.running() {
				return false, nil
			}
			return s.outOfTime(ctx, tx, g, abandonAfter)
		})
		if err != nil {
			return err
		}
	}
	return nil
}
