package auth

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"buttersc.one/oven/internal/lib/id"
	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/role"
	"buttersc.one/oven/internal/socket/api"
	"buttersc.one/oven/internal/socket/job"
	"buttersc.one/oven/internal/user"
)

const (
	sqlSetPassword = `UPDATE account SET password_hash = $2 WHERE user_id = $1`
	sqlDropResets  = `DELETE FROM password_reset WHERE user_id = $1`
)

// setPassword gives an account a new password in tx and ends its sessions; with
// apps, what apps hold ends too. Every way to another password leads through
// here, so none leaves a session of whoever knew the old one (security row 18).
func (s *Service) setPassword(ctx context.Context, tx *pg.Tx, userID, hash string, apps bool) error {
	tag, err := tx.Exec(ctx, sqlSetPassword, userID, hash)
	if err != nil {
		return fmt.Errorf("set password: %w", err)
	}
	if tag.RowsAffected() == 0 {
		return errors.New("the account does not sign in here")
	}
	if _, err := tx.Exec(ctx, sqlDropResets, userID); err != nil {
		return fmt.Errorf("set password: %w", err)
	}
	if err := s.endSessions(ctx, tx, userID, apps); err != nil {
		return err
	}
	return s.tell(ctx, tx, userID, letterPassword, "", time.Time{})
}

// ResetPassword is the operator's: another password, all sessions and apps' tokens
// end, and the second factor is switched off where its owner has lost it too.
func (s *Service) ResetPassword(ctx context.Context, userID, password string, factorsOff bool) error {
	if password == "" {
		return ErrPassword
	}
	hash, err := hashPassword(password)
	if err != nil {
		return err
	}
	return s.db.Tx(ctx, func(tx *pg.Tx) error {
		if err := s.setPassword(ctx, tx, userID, hash, true); err != nil || !factorsOff {
			return err
		}
		return s.withoutFactors(ctx, tx, userID)
	})
}

type changeReq struct {
	Current string  `json:"currentPassword" api:"required,max=1024"`
	New     string  `json:"newPassword" api:"required,min=1,max=1024"`
	Token   *string `json:"token" api:"nullable,max=64"`
	Apps    bool    `json:"revokeApps" api:"default=false"` // ours: end what apps hold, too
}

var errChangePassword = api.Err("INCORRECT_PASSWORD", "4a5d7c9e-0b52-4a8e-8c36-0e1a6f3c7d03", "The password is not right.")

// apiChangePassword sets another password. Misskey leaves all sessions alone,
// so whoever stole one stays in; here the native token becomes another, which
// its clients understand (myTokenRegenerated on the main stream, then
// AUTHENTICATION_FAILED): they ask to sign in again, this one too, since all
// sessions share that token. Apps' tokens were given one by one and can be
// taken back one by one, so they stay unless revokeApps asks.
func (s *Service) apiChangePassword(ctx context.Context, c *api.Call, req changeReq) (api.None, error) {
	if err := s.Prove(ctx, c, req.Current, req.Token, errChangePassword); err != nil {
		return api.None{}, err
	}
	hash, err := hashPassword(req.New)
	if err != nil {
		return api.None{}, err
	}
	return api.None{}, s.db.Tx(ctx, func(tx *pg.Tx) error { return s.setPassword(ctx, tx, c.UserID, hash, req.Apps) })
}

type requestResetReq struct {
	Username string `json:"username" api:"required,max=128"`
	Email    string `json:"email" api:"required,max=1024"`
}

// resetArgs of the job that answers who forgot his password: name, address and
// language, sealed for this id.
type resetArgs struct {
	ID     string `json:"id"`
	Sealed []byte `json:"sealed"`
}

// Kind implements job.Args.
func (resetArgs) Kind() string { return "auth.reset" }

type resetWish struct{ Username, Email, Lang string }

// apiRequestReset does the same for everybody, whether the account exists or
// not, and whether mail is set up or not: it puts a job away. Only that looks
// the account up, so neither the answer nor its time tells anything.
func (s *Service) apiRequestReset(ctx context.Context, c *api.Call, req requestResetReq) (api.None, error) {
	b, err := json.Marshal(resetWish{req.Username, req.Email, c.Header.Get("Accept-Language")})
	if err != nil {
		return api.None{}, err
	}
	a := resetArgs{ID: id.Random(16)}
	a.Sealed = s.box.Seal(b, "auth.reset:"+a.ID)
	return api.None{}, s.db.Tx(ctx, func(tx *pg.Tx) error { return s.queue.Insert(ctx, tx, a, time.Time{}) })
}

const (
	resetFor    = 30 * time.Minute
	resetLength = 64
	maxResets   = 3 // links of one account that are good at a time
)

const (
	sqlResettable = `
SELECT u.id FROM "user" u JOIN account a ON a.user_id = u.id
WHERE u.username_lower = $1 AND u.host IS NULL AND NOT u.is_suspended AND NOT u.is_deleted AND NOT u.is_system
	AND a.email_verified AND lower(a.email) = lower($2)
FOR UPDATE OF a`
	sqlOpenResets = `SELECT count(*) FROM password_reset WHERE user_id = $1 AND expires_at > $2`
	sqlReset      = `INSERT INTO password_reset (token_hash, user_id, expires_at) VALUES ($1, $2, $3)`
)

