package game

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/lib/reversi"
	"buttersc.one/oven/internal/socket/api"
	"buttersc.one/oven/internal/user"
)

var (
	errMatchNobody = api.Err("NO_SUCH_USER", "0b4f0559-b484-4e31-9581-3f73cee89b28", "There is nobody like that to play with.")
	errMatchSelf   = api.Err("TARGET_IS_YOURSELF", "96fd7bd6-d2bc-426c-a865-d055dcd2828e", "You cannot play against yourself.")
)

// A client that looks for somebody says so every 5 s.
const (
	inviteFor = 20 * time.Second
	waitFor   = 15 * time.Second
	resumeFor = 3 * time.Minute // a game that was found is found again
	turnLimit = 90              // seconds
)

type matchReq struct {
	UserID           *string `json:"userId" api:"nullable,id"`
	NoIrregularRules bool    `json:"noIrregularRules" api:"optional"`
	Multiple         bool    `json:"multiple" api:"optional"` // also with a game that has not begun
}

const sqlMatching = `SELECT pg_advisory_xact_lock($1, 0)`

// apiMatch finds the caller somebody to play with: a person, whom he invites or who has
// invited him, or anybody. It answers nothing until there is one; he is told over the
// stream, or asks again.
func (s *Service) apiMatch(ctx context.Context, c *api.Call, req matchReq) (*Detailed, error) {
	with := ""
	if req.UserID != nil {
		with = *req.UserID
		if err := s.playable(ctx, c.UserID, with); err != nil {
			return nil, err
		}
	}
	var g *Game
	err := s.DB.Tx(ctx, func(tx *pg.Tx) error {
		// Two who look for each other at the same moment must not both wait, or both begin.
		_, err := tx.Exec(ctx, sqlMatching, pg.LockMatch)
		if err != nil {
			return fmt.Errorf("match: %w", err)
		}
		g = nil
		if !req.Multiple {
			if g, err = s.found(ctx, tx, c.UserID, with); g != nil || err != nil {
				return err
			}
		}
		if with != "" {
			g, err = s.matchPerson(ctx, tx, c.UserID, with)
		} else {
			g, err = s.matchAnybody(ctx, tx, c.UserID, req.NoIrregularRules)
		}
		return err
	})
	if err != nil || g == nil {
		return nil, err
	}
	return s.packOne(ctx, g)
}

// playable gives an error unless a person could be played with: he is of this
// server, and neither of the two blocks the other.
func (s *Service) playable(ctx context.Context, userID, with string) error {
	if with == userID {
		return errMatchSelf
	}
	u, err := s.Users.ByID(ctx, with)
	if errors.Is(err, user.ErrNotFound) || err == nil && (!u.Local() || u.IsSuspended || u.IsDeleted) {
		return errMatchNobody
	}
	if err != nil {
		return err
	}
	blocks, blocked, err := s.Relations.Blocks(ctx, s.DB, userID, with)
	if err == nil && (blocks || blocked) {
		err = errMatchNobody
	}
	return err
}

const sqlFound = sqlGames + ` WHERE t.started_at IS NULL AND t.ended_at IS NULL AND t.created_at > $1
	AND (t.user1_id = $2 AND ($3 = '' OR t.user2_id = $3) OR t.user2_id = $2 AND ($3 = '' OR t.user1_id = $3))
ORDER BY t.id DESC LIMIT 1`

// found gives the game that was found a moment ago, with anybody when with is ""; nil
// where there is none.
func (s *Service) found(ctx context.Context, tx *pg.Tx, userID, with string) (*Game, error) {
	games, err := s.list(ctx, tx, sqlFound, s.Now().Add(-resumeFor), userID, with)
	if err != nil || len(games) == 0 {
		return nil, err
	}
	return games[0], nil
}

const (
	// Who blocks the other, or is blocked, is not there.
	apart      = ` AND NOT EXISTS (SELECT FROM blocking b WHERE b.blocker_id IN ($1, u.id) AND b.blockee_id IN ($1, u.id)) AND NOT u.is_suspended AND NOT u.is_deleted`
	sqlInviter = `SELECT t.from_id FROM reversi_invitation t JOIN "user" u ON u.id = t.from_id
WHERE t.to_id = $1 AND t.expires_at > $2 AND ($3 = '' OR t.from_id = $3)` + apart + ` ORDER BY t.expires_at LIMIT 1`
	sqlWaiter = `SELECT t.user_id, t.no_irregular_rules FROM reversi_waiting t JOIN "user" u ON u.id = t.user_id
WHERE t.user_id <> $1 AND t.expires_at > $2` + apart + ` ORDER BY t.since LIMIT 1`
	sqlInvite = `
INSERT INTO reversi_invitation (from_id, to_id, expires_at) VALUES ($1, $2, $3)
ON CONFLICT (to_id, from_id) DO UPDATE SET expires_at = excluded.expires_at`
	sqlWait = `
INSERT INTO reversi_waiting (user_id, no_irregular_rules, since, expires_at) VALUES ($1, $2, $3, $4)
ON CONFLICT (user_id) DO UPDATE SET no_irregular_rules = excluded.no_irregular_rules, expires_at = excluded.expires_at,
	since = CASE WHEN reversi_waiting.expires_at > excluded.since THEN reversi_waiting.since ELSE excluded.since END`
)

