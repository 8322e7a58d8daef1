package account

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/relation"
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
INSERT INTO account_move (user_id, target_id, at) VALUES ($1, $2, $3)
ON CONFLICT (user_id) DO UPDATE SET target_id = excluded.target_id, at = excluded.at
	WHERE account_move.target_id = excluded.target_id OR account_move.at < $4`

// workTakeOver can be run again from its start: what is done is not there any
// more.
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
	tag, err := s.DB.Exec(ctx, sqlBeginMove, from.ID, to.ID, s.Now(), s.Now().Add(-moveAgain))
	if err != nil {
		return fmt.Errorf("move: %w", err)
	}
	if tag.RowsAffected() == 0 {
		s.Slog.Info("a move is not followed: the last one was not long ago", "from", from.ID)
		return nil
	}
	err = s.DB.Tx(ctx, func(tx *pg.Tx) error {
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
	err = s.each(ctx, sqlBlockers, from.ID, func(tx *pg.Tx, blocker *user.User) error {
		return allow(s.Relations.Block(ctx, tx, blocker, to), relation.ErrAlready)
	}, to.ID)
	if err != nil {
		return err
	}
	return s.each(ctx, sqlFollowers, from.ID, func(tx *pg.Tx, follower *user.User) error { return s.follow(ctx, tx, follower, from, to) })
}

const (
	sqlFollowers = `SELECT follower_id FROM following WHERE followee_id = $1 AND follower_host IS NULL ORDER BY id LIMIT 50`
	// Those who block the old account and not yet the new one.
	sqlBlockers = `
SELECT b.blocker_id FROM blocking b JOIN "user" u ON u.id = b.blocker_id AND u.host IS NULL
WHERE b.blockee_id = $1 AND b.blocker_id <> $2 AND NOT EXISTS (SELECT FROM blocking n WHERE n.blocker_id = b.blocker_id AND n.blockee_id = $2)
ORDER BY b.id LIMIT 50`
)

// follow has a follower follow the new account instead of the old one.
// Whoever cannot (one blocks the other, or he is that account himself) just
// stops following the old one.
func (s *Service) follow(ctx context.Context, tx *pg.Tx, follower, from, to *user.User) error {
	if follower.ID != to.ID && follower.MovedToURI == nil {
		err := s.Relations.Follow(ctx, tx, follower, to, false, "")
		if err := allow(err, relation.ErrAlready, relation.ErrBlocked, relation.ErrBlocking, relation.ErrUnreachable); err != nil {
			return err
		}
	}
	return allow(s.Relations.Unfollow(ctx, tx, follower, from), relation.ErrNone)
}

// each runs do for every account that the statement gives, each in a
// transaction of its own, until it gives none: do must take its account out of
// what the statement finds.
func (s *Service) each(ctx context.Context, sql, userID string, do func(tx *pg.Tx, other *user.User) error, args ...any) error {
	for {
		rows, err := s.DB.Query(ctx, sql, append([]any{userID}, args...)...)
		if err != nil {
			return fmt.Errorf("move: %w", err)
		}
		ids, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			return fmt.Errorf("move: %w", err)
		}
		if len(ids) == 0 {
			return nil
		}
		users, err := s.Users.ByIDs(ctx, s.DB, ids)
		if err != nil {
			return err
		}
		for _, id := range ids {
			if err := s.DB.Tx(ctx, func(tx *pg.Tx) error { return do(tx, users[id]) }); err != nil {
				return err
			}
		}
	}
}

// allow is nil for errors that are as good as done.
func allow(err error, fine ...error) error {
	for _, f := range fine {
		if errors.Is(err, f) {
			return nil
		}
	}
	return err
}
