// Package game is in charge of the games: reversi between two people of this
// server, who find each other, agree on the rules and play, while anybody may
// watch; and the records of the bubble game, which is played in the client alone.
// A game of reversi is what PostgreSQL says it is: each move is a row, written under
// the lock of its game, so that any process may serve either player and none that
// dies takes a game with it. The rules are package reversi's.
package game

import (
	"log/slog"
	"time"

	"buttersc.one/oven/internal/lib/id"
	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/relation"
	"buttersc.one/oven/internal/socket/api"
	"buttersc.one/oven/internal/socket/job"
	"buttersc.one/oven/internal/socket/log"
	"buttersc.one/oven/internal/socket/stream"
	"buttersc.one/oven/internal/user"
)

// Deps are what the slice stands on.
type Deps struct {
	DB        *pg.DB
	IDs       *id.Maker
	Users     *user.Service
	Relations *relation.Service
	Log       *log.Log
	Hub       *stream.Hub
	Slog      *slog.Logger
	Now       func() time.Time
}

// Service keeps games.
type Service struct {
	Deps
	soon chan struct{} // a game is about to begin; holds one
}

// New makes the service; Run begins the games for which both are ready.
func New(d Deps) *Service { return &Service{Deps: d, soon: make(chan struct{}, 1)} }

// Endpoints is the API of this slice.
func (s *Service) Endpoints() []api.Endpoint {
	return []api.Endpoint{
		api.Post("bubble-game/register", s.apiRegister, api.Scope("write:account"), api.Limit(120, time.Hour), api.Gap(30*time.Second), api.Errors(errRegisterSeed)),
		api.Post("bubble-game/ranking", s.apiRanking, api.Visitors, api.Get(60)),
		api.Post("reversi/match", s.apiMatch, api.Scope("write:account"), api.Errors(errMatchNobody, errMatchSelf)),
		api.Post("reversi/cancel-match", s.apiCancelMatch, api.Scope("write:account")),
		api.Post("reversi/invitations", s.apiInvitations, api.Scope("read:account")),
		api.Post("reversi/games", s.apiGames, api.Visitors),
		api.Post("reversi/show-game", s.apiShow, api.Visitors, api.Errors(errShowNone)),
		api.Post("reversi/verify", s.apiVerify, api.Visitors, api.Errors(errVerifyNone)),
		api.Post("reversi/surrender", s.apiSurrender, api.Scope("write:account"), api.Errors(errSurrenderNone, errSurrenderLate, errSurrenderDenied)),
	}
}

// Consumers tell what happens to those who listen, whichever process it happened in.
func (s *Service) Consumers() []log.Consumer {
	return []log.Consumer{{Name: "game.stream", Kinds: []string{happened, matched, invited}, Handle: s.onChanges}}
}

// Jobs of this slice.
func (s *Service) Jobs() []job.Worker {
	return []job.Worker{job.Every(10*time.Minute, sweepArgs{}, s.workSweep)}
}
