package game

import (
	"context"

	"buttersc.one/oven/internal/lib/reversi"
	"buttersc.one/oven/internal/socket/api"
	"buttersc.one/oven/internal/user"
)

// Lite is a game as lists show it.
type Lite struct {
	ID            string     `json:"id"`
	CreatedAt     api.Time   `json:"createdAt"`
	StartedAt     *api.Time  `json:"startedAt"`
	EndedAt       *api.Time  `json:"endedAt"`
	IsStarted     bool       `json:"isStarted"`
	IsEnded       bool       `json:"isEnded"`
	User1ID       string     `json:"user1Id"`
	User2ID       string     `json:"user2Id"`
	User1         *user.Lite `json:"user1"`
	User2         *user.Lite `json:"user2"`
	WinnerID      *string    `json:"winnerId"`
	Winner        *user.Lite `json:"winner"`
	SurrenderedID *string    `json:"surrenderedUserId"`
	TimeoutID     *string    `json:"timeoutUserId"`
	Black         *seat      `json:"black"`
	BW            string     `json:"bw"`
	Regular       bool       `json:"noIrregularRules"`
	Llotheo       bool       `json:"isLlotheo"`
	PutEverywhere bool       `json:"canPutEverywhere"`
	Looped        bool       `json:"loopedBoard"`
	TimeLimit     int        `json:"timeLimitForEachTurn"`
}

// Detailed is a game with its board and all that was played. Its moves are in the
// form of the client's own log.
type Detailed struct {
	Lite
	Form1      *struct{} `json:"form1"` // older forms had questions; none has now
	Form2      *struct{} `json:"form2"`
	User1Ready bool      `json:"user1Ready"`
	User2Ready bool      `json:"user2Ready"`
	Logs       [][]int64 `json:"logs"`
	Map        []string  `json:"map"`
}

func (s *Service) pack(ctx context.Context, games []*Game) ([]*Lite, error) {
	var ids []string
	for _, g := range games {
		ids = append(ids, g.Players[:]...)
	}
	users, err := s.Users.LiteByIDs(ctx, ids)
	if err != nil {
		return nil, err
	}
	out := make([]*Lite, 0, len(games))
	for _, g := range games {
		l := &Lite{ID: g.ID, CreatedAt: api.Time(g.CreatedAt), StartedAt: api.TimePtr(g.StartedAt), EndedAt: api.TimePtr(g.EndedAt),
			IsStarted: g.StartedAt != nil, IsEnded: g.EndedAt != nil,
			User1ID: g.Players[0], User2ID: g.Players[1], User1: users[g.Players[0]], User2: users[g.Players[1]],
			WinnerID: g.player(g.Winner), SurrenderedID: g.player(g.Surrendered), TimeoutID: g.player(g.TooLate),
			Black: g.Black, BW: g.BW, Regular: g.Regular, Llotheo: g.Rules.Llotheo, PutEverywhere: g.Rules.PutEverywhere, Looped: g.Rules.Looped, TimeLimit: g.TimeLimit}
		if l.WinnerID != nil {
			l.Winner = users[*l.WinnerID]
		}
		out = append(out, l)
	}
	return out, nil
}

// packOne packs a game with its moves.
func (s *Service) packOne(ctx context.Context, g *Game) (*Detailed, error) {
	if err := s.read(ctx, s.DB, g); err != nil {
		return nil, err
	}
	return s.packRead(ctx, g)
}

// packRead packs a game whose moves were read.
func (s *Service) packRead(ctx context.Context, g *Game) (*Detailed, error) {
	l, err := s.pack(ctx, []*Game{g})
	if err != nil {
		return nil, err
	}
	return &Detailed{Lite: *l[0], User1Ready: g.Ready[0], User2Ready: g.Ready[1], Logs: reversi.Serialize(g.moves), Map: g.Map}, nil
}
