package auth

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"buttersc.one/oven/internal/lib/id"
	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/socket/api"
	"buttersc.one/oven/internal/user"
)

// What a sign-up waits for.
const (
	waitsForMail     = "mail"
	waitsForApproval = "approval"
)

// pendingFor is how long a letter that completes a sign-up is good.
const pendingFor = 30 * time.Minute

// Letters of sign-ups that one address is sent, so that nobody is flooded.
const (
	signupLetters   = 3
	signupLettersIn = time.Hour
)

// pending is a sign-up that is no account yet: it has no id, no token and no
// key, so nothing of it can be seen or federate.
type pending struct {
	ID       string
	Username string
	hash     string
	email    *string
	reason   *string
	lang     string
	waits    string
}

const (
	sqlPend = `
INSERT INTO signup_pending (id, username, username_lower, password_hash, email_enc, reason_enc, lang, waits_for, code_hash, expires_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`
	sqlReserve = `INSERT INTO used_username (username_lower) VALUES ($1) ON CONFLICT (username_lower) DO NOTHING RETURNING username_lower`
)

// pend puts an application away and tells what it waits for.
func (s *Service) pend(ctx context.Context, n NewAccount, a Application) (waits string, err error) {
	set := s.meta.Get()
	p := pending{ID: s.ids.Now(), Username: n.Username, lang: s.fallback(a.Lang), waits: waitsForApproval}
	if set.ApprovalRequired {
		reason := strings.TrimSpace(a.Reason)
		if reason == "" {
			return "", ErrReason
		}
		p.reason = &reason
	}
	if set.EmailRequiredToSignup {
		if err := s.mayWrite(ctx, a.Email); err != nil {
			return "", err
		}
		p.email, p.waits = &a.Email, waitsForMail
	}
	m, err := s.hashed(n)
	if err != nil {
		return "", err
	}
	p.hash = m.hash
	err = s.db.Tx(ctx, func(tx *pg.Tx) error { return s.insertPending(ctx, tx, n, &p) })
	if err != nil {
		return "", fmt.Errorf("sign up: %w", err)
	}
	return p.waits, nil
}

// mayWrite tells whether a letter can go to the address of a sign-up.
func (s *Service) mayWrite(ctx context.Context, email string) error {
	if !s.mail.Ready() {
		return ErrNoMail
	}
	switch why, err := s.whyNot(ctx, email, ""); {
	case err != nil:
		return err
	case why == "used":
		return ErrEmailUsed
	case why != "":
		return ErrEmail
	}
	if !s.meta.Test() {
		key := "signup-mail\x00" + hex.EncodeToString(hashToken(strings.ToLower(email)))
		if _, ok := s.limits().Take(key, signupLetters, signupLettersIn, 0); !ok {
			return errTooOften
		}
	}
	return nil
}

func (s *Service) insertPending(ctx context.Context, tx *pg.Tx, n NewAccount, p *pending) error {
	lower := strings.ToLower(p.Username)
	if p.waits == waitsForMail && slices.Contains(s.meta.Get().PreservedUsernames, lower) {
		return ErrDenied // the name that Misskey gives it on this way
	}
	if err := s.mayUse(ctx, tx, n, false); err != nil {
		return err
	}
	var taken bool
	if err := tx.QueryRow(ctx, sqlTaken, lower).Scan(&taken); err != nil {
		return err
	}
	if taken {
		return ErrDuplicated
	}
	var code string
	var hash []byte
	var until *time.Time
	if p.waits == waitsForMail {
		t := s.now().Add(pendingFor)
		code, until = id.Random(codeLength), &t
		hash = hashToken(code)
	} else if err := s.reserve(ctx, tx, lower); err != nil {
		return err
	}
	_, err := tx.Exec(ctx, sqlPend, p.ID, p.Username, lower, p.hash, s.sealed(p.email, p.ID), s.sealed(p.reason, p.ID), p.lang, p.waits, hash, until)
	if err != nil {
		return err
	}
	if s.meta.Get().DisableRegistration {
		if err := s.hold(ctx, tx, n.Invitation, p.ID); err != nil {
			return err
		}
	}
	if p.waits == waitsForMail {
		return s.mail.Send(ctx, tx, s.letter(letterSignup, p.lang, *p.email, p.Username, s.meta.Origin+"/signup-complete/"+code, *until))
	}
	return nil
}

// reserve keeps a name for a sign-up that waits for a moderator. It is never
// given out again, whatever is decided.
func (s *Service) reserve(ctx context.Context, tx *pg.Tx, lower string) error {
	err := tx.QueryRow(ctx, sqlReserve, lower).Scan(&lower)
	if pg.NoRows(err) {
		return ErrUsed
	}
	return err
}

func (s *Service) sealed(text *string, pendingID string) []byte {
	if text == nil {
		return nil
	}
	return s.box.Seal([]byte(*text), "signup_pending:"+pendingID)
}

func (s *Service) opened(sealed []byte, pendingID string) (*string, error) {
	if sealed == nil {
		return nil, nil //nolint:nilnil // nothing was written
	}
	b, err := s.box.Open(sealed, "signup_pending:"+pendingID)
	text := string(b)
	return &text, err
}

const pendingColumns = `p.id, p.username, p.password_hash, p.email_enc, p.reason_enc, p.lang, p.waits_for`

