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

const (
	sqlInsertFollow = `
INSERT INTO following (id, follower_id, followee_id, follower_host, followee_host, with_replies)
VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (follower_id, followee_id) DO NOTHING`
	sqlInsertRequest = `
INSERT INTO follow_request (id, follower_id, followee_id, activity_id, with_replies)
VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (follower_id, followee_id) DO UPDATE SET activity_id = coalesce(excluded.activity_id, follow_request.activity_id)
RETURNING id, xmax = 0`
	sqlDeleteFollow  = `DELETE FROM following WHERE follower_id = $1 AND followee_id = $2`
	sqlDeleteRequest = `DELETE FROM follow_request WHERE follower_id = $1 AND followee_id = $2 RETURNING id, activity_id, with_replies`
	sqlAutoAccept    = `SELECT auto_accept_followed, careful_bot FROM user_profile WHERE user_id = $1`
)

// Follow makes follower follow followee, or asks for it. activityID is the
// remote Follow's, "" for a local follower.
//
// A follow of a remote account is always a request until its server accepts
// it. A local account's consent is needed when it is locked, or careful about
// bots and the follower is one; it is given at once to somebody whom the
// account follows when it says so in its settings.
func (s *Service) Follow(ctx context.Context, tx *pg.Tx, follower, followee *user.User, withReplies bool, activityID string) error {
	ab, ba, err := s.Blocks(ctx, tx, follower.ID, followee.ID)
	switch {
	case err != nil:
		return err
	case ba && !follower.Local():
		return s.reject(ctx, tx, follower, followee, activityID)
	case ba:
		return ErrBlocked
	case ab && follower.Local():
		return ErrBlocking
	case ab: // a remote account that follows us no longer blocks us
		if err := s.unblock(ctx, tx, follower, followee); err != nil {
			return err
		}
	}
	already, err := s.Follows(ctx, tx, follower.ID, followee.ID)
	if err != nil {
		return err
	}
	if already {
		if follower.Local() {
			return ErrAlready
		}
		return s.acceptRemote(ctx, tx, follower, followee, activityID)
	}
	if !followee.Local() && followee.Inbox == nil && !s.meta.Test() {
		return ErrUnreachable
	}
	ask, err := s.needsConsent(ctx, tx, follower, followee)
	if err != nil {
		return err
	}
	if ask {
		return s.request(ctx, tx, follower, followee, withReplies, activityID)
	}
	if err := s.begin(ctx, tx, follower, followee, withReplies); err != nil {
		return err
	}
	if !follower.Local() {
		return s.acceptRemote(ctx, tx, follower, followee, activityID)
	}
	return nil
}

func (s *Service) needsConsent(ctx context.Context, tx *pg.Tx, follower, followee *user.User) (bool, error) {
	if !followee.Local() {
		return followee.Inbox != nil, nil // an imaginary account of test mode cannot answer
	}
	var auto, careful bool
	if err := tx.QueryRow(ctx, sqlAutoAccept, followee.ID).Scan(&auto, &careful); err != nil {
		return false, fmt.Errorf("settings of followee: %w", err)
	}
	if !followee.IsLocked && !(careful && follower.IsBot) {
		return false, nil
	}
	if auto {
		mutual, err := s.Follows(ctx, tx, followee.ID, follower.ID)
		return !mutual, err
	}
	return true, nil
}

// begin makes a follow real.
func (s *Service) begin(ctx context.Context, tx *pg.Tx, follower, followee *user.User, withReplies bool) error {
	tag, err := tx.Exec(ctx, sqlInsertFollow, s.ids.Now(), follower.ID, followee.ID, follower.ActorHost, followee.ActorHost, withReplies)
	if err != nil {
		return fmt.Errorf("follow: %w", err)
	}
	if tag.RowsAffected() == 0 {
		return nil
	}
	if _, err := tx.Exec(ctx, sqlDeleteRequest, follower.ID, followee.ID); err != nil {
		return fmt.Errorf("follow: %w", err)
	}
	if err := s.count(ctx, tx, follower.ID, followee.ID, 1); err != nil {
		return err
	}
	if err := s.noteAll(ctx, tx, "followed", changed{From: follower.ID, To: followee.ID, FromServer: follower.ActorHost, ToServer: followee.ActorHost}); err != nil {
		return err
	}
	return s.bus.Emit(ctx, tx, Followed{Follower: follower, Followee: followee})
}

