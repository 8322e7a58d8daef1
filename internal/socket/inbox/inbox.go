// Package inbox is in charge of what other servers send: it lets requests in at
// a bearable rate, verifies who signed them, keeps each activity durably before
// it answers 202, and hands it to the slice that plugged in a handler for it:
// once in effect, in order for each object, and fairly among hosts. It does not
// know what an activity means, and no handler asks the network: what is missing
// is fetched in a lane of its own while the activity waits.
//
// Authority is the HTTP signature of the actor alone (FEP-fe34): signatures
// inside documents are not looked at, and what somebody else forwards is
// refused.
package inbox

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"buttersc.one/oven/internal/lib/ap"
	"buttersc.one/oven/internal/lib/pg"
)

// Activity is one that its actor has signed. Its id, and for Create, Update and
// Delete its object, are of the actor's host.
type Activity struct {
	ID       string     // as sent; made of actor and body when it has none
	Type     string     // the first, if there are several
	Actor    string     // the actor's id
	ActorID  string     // its account here (Key.UserID)
	Host     string     // authority of the actor
	Object   *ap.Object // the activity itself
	Received time.Time
	Last     bool // what it waited for did not come: store what can be stored
}

// call takes an activity in tx. It does no network and has no effect outside
// tx: it may run again. nil commits; Drop gives the activity up, Needs parks it,
// any other error has it tried again.
type call = func(ctx context.Context, tx *pg.Tx, a *Activity) error

// Handler takes activities of one type.
type Handler struct {
	activity string
	objects  []string
	f        call
}

// On makes a handler of an activity type; objects are the types of its object
// that it takes: none given means any, "" an object that is only named by its
// id. The function does no network and has no effect outside tx, since it may
// run again. nil commits; Drop gives the activity up, Needs parks it, any other
// error has it tried again.
func On(activity string, f func(ctx context.Context, tx *pg.Tx, a *Activity) error, objects ...string) Handler {
	return Handler{activity: activity, objects: objects, f: f}
}

type dropped struct{ reason string }

func (d *dropped) Error() string { return "dropped: " + d.reason }

// Drop is the error of an activity with which there is nothing to do: what the
// handler wrote is undone and the activity is not tried again. reason is
// counted; it must not hold text of users.
func Drop(reason string) error { return &dropped{reason} }

// Needs is the error of an activity that cannot be processed before the thing
// at URI is known: it is fetched, and the activity comes again.
type Needs struct{ URI string }

func (n Needs) Error() string { return "needs " + n.URI }

// Key is a public key and whose it is.
type Key struct {
	ID        string
	Public    crypto.PublicKey
	Actor     string // id of the actor who owns it
	UserID    string // its account here
	Suspended bool   // what the actor sends is dropped
	Followed  bool   // somebody here follows the actor
}

// ErrNoKey says that a key is not known, or that there is none to be had.
var ErrNoKey = errors.New("no such key")

// Keys finds the keys of other servers' actors.
type Keys interface {
	// Key is local and makes no request. ErrNoKey when the key is not known.
	Key(ctx context.Context, keyID string) (*Key, error)
	// FetchKey asks the key's server, also when the key is known. ErrNoKey when
	// there is none that can be used.
	FetchKey(ctx context.Context, keyID string) (*Key, error)
	// Known tells, without a request, whether the actor has an account here.
	Known(ctx context.Context, actor string) (bool, error)
}

// HostPolicy says with which hosts this server speaks.
type HostPolicy interface {
	// Allowed is nil, or why nothing is taken from the host.
	Allowed(ctx context.Context, host string) error
}

// Fetcher makes known what is at an address: an actor or a note.
type Fetcher interface {
	// Fetch fetches and stores it.
	Fetch(ctx context.Context, uri string) error
}

// Config is what a Service is built of.
type Config struct {
	DB      *pg.DB
	Keys    Keys
	Policy  HostPolicy
	Fetcher Fetcher
	Self    string // this server's authority, which signatures must be for
	Origin  string // scheme and authority, without a slash at the end
	Log     *slog.Logger
	Now     func() time.Time     // nil: time.Now
	Heard   func(host string)    // a request from the host was verified; may be nil
	Gone    func(err error) bool // whether an error of Keys or Fetcher is final: there is no such thing; nil: never
	Workers int                  // activities processed at a time; 0: 4
}

// Service is the inbox. It takes requests from New on, in any number of
// processes; Run processes what was taken, in one of them or several.
type Service struct {
	cfg      Config
	db       *pg.DB
	log      *slog.Logger
	handlers map[string][]Handler
	rates    *rates
	room     room
	keyring  *keyring
	batch    batch
	queue    *queue
	fetches  *fetches
	tally    tally
}

