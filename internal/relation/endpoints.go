package relation

import (
	"context"
	"errors"
	"fmt"

	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/socket/api"
	"buttersc.one/oven/internal/user"
)

type userReq struct {
	UserID string `json:"userId" api:"required,id"`
}

// verb is one change of a tie from the caller to another account, with the
// errors of its endpoint.
type verb struct {
	noSuchUser, yourself *api.Error
	errs                 map[error]*api.Error
	do                   func(ctx context.Context, tx *pg.Tx, me, other *user.User) error
}

// run finds both accounts, does it in one transaction and gives the other
// account, packed.
func (s *Service) run(ctx context.Context, c *api.Call, userID string, v verb) (*user.Lite, error) {
	if c.Is(userID) && v.yourself != nil {
		return nil, v.yourself
	}
	users, err := s.users.ByIDs(ctx, s.db, []string{c.UserID, userID})
	if err != nil {
		return nil, err
	}
	me, other := users[c.UserID], users[userID]
	if other == nil || other.IsDeleted {
		return nil, v.noSuchUser
	}
	err = s.db.Tx(ctx, func(tx *pg.Tx) error { return v.do(ctx, tx, me, other) })
	for cause, e := range v.errs {
		if errors.Is(err, cause) {
			return nil, e
		}
	}
	if err != nil {
		return nil, err
	}
	if users, err = s.users.ByIDs(ctx, s.db, []string{userID}); err != nil {
		return nil, err
	}
	lite, err := s.users.PackLite(ctx, users)
	if err != nil {
		return nil, err
	}
	return lite[userID], nil
}

type followReq struct {
	UserID      string `json:"userId" api:"required,id"`
	WithReplies bool   `json:"withReplies" api:"optional"`
}

func (s *Service) apiFollow(ctx context.Context, c *api.Call, req followReq) (*user.Lite, error) {
	return s.run(ctx, c, req.UserID, verb{
		noSuchUser: api.Err("NO_SUCH_USER", "fcd2eef9-a9b2-4c4f-8624-038099e90aa5", "There is no such account."),
		yourself:   api.Err("FOLLOWEE_IS_YOURSELF", "26fbe7bb-a331-4857-af17-205b426669a9", "You cannot follow yourself."),
		errs: map[error]*api.Error{
			ErrAlready:     api.Err("ALREADY_FOLLOWING", "35387507-38c7-4cb9-9197-300b93783fa0", "You follow the account already."),
			ErrBlocking:    api.Err("BLOCKING", "4e2206ec-aa4f-4960-b865-6c23ac38e2d9", "You block the account."),
			ErrBlocked:     api.Err("BLOCKED", "c4ab57cc-4e41-45e9-bfd9-584f61e35ce0", "The account blocks you."),
			ErrUnreachable: api.Err("NO_SUCH_USER", "fcd2eef9-a9b2-4c4f-8624-038099e90aa5", "The account's server cannot be told."),
		},
		do: func(ctx context.Context, tx *pg.Tx, me, other *user.User) error {
			return s.Follow(ctx, tx, me, other, req.WithReplies, "")
		},
	})
}

func (s *Service) apiUnfollow(ctx context.Context, c *api.Call, req userReq) (*user.Lite, error) {
	return s.run(ctx, c, req.UserID, verb{
		noSuchUser: api.Err("NO_SUCH_USER", "5b12c78d-2b28-4dca-99d2-f56139b42ff8", "There is no such account."),
		yourself:   api.Err("FOLLOWEE_IS_YOURSELF", "d9e400b9-36b0-4808-b1d8-79e707f1296c", "You cannot unfollow yourself."),
		errs: map[error]*api.Error{
			ErrNone: api.Err("NOT_FOLLOWING", "5dbf82f5-c92b-40b1-87d1-6c8c0741fd09", "You do not follow the account."),
		},
		do: s.Unfollow,
	})
}

