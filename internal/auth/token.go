package auth

import (
	"context"
	"errors"
	"fmt"

	"buttersc.one/oven/internal/lib/id"
	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/socket/api"
)

const sqlTokenEnc = `SELECT token_enc FROM account WHERE user_id = $1`

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

const (
	sqlNewToken   = `UPDATE account SET token_hash = $2, token_enc = $3 WHERE user_id = $1`
	sqlRevokeApps = `DELETE FROM access_token WHERE user_id = $1`
)

// endSessions gives the account another native token, which ends every session:
// open connections are told (myTokenRegenerated) and closed. With apps, the
// tokens of apps are gone too.
func (s *Service) endSessions(ctx context.Context, tx *pg.Tx, userID string, apps bool) error {
	token := id.RandomMixed(tokenLength)
	sealed := s.box.Seal([]byte(token), "account.token:"+userID)
	if _, err := tx.Exec(ctx, sqlNewToken, userID, hashToken(token), sealed); err != nil {
		return fmt.Errorf("end sessions: %w", err)
	}
	if apps {
		if _, err := tx.Exec(ctx, sqlRevokeApps, userID); err != nil {
			return fmt.Errorf("end sessions: %w", err)
		}
	}
	tx.AfterCommit(s.cache.drop)
	return s.log.Append(ctx, tx, "auth.revoked", userID, userID, revokedData{All: apps, Renewed: true})
}

type regenerateReq struct {
	Password string `json:"password" api:"required,max=1024"`
}

var errWrongPassword = api.Err("INCORRECT_PASSWORD", "e54c1d7e-e7d6-4103-86b6-0a95069b4ad3", "The password is not right.")

// apiRegenerateToken ends all sessions of the native token, open connections
// too. No code is asked for, as in Misskey: it takes from nobody but whoever
// may be in already.
func (s *Service) apiRegenerateToken(ctx context.Context, c *api.Call, req regenerateReq) (api.None, error) {
	key := "prove\x00" + c.UserID
	if !s.meta.Test() {
		if _, ok := s.limits().Take(key, proofs, proofsWithin, 0); !ok {
			return api.None{}, errProofs
		}
	}
	if err := s.Check(ctx, c.UserID, req.Password); err != nil {
		if errors.Is(err, ErrIncorrect) {
			return api.None{}, errWrongPassword
		}
		return api.None{}, err
	}
	s.limits().Return(key)
	return api.None{}, s.db.Tx(ctx, func(tx *pg.Tx) error { return s.endSessions(ctx, tx, c.UserID, false) })
}
