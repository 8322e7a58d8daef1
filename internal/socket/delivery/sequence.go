package delivery

import (
	"context"
	"fmt"
	"sync"

	"github.com/jackc/pgx/v5"

	"buttersc.one/oven/internal/lib/pg"
)

const moveBatch = 2000

// Rows that a transaction is blanking are passed by and moved later. What comes
// after them about the same object cannot be there yet: that transaction has
// the object's row locked.
//
// All parts see one snapshot, so fed_stream gives the numbers of before.
const sqlMove = `
WITH due AS MATERIALIZED (
	SELECT id FROM fed_stage ORDER BY id LIMIT $1 FOR UPDATE SKIP LOCKED
), moved AS (
	DELETE FROM fed_stage s USING due WHERE s.id = due.id
	RETURNING s.id, s.stream_id, s.activity_id, s.type, s.actor_id, s.object_key, s.object, s.audience_id, s.extra, s.body
), head AS (
	UPDATE fed_stream s SET next_seq = s.next_seq + m.n
	FROM (SELECT stream_id, count(*) AS n FROM moved GROUP BY stream_id) m
	WHERE s.stream_id = m.stream_id
), numbered AS (
	SELECT m.*, s.next_seq + row_number() OVER (PARTITION BY m.stream_id ORDER BY m.id) - 1 AS seq,
	       b.direct + count(*) FILTER (WHERE m.stream_id = 0) OVER w - 1 AS after_direct,
	       b.fanout + count(*) FILTER (WHERE m.stream_id = 1) OVER w - 1 AS after_fanout,
	       b.background + count(*) FILTER (WHERE m.stream_id = 2) OVER w - 1 AS after_background
	FROM moved m JOIN fed_stream s ON s.stream_id = m.stream_id, (
		SELECT max(next_seq) FILTER (WHERE stream_id = 0) AS direct, max(next_seq) FILTER (WHERE stream_id = 1) AS fanout,
		       max(next_seq) FILTER (WHERE stream_id = 2) AS background
		FROM fed_stream WHERE stream_id IN (0, 1, 2)) b
	WINDOW w AS (ORDER BY m.id)
), live AS (
	INSERT INTO fed_log_live (day, stream_id, seq, ord, after_direct, after_fanout, after_background, object_key, audience_id, extra, activity_id, type, actor_id, object, body)
	SELECT $2::date, stream_id, seq, id, after_direct, after_fanout, after_background, object_key, audience_id, extra, activity_id, type, actor_id, object, body
	FROM numbered WHERE stream_id < 3
), bulk AS (
	INSERT INTO fed_log_bulk (day, stream_id, seq, ord, after_direct, after_fanout, after_background, object_key, audience_id, extra, activity_id, type, actor_id, object, body)
	SELECT $2::date, stream_id, seq, id, after_direct, after_fanout, after_background, object_key, audience_id, extra, activity_id, type, actor_id, object, body
	FROM numbered WHERE stream_id >= 3
), tomb AS (
	INSERT INTO fed_log_tomb (day, ord, audience_id, extra, activity_id, actor_id, object, type, body)
	SELECT $2::date, id, audience_id, extra, activity_id, actor_id, object, type, CASE WHEN type <> 'Delete' THEN body END
	FROM numbered WHERE type IN ('Delete', 'Undo')
)
SELECT stream_id, seq, audience_id, extra FROM numbered ORDER BY id`

// move is the sequencer's step: it numbers what was staged, writes it to the
// logs and makes the cursors that are missing.
func (s *Service) move(ctx context.Context, tx *pg.Tx) (int, error) {
	now := s.now()
	if err := s.ensureDay(ctx, now); err != nil {
		return 0, err
	}
	rows, err := tx.Query(ctx, sqlMove, moveBatch, now.UTC())
	if err != nil {
		return 0, fmt.Errorf("move deliveries: %w", err)
	}
	n := 0
	first := map[place]int64{}
	var at place
	var seq int64
	var audience *int64
	var extra []int32
	if _, err := pgx.ForEachRow(rows, []any{&at.stream, &seq, &audience, &extra}, func() error {
		n++
		if audience != nil {
			s.known.need(first, place{at.stream, true, *audience}, seq)
		}
		for _, id := range extra {
			s.known.need(first, place{at.stream, false, int64(id)}, seq)
		}
		extra = nil
		return nil
	}); err != nil {
		return 0, fmt.Errorf("move deliveries: %w", err)
	}
	if len(first) == 0 {
		return n, nil
	}
	return n, s.addCursors(ctx, tx, first)
}

// place is where a cursor, or those of a set of endpoints, are.
type place struct {
	stream int64
	set    bool // id is an audience's, otherwise an endpoint's
	id     int64
}

// maxKnown places are remembered.
const maxKnown = 200_000

// known remembers which cursors exist. Those of lanes are never removed, and
// those of an operation only when nothing more is added to it.
type known struct {
	mu sync.Mutex
	m  map[place]struct{}
}

// need notes the first number of a place whose cursors may be missing.
func (k *known) need(first map[place]int64, p place, seq int64) {
	if _, ok := first[p]; ok {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if _, ok := k.m[p]; !ok {
		first[p] = seq
	}
}

func (k *known) add(places map[place]int64) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.m == nil || len(k.m)+len(places) > maxKnown {
		k.m = map[place]struct{}{}
	}
	for p := range places {
		k.m[p] = struct{}{}
	}
}

func (k *known) forget() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.m = nil
}

// A new cursor stands just before the first number that is for its endpoint. An
// operation has none for hosts that have been dead for long: they are told in
// short when they are back.
const sqlAddCursors = `
INSERT INTO fed_cursor (endpoint_id, stream_id, acked)
SELECT endpoint_id, stream_id, min(seq) - 1 FROM (
	SELECT e AS endpoint_id, n.stream_id, n.seq
	FROM unnest($1::bigint[], $2::bigint[], $3::bigint[]) AS n (stream_id, audience_id, seq)
	JOIN fed_audience a ON a.audience_id = n.audience_id, unnest(a.endpoints) AS e
	UNION ALL
	SELECT endpoint_id, stream_id, seq
	FROM unnest($4::bigint[], $5::int[], $6::bigint[]) AS n (stream_id, endpoint_id, seq)
) AS missing
WHERE stream_id < 16 OR NOT EXISTS (
	SELECT FROM fed_endpoint e JOIN fed_host h ON h.host_id = e.host_id
	WHERE e.endpoint_id = missing.endpoint_id AND h.fail_since < $7::timestamptz - interval '7 days')
GROUP BY endpoint_id, stream_id
ON CONFLICT (endpoint_id, stream_id) DO NOTHING`

func (s *Service) addCursors(ctx context.Context, tx *pg.Tx, first map[place]int64) error {
	var setStream, setID, setSeq, oneStream, oneSeq []int64
	var oneID []int32
	for p, seq := range first {
		if p.set {
			setStream, setID, setSeq = append(setStream, p.stream), append(setID, p.id), append(setSeq, seq)
		} else {
			oneStream, oneID, oneSeq = append(oneStream, p.stream), append(oneID, int32(p.id)), append(oneSeq, seq)
		}
	}
	if _, err := tx.Exec(ctx, sqlAddCursors, setStream, setID, setSeq, oneStream, oneID, oneSeq, s.now()); err != nil {
		return fmt.Errorf("add cursors: %w", err)
	}
	resets := s.resets.Load()
	tx.AfterCommit(func() {
		if s.resets.Load() == resets {
			s.known.add(first)
		}
	})
	return nil
}
