// Package log is in charge of what must happen after a commit: a row staged in
// the business transaction, a sequencer that gives it a gap-free number, and
// consumers that each hold their own cursor. Sequence order is not commit
// order in PostgreSQL, so nobody reads "id > cursor" of a table that business
// transactions write; the sequencer moves committed rows under a lock, and
// number n being visible implies that all below n are (delivery.md 3.4, 4.4).
//
// The package holds the change log and the sequencer loop; the log of
// deliveries uses the same loop with its own tables.
package log

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"buttersc.one/oven/internal/lib/pg"
)

// Change is one thing that happened: a kind such as "note.created", ids, and
// never text.
type Change struct {
	Seq      int64
	Kind     string
	ObjectID string
	ActorID  string
	Data     json.RawMessage // a small object of ids, flags and counts
	At       time.Time
}

// Into decodes the change's data.
func (c *Change) Into(v any) error {
	if err := json.Unmarshal(c.Data, v); err != nil {
		return fmt.Errorf("change %d %s: %w", c.Seq, c.Kind, err)
	}
	return nil
}

// Consumer follows the change log.
type Consumer struct {
	Name string
	// Durable consumers have a cursor row that moves in the transaction in which
	// Handle runs: exactly once in effect. Others start at the head, per process,
	// and are told by Lost when they missed something.
	Durable bool
	Kinds   []string // nil: all
	// After names a volatile consumer, plugged before, that must have handled a
	// change of this process before this one is handed it; volatile consumers
	// only.
	After string
	// Handle works through a batch in order. tx is nil for volatile consumers.
	Handle func(ctx context.Context, tx *pg.Tx, batch []Change) error
	// Keeper is in the place of Handle for what keeps its cursor itself. Name has
	// an @ and the process in it then.
	Keeper Keeper
	// Lost is called when a consumer that is not durable skipped changes: it must
	// drop all that it holds. May be nil.
	Lost func()
}

// Log is the change log of one process.
type Log struct {
	db        *pg.DB
	log       *slog.Logger
	seq       *Sequencer
	consumers []*follower
	head      *signal
	tail      tail
}

// batchSize is how many changes are read at once.
const batchSize = 500

// maxLag is how far a volatile consumer may fall behind before it starts again
// at the head.
const maxLag = 10_000

// New makes the log; Plug, Start and Run follow.
func New(db *pg.DB, l *slog.Logger) *Log {
	lg := &Log{db: db, log: l, head: newSignal()}
	lg.seq = &Sequencer{Name: "change", Key: 1, DB: db, Log: l, Move: lg.move, Moved: lg.head.broadcast, Channel: "oven_change"}
	lg.tail = tail{l: lg}
	return lg
}

// Plug adds consumers, before Start.
func (l *Log) Plug(cs ...Consumer) {
	for _, c := range cs {
		f := &follower{Consumer: c, l: l, moved: newSignal(), news: make(chan struct{}, 1)}
		for _, other := range l.consumers {
			if c.After != "" && other.Name == c.After && !other.Durable {
				f.after = other
			}
		}
		if c.After != "" && f.after == nil {
			panic("log: " + c.Name + " comes after " + c.After + ", which is not plugged")
		}
		l.consumers = append(l.consumers, f)
	}
}

const sqlStage = `INSERT INTO change_stage (kind, object_id, actor_id, data) VALUES ($1, $2, $3, $4)`

// Append stages a change in tx. Data must be small and hold no text of users.
func (l *Log) Append(ctx context.Context, tx *pg.Tx, kind, objectID, actorID string, data any) error {
	if data == nil {
		data = struct{}{}
	}
	b, err := json.Marshal(data)
	if err != nil {
		return fmt.Errorf("append %s: %w", kind, err)
	}
	if _, err := tx.Exec(ctx, sqlStage, kind, objectID, actorID, b); err != nil {
		return fmt.Errorf("append %s: %w", kind, err)
	}
	tx.AfterCommit(l.seq.Poke)
	return nil
}

// Row is one of several changes of a kind.
type Row struct {
	ObjectID, ActorID string
	Data              any
}

