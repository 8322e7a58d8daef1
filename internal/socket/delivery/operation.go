package delivery

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"buttersc.one/oven/internal/lib/pg"
)

const (
	// firstOperation is the least id of a stream that belongs to one operation.
	firstOperation = 16
	// maxOperations are being written at a time. What is written and only waits
	// for servers that are away costs next to nothing and does not count.
	maxOperations = 64
)

const (
	sqlOpenOperations = `SELECT count(*) FROM fed_stream WHERE stream_id >= 16 AND closed_at IS NULL AND done_at IS NULL`
	sqlOpen           = `
INSERT INTO fed_stream (stream_id, class, kind, owner_id) VALUES (nextval('fed_stream_operation_seq'), 3, $1, $2)
RETURNING stream_id`
)

// Open gives an operation that makes many activities a stream of its own, so
// that it can be watched, paused and cancelled, and so that a small operation
// does not wait for a large one. kind says what it is ("cleanup"), ownerID whose.
// It must be closed. ErrStreams when too many are being written.
func (s *Service) Open(ctx context.Context, tx *pg.Tx, kind, ownerID string) (int64, error) {
	var n int
	if err := tx.QueryRow(ctx, sqlOpenOperations).Scan(&n); err != nil {
		return 0, fmt.Errorf("open stream: %w", err)
	}
	if n >= maxOperations {
		return 0, ErrStreams
	}
	var id int64
	if err := tx.QueryRow(ctx, sqlOpen, kind, ownerID).Scan(&id); err != nil {
		return 0, fmt.Errorf("open stream: %w", err)
	}
	return id, nil
}

const sqlTakes = `SELECT FROM fed_stream WHERE stream_id = $1 AND stream_id >= 16 AND closed_at IS NULL FOR KEY SHARE`

// takes checks that a stream is open, and keeps it so until tx ends.
func (s *Service) takes(ctx context.Context, tx *pg.Tx, stream int64) error {
	err := tx.QueryRow(ctx, sqlTakes, stream).Scan()
	if pg.NoRows(err) {
		return ErrStream
	}
	return err
}

const (
	sqlLockStream = `SELECT FROM fed_stream WHERE stream_id = $1 AND stream_id >= 16 FOR UPDATE`
	sqlClose      = `UPDATE fed_stream SET closed_at = coalesce(closed_at, now()) WHERE stream_id = $1`
	sqlSetStream  = `
UPDATE fed_stream SET state = $2, closed_at = CASE WHEN $2 = 'cancelled' THEN coalesce(closed_at, now()) ELSE closed_at END
WHERE stream_id = $1 AND stream_id >= 16 AND done_at IS NULL AND state <> 'cancelled'`
)

// Close says that nothing more comes; what has been sent is delivered.
func (s *Service) Close(ctx context.Context, tx *pg.Tx, stream int64) error {
	if _, err := tx.Exec(ctx, sqlLockStream, stream); err != nil {
		return fmt.Errorf("close stream: %w", err)
	}
	if _, err := tx.Exec(ctx, sqlClose, stream); err != nil {
		return fmt.Errorf("close stream: %w", err)
	}
	return nil
}

// PauseStream, ResumeStream and CancelStream rule an operation's deliveries, in
// one row whatever waits behind it. What was cancelled is not delivered to those
// who do not have it yet, and the stream takes nothing more. ErrStream when
// there is no such operation, or it is over.
func (s *Service) PauseStream(ctx context.Context, stream int64) error {
	return s.setStream(ctx, stream, "paused")
}

// ResumeStream ends a pause.
func (s *Service) ResumeStream(ctx context.Context, stream int64) error {
	return s.setStream(ctx, stream, "running")
}

// CancelStream ends an operation's deliveries.
func (s *Service) CancelStream(ctx context.Context, stream int64) error {
	return s.setStream(ctx, stream, "cancelled")
}

