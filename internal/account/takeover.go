package account

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/socket/inbox"
	"buttersc.one/oven/internal/socket/log"
	"buttersc.one/oven/internal/user"
)

// moveAgain is how long after a move the next one of the same account is not
// followed: a stolen key must not carry followers round and round.
const moveAgain = 14 * 24 * time.Hour

// onMove believes nothing of a Move but that the actor's profile is worth
// another look: the profile says where it went.
func (s *Service) onMove(ctx context.Context, tx *pg.Tx, a *inbox.Activity) error {
	if a.Object.Ref("object") != a.Actor {
		return inbox.Drop("somebody moves another")
	}
	return s.Queue.Insert(ctx, tx, refreshArgs{URI: a.Actor}, time.Time{})
}

// refreshArgs asks to read an actor's profile again.
type refreshArgs struct {
	URI string `json:"uri"`
}

// Kind implements job.Args.
func (refreshArgs) Kind() string { return "account.refresh" }

func (s *Service) workRefresh(ctx context.Context, a refreshArgs) error {
	_, err := s.Users.Refresh(ctx, a.URI)
	return err
}

// onMoved starts the work that a move means for people here.
func (s *Service) onMoved(ctx context.Context, tx *pg.Tx, batch []log.Change) error {
	for _, c := range batch {
		if err := s.Queue.Insert(ctx, tx, takeOverArgs{UserID: c.ObjectID}, time.Time{}); err != nil {
			return err
		}
	}
	return nil
}

// takeOverArgs asks to carry over to the account that another one moved to
// what people here have with it.
type takeOverArgs struct {
	UserID string `json:"userId"`
}

// Kind implements job.Args.
func (takeOverArgs) Kind() string { return "account.takeOver" }

const sqlBeginMove = `
INSERT INTO account_move (user_id, target_id, at, state, due_at) VALUES ($1, $2, $3, 'running', $3)
ON CONFLICT (user_id) DO UPDATE SET target_id = excluded.target_id, at = excluded.at, state = 'running',
	due_at = CASE WHEN account_move.state = 'running' THEN account_move.due_at ELSE excluded.due_at END
	WHERE account_move.target_id = excluded.target_id OR account_move.at < $4`

// workTakeOver does what is done at once, and leaves to RunMoves those who are
// taken along. It can be run again.
func (s *Service) workTakeOver(ctx context.Context, a takeOverArgs) error {
	from, err := s.Users.ByID(ctx, a.UserID)
	if err != nil || from.MovedToURI == nil {
		return err
	}
	to, err := s.Users.Resolve(ctx, *from.MovedToURI)
	if err == nil {
		to, err = s.freshly(ctx, to)
	}
	if errors.Is(err, user.ErrNotFound) || user.Gone(err) {
		return nil // moved to nowhere
	}
	if err != nil {
		return err
	}
	if to.ID == from.ID || to.MovedToURI != nil || to.IsDeleted || to.IsSuspended || !slices.Contains(to.AlsoKnownAs, s.Users.URI(from)) {
		s.Slog.Info("a move is not followed: the other account does not agree", "from", from.ID, "to", to.ID)
		return nil
	}
	err = s.DB.Tx(ctx, func(tx *pg.Tx) error {
		tag, err := tx.Exec(ctx, sqlBeginMove, from.ID, to.ID, s.Now(), s.Now().Add(-moveAgain))
		if err != nil {
			return fmt.Errorf("move: %w", err)
		}
		if tag.RowsAffected() == 0 {
			s.Slog.Info("a move is not followed: the last one was not long ago", "from", from.ID)
			return nil
		}
		if err := s.Relations.CopyMutes(ctx, tx, from.ID, to.ID); err != nil {
			return err
		}
		if err := s.Roles.CopyOnMove(ctx, tx, from.ID, to.ID); err != nil {
			return err
		}
		return s.Lists.Replace(ctx, tx, from.ID, to.ID)
	})
	if err != nil {
		return err
	}
	s.pokeMoves()
	return nil
}

const (
	sqlFollowers = `SELECT follower_id FROM following WHERE followee_id = $1 AND follower_host IS NULL ORDER BY id LIMIT $2`
	// Those who block the old account and not yet the new one.
	sqlBlockers = `
SELECT b.blocker_id FROM blocking b JOIN "user" u ON u.id = b.blocker_id AND u.host IS NULL
WHERE b.blockee_id = $1 AND b.blocker_id <> $3 AND NOT EXISTS (SELECT FROM blocking n WHERE n.blocker_id = b.blocker_id AND n.blockee_id = $3)
ORDER BY b.id LIMIT $2`
)