const sqlStageRows = `
INSERT INTO change_stage (kind, object_id, actor_id, data)
SELECT $1, c.object, c.actor, c.data::jsonb FROM unnest($2::text[], $3::text[], $4::text[]) WITH ORDINALITY c (object, actor, data, i) ORDER BY c.i`

// AppendRows is Append of several changes of a kind, in their order.
func (l *Log) AppendRows(ctx context.Context, tx *pg.Tx, kind string, rows []Row) error {
	if len(rows) == 0 {
		return nil
	}
	var objects, actors, data []string
	for _, r := range rows {
		b, err := json.Marshal(r.Data)
		if err != nil {
			return fmt.Errorf("append %s: %w", kind, err)
		}
		objects, actors, data = append(objects, r.ObjectID), append(actors, r.ActorID), append(data, string(b))
	}
	if _, err := tx.Exec(ctx, sqlStageRows, kind, objects, actors, data); err != nil {
		return fmt.Errorf("append %s: %w", kind, err)
	}
	tx.AfterCommit(l.seq.Poke)
	return nil
}

const sqlStageEach = `INSERT INTO change_stage (kind, object_id, actor_id, data) SELECT $1, c.object, c.actor, $4 FROM unnest($2::text[], $3::text[]) c (object, actor)`

// AppendEach is Append of the same change of several objects, each of an actor of
// its own.
func (l *Log) AppendEach(ctx context.Context, tx *pg.Tx, kind string, objectIDs, actorIDs []string, data any) error {
	b, err := json.Marshal(data)
	if err != nil {
		return fmt.Errorf("append %s: %w", kind, err)
	}
	if _, err := tx.Exec(ctx, sqlStageEach, kind, objectIDs, actorIDs, b); err != nil {
		return fmt.Errorf("append %s: %w", kind, err)
	}
	tx.AfterCommit(l.seq.Poke)
	return nil
}

// The rows are moved in one statement: deleted from the stage, numbered in
// staging order behind the head, written to the log, and the head is advanced.
const sqlMove = `
WITH moved AS (
	DELETE FROM change_stage WHERE id IN (SELECT id FROM change_stage ORDER BY id LIMIT $1)
	RETURNING id, kind, object_id, actor_id, data, at
), head AS (
	UPDATE log_head SET next_seq = next_seq + (SELECT count(*) FROM moved) WHERE name = 'change'
	RETURNING next_seq
)
INSERT INTO change_log (seq, kind, object_id, actor_id, data, at)
SELECT head.next_seq - (SELECT count(*) FROM moved) + row_number() OVER (ORDER BY moved.id) - 1,
       moved.kind, moved.object_id, moved.actor_id, moved.data, moved.at
FROM moved, head`

func (l *Log) move(ctx context.Context, tx *pg.Tx) (int, error) {
	tag, err := tx.Exec(ctx, sqlMove, moveBatch)
	if err != nil {
		return 0, fmt.Errorf("move changes: %w", err)
	}
	return int(tag.RowsAffected()), nil
}

// Run sequences and feeds the consumers until ctx ends; Start must have been
// called.
func (l *Log) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	wg.Go(func() { l.seq.Run(ctx) })
	for _, f := range l.consumers {
		switch {
		case f.Durable:
			wg.Go(func() { f.runDurable(ctx) })
		case f.Keeper != nil:
			wg.Go(func() { f.runKept(ctx) })
		default:
			wg.Go(func() { f.run(ctx) })
		}
	}
	wg.Go(func() { l.tail.run(ctx) })
	wg.Go(func() { l.prune(ctx) })
	wg.Wait()
	return nil
}

const (
	sqlHead   = `SELECT next_seq - 1 FROM log_head WHERE name = 'change'`
	sqlCursor = `INSERT INTO log_cursor (name, seq) SELECT $1, next_seq - 1 FROM log_head WHERE name = 'change' ON CONFLICT (name) DO NOTHING`
)

