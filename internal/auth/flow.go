package auth

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/netip"
	"time"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/webauthn"
	"github.com/google/uuid"

	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/socket/api"
	"buttersc.one/oven/internal/user"
)

// Errors of signing in: clients know them by id.
var (
	errNoSuchUser  = api.Err("NO_SUCH_USER", "6cc579cc-885d-43d8-95c2-b8c7fc963280", "There is no such account here.").WithStatus(http.StatusNotFound)
	errSuspended   = api.Err("SUSPENDED", "e03a5f46-d309-4865-9b69-56282d94e1eb", "The account is suspended.").WithStatus(http.StatusForbidden)
	errIncorrect   = api.Err("INCORRECT_PASSWORD", "932c904e-9460-45b7-9ce6-7ed33be7eb2c", "The password is not right.").WithStatus(http.StatusForbidden)
	errWrongToken  = api.Err("INVALID_TOKEN", "cdf1235b-ac71-46d4-a3a6-84ccce48df6f", "The code is missing, wrong, or was used before.").WithStatus(http.StatusForbidden)
	errWrongKey    = api.Err("PASSKEY_VERIFICATION_FAILED", "93b86c4b-72f9-40eb-9815-798928603d1e", "The passkey's answer is not right.").WithStatus(http.StatusForbidden)
	errNotApproved = api.Err("NOT_APPROVED", "5a1e9b1c-5d1e-4b5a-9d1f-6a6c2f6e4f20", "A moderator has not let this account in yet.").WithStatus(http.StatusForbidden)
	errTooOften    = api.Err("TOO_MANY_AUTHENTICATION_FAILURES", "22d05606-fbcf-421a-a2db-b32610dcfd1b", "Too many attempts. Try again later.").WithStatus(http.StatusTooManyRequests)
)

// signinEndpoints are the calls outside the registry of endpoints that sign
// people in and up (docs/api-extra.md).
func (s *Service) signinEndpoints() []api.Endpoint {
	return []api.Endpoint{
		api.Post("signin-flow", s.apiSigninFlow, api.Visitors, api.Hidden),
		api.Post("signin", s.apiSignin, api.Visitors, api.Hidden),
		api.Post("signin-with-passkey", s.apiPasskey, api.Visitors, api.Hidden),
		api.Post("signup", s.apiSignup, api.Visitors, api.Hidden),
		api.Post("signup-pending", s.apiSignupPending, api.Visitors, api.Hidden),
		api.Post("i/signin-history", s.apiHistory, api.Secure),
	}
}

// proof is what somebody shows to get in.
type proof struct {
	Password   *string         `json:"password" api:"max=1024"`
	Token      *string         `json:"token" api:"nullable,max=64"`
	Credential json.RawMessage `json:"credential" api:"nullable"`
}

func (p *proof) hasKey() bool { return len(p.Credential) > 0 && string(p.Credential) != "null" }

type signinReq struct {
	Username string `json:"username" api:"required,min=1,max=128"`
	proof
	captchaReq
}

// flowRes is one step of signing in.
type flowRes struct {
	Finished    bool                                        `json:"finished"`
	Next        string                                      `json:"next,omitempty"`
	AuthRequest *protocol.PublicKeyCredentialRequestOptions `json:"authRequest,omitempty"`
	ID          string                                      `json:"id,omitempty"`
	I           string                                      `json:"i,omitempty"`
}

func (s *Service) apiSigninFlow(ctx context.Context, c *api.Call, req signinReq) (*flowRes, error) {
	u, err := s.candidate(ctx, c.IP, req.Username)
	if errors.Is(err, errNoSuchUser) {
		return s.waitingFlow(ctx, c.IP, req, err)
	}
	if err != nil {
		return nil, err
	}
	if req.Password == nil && !req.hasKey() {
		f, err := s.factors(ctx, u.ID)
		if err != nil {
			return nil, err
		}
		if f.enabled {
			return &flowRes{Next: "password"}, nil
		}
		// Where none is set up the client shows the password at once.
		return &flowRes{Next: "captcha"}, nil
	}
	if err := s.checkSignin(ctx, u.ID, req); err != nil {
		return nil, err
	}
	return s.enter(ctx, c.IP, u, req.proof)
}

// checkSignin asks for a captcha where nothing but a password is in the way.
func (s *Service) checkSignin(ctx context.Context, userID string, req signinReq) error {
	f, err := s.factors(ctx, userID)
	if err != nil || f.enabled {
		return err
	}
	return s.checkCaptcha(ctx, req.answers())
}

