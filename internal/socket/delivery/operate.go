package delivery

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"

	"buttersc.one/oven/internal/lib/pg"
)

// What an operator does to what waits. Where this process delivers it is done in
// memory, once the transaction has committed, and stored with the next acks;
// what another process delivers is changed in the tables, and the shard's epoch
// grows, so that it writes no more of what it remembers and reads them again.

// ErrNoSingle says that an activity is not one that is tried again on its own,
// or that it is being tried at this moment.
var ErrNoSingle = errors.New("the activity does not wait on its own")

// Single names an activity that an endpoint is sent again on its own.
type Single struct {
	Endpoint    int32
	Stream, Seq int64
}

const (
	// In the order in which acks are stored, so that neither waits for the other in
	// a circle.
	sqlPromoteHosts = `
UPDATE fed_host SET heard_at = now() WHERE host_id IN (
	SELECT host_id FROM fed_host WHERE (next_try > $2 OR gone_since IS NOT NULL) AND ($1::text[] IS NULL OR host = ANY($1))
	ORDER BY host_id FOR NO KEY UPDATE)`
	sqlPromoteSingles = `
WITH due AS (
	UPDATE fed_exception x SET next_at = $2 FROM fed_endpoint e JOIN fed_host h ON h.host_id = e.host_id
	WHERE e.endpoint_id = x.endpoint_id AND x.next_at > $2 AND ($1::text[] IS NULL OR h.host = ANY($1)) AND h.shard <> ALL($3)
	RETURNING h.shard)
SELECT DISTINCT shard FROM due`
	sqlReread = `
UPDATE fed_shard SET epoch = epoch + 1 WHERE shard IN (
	SELECT shard FROM fed_shard WHERE shard = ANY($1) AND node IS NOT NULL ORDER BY shard FOR UPDATE)`
)

// Promote has what waits for the hosts tried at once, as if each had spoken, and
// what is tried again on its own; nil is all hosts. One that was asked for such a
// reason in the last 30 seconds is not asked again. A pause stays.
func (s *Service) Promote(ctx context.Context, tx *pg.Tx, hosts []string) error {
	if _, err := tx.Exec(ctx, sqlPromoteHosts, hosts, s.now()); err != nil {
		return fmt.Errorf("try hosts now: %w", err)
	}
	rows, err := tx.Query(ctx, sqlPromoteSingles, hosts, s.now(), s.ownShards())
	if err != nil {
		return fmt.Errorf("try exceptions now: %w", err)
	}
	shards, err := pgx.CollectRows(rows, pgx.RowTo[int16])
	if err != nil {
		return fmt.Errorf("try exceptions now: %w", err)
	}
	if err := reread(ctx, tx, shards); err != nil {
		return err
	}
	tx.AfterCommit(func() {
		s.inMemory(func(d *dispatcher) {
			for _, h := range d.hosts {
				if hosts == nil || slices.Contains(hosts, h.name) {
					d.heardFrom(h)
				}
			}
			for ch := range d.chains {
				if hosts == nil || slices.Contains(hosts, ch.e.host.name) {
					d.hasten(ch)
				}
			}
		})
	})
	return nil
}

const (
	sqlDown = `
SELECT host_id, shard FROM fed_host WHERE CASE WHEN $1::text[] IS NULL
	THEN fails >= 3 OR refusing_since IS NOT NULL OR gone_since IS NOT NULL ELSE host = ANY($1) END ORDER BY host_id`
	// Cursors of lanes stay, and of operations that are still written.
	sqlEndWaiting = `
DELETE FROM fed_cursor c USING fed_endpoint e, fed_stream s
WHERE e.endpoint_id = c.endpoint_id AND e.host_id = ANY($1) AND s.stream_id = c.stream_id AND (s.stream_id = 4
	OR s.closed_at IS NOT NULL AND NOT EXISTS (SELECT FROM fed_stage g WHERE g.stream_id = s.stream_id AND g.stream_id >= 16))`
	sqlPassWaiting = `
UPDATE fed_cursor c SET acked = greatest(c.acked, s.next_seq - 1), above = '' FROM fed_endpoint e, fed_stream s
WHERE e.endpoint_id = c.endpoint_id AND e.host_id = ANY($1) AND s.stream_id = c.stream_id`
	sqlPassSingles = `DELETE FROM fed_exception x USING fed_endpoint e WHERE e.endpoint_id = x.endpoint_id AND e.host_id = ANY($1)`
)

// Drop drops for good what waits for the hosts, deletions included; nil is all
// hosts that are down (open, sleeping, dead, refusing, gone), of those that are
// paused none. What is staged, or under way at this moment, stays. It says how
// many hosts it was done to.
func (s *Service) Drop(ctx context.Context, tx *pg.Tx, hosts []string) (int, error) {
	rows, err := tx.Query(ctx, sqlDown, hosts)
	if err != nil {
		return 0, fmt.Errorf("hosts that are down: %w", err)
	}
	var own, others []int32
	var shards []int16
	mine := s.ownShards()
	var id int32
	var shard int16
	if _, err := pgx.ForEachRow(rows, []any{&id, &shard}, func() error {
		if slices.Contains(mine, shard) {
			own = append(own, id)
		} else {
			others, shards = append(others, id), append(shards, shard)
		}
		return nil
	}); err != nil {
		return 0, fmt.Errorf("hosts that are down: %w", err)
	}
	if len(others) > 0 {
		for _, sql := range []string{sqlEndWaiting, sqlPassWaiting, sqlPassSingles} {
			if _, err := tx.Exec(ctx, sql, others); err != nil {
				return 0, fmt.Errorf("drop what waits: %w", err)
			}
		}
		if err := reread(ctx, tx, shards); err != nil {
			return 0, err
		}
	}
	tx.AfterCommit(func() {
		s.inMemory(func(d *dispatcher) {
			for _, id := range own {
				h := d.hosts[id]
				if h == nil || hosts == nil && !h.isOpen() {
					continue // it has come back
				}
				for _, e := range h.endpoints {
					d.pass(e)
				}
			}
		})
	})
	return len(own) + len(others), nil
}

