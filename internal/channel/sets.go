package channel

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/socket/log"
)

// Ties are the channels that an account follows, and those that it mutes. They
// must not be changed.
type Ties struct {
	Follows []string
	Mutes   []string
	until   time.Time // when a mute is over; zero: none ends
}

// maxSets bounds the memory of ties; when full it starts anew.
const maxSets = 20_000

// sets are the ties of those who have asked lately.
type sets struct {
	mu *sync.Mutex
	m  map[string]*Ties
	// turn counts what was dropped: what is read meanwhile is not kept.
	turn *int
}

func newSets() sets { return sets{mu: &sync.Mutex{}, m: map[string]*Ties{}, turn: new(int)} }

func (s sets) drop(userID string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.m, userID)
	*s.turn++
}

func (s sets) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.m)
	*s.turn++
}

const sqlTies = `
SELECT channel_id, false, NULL::timestamptz FROM channel_following WHERE user_id = $1
UNION ALL
SELECT channel_id, true, expires_at FROM channel_muting WHERE user_id = $1 AND (expires_at IS NULL OR expires_at > $2)`

// Of gives an account's ties; none for a visitor ("").
func (s *Service) Of(ctx context.Context, userID string) (*Ties, error) {
	if userID == "" {
		return &Ties{}, nil
	}
	now := s.Now()
	s.sets.mu.Lock()
	t, turn := s.sets.m[userID], *s.sets.turn
	s.sets.mu.Unlock()
	if t != nil && (t.until.IsZero() || now.Before(t.until)) {
		return t, nil
	}
	rows, err := s.DB.Query(ctx, sqlTies, userID, now)
	if err != nil {
		return nil, fmt.Errorf("channels of an account: %w", err)
	}
	t = &Ties{}
	var id string
	var mutes bool
	var until *time.Time
	_, err = pgx.ForEachRow(rows, []any{&id, &mutes, &until}, func() error {
		switch {
		case !mutes:
			t.Follows = append(t.Follows, id)
		default:
			t.Mutes = append(t.Mutes, id)
			if until != nil && (t.until.IsZero() || until.Before(t.until)) {
				t.until = *until
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("channels of an account: %w", err)
	}
	s.sets.mu.Lock()
	defer s.sets.mu.Unlock()
	if turn == *s.sets.turn {
		if len(s.sets.m) >= maxSets {
			clear(s.sets.m)
		}
		s.sets.m[userID] = t
	}
	return t, nil
}

// Topic is where the processes' listeners hear that an account's ties are others.
func Topic(userID string) string { return "channelTies:" + userID }

// Changed is told there.
type Changed struct{}

func (s *Service) onChanged(_ context.Context, _ *pg.Tx, batch []log.Change) error {
	for _, c := range batch {
		s.sets.drop(c.ActorID)
		s.Hub.Publish(Topic(c.ActorID), Changed{})
	}
	return nil
}

// Forget drops what is kept in memory.
func (s *Service) Forget() { s.sets.forget() }