// workReset writes to whoever asked, if name and proven address are an
// account's.
func (s *Service) workReset(ctx context.Context, a resetArgs) error {
	b, err := s.box.Open(a.Sealed, "auth.reset:"+a.ID)
	if err != nil {
		return job.Cancel(err)
	}
	var w resetWish
	if json.Unmarshal(b, &w) != nil {
		return job.Cancel(errors.New("a wish that cannot be read"))
	}
	if !s.mail.Ready() {
		return nil
	}
	return s.db.Tx(ctx, func(tx *pg.Tx) error {
		var userID string
		err := tx.QueryRow(ctx, sqlResettable, strings.ToLower(strings.TrimPrefix(w.Username, "@")), w.Email).Scan(&userID)
		if pg.NoRows(err) {
			return nil
		}
		if err != nil {
			return err
		}
		var open int
		if err := tx.QueryRow(ctx, sqlOpenResets, userID, s.now()).Scan(&open); err != nil || open >= maxResets {
			return err
		}
		token, until := id.RandomMixed(resetLength), s.now().Add(resetFor)
		if _, err := tx.Exec(ctx, sqlReset, hashToken(token), userID, until); err != nil {
			return err
		}
		return s.tell(ctx, tx, userID, letterReset, s.meta.Origin+"/reset-password/"+token, until)
	})
}

type resetReq struct {
	Token    string `json:"token" api:"required,min=1,max=128"`
	Password string `json:"password" api:"required,min=1,max=1024"`
}

var errResetToken = api.Err("NO_SUCH_TOKEN", "6c1f2c7a-5f0d-4d0f-9f7e-2a8f3b1c4d04", "The link is not right, was used, or is too old.")

const (
	sqlResetOpen = `SELECT EXISTS (SELECT FROM password_reset WHERE token_hash = $1 AND expires_at > $2)`
	sqlResetTake = `DELETE FROM password_reset WHERE token_hash = $1 AND expires_at > $2 RETURNING user_id`
)

// apiReset sets the password of whoever has the link: once, and every session
// and app is out. A second factor stays: the mail box alone opens nothing.
func (s *Service) apiReset(ctx context.Context, _ *api.Call, req resetReq) (api.None, error) {
	key := hashToken(req.Token)
	var open bool
	if err := s.db.QueryRow(ctx, sqlResetOpen, key, s.now()).Scan(&open); err != nil {
		return api.None{}, fmt.Errorf("reset: %w", err)
	}
	if !open {
		return api.None{}, errResetToken // before a hash is made for nothing
	}
	hash, err := hashPassword(req.Password)
	if err != nil {
		return api.None{}, err
	}
	err = s.db.Tx(ctx, func(tx *pg.Tx) error {
		var userID string
		err := tx.QueryRow(ctx, sqlResetTake, key, s.now()).Scan(&userID)
		if pg.NoRows(err) {
			return errResetToken
		}
		if err != nil {
			return err
		}
		return s.setPassword(ctx, tx, userID, hash, true)
	})
	if err != nil {
		return api.None{}, fmt.Errorf("reset: %w", err)
	}
	return api.None{}, nil
}

type adminResetReq struct {
	UserID string `json:"userId" api:"required,id"`
}

type adminResetRes struct {
	Password string `json:"password"`
}

var (
	errAdminResetNone   = api.Err("NO_SUCH_USER", "b3a0d1f5-8e7c-4c61-9a35-1f0e7d6b2c05", "There is no such account here.")
	errAdminResetDenied = api.Err("CANNOT_RESET_ADMINISTRATOR", "e2b8c4d6-7f19-4a05-8d3b-6c5f9e1a0b06", "An administrator's password is not a moderator's to set.")
)

// madeUpLength of a password that a moderator hands over.
const madeUpLength = 16

// apiAdminReset makes up a password for an account whose owner cannot get in.
func (s *Service) apiAdminReset(ctx context.Context, c *api.Call, req adminResetReq) (*adminResetRes, error) {
	u, err := s.users.ByID(ctx, req.UserID)
	switch {
	case errors.Is(err, user.ErrNotFound) || err == nil && (!u.Local() || u.IsSystem || u.IsDeleted):
		return nil, errAdminResetNone
	case err != nil:
		return nil, err
	}
	if _, admin, err := s.roles.Ranks(ctx, u.ID); err != nil {
		return nil, err
	} else if admin {
		return nil, errAdminResetDenied
	}
	res := &adminResetRes{Password: id.RandomMixed(madeUpLength)}
	hash, err := hashPassword(res.Password)
	if err != nil {
		return nil, err
	}
	return res, s.db.Tx(ctx, func(tx *pg.Tx) error {
		if err := s.setPassword(ctx, tx, u.ID, hash, true); err != nil {
			return err
		}
		return s.bus.Emit(ctx, tx, role.Acted{Moderator: c.UserID, Type: "resetPassword",
			Info: map[string]any{"userId": u.ID, "userUsername": u.Username, "userHost": u.Host}})
	})
}