const (
	sqlSingleShard = `
SELECT h.shard FROM fed_exception x JOIN fed_endpoint e ON e.endpoint_id = x.endpoint_id JOIN fed_host h ON h.host_id = e.host_id
WHERE x.endpoint_id = $1 AND x.stream_id = $2 AND x.seq = $3`
	sqlPromoteSingle = `UPDATE fed_exception SET next_at = least(next_at, $4) WHERE endpoint_id = $1 AND stream_id = $2 AND seq = $3`
	sqlDropSingle    = `DELETE FROM fed_exception WHERE endpoint_id = $1 AND stream_id = $2 AND seq = $3`
)

// PromoteSingle has an activity that waits on its own tried at once, unless its
// host is down. ErrNoSingle.
func (s *Service) PromoteSingle(ctx context.Context, tx *pg.Tx, x Single) error {
	own, err := s.ownSingle(ctx, tx, x)
	if err == nil && !own {
		_, err = tx.Exec(ctx, sqlPromoteSingle, x.Endpoint, x.Stream, x.Seq, s.now())
	}
	if err != nil {
		return fmt.Errorf("try exception now: %w", err)
	}
	tx.AfterCommit(func() {
		s.inMemory(func(d *dispatcher) {
			if ch, _ := d.single(x); ch != nil {
				d.hasten(ch)
			}
		})
	})
	return nil
}

// DropSingle gives up an activity that waits on its own. ErrNoSingle, also when
// it is under way.
func (s *Service) DropSingle(ctx context.Context, tx *pg.Tx, x Single) error {
	own, err := s.ownSingle(ctx, tx, x)
	if err == nil && own {
		s.inMemory(func(d *dispatcher) {
			if ch, i := d.single(x); ch == nil || ch.due && i == 0 {
				err = ErrNoSingle
			}
		})
	} else if err == nil {
		_, err = tx.Exec(ctx, sqlDropSingle, x.Endpoint, x.Stream, x.Seq)
	}
	if err != nil {
		return fmt.Errorf("drop exception: %w", err)
	}
	tx.AfterCommit(func() { s.inMemory(func(d *dispatcher) { d.dropSingle(x) }) })
	return nil
}

// ownSingle tells whether the activity is this process's to deliver; if not,
// whose it is will read the tables again.
func (s *Service) ownSingle(ctx context.Context, tx *pg.Tx, x Single) (bool, error) {
	var shard int16
	err := tx.QueryRow(ctx, sqlSingleShard, x.Endpoint, x.Stream, x.Seq).Scan(&shard)
	if pg.NoRows(err) {
		return false, ErrNoSingle
	}
	if err != nil {
		return false, err
	}
	if slices.Contains(s.ownShards(), shard) {
		return true, nil
	}
	return false, reread(ctx, tx, []int16{shard})
}

// single finds a chain and the place in it.
func (d *dispatcher) single(x Single) (*chain, int) {
	e := d.endpoints[x.Endpoint]
	if e == nil {
		return nil, 0
	}
	for _, ch := range e.chains {
		for i, it := range ch.items {
			if it.row.stream == x.Stream && it.row.seq == x.Seq {
				return ch, i
			}
		}
	}
	return nil, 0
}

func (d *dispatcher) dropSingle(x Single) {
	switch ch, i := d.single(x); {
	case ch == nil || ch.due && i == 0: // it has been begun since
	case i == 0:
		d.unchain(ch)
	default:
		it := ch.items[i]
		it.chain = nil
		ch.items = slices.Delete(ch.items, i, i+1)
		ch.e.singles--
		it.c.single--
		d.singles[singleKey{x.Endpoint, x.Stream, x.Seq}] = &singleRow{shard: ch.e.host.shard, gone: true}
		d.dirty[it.c] = struct{}{}
	}
}

// hasten makes a chain due.
func (d *dispatcher) hasten(ch *chain) {
	if ch.due || len(ch.items) == 0 {
		return
	}
	ch.nextAt = d.s.now()
	d.saveChain(ch)
	d.dueChain(ch, ch.nextAt)
	d.enqueue(ch.e.host)
}

// inMemory calls f on the dispatcher, if there is one, and has it go on.
func (s *Service) inMemory(f func(d *dispatcher)) {
	d := s.dispatching()
	if d == nil {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	f(d)
	d.pump()
}

// ownShards are those that this process has and keeps.
func (s *Service) ownShards() []int16 {
	out := []int16{}
	if d := s.dispatching(); d != nil {
		d.mu.Lock()
		defer d.mu.Unlock()
		for shard := range d.shards.ready {
			if _, leaving := d.shards.leaving[shard]; !leaving {
				out = append(out, shard)
			}
		}
	}
	return out
}

func reread(ctx context.Context, tx *pg.Tx, shards []int16) error {
	if len(shards) == 0 {
		return nil
	}
	if _, err := tx.Exec(ctx, sqlReread, shards); err != nil {
		return fmt.Errorf("have shards read again: %w", err)
	}
	return nil
}
