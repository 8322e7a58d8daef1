package delivery

import (
	"context"
	"crypto"
	"fmt"
	"io"
	"sync"
	"time"

	"buttersc.one/oven/internal/lib/httpsig"
	"buttersc.one/oven/internal/lib/pg"
)

const (
	maxKeys = 4096
	// keyFor bounds how long another process's new key is not noticed.
	keyFor = 5 * time.Minute
)

// keyring remembers parsed keys: to open and parse one takes longer than to
// look up a thousand.
type keyring struct {
	mu sync.Mutex
	m  map[string]held
}

type held struct {
	key  httpsig.Key
	gone bool // its account has ended
	till time.Time
}

func (k *keyring) get(actorID string, now time.Time) (held, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	h, ok := k.m[actorID]
	return h, ok && now.Before(h.till)
}

func (k *keyring) put(actorID string, h held) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.m == nil || len(k.m) >= maxKeys {
		k.m = map[string]held{}
	}
	k.m[actorID] = h
}

func (k *keyring) drop(actorID string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.m, actorID)
}

func (k *keyring) forget() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.m = nil
}

const (
	sqlRetireKey = `UPDATE fed_key SET retired_at = now() WHERE actor_id = $1 AND retired_at IS NULL`
	sqlAddKey    = `INSERT INTO fed_key (actor_id, key_uri, private_enc, public_pem) VALUES ($1, $2, $3, $4)`
)

// AddKey gives a local actor a key, in place of the one it has. The key is kept
// when the account goes: its Delete is still to be signed.
func (s *Service) AddKey(ctx context.Context, tx *pg.Tx, actorID, keyURI string, pair *httpsig.KeyPair) error {
	if _, err := tx.Exec(ctx, sqlRetireKey, actorID); err != nil {
		return fmt.Errorf("add key: %w", err)
	}
	sealed := s.cfg.Box.Seal([]byte(pair.PrivatePEM), keyContext(actorID))
	if _, err := tx.Exec(ctx, sqlAddKey, actorID, keyURI, sealed, pair.PublicPEM); err != nil {
		return fmt.Errorf("add key: %w", err)
	}
	tx.AfterCommit(func() { s.keys.drop(actorID) })
	return nil
}

func keyContext(actorID string) string { return "fed_key.private:" + actorID }

const sqlKey = `SELECT key_uri, private_enc, gone_at IS NOT NULL FROM fed_key WHERE actor_id = $1 AND retired_at IS NULL`

// Key signs for the actor; ErrNoKey when it has none.
func (s *Service) Key(ctx context.Context, actorID string) (httpsig.Key, error) {
	h, err := s.key(ctx, actorID)
	return h.key, err
}

func (s *Service) key(ctx context.Context, actorID string) (held, error) {
	now := s.now()
	if h, ok := s.keys.get(actorID, now); ok {
		return h, nil
	}
	h := held{till: now.Add(keyFor)}
	var sealed []byte
	if err := s.db.QueryRow(ctx, sqlKey, actorID).Scan(&h.key.ID, &sealed, &h.gone); err != nil {
		if pg.NoRows(err) {
			return held{}, ErrNoKey
		}
		return held{}, fmt.Errorf("key of %s: %w", actorID, err)
	}
	text, err := s.cfg.Box.Open(sealed, keyContext(actorID))
	if err != nil {
		return held{}, &keyError{actorID, err}
	}
	if h.key.Signer, err = httpsig.ParsePrivateKey(string(text)); err != nil {
		return held{}, &keyError{actorID, err}
	}
	s.keys.put(actorID, h)
	return h, nil
}

const (
	sqlRetireActor = `UPDATE fed_key SET gone_at = now() WHERE actor_id = $1 AND retired_at IS NULL`
	sqlOldKeys     = `DELETE FROM fed_key WHERE coalesce(gone_at, retired_at) < $1`
)

// Retire says that the actor's account has ended: what was not sent of it is not
// sent any more, but for what takes things back.
func (s *Service) Retire(ctx context.Context, tx *pg.Tx, actorID string) error {
	if _, err := tx.Exec(ctx, sqlRetireActor, actorID); err != nil {
		return fmt.Errorf("retire %s: %w", actorID, err)
	}
	tx.AfterCommit(func() { s.keys.drop(actorID) })
	return nil
}

