package delivery

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"buttersc.one/oven/internal/lib/pg"
)

const (
	sqlHeads = `
SELECT stream_id, class, kind, state, next_seq - 1, closed_at IS NOT NULL AND NOT EXISTS (
	SELECT FROM fed_stage g WHERE g.stream_id = s.stream_id AND g.stream_id >= 16)
FROM fed_stream s WHERE done_at IS NULL ORDER BY stream_id`
	sqlShardHosts = `
SELECT host_id, host, shard, fails, fail_since, next_try, last_ok, last_error, refused, last_refused, paused,
       refusals, refusing_since, gone_since, gone_probes, replay_since
FROM fed_host WHERE shard = ANY($1)`
	sqlSomeHosts = `
SELECT host_id, host, shard, fails, fail_since, next_try, last_ok, last_error, refused, last_refused, paused,
       refusals, refusing_since, gone_since, gone_probes, replay_since
FROM fed_host WHERE host_id = ANY($1)`
	sqlShardEndpoints = `
SELECT e.endpoint_id, e.host_id, e.url, e.shared, e.gone_at
FROM fed_endpoint e JOIN fed_host h ON h.host_id = e.host_id WHERE h.shard = ANY($1)`
	sqlSomeEndpoints = `
SELECT endpoint_id, host_id, url, shared, gone_at
FROM fed_endpoint WHERE endpoint_id = ANY($1)`
	sqlShardCursors = `
SELECT c.endpoint_id, c.stream_id, c.acked, c.above
FROM fed_cursor c JOIN fed_endpoint e ON e.endpoint_id = c.endpoint_id JOIN fed_host h ON h.host_id = e.host_id
WHERE h.shard = ANY($1)`
)

