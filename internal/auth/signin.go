package auth

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"time"

	"buttersc.one/oven/internal/lib/id"
	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/socket/api"
	"buttersc.one/oven/internal/user"
)

// Errors of signing in: clients know them by id.
var (
	errNoSuchUser = api.Err("NO_SUCH_USER", "6cc579cc-885d-43d8-95c2-b8c7fc963280", "There is no such account here.").WithStatus(http.StatusNotFound)
	errSuspended  = api.Err("SUSPENDED", "e03a5f46-d309-4865-9b69-56282d94e1eb", "The account is suspended.").WithStatus(http.StatusForbidden)
	errIncorrect  = api.Err("INCORRECT_PASSWORD", "932c904e-9460-45b7-9ce6-7ed33be7eb2c", "The password is not right.").WithStatus(http.StatusForbidden)
	errTooOften   = api.Err("TOO_MANY_AUTHENTICATION_FAILURES", "22d05606-fbcf-421a-a2db-b32610dcfd1b", "Too many attempts. Try again later.").WithStatus(http.StatusTooManyRequests)
)

// signinEndpoints are the calls outside the registry of endpoints that sign
// people in and up (docs/api-extra.md).
func (s *Service) signinEndpoints() []api.Endpoint {
	return []api.Endpoint{
		api.Post("signin-flow", s.apiSigninFlow, api.Visitors, api.Hidden),
		api.Post("signin", s.apiSignin, api.Visitors, api.Hidden),
		api.Post("signup", s.apiSignup, api.Visitors, api.Hidden),
	}
}

type signinReq struct {
	Username string  `json:"username" api:"required,min=1,max=128"`
	Password *string `json:"password" api:"max=1024"`
}

// flowRes is one step of signing in.
type flowRes struct {
	Finished bool   `json:"finished"`
	Next     string `json:"next,omitempty"`
	ID       string `json:"id,omitempty"`
	I        string `json:"i,omitempty"`
}

func (s *Service) apiSigninFlow(ctx context.Context, c *api.Call, req signinReq) (*flowRes, error) {
	u, err := s.mayTry(ctx, c, req.Username)
	if err != nil {
		return nil, err
	}
	if req.Password == nil {
		// No captcha is set up, so the client may show the password at once; it
		// does when told that the captcha comes next.
		return &flowRes{Next: "captcha"}, nil
	}
	token, err := s.signIn(ctx, u, *req.Password, c.IP)
	if err != nil {
		return nil, err
	}
	return &flowRes{Finished: true, ID: u.ID, I: token}, nil
}

type signinRes struct {
	ID string `json:"id"`
	I  string `json:"i"`
}

// apiSignin is the form of older apps.
func (s *Service) apiSignin(ctx context.Context, c *api.Call, req signinReq) (*signinRes, error) {
	u, err := s.mayTry(ctx, c, req.Username)
	if err != nil {
		return nil, err
	}
	if req.Password == nil {
		return nil, errIncorrect
	}
	token, err := s.signIn(ctx, u, *req.Password, c.IP)
	if err != nil {
		return nil, err
	}
	return &signinRes{ID: u.ID, I: token}, nil
}

// Attempts to sign in that one address, and that one account may see.
const (
	tries    = 10
	triesIn  = time.Hour
	triesGap = time.Second
)

func (s *Service) mayTry(ctx context.Context, c *api.Call, username string) (*user.User, error) {
	if !s.meta.Test() {
		if _, ok := s.limits().Take("signin\x00"+api.IPKey(c.IP), tries, triesIn, triesGap); !ok {
			return nil, errTooOften
		}
	}
	u, err := s.users.ByAcct(ctx, s.db, username, nil)
	switch {
	case errors.Is(err, user.ErrNotFound) || err == nil && (u.IsSystem || u.IsDeleted):
		return nil, errNoSuchUser
	case err != nil:
		return nil, err
	case u.IsSuspended:
		return nil, errSuspended
	}
	return u, nil
}

const (
	sqlSignin   = `INSERT INTO signin (id, user_id, ip, success) VALUES ($1, $2, $3, $4)`
	sqlTokenEnc = `SELECT token_enc FROM account WHERE user_id = $1`
)

