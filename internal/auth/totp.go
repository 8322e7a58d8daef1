package auth

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base32"
	"encoding/base64"
	"fmt"
	"image/png"
	"net/url"
	"strings"

	"github.com/pquerna/otp"
	"github.com/pquerna/otp/hotp"

	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/socket/api"
)

// Codes by time (RFC 6238): six digits of SHA-1 every 30 s, as every
// authenticator knows. The code before and the one after are taken too, for
// clocks that differ and people who are slow (§5.2); Misskey takes five each
// way, which makes guessing four times as easy.
const (
	period     = 30 // seconds
	skew       = 1  // steps
	seedLength = 20 // bytes
	digits     = otp.DigitsSix

	backupCodes  = 5
	backupLength = 10 // bytes: 80 bits, 16 characters
)

func seedContext(userID string) string { return "account.totp:" + userID }

func code(seed string, step int64) (string, error) {
	return hotp.GenerateCodeCustom(seed, uint64(step), hotp.ValidateOpts{Digits: digits, Algorithm: otp.AlgorithmSHA1})
}

// stepOf finds the time step of a code; ok is false when it is none of now.
func (s *Service) stepOf(seed, given string) (step int64, ok bool, err error) {
	now := s.now().Unix() / period
	for at := now - skew; at <= now+skew; at++ {
		want, err := code(seed, at)
		if err != nil {
			return 0, false, fmt.Errorf("code: %w", err)
		}
		if subtle.ConstantTimeCompare([]byte(want), []byte(given)) == 1 {
			step, ok = at, true
		}
	}
	return step, ok, nil
}

func plainCode(given string) string {
	return strings.ToUpper(strings.NewReplacer(" ", "", "-", "").Replace(strings.TrimSpace(given)))
}

const (
	sqlSeed = `SELECT totp_enc FROM account WHERE user_id = $1 AND two_factor_enabled`
	// A code is taken once: only a later step than the last counts.
	sqlTakeStep = `UPDATE account SET totp_step = $2 WHERE user_id = $1 AND two_factor_enabled AND totp_step < $2`
	sqlTakeCode = `UPDATE account SET backup_codes = array_remove(backup_codes, $2)
WHERE user_id = $1 AND two_factor_enabled AND $2 = ANY(backup_codes)`
)

// takeCode uses up a code of the authenticator or a backup code of the account.
func (s *Service) takeCode(ctx context.Context, userID, given string) (bool, error) {
	given = plainCode(given)
	if len(given) != digits.Length() {
		tag, err := s.db.Exec(ctx, sqlTakeCode, userID, hashToken(given))
		if err != nil {
			return false, fmt.Errorf("backup code: %w", err)
		}
		if tag.RowsAffected() == 1 {
			return true, s.db.Tx(ctx, func(tx *pg.Tx) error { return s.updated(ctx, tx, userID) })
		}
		return false, nil
	}
	var sealed []byte
	if err := s.db.QueryRow(ctx, sqlSeed, userID).Scan(&sealed); err != nil {
		if pg.NoRows(err) {
			return false, nil
		}
		return false, fmt.Errorf("seed: %w", err)
	}
	seed, err := s.box.Open(sealed, seedContext(userID))
	if err != nil {
		return false, fmt.Errorf("seed: %w", err)
	}
	step, ok, err := s.stepOf(string(seed), given)
	if err != nil || !ok {
		return false, err
	}
	tag, err := s.db.Exec(ctx, sqlTakeStep, userID, step)
	if err != nil {
		return false, fmt.Errorf("code: %w", err)
	}
	return tag.RowsAffected() == 1, nil
}

// proofReq is what an owner shows.
type proofReq struct {
	Password string  `json:"password" api:"required,max=1024"`
	Token    *string `json:"token" api:"nullable,max=64"`
}

type seedRes struct {
	QR     string `json:"qr"` // a picture, as a data URL
	URL    string `json:"url"`
	Secret string `json:"secret"`
	Label  string `json:"label"`
	Issuer string `json:"issuer"`
}

var errRegisterPassword = api.Err("INCORRECT_PASSWORD", "78d6c839-20c9-4c66-b90a-fc0542168b48", "The password is not right.")

const sqlNextSeed = `UPDATE account SET totp_next_enc = $2 WHERE user_id = $1`

// apiRegisterTOTP makes a seed for an authenticator. The one in use stays until
// the new one has proven itself.
func (s *Service) apiRegisterTOTP(ctx context.Context, c *api.Call, req proofReq) (*seedRes, error) {
	if err := s.Prove(ctx, c, req.Password, req.Token, errRegisterPassword); err != nil {
		return nil, err
	}
	u, err := s.users.ByID(ctx, c.UserID)
	if err != nil {
		return nil, err
	}
	b := make([]byte, seedLength)
	if _, err := rand.Read(b); err != nil {
		return nil, err
	}
	seed := base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(b)
	res := &seedRes{Secret: seed, Label: u.Username, Issuer: s.meta.Host}
	q := url.Values{"secret": {seed}, "issuer": {res.Issuer}}
	res.URL = "otpauth://totp/" + url.PathEscape(res.Issuer+":"+res.Label) + "?" + q.Encode()
	if res.QR, err = picture(res.URL); err != nil {
		return nil, err
	}
	if _, err := s.db.Exec(ctx, sqlNextSeed, c.UserID, s.box.Seal([]byte(seed), seedContext(c.UserID))); err != nil {
		return nil, fmt.Errorf("seed: %w", err)
	}
	return res, nil
}

