package moderation

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"buttersc.one/oven/internal/lib/ap"
	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/role"
	"buttersc.one/oven/internal/socket/api"
	"buttersc.one/oven/internal/socket/delivery"
	"buttersc.one/oven/internal/user"
)

var (
	errNobody = api.Err("NO_SUCH_USER", "7c1f0b7e-2e0e-4d40-9a4c-5f1f3a8b6c01", "There is no such account.")
	errRank   = api.Err("CANNOT_SUSPEND_MODERATOR", "7c1f0b7e-2e0e-4d40-9a4c-5f1f3a8b6c02", "Moderators cannot be suspended. Take their role first.")
)

type userReq struct {
	UserID string `json:"userId" api:"required,id"`
}

// apiSuspend takes an account's rights: it is shown no more, here and to servers
// that ask, and its connections end. Who moderates keeps them.
func (s *Service) apiSuspend(ctx context.Context, c *api.Call, req userReq) (api.None, error) {
	moderator, _, err := s.Roles.Ranks(ctx, req.UserID)
	if err != nil {
		return api.None{}, err
	}
	if moderator {
		return api.None{}, errRank
	}
	return api.None{}, s.Suspend(ctx, c.UserID, req.UserID, true)
}

// apiUnsuspend gives them back.
func (s *Service) apiUnsuspend(ctx context.Context, c *api.Call, req userReq) (api.None, error) {
	return api.None{}, s.Suspend(ctx, c.UserID, req.UserID, false)
}

// Suspend suspends an account or gives its rights back, in the name of a
// moderator or, with "", of the operator. One of this server is told of as gone,
// and as back, in one activity to all servers; ties that it does not keep end by
// and by. Done again it changes nothing and tells nobody.
func (s *Service) Suspend(ctx context.Context, moderatorID, userID string, yes bool) error {
	return s.DB.Tx(ctx, func(tx *pg.Tx) error {
		u, err := s.account(ctx, tx, userID)
		if err != nil {
			return err
		}
		changed, err := s.Users.SuspendIn(ctx, tx, u.ID, yes)
		if err != nil || !changed {
			return err
		}
		typ := "unsuspend"
		if yes {
			typ = "suspend"
			if err := s.Queue.Insert(ctx, tx, loosenArgs{UserID: u.ID}, time.Time{}); err != nil {
				return err
			}
		}
		if u.Local() {
			if err := s.tellSuspended(ctx, tx, u, yes); err != nil {
				return err
			}
		}
		return s.Bus.Emit(ctx, tx, role.Acted{Moderator: moderatorID, Type: typ, Info: named(u)})
	})
}

// account finds one that moderators deal with: the server's own, and those that
// have ended, are none.
func (s *Service) account(ctx context.Context, q pg.Q, userID string) (*user.User, error) {
	u, err := s.Users.ByIDIn(ctx, q, userID)
	if errors.Is(err, user.ErrNotFound) || err == nil && (u.IsSystem || u.IsDeleted) {
		return nil, errNobody
	}
	return u, err
}

// named is what the log keeps of an account.
func named(u *user.User) map[string]any {
	return map[string]any{"userId": u.ID, "userUsername": u.Username, "userHost": u.Host}
}

const (
	sqlSuspended   = `INSERT INTO suspension (user_id, activity_id) VALUES ($1, $2) ON CONFLICT (user_id) DO UPDATE SET activity_id = excluded.activity_id`
	sqlUnsuspended = `DELETE FROM suspension WHERE user_id = $1 RETURNING activity_id`
)

// tellSuspended sends a Delete of the actor, or the Undo of the one that was sent.
func (s *Service) tellSuspended(ctx context.Context, tx *pg.Tx, u *user.User, yes bool) error {
	uri := s.Users.URI(u)
	id := uri + "#suspend/" + s.IDs.Now() // another each time: receivers drop what they have seen
	if yes {
		if _, err := tx.Exec(ctx, sqlSuspended, u.ID, id); err != nil {
			return fmt.Errorf("suspension: %w", err)
		}
		return s.tellEverybody(ctx, tx, u, ap.Delete(uri, id, uri))
	}
	err := tx.QueryRow(ctx, sqlUnsuspended, u.ID).Scan(&id)
	if pg.NoRows(err) {
		return nil // nobody was told
	}
	if err != nil {
		return fmt.Errorf("suspension: %w", err)
	}
	inner := ap.Delete(uri, id, uri)
	inner.Context = nil
	return s.tellEverybody(ctx, tx, u, &ap.Activity{Context: ap.Context(), ID: id + "/undo", Type: "Undo", Actor: uri, To: inner.To, Object: inner})
}

// tellEverybody stages an activity of an account about itself, once for all.
func (s *Service) tellEverybody(ctx context.Context, tx *pg.Tx, u *user.User, act *ap.Activity) error {
	to, err := s.Users.Everybody(ctx, tx)
	if err != nil {
		return err
	}
	body, err := json.Marshal(act)
	if err != nil {
		return fmt.Errorf("render %s: %w", act.Type, err)
	}
	_, err = s.Delivery.Send(ctx, tx, delivery.Message{ActorID: u.ID, ActivityID: act.ID, Type: act.Type, Object: s.Users.URI(u), Body: body,
		Class: delivery.Background, Audience: to})
	return err
}

// loosenArgs asks to end the ties of a suspended account.
type loosenArgs struct {
	UserID string `json:"userId"`
}

// Kind implements job.Args.
func (loosenArgs) Kind() string { return "moderation.loosen" }

// looseBatch is how many ties end in one transaction.
const looseBatch = 50

// workLoosen ends ties in small transactions, as long as the account is
// suspended; run again it goes on where it was.
func (s *Service) workLoosen(ctx context.Context, a loosenArgs) error {
	for n := looseBatch; n == looseBatch; {
		err := s.DB.Tx(ctx, func(tx *pg.Tx) error {
			n = 0
			u, err := s.Users.ByIDIn(ctx, tx, a.UserID)
			if errors.Is(err, user.ErrNotFound) || err == nil && !u.IsSuspended {
				return nil
			}
			if err != nil {
				return err
			}
			n, err = s.Relations.Loosen(ctx, tx, u, looseBatch)
			return err
		})
		if err != nil {
			return fmt.Errorf("ties of %s: %w", a.UserID, err)
		}
	}
	return nil
}
