package inbox

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"buttersc.one/oven/internal/lib/ap"
	"buttersc.one/oven/internal/lib/pg"
)

const (
	poll = time.Second // finds what no wake-up told of
	rest = 10 * time.Millisecond
	// enoughQueued is when the table need not be looked at: what arrives here is
	// queued without.
	enoughQueued = 2000
)

// feed keeps the queue filled until ctx ends.
func (s *Service) feed(ctx context.Context) {
	tick := time.NewTicker(poll)
	defer tick.Stop()
	per := maxPerHost
	for ctx.Err() == nil {
		var err error
		if per, err = s.fill(ctx, per); err != nil && ctx.Err() == nil {
			s.log.Error("inbox not read", "err", err)
		}
		// Wake-ups come in crowds; one look answers them all.
		pause(ctx, rest)
		select {
		case <-ctx.Done():
		case <-s.queue.wake:
		case <-tick.C:
		}
	}
}

func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}

// How many rows of one host are read at once: less when there are many hosts.
const (
	maxPerHost = 512
	minPerHost = 16
)

const sqlDue = `
UPDATE fed_inbox SET state = 0 WHERE id IN (
	SELECT id FROM fed_inbox WHERE state = 1 AND due_at <= $1 ORDER BY due_at LIMIT 1000 FOR UPDATE SKIP LOCKED)`

// Hosts are found by jumping from one to the next on the index: the cost is that
// of the hosts, not of the rows. A row behind one on the same object that waits
// is left out; behind one that is ready too the queue keeps them apart.
const sqlReady = `
WITH RECURSIVE h (host) AS (
	(SELECT host FROM fed_inbox WHERE state = 0 ORDER BY host LIMIT 1)
	UNION ALL
	SELECT (SELECT f.host FROM fed_inbox f WHERE f.state = 0 AND f.host > h.host ORDER BY f.host LIMIT 1)
	FROM h WHERE h.host IS NOT NULL
)
SELECT c.id, c.lane, c.host, c.object_key
FROM h CROSS JOIN LATERAL (
	SELECT f.id, f.lane, f.host, f.object_key FROM fed_inbox f
	WHERE f.state = 0 AND f.host = h.host AND NOT EXISTS (
		SELECT FROM fed_inbox e WHERE e.host = f.host AND e.object_key = f.object_key AND e.id < f.id AND e.state IN (1, 2))
	ORDER BY f.lane, f.id LIMIT $1
) c
WHERE h.host IS NOT NULL
LIMIT $2`

func (s *Service) fill(ctx context.Context, per int) (int, error) {
	if _, err := s.db.Exec(ctx, sqlDue, s.cfg.Now()); err != nil {
		return per, fmt.Errorf("activities to try again: %w", err)
	}
	if s.queue.len() >= enoughQueued {
		return per, nil
	}
	rows, err := s.db.Query(ctx, sqlReady, per, maxQueued)
	if err != nil {
		return per, fmt.Errorf("ready activities: %w", err)
	}
	js, err := pgx.CollectRows(rows, scanJob)
	if err != nil {
		return per, fmt.Errorf("ready activities: %w", err)
	}
	count := map[string]int{}
	more := len(js) >= maxQueued
	for _, j := range js {
		count[j.host]++
		more = more || count[j.host] >= per
	}
	s.queue.filled(more)
	s.queue.offer(js)
	return max(minPerHost, min(maxPerHost, maxQueued/2/max(1, len(count)))), nil
}

// worker processes activities until the queue is closed.
func (s *Service) worker(ctx context.Context) {
	for j := s.queue.next(); j != nil; j = s.queue.next() {
		again, err := s.work(ctx, j)
		if errors.Is(err, errNotReady) {
			s.queue.notReady(j)
			continue
		}
		s.queue.done(j, again)
		if err != nil && ctx.Err() == nil {
			// The database's failure, not the activity's: the row is as it was.
			s.log.Error("inbox", "id", j.id, "host", j.host, "err", err)
			pause(ctx, time.Second)
		}
	}
}

// taken is a row that this worker holds by its transaction.
type taken struct {
	actor    string
	actorID  string
	body     []byte
	received time.Time
	attempts int
	parks    int
	last     bool
	waited   string // what it waited for before
	seen     bool   // its effect is there already
}

// waitedBefore tells whether others may have been left out behind it.
func (t *taken) waitedBefore() bool { return t.attempts > 0 || t.parks > 0 }

var errNotReady = errors.New("row is not ready")

// Taking a row is deleting it and noting it as seen, in the transaction of the
// handler: all of it happens, or none. A row that another process holds is
// skipped, and one behind another on the same object is left, whatever this
// process remembers of them.
const sqlTake = `
WITH mine AS (
	SELECT id FROM fed_inbox f
	WHERE id = $1 AND state = 0 AND NOT EXISTS (
		SELECT FROM fed_inbox e WHERE e.host = f.host AND e.object_key = f.object_key AND e.id < f.id AND e.state < 3)
	FOR UPDATE SKIP LOCKED
), gone AS (
	DELETE FROM fed_inbox WHERE id IN (SELECT id FROM mine)
	RETURNING hash, actor, actor_id, body, received_at, attempts, parks, last, waits_for
), noted AS (
	INSERT INTO fed_seen (hash, day) SELECT hash, $2::date FROM gone WHERE hash IS NOT NULL
	ON CONFLICT (hash) DO NOTHING
	RETURNING hash
)
SELECT actor, actor_id, body, received_at, attempts, parks, last, waits_for, hash IS NOT NULL AND NOT EXISTS (SELECT FROM noted) FROM gone`

