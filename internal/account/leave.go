package account

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"buttersc.one/oven/internal/lib/ap"
	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/role"
	"buttersc.one/oven/internal/socket/api"
	"buttersc.one/oven/internal/socket/delivery"
	"buttersc.one/oven/internal/user"
)

// ErrStays says that an account cannot be ended: the server's own, and root's.
var ErrStays = errors.New("the account cannot be ended")

var (
	errLeavePassword = api.Err("INCORRECT_PASSWORD", "5d2a7c4e-8f0b-4c8e-9b8c-0d8a0c5d1f71", "The password is not right.")
	errLeaveStays    = api.Err("ROOT_CANNOT_LEAVE", "5d2a7c4e-8f0b-4c8e-9b8c-0d8a0c5d1f72", "This account cannot be deleted.")
	errLeaveNobody   = api.Err("NO_SUCH_USER", "5d2a7c4e-8f0b-4c8e-9b8c-0d8a0c5d1f73", "There is no such account.")
)

type leaveReq struct {
	Password string  `json:"password" api:"required,max=1024"`
	Token    *string `json:"token" api:"max=64"`
}

// apiLeave ends the caller's account.
func (s *Service) apiLeave(ctx context.Context, c *api.Call, req leaveReq) (api.None, error) {
	if err := s.Auth.Prove(ctx, c, req.Password, req.Token, errLeavePassword); err != nil {
		return api.None{}, err
	}
	err := s.DB.Tx(ctx, func(tx *pg.Tx) error { return s.End(ctx, tx, c.UserID) })
	if errors.Is(err, ErrStays) {
		err = errLeaveStays
	}
	return api.None{}, err
}

type removeReq struct {
	UserID string `json:"userId" api:"required,id"`
}

// apiRemove ends another's account; one of another server is forgotten here.
func (s *Service) apiRemove(ctx context.Context, c *api.Call, req removeReq) (api.None, error) {
	err := s.DB.Tx(ctx, func(tx *pg.Tx) error {
		u, err := s.Users.ByIDIn(ctx, tx, req.UserID)
		if errors.Is(err, user.ErrNotFound) {
			return errLeaveNobody
		}
		if err != nil {
			return err
		}
		if u.Local() {
			err = s.End(ctx, tx, u.ID)
		} else if err = s.Users.MarkDeleted(ctx, tx, u.ID); err == nil {
			err = s.Queue.Insert(ctx, tx, endArgs{UserID: u.ID}, time.Time{})
		}
		if err != nil {
			return err
		}
		return s.Bus.Emit(ctx, tx, role.Acted{Moderator: c.UserID, Type: "deleteAccount",
			Info: map[string]any{"userId": u.ID, "userUsername": u.Username, "userHost": u.Host}})
	})
	if errors.Is(err, ErrStays) {
		err = errLeaveStays
	}
	return api.None{}, err
}

// End ends a local account in tx: it is nobody from then on, every server that
// may know it is told once, and what it leaves is removed by and by. Its key
// stays as long as that may have to be verified. Ended again it changes nothing.
func (s *Service) End(ctx context.Context, tx *pg.Tx, userID string) error {
	u, err := s.Users.ByIDIn(ctx, tx, userID)
	if err != nil {
		return err
	}
	if u.IsDeleted {
		return nil
	}
	ended, err := s.Users.End(ctx, tx, userID)
	if err != nil {
		return err
	}
	if !ended {
		return ErrStays
	}
	if err := s.sendEnd(ctx, tx, u); err != nil {
		return err
	}
	return s.Queue.Insert(ctx, tx, endArgs{UserID: userID}, time.Time{})
}

func (s *Service) sendEnd(ctx context.Context, tx *pg.Tx, u *user.User) error {
	everybody, err := s.Users.Everybody(ctx, tx)
	if err != nil {
		return err
	}
	uri := s.Users.URI(u)
	act := ap.Delete(uri, uri+"#delete", uri)
	body, err := json.Marshal(act)
	if err != nil {
		return fmt.Errorf("render Delete: %w", err)
	}
	// From here on nothing else of the account is sent, staged or not.
	if err := s.Delivery.Retire(ctx, tx, u.ID); err != nil {
		return err
	}
	_, err = s.Delivery.Send(ctx, tx, delivery.Message{ActorID: u.ID, ActivityID: act.ID, Type: "Delete", Object: uri, Body: body,
		Class: delivery.Background, Audience: everybody})
	return err
}

// endArgs asks to remove what an account that has ended leaves.
type endArgs struct {
	UserID string `json:"userId"`
}

// Kind implements job.Args.
func (endArgs) Kind() string { return "account.end" }

const (
	sqlLeftNotes = `SELECT id FROM note WHERE user_id = $1 ORDER BY id LIMIT $2`
	sqlLeftFiles = `
SELECT f.id FROM drive_file f WHERE f.user_id = $1
	AND NOT EXISTS (SELECT FROM emoji e WHERE e.host IS NULL AND (e.original_url = f.url OR e.public_url = f.url))
ORDER BY f.id LIMIT $2`
)

// workEnd removes notes, files and then the rest, in small transactions; run
// again it goes on where it was.
func (s *Service) workEnd(ctx context.Context, a endArgs) error {
	u, err := s.Users.ByID(ctx, a.UserID)
	if errors.Is(err, user.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	if !u.IsDeleted {
		return nil // it has come back: a remote account that was deleted by mistake
	}
	for _, left := range []struct {
		sql    string
		remove func(tx *pg.Tx, ids []string) (int, error)
	}{
		{sqlLeftNotes, func(tx *pg.Tx, ids []string) (int, error) { return s.Notes.DeleteBatch(ctx, tx, u, ids, 0) }},
		{sqlLeftFiles, func(tx *pg.Tx, ids []string) (int, error) { return s.Drive.Remove(ctx, tx, u.ID, ids) }},
	} {
		for n := 1; n > 0; {
			err := s.DB.Tx(ctx, func(tx *pg.Tx) error {
				rows, err := tx.Query(ctx, left.sql, u.ID, batch)
				if err != nil {
					return err
				}
				ids, err := pgx.CollectRows(rows, pgx.RowTo[string])
				if n = len(ids); err != nil || n == 0 {
					return err
				}
				_, err = left.remove(tx, ids)
				return err
			})
			if err != nil {
				return fmt.Errorf("end of %s: %w", u.ID, err)
			}
		}
	}
	if !u.Local() {
		return nil
	}
	return s.DB.Tx(ctx, func(tx *pg.Tx) error { return s.Users.Erase(ctx, tx, u) })
}
