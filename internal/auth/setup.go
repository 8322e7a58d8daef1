package auth

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"

	"buttersc.one/oven/internal/socket/api"
)

// errNotFirst says that somebody else made the first account meanwhile.
var errNotFirst = errors.New("the server has accounts")

var (
	errCreateDenied = api.Err("ACCESS_DENIED", "1fb7cb09-d46a-4fff-b8df-057708cce513", "Only whoever set the server up may make accounts for others.")
	errCreateSetup  = api.Err("INCORRECT_INITIAL_PASSWORD", "97147c55-1ae1-4f6f-91d6-e1c3e0e76d62", "The password for setting the server up is not right.")
)

type createReq struct {
	Username string  `json:"username" api:"required,pattern=^\\w{1\\,20}$"`
	Password string  `json:"password" api:"required,min=1,max=1024"`
	Setup    *string `json:"setupPassword" api:"nullable,max=1024"`
}

// apiCreate makes an account: the first one for whoever sets the server up, with
// the setup password where the operator has set one; later ones for root.
func (s *Service) apiCreate(ctx context.Context, c *api.Call, req createReq) (*signupRes, error) {
	first, err := s.meta.RequiresSetup(ctx, s.db)
	if err != nil {
		return nil, err
	}
	switch {
	case !first && (c.Identity == nil || !c.Root || !c.Native()), first && c.Identity != nil:
		return nil, errCreateDenied
	case first:
		if _, ok := s.limits().Take("setup\x00"+api.IPKey(c.IP), signups, signupsIn, 0); !ok && !s.meta.Test() {
			return nil, errTooOften
		}
		if !s.maySetUp(deref(req.Setup)) {
			return nil, errCreateSetup
		}
	}
	u, token, err := s.SignUp(ctx, NewAccount{Username: req.Username, Password: req.Password, Operator: true, First: first})
	if errors.Is(err, errNotFirst) {
		return nil, errCreateDenied
	}
	if err != nil {
		return nil, SignupError(err)
	}
	me, err := s.users.PackMe(ctx, u, true)
	if err != nil {
		return nil, err
	}
	return &signupRes{Detailed: me, Token: token}, nil
}

// maySetUp compares with the operator's setup password; where there is none,
// none must be given.
func (s *Service) maySetUp(given string) bool {
	a, b := sha256.Sum256([]byte(given)), sha256.Sum256([]byte(s.setup))
	return subtle.ConstantTimeCompare(a[:], b[:]) == 1
}
