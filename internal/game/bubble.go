package game

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"

	"buttersc.one/oven/internal/socket/api"
	"buttersc.one/oven/internal/user"
)

var errRegisterSeed = api.Err("INVALID_SEED", "eb627bc7-574b-4a52-a860-3c3eae772b88", "The seed is not the beginning of a game of the last hours.")

const (
	longestGame = 5 * time.Hour      // between a game's seed and its record
	rankedFor   = 7 * 24 * time.Hour // since the game began
	ranked      = 10
)

type registerReq struct {
	Score       int64       `json:"score" api:"required,min=0"`
	Seed        string      `json:"seed" api:"required,min=1,max=1024"`
	Logs        [][]float64 `json:"logs" api:"optional"`
	GameMode    string      `json:"gameMode" api:"required,max=128"`
	GameVersion int64       `json:"gameVersion" api:"required"`
}

// The first that is told of a game stands: whoever knows a seed could play the
// same game again, and better.
const sqlRegister = `
INSERT INTO bubble_game_record (id, user_id, seeded_at, game_mode, game_version, score, logs) VALUES ($1, $2, $3, $4, $5, $6, $7)
ON CONFLICT (user_id, seeded_at) DO NOTHING`

// apiRegister records a score. Told twice of a game, it changes nothing.
func (s *Service) apiRegister(ctx context.Context, c *api.Call, req registerReq) (api.None, error) {
	// The seed is the moment at which the client began, in milliseconds.
	ms, err := strconv.ParseInt(req.Seed, 10, 64)
	if err != nil {
		return api.None{}, errRegisterSeed
	}
	now, seeded := s.Now(), time.UnixMilli(ms)
	if seeded.After(now) || seeded.Before(now.Add(-longestGame)) {
		return api.None{}, errRegisterSeed
	}
	if req.Logs == nil {
		req.Logs = [][]float64{}
	}
	logs, err := json.Marshal(req.Logs)
	if err != nil {
		return api.None{}, fmt.Errorf("record of the bubble game: %w", err)
	}
	if _, err := s.DB.Exec(ctx, sqlRegister, s.IDs.Now(), c.UserID, seeded, req.GameMode, req.GameVersion, req.Score, logs); err != nil {
		return api.None{}, fmt.Errorf("record of the bubble game: %w", err)
	}
	return api.None{}, nil
}

type rankingReq struct {
	GameMode string `json:"gameMode" api:"required,max=128"`
}

type record struct {
	ID    string     `json:"id"`
	Score int64      `json:"score"`
	User  *user.Lite `json:"user,omitempty"`
}

const sqlRanking = `
SELECT b.id, b.user_id, b.score FROM (
	SELECT DISTINCT ON (r.user_id) r.id, r.user_id, r.score FROM bubble_game_record r JOIN "user" u ON u.id = r.user_id
	WHERE r.game_mode = $1 AND r.seeded_at > $2 AND NOT u.is_suspended AND NOT u.is_deleted
	ORDER BY r.user_id, r.score DESC, r.id) b
ORDER BY b.score DESC, b.id LIMIT $3`

// apiRanking gives the best players of the last days, each with his best game.
func (s *Service) apiRanking(ctx context.Context, _ *api.Call, req rankingReq) ([]*record, error) {
	rows, err := s.DB.Query(ctx, sqlRanking, req.GameMode, s.Now().Add(-rankedFor), ranked)
	if err != nil {
		return nil, fmt.Errorf("ranking of the bubble game: %w", err)
	}
	list, by := []*record{}, []string{}
	var r record
	var userID string
	_, err = pgx.ForEachRow(rows, []any{&r.ID, &userID, &r.Score}, func() error {
		list, by = append(list, &record{ID: r.ID, Score: r.Score}), append(by, userID)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("ranking of the bubble game: %w", err)
	}
	users, err := s.Users.LiteByIDs(ctx, by)
	if err != nil {
		return nil, err
	}
	for i, r := range list {
		r.User = users[by[i]]
	}
	return list, nil
}