// loadShards reads everything that the dispatcher holds of shards but bodies. It
// is called when they have become this node's; what the log's end has brought
// since its last look is behind these cursors, and is read again.
func (d *dispatcher) loadShards(ctx context.Context, got []int16) error {
	if len(got) == 0 {
		return nil
	}
	d.handing.Lock()
	defer d.handing.Unlock()
	db := d.s.db
	heads, err := readHeads(ctx, db)
	if err != nil {
		return err
	}
	hosts, err := readHosts(ctx, db, sqlShardHosts, got)
	if err != nil {
		return err
	}
	endpoints, err := readEndpoints(ctx, db, sqlShardEndpoints, got)
	if err != nil {
		return err
	}
	cursors, err := readCursors(ctx, db, got)
	if err != nil {
		return err
	}
	singles, err := d.readSingles(ctx, got)
	if err != nil {
		return err
	}
	var lastTomb int64
	if slices.ContainsFunc(cursors, func(c cursorRow) bool { return c.Stream == tombstones }) {
		var first int64
		if err := db.QueryRow(ctx, sqlTombRange, time.Time{}).Scan(&first, &lastTomb); err != nil {
			return fmt.Errorf("tombstones: %w", err)
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, h := range heads {
		d.know(h)
	}
	for _, shard := range got {
		if _, mine := d.shards.epochs[shard]; mine {
			d.shards.ready[shard] = struct{}{}
		}
	}
	d.foreign = map[int32]struct{}{}
	if st := d.streams[tombstones]; st != nil {
		st.tail = max(st.tail, lastTomb)
	}
	d.addHosts(hosts)
	d.addEndpoints(endpoints)
	for _, r := range cursors {
		e, st := d.endpoints[r.Endpoint], d.streams[r.Stream]
		if e == nil || st == nil || e.cursor(r.Stream) != nil {
			continue // made since, and the log's end brings it; or the operation is over
		}
		c := d.newCursor(e, st, r.Acked)
		for _, seq := range decode(r.Above) {
			if seq > r.Acked {
				c.done[seq] = struct{}{}
			}
		}
	}
	for _, r := range singles {
		d.addSingle(r)
	}
	for _, r := range hosts {
		if h := d.hosts[r.ID]; h != nil {
			d.wake(h)
		}
	}
	d.pump()
	return nil
}

type headRow struct {
	Stream int64
	Class  Class
	Kind   string
	State  string
	Seq    int64
	Sealed bool
}

func readHeads(ctx context.Context, q pg.Q) ([]headRow, error) {
	rows, err := q.Query(ctx, sqlHeads)
	if err != nil {
		return nil, fmt.Errorf("streams: %w", err)
	}
	out, err := pgx.CollectRows(rows, pgx.RowToStructByPos[headRow])
	if err != nil {
		return nil, fmt.Errorf("streams: %w", err)
	}
	return out, nil
}

// know notes a stream as it is in the tables. A new one begins at its first
// number, so that the log's end brings all of it.
func (d *dispatcher) know(h headRow) *stream {
	st := d.streams[h.Stream]
	if st == nil {
		st = &stream{id: h.Stream, class: h.Class, kind: h.Kind, state: "running", cursors: map[*cursor]struct{}{}}
		d.streams[h.Stream] = st
	}
	if h.Sealed && !st.sealed {
		st.sealed = true
		for c := range st.cursors {
			d.dirty[c] = struct{}{} // some may have ended by this
		}
	}
	if st.state != h.State {
		st.state = h.State
		d.turned(st)
	}
	return st
}

// turned carries out what an operation's new state means.
func (d *dispatcher) turned(st *stream) {
	st.isCancelled.Store(st.state == "cancelled")
	for c := range st.cursors {
		switch st.state {
		case "cancelled":
			d.cancel(c)
		case "paused":
			d.dropWindow(c)
		default:
			d.refill(c)
			d.activate(c)
			d.enqueue(c.e.host)
		}
	}
}

type cursorRow struct {
	Endpoint int32
	Stream   int64
	Acked    int64
	Above    []byte
}

func readCursors(ctx context.Context, q pg.Q, got []int16) ([]cursorRow, error) {
	rows, err := q.Query(ctx, sqlShardCursors, got)
	if err != nil {
		return nil, fmt.Errorf("cursors: %w", err)
	}
	out, err := pgx.CollectRows(rows, pgx.RowToStructByPos[cursorRow])
	if err != nil {
		return nil, fmt.Errorf("cursors: %w", err)
	}
	return out, nil
}

type hostRow struct {
	ID                         int32
	Name                       string
	Shard                      int16
	Fails                      int
	FailSince, NextTry, LastOK *time.Time
	LastError                  string
	Refused                    int64
	LastRefused                string
	Paused                     bool
	Refusals                   int
	RefusingSince, GoneSince   *time.Time
	GoneProbes                 int
	ReplaySince                *time.Time
}

func readHosts(ctx context.Context, q pg.Q, sql string, args ...any) ([]hostRow, error) {
	rows, err := q.Query(ctx, sql, args...)
	if err != nil {
		return nil, fmt.Errorf("hosts: %w", err)
	}
	out, err := pgx.CollectRows(rows, pgx.RowToStructByPos[hostRow])
	if err != nil {
		return nil, fmt.Errorf("hosts: %w", err)
	}
	return out, nil
}

type endpointRow struct {
	ID, Host int32
	URL      string
	Shared   bool
	Gone     *time.Time
}

func readEndpoints(ctx context.Context, q pg.Q, sql string, args ...any) ([]endpointRow, error) {
	rows, err := q.Query(ctx, sql, args...)
	if err != nil {
		return nil, fmt.Errorf("endpoints: %w", err)
	}
	out, err := pgx.CollectRows(rows, pgx.RowToStructByPos[endpointRow])
	if err != nil {
		return nil, fmt.Errorf("endpoints: %w", err)
	}
	return out, nil
}

func (d *dispatcher) addHosts(rows []hostRow) {
	for _, r := range rows {
		if _, ready := d.shards.ready[r.Shard]; !ready || d.hosts[r.ID] != nil {
			continue
		}
		h := r.host()
		if now := d.s.now(); h.failSince.After(now) || h.lastOK.After(now) {
			h.nextTry = now // written by a clock that was ahead: so was when to try again
		}
		d.hosts[h.id] = h
		d.byName[h.name] = h
	}
}

func (r hostRow) host() *host {
	h := newHost(r.ID, r.Name, r.Shard)
	h.fails, h.lastError, h.refused, h.lastRefused, h.paused = r.Fails, r.LastError, r.Refused, r.LastRefused, r.Paused
	h.failSince, h.nextTry, h.lastOK = orZero(r.FailSince), orZero(r.NextTry), orZero(r.LastOK)
	h.refusals, h.goneProbes = r.Refusals, r.GoneProbes
	h.refusingSince, h.goneSince, h.replaySince = orZero(r.RefusingSince), orZero(r.GoneSince), orZero(r.ReplaySince)
	return h
}

func (d *dispatcher) addEndpoints(rows []endpointRow) {
	for _, r := range rows {
		h := d.hosts[r.Host]
		if h == nil || d.endpoints[r.ID] != nil {
			continue
		}
		e := newEndpoint(r.ID, r.URL, r.Shared, h)
		e.goneAt = orZero(r.Gone)
		h.endpoints = append(h.endpoints, e)
		d.endpoints[e.id] = e
	}
}

// meet reads the endpoints of ids that are not known yet. One that does not
// exist, or is of another node's shard, stays unknown: nothing is delivered to it.
func (d *dispatcher) meet(ctx context.Context, ids []int32) error {
	d.mu.Lock()
	missing := slices.DeleteFunc(ids, func(id int32) bool {
		_, foreign := d.foreign[id]
		return foreign || d.endpoints[id] != nil
	})
	d.mu.Unlock()
	if len(missing) == 0 {
		return nil
	}
	endpoints, err := readEndpoints(ctx, d.s.db, sqlSomeEndpoints, missing)
	if err != nil {
		return err
	}
	var hostIDs []int32
	for _, e := range endpoints {
		hostIDs = append(hostIDs, e.Host)
	}
	var hosts []hostRow
	if len(hostIDs) > 0 {
		if hosts, err = readHosts(ctx, d.s.db, sqlSomeHosts, hostIDs); err != nil {
			return err
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.addHosts(hosts)
	d.addEndpoints(endpoints)
	for _, id := range missing {
		if d.endpoints[id] == nil {
			d.foreign[id] = struct{}{}
		}
	}
	return nil
}

const (
	sqlSingles = `
SELECT x.endpoint_id, x.attempts, x.next_at, x.reason, l.stream_id, l.seq, l.ord, l.after_direct, l.after_fanout, l.after_background,
       l.object_key, coalesce(l.audience_id, 0), l.extra, l.activity_id, l.type, l.actor_id, l.object, l.body
FROM fed_exception x JOIN fed_endpoint e ON e.endpoint_id = x.endpoint_id JOIN fed_host h ON h.host_id = e.host_id
JOIN (
	SELECT stream_id, seq, ord, after_direct, after_fanout, after_background, object_key, audience_id, extra, activity_id, type, actor_id, object, body FROM fed_log_live
	UNION ALL
	SELECT stream_id, seq, ord, after_direct, after_fanout, after_background, object_key, audience_id, extra, activity_id, type, actor_id, object, body FROM fed_log_bulk) l
  ON l.stream_id = x.stream_id AND l.seq = x.seq
WHERE h.shard = ANY($1)
ORDER BY l.ord`
	// What is about an activity that has been dropped is dropped.
	sqlLostSingles = `
DELETE FROM fed_exception x WHERE NOT EXISTS (SELECT FROM fed_log_live l WHERE l.stream_id = x.stream_id AND l.seq = x.seq)
  AND NOT EXISTS (SELECT FROM fed_log_bulk l WHERE l.stream_id = x.stream_id AND l.seq = x.seq)`
)

type lone struct {
	endpoint int32
	attempts int
	next     time.Time
	reason   string
	row      *row
}

func (d *dispatcher) readSingles(ctx context.Context, got []int16) ([]lone, error) {
	if _, err := d.s.db.Exec(ctx, sqlLostSingles); err != nil {
		return nil, fmt.Errorf("exceptions: %w", err)
	}
	rows, err := d.s.db.Query(ctx, sqlSingles, got)
	if err != nil {
		return nil, fmt.Errorf("exceptions: %w", err)
	}
	out, err := pgx.CollectRows(rows, func(cr pgx.CollectableRow) (lone, error) {
		r := &row{hasBody: true}
		l := lone{row: r}
		err := cr.Scan(&l.endpoint, &l.attempts, &l.next, &l.reason, &r.stream, &r.seq, &r.ord, &r.after[0], &r.after[1], &r.after[2],
			&r.key, &r.audience, &r.extra, &r.activityID, &r.typ, &r.actorID, &r.object, &r.body)
		return l, err
	})
	if err != nil {
		return nil, fmt.Errorf("exceptions: %w", err)
	}
	return out, nil
}

// addSingle takes up an activity that is tried again on its own. They come in
// order.
func (d *dispatcher) addSingle(l lone) {
	e := d.endpoints[l.endpoint]
	if e == nil {
		return
	}
	c := e.cursor(l.row.stream)
	if c == nil {
		return
	}
	ch := e.chains[l.row.key]
	if ch == nil {
		ch = &chain{e: e, key: l.row.key, attempts: l.attempts, nextAt: l.next, reason: l.reason}
		e.chains[l.row.key] = ch
		d.chains[ch] = struct{}{}
	}
	ch.items = append(ch.items, &item{row: l.row, c: c, chain: ch})
	e.singles++
	c.single++
	c.done[l.row.seq] = struct{}{}
}

func orZero(t *time.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return *t
}