// picture is the address of a seed as a QR code.
func picture(address string) (string, error) {
	key, err := otp.NewKeyFromURL(address)
	if err != nil {
		return "", fmt.Errorf("picture: %w", err)
	}
	img, err := key.Image(240, 240)
	if err != nil {
		return "", fmt.Errorf("picture: %w", err)
	}
	var b bytes.Buffer
	if err := png.Encode(&b, img); err != nil {
		return "", fmt.Errorf("picture: %w", err)
	}
	return "data:image/png;base64," + base64.StdEncoding.EncodeToString(b.Bytes()), nil
}

type doneReq struct {
	Token string `json:"token" api:"required,max=64"`
}

type doneRes struct {
	BackupCodes []string `json:"backupCodes"`
}

var errNoSeed = api.Err("NO_SEED", "2f0b2f1e-6a43-4c5e-8f0d-5a8f3d1c2b10", "No authenticator is being set up.")

const (
	sqlNext = `SELECT totp_next_enc FROM account WHERE user_id = $1`
	sqlDone = `
UPDATE account SET two_factor_enabled = true, totp_enc = totp_next_enc, totp_next_enc = NULL, totp_step = $3, backup_codes = $4
WHERE user_id = $1 AND totp_next_enc = $2`
)

// apiDoneTOTP switches the second factor on: the authenticator has shown that it
// knows the seed. The backup codes are told this once.
func (s *Service) apiDoneTOTP(ctx context.Context, c *api.Call, req doneReq) (*doneRes, error) {
	var sealed []byte
	if err := s.db.QueryRow(ctx, sqlNext, c.UserID).Scan(&sealed); err != nil {
		return nil, fmt.Errorf("seed: %w", err)
	}
	if sealed == nil {
		return nil, errNoSeed
	}
	seed, err := s.box.Open(sealed, seedContext(c.UserID))
	if err != nil {
		return nil, fmt.Errorf("seed: %w", err)
	}
	step, ok, err := s.stepOf(string(seed), plainCode(req.Token))
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, errToken
	}
	codes, hashes, err := newBackupCodes()
	if err != nil {
		return nil, err
	}
	err = s.db.Tx(ctx, func(tx *pg.Tx) error {
		tag, err := tx.Exec(ctx, sqlDone, c.UserID, sealed, step, hashes)
		if err != nil {
			return err
		}
		if tag.RowsAffected() == 0 {
			return errNoSeed // another call was faster
		}
		return s.updated(ctx, tx, c.UserID)
	})
	if err != nil {
		return nil, fmt.Errorf("second factor: %w", err)
	}
	return &doneRes{BackupCodes: codes}, nil
}

func newBackupCodes() (codes []string, hashes [][]byte, err error) {
	for range backupCodes {
		b := make([]byte, backupLength)
		if _, err := rand.Read(b); err != nil {
			return nil, nil, err
		}
		c := base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(b)
		codes, hashes = append(codes, c), append(hashes, hashToken(c))
	}
	return codes, hashes, nil
}

var errUnregisterPassword = api.Err("INCORRECT_PASSWORD", "7add0395-9901-4098-82f9-4f67af65f775", "The password is not right.")

const (
	sqlUnregister = `
UPDATE account SET two_factor_enabled = false, totp_enc = NULL, totp_next_enc = NULL, totp_step = 0, backup_codes = '{}', password_less = false
WHERE user_id = $1`
	sqlDropKeys = `DELETE FROM security_key WHERE user_id = $1`
)

// apiUnregister switches the second factor off.
func (s *Service) apiUnregister(ctx context.Context, c *api.Call, req proofReq) (api.None, error) {
	if err := s.Prove(ctx, c, req.Password, req.Token, errUnregisterPassword); err != nil {
		return api.None{}, err
	}
	return api.None{}, s.db.Tx(ctx, func(tx *pg.Tx) error { return s.withoutFactors(ctx, tx, c.UserID) })
}

// withoutFactors leaves an account with its password. The passkeys go too: they
// would come back to life, unasked, with the next authenticator.
func (s *Service) withoutFactors(ctx context.Context, tx *pg.Tx, userID string) error {
	for _, sql := range []string{sqlUnregister, sqlDropKeys} {
		if _, err := tx.Exec(ctx, sql, userID); err != nil {
			return fmt.Errorf("second factor off: %w", err)
		}
	}
	return s.updated(ctx, tx, userID)
}
