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
	"buttersc.one/oven/internal/lib/httpsig"
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
	ErrDenied       = errors.New("DENIED_USERNAME")
	ErrDuplicated   = errors.New("DUPLICATED_USERNAME")
	ErrRegistration = errors.New("REGISTRATION_CLOSED")
	ErrInvitation   = errors.New("INVALID_INVITATION_CODE")
	ErrEmail        = errors.New("INVALID_EMAIL_ADDRESS")
	ErrEmailUsed    = errors.New("EMAIL_ADDRESS_USED")
	ErrNoMail       = errors.New("MAIL_NOT_AVAILABLE")
	ErrReason       = errors.New("REASON_REQUIRED")
)

var usernameForm = regexp.MustCompile(`^\w{1,20}$`)

const (
	sqlUsed      = `SELECT EXISTS (SELECT FROM used_username WHERE username_lower = $1)`
	sqlUse       = `INSERT INTO used_username (username_lower) VALUES ($1) ON CONFLICT (username_lower) DO NOTHING`
	sqlAccount   = `INSERT INTO account (user_id, password_hash, token_hash, token_enc, email, email_verified) VALUES ($1, $2, $3, $4, $5::text, $5::text IS NOT NULL)`
	sqlFirstLock = `SELECT pg_advisory_xact_lock($1, 0)`
)

// NewAccount is what a person gives to sign up.
type NewAccount struct {
	Username   string
	Password   string
	Admin      bool    // made by the operator as an administrator
	Operator   bool    // made by the operator: closed registration and preserved names do not count
	Host       *string // test mode only: of an imaginary remote server
	Invitation string  // needed where registration is closed
	First      bool    // only if nobody has an account here
}

// made is an account as it is put into the database.
type made struct {
	NewAccount
	hash    string  // of the password
	email   *string // proven
	pending string  // the sign-up that waited for this; "": none did
	waited  bool    // for a moderator, who has let it in: the name is kept for it
}

// SignUp makes an account and gives it with its native token. The first
// account of a server becomes root.
func (s *Service) SignUp(ctx context.Context, n NewAccount) (*user.User, string, error) {
	m, err := s.hashed(n)
	if err != nil {
		return nil, "", err
	}
	pair, err := s.pair()
	if err != nil {
		return nil, "", err
	}
	var u *user.User
	var token string
	err = s.db.Tx(ctx, func(tx *pg.Tx) (err error) {
		if n.Host != nil {
			u, token, err = s.imaginary(ctx, tx, m)
		} else {
			u, token, err = s.create(ctx, tx, m, pair)
		}
		return err
	})
	if err != nil {
		return nil, "", fmt.Errorf("sign up: %w", err)
	}
	return u, token, nil
}

func (s *Service) hashed(n NewAccount) (made, error) {
	if !usernameForm.MatchString(n.Username) {
		return made{}, ErrUsername
	}
	if n.Password == "" {
		return made{}, ErrPassword
	}
	hash, err := hashPassword(n.Password)
	return made{NewAccount: n, hash: hash}, err
}

// create makes the account in tx.
func (s *Service) create(ctx context.Context, tx *pg.Tx, m made, pair *httpsig.KeyPair) (*user.User, string, error) {
	// One at a time: who is first is decided here.
	if _, err := tx.Exec(ctx, sqlFirstLock, pg.LockFirst); err != nil {
		return nil, "", err
	}
	first, err := s.meta.RequiresSetup(ctx, tx)
	if err != nil {
		return nil, "", err
	}
	if m.First && !first {
		return nil, "", errNotFirst
	}
	if !m.waited {
		if err := s.mayUse(ctx, tx, m.NewAccount, first); err != nil {
			return nil, "", err
		}
	}
	u, err := s.users.CreateLocal(ctx, tx, user.NewLocal{Username: m.Username, Root: first || m.Admin}, pair)
	if errors.Is(err, user.ErrNameTaken) {
		return nil, "", ErrDuplicated
	}
	if err != nil {
		return nil, "", err
	}
	token, err := s.insertAccount(ctx, tx, u.ID, m)
	if err != nil {
		return nil, "", err
	}
	if _, err := tx.Exec(ctx, sqlUse, u.UsernameLower); err != nil {
		return nil, "", err
	}
	if err := s.invited(ctx, tx, m, u.ID, first); err != nil {
		return nil, "", err
	}
	return u, token, s.bus.Emit(ctx, tx, SignedUp{User: u})
}

