package user

import (
	"context"
	"encoding/json"
	"fmt"

	"buttersc.one/oven/internal/lib/pg"
)

// Achievement is one that an account has earned.
type Achievement struct {
	Name       string `json:"name"`
	UnlockedAt int64  `json:"unlockedAt"` // ms since 1970
}

// Achieved is emitted when an account has earned an achievement.
type Achieved struct {
	UserID string
	Name   string
}

const (
	sqlAchieve = `
UPDATE user_profile SET achievements = achievements || jsonb_build_array(jsonb_build_object('name', $2::text, 'unlockedAt', $3::bigint))
WHERE user_id = $1 AND NOT achievements @> jsonb_build_array(jsonb_build_object('name', $2::text))`
	sqlAchievements = `SELECT achievements FROM user_profile WHERE user_id = $1`
)

// Achieve notes that an account has earned an achievement, and tells whether
// that is new.
func (s *Service) Achieve(ctx context.Context, tx *pg.Tx, userID, name string) (bool, error) {
	tag, err := tx.Exec(ctx, sqlAchieve, userID, name, s.now().UnixMilli())
	if err != nil {
		return false, fmt.Errorf("achieve: %w", err)
	}
	return tag.RowsAffected() > 0, nil
}

// Achievements of an account; ErrNotFound when there is none such.
func (s *Service) Achievements(ctx context.Context, userID string) ([]Achievement, error) {
	var raw []byte
	err := s.db.QueryRow(ctx, sqlAchievements, userID).Scan(&raw)
	if pg.NoRows(err) {
		return nil, ErrNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("achievements: %w", err)
	}
	out := []Achievement{}
	if err := json.Unmarshal(raw, &out); err != nil {
		return nil, fmt.Errorf("achievements of %s: %w", userID, err)
	}
	return out, nil
}