// Start places the volatile consumers at the head and makes missing cursors:
// what is appended after it is seen by all.
func (l *Log) Start(ctx context.Context) error {
	var head int64
	if err := l.db.QueryRow(ctx, sqlHead).Scan(&head); err != nil {
		return fmt.Errorf("head of the change log: %w", err)
	}
	l.tail.at = head
	for _, f := range l.consumers {
		f.at = head
		if f.Keeper != nil {
			if err := f.startKept(ctx); err != nil {
				return err
			}
		}
		if f.Durable {
			if _, err := l.db.Exec(ctx, sqlCursor, f.Name); err != nil {
				return fmt.Errorf("cursor %s: %w", f.Name, err)
			}
		}
	}
	return nil
}

// Status is one consumer's place.
type Status struct {
	Name    string `json:"name"`
	Durable bool   `json:"durable"`
	Lag     int64  `json:"lag"` // changes behind the head, staged ones included
}

const sqlStaged = `SELECT (SELECT count(*) FROM change_stage), (SELECT next_seq - 1 FROM log_head WHERE name = 'change')`

const sqlLag = `SELECT $2 - seq FROM log_cursor WHERE name = $1`

// Status tells how far each consumer of this process is behind.
func (l *Log) Status(ctx context.Context) ([]Status, error) {
	var staged, head int64
	if err := l.db.QueryRow(ctx, sqlStaged).Scan(&staged, &head); err != nil {
		return nil, fmt.Errorf("change log status: %w", err)
	}
	var out []Status
	for _, f := range l.consumers {
		s := Status{Name: f.Name, Durable: f.Durable, Lag: head - f.position()}
		if f.Durable {
			if err := l.db.QueryRow(ctx, sqlLag, f.Name, head).Scan(&s.Lag); err != nil {
				return nil, fmt.Errorf("change log status: %w", err)
			}
		}
		s.Lag += staged
		out = append(out, s)
	}
	return out, nil
}

// Reset follows the emptying of all tables (reset-db in test mode): durable
// cursors are made again at the head, volatile consumers drop what they hold.
func (l *Log) Reset(ctx context.Context) error {
	for _, f := range l.consumers {
		if f.Durable {
			if _, err := l.db.Exec(ctx, sqlCursor, f.Name); err != nil {
				return fmt.Errorf("cursor %s: %w", f.Name, err)
			}
		} else if f.Lost != nil {
			f.Lost()
		}
	}
	return nil
}

const sqlPrune = `
DELETE FROM change_log WHERE at < now() - interval '7 days'
   OR (at < now() - interval '3 days' AND seq <= (SELECT coalesce(min(seq), 0) FROM log_cursor))`

// prune drops what is older than three days and read by all durable consumers;
// after seven days also what is not (they rebuild).
func (l *Log) prune(ctx context.Context) {
	for sleep(ctx, time.Hour) {
		if err := l.keep(ctx, l.db); err != nil && ctx.Err() == nil {
			l.log.Warn("prune change log", "err", err)
			continue
		}
		if _, err := l.db.Exec(ctx, sqlPrune); err != nil && ctx.Err() == nil {
			l.log.Warn("prune change log", "err", err)
		}
	}
}

// follower drives one consumer.
type follower struct {
	Consumer
	l     *Log
	after *follower     // nil: none
	moved *signal       // at has changed
	news  chan struct{} // something for it has come; holds one

	mu    sync.Mutex
	at    int64    // last number handled; of durable consumers it is in the database
	queue []Change // not yet handled; volatile consumers only
	upTo  int64    // last number that the queue covers
	busy  bool     // handling what was taken from the queue
}

// wants tells whether the consumer is handed changes of the kind.
func (f *follower) wants(kind string) bool {
	return f.Kinds == nil || slices.Contains(f.Kinds, kind)
}

func (f *follower) wake() {
	select {
	case f.news <- struct{}{}:
	default:
	}
}

// rowToChange scans seq, kind, object_id, actor_id, data, at.
func rowToChange(r pgx.CollectableRow) (Change, error) {
	var c Change
	err := r.Scan(&c.Seq, &c.Kind, &c.ObjectID, &c.ActorID, &c.Data, &c.At)
	return c, err
}

// sleep waits and tells whether ctx is still alive.
func sleep(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}