// New makes the service; Plug handlers, then Run it.
func New(c Config) *Service {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Heard == nil {
		c.Heard = func(string) {}
	}
	if c.Gone == nil {
		c.Gone = func(error) bool { return false }
	}
	if c.Workers <= 0 {
		c.Workers = 4
	}
	return &Service{cfg: c, db: c.DB, log: c.Log, handlers: map[string][]Handler{}, rates: newRates(), keyring: newKeyring(c),
		queue: newQueue(hostShare(c.Workers)), fetches: newFetches()}
}

// Plug adds handlers, before Run and before the first request. Of several that
// fit an activity the first that names its object's type is taken, else the
// first that takes any.
func (s *Service) Plug(hs ...Handler) {
	for _, h := range hs {
		s.handlers[h.activity] = append(s.handlers[h.activity], h)
	}
}

// handler is who takes the activity, nil for nobody.
func (s *Service) handler(o *ap.Object) call {
	types := []string{""}
	if inner := o.Object("object"); inner != nil {
		types = inner.Types()
	}
	var any call
	for _, h := range s.handlers[o.Type()] {
		if len(h.objects) == 0 && any == nil {
			any = h.f
		}
		if slices.ContainsFunc(types, func(t string) bool { return slices.Contains(h.objects, t) }) {
			return h.f
		}
	}
	return any
}

// Run processes what was taken, fetches what it needs and removes what is old,
// until ctx ends. What is under way then may end; after some seconds it is cut
// off, without effect, and processed by the next Run.
func (s *Service) Run(ctx context.Context) error {
	work, cut := context.WithCancel(context.WithoutCancel(ctx))
	defer cut()
	stop := context.AfterFunc(ctx, func() {
		s.queue.close()
		time.AfterFunc(grace, cut)
	})
	defer stop()
	s.queue.open()
	if ctx.Err() != nil {
		s.queue.close() // it may have ended before open
	}
	var wg sync.WaitGroup
	wg.Go(func() { s.feed(ctx) })
	wg.Go(func() { s.fetchLane(ctx) })
	wg.Go(func() { s.expireLoop(ctx) })
	wg.Go(func() { s.db.Listen(ctx, channel, func(string) { s.queue.poke() }) })
	for range s.cfg.Workers {
		wg.Go(func() { s.worker(work) })
	}
	wg.Wait()
	return nil
}

// grace is how long activities under way may take when the service stops.
const grace = 6 * time.Second

const sqlPending = `
SELECT count(*) FROM fed_inbox f
WHERE state = 2 OR state = 1 AND due_at <= $1 OR state = 0 AND NOT EXISTS (
	SELECT FROM fed_inbox e WHERE e.host = f.host AND e.object_key = f.object_key AND e.id < f.id AND e.state = 1 AND e.due_at > $1)`

// Pending counts the activities that are due and not yet processed, those in
// work and those that wait for a fetch included; not those that failed and are
// to be tried again later, and what stands behind them.
func (s *Service) Pending(ctx context.Context) (int64, error) {
	var n int64
	if err := s.db.QueryRow(ctx, sqlPending, s.cfg.Now()).Scan(&n); err != nil {
		return 0, fmt.Errorf("pending activities: %w", err)
	}
	return n, nil
}

// Reset forgets what is held in memory, for test mode, where all tables have
// been emptied.
func (s *Service) Reset() {
	s.rates.reset()
	s.keyring.reset()
	s.queue.reset()
	s.tally.reset()
}

// Dropped is how many activities were dropped since the start, by reason.
func (s *Service) Dropped() map[string]int64 { return s.tally.all() }

// tally counts by reason. Reasons come from handlers: their number is bounded.
type tally struct {
	mu sync.Mutex
	n  map[string]int64
}

const maxReasons = 256

func (t *tally) add(reason string) { t.addN(reason, 1) }

func (t *tally) addN(reason string, n int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.n == nil {
		t.n = map[string]int64{}
	}
	if _, ok := t.n[reason]; !ok && len(t.n) >= maxReasons {
		reason = "other"
	}
	t.n[reason] += int64(n)
}

func (t *tally) all() map[string]int64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return maps.Clone(t.n)
}

func (t *tally) reset() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.n = nil
}

var errPanic = errors.New("panic")

// protect turns a panic of code that was lent to the service into an error: one
// bad document must not stop the others.
func (s *Service) protect(what string, f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			// Not p itself: it may hold a piece of the document.
			s.log.Error("panic in the inbox", "in", what, "kind", fmt.Sprintf("%T", p), "stack", string(debug.Stack()))
			err = errPanic
		}
	}()
	return f()
}
