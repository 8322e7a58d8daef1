package delivery

import (
	"context"
	"encoding/binary"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"buttersc.one/oven/internal/lib/pg"
)

// unsaved is what has changed since it was last written. It is guarded by the
// dispatcher's mu.
type unsaved struct {
	dirty      map[*cursor]struct{}
	hostsDirty map[*host]struct{}
	goneDirty  map[*endpoint]struct{}
	singles    map[singleKey]*singleRow // nil: removed
	acks       int
	savedAt    time.Time
}

type singleKey struct {
	endpoint    int32
	stream, seq int64
}

type singleRow struct {
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
UPDATE fed_host SET fails = $2, fail_since = $3, next_try = $4, last_ok = $5, last_error = $6, refused = $7, last_refused = $8
WHERE host_id = $1`
	sqlSaveGone = `UPDATE fed_endpoint SET gone_at = $2 WHERE endpoint_id = $1`
)

type cursorState struct {
	c       *cursor
	acked   int64
	above   []byte
	skipped int64
}

// save writes what has changed in one transaction: a cursor never passes what
// is to be tried again without that being stored.
func (d *dispatcher) save(ctx context.Context) error {
	d.mu.Lock()
	cursors := make([]cursorState, 0, len(d.dirty))
	for c := range d.dirty {
		cursors = append(cursors, d.snapshot(c))
	}
	type hostState struct {
		id                         int32
		fails                      int
		failSince, nextTry, okayed *time.Time
		lastError                  string
		refused                    int64
		lastRefused                string
	}
	var hosts []hostState
	for h := range d.hostsDirty {
		hosts = append(hosts, hostState{h.id, h.fails, orNil(h.failSince), orNil(h.nextTry), orNil(h.lastOK), clip(h.lastError), h.refused, clip(h.lastRefused)})
	}
	gone := map[int32]*time.Time{}
	for e := range d.goneDirty {
		gone[e.id] = orNil(e.goneAt)
	}
	prev := d.unsaved
	d.unsaved = newUnsaved(prev.savedAt)
	d.mu.Unlock()

	slices.SortFunc(cursors, func(a, b cursorState) int {
		if a.c.e.id != b.c.e.id {
			return int(a.c.e.id - b.c.e.id)
		}
		return int(a.c.stream - b.c.stream)
	})
	var err error
	if len(cursors)+len(hosts)+len(gone)+len(prev.singles) > 0 {
		err = d.s.db.Tx(ctx, func(tx *pg.Tx) error {
			if err := saveCursors(ctx, tx, cursors); err != nil {
				return fmt.Errorf("cursors: %w", err)
			}
			if err := saveSingles(ctx, tx, prev.singles); err != nil {
				return fmt.Errorf("exceptions: %w", err)
			}
			for _, h := range hosts {
				if _, err := tx.Exec(ctx, sqlSaveHost, h.id, h.fails, h.failSince, h.nextTry, h.okayed, h.lastError, h.refused, h.lastRefused); err != nil {
					return fmt.Errorf("host: %w", err)
				}
			}
			for id, at := range gone {
				if _, err := tx.Exec(ctx, sqlSaveGone, id, at); err != nil {
					return fmt.Errorf("endpoint: %w", err)
				}
			}
			return nil
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
	}
	d.pump() // it may have been clogged
	return nil
}

// snapshot takes a cursor's state for storing.
func (d *dispatcher) snapshot(c *cursor) cursorState {
	st := cursorState{c: c, acked: d.mark(c), skipped: c.skipped}
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
		d.dirty[st.c] = struct{}{}
		st.c.skipped += st.skipped
	}
	for h := range prev.hostsDirty {
		d.hostsDirty[h] = struct{}{}
	}
	for e := range prev.goneDirty {
		d.goneDirty[e] = struct{}{}
	}
	for k, r := range prev.singles {
		if _, ok := d.singles[k]; !ok {
			d.singles[k] = r
		}
	}
	d.acks += prev.acks
}

func saveCursors(ctx context.Context, tx *pg.Tx, cursors []cursorState) error {
	if len(cursors) == 0 {
		return nil
	}
	n := len(cursors)
	ids, streams, acked, above, skipped := make([]int32, n), make([]int64, n), make([]int64, n), make([][]byte, n), make([]int64, n)
	for i, st := range cursors {
		ids[i], streams[i], acked[i], above[i], skipped[i] = st.c.e.id, st.c.stream, st.acked, st.above, st.skipped
	}
	_, err := tx.Exec(ctx, sqlSaveCursors, ids, streams, acked, above, skipped)
	return err
}

func saveSingles(ctx context.Context, tx *pg.Tx, singles map[singleKey]*singleRow) error {
	var ids, goneIDs, attempts []int32
	var streams, seqs, goneStreams, goneSeqs []int64
	var next []time.Time
	var reasons []string
	for k, r := range singles {
		if r == nil {
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
