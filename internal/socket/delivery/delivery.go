// Package delivery is in charge of bringing activities to other servers. An
// activity is stored once, in the transaction of what it tells; a sequencer
// numbers it, and every endpoint (an inbox) has one cursor for each stream, so
// that what is kept grows with the activities and never with activities ×
// endpoints. The package decides what is tried when: lanes, limits and breakers
// for each host, order for each object.
//
// It does not know what an activity says, who follows whom, or how a request is
// made and signed: the slices above render and choose, the Poster sends.
package delivery

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"buttersc.one/oven/internal/lib/httpsig"
	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/lib/secret"
	"buttersc.one/oven/internal/socket/log"
)

// Class is the lane of an activity, chosen by the operation that makes it and
// not by its type: one Delete is Fanout, a clean-up's are Bulk.
type Class int8

// The lanes, the most urgent first.
const (
	Direct     Class = iota // to somebody: follow, mention, reaction, direct note
	Fanout                  // a live post to the followers
	Background              // profile updates, pins, polls
	Bulk                    // clean-ups, imports
	classes    = 4
)

// Inbox is where an actor is reached.
type Inbox struct {
	URL    string // the actor's own
	Shared string // its server's (AP §7.1.3); "" = none
}

// Best is the shared inbox, or the own one where there is none.
func (in Inbox) Best() string {
	if in.Shared != "" {
		return in.Shared
	}
	return in.URL
}

// Recipients is exactly who gets a message: a set of endpoints that is stored
// once for all messages to it, and single endpoints besides. The zero value is
// nobody.
type Recipients struct {
	AudienceID *int64
	Extra      []int32
}

// Message is an activity to be delivered.
type Message struct {
	ActorID    string // local account (or system actor) whose key signs
	ActivityID string
	Type       string // "Create", "Delete", …
	// Object is the ordering key: the id of the object, or "tie:a:b" for what is
	// between two accounts. Messages of one object reach an endpoint in the order
	// in which they were committed; the caller locks the object's row first, which
	// is what gives them an order. "" = no other message belongs to it.
	Object   string
	Body     []byte // the whole JSON
	Class    Class
	Audience []Inbox // a set that many messages go to (followers): Best() of each
	// Extra are single recipients: the own inbox of each, unless its shared inbox
	// is in the audience already.
	Extra []Inbox
	// To takes the place of Audience: who got an earlier message. Extra is added.
	To *Recipients
	// Stream is an operation's own (Open), of class Bulk. 0: the lane of Class.
	Stream int64
}

// Answer is what an inbox said.
type Answer struct {
	Status     int
	RetryAfter time.Duration // 0: none
	HTML       bool          // a page came: perhaps nobody but a parked domain answers
}

// Poster makes the request, signed with key when it is sent. still is asked as late
// as can be, and its error ends the request and is wrapped by Post's. Any other
// error means that no answer came: the network's fault or the host's, not the
// activity's.
type Poster interface {
	Post(ctx context.Context, inbox string, body []byte, key httpsig.Key, still func() error) (Answer, error)
}

// Config of a Service. DB, Box and Poster are needed.
type Config struct {
	DB     *pg.DB
	Box    *secret.Box
	Poster Poster
	Log    *slog.Logger           // nil: slog.Default
	Now    func() time.Time       // nil: time.Now
	Drop   func(host string) bool // nil: nobody. Tells that a host is not to be spoken with; must be quick
	// SelfHost is this server's authority: nothing is sent to it.
	SelfHost string
	// Tombstone renders the Delete of an object by a local actor from what is kept
	// for long, the ids.
	Tombstone func(actorID, activityID, object string) []byte
	// Alive tells whether a server of the fediverse is at the host; asked when its
	// inboxes answer with pages. nil: yes.
	Alive func(ctx context.Context, host string) bool
	// Moved asks, after an inbox said that it does not exist, for the one that took
	// its place; "" when none is known. nil: nobody knows.
	Moved func(ctx context.Context, inbox string) string
	// Sent is told of every request to a host that was made, and whether it took the
	// activity. It must return at once. nil: nobody is.
	Sent func(host string, taken bool)

	Slots      int           // requests at a time; 0: 2048
	BulkRate   float64       // bulk requests a second and host; 0: 10, negative: no limit
	Backoff    time.Duration // of the first failure, doubled by each; 0: 1 s
	FlushEvery time.Duration // how often acks are written; 0: 250 ms
	Retries    int           // that may be saved up, over all hosts; 0: 200
}

const (
	maxRetryAfter = 24 * time.Hour
	flushAcks     = 512 // acks that are written without waiting for FlushEvery
	// grace is for the requests under way when Run is told to end.
	grace = 8 * time.Second
)

// Errors that callers decide on.
var (
	ErrNoKey  = errors.New("the actor has no key")
	ErrNoHost = errors.New("nothing is delivered to that host")
	// ErrStreams says that as many operations as may are being written.
	ErrStreams = errors.New("too many operations at a time")
	// ErrStream says that a stream does not exist or takes nothing more.
	ErrStream = errors.New("the stream is closed")
)

// Service is the package's door.
type Service struct {
	cfg  Config
	db   *pg.DB
	log  *slog.Logger
	seq  *log.Sequencer
	keys keyring
	book book
	// known is what the sequencer has made cursors for.
	known   known
	days    days
	blanked blanked
	deletes deletes
	heard   heard

	mu sync.Mutex  // guards d
	d  *dispatcher // nil while another process, or nobody, delivers
	// moved wakes the reader of the log's end.
	moved  chan struct{}
	resets atomic.Int64
	begun  atomic.Int64
}

// New makes the service; Run starts it. Everything but delivering works before.
func New(cfg Config) *Service {
	if cfg.Log == nil {
		cfg.Log = slog.Default()
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Drop == nil {
		cfg.Drop = func(string) bool { return false }
	}
	if cfg.Slots <= 0 {
		cfg.Slots = 2048
	}
	if cfg.Alive == nil {
		cfg.Alive = func(context.Context, string) bool { return true }
	}
	if cfg.Sent == nil {
		cfg.Sent = func(string, bool) {}
	}
	if cfg.Moved == nil {
		cfg.Moved = func(context.Context, string) string { return "" }
	}
	if cfg.BulkRate == 0 {
		cfg.BulkRate = 10
	}
	if cfg.Backoff <= 0 {
		cfg.Backoff = time.Second
	}
	if cfg.Retries <= 0 {
		cfg.Retries = 200
	}
	if cfg.FlushEvery <= 0 {
		cfg.FlushEvery = 250 * time.Millisecond
	}
	s := &Service{cfg: cfg, db: cfg.DB, log: cfg.Log, moved: make(chan struct{}, 1)}
	s.seq = &log.Sequencer{Name: "delivery", Key: sequencerKey, DB: cfg.DB, Log: cfg.Log, Move: s.move, Moved: s.wakeTail, Channel: "oven_delivery"}
	return s
}

// sequencerKey is the number of this log's lock; the change log has 1.
const sequencerKey = 2

func (s *Service) now() time.Time { return s.cfg.Now() }

func (s *Service) wakeTail() {
	select {
	case s.moved <- struct{}{}:
	default:
	}
}

// dispatching gives the running dispatcher, nil when there is none here.
func (s *Service) dispatching() *dispatcher {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.d
}
