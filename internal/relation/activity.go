package relation

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"buttersc.one/oven/internal/lib/ap"
	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/socket/inbox"
	"buttersc.one/oven/internal/user"
)

// Activities this slice handles (behaviour 5.6).
func (s *Service) Activities() []inbox.Handler {
	return []inbox.Handler{
		inbox.On("Follow", s.onFollow),
		inbox.On("Accept", s.onAccept, "Follow", ""),
		inbox.On("Reject", s.onReject, "Follow", ""),
		inbox.On("Undo", s.onUndoFollow, "Follow"),
		inbox.On("Undo", s.onUndoAccept, "Accept"),
		inbox.On("Block", s.onBlock),
		inbox.On("Undo", s.onUndoBlock, "Block"),
	}
}

// pair gives the sender and the local account that the object names.
func (s *Service) pair(ctx context.Context, tx *pg.Tx, a *inbox.Activity, objectURI string) (remote, local *user.User, err error) {
	id, ok := s.users.LocalID(objectURI)
	if !ok {
		return nil, nil, inbox.Drop("object is not an account of this server")
	}
	local, err = s.users.ByIDIn(ctx, tx, id)
	if errors.Is(err, user.ErrNotFound) {
		return nil, nil, inbox.Drop("no such account")
	}
	if err != nil {
		return nil, nil, err
	}
	if !local.Local() || local.IsDeleted {
		return nil, nil, inbox.Drop("object is not an account of this server")
	}
	remote, err = s.users.ByIDIn(ctx, tx, a.ActorID)
	if err != nil {
		return nil, nil, err
	}
	return remote, local, nil
}

func (s *Service) onFollow(ctx context.Context, tx *pg.Tx, a *inbox.Activity) error {
	follower, followee, err := s.pair(ctx, tx, a, a.Object.Ref("object"))
	if err != nil {
		return err
	}
	if followee.IsSystem || followee.IsSuspended {
		return s.reject(ctx, tx, follower, followee, a.ID)
	}
	return s.Follow(ctx, tx, follower, followee, false, a.ID)
}

// ours finds the local follower and the remote followee that an Accept or
// Reject speaks of. Its object is our Follow, embedded or by id alone
// (Mastodon); only the followee may answer it.
func (s *Service) ours(ctx context.Context, tx *pg.Tx, a *inbox.Activity) (follower, followee *user.User, err error) {
	if f := a.Object.Object("object"); f != nil && f.Ref("actor") != "" {
		if f.Ref("object") != a.Actor {
			return nil, nil, inbox.Drop("the Follow is of somebody else")
		}
		followee, follower, err = s.pair(ctx, tx, a, f.Ref("actor"))
		return follower, followee, err
	}
	followerID, err := s.followerOf(ctx, tx, a.Object.Ref("object"), a.ActorID)
	if err != nil {
		return nil, nil, err
	}
	followee, follower, err = s.pair(ctx, tx, a, s.users.LocalURI(followerID))
	return follower, followee, err
}

const sqlRequestByID = `SELECT follower_id FROM follow_request WHERE id = $1 AND followee_id = $2`

// followerOf reads the follower out of the id of a Follow of ours.
func (s *Service) followerOf(ctx context.Context, tx *pg.Tx, uri, followeeID string) (string, error) {
	rest, ok := strings.CutPrefix(uri, s.meta.Origin+"/follows/")
	if !ok {
		return "", inbox.Drop("not a Follow of this server")
	}
	if follower, followee, two := strings.Cut(rest, "/"); two {
		if followee != followeeID {
			return "", inbox.Drop("the Follow is of somebody else")
		}
		return follower, nil
	}
	var follower string
	err := tx.QueryRow(ctx, sqlRequestByID, rest, followeeID).Scan(&follower)
	if pg.NoRows(err) {
		return "", inbox.Drop("no such request")
	}
	if err != nil {
		return "", fmt.Errorf("request: %w", err)
	}
	return follower, nil
}

