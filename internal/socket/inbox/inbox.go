// Package inbox is in charge of what other servers send: checking who signed
// it, storing it before it is answered, and bringing each activity to the slice
// that handles it, once, in order for each object. It does not know what an
// activity means, and no handler asks the network: what is missing is fetched
// in a lane of its own while the activity waits.
package inbox

import (
	"context"
	"crypto"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"buttersc.one/oven/internal/lib/ap"
	"buttersc.one/oven/internal/lib/pg"
)

// Activity is one that a handler is given: its signer is its actor, and what it
// creates, changes or deletes is on the actor's own host.
type Activity struct {
	ID       string
	Type     string
	Actor    string // the actor's id
	ActorID  string // its account here
	Host     string // authority of the actor
	Object   *ap.Object
	Received time.Time
	// Last says that what the activity waited for did not come: store what can
	// be stored without.
	Last bool
}

// Handler handles activities of one type, with objects of some types.
type Handler struct {
	activity string
	objects  []string
	call     func(ctx context.Context, tx *pg.Tx, a *Activity) error
}

// On makes a handler. objects are the types of the activity's object that it
// takes: none means any, "" an object that is only named by its id.
func On(activity string, f func(ctx context.Context, tx *pg.Tx, a *Activity) error, objects ...string) Handler {
	return Handler{activity: activity, objects: objects, call: f}
}

// dropped is the end of an activity that is nothing to anybody here.
type dropped struct{ reason string }

func (d dropped) Error() string { return "dropped: " + d.reason }

// Drop says that there is nothing to do, and that trying again would not change
// it. The transaction is rolled back.
func Drop(reason string) error { return dropped{reason} }

// Needs says that the handler must know what is at the address first.
type Needs struct{ URI string }

func (n Needs) Error() string { return "needs " + n.URI }

// Key is an actor's public key.
type Key struct {
	ID        string
	Public    crypto.PublicKey
	Actor     string // the actor's id
	UserID    string // its account here
	Suspended bool
}

// ErrNoKey says that a key is not known, or not to be had.
var ErrNoKey = errors.New("no such key")

// Keys finds the keys of actors.
type Keys interface {
	// Key gives a key that is known; ErrNoKey otherwise. It asks nobody.
	Key(ctx context.Context, keyID string) (*Key, error)
	// FetchKey asks the key's server.
	FetchKey(ctx context.Context, keyID string) (*Key, error)
	// Known tells whether the actor has an account here.
	Known(ctx context.Context, actor string) (bool, error)
}

// HostPolicy says with which hosts this server speaks.
type HostPolicy interface {
	Allowed(ctx context.Context, host string) error
}

// Fetcher makes known what is at an address: an actor or a note.
type Fetcher interface {
	Fetch(ctx context.Context, uri string) error
}

// Config of a Service.
type Config struct {
	DB      *pg.DB
	Keys    Keys
	Policy  HostPolicy
	Fetcher Fetcher
	Self    string // this server's authority, which signatures must be for
	Origin  string
	Log     *slog.Logger
	Now     func() time.Time
	Heard   func(host string)    // a verified request came from the host
	Gone    func(err error) bool // whether a failed fetch is final
	Workers int                  // 0: 4
}

// Service is the package's door.
type Service struct {
	cfg      Config
	db       *pg.DB
	log      *slog.Logger
	handlers map[string][]Handler
	limits   *buckets
	slots    chan struct{} // requests being read or verified
	asked    *askedKeys
	fetches  singleflight.Group
	accepts  chan *accepted
	wake     chan struct{}
	busy     busy
	reset    sync.RWMutex // held for reading by workers, for writing by Reset
}

// inFlight is how many requests are read and verified at a time.
const inFlight = 256

// New makes the service; Plug handlers, then Run it.
func New(cfg Config) *Service {
	if cfg.Workers == 0 {
		cfg.Workers = 4
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &Service{cfg: cfg, db: cfg.DB, log: cfg.Log, handlers: map[string][]Handler{}, limits: newBuckets(),
		slots: make(chan struct{}, inFlight), asked: newAskedKeys(), accepts: make(chan *accepted, 1024),
		wake: make(chan struct{}, 1), busy: busy{hosts: map[string]int{}, objects: map[int64]bool{}}}
}

// Plug adds handlers, before Run.
func (s *Service) Plug(hs ...Handler) {
	for _, h := range hs {
		s.handlers[h.activity] = append(s.handlers[h.activity], h)
	}
}

// handler finds who takes an activity; nil for nobody.
func (s *Service) handler(o *ap.Object) *Handler {
	for _, t := range o.Types() {
		for i, h := range s.handlers[t] {
			if h.takes(o) {
				return &s.handlers[t][i]
			}
		}
	}
	return nil
}

func (h *Handler) takes(o *ap.Object) bool {
	if len(h.objects) == 0 {
		return true
	}
	inner := o.Object("object")
	for _, want := range h.objects {
		if want == "" && inner == nil || want != "" && inner.Is(want) {
			return true
		}
	}
	return false
}

// hashOf is what an id is remembered by.
func hashOf(id string) []byte {
	h := sha256.Sum256([]byte(id))
	return h[:]
}

// keyOf is the number by which activities about one object are kept in order.
func keyOf(object string) int64 {
	return int64(binary.BigEndian.Uint64(hashOf(object))) //nolint:gosec // any number will do
}

const (
	sqlTombstone = `INSERT INTO fed_tombstone (hash, until) VALUES ($1, now() + interval '7 days')
ON CONFLICT (hash) DO UPDATE SET until = excluded.until`
	sqlBuried = `SELECT EXISTS (SELECT FROM fed_tombstone WHERE hash = $1 AND until > now())`
)

// Tombstone remembers for seven days that what has this id was deleted or
// undone, in the transaction that found it missing.
func (s *Service) Tombstone(ctx context.Context, tx *pg.Tx, uri string) error {
	_, err := tx.Exec(ctx, sqlTombstone, hashOf(uri))
	return err
}

// Buried tells whether what has this id was deleted or undone before it came.
func (s *Service) Buried(ctx context.Context, tx *pg.Tx, uri string) (bool, error) {
	var yes bool
	err := tx.QueryRow(ctx, sqlBuried, hashOf(uri)).Scan(&yes)
	return yes, err
}
