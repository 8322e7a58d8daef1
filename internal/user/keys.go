package user

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"buttersc.one/oven/internal/lib/httpsig"
	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/socket/inbox"
)

const sqlKey = `
SELECT k.pem, u.id, u.uri, u.is_suspended, u.is_deleted, EXISTS (SELECT FROM following f WHERE f.followee_id = u.id) FROM user_publickey k JOIN "user" u ON u.id = k.user_id WHERE k.key_id = $1`

// Key implements inbox.Keys: the key as it is known, without the network.
// inbox.ErrNoKey when it is not.
func (s *Service) Key(ctx context.Context, keyID string) (*inbox.Key, error) {
	var pem string
	k := &inbox.Key{ID: keyID}
	var deleted bool
	err := s.db.QueryRow(ctx, sqlKey, keyID).Scan(&pem, &k.UserID, &k.Actor, &k.Suspended, &deleted, &k.Followed)
	if pg.NoRows(err) {
		return nil, inbox.ErrNoKey
	}
	if err != nil {
		return nil, fmt.Errorf("key: %w", err)
	}
	if k.Public, err = httpsig.ParsePublicKey(pem); err != nil {
		return nil, fmt.Errorf("key %s: %w", keyID, err)
	}
	return k, nil
}

// FetchKey implements inbox.Keys: asks the key's server. A key document of its
// own (GoToSocial) names the owner; the actor itself is fetched at the owner's
// address, never taken from a document at another URL.
func (s *Service) FetchKey(ctx context.Context, keyID string) (*inbox.Key, error) {
	uri, _, _ := strings.Cut(keyID, "#")
	if strings.HasPrefix(uri, s.meta.Origin+"/") {
		return nil, inbox.ErrNoKey
	}
	u, err := s.Refresh(ctx, uri)
	if errors.Is(err, ErrActor) || err != nil && uri == keyID {
		if owner := s.keyOwner(ctx, keyID); owner != "" && owner != uri {
			u, err = s.Refresh(ctx, owner)
		}
	}
	if err != nil {
		return nil, err
	}
	k, err := s.Key(ctx, keyID)
	if err != nil {
		return nil, err
	}
	if k.UserID != u.ID {
		return nil, inbox.ErrNoKey
	}
	return k, nil
}

// keyOwner asks a key document who owns the key.
func (s *Service) keyOwner(ctx context.Context, keyID string) string {
	o, err := s.remote.GetKey(ctx, keyID)
	if err != nil {
		return ""
	}
	if pk := o.Object("publicKey"); pk != nil {
		if owner := pk.Ref("owner"); owner != "" {
			return owner
		}
		return o.ID()
	}
	return o.Ref("owner")
}

const sqlKnown = `SELECT EXISTS (SELECT FROM "user" WHERE uri = $1)`

// Known implements inbox.Keys: whether the actor has a row, without asking the
// network.
func (s *Service) Known(ctx context.Context, actor string) (bool, error) {
	var known bool
	if err := s.db.QueryRow(ctx, sqlKnown, actor).Scan(&known); err != nil {
		return false, fmt.Errorf("actor: %w", err)
	}
	return known, nil
}

// SignGet implements remote.Signer: fetches are signed by the server's own
// actor.
func (s *Service) SignGet(ctx context.Context) (httpsig.Key, error) {
	u, err := s.EnsureInstanceActor(ctx)
	if err != nil {
		return httpsig.Key{}, err
	}
	return s.delivery.Key(ctx, u.ID)
}