// enter takes one step into an account: what is shown is enough, or wrong, or
// more is asked for.
func (s *Service) enter(ctx context.Context, ip netip.Addr, u *user.User, p proof) (*flowRes, error) {
	t, err := s.attempt(ctx, ip, u.ID)
	if err != nil {
		return nil, err
	}
	f, err := s.factors(ctx, u.ID)
	if err != nil {
		return nil, err
	}
	right := false
	if p.Password != nil {
		err := s.Check(ctx, u.ID, *p.Password)
		if err != nil && !errors.Is(err, ErrIncorrect) {
			return nil, err
		}
		right = err == nil
	}
	switch {
	case f.enabled && p.Token == nil && p.hasKey():
		if !right && !f.passwordLess {
			return nil, errIncorrect
		}
		if err := s.checkAssertion(ctx, u, p.Credential); err != nil {
			return nil, err
		}
	case f.enabled && p.Token == nil && f.keys && (right || f.passwordLess):
		req, err := s.request(ctx, u)
		if err != nil {
			return nil, err
		}
		if right {
			err = s.undecided(ctx, t)
		}
		return &flowRes{Next: "passkey", AuthRequest: req}, err
	case !right:
		return nil, errIncorrect
	case f.enabled && p.Token == nil:
		return &flowRes{Next: "totp"}, s.undecided(ctx, t)
	case f.enabled:
		ok, err := s.takeCode(ctx, u.ID, *p.Token)
		if err != nil {
			return nil, err
		}
		if !ok {
			return nil, errWrongToken
		}
	}
	token, err := s.good(ctx, t)
	if err != nil {
		return nil, err
	}
	return &flowRes{Finished: true, ID: u.ID, I: token}, nil
}

// checkAssertion checks a passkey as the second factor.
func (s *Service) checkAssertion(ctx context.Context, u *user.User, credential json.RawMessage) error {
	parsed, err := protocol.ParseCredentialRequestResponseBytes(credential)
	if err != nil {
		return errWrongKey
	}
	err = s.verify(ctx, u, forSignin, u.ID, parsed)
	if errors.Is(err, errNoChallenge) || errors.Is(err, errUnknownKey) || errors.Is(err, errAssertion) {
		return errWrongKey
	}
	return err
}

type signinRes struct {
	ID string `json:"id"`
	I  string `json:"i"`
}

// apiSignin is the form of older apps: all in one call, or the request for the
// account's keys.
func (s *Service) apiSignin(ctx context.Context, c *api.Call, req signinReq) (any, error) {
	u, err := s.candidate(ctx, c.IP, req.Username)
	if err != nil {
		return nil, err
	}
	if err := s.checkSignin(ctx, u.ID, req); err != nil {
		return nil, err
	}
	res, err := s.enter(ctx, c.IP, u, req.proof)
	switch {
	case err != nil:
		return nil, err
	case res.Finished:
		return &signinRes{ID: res.ID, I: res.I}, nil
	case res.AuthRequest != nil:
		return res.AuthRequest, nil
	}
	return nil, errWrongToken
}