func (s *Service) scanPending(r pgx.CollectableRow) (*pending, error) {
	p := &pending{}
	var email, reason []byte
	if err := r.Scan(&p.ID, &p.Username, &p.hash, &email, &reason, &p.lang, &p.waits); err != nil {
		return nil, err
	}
	var err1, err2 error
	p.email, err1 = s.opened(email, p.ID)
	p.reason, err2 = s.opened(reason, p.ID)
	return p, errors.Join(err1, err2)
}

func (s *Service) onePending(ctx context.Context, tx *pg.Tx, sql string, args ...any) (*pending, error) {
	rows, err := tx.Query(ctx, sql, args...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectExactlyOneRow(rows, s.scanPending)
}

type signupPendingRes struct {
	ID string `json:"id"`
	I  string `json:"i"`
}

var errNoSignup = api.Err("NO_SUCH_CODE", "5a1e9b1c-5d1e-4b5a-9d1f-6a6c2f6e4f12", "The link is not right, was used, or is too old.")

const (
	sqlPendingByCode = `SELECT ` + pendingColumns + ` FROM signup_pending p
WHERE p.code_hash = $1 AND p.waits_for = 'mail' AND p.expires_at > $2 FOR UPDATE`
	sqlPendOn = `UPDATE signup_pending SET waits_for = 'approval', code_hash = NULL, expires_at = NULL WHERE id = $1`
)

// apiSignupPending completes a sign-up with the code of the letter: the account
// is made and signed in. Where moderators let people in it answers 204, and
// waits for them.
func (s *Service) apiSignupPending(ctx context.Context, c *api.Call, req codeReq) (*signupPendingRes, error) {
	if !s.meta.Test() {
		if _, ok := s.limits().Take("signup-pending\x00"+api.IPKey(c.IP), addressTries, triesWithin, 0); !ok {
			return nil, errTooOften
		}
	}
	pair, err := s.pair()
	if err != nil {
		return nil, err
	}
	var u *user.User
	var token string
	err = s.db.Tx(ctx, func(tx *pg.Tx) error {
		p, err := s.onePending(ctx, tx, sqlPendingByCode, hashToken(req.Code), s.now())
		if pg.NoRows(err) {
			return errNoSignup
		}
		if err != nil {
			return err
		}
		if s.meta.Get().ApprovalRequired {
			if err := s.reserve(ctx, tx, strings.ToLower(p.Username)); err != nil {
				return err
			}
			_, err := tx.Exec(ctx, sqlPendOn, p.ID)
			return err
		}
		if u, token, err = s.createPending(ctx, tx, p, pair); err != nil {
			return err
		}
		t := &try{id: s.ids.Now(), userID: u.ID, ip: c.IP}
		if _, err := tx.Exec(ctx, sqlTry, t.id, u.ID, c.IP.WithZone("").String(), network(c.IP)); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, sqlSucceed, t.id); err != nil {
			return err
		}
		return s.bus.Emit(ctx, tx, SignedIn{UserID: u.ID, At: s.now()})
	})
	if err != nil {
		return nil, SignupError(fmt.Errorf("complete sign-up: %w", err))
	}
	if u == nil {
		return nil, nil
	}
	return &signupPendingRes{ID: u.ID, I: token}, nil
}

const (
	sqlWaiting = `SELECT password_hash FROM signup_pending WHERE username_lower = $1 AND waits_for = 'approval'`
	sqlSweep   = `DELETE FROM signup_pending WHERE waits_for = 'mail' AND expires_at <= $1`
)

// waitingFlow is the sign-in of somebody whose account a moderator has not let
// in: with the password he is told so. For others there is no such account;
// none is what the caller would be told.
func (s *Service) waitingFlow(ctx context.Context, ip netip.Addr, req signinReq, none error) (*flowRes, error) {
	var hash string
	if err := s.db.QueryRow(ctx, sqlWaiting, strings.ToLower(req.Username)).Scan(&hash); err != nil {
		if pg.NoRows(err) {
			return nil, none
		}
		return nil, fmt.Errorf("waiting: %w", err)
	}
	if req.Password == nil {
		return &flowRes{Next: "captcha"}, nil
	}
	if err := s.checkCaptcha(ctx, req.answers()); err != nil {
		return nil, err
	}
	if !s.meta.Test() {
		if _, ok := s.limits().Take(addressKey(ip), addressTries, triesWithin, 0); !ok {
			return nil, errTooOften
		}
		if _, ok := s.limits().Take("waiting\x00"+strings.ToLower(req.Username), accountTries, triesWithin, 0); !ok {
			return nil, errTooOften
		}
	}
	if ok, _ := checkPassword(hash, *req.Password); !ok {
		return nil, errIncorrect
	}
	return nil, errNotApproved
}

// sweepArgs of the job that throws away what is out of date.
type sweepArgs struct{}

// Kind implements job.Args.
func (sweepArgs) Kind() string { return "auth.sweep" }

const (
	sqlSweepAsked  = `DELETE FROM auth_challenge WHERE expires_at <= $1`
	sqlSweepResets = `DELETE FROM password_reset WHERE expires_at <= $1`
	sqlSweepProofs = `DELETE FROM email_proof WHERE expires_at <= $1`
)

func (s *Service) sweep(ctx context.Context) error {
	return s.db.Tx(ctx, func(tx *pg.Tx) error {
		// Invitations first: they are good again when the letter is not.
		for _, sql := range []string{sqlReleaseLate, sqlSweep, sqlSweepAsked, sqlSweepResets, sqlSweepProofs} {
			if _, err := tx.Exec(ctx, sql, s.now()); err != nil {
				return fmt.Errorf("sweep: %w", err)
			}
		}
		return nil
	})
}
