package delivery

import (
	"context"
	"encoding/binary"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"buttersc.one/oven/internal/lib/pg"
)

// unsaved is what has changed since it was last written. It is guarded by the
// dispatcher's mu.
type unsaved struct {
	dirty      map[*cursor]struct{}
	hostsDirty map[*host]struct{}
	goneDirty  map[*endpoint]struct{}
	singles    map[singleKey]*singleRow
	acks       int
	savedAt    time.Time
}

type singleKey struct {
	endpoint    int32
	stream, seq int64
}

type singleRow struct {
	shard    int16
	gone     bool // removed
	attempts int
	nextAt   time.Time
	reason   string
}

func newUnsaved(now time.Time) unsaved {
	return unsaved{dirty: map[*cursor]struct{}{}, hostsDirty: map[*host]struct{}{}, goneDirty: map[*endpoint]struct{}{},
		singles: map[singleKey]*singleRow{}, savedAt: now}
}

// acked counts an ack and asks for writing when there are many.
func (d *dispatcher) acked() {
	if d.acks++; d.acks >= flushAcks {
		select {
		case d.saveNow <- struct{}{}:
		default:
		}
	}
}

// clogged tells that acks cannot be written.
func (u *unsaved) clogged(now time.Time) bool {
	return u.acks > clogAcks || (u.acks > 0 && now.Sub(u.savedAt) > clogFor)
}

// saver writes acks until ctx ends.
func (d *dispatcher) saver(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(d.s.cfg.FlushEvery):
		case <-d.saveNow:
		}
		if err := d.save(ctx); err != nil && ctx.Err() == nil {
			d.s.log.Error("acks cannot be written", "err", err)
			sleep(ctx, time.Second)
		}
	}
}

// GREATEST: a process that delivers although another took over may send again,
// and never moves a cursor back. The streams are part of the key.
const (
	sqlSaveCursors = `
UPDATE fed_cursor c SET acked = greatest(c.acked, n.acked), above = n.above, skipped = c.skipped + n.skipped
FROM unnest($1::int[], $2::bigint[], $3::bigint[], $4::bytea[], $5::bigint[]) AS n (endpoint_id, stream_id, acked, above, skipped)
WHERE c.endpoint_id = n.endpoint_id AND c.stream_id = n.stream_id`
	sqlSaveSingles = `
INSERT INTO fed_exception (endpoint_id, stream_id, seq, attempts, next_at, reason)
SELECT * FROM unnest($1::int[], $2::bigint[], $3::bigint[], $4::int[], $5::timestamptz[], $6::text[])
ON CONFLICT (endpoint_id, stream_id, seq) DO UPDATE SET attempts = excluded.attempts, next_at = excluded.next_at, reason = excluded.reason`
	sqlDropSingles = `
DELETE FROM fed_exception x USING unnest($1::int[], $2::bigint[], $3::bigint[]) AS n (endpoint_id, stream_id, seq)
WHERE x.endpoint_id = n.endpoint_id AND x.stream_id = n.stream_id AND x.seq = n.seq`
	sqlSaveHost = `
UPDATE fed_host SET fails = $2, fail_since = $3, next_try = $4, last_ok = $5, last_error = $6, refused = $7, last_refused = $8,
	refusals = $9, refusing_since = $10, gone_since = $11, gone_probes = $12, replay_since = $13
WHERE host_id = $1`
	sqlEndCursors = `
DELETE FROM fed_cursor c USING unnest($1::int[], $2::bigint[], $3::bigint[]) AS n (endpoint_id, stream_id, acked)
WHERE c.endpoint_id = n.endpoint_id AND c.stream_id = n.stream_id AND c.acked >= n.acked`
	sqlEpochs   = `SELECT shard, epoch FROM fed_shard WHERE node = $1 AND lease_until > now()`
	sqlSaveGone = `UPDATE fed_endpoint SET gone_at = $2 WHERE endpoint_id = $1`
)

type cursorState struct {
	c       *cursor
	acked   int64
	above   []byte
	skipped int64
	ended   bool
}

