package list

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/socket/api"
	"buttersc.one/oven/internal/user"
)

// Reasons for which an account is not put on a list.
var (
	ErrNoUser  = errors.New("no such account")
	ErrAlready = errors.New("on the list already")
	ErrBlocked = errors.New("blocked by the account")
	ErrFull    = errors.New("the list is full")
)

// memberErrors are what an endpoint says when an account cannot be added.
type memberErrors struct{ noUser, already, blocked, tooMany *api.Error }

func (m memberErrors) all() []*api.Error {
	return []*api.Error{m.noUser, m.already, m.blocked, m.tooMany}
}

func (m memberErrors) of(err error) error {
	switch {
	case errors.Is(err, ErrNoUser):
		return m.noUser
	case errors.Is(err, ErrAlready):
		return m.already
	case errors.Is(err, ErrBlocked):
		return m.blocked
	case errors.Is(err, ErrFull):
		return m.tooMany
	}
	return err
}

const sqlAdd = `INSERT INTO user_list_membership (id, list_id, user_id) VALUES ($1, $2, $3) ON CONFLICT (list_id, user_id) DO NOTHING`

// push adds an account to a list whose owner is locked in tx.
func (s *Service) push(ctx context.Context, tx *pg.Tx, l *List, userID string) error {
	policies, err := s.roles.Of(ctx, l.UserID)
	if err != nil {
		return err
	}
	u, err := s.users.ByIDIn(ctx, tx, userID)
	if errors.Is(err, user.ErrNotFound) || err == nil && u.IsDeleted {
		return ErrNoUser
	}
	if err != nil {
		return err
	}
	if userID != l.UserID {
		_, blocked, err := s.relations.Blocks(ctx, tx, l.UserID, userID)
		if err != nil {
			return err
		}
		if blocked {
			return ErrBlocked
		}
	}
	if slices.Contains(l.Members, userID) {
		return ErrAlready
	}
	if len(l.Members) >= policies.UserEachUserListsLimit {
		return ErrFull
	}
	tag, err := tx.Exec(ctx, sqlAdd, s.ids.Now(), l.ID, userID)
	if err != nil {
		return fmt.Errorf("add to list: %w", err)
	}
	if tag.RowsAffected() == 0 {
		return ErrAlready
	}
	l.Members = append(l.Members, userID)
	return s.changed(ctx, tx, l.ID, l.UserID, changedData{Event: "userAdded", UserID: userID})
}

type memberReq struct {
	ListID string `json:"listId" api:"required,id"`
	UserID string `json:"userId" api:"required,id"`
}

var (
	errPushNoList = api.Err("NO_SUCH_LIST", "2214501d-ac96-4049-b717-91e42272a711", "You have no such list.")
	pushErrors    = memberErrors{
		noUser:  api.Err("NO_SUCH_USER", "a89abd3d-f0bc-4cce-beb1-2f446f4f1e6a", "There is no such account."),
		already: api.Err("ALREADY_ADDED", "1de7c884-1595-49e9-857e-61f12f4d4fc5", "The account is on the list already."),
		blocked: api.Err("YOU_HAVE_BEEN_BLOCKED", "990232c5-3f9d-4d83-9f3f-ef27b6332a4b", "The account blocks you."),
		tooMany: api.Err("TOO_MANY_USERS", "2dd9752e-a338-413d-8eec-41814430989b", "The list is full."),
	}
	errPullNoList = api.Err("NO_SUCH_LIST", "7f44670e-ab16-43b8-b4c1-ccd2ee89cc02", "You have no such list.")
	errPullNoUser = api.Err("NO_SUCH_USER", "588e7f72-c744-4a61-b180-d354e912bda2", "There is no such account on the list.")
)

func (s *Service) apiPush(ctx context.Context, c *api.Call, req memberReq) (api.None, error) {
	err := s.db.Tx(ctx, func(tx *pg.Tx) error {
		if _, err := tx.Exec(ctx, sqlLockOwner, c.UserID); err != nil {
			return fmt.Errorf("add to list: %w", err)
		}
		l, err := s.own(ctx, tx, c, req.ListID, errPushNoList)
		if err != nil {
			return err
		}
		return s.push(ctx, tx, l, req.UserID)
	})
	return api.None{}, pushErrors.of(err)
}

const sqlRemove = `DELETE FROM user_list_membership WHERE list_id = $1 AND user_id = $2`