// signIn checks the password, records the attempt and gives the native token.
func (s *Service) signIn(ctx context.Context, u *user.User, password string, ip netip.Addr) (string, error) {
	cerr := s.Check(ctx, u.ID, password)
	if cerr != nil && !errors.Is(cerr, ErrIncorrect) {
		return "", cerr
	}
	err := s.db.Tx(ctx, func(tx *pg.Tx) error {
		if _, err := tx.Exec(ctx, sqlSignin, s.ids.Now(), u.ID, ip.String(), cerr == nil); err != nil {
			return err
		}
		if cerr == nil {
			return s.bus.Emit(ctx, tx, SignedIn{UserID: u.ID, At: time.Now()})
		}
		return nil
	})
	if err != nil {
		return "", fmt.Errorf("record sign-in: %w", err)
	}
	if cerr != nil {
		return "", errIncorrect
	}
	return s.Token(ctx, u.ID)
}

// Token is the native token of a local account.
func (s *Service) Token(ctx context.Context, userID string) (string, error) {
	var sealed []byte
	if err := s.db.QueryRow(ctx, sqlTokenEnc, userID).Scan(&sealed); err != nil {
		return "", fmt.Errorf("token: %w", err)
	}
	token, err := s.box.Open(sealed, "account.token:"+userID)
	if err != nil {
		return "", fmt.Errorf("token: %w", err)
	}
	return string(token), nil
}

type signupReq struct {
	Username string  `json:"username" api:"required,max=128"`
	Password string  `json:"password" api:"required,max=1024"`
	Host     *string `json:"host"`
}

// signupRes is the new account as it sees itself, with its token.
type signupRes struct {
	*user.Detailed
	Token string `json:"token"`
}

// Sign-ups that one address may make.
const (
	signups   = 10
	signupsIn = time.Hour
)

func (s *Service) apiSignup(ctx context.Context, c *api.Call, req signupReq) (*signupRes, error) {
	if !s.meta.Test() {
		if _, ok := s.limits().Take("signup\x00"+api.IPKey(c.IP), signups, signupsIn, 0); !ok {
			return nil, errTooOften
		}
		req.Host = nil
	}
	u, token, err := s.SignUp(ctx, NewAccount{Username: req.Username, Password: req.Password, Host: req.Host})
	if err != nil {
		return nil, SignupError(err)
	}
	me, err := s.users.PackMe(ctx, u, true)
	if err != nil {
		return nil, err
	}
	return &signupRes{Detailed: me, Token: token}, nil
}

// SignupError gives the API's error for one of SignUp; others pass.
func SignupError(err error) error {
	for cause, e := range map[error]*api.Error{
		ErrUsername:     api.Err("INVALID_USERNAME", "5a1e9b1c-5d1e-4b5a-9d1f-6a6c2f6e4f01", "A username has 1 to 20 letters, digits or _."),
		ErrPassword:     api.Err("INVALID_PASSWORD", "5a1e9b1c-5d1e-4b5a-9d1f-6a6c2f6e4f02", "The password must not be empty."),
		ErrUsed:         api.Err("USED_USERNAME", "5a1e9b1c-5d1e-4b5a-9d1f-6a6c2f6e4f03", "That username cannot be had."),
		ErrDuplicated:   api.Err("DUPLICATED_USERNAME", "5a1e9b1c-5d1e-4b5a-9d1f-6a6c2f6e4f04", "That username is taken."),
		ErrRegistration: api.Err("REGISTRATION_CLOSED", "5a1e9b1c-5d1e-4b5a-9d1f-6a6c2f6e4f05", "This server takes no new accounts at the moment."),
	} {
		if errors.Is(err, cause) {
			return e
		}
	}
	return err
}

type regenerateReq struct {
	Password string `json:"password" api:"required"`
}

var errWrongPassword = api.Err("INCORRECT_PASSWORD", "e54c1d7e-e7d6-4103-86b6-0a95069b4ad3", "The password is not right.")

const sqlNewToken = `UPDATE account SET token_hash = $2, token_enc = $3 WHERE user_id = $1`

// apiRegenerateToken ends all sessions of the native token, open connections
// too.
func (s *Service) apiRegenerateToken(ctx context.Context, c *api.Call, req regenerateReq) (api.None, error) {
	if err := s.Check(ctx, c.UserID, req.Password); err != nil {
		if errors.Is(err, ErrIncorrect) {
			return api.None{}, errWrongPassword
		}
		return api.None{}, err
	}
	token := id.RandomMixed(tokenLength)
	sealed := s.box.Seal([]byte(token), "account.token:"+c.UserID)
	err := s.db.Tx(ctx, func(tx *pg.Tx) error {
		if _, err := tx.Exec(ctx, sqlNewToken, c.UserID, hashToken(token), sealed); err != nil {
			return err
		}
		tx.AfterCommit(s.cache.drop)
		return s.log.Append(ctx, tx, "auth.revoked", c.UserID, c.UserID, revokedData{})
	})
	return api.None{}, err
}
