package list

import (
	"context"
	"errors"
	"fmt"

	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/socket/api"
)

type createReq struct {
	Name string `json:"name" api:"required,min=1,max=100"`
}

type idReq struct {
	ListID string `json:"listId" api:"required,id"`
}

var (
	errTooMany      = api.Err("TOO_MANY_USERLISTS", "0cf21a28-7715-4f39-a20d-777bfdb8d138", "You have as many lists as you may.")
	errCopyTooMany  = api.Err("TOO_MANY_USERLISTS", "e9c105b2-c595-47de-97fb-7f7c2c33e92f", "You have as many lists as you may.")
	errCopyNoList   = api.Err("NO_SUCH_LIST", "9292f798-6175-4f7d-93f4-b6742279667d", "There is no such public list.")
	errDeleteNoList = api.Err("NO_SUCH_LIST", "78436795-db79-42f5-b1e2-55ea2cf19166", "You have no such list.")
	errUpdateNoList = api.Err("NO_SUCH_LIST", "796666fe-3dff-4d39-becb-8a5932c1d5b7", "You have no such list.")
)

const (
	// The owner's row is locked, so that two lists at once cannot pass the limit.
	sqlLockOwner = `SELECT FROM "user" WHERE id = $1 FOR NO KEY UPDATE`
	sqlCount     = `SELECT count(*) FROM user_list WHERE user_id = $1`
	sqlInsert    = `INSERT INTO user_list (id, user_id, name) VALUES ($1, $2, $3)`
	sqlDelete    = `DELETE FROM user_list WHERE id = $1 AND user_id = $2`
	sqlUpdate    = `UPDATE user_list SET name = coalesce($3, name), is_public = coalesce($4, is_public) WHERE id = $1 AND user_id = $2`
)

// ErrLimit says that somebody has as many lists as he may.
var ErrLimit = errors.New("as many lists as allowed")

func (s *Service) create(ctx context.Context, tx *pg.Tx, userID, name string) (*List, error) {
	policies, err := s.roles.Of(ctx, userID)
	if err != nil {
		return nil, err
	}
	if _, err := tx.Exec(ctx, sqlLockOwner, userID); err != nil {
		return nil, fmt.Errorf("create list: %w", err)
	}
	var n int
	if err := tx.QueryRow(ctx, sqlCount, userID).Scan(&n); err != nil {
		return nil, fmt.Errorf("create list: %w", err)
	}
	if n >= policies.UserListLimit {
		return nil, ErrLimit
	}
	l := &List{ID: s.ids.Now(), UserID: userID, Name: name, Members: []string{}}
	if _, err := tx.Exec(ctx, sqlInsert, l.ID, userID, name); err != nil {
		return nil, fmt.Errorf("create list: %w", err)
	}
	return l, nil
}

func (s *Service) apiCreate(ctx context.Context, c *api.Call, req createReq) (*packed, error) {
	var l *List
	err := s.db.Tx(ctx, func(tx *pg.Tx) (err error) {
		l, err = s.create(ctx, tx, c.UserID, req.Name)
		return err
	})
	if errors.Is(err, ErrLimit) {
		return nil, errTooMany
	}
	if err != nil {
		return nil, err
	}
	return s.pack(l), nil
}

type copyReq struct {
	Name   string `json:"name" api:"required,min=1,max=100"`
	ListID string `json:"listId" api:"required,id"`
}

var copyErrors = memberErrors{
	noUser:  api.Err("NO_SUCH_USER", "13c457db-a8cb-4d88-b70a-211ceeeabb5f", "There is no such account."),
	already: api.Err("ALREADY_ADDED", "c3ad6fdb-692b-47ee-a455-7bd12c7af615", "The account is on the list already."),
	blocked: api.Err("YOU_HAVE_BEEN_BLOCKED", "a2497f2a-2389-439c-8626-5298540530f4", "The account blocks you."),
	tooMany: api.Err("TOO_MANY_USERS", "1845ea77-38d1-426e-8e4e-8b83b24f5bd7", "The list is full."),
}

// apiCopy makes a list of one's own from a public one; whoever blocks the
// caller makes it fail, and nothing is made.
func (s *Service) apiCopy(ctx context.Context, c *api.Call, req copyReq) (*packed, error) {
	from, err := s.readable(ctx, c, req.ListID, true, errCopyNoList)
	if err != nil {
		return nil, err
	}
	var l *List
	err = s.db.Tx(ctx, func(tx *pg.Tx) (err error) {
		if l, err = s.create(ctx, tx, c.UserID, req.Name); err != nil {
			return err
		}
		for _, id := range from.Members {
			if err := s.push(ctx, tx, l, id); err != nil {
				return err
			}
		}
		return nil
	})
	if errors.Is(err, ErrLimit) {
		return nil, errCopyTooMany
	}
	if err != nil {
		return nil, copyErrors.of(err)
	}
	return s.pack(l), nil
}

func (s *Service) apiDelete(ctx context.Context, c *api.Call, req idReq) (api.None, error) {
	return api.None{}, s.db.Tx(ctx, func(tx *pg.Tx) error {
		tag, err := tx.Exec(ctx, sqlDelete, req.ListID, c.UserID)
		if err != nil {
			return fmt.Errorf("delete list: %w", err)
		}
		if tag.RowsAffected() == 0 {
			return errDeleteNoList
		}
		return s.changed(ctx, tx, req.ListID, c.UserID, changedData{})
	})
}

type updateReq struct {
	ListID   string  `json:"listId" api:"required,id"`
	Name     *string `json:"name" api:"optional,min=1,max=100"`
	IsPublic *bool   `json:"isPublic" api:"optional"`
}

func (s *Service) apiUpdate(ctx context.Context, c *api.Call, req updateReq) (*packed, error) {
	var l *List
	err := s.db.Tx(ctx, func(tx *pg.Tx) error {
		if _, err := tx.Exec(ctx, sqlUpdate, req.ListID, c.UserID, req.Name, req.IsPublic); err != nil {
			return fmt.Errorf("update list: %w", err)
		}
		var err error
		l, err = s.own(ctx, tx, c, req.ListID, errUpdateNoList)
		return err
	})
	if err != nil {
		return nil, err
	}
	return s.pack(l), nil
}
