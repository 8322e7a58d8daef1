package delivery

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"buttersc.one/oven/internal/lib/pg"
)

// The heads are read before the cursors: a cursor made in between stands at or
// behind its stream's end, never before it.
const (
	sqlHeads = `SELECT stream_id, next_seq - 1 FROM fed_stream ORDER BY stream_id`
	sqlHosts = `
SELECT host_id, host, fails, fail_since, next_try, last_ok, last_error, refused, last_refused, paused
FROM fed_host`
	sqlSomeHosts = `
SELECT host_id, host, fails, fail_since, next_try, last_ok, last_error, refused, last_refused, paused
FROM fed_host WHERE host_id = ANY($1)`
	sqlEndpoints = `
SELECT endpoint_id, host_id, url, shared, gone_at
FROM fed_endpoint`
	sqlSomeEndpoints = `
SELECT endpoint_id, host_id, url, shared, gone_at
FROM fed_endpoint WHERE endpoint_id = ANY($1)`
	sqlCursors = `SELECT endpoint_id, stream_id, acked, above FROM fed_cursor WHERE stream_id < $1`
)

// load reads everything that the dispatcher holds but bodies.
func (d *dispatcher) load(ctx context.Context) error {
	db := d.s.db
	heads, err := readHeads(ctx, db)
	if err != nil {
		return err
	}
	hosts, err := readHosts(ctx, db, sqlHosts)
	if err != nil {
		return err
	}
	endpoints, err := readEndpoints(ctx, db, sqlEndpoints)
	if err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, h := range heads {
		d.tails[h.Stream] = h.Seq
	}
	d.addHosts(hosts)
	d.addEndpoints(endpoints)
	rows, err := db.Query(ctx, sqlCursors, classes)
	if err != nil {
		return fmt.Errorf("cursors: %w", err)
	}
	var id int32
	var stream, acked int64
	var above []byte
	if _, err := pgx.ForEachRow(rows, []any{&id, &stream, &acked, &above}, func() error {
		e := d.endpoints[id]
		if e == nil {
			return nil // made since; the log's end brings it
		}
		c := d.newCursor(e, stream, acked)
		for _, seq := range decode(above) {
			if seq > acked {
				c.done[seq] = struct{}{}
			}
		}
		return nil
	}); err != nil {
		return fmt.Errorf("cursors: %w", err)
	}
	return d.loadSingles(ctx)
}

type headRow struct{ Stream, Seq int64 }

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

type hostRow struct {
	ID                         int32
	Name                       string
	Fails                      int
	FailSince, NextTry, LastOK *time.Time
	LastError                  string
	Refused                    int64
	LastRefused                string
	Paused                     bool
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
		if d.hosts[r.ID] != nil {
			continue
		}
		h := newHost(r.ID, r.Name)
		h.fails, h.lastError, h.refused, h.lastRefused, h.paused = r.Fails, r.LastError, r.Refused, r.LastRefused, r.Paused
		h.failSince, h.nextTry, h.lastOK = orZero(r.FailSince), orZero(r.NextTry), orZero(r.LastOK)
		d.hosts[h.id] = h
		d.byName[h.name] = h
	}
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

// know reads the endpoints of ids that are not known yet. One that does not
// exist stays unknown: nothing is ever delivered to it.
func (d *dispatcher) know(ctx context.Context, ids []int32) error {
	d.mu.Lock()
	missing := slices.DeleteFunc(ids, func(id int32) bool { return d.endpoints[id] != nil })
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
	return nil
}

const (
	sqlSingles = `
SELECT x.endpoint_id, x.attempts, x.next_at, x.reason, l.stream_id, l.seq, l.ord, l.after_direct, l.after_fanout, l.after_background,
       l.object_key, coalesce(l.audience_id, 0), l.extra, l.activity_id, l.type, l.actor_id, l.object, l.body
FROM fed_exception x JOIN (SELECT * FROM fed_log_live UNION ALL SELECT * FROM fed_log_bulk) l
  ON l.stream_id = x.stream_id AND l.seq = x.seq
ORDER BY l.ord`
	// What is about an activity that has been dropped is dropped.
	sqlLostSingles = `
DELETE FROM fed_exception x WHERE NOT EXISTS (SELECT FROM fed_log_live l WHERE l.stream_id = x.stream_id AND l.seq = x.seq)
  AND NOT EXISTS (SELECT FROM fed_log_bulk l WHERE l.stream_id = x.stream_id AND l.seq = x.seq)`
)

func (d *dispatcher) loadSingles(ctx context.Context) error {
	if _, err := d.s.db.Exec(ctx, sqlLostSingles); err != nil {
		return fmt.Errorf("exceptions: %w", err)
	}
	rows, err := d.s.db.Query(ctx, sqlSingles)
	if err != nil {
		return fmt.Errorf("exceptions: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		r := &row{hasBody: true}
		var id int32
		var attempts int
		var next time.Time
		var reason string
		if err := rows.Scan(&id, &attempts, &next, &reason, &r.stream, &r.seq, &r.ord, &r.after[0], &r.after[1], &r.after[2],
			&r.key, &r.audience, &r.extra, &r.activityID, &r.typ, &r.actorID, &r.object, &r.body); err != nil {
			return fmt.Errorf("exceptions: %w", err)
		}
		e := d.endpoints[id]
		if e == nil || r.stream >= classes || e.cursors[r.stream] == nil {
			continue
		}
		ch := e.chains[r.key]
		if ch == nil {
			ch = &chain{e: e, key: r.key, attempts: attempts, nextAt: next, reason: reason}
			e.chains[r.key] = ch
			d.chains[ch] = struct{}{}
		}
		it := &item{row: r, c: e.cursors[r.stream], chain: ch}
		ch.items = append(ch.items, it)
		e.singles++
		it.c.done[r.seq] = struct{}{}
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("exceptions: %w", err)
	}
	return nil
}

func orZero(t *time.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return *t
}