func (s *Service) takeRow(ctx context.Context, tx *pg.Tx, id int64) (*taken, error) {
	t := &taken{}
	err := tx.QueryRow(ctx, sqlTake, id, s.cfg.Now().UTC()).Scan(&t.actor, &t.actorID, &t.body, &t.received, &t.attempts, &t.parks, &t.last, &t.waited, &t.seen)
	if pg.NoRows(err) {
		return nil, errNotReady
	}
	if err != nil {
		return nil, fmt.Errorf("take activity: %w", err)
	}
	return t, nil
}

// work processes one activity. again: rows that were left out behind it are
// ready now, or it itself is to be taken once more.
func (s *Service) work(ctx context.Context, j *job) (again bool, err error) {
	var row *taken
	var a *Activity
	err = s.protect("handler", func() error {
		return s.db.Tx(ctx, func(tx *pg.Tx) (err error) {
			if row, err = s.takeRow(ctx, tx, j.id); err != nil || row.seen {
				return err
			}
			if a, err = s.activity(row); err != nil {
				return err
			}
			if s.cfg.Policy.Allowed(ctx, a.Host) != nil {
				return Drop("host is blocked") // since it was accepted
			}
			f := s.handler(a.Object)
			if f == nil {
				return Drop("no handler")
			}
			return f(ctx, tx, a)
		})
	})
	var drop *dropped
	var needs Needs
	switch {
	case err == nil:
		return row.waitedBefore(), nil
	case errors.Is(err, errNotReady):
		return false, errNotReady
	case ctx.Err() != nil:
		return false, ctx.Err() // cut off; the row is as it was
	case row == nil:
		return true, err // it was not even taken
	case errors.As(err, &drop):
		s.tally.add(drop.reason)
		return row.waitedBefore(), s.give(ctx, j)
	case errors.As(err, &needs) && row.last:
		s.tally.add("what it needs cannot be had")
		return true, s.give(ctx, j)
	case errors.As(err, &needs):
		return true, s.park(ctx, j, row, needs.URI)
	}
	s.logFailure(j, row, a, err)
	return false, s.retry(ctx, j)
}

// activity reads a row again; it has been checked when it was accepted.
func (s *Service) activity(row *taken) (*Activity, error) {
	o, err := ap.Parse(row.body)
	if err != nil {
		return nil, Drop("cannot be read any more")
	}
	a, err := read(o, row.body)
	if err != nil || a.Actor != row.actor || allowed(a) != nil {
		return nil, Drop("not its actor's any more")
	}
	a.ActorID, a.Received, a.Last = row.actorID, row.received, row.last
	return a, nil
}

// give ends an activity without effect.
func (s *Service) give(ctx context.Context, j *job) error {
	err := s.db.Tx(ctx, func(tx *pg.Tx) error {
		_, err := s.takeRow(ctx, tx, j.id)
		return err
	})
	if errors.Is(err, errNotReady) {
		return nil
	}
	return err
}

// maxAttempts of an activity whose handler fails.
const maxAttempts = 10

const sqlRetry = `
UPDATE fed_inbox SET attempts = attempts + 1, state = CASE WHEN attempts + 1 >= $3 THEN 3 ELSE 1 END,
	due_at = $2::timestamptz + make_interval(secs => least(3600, power(2, attempts)))
WHERE id = $1 AND state = 0`

// retry has an activity tried again after 1 s, 2 s, 4 s and so on, up to an
// hour; after 10 attempts it stays as failed.
func (s *Service) retry(ctx context.Context, j *job) error {
	if _, err := s.db.Exec(ctx, sqlRetry, j.id, s.cfg.Now(), maxAttempts); err != nil {
		return fmt.Errorf("put activity off: %w", err)
	}
	return nil
}

// logFailure logs ids and hosts. Of the database's errors only the code: their
// messages can quote a value, which may be a user's text.
func (s *Service) logFailure(j *job, row *taken, a *Activity, err error) {
	args := []any{"row", j.id, "host", j.host}
	if row != nil {
		args = append(args, "attempt", row.attempts+1)
	}
	if a != nil {
		args = append(args, "activity", a.ID, "type", a.Type)
	}
	var pe *pgconn.PgError
	if errors.As(err, &pe) {
		args = append(args, "sqlstate", pe.Code, "constraint", pe.ConstraintName, "table", pe.TableName)
	} else {
		args = append(args, "kind", fmt.Sprintf("%T", err), "err", clip(err.Error()))
	}
	s.log.Warn("activity not processed", args...)
}

func clip(text string) string {
	if len(text) > 200 {
		return text[:200]
	}
	return text
}
