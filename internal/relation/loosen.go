package relation

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"buttersc.one/oven/internal/lib/ap"
	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/user"
)

// What a suspended account loses: what it follows and, of one elsewhere, who
// follows it here; and requests both ways. Follows come first.
const sqlLoose = `
(SELECT follower_id, followee_id, true FROM following WHERE follower_id = $1 ORDER BY id LIMIT $3)
UNION ALL (SELECT follower_id, followee_id, true FROM following WHERE $2 AND followee_id = $1 ORDER BY id LIMIT $3)
UNION ALL (SELECT follower_id, followee_id, false FROM follow_request WHERE follower_id = $1 ORDER BY id LIMIT $3)
UNION ALL (SELECT follower_id, followee_id, false FROM follow_request WHERE followee_id = $1 ORDER BY id LIMIT $3)
LIMIT $3`

// Loosen ends up to n of the ties that a suspended account does not keep, and
// tells how many it found. A local account keeps its followers: they are there
// when it comes back, and its end was told to all servers, so nothing is sent for
// each of what it follows. For one of another server that server is told, by the
// lane of large operations.
func (s *Service) Loosen(ctx context.Context, tx *pg.Tx, u *user.User, n int) (int, error) {
	rows, err := tx.Query(ctx, sqlLoose, u.ID, !u.Local(), n)
	if err != nil {
		return 0, fmt.Errorf("ties of a suspended account: %w", err)
	}
	type tie struct {
		Follower, Followee string
		Real               bool
	}
	ties, err := pgx.CollectRows(rows, pgx.RowToStructByPos[tie])
	if err != nil {
		return 0, fmt.Errorf("ties of a suspended account: %w", err)
	}
	ids := make([]string, 0, 2*len(ties))
	for _, t := range ties {
		ids = append(ids, t.Follower, t.Followee)
	}
	users, err := s.users.ByIDs(ctx, tx, ids)
	if err != nil {
		return 0, err
	}
	for _, t := range ties {
		follower, followee := users[t.Follower], users[t.Followee]
		if follower == nil || followee == nil {
			return 0, fmt.Errorf("tie of %s and %s: one is not there", t.Follower, t.Followee)
		}
		if err := s.loosen(ctx, tx, follower, followee, t.Real, !u.Local()); err != nil {
			return 0, err
		}
	}
	return len(ties), nil
}

func (s *Service) loosen(ctx context.Context, tx *pg.Tx, follower, followee *user.User, isReal, tell bool) error {
	var requestID, activityID string
	var err error
	if isReal {
		err = s.end(ctx, tx, follower, followee)
	} else if requestID, activityID, _, err = s.takeRequest(ctx, tx, follower.ID, followee.ID); err == nil {
		err = s.note(ctx, tx, "unrequested", follower.ID, followee.ID)
	}
	switch {
	case errors.Is(err, ErrNone):
		return nil // ended meanwhile
	case err != nil:
		return err
	case !tell:
		return nil
	case follower.Local() && !followee.Local():
		id := s.followID(follower, followee)
		if requestID != "" {
			id = s.meta.Origin + "/follows/" + requestID
		}
		return s.send(Calmly(ctx, 0), tx, follower, followee, s.renderUndo(follower, s.renderFollow(follower, followee, id)), "Undo")
	case !follower.Local() && followee.Local():
		a := &ap.Activity{ID: s.meta.Origin + "/activities/" + s.ids.Now(), Type: "Reject", Actor: s.users.URI(followee), Object: s.echo(follower, followee, activityID)}
		return s.send(Calmly(ctx, 0), tx, followee, follower, a, "Reject")
	}
	return nil
}