func (s *Service) apiInvalidate(ctx context.Context, c *api.Call, req userReq) (*user.Lite, error) {
	return s.run(ctx, c, req.UserID, verb{
		noSuchUser: api.Err("NO_SUCH_USER", "b77e6ae6-a3e5-40da-9cc8-c240115479cc", "There is no such account."),
		yourself:   api.Err("FOLLOWER_IS_YOURSELF", "07dc03b9-03da-422d-885b-438313707662", "You do not follow yourself."),
		errs: map[error]*api.Error{
			ErrNone: api.Err("NOT_FOLLOWING", "918faac3-074f-41ae-9c43-ed5d2946770d", "The account does not follow you."),
		},
		do: func(ctx context.Context, tx *pg.Tx, me, other *user.User) error {
			return s.Invalidate(ctx, tx, other, me)
		},
	})
}

type updateReq struct {
	UserID      string `json:"userId" api:"required,id"`
	Notify      string `json:"notify" api:"enum=normal|none"`
	WithReplies *bool  `json:"withReplies" api:"optional"`
}

const sqlUpdateFollow = `
UPDATE following SET notify = CASE $3 WHEN '' THEN notify WHEN 'none' THEN NULL ELSE $3 END, with_replies = coalesce($4, with_replies)
WHERE follower_id = $1 AND ($2::text IS NULL OR followee_id = $2)`

func (s *Service) apiUpdate(ctx context.Context, c *api.Call, req updateReq) (*user.Lite, error) {
	return s.run(ctx, c, req.UserID, verb{
		noSuchUser: api.Err("NO_SUCH_USER", "14318698-f67e-492a-99da-5353a5ac52be", "There is no such account."),
		yourself:   api.Err("FOLLOWEE_IS_YOURSELF", "4c4cbaf9-962a-463b-8418-a5e365dbf2eb", "You do not follow yourself."),
		errs: map[error]*api.Error{
			ErrNone: api.Err("NOT_FOLLOWING", "b8dc75cf-1cb5-46c9-b14b-5f1ffbd782c9", "You do not follow the account."),
		},
		do: func(ctx context.Context, tx *pg.Tx, me, other *user.User) error {
			tag, err := tx.Exec(ctx, sqlUpdateFollow, me.ID, other.ID, req.Notify, req.WithReplies)
			if err == nil && tag.RowsAffected() == 0 {
				return ErrNone
			}
			if err != nil {
				return fmt.Errorf("update follow: %w", err)
			}
			return s.note(ctx, tx, "updated", me.ID, other.ID) // the graph carries withReplies
		},
	})
}

type updateAllReq struct {
	Notify      string `json:"notify" api:"enum=normal|none"`
	WithReplies *bool  `json:"withReplies" api:"optional"`
}

func (s *Service) apiUpdateAll(ctx context.Context, c *api.Call, req updateAllReq) (api.None, error) {
	return api.None{}, s.db.Tx(ctx, func(tx *pg.Tx) error {
		if _, err := tx.Exec(ctx, sqlUpdateFollow, c.UserID, nil, req.Notify, req.WithReplies); err != nil {
			return fmt.Errorf("update follows: %w", err)
		}
		return s.note(ctx, tx, "updated", c.UserID, c.UserID)
	})
}

func (s *Service) apiAccept(ctx context.Context, c *api.Call, req userReq) (api.None, error) {
	_, err := s.run(ctx, c, req.UserID, verb{
		noSuchUser: api.Err("NO_SUCH_USER", "66ce1645-d66c-46bb-8b79-96739af885bd", "There is no such account."),
		errs: map[error]*api.Error{
			ErrNone: api.Err("NO_FOLLOW_REQUEST", "bcde4f8b-0913-4614-8881-614e522fb041", "The account has not asked to follow you."),
		},
		do: func(ctx context.Context, tx *pg.Tx, me, other *user.User) error { return s.Accept(ctx, tx, other, me) },
	})
	return api.None{}, err
}