// candidate is the account that somebody wants to get into.
func (s *Service) candidate(ctx context.Context, ip netip.Addr, username string) (*user.User, error) {
	if !s.meta.Test() {
		if _, ok := s.limits().Take("signin-name\x00"+api.IPKey(ip), lookups, lookupsWithin, 0); !ok {
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

// Enter signs somebody in who fills in a page's form: name, password and, where
// the account asks for it, a code. Errors are those of signing in.
func (s *Service) Enter(ctx context.Context, ip netip.Addr, username, password, token string) (*user.User, error) {
	u, err := s.candidate(ctx, ip, username)
	if err != nil {
		return nil, err
	}
	p := proof{Password: &password}
	if token != "" {
		p.Token = &token
	}
	res, err := s.enter(ctx, ip, u, p)
	if err != nil {
		return nil, err
	}
	if !res.Finished {
		return nil, errWrongToken
	}
	return u, nil
}

type passkeyReq struct {
	Credential json.RawMessage `json:"credential" api:"nullable"`
	Context    *string         `json:"context" api:"nullable,max=64"`
}

type passkeyRes struct {
	Option   *protocol.PublicKeyCredentialRequestOptions `json:"option,omitempty"`
	Context  string                                      `json:"context,omitempty"`
	Response *flowRes                                    `json:"signinResponse,omitempty"`
}

var (
	errNoContext   = api.Err("NO_CONTEXT", "1658cc2e-4495-461f-aee4-d403cdf073c1", "The context of the request is missing.")
	errKeyUnknown  = api.Err("UNKNOWN_KEY", "36b96a7d-b547-412d-aeed-2d611cdc8cdc", "The passkey is no account's here.").WithStatus(http.StatusForbidden)
	errKeyTooLate  = api.Err("NO_CHALLENGE", "2d16e51c-007b-4edd-afd2-f7dd02c947f6", "Nothing was asked, or too long ago.").WithStatus(http.StatusForbidden)
	errKeyWrong    = api.Err("PASSKEY_VERIFICATION_FAILED", "b18c89a7-5b5e-4cec-bb5b-0419f332d430", "The passkey's answer is not right.").WithStatus(http.StatusForbidden)
	errKeyNoLogin  = api.Err("PASSWORDLESS_LOGIN_DISABLED", "2d84773e-f7b7-4d0b-8f72-bb69b584c912", "The account asks for its password too.").WithStatus(http.StatusForbidden)
	errNoDomainKey = api.Err("NO_PASSKEYS_HERE", "7f0a3f4b-2b0e-4b4f-9a53-6c8f1b7d2a01", "Passkeys need a server with a domain name.").WithStatus(http.StatusForbidden)
)

// Calls of signin-with-passkey that one address may make; a sign-in takes two.
const (
	passkeyCalls   = 200
	passkeyCallsIn = 30 * time.Minute
)

// apiPasskey signs in whoever has a passkey of an account that asks for nothing
// else: first what is to be signed, then the answer.
func (s *Service) apiPasskey(ctx context.Context, c *api.Call, req passkeyReq) (*passkeyRes, error) {
	if !s.meta.Test() {
		if _, ok := s.limits().Take("passkey\x00"+api.IPKey(c.IP), passkeyCalls, passkeyCallsIn, 0); !ok {
			return nil, errTooOften
		}
	}
	if p := (proof{Credential: req.Credential}); !p.hasKey() {
		return s.askAnybody(ctx)
	}
	if req.Context == nil || *req.Context == "" {
		return nil, errNoContext
	}
	parsed, err := protocol.ParseCredentialRequestResponseBytes(req.Credential)
	if err != nil {
		return nil, errKeyWrong
	}
	var owner string
	if err := s.db.QueryRow(ctx, sqlKeyOwner, keyID(parsed.RawID)).Scan(&owner); err != nil {
		if pg.NoRows(err) {
			return nil, errKeyUnknown
		}
		return nil, err
	}
	return s.enterByKey(ctx, c.IP, owner, *req.Context, parsed)
}

func (s *Service) askAnybody(ctx context.Context) (*passkeyRes, error) {
	w, err := s.webauthn()
	if err != nil {
		return nil, errNoDomainKey
	}
	assertion, session, err := w.BeginDiscoverableLogin(webauthn.WithUserVerification(protocol.VerificationRequired))
	if err != nil {
		return nil, errNoDomainKey
	}
	res := &passkeyRes{Option: &assertion.Response, Context: uuid.NewString()}
	return res, s.ask(ctx, forPasskey, res.Context, session, nil)
}

func (s *Service) enterByKey(ctx context.Context, ip netip.Addr, owner, about string, parsed *protocol.ParsedCredentialAssertionData) (*passkeyRes, error) {
	u, err := s.users.ByID(ctx, owner)
	if err != nil {
		return nil, err
	}
	if u.IsDeleted {
		return nil, errKeyUnknown
	}
	t, err := s.attempt(ctx, ip, u.ID)
	if err != nil {
		return nil, err
	}
	switch err := s.verify(ctx, u, forPasskey, about, parsed); {
	case errors.Is(err, errNoChallenge):
		return nil, errKeyTooLate
	case errors.Is(err, errUnknownKey):
		return nil, errKeyUnknown
	case errors.Is(err, errAssertion):
		return nil, errKeyWrong
	case err != nil:
		return nil, err
	case u.IsSuspended:
		return nil, errSuspended
	}
	f, err := s.factors(ctx, u.ID)
	if err != nil {
		return nil, err
	}
	if !f.passwordLess {
		return nil, errKeyNoLogin
	}
	token, err := s.good(ctx, t)
	if err != nil {
		return nil, err
	}
	return &passkeyRes{Response: &flowRes{Finished: true, ID: u.ID, I: token}}, nil
}