// count changes both accounts' numbers, in the order of their ids.
func (s *Service) count(ctx context.Context, tx *pg.Tx, follower, followee string, n int) error {
	first := func() error { return s.users.Count(ctx, tx, follower, 0, 0, n) }
	second := func() error { return s.users.Count(ctx, tx, followee, 0, n, 0) }
	if follower > followee {
		first, second = second, first
	}
	if err := first(); err != nil {
		return err
	}
	return second()
}

func (s *Service) request(ctx context.Context, tx *pg.Tx, follower, followee *user.User, withReplies bool, activityID string) error {
	var act *string
	if activityID != "" {
		act = &activityID
	}
	var id string
	var fresh bool
	if err := tx.QueryRow(ctx, sqlInsertRequest, s.ids.Now(), follower.ID, followee.ID, act, withReplies).Scan(&id, &fresh); err != nil {
		return fmt.Errorf("request to follow: %w", err)
	}
	if !followee.Local() {
		return s.send(ctx, tx, follower, followee, s.renderFollow(follower, followee, s.meta.Origin+"/follows/"+id), "Follow")
	}
	if !fresh {
		return nil // asked again: the followee knows already
	}
	if err := s.note(ctx, tx, "requested", follower.ID, followee.ID); err != nil {
		return err
	}
	return s.bus.Emit(ctx, tx, Requested{Follower: follower, Followee: followee})
}

const sqlAsked = `SELECT EXISTS (SELECT FROM follow_request WHERE follower_id = $1 AND followee_id = $2)`

// Asked tells whether a waits for b's consent to follow.
func (s *Service) Asked(ctx context.Context, q pg.Q, a, b string) (bool, error) {
	var yes bool
	if err := q.QueryRow(ctx, sqlAsked, a, b).Scan(&yes); err != nil {
		return false, fmt.Errorf("asked: %w", err)
	}
	return yes, nil
}

// Accept makes a waiting request real. ErrNone when there is none.
func (s *Service) Accept(ctx context.Context, tx *pg.Tx, follower, followee *user.User) error {
	_, activityID, withReplies, err := s.takeRequest(ctx, tx, follower.ID, followee.ID)
	if err != nil {
		return err
	}
	if err := s.begin(ctx, tx, follower, followee, withReplies); err != nil {
		return err
	}
	if !follower.Local() {
		if err := s.acceptRemote(ctx, tx, follower, followee, activityID); err != nil {
			return err
		}
	}
	return s.bus.Emit(ctx, tx, Accepted{Follower: follower, Followee: followee})
}

// Reject refuses a waiting request, or ends a follow that exists already.
func (s *Service) Reject(ctx context.Context, tx *pg.Tx, follower, followee *user.User) error {
	_, activityID, _, err := s.takeRequest(ctx, tx, follower.ID, followee.ID)
	if err != nil && !errors.Is(err, ErrNone) {
		return err
	}
	if errors.Is(err, ErrNone) {
		if err := s.end(ctx, tx, follower, followee); err != nil {
			return err
		}
	}
	if !follower.Local() && followee.Local() {
		return s.reject(ctx, tx, follower, followee, activityID)
	}
	return s.note(ctx, tx, "unrequested", follower.ID, followee.ID)
}

func (s *Service) takeRequest(ctx context.Context, tx *pg.Tx, follower, followee string) (id, activityID string, withReplies bool, err error) {
	var act *string
	err = tx.QueryRow(ctx, sqlDeleteRequest, follower, followee).Scan(&id, &act, &withReplies)
	if pg.NoRows(err) {
		return "", "", false, ErrNone
	}
	if err != nil {
		return "", "", false, fmt.Errorf("request: %w", err)
	}
	if act != nil {
		activityID = *act
	}
	return id, activityID, withReplies, nil
}

