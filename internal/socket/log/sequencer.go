package log

import (
	"context"
	"crypto/rand"
	"log/slog"
	"sync"
	"time"

	"buttersc.one/oven/internal/lib/pg"
)

// moveBatch is how many rows one transaction of a sequencer moves.
const moveBatch = 2000

// Sequencer moves staged rows into a log, on whichever node holds the lock.
type Sequencer struct {
	Name string
	Key  int32 // second number of the lock; one per log
	DB   *pg.DB
	Log  *slog.Logger
	// Move moves up to a batch of rows inside tx and says how many. It runs under
	// the log's lock, in a statement after the one that took it, so that its
	// snapshot sees all that was committed before.
	Move func(ctx context.Context, tx *pg.Tx) (int, error)
	// Moved is called after rows became visible, here or on another node.
	Moved func()
	// Channel of NOTIFY, one per commit that moved rows; "" for none.
	Channel string

	once sync.Once
	wake chan struct{}
	self string // told with NOTIFY, so as not to hear oneself
}

const (
	// idlePoll finds rows that another node staged when its wake-up was lost.
	idlePoll = 250 * time.Millisecond
	// relock is the wait after finding the lock taken: whoever has it may have
	// begun before our rows were committed.
	relock = 10 * time.Millisecond
)

func (s *Sequencer) init() {
	s.once.Do(func() { s.wake, s.self = make(chan struct{}, 1), rand.Text() })
}

// Poke says that something was staged. It never blocks.
func (s *Sequencer) Poke() {
	s.init()
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// Run moves rows until ctx ends.
func (s *Sequencer) Run(ctx context.Context) {
	s.init()
	if s.Channel != "" {
		go s.DB.Listen(ctx, s.Channel, func(by string) {
			if by != s.self {
				s.Moved()
			}
		})
	}
	for ctx.Err() == nil {
		n, locked, err := s.step(ctx)
		wait := idlePoll
		switch {
		case err != nil:
			if ctx.Err() == nil {
				s.Log.Error("sequencer", "log", s.Name, "err", err)
			}
			wait = time.Second
		case !locked:
			wait = relock
		case n > 0:
			s.Moved()
			if n >= moveBatch {
				continue
			}
		}
		select {
		case <-ctx.Done():
		case <-s.wake:
		case <-time.After(wait):
		}
	}
}

// A process that is frozen with the lock holds up everybody: its session ends
// after some seconds.
const (
	sqlTryLock = `SELECT pg_try_advisory_xact_lock($1, $2) FROM set_config('idle_in_transaction_session_timeout', '3000', true)`
	sqlNotify  = `SELECT pg_notify($1, $2)`
)

// step moves one batch; locked is false when another node is moving.
func (s *Sequencer) step(ctx context.Context) (n int, locked bool, err error) {
	err = s.DB.Tx(ctx, func(tx *pg.Tx) error {
		if err := tx.QueryRow(ctx, sqlTryLock, pg.LockSequencer, s.Key).Scan(&locked); err != nil || !locked {
			return err
		}
		if n, err = s.Move(ctx, tx); err != nil || n == 0 || s.Channel == "" {
			return err
		}
		_, err = tx.Exec(ctx, sqlNotify, s.Channel, s.self)
		return err
	})
	return n, locked, err
}

// signal wakes all who wait, and never keeps a wake-up for later: take the
// channel before looking, look, then wait on it.
type signal struct {
	mu sync.Mutex
	ch chan struct{}
}

func newSignal() *signal { return &signal{ch: make(chan struct{})} }

func (s *signal) wait() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ch
}

func (s *signal) broadcast() {
	s.mu.Lock()
	defer s.mu.Unlock()
	close(s.ch)
	s.ch = make(chan struct{})
}
