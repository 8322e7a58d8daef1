package auth

import (
	"context"
	"fmt"
	"net"
	"time"

	"buttersc.one/oven/internal/lib/id"
	"buttersc.one/oven/internal/lib/mail"
	"buttersc.one/oven/internal/lib/mailcheck"
	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/socket/api"
	"buttersc.one/oven/internal/user"
)

// accountEndpoints change the password and the address, or bring back whoever
// has lost them.
func (s *Service) accountEndpoints() []api.Endpoint {
	return []api.Endpoint{
		api.Post("i/update-email", s.apiUpdateEmail, api.Secure, api.Limit(3, time.Hour), api.Errors(errWrongPassword, errUnavailable, errEmailRequired)),
		api.Post("verify-email", s.apiVerifyEmail, api.Visitors, api.Limit(30, time.Hour), api.Errors(errNoCode)),
		api.Post("email-address/available", s.apiEmailAvailable, api.Visitors, api.Limit(60, time.Hour)),
		api.Post("i/change-password", s.apiChangePassword, api.Secure, api.Errors(errChangePassword)),
		api.Post("i/regenerate-token", s.apiRegenerateToken, api.Secure, api.Errors(errWrongPassword)),
		api.Post("request-reset-password", s.apiRequestReset, api.Visitors, api.Limit(3, time.Hour)),
		api.Post("reset-password", s.apiReset, api.Visitors, api.Limit(10, time.Hour), api.Errors(errResetToken)),
		api.Post("admin/accounts/create", s.apiCreate, api.Visitors, api.Errors(errCreateDenied, errCreateSetup)),
		api.Post("admin/reset-password", s.apiAdminReset, api.Moderator("write:admin:reset-password"), api.Errors(errAdminResetNone, errAdminResetDenied)),
	}
}

type availableEmailReq struct {
	EmailAddress string `json:"emailAddress" api:"required,max=1024"`
}

type availableEmailRes struct {
	Available bool    `json:"available"`
	Reason    *string `json:"reason"`
}

const sqlEmailUsed = `SELECT EXISTS (SELECT FROM account WHERE lower(email) = lower($1) AND email_verified AND user_id <> $2)`

// whyNot is why an address cannot be had by the account ("" for one that is
// new), in Misskey's words; "" when it can. It may ask others, so no transaction is open.
func (s *Service) whyNot(ctx context.Context, email, userID string) (string, error) {
	if !mail.Valid(email) {
		return string(mailcheck.Format), nil
	}
	var used bool
	if err := s.db.QueryRow(ctx, sqlEmailUsed, email, userID).Scan(&used); err != nil {
		return "", fmt.Errorf("address: %w", err)
	}
	switch {
	case used:
		return "used", nil
	case s.meta.Get().BansAddress(email):
		return "banned", nil
	}
	return string(s.reachable(ctx, email)), nil
}

// reachable is why an address cannot be written to, as far as it is asked: by the
// services that are switched on, or by what its domain says. Not in test mode.
func (s *Service) reachable(ctx context.Context, email string) mailcheck.Reason {
	set := s.meta.Get().AddressSettings
	if s.meta.Test() || !set.ActiveEmailValidation {
		return ""
	}
	var why mailcheck.Reason
	var err error
	switch {
	case set.EnableVerifymailAPI && deref(set.VerifymailAuthKey) != "":
		why, err = mailcheck.Verifymail(ctx, s.web, *set.VerifymailAuthKey, email)
	case set.EnableTruemailAPI && deref(set.TruemailInstance) != "":
		why, err = mailcheck.Truemail(ctx, s.own, *set.TruemailInstance, deref(set.TruemailAuthKey), email)
	default:
		why = mailcheck.Domain(ctx, net.DefaultResolver, email)
	}
	if err != nil {
		s.slog.Error("mail address", "err", err)
	}
	return why
}

func (s *Service) apiEmailAvailable(ctx context.Context, _ *api.Call, req availableEmailReq) (*availableEmailRes, error) {
	why, err := s.whyNot(ctx, req.EmailAddress, "")
	if err != nil {
		return nil, err
	}
	if why != "" {
		return &availableEmailRes{Reason: &why}, nil
	}
	return &availableEmailRes{Available: true}, nil
}

type updateEmailReq struct {
	proofReq
	Email *string `json:"email" api:"nullable,max=1024"`
}

var (
	errUnavailable   = api.Err("UNAVAILABLE", "a2defefb-f220-8849-0af6-17f816099323", "That address cannot be had.")
	errEmailRequired = api.Err("EMAIL_REQUIRED", "324c7a88-59f2-492f-903f-89134f93e47e", "This server asks for an address.")
)

// emailProofFor is how long a code that proves an address is good.
const emailProofFor = 24 * time.Hour

const codeLength = 32

