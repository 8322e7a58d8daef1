package inbox

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"buttersc.one/oven/internal/lib/ap"
)

// Accept takes a body that the owner of the key has signed: the part of
// ServeHTTP after verification. nil when it is kept durably or there is nothing
// to do with it; ErrRefused when it is not the owner's to send.
func (s *Service) Accept(ctx context.Context, actorKey *Key, body []byte) error {
	if len(body) > maxBody {
		return errTooLong()
	}
	o, err := ap.Parse(body)
	if err != nil {
		return errUnreadable()
	}
	return s.take(ctx, actorKey, o, body)
}

// maxItems of a collection of activities.
const maxItems = 20

func (s *Service) take(ctx context.Context, k *Key, o *ap.Object, body []byte) error {
	if k.Suspended {
		s.tally.add("account is suspended")
		return nil
	}
	items, ok := itemsOf(o)
	if !ok {
		return s.takeOne(ctx, k, o, body)
	}
	if len(items) > maxItems {
		return refuse(http.StatusBadRequest, "more than 20 activities")
	}
	for _, item := range items {
		// What is not the signer's is left out; the others count.
		if err := s.takeOne(ctx, k, item, item.Raw()); errors.Is(err, ErrRefused) {
			s.tally.add("refused in a collection")
		} else if err != nil {
			return err
		}
	}
	return nil
}

func (s *Service) takeOne(ctx context.Context, k *Key, o *ap.Object, body []byte) error {
	a, err := read(o, body)
	if err != nil {
		return err
	}
	if a.Actor != k.Actor {
		return refuse(http.StatusUnauthorized, "the key is not the actor's")
	}
	if s.handler(o) == nil {
		s.tally.add("no handler")
		return nil
	}
	if err := allowed(a); err != nil {
		return err
	}
	v := &arrival{lane: lane(a, k.Followed, s.cfg.Origin), host: a.Host, key: keyOf(a), actor: a.Actor, actorID: k.UserID, body: body, done: make(chan struct{})}
	if !repeats(o) {
		sum := sha256.Sum256([]byte(a.ID))
		v.hash = sum[:]
	}
	s.add(v)
	select {
	case <-v.done:
		return v.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// arrival is an activity on its way into the table.
type arrival struct {
	lane    int16
	host    string
	key     objectKey
	hash    []byte // nil: not compared with others
	actor   string
	actorID string
	body    []byte
	done    chan struct{}
	err     error // after done
}

// batch collects arrivals while others are being written: under load many
// share one commit, and a single one waits for nobody.
type batch struct {
	mu      sync.Mutex
	pending []*arrival
	writing bool
}

// Bounds of what one statement writes, and for how long.
const (
	batchRows  = 128
	batchBytes = 8 << 20
	batchTime  = 15 * time.Second
)

func (s *Service) add(v *arrival) {
	s.batch.mu.Lock()
	defer s.batch.mu.Unlock()
	s.batch.pending = append(s.batch.pending, v)
	if !s.batch.writing {
		s.batch.writing = true
		go s.write()
	}
}

func (b *batch) next() []*arrival {
	b.mu.Lock()
	defer b.mu.Unlock()
	n, size := 0, 0
	for n < len(b.pending) && n < batchRows && (n == 0 || size < batchBytes) {
		size += len(b.pending[n].body)
		n++
	}
	out := b.pending[:n:n]
	b.pending = b.pending[n:]
	if n == 0 {
		b.pending, b.writing = nil, false
	}
	return out
}

// write writes what has arrived until there is no more.
func (s *Service) write() {
	for vs := s.batch.next(); len(vs) > 0; vs = s.batch.next() {
		ctx, cancel := context.WithTimeout(context.Background(), batchTime)
		err := s.insert(ctx, vs)
		for _, v := range vs {
			if v.err = err; err != nil && len(vs) > 1 && ctx.Err() == nil {
				// Perhaps because of another one.
				v.err = s.insert(ctx, []*arrival{v})
			}
		}
		cancel()
		for _, v := range vs {
			close(v.done)
		}
	}
}

// What is in the table, or was processed already, is left out.
// Who sends is noted once a minute, with what is kept, so that no row of a server
// that sends much is written for each activity.
const sqlInsert = `
WITH kept AS (
INSERT INTO fed_inbox (lane, host, object_key, hash, actor, actor_id, body, received_at, due_at)
SELECT n.lane, n.host, n.object_key, n.hash, n.actor, n.actor_id, n.body, $8, $8
FROM unnest($1::smallint[], $2::text[], $3::bytea[], $4::bytea[], $5::text[], $6::text[], $7::bytea[])
	WITH ORDINALITY AS n (lane, host, object_key, hash, actor, actor_id, body, ord)
WHERE NOT EXISTS (SELECT FROM fed_seen s WHERE s.hash = n.hash)
ORDER BY n.ord
ON CONFLICT (hash) DO NOTHING
RETURNING id, lane, host, object_key
), senders AS (
	INSERT INTO fed_sender (host, last_at)
	SELECT h, $8::timestamptz FROM (SELECT DISTINCT unnest($2::text[])) n (h)
	WHERE NOT EXISTS (SELECT FROM fed_sender s WHERE s.host = h AND s.last_at > $8::timestamptz - interval '1 minute')
	ORDER BY h
	ON CONFLICT (host) DO UPDATE SET last_at = greatest(fed_sender.last_at, excluded.last_at)
)
SELECT id, lane, host, object_key FROM kept`

const sqlNotify = `SELECT pg_notify($1, '')`

// channel wakes the processes that run workers.
const channel = "oven_inbox"

// insert writes activities and wakes who processes them.
func (s *Service) insert(ctx context.Context, vs []*arrival) error {
	n := len(vs)
	lanes, hosts, keys, hashes := make([]int16, n), make([]string, n), make([][]byte, n), make([][]byte, n)
	actors, ids, bodies := make([]string, n), make([]string, n), make([][]byte, n)
	for i, v := range vs {
		lanes[i], hosts[i], keys[i], hashes[i] = v.lane, v.host, v.key[:], v.hash
		actors[i], ids[i], bodies[i] = v.actor, v.actorID, v.body
	}
	rows, err := s.db.Query(ctx, sqlInsert, lanes, hosts, keys, hashes, actors, ids, bodies, s.cfg.Now())
	if err != nil {
		return fmt.Errorf("keep activities: %w", err)
	}
	js, err := pgx.CollectRows(rows, scanJob)
	if err != nil {
		return fmt.Errorf("keep activities: %w", err)
	}
	if again := n - len(js); again > 0 {
		s.tally.addN("seen before", again)
	}
	if s.queue.offer(js) || len(js) == 0 {
		return nil
	}
	if _, err := s.db.Exec(ctx, sqlNotify, channel); err != nil {
		s.log.Warn("workers not woken", "err", err) // they look by themselves
	}
	return nil
}

func scanJob(row pgx.CollectableRow) (*job, error) {
	j := &job{}
	var key []byte
	if err := row.Scan(&j.id, &j.lane, &j.host, &key); err != nil {
		return nil, err
	}
	copy(j.key[:], key)
	return j, nil
}