func (s *Service) onAccept(ctx context.Context, tx *pg.Tx, a *inbox.Activity) error {
	follower, followee, err := s.ours(ctx, tx, a)
	if err != nil {
		return err
	}
	return ignoring(s.Accept(ctx, tx, follower, followee), ErrNone)
}

func (s *Service) onReject(ctx context.Context, tx *pg.Tx, a *inbox.Activity) error {
	follower, followee, err := s.ours(ctx, tx, a)
	if err != nil {
		return err
	}
	return ignoring(s.Reject(ctx, tx, follower, followee), ErrNone)
}

func (s *Service) onUndoFollow(ctx context.Context, tx *pg.Tx, a *inbox.Activity) error {
	f := a.Object.Object("object")
	if actor := f.Ref("actor"); actor != "" && actor != a.Actor {
		return inbox.Drop("the Follow is another's")
	}
	follower, followee, err := s.pair(ctx, tx, a, f.Ref("object"))
	if err != nil {
		return err
	}
	return ignoring(s.Unfollow(ctx, tx, follower, followee), ErrNone)
}

// onUndoAccept ends a follow of ours whose acceptance is withdrawn.
func (s *Service) onUndoAccept(ctx context.Context, tx *pg.Tx, a *inbox.Activity) error {
	accept := a.Object.Object("object")
	f := accept.Object("object")
	if f == nil || f.Ref("object") != a.Actor {
		return inbox.Drop("not an Accept of the sender")
	}
	followee, follower, err := s.pair(ctx, tx, a, f.Ref("actor"))
	if err != nil {
		return err
	}
	return ignoring(s.end(ctx, tx, follower, followee), ErrNone)
}

func (s *Service) onBlock(ctx context.Context, tx *pg.Tx, a *inbox.Activity) error {
	blocker, blockee, err := s.pair(ctx, tx, a, a.Object.Ref("object"))
	if err != nil {
		return err
	}
	return ignoring(s.Block(ctx, tx, blocker, blockee), ErrAlready)
}

func (s *Service) onUndoBlock(ctx context.Context, tx *pg.Tx, a *inbox.Activity) error {
	blocker, blockee, err := s.pair(ctx, tx, a, a.Object.Object("object").Ref("object"))
	if err != nil {
		return err
	}
	return ignoring(s.Unblock(ctx, tx, blocker, blockee), ErrNone)
}

// ignoring is nil for the error that says the work is done already.
func ignoring(err, done error) error {
	if errors.Is(err, done) {
		return nil
	}
	return err
}

// FollowDocument renders the Follow at /follows/<request> and
// /follows/<follower>/<followee>. user.ErrNotFound when there is none.
func (s *Service) FollowDocument(ctx context.Context, followerID, followeeID string) (*ap.Activity, error) {
	users, err := s.users.ByIDs(ctx, s.db, []string{followerID, followeeID})
	if err != nil {
		return nil, err
	}
	follower, followee := users[followerID], users[followeeID]
	if follower == nil || followee == nil || !follower.Local() || followee.Local() {
		return nil, user.ErrNotFound
	}
	f := s.renderFollow(follower, followee, s.followID(follower, followee))
	f.Context = ap.Context()
	return f, nil
}

const sqlRequestPair = `SELECT follower_id, followee_id FROM follow_request WHERE id = $1`

// RequestDocument renders the Follow of a waiting request.
func (s *Service) RequestDocument(ctx context.Context, requestID string) (*ap.Activity, error) {
	var follower, followee string
	err := s.db.QueryRow(ctx, sqlRequestPair, requestID).Scan(&follower, &followee)
	if pg.NoRows(err) {
		return nil, user.ErrNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("request: %w", err)
	}
	f, err := s.FollowDocument(ctx, follower, followee)
	if err == nil {
		f.ID = s.meta.Origin + "/follows/" + requestID
	}
	return f, err
}