func (s *Service) imaginary(ctx context.Context, tx *pg.Tx, m made) (*user.User, string, error) {
	host, err := ap.NormalizeHost(*m.Host)
	if err != nil {
		return nil, "", ErrUsername
	}
	u, err := s.users.CreateImaginary(ctx, tx, m.Username, host)
	if errors.Is(err, user.ErrNameTaken) {
		return nil, "", ErrDuplicated
	}
	if err != nil {
		return nil, "", err
	}
	token, err := s.insertAccount(ctx, tx, u.ID, m)
	return u, token, err
}

func (s *Service) insertAccount(ctx context.Context, tx *pg.Tx, userID string, m made) (string, error) {
	token := id.RandomMixed(tokenLength)
	sealed := s.box.Seal([]byte(token), "account.token:"+userID)
	_, err := tx.Exec(ctx, sqlAccount, userID, m.hash, hashToken(token), sealed, m.email)
	if pg.Violated(err) == "account_email_key" {
		return "", ErrEmailUsed
	}
	return token, err
}

func (s *Service) mayUse(ctx context.Context, q pg.Q, n NewAccount, first bool) error {
	lower := strings.ToLower(n.Username)
	if !first && !n.Operator && slices.Contains(s.meta.Get().PreservedUsernames, lower) {
		return ErrUsed
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

// Application is a sign-up as somebody asks for it.
type Application struct {
	Username   string
	Password   string
	Host       *string // test mode only
	Invitation string
	Email      string            // where this server asks for one
	Reason     string            // for the moderators, where they let people in
	Captchas   map[string]string // answers by who asked
	Lang       string            // of the letters: a language, or an Accept-Language header
}

// Applied is what became of an application.
type Applied struct {
	User  *user.User // nil: there is no account yet
	Token string
	Waits string // for mail or approval
}

type signupReq struct {
	Username   string  `json:"username" api:"required,max=128"`
	Password   string  `json:"password" api:"required,max=1024"`
	Host       *string `json:"host"`
	Invitation *string `json:"invitationCode" api:"nullable,max=64"`
	Email      *string `json:"emailAddress" api:"nullable,max=1024"`
	Reason     *string `json:"reason" api:"nullable,max=1000"` // ours
	captchaReq
}

// signupRes is the new account as it sees itself, with its token.
type signupRes struct {
	*user.Detailed
	Token string `json:"token"`
}

// apiSignup makes an account, or answers 204: there will be one when the letter
// was read, or a moderator lets it in.
func (s *Service) apiSignup(ctx context.Context, c *api.Call, req signupReq) (*signupRes, error) {
	if !s.meta.Test() {
		req.Host = nil
	}
	a, err := s.Apply(ctx, c.IP, Application{Username: req.Username, Password: req.Password, Host: req.Host, Invitation: deref(req.Invitation),
		Email: deref(req.Email), Reason: deref(req.Reason), Captchas: req.answers(), Lang: c.Header.Get("Accept-Language")})
	if err != nil {
		return nil, err
	}
	if a.User == nil {
		return nil, nil
	}
	me, err := s.users.PackMe(ctx, a.User, true)
	if err != nil {
		return nil, err
	}
	return &signupRes{Detailed: me, Token: a.Token}, nil
}

// signupErrors are the API's errors for those of signing up.
var signupErrors = map[error]*api.Error{
	ErrUsername:     api.Err("INVALID_USERNAME", "5a1e9b1c-5d1e-4b5a-9d1f-6a6c2f6e4f01", "A username has 1 to 20 letters, digits or _."),
	ErrPassword:     api.Err("INVALID_PASSWORD", "5a1e9b1c-5d1e-4b5a-9d1f-6a6c2f6e4f02", "The password must not be empty."),
	ErrUsed:         api.Err("USED_USERNAME", "5a1e9b1c-5d1e-4b5a-9d1f-6a6c2f6e4f03", "That username cannot be had."),
	ErrDuplicated:   api.Err("DUPLICATED_USERNAME", "5a1e9b1c-5d1e-4b5a-9d1f-6a6c2f6e4f04", "That username is taken."),
	ErrRegistration: api.Err("REGISTRATION_CLOSED", "5a1e9b1c-5d1e-4b5a-9d1f-6a6c2f6e4f05", "This server takes no new accounts at the moment."),
	ErrDenied:       api.Err("DENIED_USERNAME", "5a1e9b1c-5d1e-4b5a-9d1f-6a6c2f6e4f06", "That username cannot be had."),
	ErrInvitation:   api.Err("INVALID_INVITATION_CODE", "5a1e9b1c-5d1e-4b5a-9d1f-6a6c2f6e4f07", "The invitation is not right, was used, or is too old."),
	ErrEmail:        api.Err("INVALID_EMAIL_ADDRESS", "5a1e9b1c-5d1e-4b5a-9d1f-6a6c2f6e4f08", "This server asks for a mail address, and that is none."),
	ErrEmailUsed:    api.Err("EMAIL_ADDRESS_USED", "5a1e9b1c-5d1e-4b5a-9d1f-6a6c2f6e4f09", "That mail address is another account's."),
	ErrNoMail:       api.Err("MAIL_NOT_AVAILABLE", "5a1e9b1c-5d1e-4b5a-9d1f-6a6c2f6e4f10", "This server asks for a mail address, and sends no mail at the moment."),
	ErrReason:       api.Err("REASON_REQUIRED", "5a1e9b1c-5d1e-4b5a-9d1f-6a6c2f6e4f11", "Say why you would like to be here."),
}

// SignupError gives the API's error for one of signing up; others pass.
func SignupError(err error) error {
	for cause, e := range signupErrors {
		if errors.Is(err, cause) {
			return e
		}
	}
	return err
}

// Sign-ups that one address may make.
const (
	signups   = 10
	signupsIn = triesWithin
)

// Apply signs somebody up by the rules of the moment: with an invitation, by
// way of a letter, or with a moderator's consent, as the settings say. It is
// counted against the address. Errors are the API's.
func (s *Service) Apply(ctx context.Context, ip netip.Addr, a Application) (*Applied, error) {
	if !s.meta.Test() {
		if _, ok := s.limits().Take("signup\x00"+api.IPKey(ip), signups, signupsIn, 0); !ok {
			return nil, errTooOften
		}
	}
	n := NewAccount{Username: a.Username, Password: a.Password, Host: a.Host, Invitation: a.Invitation}
	first, err := s.meta.RequiresSetup(ctx, s.db)
	if err != nil {
		return nil, err
	}
	if first && s.setup != "" && a.Host == nil {
		return nil, SignupError(ErrRegistration) // admin/accounts/create asks for the password
	}
	if !first {
		if err := s.checkCaptcha(ctx, a.Captchas); err != nil {
			return nil, err
		}
	}
	set := s.meta.Get()
	if a.Host == nil && !first && (set.EmailRequiredToSignup || set.ApprovalRequired) {
		waits, err := s.pend(ctx, n, a)
		if err != nil {
			return nil, SignupError(err)
		}
		return &Applied{Waits: waits}, nil
	}
	u, token, err := s.SignUp(ctx, n)
	if err != nil {
		return nil, SignupError(err)
	}
	return &Applied{User: u, Token: token}, nil
}