func (s *Service) apiPull(ctx context.Context, c *api.Call, req memberReq) (api.None, error) {
	return api.None{}, s.db.Tx(ctx, func(tx *pg.Tx) error {
		if _, err := s.own(ctx, tx, c, req.ListID, errPullNoList); err != nil {
			return err
		}
		tag, err := tx.Exec(ctx, sqlRemove, req.ListID, req.UserID)
		if err != nil {
			return fmt.Errorf("take off list: %w", err)
		}
		if tag.RowsAffected() == 0 {
			return errPullNoUser
		}
		return s.changed(ctx, tx, req.ListID, c.UserID, changedData{Event: "userRemoved", UserID: req.UserID})
	})
}

type updateMemberReq struct {
	ListID      string `json:"listId" api:"required,id"`
	UserID      string `json:"userId" api:"required,id"`
	WithReplies *bool  `json:"withReplies" api:"optional"`
}

const sqlSetReplies = `UPDATE user_list_membership SET with_replies = coalesce($3, with_replies) WHERE list_id = $1 AND user_id = $2`

func (s *Service) apiUpdateMembership(ctx context.Context, c *api.Call, req updateMemberReq) (api.None, error) {
	return api.None{}, s.db.Tx(ctx, func(tx *pg.Tx) error {
		if _, err := s.own(ctx, tx, c, req.ListID, errPullNoList); err != nil {
			return err
		}
		tag, err := tx.Exec(ctx, sqlSetReplies, req.ListID, req.UserID, req.WithReplies)
		if err != nil {
			return fmt.Errorf("update membership: %w", err)
		}
		if tag.RowsAffected() == 0 {
			return errPullNoUser
		}
		return s.changed(ctx, tx, req.ListID, c.UserID, changedData{})
	})
}

type membershipsReq struct {
	api.Page
	ListID    string `json:"listId" api:"required,id"`
	ForPublic bool   `json:"forPublic" api:"default=false"`
	Limit     int    `json:"limit" api:"min=1,max=100,default=30"`
}

type membership struct {
	ID          string     `json:"id"`
	CreatedAt   api.Time   `json:"createdAt"`
	UserID      string     `json:"userId"`
	User        *user.Lite `json:"user"`
	WithReplies bool       `json:"withReplies"`
}

const sqlMemberships = `SELECT t.id, t.user_id, t.with_replies FROM user_list_membership t`

func (s *Service) apiMemberships(ctx context.Context, c *api.Call, req membershipsReq) ([]*membership, error) {
	l, err := s.readable(ctx, c, req.ListID, req.ForPublic, errShowNoList)
	if err != nil {
		return nil, err
	}
	var w pg.Where
	w.And("t.list_id = ?", l.ID)
	order := req.Apply(&w, s.ids.Method(), req.Limit)
	rows, err := s.db.Query(ctx, sqlMemberships+w.SQL()+order, w.Args...)
	if err != nil {
		return nil, fmt.Errorf("memberships: %w", err)
	}
	var ids []string
	found, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) (*membership, error) {
		m := &membership{}
		err := r.Scan(&m.ID, &m.UserID, &m.WithReplies)
		ids = append(ids, m.UserID)
		return m, err
	})
	if err != nil {
		return nil, fmt.Errorf("memberships: %w", err)
	}
	lite, err := s.users.LiteByIDs(ctx, ids)
	if err != nil {
		return nil, err
	}
	for _, m := range found {
		at, err := s.ids.Method().Time(m.ID)
		if err != nil {
			at = time.Time{}
		}
		m.CreatedAt, m.User = api.Time(at), lite[m.UserID]
	}
	return found, nil
}

const sqlOnLists = `SELECT l.id, l.user_id, m.with_replies FROM user_list_membership m JOIN user_list l ON l.id = m.list_id WHERE m.user_id = $1 ORDER BY l.id`

// Replace puts an account in the place of another on all lists.
func (s *Service) Replace(ctx context.Context, tx *pg.Tx, from, to string) error {
	rows, err := tx.Query(ctx, sqlOnLists, from)
	if err != nil {
		return fmt.Errorf("lists of an account: %w", err)
	}
	type place struct {
		list, owner string
		replies     bool
	}
	places, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) (place, error) {
		var p place
		return p, r.Scan(&p.list, &p.owner, &p.replies)
	})
	if err != nil {
		return fmt.Errorf("lists of an account: %w", err)
	}
	for _, p := range places {
		if _, err := tx.Exec(ctx, sqlRemove, p.list, from); err != nil {
			return fmt.Errorf("take off list: %w", err)
		}
		if _, err := tx.Exec(ctx, sqlAdd, s.ids.Now(), p.list, to); err != nil {
			return fmt.Errorf("add to list: %w", err)
		}
		if p.replies {
			if _, err := tx.Exec(ctx, sqlSetReplies, p.list, to, true); err != nil {
				return fmt.Errorf("update membership: %w", err)
			}
		}
		if err := s.changed(ctx, tx, p.list, p.owner, changedData{}); err != nil {
			return err
		}
	}
	return nil
}
