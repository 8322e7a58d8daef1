package account

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"buttersc.one/oven/internal/lib/ap"
	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/relation"
	"buttersc.one/oven/internal/socket/api"
	"buttersc.one/oven/internal/socket/delivery"
	"buttersc.one/oven/internal/user"
)

type moveReq struct {
	MoveToAccount string `json:"moveToAccount" api:"required,max=512"`
}

var (
	errForbids = api.Err("DESTINATION_ACCOUNT_FORBIDS", "b5c90186-4ab0-49c8-9bba-a1f766282ba4", "The other account must name this one as an alias, and must not have moved itself.")
	errRoot    = api.Err("NOT_ROOT_FORBIDDEN", "4362e8dc-731f-4ad8-a694-be2a88922a24", "The root account cannot move.")
	errNoUser  = api.Err("NO_SUCH_USER", "fcd2eef9-a9b2-4c4f-8624-038099e90aa5", "There is no such account.")
	errNoURI   = api.Err("URI_NULL", "bf326f31-d430-4f97-9933-5d61e4d48a23", "The other account's address is not known.")
	errMoved   = api.Err("ALREADY_MOVED", "b234a14e-9ebe-4581-8000-074b3c215962", "The account has moved already.")
)

func moveErrors() []*api.Error {
	return []*api.Error{errForbids, errRoot, errNoUser, errNoURI, errMoved}
}

// leaveAfter is how long a moved account keeps following: whoever moved may
// have to look somebody up.
const leaveAfter = 24 * time.Hour

// apiMove moves the caller to another account that has named it as an alias.
// Followers elsewhere are told; those here are moved along.
func (s *Service) apiMove(ctx context.Context, c *api.Call, req moveReq) (*user.Detailed, error) {
	me, err := s.Users.ByID(ctx, c.UserID)
	if err != nil {
		return nil, err
	}
	if me.IsRoot {
		return nil, errRoot
	}
	if me.MovedToURI != nil {
		return nil, errMoved
	}
	name, host, _ := strings.Cut(strings.TrimPrefix(strings.TrimSpace(req.MoveToAccount), "@"), "@")
	to, err := s.Users.ResolveAcct(ctx, name, host)
	if err != nil {
		return nil, errNoUser
	}
	// Its aliases as they are now: naming this account may be a minute old.
	if to, err = s.freshly(ctx, to); err != nil {
		return nil, errNoUser
	}
	if !to.Local() && to.URI == nil {
		return nil, errNoURI
	}
	if to.ID == me.ID || to.MovedToURI != nil || to.IsSuspended || !slices.Contains(to.AlsoKnownAs, s.Users.URI(me)) {
		return nil, errForbids
	}
	err = s.DB.Tx(ctx, func(tx *pg.Tx) error {
		if err := s.Users.MoveTo(ctx, tx, me.ID, s.Users.URI(to)); err != nil {
			return err
		}
		moved, err := s.Users.ByIDIn(ctx, tx, me.ID)
		if err != nil {
			return err
		}
		if err := s.Profiles.Federate(ctx, tx, moved); err != nil {
			return err
		}
		if err := s.sendMove(ctx, tx, moved, to); err != nil {
			return err
		}
		wait := leaveAfter
		if s.Meta.Test() {
			wait = 0
		}
		return s.Queue.Insert(ctx, tx, leaveArgs{UserID: me.ID}, s.Now().Add(wait))
	})
	if errors.Is(err, user.ErrMoved) {
		return nil, errMoved
	}
	if err != nil {
		return nil, err
	}
	if me, err = s.Users.ByID(ctx, c.UserID); err != nil {
		return nil, err
	}
	return s.Users.PackMe(ctx, me, c.Native())
}

// freshly gives an account as its own server tells it now.
func (s *Service) freshly(ctx context.Context, u *user.User) (*user.User, error) {
	if u.Local() || u.URI == nil || u.Inbox == nil {
		return u, nil
	}
	return s.Users.Refresh(ctx, *u.URI)
}

func (s *Service) sendMove(ctx context.Context, tx *pg.Tx, me, to *user.User) error {
	followers, err := s.Relations.FollowerInboxes(ctx, tx, me.ID)
	if err != nil || len(followers) == 0 {
		return err
	}
	uri := s.Users.URI(me)
	act := &ap.Activity{Context: ap.Context(), ID: uri + "#moves/" + s.IDs.Now(), Type: "Move", Actor: uri, Object: uri, Target: s.Users.URI(to),
		Cc: []string{s.Users.FollowersURI(me)}}
	body, err := json.Marshal(act)
	if err != nil {
		return fmt.Errorf("render Move: %w", err)
	}
	_, err = s.Delivery.Send(ctx, tx, delivery.Message{ActorID: me.ID, ActivityID: act.ID, Type: "Move", Object: uri, Body: body,
		Class: delivery.Background, Audience: followers})
	return err
}

// leaveArgs asks to end what a moved account of this server follows.
type leaveArgs struct {
	UserID string `json:"userId"`
}

// Kind implements job.Args.
func (leaveArgs) Kind() string { return "account.leave" }

const sqlFollowees = `SELECT followee_id FROM following WHERE follower_id = $1 ORDER BY id LIMIT $2`

// workLeave ends a follow a transaction: run again it goes on where it was.
func (s *Service) workLeave(ctx context.Context, a leaveArgs) error {
	me, err := s.Users.ByID(ctx, a.UserID)
	if err != nil || me.MovedToURI == nil {
		return err // he has come back
	}
	for n := 1; n > 0 && err == nil; {
		n, err = s.some(ctx, sqlFollowees, a.UserID, func(tx *pg.Tx, followee *user.User) error {
			return allow(s.Relations.Unfollow(relation.Calmly(ctx, 0), tx, me, followee), relation.ErrNone)
		})
	}
	return err
}