// inviter is who has invited the account, if it is with, or whoever when that is "";
// "" for nobody.
func (s *Service) inviter(ctx context.Context, tx *pg.Tx, userID, with string) (from string, err error) {
	err = tx.QueryRow(ctx, sqlInviter, userID, s.Now(), with).Scan(&from)
	if err != nil && !pg.NoRows(err) {
		return "", fmt.Errorf("invitations: %w", err)
	}
	return from, nil
}

func (s *Service) matchPerson(ctx context.Context, tx *pg.Tx, userID, with string) (*Game, error) {
	from, err := s.inviter(ctx, tx, userID, with)
	if err != nil {
		return nil, err
	}
	if from != "" {
		return s.make(ctx, tx, from, userID, false)
	}
	if _, err := tx.Exec(ctx, sqlInvite, userID, with, s.Now().Add(inviteFor)); err != nil {
		return nil, fmt.Errorf("invite: %w", err)
	}
	return nil, s.Log.Append(ctx, tx, invited, with, userID, nil)
}

// matchAnybody prefers who has invited the account to who has waited longest.
func (s *Service) matchAnybody(ctx context.Context, tx *pg.Tx, userID string, regular bool) (*Game, error) {
	from, err := s.inviter(ctx, tx, userID, "")
	if err != nil {
		return nil, err
	}
	if from != "" {
		return s.make(ctx, tx, from, userID, false)
	}
	now, strict := s.Now(), false
	err = tx.QueryRow(ctx, sqlWaiter, userID, now).Scan(&from, &strict)
	if err == nil {
		return s.make(ctx, tx, from, userID, regular || strict)
	}
	if !pg.NoRows(err) {
		return nil, fmt.Errorf("who waits: %w", err)
	}
	if _, err := tx.Exec(ctx, sqlWait, userID, regular, now, now.Add(waitFor)); err != nil {
		return nil, fmt.Errorf("wait: %w", err)
	}
	return nil, nil //nolint:nilnil // documented: nil where there is nobody yet
}

const (
	sqlMake     = `INSERT INTO reversi_game (id, user1_id, user2_id, created_at, map, time_limit, no_irregular_rules) VALUES ($1, $2, $3, $4, $5, $6, $7)`
	sqlUninvite = `DELETE FROM reversi_invitation WHERE from_id = ANY($1)`
	sqlUnwait   = `DELETE FROM reversi_waiting WHERE user_id = ANY($1)`
)

// make makes the game of two, and tells the one who has waited for it. Neither waits
// for others any more.
func (s *Service) make(ctx context.Context, tx *pg.Tx, first, second string, regular bool) (*Game, error) {
	both := []string{first, second}
	for _, sql := range []string{sqlUninvite, sqlUnwait} {
		if _, err := tx.Exec(ctx, sql, both); err != nil {
			return nil, fmt.Errorf("matched: %w", err)
		}
	}
	g := &Game{ID: s.IDs.Now(), Players: [2]string{first, second}, CreatedAt: s.Now(), Map: reversi.Standard(), BW: "random", TimeLimit: turnLimit, Regular: regular}
	if _, err := tx.Exec(ctx, sqlMake, g.ID, first, second, g.CreatedAt, g.Map, g.TimeLimit, g.Regular); err != nil {
		return nil, fmt.Errorf("make game: %w", err)
	}
	return g, s.Log.Append(ctx, tx, matched, g.ID, first, nil)
}

type cancelMatchReq struct {
	UserID *string `json:"userId" api:"nullable,id"`
}

const (
	sqlCancelInvitation = `DELETE FROM reversi_invitation WHERE from_id = $1 AND to_id = $2`
	sqlCancelWaiting    = `DELETE FROM reversi_waiting WHERE user_id = $1`
)

// apiCancelMatch takes an invitation back, or ends the wait for anybody.
func (s *Service) apiCancelMatch(ctx context.Context, c *api.Call, req cancelMatchReq) (api.None, error) {
	var err error
	if req.UserID != nil {
		_, err = s.DB.Exec(ctx, sqlCancelInvitation, c.UserID, *req.UserID)
	} else {
		_, err = s.DB.Exec(ctx, sqlCancelWaiting, c.UserID)
	}
	if err != nil {
		return api.None{}, fmt.Errorf("cancel match: %w", err)
	}
	return api.None{}, nil
}

const sqlInvitations = `SELECT t.from_id FROM reversi_invitation t JOIN "user" u ON u.id = t.from_id
WHERE t.to_id = $1 AND t.expires_at > $2` + apart + ` ORDER BY t.expires_at DESC LIMIT 100`

// apiInvitations lists who wants to play with the caller.
func (s *Service) apiInvitations(ctx context.Context, c *api.Call, _ struct{}) ([]*user.Lite, error) {
	rows, err := s.DB.Query(ctx, sqlInvitations, c.UserID, s.Now())
	if err != nil {
		return nil, fmt.Errorf("invitations: %w", err)
	}
	ids, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, fmt.Errorf("invitations: %w", err)
	}
	users, err := s.Users.LiteByIDs(ctx, ids)
	if err != nil {
		return nil, err
	}
	out := make([]*user.Lite, 0, len(ids))
	for _, id := range ids {
		if u := users[id]; u != nil {
			out = append(out, u)
		}
	}
	return out, nil
}