const (
	sqlSetEmail   = `UPDATE account SET email = $2, email_verified = false WHERE user_id = $1`
	sqlDropProof  = `DELETE FROM email_proof WHERE user_id = $1`
	sqlEmailProof = `INSERT INTO email_proof (user_id, code_hash, email, expires_at) VALUES ($1, $2, $3, $4)`
)

// apiUpdateEmail sets the account's address, which counts for nothing until it
// is proven; null takes it away. The address that was is told.
func (s *Service) apiUpdateEmail(ctx context.Context, c *api.Call, req updateEmailReq) (*user.Detailed, error) {
	if err := s.Prove(ctx, c, req.Password, req.Token, errWrongPassword); err != nil {
		return nil, err
	}
	if req.Email == nil || *req.Email == "" {
		req.Email = nil
		if s.meta.Get().EmailRequiredToSignup {
			return nil, errEmailRequired
		}
	} else if why, err := s.whyNot(ctx, *req.Email, c.UserID); err != nil {
		return nil, err
	} else if why != "" {
		return nil, errUnavailable
	}
	u, err := s.users.ByID(ctx, c.UserID)
	if err != nil {
		return nil, err
	}
	if err := s.db.Tx(ctx, func(tx *pg.Tx) error { return s.setEmail(ctx, tx, u, req.Email) }); err != nil {
		return nil, fmt.Errorf("address: %w", err)
	}
	return s.users.PackMe(ctx, u, true)
}

func (s *Service) setEmail(ctx context.Context, tx *pg.Tx, u *user.User, email *string) error {
	if err := s.tell(ctx, tx, u.ID, letterMoved, "", time.Time{}); err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, sqlSetEmail, u.ID, email); err != nil {
		return err
	}
	// Reset links in the mail box that was, and codes for other addresses, are void.
	for _, sql := range []string{sqlDropProof, sqlDropResets} {
		if _, err := tx.Exec(ctx, sql, u.ID); err != nil {
			return err
		}
	}
	if email != nil {
		code, until := id.Random(codeLength), s.now().Add(emailProofFor)
		if _, err := tx.Exec(ctx, sqlEmailProof, u.ID, hashToken(code), *email, until); err != nil {
			return err
		}
		lang, err := s.LanguageOf(ctx, tx, u.ID)
		if err != nil {
			return err
		}
		if err := s.mail.Send(ctx, tx, s.letter(letterVerify, lang, *email, u.Username, s.meta.Origin+"/verify-email/"+code, until)); err != nil {
			return err
		}
	}
	return s.updated(ctx, tx, u.ID)
}

const sqlLang = `SELECT coalesce(lang, '') FROM user_profile WHERE user_id = $1`

// LanguageOf is what an account is written to in: its language, else the server's.
// The latter holds for an account that has lost its profile, too.
func (s *Service) LanguageOf(ctx context.Context, q pg.Q, userID string) (string, error) {
	var lang string
	if err := q.QueryRow(ctx, sqlLang, userID).Scan(&lang); err != nil && !pg.NoRows(err) {
		return "", fmt.Errorf("language: %w", err)
	}
	return s.fallback(lang), nil
}

type codeReq struct {
	Code string `json:"code" api:"required,min=1,max=128"`
}

var errNoCode = api.Err("NO_SUCH_CODE", "97c1f576-e4b8-4b8a-a6dc-9cb65e7f6f85", "The code is not right, was used, or is too old.")

const (
	sqlProven = `DELETE FROM email_proof WHERE code_hash = $1 AND expires_at > $2 RETURNING user_id, email`
	// Only the address that the code was sent to, and only if nobody else has
	// proven it meanwhile.
	sqlVerified = `
UPDATE account a SET email_verified = true
WHERE a.user_id = $1 AND a.email = $2 AND NOT EXISTS (SELECT FROM account o WHERE lower(o.email) = lower($2) AND o.email_verified AND o.user_id <> $1)`
)

// apiVerifyEmail takes the code of a letter: the account has the address.
func (s *Service) apiVerifyEmail(ctx context.Context, _ *api.Call, req codeReq) (api.None, error) {
	err := s.db.Tx(ctx, func(tx *pg.Tx) error {
		var userID, email string
		err := tx.QueryRow(ctx, sqlProven, hashToken(req.Code), s.now()).Scan(&userID, &email)
		if pg.NoRows(err) {
			return errNoCode
		}
		if err != nil {
			return err
		}
		tag, err := tx.Exec(ctx, sqlVerified, userID, email)
		if pg.Violated(err) == "account_email_key" || err == nil && tag.RowsAffected() == 0 {
			return errNoCode
		}
		if err != nil {
			return err
		}
		return s.updated(ctx, tx, userID)
	})
	if err != nil {
		return api.None{}, fmt.Errorf("verify address: %w", err)
	}
	return api.None{}, nil
}
