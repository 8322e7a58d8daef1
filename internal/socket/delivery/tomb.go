package delivery

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// What was deleted and undone is kept longer than the log, in short. A host that
// comes back after it was dead is told all of it since it went away, before
// anything else but what is to somebody there: what it shows may be long gone.
const (
	sqlTombs = `
SELECT ord, coalesce(audience_id, 0), extra, activity_id, type, actor_id, object, body
FROM fed_log_tomb WHERE ord > $1 AND ord <= $2 ORDER BY ord`
	sqlTombRange = `SELECT coalesce(min(ord), 0), coalesce(max(ord), 0) FROM fed_log_tomb WHERE day >= $1`
	sqlReplay    = `
INSERT INTO fed_cursor (endpoint_id, stream_id, acked) SELECT unnest($1::int[]), 4, $2
ON CONFLICT (endpoint_id, stream_id) DO UPDATE SET acked = least(fed_cursor.acked, excluded.acked), above = ''`
)

// readTombs reads a part of the tombstones as rows of a stream whose numbers are
// their order, with gaps.
func (s *Service) readTombs(ctx context.Context, from, upto int64) ([]*row, error) {
	rows, err := s.db.Query(ctx, sqlTombs, from, upto)
	if err != nil {
		return nil, fmt.Errorf("tombstones: %w", err)
	}
	out, err := pgx.CollectRows(rows, func(cr pgx.CollectableRow) (*row, error) {
		r := &row{stream: tombstones, hasBody: true}
		err := cr.Scan(&r.seq, &r.audience, &r.extra, &r.activityID, &r.typ, &r.actorID, &r.object, &r.body)
		r.ord, r.key = r.seq, objectKey(r.object)
		if err == nil && r.typ == "Delete" && s.cfg.Tombstone != nil {
			r.body = s.cfg.Tombstone(r.actorID, r.activityID, r.object)
		}
		return r, err
	})
	if err != nil {
		return nil, fmt.Errorf("tombstones: %w", err)
	}
	return out, nil
}

// replays begins to tell hosts that are back from the dead. That they are to be
// told is stored until the cursors that do it are.
func (d *dispatcher) replays(ctx context.Context) error {
	type back struct {
		h     *host
		since time.Time
		ids   []int32
	}
	var backs []back
	d.mu.Lock()
	for _, h := range d.hosts {
		if !h.replaySince.IsZero() {
			b := back{h: h, since: h.replaySince}
			for _, e := range h.endpoints {
				b.ids = append(b.ids, e.id)
			}
			backs = append(backs, b)
		}
	}
	d.mu.Unlock()
	for _, b := range backs {
		var first, last int64
		if err := d.s.db.QueryRow(ctx, sqlTombRange, b.since.UTC().Truncate(24*time.Hour)).Scan(&first, &last); err != nil {
			return fmt.Errorf("tombstones: %w", err)
		}
		if last > 0 {
			if _, err := d.s.db.Exec(ctx, sqlReplay, b.ids, first-1); err != nil {
				return fmt.Errorf("tombstones: %w", err)
			}
		}
		d.mu.Lock()
		d.beginReplay(b.h, first-1, last)
		d.mu.Unlock()
	}
	return nil
}

func (d *dispatcher) beginReplay(h *host, after, last int64) {
	if h.lost {
		return
	}
	h.replaySince = time.Time{}
	d.hostsDirty[h] = struct{}{}
	if st := d.streams[tombstones]; last > 0 && st != nil {
		st.tail = max(st.tail, last)
		for _, e := range h.endpoints {
			if e.replay == nil {
				d.newCursor(e, st, after)
			}
		}
	}
	d.wake(h) // what was held back until this was known
	d.pump()
}
