package inbox

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime/debug"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"buttersc.one/oven/internal/lib/ap"
	"buttersc.one/oven/internal/lib/pg"
)

// Run handles what was accepted until ctx ends; what is under way is finished.
func (s *Service) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	wg.Go(func() { s.commitGroups(ctx) })
	jobs := make(chan *row)
	for range s.cfg.Workers {
		wg.Go(func() {
			for r := range jobs {
				s.work(context.WithoutCancel(ctx), r)
			}
		})
	}
	wg.Go(func() { s.fetchLane(ctx) })
	wg.Go(func() { s.expire(ctx) })
	s.dispatch(ctx, jobs)
	close(jobs)
	wg.Wait()
	return nil
}

// row is an accepted activity.
type row struct {
	id       int64
	received time.Time
	host     string
	actor    string
	actorID  string
	hash     []byte
	object   int64
	body     []byte
	attempts int
	last     bool
}

// busy is what workers have in hand: few of a host, one of an object.
type busy struct {
	mu      sync.Mutex
	hosts   map[string]int
	objects map[int64]bool
	total   int
}

const perHost = 4

func (b *busy) take(r *row) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.objects[r.object] || b.hosts[r.host] >= perHost {
		return false
	}
	b.objects[r.object] = true
	b.hosts[r.host]++
	b.total++
	return true
}

func (b *busy) give(r *row) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.objects, r.object)
	if b.hosts[r.host]--; b.hosts[r.host] == 0 {
		delete(b.hosts, r.host)
	}
	b.total--
}

const (
	// dispatchLock makes one process the dispatcher; another takes over when its
	// connection ends.
	dispatchLock int32 = 0x696e62
	idlePoll           = 250 * time.Millisecond
	readAhead          = 200
)

// dispatch hands due rows to the workers, in this process or none: which of an
// object's activities comes first must be decided in one place.
func (s *Service) dispatch(ctx context.Context, jobs chan<- *row) {
	for ctx.Err() == nil {
		release, ok, err := s.db.TryLock(ctx, pg.LockLeader, dispatchLock)
		if err != nil && ctx.Err() == nil {
			s.log.Error("inbox: take the lead", "err", err)
		}
		if !ok {
			wait(ctx, nil, time.Second)
			continue
		}
		s.lead(ctx, jobs)
		release()
	}
}

func (s *Service) lead(ctx context.Context, jobs chan<- *row) {
	for ctx.Err() == nil {
		n, err := s.round(ctx, jobs)
		if err != nil {
			if ctx.Err() == nil {
				s.log.Error("inbox: read", "err", err)
			}
			wait(ctx, nil, time.Second)
			return
		}
		if n == 0 {
			wait(ctx, s.wake, idlePoll)
		}
	}
}

// wait waits for a wake-up, a time, or the end.
func wait(ctx context.Context, wake <-chan struct{}, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-wake:
	case <-time.After(d):
	}
}

// Of an object only the oldest activity is due: a later one that is ready waits
// for it, also while the older waits for a fetch or a retry.
const sqlDue = `
SELECT i.id, i.received_at, i.host, i.actor, i.actor_id, i.hash, i.object_key, i.body, i.attempts, i.fetches >= $2
FROM fed_inbox i
WHERE i.state = 0 AND i.next_at <= now()
	AND NOT EXISTS (SELECT FROM fed_inbox o WHERE o.object_key = i.object_key AND o.id < i.id AND o.state < 2)
ORDER BY i.lane, i.id LIMIT $1`

// round hands out what is due and free now; it says how many it handed out.
func (s *Service) round(ctx context.Context, jobs chan<- *row) (int, error) {
	s.reset.RLock()
	defer s.reset.RUnlock()
	rows, err := s.db.Query(ctx, sqlDue, readAhead, maxFetches)
	if err != nil {
		return 0, err
	}
	due, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) (*row, error) {
		w := &row{}
		return w, r.Scan(&w.id, &w.received, &w.host, &w.actor, &w.actorID, &w.hash, &w.object, &w.body, &w.attempts, &w.last)
	})
	if err != nil {
		return 0, err
	}
	n := 0
	for _, r := range due {
		if !s.busy.take(r) {
			continue
		}
		select {
		case jobs <- r:
			n++
		case <-ctx.Done():
			s.busy.give(r)
			return n, nil
		}
	}
	return n, nil
}

const (
	sqlClaim  = `SELECT state = 0 FROM fed_inbox WHERE id = $1 FOR UPDATE`
	sqlSeen   = `INSERT INTO fed_seen (hash) VALUES ($1) ON CONFLICT (hash) DO NOTHING`
	sqlDone   = `DELETE FROM fed_inbox WHERE id = $1`
	sqlRetry  = `UPDATE fed_inbox SET attempts = attempts + 1, next_at = now() + make_interval(secs => $2), last_error = $3 WHERE id = $1`
	sqlFailed = `UPDATE fed_inbox SET state = 2, attempts = attempts + 1, next_at = now(), last_error = $2 WHERE id = $1`
	sqlPark   = `UPDATE fed_inbox SET state = 1, waits_for = $2, next_at = now() WHERE id = $1`
)

// maxAttempts of an activity whose handler fails.
const maxAttempts = 10

