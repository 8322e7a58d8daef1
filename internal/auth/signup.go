package auth

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"

	"buttersc.one/oven/internal/lib/ap"
	"buttersc.one/oven/internal/lib/id"
	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/socket/api"
	"buttersc.one/oven/internal/user"
)

// Errors of making an account.
var (
	ErrUsername     = errors.New("INVALID_USERNAME")
	ErrPassword     = errors.New("INVALID_PASSWORD")
	ErrUsed         = errors.New("USED_USERNAME")
	ErrDuplicated   = errors.New("DUPLICATED_USERNAME")
	ErrRegistration = errors.New("REGISTRATION_CLOSED")
)

var usernameForm = regexp.MustCompile(`^\w{1,20}$`)

const (
	sqlUsed      = `SELECT EXISTS (SELECT FROM used_username WHERE username_lower = $1)`
	sqlUse       = `INSERT INTO used_username (username_lower) VALUES ($1) ON CONFLICT (username_lower) DO NOTHING`
	sqlAccount   = `INSERT INTO account (user_id, password_hash, token_hash, token_enc) VALUES ($1, $2, $3, $4)`
	sqlFirstLock = `SELECT pg_advisory_xact_lock($1, 0)`
)

// NewAccount is what a person gives to sign up.
type NewAccount struct {
	Username string
	Password string
	Admin    bool    // made by the operator as an administrator
	Operator bool    // made by the operator: closed registration and preserved names do not count
	Host     *string // test mode only: of an imaginary remote server
}

// SignUp makes an account and gives it with its native token. The first
// account of a server becomes root.
func (s *Service) SignUp(ctx context.Context, n NewAccount) (*user.User, string, error) {
	if !usernameForm.MatchString(n.Username) {
		return nil, "", ErrUsername
	}
	if n.Password == "" {
		return nil, "", ErrPassword
	}
	hash, err := hashPassword(n.Password)
	if err != nil {
		return nil, "", err
	}
	pair, err := s.pair()
	if err != nil {
		return nil, "", err
	}
	token := id.RandomMixed(tokenLength)
	var u *user.User
	err = s.db.Tx(ctx, func(tx *pg.Tx) error {
		if n.Host != nil {
			if u, err = s.imaginary(ctx, tx, n); err != nil {
				return err
			}
			return s.insertAccount(ctx, tx, u.ID, hash, token)
		}
		// One at a time: who is first is decided here.
		if _, err := tx.Exec(ctx, sqlFirstLock, pg.LockFirst); err != nil {
			return err
		}
		first, err := s.meta.RequiresSetup(ctx, tx)
		if err != nil {
			return err
		}
		if err := s.mayUse(ctx, tx, n, first); err != nil {
			return err
		}
		u, err = s.users.CreateLocal(ctx, tx, user.NewLocal{Username: n.Username, Root: first || n.Admin}, pair)
		if errors.Is(err, user.ErrNameTaken) {
			return ErrDuplicated
		}
		if err != nil {
			return err
		}
		if err := s.insertAccount(ctx, tx, u.ID, hash, token); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, sqlUse, u.UsernameLower); err != nil {
			return err
		}
		return s.bus.Emit(ctx, tx, SignedUp{User: u})
	})
	if err != nil {
		return nil, "", fmt.Errorf("sign up: %w", err)
	}
	return u, token, nil
}

func (s *Service) imaginary(ctx context.Context, tx *pg.Tx, n NewAccount) (*user.User, error) {
	host, err := ap.NormalizeHost(*n.Host)
	if err != nil {
		return nil, ErrUsername
	}
	u, err := s.users.CreateImaginary(ctx, tx, n.Username, host)
	if errors.Is(err, user.ErrNameTaken) {
		return nil, ErrDuplicated
	}
	return u, err
}

func (s *Service) insertAccount(ctx context.Context, tx *pg.Tx, userID, hash, token string) error {
	sealed := s.box.Seal([]byte(token), "account.token:"+userID)
	_, err := tx.Exec(ctx, sqlAccount, userID, hash, hashToken(token), sealed)
	return err
}

func (s *Service) mayUse(ctx context.Context, q pg.Q, n NewAccount, first bool) error {
	set := s.meta.Get()
	lower := strings.ToLower(n.Username)
	if !first && !n.Operator {
		if set.DisableRegistration {
			return ErrRegistration
		}
		if slices.Contains(set.PreservedUsernames, lower) {
			return ErrUsed
		}
	}
	var used bool
	if err := q.QueryRow(ctx, sqlUsed, lower).Scan(&used); err != nil {
		return err
	}
	if used {
		return ErrUsed
	}
	return nil
}

type availableReq struct {
	Username string `json:"username" api:"required,pattern=^\\w{1\\,20}$"`
}

type availableRes struct {
	Available bool `json:"available"`
}

const sqlTaken = `SELECT EXISTS (SELECT FROM "user" WHERE username_lower = $1 AND host IS NULL) OR EXISTS (SELECT FROM used_username WHERE username_lower = $1)`

func (s *Service) apiUsernameAvailable(ctx context.Context, _ *api.Call, req availableReq) (*availableRes, error) {
	lower := strings.ToLower(req.Username)
	var taken bool
	if err := s.db.QueryRow(ctx, sqlTaken, lower).Scan(&taken); err != nil {
		return nil, err
	}
	return &availableRes{Available: !taken && !slices.Contains(s.meta.Get().PreservedUsernames, lower)}, nil
}

// SignUpAt is the sign-up of a page's form: counted against the address like
// the API's, with the API's errors.
func (s *Service) SignUpAt(ctx context.Context, ip netip.Addr, username, password string) error {
	if !s.meta.Test() {
		if _, ok := s.limits().Take("signup\x00"+api.IPKey(ip), signups, signupsIn, 0); !ok {
			return errTooOften
		}
	}
	_, _, err := s.SignUp(ctx, NewAccount{Username: username, Password: password})
	return SignupError(err)
}
