package meta

import (
	"context"
	"crypto/ecdh"
	"crypto/rand"
	"encoding/base64"
	"fmt"

	"buttersc.one/oven/internal/lib/pg"
)

// PushKey is the key by which push services know this server, in the form in which
// browsers take it (base64url).
type PushKey struct{ Public, Private string }

const (
	sqlPushKey     = `SELECT public, private_enc FROM push_key`
	sqlMakePushKey = `INSERT INTO push_key (one, public, private_enc) VALUES (true, $1, $2) ON CONFLICT (one) DO NOTHING`
	pushContext    = "push key"
)

// PushKey is made when it is first asked for, and never changes: browsers that have
// subscribed are bound to it (RFC 8292 §4).
func (s *Service) PushKey(ctx context.Context) (*PushKey, error) {
	if k := s.push.Load(); k != nil {
		return k, nil
	}
	k := &PushKey{}
	var sealed []byte
	err := s.db.QueryRow(ctx, sqlPushKey).Scan(&k.Public, &sealed)
	if pg.NoRows(err) {
		if err = s.makePushKey(ctx); err == nil {
			err = s.db.QueryRow(ctx, sqlPushKey).Scan(&k.Public, &sealed)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("push key: %w", err)
	}
	plain, err := s.box.Open(sealed, pushContext)
	if err != nil {
		return nil, fmt.Errorf("push key: %w", err)
	}
	k.Private = string(plain)
	s.push.Store(k)
	return k, nil
}

func (s *Service) makePushKey(ctx context.Context) error {
	key, err := ecdh.P256().GenerateKey(rand.Reader)
	if err != nil {
		return err
	}
	b64 := base64.RawURLEncoding.EncodeToString
	_, err = s.db.Exec(ctx, sqlMakePushKey, b64(key.PublicKey().Bytes()), s.box.Seal([]byte(b64(key.Bytes())), pushContext))
	return err
}