// save writes what has changed in one transaction: a cursor never passes what
// is to be tried again without that being stored.
func (d *dispatcher) save(ctx context.Context) error {
	d.mu.Lock()
	cursors := make([]cursorState, 0, len(d.dirty))
	for c := range d.dirty {
		cursors = append(cursors, d.snapshot(c))
	}
	hosts := make([]hostState, 0, len(d.hostsDirty))
	for h := range d.hostsDirty {
		hosts = append(hosts, h.state())
	}
	gone := make([]goneState, 0, len(d.goneDirty))
	for e := range d.goneDirty {
		gone = append(gone, goneState{e.host.shard, e.id, orNil(e.goneAt)})
	}
	prev := d.unsaved
	d.unsaved = newUnsaved(prev.savedAt)
	d.mu.Unlock()

	slices.SortFunc(cursors, func(a, b cursorState) int {
		if a.c.e.id != b.c.e.id {
			return int(a.c.e.id - b.c.e.id)
		}
		return int(a.c.st.id - b.c.st.id)
	})
	slices.SortFunc(hosts, func(a, b hostState) int { return int(a.id - b.id) })
	var err error
	if len(cursors)+len(hosts)+len(gone)+len(prev.singles) > 0 {
		err = d.s.db.Tx(ctx, func(tx *pg.Tx) error {
			mine, err := d.fence(ctx, tx)
			if err != nil {
				return fmt.Errorf("shards: %w", err)
			}
			if err := saveCursors(ctx, tx, mine, cursors); err != nil {
				return fmt.Errorf("cursors: %w", err)
			}
			if err := saveSingles(ctx, tx, mine, prev.singles); err != nil {
				return fmt.Errorf("exceptions: %w", err)
			}
			return saveHosts(ctx, tx, mine, hosts, gone)
		})
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if err != nil {
		d.unsave(prev, cursors)
		return err
	}
	d.savedAt = d.s.now()
	for _, st := range cursors {
		st.c.acked = max(st.c.acked, st.acked)
		if st.ended && !st.c.over && d.ended(st.c) {
			d.remove(st.c)
		}
	}
	d.pump() // it may have been clogged
	return nil
}

// snapshot takes a cursor's state for storing.
func (d *dispatcher) snapshot(c *cursor) cursorState {
	st := cursorState{c: c, acked: d.mark(c), skipped: c.skipped, ended: d.ended(c)}
	c.skipped = 0
	for seq := range c.done {
		if seq <= st.acked {
			delete(c.done, seq)
		}
	}
	st.above = encode(slices.Sorted(maps.Keys(c.done)))
	return st
}

// unsave takes back what could not be written, unless it has changed again.
func (d *dispatcher) unsave(prev unsaved, cursors []cursorState) {
	for _, st := range cursors {
		if !st.c.over {
			d.dirty[st.c] = struct{}{}
			st.c.skipped += st.skipped
		}
	}
	for h := range prev.hostsDirty {
		if !h.lost {
			d.hostsDirty[h] = struct{}{}
		}
	}
	for e := range prev.goneDirty {
		if !e.host.lost {
			d.goneDirty[e] = struct{}{}
		}
	}
	for k, r := range prev.singles {
		if _, ok := d.singles[k]; !ok {
			d.singles[k] = r
		}
	}
	d.acks += prev.acks
}

type hostState struct {
	shard                             int16
	id                                int32
	fails                             int
	failSince, nextTry, okayed        *time.Time
	lastError                         string
	refused                           int64
	lastRefused                       string
	refusals                          int
	refusingSince, goneSince, replays *time.Time
	goneProbes                        int
}

func (h *host) state() hostState {
	return hostState{shard: h.shard, id: h.id, fails: h.fails, failSince: orNil(h.failSince), nextTry: orNil(h.nextTry), okayed: orNil(h.lastOK),
		lastError: clip(h.lastError), refused: h.refused, lastRefused: clip(h.lastRefused), refusals: h.refusals,
		refusingSince: orNil(h.refusingSince), goneSince: orNil(h.goneSince), replays: orNil(h.replaySince), goneProbes: h.goneProbes}
}

type goneState struct {
	shard    int16
	endpoint int32
	at       *time.Time
}

// fence gives the shards whose rows this node may still write: those that the
// database says are its own, by the epoch it took them with.
func (d *dispatcher) fence(ctx context.Context, tx *pg.Tx) (map[int16]bool, error) {
	rows, err := tx.Query(ctx, sqlEpochs, d.member.node)
	if err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	mine := make(map[int16]bool, len(d.shards.epochs))
	var shard int16
	var epoch int64
	_, err = pgx.ForEachRow(rows, []any{&shard, &epoch}, func() error {
		if e, ok := d.shards.epochs[shard]; ok && e == epoch {
			mine[shard] = true
		}
		return nil
	})
	return mine, err
}

func saveCursors(ctx context.Context, tx *pg.Tx, mine map[int16]bool, cursors []cursorState) error {
	var ids, endIDs []int32
	var streams, acked, skipped, endStreams, endAcked []int64
	var above [][]byte
	for _, st := range cursors {
		switch {
		case !mine[st.c.e.host.shard]:
		case st.ended:
			endIDs, endStreams, endAcked = append(endIDs, st.c.e.id), append(endStreams, st.c.st.id), append(endAcked, st.acked)
			fallthrough
		default:
			ids, streams, acked = append(ids, st.c.e.id), append(streams, st.c.st.id), append(acked, st.acked)
			above, skipped = append(above, st.above), append(skipped, st.skipped)
		}
	}
	if len(ids) == 0 {
		return nil
	}
	if _, err := tx.Exec(ctx, sqlSaveCursors, ids, streams, acked, above, skipped); err != nil {
		return err
	}
	if len(endIDs) == 0 {
		return nil
	}
	_, err := tx.Exec(ctx, sqlEndCursors, endIDs, endStreams, endAcked)
	return err
}

func saveHosts(ctx context.Context, tx *pg.Tx, mine map[int16]bool, hosts []hostState, gone []goneState) error {
	b := &pgx.Batch{}
	for _, h := range hosts {
		if mine[h.shard] {
			b.Queue(sqlSaveHost, h.id, h.fails, h.failSince, h.nextTry, h.okayed, h.lastError, h.refused, h.lastRefused,
				h.refusals, h.refusingSince, h.goneSince, h.goneProbes, h.replays)
		}
	}
	for _, g := range gone {
		if mine[g.shard] {
			b.Queue(sqlSaveGone, g.endpoint, g.at)
		}
	}
	if b.Len() == 0 {
		return nil
	}
	if err := tx.SendBatch(ctx, b).Close(); err != nil {
		return fmt.Errorf("hosts: %w", err)
	}
	return nil
}

func saveSingles(ctx context.Context, tx *pg.Tx, mine map[int16]bool, singles map[singleKey]*singleRow) error {
	var ids, goneIDs, attempts []int32
	var streams, seqs, goneStreams, goneSeqs []int64
	var next []time.Time
	var reasons []string
	for k, r := range singles {
		if !mine[r.shard] {
			continue
		}
		if r.gone {
			goneIDs, goneStreams, goneSeqs = append(goneIDs, k.endpoint), append(goneStreams, k.stream), append(goneSeqs, k.seq)
			continue
		}
		ids, streams, seqs = append(ids, k.endpoint), append(streams, k.stream), append(seqs, k.seq)
		attempts, next, reasons = append(attempts, int32(r.attempts)), append(next, r.nextAt), append(reasons, clip(r.reason))
	}
	if len(ids) > 0 {
		if _, err := tx.Exec(ctx, sqlSaveSingles, ids, streams, seqs, attempts, next, reasons); err != nil {
			return err
		}
	}
	if len(goneIDs) > 0 {
		if _, err := tx.Exec(ctx, sqlDropSingles, goneIDs, goneStreams, goneSeqs); err != nil {
			return err
		}
	}
	return nil
}

// encode stores sorted numbers as differences.
func encode(seqs []int64) []byte {
	out := []byte{}
	last := int64(0)
	for _, seq := range seqs {
		out = binary.AppendUvarint(out, uint64(seq-last))
		last = seq
	}
	return out
}

// decode is encode's inverse. What cannot be read is left out: it is delivered
// again.
func decode(b []byte) []int64 {
	var out []int64
	last := int64(0)
	for len(b) > 0 {
		diff, n := binary.Uvarint(b)
		if n <= 0 {
			break
		}
		b = b[n:]
		last += int64(diff)
		out = append(out, last)
	}
	return out
}

func orNil(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

// clip bounds what others make us store.
func clip(s string) string {
	const most = 500
	if len(s) > most {
		s = s[:most]
	}
	// PostgreSQL refuses a cut rune and NUL.
	return strings.ReplaceAll(strings.ToValidUTF8(s, ""), "\x00", "")
}
