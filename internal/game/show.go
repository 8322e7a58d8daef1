package game

import (
	"context"
	"errors"
	"strconv"

	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/socket/api"
)

var (
	errShowNone   = api.Err("NO_SUCH_GAME", "f13a03db-fae1-46c9-87f3-43c8165419e1", "There is no such game.")
	errVerifyNone = api.Err("NO_SUCH_GAME", "8fb05624-b525-43dd-90f7-511852bdfeee", "There is no such game.")
)

type gamesReq struct {
	api.Page
	Limit int  `json:"limit" api:"min=1,max=100,default=10"`
	My    bool `json:"my" api:"optional"`
}

// apiGames lists games: the caller's own, or all that have begun.
func (s *Service) apiGames(ctx context.Context, c *api.Call, req gamesReq) ([]*Lite, error) {
	w := &pg.Where{}
	if req.My && c.Identity != nil {
		w.And("(t.user1_id = ?1 OR t.user2_id = ?1)", c.UserID)
	} else {
		w.And("t.started_at IS NOT NULL")
	}
	order := req.Apply(w, s.IDs.Method(), req.Limit)
	games, err := s.list(ctx, s.DB, sqlGames+w.SQL()+order, w.Args...)
	if err != nil {
		return nil, err
	}
	return s.pack(ctx, games)
}

type gameReq struct {
	GameID string `json:"gameId" api:"required,id"`
}

func (s *Service) apiShow(ctx context.Context, _ *api.Call, req gameReq) (*Detailed, error) {
	g, err := s.one(ctx, s.DB, sqlGame, req.GameID)
	if errors.Is(err, ErrNotFound) {
		err = errShowNone
	}
	if err != nil {
		return nil, err
	}
	return s.packOne(ctx, g)
}

type verifyReq struct {
	GameID string `json:"gameId" api:"required,id"`
	CRC32  string `json:"crc32" api:"required"`
}

type verifyRes struct {
	Desynced bool      `json:"desynced"`
	Game     *Detailed `json:"game,omitempty"` // where it is not the client's
}

// apiVerify tells whether a client has the board that the server has.
func (s *Service) apiVerify(ctx context.Context, _ *api.Call, req verifyReq) (*verifyRes, error) {
	g, err := s.one(ctx, s.DB, sqlGame, req.GameID)
	if errors.Is(err, ErrNotFound) {
		err = errVerifyNone
	}
	if err != nil {
		return nil, err
	}
	if g.CRC32 != nil && req.CRC32 == strconv.Itoa(int(*g.CRC32)) {
		return &verifyRes{}, nil
	}
	packed, err := s.packOne(ctx, g)
	if err != nil {
		return nil, err
	}
	return &verifyRes{Desynced: true, Game: packed}, nil
}