// keepKeys is how long the key of an account that has ended is kept: as long as
// what it deleted is told to servers that were away, and a week.
const keepKeys = 97 * 24 * time.Hour

// dropKeys removes keys that nothing is signed with any more.
func (s *Service) dropKeys(ctx context.Context) error {
	if _, err := s.db.Exec(ctx, sqlOldKeys, s.now().Add(-keepKeys)); err != nil {
		return fmt.Errorf("old keys: %w", err)
	}
	return nil
}

// keyError is a key that is there and cannot be used.
type keyError struct {
	actorID string
	err     error
}

func (e *keyError) Error() string { return "key of " + e.actorID + ": " + e.err.Error() }
func (e *keyError) Unwrap() error { return e.err }

const sqlPublicKey = `SELECT public_pem FROM fed_key WHERE actor_id = $1 AND retired_at IS NULL`

// PublicPEM is the public part of the actor's key; ErrNoKey when it has none.
func (s *Service) PublicPEM(ctx context.Context, actorID string) (string, error) {
	return s.PublicPEMIn(ctx, s.db, actorID)
}

// PublicPEMIn is PublicPEM inside a transaction.
func (s *Service) PublicPEMIn(ctx context.Context, q pg.Q, actorID string) (string, error) {
	var text string
	if err := q.QueryRow(ctx, sqlPublicKey, actorID).Scan(&text); err != nil {
		if pg.NoRows(err) {
			return "", ErrNoKey
		}
		return "", fmt.Errorf("key of %s: %w", actorID, err)
	}
	return text, nil
}

// gate lets only so many signatures of the lower lanes be made at a time: an RSA
// signature is a millisecond of a core. While live ones wait to be made, next to
// none are; while some were made a moment ago, some cores are left free for the
// next; else they may have all cores.
type gate struct {
	mu      sync.Mutex
	free    *sync.Cond
	busy    int
	few     int // after live ones
	all     int
	waiting int       // live ones that are not signed yet
	arrived time.Time // when the last of them came
	live    time.Time // when one was signed last
	look    *time.Timer
	last    time.Time // when one of the lower lanes was let in
}

const (
	// quiet is how long nothing live must have been signed.
	quiet = 500 * time.Millisecond
	// urgent is how long a live one is waited for: what is not signed then waits for
	// something else than the CPU, such as a place at its host.
	urgent = 50 * time.Millisecond
	// trickle: so often one of the lower lanes is signed, however many live ones
	// wait.
	trickle = 20 * time.Millisecond
)

func newGate(cores int) *gate {
	g := &gate{few: max(1, cores/2), all: cores}
	g.free = sync.NewCond(&g.mu)
	g.look = time.AfterFunc(time.Hour, g.wake)
	return g
}

func (g *gate) enter() {
	g.mu.Lock()
	defer g.mu.Unlock()
	for g.busy >= g.limit() {
		g.free.Wait()
	}
	g.busy++
	g.last = time.Now()
}

func (g *gate) limit() int {
	now := time.Now()
	waiting := g.waiting > 0 && now.Sub(g.arrived) < urgent
	switch {
	case waiting && now.Sub(g.last) < trickle:
		return 0
	case waiting || now.Sub(g.live) < quiet:
		return g.few
	}
	return g.all
}

// wake has as many look as could be let in: hundreds may wait.
func (g *gate) wake() {
	for range g.all {
		g.free.Signal()
	}
}

func (g *gate) leave() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.busy--
	g.free.Signal()
}

// awaitLive says that something live is about to be signed; the function it
// gives, that it was, or will not be. Calling that again does nothing.
func (g *gate) awaitLive() (signed func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.waiting++
	g.arrived = time.Now()
	g.look.Reset(urgent)
	return sync.OnceFunc(func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.waiting--
		g.live = time.Now()
		g.wake()
	})
}

// gated signs when the gate lets it.
type gated struct {
	crypto.Signer
	gate *gate
}

func (g gated) Sign(rand io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	g.gate.enter()
	defer g.gate.leave()
	return g.Signer.Sign(rand, digest, opts)
}