func (s *Service) setStream(ctx context.Context, stream int64, state string) error {
	tag, err := s.db.Exec(ctx, sqlSetStream, stream, state)
	if err == nil && tag.RowsAffected() == 0 {
		err = ErrStream
	}
	if err != nil {
		return fmt.Errorf("stream %d: %w", stream, err)
	}
	s.wakeTail()
	return nil
}

// Operation is a stream and how far it has come.
type Operation struct {
	ID        int64      `json:"id"`
	Kind      string     `json:"kind"`
	OwnerID   *string    `json:"ownerId"`
	State     string     `json:"state"` // running, paused, cancelled, done
	Closed    bool       `json:"closed"`
	Total     int64      `json:"total"`     // activities so far
	Endpoints int64      `json:"endpoints"` // that it is still going to
	Waiting   int64      `json:"waiting"`   // activities × endpoints left, at most
	CreatedAt time.Time  `json:"createdAt"`
	DoneAt    *time.Time `json:"doneAt"`
}

const sqlOperations = `
SELECT s.stream_id, s.kind, s.owner_id, CASE WHEN s.done_at IS NOT NULL AND s.state <> 'cancelled' THEN 'done' ELSE s.state END,
       s.closed_at IS NOT NULL, s.next_seq - 1, coalesce(c.n, 0), coalesce(c.waiting, 0)::bigint, s.created_at, s.done_at
FROM fed_stream s LEFT JOIN LATERAL (
	SELECT count(*) AS n, sum(s.next_seq - 1 - c.acked) AS waiting FROM fed_cursor c WHERE c.stream_id = s.stream_id AND c.stream_id >= 16
) c ON true
WHERE s.stream_id >= 16 AND ($1::bigint IS NULL OR s.stream_id = $1)
ORDER BY s.stream_id DESC LIMIT 100`

// Operations lists the newest operations; with a stream, that one.
func (s *Service) Operations(ctx context.Context, stream *int64) ([]Operation, error) {
	rows, err := s.db.Query(ctx, sqlOperations, stream)
	if err != nil {
		return nil, fmt.Errorf("operations: %w", err)
	}
	out, err := pgx.CollectRows(rows, pgx.RowToStructByPos[Operation])
	if err != nil {
		return nil, fmt.Errorf("operations: %w", err)
	}
	return out, nil
}

// BulkPerSecond is how many activities of operations a host is sent a second, at
// most.
func (s *Service) BulkPerSecond() int64 {
	if s.cfg.BulkRate < 1 {
		return 100
	}
	return int64(s.cfg.BulkRate)
}

// keepOperations is how long a finished operation is listed.
const keepOperations = 30 * 24 * time.Hour

const (
	sqlFinish = `
UPDATE fed_stream s SET done_at = now()
WHERE s.stream_id >= 16 AND s.done_at IS NULL AND s.closed_at IS NOT NULL
	AND NOT EXISTS (SELECT FROM fed_stage g WHERE g.stream_id = s.stream_id AND g.stream_id >= 16)
	AND NOT EXISTS (SELECT FROM fed_cursor c WHERE c.stream_id = s.stream_id AND c.stream_id >= 16)`
	sqlForgetOperations = `
DELETE FROM fed_stream s WHERE s.stream_id >= 16 AND s.done_at < $1
	AND NOT EXISTS (SELECT FROM fed_exception x WHERE x.stream_id = s.stream_id)`
)

// finish marks operations that have nothing left to deliver.
func (s *Service) finish(ctx context.Context) error {
	if _, err := s.db.Exec(ctx, sqlFinish); err != nil {
		return fmt.Errorf("finish operations: %w", err)
	}
	return nil
}

// forgetOperations drops the lines of old ones.
func (s *Service) forgetOperations(ctx context.Context) error {
	if _, err := s.db.Exec(ctx, sqlForgetOperations, s.now().Add(-keepOperations)); err != nil {
		return fmt.Errorf("forget operations: %w", err)
	}
	return nil
}
