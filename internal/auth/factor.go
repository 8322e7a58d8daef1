package auth

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/socket/api"
)

// factorEndpoints set up what is asked for besides the password.
func (s *Service) factorEndpoints() []api.Endpoint {
	return []api.Endpoint{
		api.Post("i/2fa/register", s.apiRegisterTOTP, api.Secure, api.Errors(errRegisterPassword)),
		api.Post("i/2fa/done", s.apiDoneTOTP, api.Secure, api.Errors(errNoSeed, errToken)),
		api.Post("i/2fa/unregister", s.apiUnregister, api.Secure, api.Errors(errUnregisterPassword)),
		api.Post("i/2fa/register-key", s.apiRegisterKey, api.Secure, api.Errors(errRegisterKeyPassword, errRegisterKeyNoTOTP, errNoPasskeys)),
		api.Post("i/2fa/key-done", s.apiKeyDone, api.Secure, api.Errors(errKeyDonePassword, errKeyDoneNoTOTP, errKeyDone)),
		api.Post("i/2fa/update-key", s.apiUpdateKey, api.Secure, api.Errors(errUpdateNoKey, errUpdateDenied)),
		api.Post("i/2fa/remove-key", s.apiRemoveKey, api.Secure, api.Errors(errRemovePassword)),
		api.Post("i/2fa/password-less", s.apiPasswordLess, api.Secure, api.Errors(errNoKey)),
	}
}

// factors are what an account is signed in with.
type factors struct {
	hash         string // of the password
	enabled      bool   // codes are asked for
	passwordLess bool
	keys         bool // there are passkeys
}

const sqlFactors = `
SELECT a.password_hash, a.two_factor_enabled, a.password_less, EXISTS (SELECT FROM security_key k WHERE k.user_id = a.user_id)
FROM account a WHERE a.user_id = $1`

func (s *Service) factors(ctx context.Context, userID string) (*factors, error) {
	f := &factors{}
	err := s.db.QueryRow(ctx, sqlFactors, userID).Scan(&f.hash, &f.enabled, &f.passwordLess, &f.keys)
	if err != nil {
		return nil, fmt.Errorf("factors: %w", err)
	}
	return f, nil
}

// errToken says that the code of the second factor is missing, wrong, or was
// used before.
var errToken = api.Err("INCORRECT_TOKEN", "0d6c8d2c-37a5-4a3b-9f0e-8b6f5f1f7b11", "The code of the second factor is missing or not right.")

// errProofs says that a signed-in caller has guessed too often.
var errProofs = api.Err("TOO_MANY_AUTHENTICATION_FAILURES", "22d05606-fbcf-421a-a2db-b32610dcfd1b", "Too many attempts. Try again later.").WithStatus(http.StatusTooManyRequests)

// proofs that fail, for one account: a token that was stolen is not to find the
// password out.
const (
	proofs       = 10
	proofsWithin = time.Hour
)

// Prove checks that the caller is the account's owner and not only somebody who
// holds its token: by the password, and a code where the second factor is on.
// wrong is the endpoint's error for another password.
func (s *Service) Prove(ctx context.Context, c *api.Call, password string, token *string, wrong *api.Error) error {
	return s.proveUnless(ctx, c, password, token, false, wrong)
}

// proveUnless is Prove for whom has shown this code a moment ago, and need not
// show another.
func (s *Service) proveUnless(ctx context.Context, c *api.Call, password string, token *string, shown bool, wrong *api.Error) error {
	key := "prove\x00" + c.UserID
	if !s.meta.Test() {
		if _, ok := s.limits().Take(key, proofs, proofsWithin, 0); !ok {
			return errProofs
		}
	}
	if err := s.Check(ctx, c.UserID, password); err != nil {
		if errors.Is(err, ErrIncorrect) {
			return wrong
		}
		return err
	}
	f, err := s.factors(ctx, c.UserID)
	if err != nil {
		return err
	}
	if f.enabled && !shown {
		ok, err := token != nil, error(nil)
		if ok {
			ok, err = s.takeCode(ctx, c.UserID, *token)
		}
		if err != nil {
			return err
		}
		if !ok {
			return errToken
		}
	}
	s.limits().Return(key)
	return nil
}

// updated has clients fetch the account anew.
func (s *Service) updated(ctx context.Context, tx *pg.Tx, userID string) error {
	return s.log.Append(ctx, tx, "user.updated", userID, userID, nil)
}