// end removes a follow; ErrNone when there is none.
func (s *Service) end(ctx context.Context, tx *pg.Tx, follower, followee *user.User) error {
	tag, err := tx.Exec(ctx, sqlDeleteFollow, follower.ID, followee.ID)
	if err != nil {
		return fmt.Errorf("unfollow: %w", err)
	}
	if tag.RowsAffected() == 0 {
		return ErrNone
	}
	if err := s.count(ctx, tx, follower.ID, followee.ID, -1); err != nil {
		return err
	}
	return s.noteAll(ctx, tx, "unfollowed", changed{From: follower.ID, To: followee.ID, FromServer: follower.ActorHost, ToServer: followee.ActorHost})
}

// Unfollow ends a follow or withdraws the request for one; a remote followee
// is told.
func (s *Service) Unfollow(ctx context.Context, tx *pg.Tx, follower, followee *user.User) error {
	err := s.end(ctx, tx, follower, followee)
	if errors.Is(err, ErrNone) {
		_, _, _, err = s.takeRequest(ctx, tx, follower.ID, followee.ID)
	}
	if err != nil {
		return err
	}
	if !follower.Local() || followee.Local() {
		return nil
	}
	inner := s.renderFollow(follower, followee, s.followID(follower, followee))
	return s.send(ctx, tx, follower, followee, s.renderUndo(follower, inner), "Undo")
}

// Invalidate makes somebody stop following a local account.
func (s *Service) Invalidate(ctx context.Context, tx *pg.Tx, follower, followee *user.User) error {
	if err := s.end(ctx, tx, follower, followee); err != nil {
		return err
	}
	if follower.Local() {
		return nil
	}
	return s.reject(ctx, tx, follower, followee, "")
}

// followID is the id of a Follow whose request is gone; it is served too.
func (s *Service) followID(follower, followee *user.User) string {
	return s.meta.Origin + "/follows/" + follower.ID + "/" + followee.ID
}

func (s *Service) renderFollow(follower, followee *user.User, id string) *ap.Activity {
	return &ap.Activity{ID: id, Type: "Follow", Actor: s.users.URI(follower), Object: s.users.URI(followee)}
}

func (s *Service) renderUndo(by *user.User, inner *ap.Activity) *ap.Activity {
	// An id of its own each time: receivers drop what they have seen before.
	return &ap.Activity{ID: inner.ID + "/undo/" + s.ids.Now(), Type: "Undo", Actor: s.users.URI(by), Object: inner}
}

// echo is the remote Follow as its sender knows it.
func (s *Service) echo(follower, followee *user.User, activityID string) *ap.Activity {
	if activityID == "" {
		activityID = s.followID(follower, followee)
	}
	return s.renderFollow(follower, followee, activityID)
}

func (s *Service) acceptRemote(ctx context.Context, tx *pg.Tx, follower, followee *user.User, activityID string) error {
	return s.answer(ctx, tx, "Accept", follower, followee, activityID)
}

func (s *Service) reject(ctx context.Context, tx *pg.Tx, follower, followee *user.User, activityID string) error {
	return s.answer(ctx, tx, "Reject", follower, followee, activityID)
}

func (s *Service) answer(ctx context.Context, tx *pg.Tx, typ string, follower, followee *user.User, activityID string) error {
	a := &ap.Activity{
		ID: s.meta.Origin + "/activities/" + s.ids.Now(), Type: typ, Actor: s.users.URI(followee),
		Object: s.echo(follower, followee, activityID),
	}
	return s.send(ctx, tx, followee, follower, a, typ)
}

const sqlWaiting = `SELECT follower_id FROM follow_request WHERE followee_id = $1 ORDER BY id`

// AcceptAll accepts all who wait for a local account.
func (s *Service) AcceptAll(ctx context.Context, tx *pg.Tx, followee *user.User) error {
	rows, err := tx.Query(ctx, sqlWaiting, followee.ID)
	if err != nil {
		return fmt.Errorf("requests: %w", err)
	}
	ids, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return fmt.Errorf("requests: %w", err)
	}
	users, err := s.users.ByIDs(ctx, tx, ids)
	if err != nil {
		return err
	}
	for _, id := range ids {
		if err := s.Accept(ctx, tx, users[id], followee); err != nil {
			return err
		}
	}
	return nil
}