func (s *Service) apiReject(ctx context.Context, c *api.Call, req userReq) (api.None, error) {
	_, err := s.run(ctx, c, req.UserID, verb{
		noSuchUser: api.Err("NO_SUCH_USER", "abc2ffa6-25b2-4380-ba99-321ff3a94555", "There is no such account."),
		do: func(ctx context.Context, tx *pg.Tx, me, other *user.User) error {
			return ignoring(s.Reject(ctx, tx, other, me), ErrNone)
		},
	})
	return api.None{}, err
}

func (s *Service) apiCancel(ctx context.Context, c *api.Call, req userReq) (*user.Lite, error) {
	return s.run(ctx, c, req.UserID, verb{
		noSuchUser: api.Err("NO_SUCH_USER", "4e68c551-fc4c-4e46-bb41-7d4a37bf9dab", "There is no such account."),
		errs: map[error]*api.Error{
			ErrNone: api.Err("FOLLOW_REQUEST_NOT_FOUND", "089b125b-d338-482a-9a09-e2622ac9f8d4", "You have not asked to follow the account."),
		},
		do: func(ctx context.Context, tx *pg.Tx, me, other *user.User) error {
			id, _, _, err := s.takeRequest(ctx, tx, me.ID, other.ID)
			if err != nil || other.Local() {
				return err
			}
			inner := s.renderFollow(me, other, s.meta.Origin+"/follows/"+id)
			return s.send(ctx, tx, me, other, s.renderUndo(me, inner), "Undo")
		},
	})
}

func (s *Service) apiBlock(ctx context.Context, c *api.Call, req userReq) (*user.Detailed, error) {
	_, err := s.run(ctx, c, req.UserID, verb{
		noSuchUser: api.Err("NO_SUCH_USER", "7cc4f851-e2f1-4621-9633-ec9e1d00c01e", "There is no such account."),
		yourself:   api.Err("BLOCKEE_IS_YOURSELF", "88b19138-f28d-42c0-8499-6a31bbd0fdc6", "You cannot block yourself."),
		errs: map[error]*api.Error{
			ErrAlready: api.Err("ALREADY_BLOCKING", "787fed64-acb9-464a-82eb-afbd745b9614", "You block the account already."),
		},
		do: s.Block,
	})
	if err != nil {
		return nil, err
	}
	return s.seen(ctx, c, req.UserID)
}

func (s *Service) apiUnblock(ctx context.Context, c *api.Call, req userReq) (*user.Detailed, error) {
	_, err := s.run(ctx, c, req.UserID, verb{
		noSuchUser: api.Err("NO_SUCH_USER", "8621d8bf-c358-4303-a066-5ea78610eb3f", "There is no such account."),
		yourself:   api.Err("BLOCKEE_IS_YOURSELF", "06f6fac6-524b-473c-a354-e97a40ae6eac", "You cannot block yourself."),
		errs: map[error]*api.Error{
			ErrNone: api.Err("NOT_BLOCKING", "291b2efa-60c6-45c0-9f6a-045c8f9b02cd", "You do not block the account."),
		},
		do: s.Unblock,
	})
	if err != nil {
		return nil, err
	}
	return s.seen(ctx, c, req.UserID)
}

// seen is the other account as the caller sees it now.
func (s *Service) seen(ctx context.Context, c *api.Call, userID string) (*user.Detailed, error) {
	list, err := s.users.DetailedByIDs(ctx, c.UserID, []string{userID})
	if err != nil || len(list) == 0 {
		return nil, err
	}
	return list[0], nil
}

type relationReq struct {
	UserID api.OneOrMany[string] `json:"userId" api:"required"`
}

// relationRes is one tie, named by the account it is to.
type relationRes struct {
	ID string `json:"id"`
	user.Tie
}

func (s *Service) apiRelation(ctx context.Context, c *api.Call, req relationReq) (any, error) {
	ties, err := s.users.Ties(ctx, c.UserID, req.UserID.Values)
	if err != nil {
		return nil, err
	}
	out := make([]relationRes, 0, len(req.UserID.Values))
	for _, id := range req.UserID.Values {
		out = append(out, relationRes{ID: id, Tie: *ties[id]})
	}
	if !req.UserID.Many {
		return out[0], nil
	}
	return out, nil
}