// work handles one activity: its effect, the note that it was seen, and the end
// of its row are one transaction.
func (s *Service) work(ctx context.Context, r *row) {
	defer s.poke()
	defer s.busy.give(r)
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	err := s.handle(ctx, r)
	var needs Needs
	var drop dropped
	switch {
	case err == nil:
	case errors.As(err, &needs):
		_, err = s.db.Exec(ctx, sqlPark, r.id, needs.URI)
	case errors.As(err, &drop):
		s.log.Debug("inbox: dropped", "host", r.host, "reason", drop.reason)
		err = s.finish(ctx, r)
	case r.attempts+1 >= maxAttempts:
		s.log.Error("inbox: failed for good", "host", r.host, "activity", r.id, "err", err)
		_, err = s.db.Exec(ctx, sqlFailed, r.id, kindOf(err))
	default:
		s.log.Warn("inbox: will try again", "host", r.host, "activity", r.id, "attempt", r.attempts+1, "err", err)
		delay := min(float64(int(1)<<min(r.attempts, 12)), 3600) * (0.5 + rand.Float64()/2) //nolint:gosec // jitter
		_, err = s.db.Exec(ctx, sqlRetry, r.id, delay, kindOf(err))
	}
	if err != nil {
		s.log.Error("inbox: record", "activity", r.id, "err", err)
	}
}

// kindOf is what is kept of an error: its SQLSTATE or nothing, never a text
// that could hold somebody's words.
func kindOf(err error) string {
	if code := pg.Code(err); code != "" {
		return "database " + code
	}
	return "handler"
}

func (s *Service) handle(ctx context.Context, r *row) (err error) {
	defer func() {
		if p := recover(); p != nil {
			s.log.Error("inbox: panic", "activity", r.id, "stack", string(debug.Stack()))
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	o, err := ap.Parse(r.body)
	if err != nil {
		return Drop("unreadable")
	}
	h := s.handler(o)
	if h == nil {
		return Drop("nobody takes it any more")
	}
	a := &Activity{ID: o.ID(), Type: o.Type(), Actor: r.actor, ActorID: r.actorID, Host: r.host, Object: o, Received: r.received, Last: r.last}
	if a.ID == "" {
		a.ID = fmt.Sprintf("%s#%x", a.Actor, hashOf(string(r.body)))
	}
	return s.db.Tx(ctx, func(tx *pg.Tx) error {
		fresh, err := s.claim(ctx, tx, r)
		if err != nil || !fresh {
			return err
		}
		if err := h.call(ctx, tx, a); err != nil {
			return err
		}
		_, err = tx.Exec(ctx, sqlDone, r.id)
		return err
	})
}

// claim locks the row and notes the activity as seen; false when somebody has
// handled it meanwhile.
func (s *Service) claim(ctx context.Context, tx *pg.Tx, r *row) (bool, error) {
	var ready bool
	if err := tx.QueryRow(ctx, sqlClaim, r.id).Scan(&ready); err != nil || !ready {
		if pg.NoRows(err) {
			err = nil
		}
		return false, err
	}
	tag, err := tx.Exec(ctx, sqlSeen, r.hash)
	if err != nil {
		return false, err
	}
	if tag.RowsAffected() == 0 {
		_, err := tx.Exec(ctx, sqlDone, r.id)
		return false, err
	}
	return true, nil
}

// finish ends an activity that has no effect.
func (s *Service) finish(ctx context.Context, r *row) error {
	return s.db.Tx(ctx, func(tx *pg.Tx) error {
		if _, err := tx.Exec(ctx, sqlSeen, r.hash); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, sqlDone, r.id)
		return err
	})
}

const sqlPending = `SELECT count(*) FROM fed_inbox WHERE state = 1 OR state = 0 AND next_at <= now() + interval '1 second'`

// Pending counts what waits to be handled now, or is being handled.
func (s *Service) Pending(ctx context.Context) (int64, error) {
	var n int64
	if err := s.db.QueryRow(ctx, sqlPending).Scan(&n); err != nil {
		return 0, fmt.Errorf("inbox: %w", err)
	}
	return n, nil
}

// Reset forgets what is kept in memory, after the tables were emptied
// (reset-db in test mode).
func (s *Service) Reset() {
	s.reset.Lock()
	defer s.reset.Unlock()
	s.asked.forget()
}

const (
	sqlExpireSeen   = `DELETE FROM fed_seen WHERE day < current_date - 14`
	sqlExpireTombs  = `DELETE FROM fed_tombstone WHERE until < now()`
	sqlExpireBodies = `UPDATE fed_inbox SET body = NULL WHERE state = 2 AND body IS NOT NULL AND next_at < now() - interval '24 hours'`
	sqlExpireRows   = `DELETE FROM fed_inbox WHERE state = 2 AND next_at < now() - interval '14 days'`
)

// expire forgets what is too old to matter, once an hour.
func (s *Service) expire(ctx context.Context) {
	for {
		for _, sql := range []string{sqlExpireSeen, sqlExpireTombs, sqlExpireBodies, sqlExpireRows} {
			if _, err := s.db.Exec(ctx, sql); err != nil && ctx.Err() == nil {
				s.log.Warn("inbox: expire", "err", err)
			}
		}
		wait(ctx, nil, time.Hour)
		if ctx.Err() != nil {
			return
		}
	}
}
