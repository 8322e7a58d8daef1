// Package chart is in charge of time series: how much of something there was in
// each hour and each day, in UTC. Slices define charts and say what is to be
// added; the package folds it together, keeps it and reads it. It knows nothing
// of what is counted.
//
// There are two ways in. What is told by the change log is written by the log's
// durable consumer in the transaction in which its cursor moves (Write): it is
// exact, whatever dies when. What no change tells of (requests, views of a page)
// is gathered in memory and written once a minute and at the end (Count, Seen,
// Flush): a process that is killed loses up to a minute of it.
//
// A total is kept as a sum of what was ever added, with what was added in each
// hour and day beside it. Its course is read backwards from now, so that an hour
// in which nothing happened needs no row and carries over what was before.
package chart

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"buttersc.one/oven/internal/lib/pg"
)

// Kind is how a column counts.
type Kind int

const (
	// Count is how often something happened.
	Count Kind = iota
	// Total is how many there are, carried over.
	Total
	// Unique is how many different members there were.
	Unique
	// Both is how many members two other columns have in common.
	Both
)

// Column of a chart.
type Column struct {
	Name string
	Kind Kind
	Unit int64     // what is read is divided by it; 0: 1
	Of   [2]string // of Both: the columns, which are Unique
}

// Def defines a chart. What is stored goes by the columns' places: new ones come
// behind those that were there.
type Def struct {
	Name    string
	Grouped bool // a series for each group
	Columns []Column
}

// place of a column. One that is not defined is a mistake of who adds to it.
func (d *Def) place(col string, kinds ...Kind) int {
	for i, c := range d.Columns {
		if c.Name != col {
			continue
		}
		for _, k := range kinds {
			if c.Kind == k {
				return i
			}
		}
	}
	panic("chart: " + d.Name + " has no such column " + col)
}

// totals tells whether something of the chart is carried over.
func (d *Def) totals() bool {
	for _, c := range d.Columns {
		if c.Kind == Total {
			return true
		}
	}
	return false
}

// Engine keeps charts.
type Engine struct {
	db   *pg.DB
	now  func() time.Time
	log  *slog.Logger
	defs map[string]*Def

	mu      sync.Mutex
	pending *Sums
	full    chan struct{} // pending has become large
}

// New makes the engine; Plug and Run follow.
func New(db *pg.DB, now func() time.Time, l *slog.Logger) *Engine {
	e := &Engine{db: db, now: now, log: l, defs: map[string]*Def{}, full: make(chan struct{}, 1)}
	e.pending = e.Sums()
	return e
}

// Plug adds charts, before Run.
func (e *Engine) Plug(defs ...Def) {
	for _, d := range defs {
		if e.defs[d.Name] != nil {
			panic("chart: " + d.Name + " is defined twice")
		}
		e.defs[d.Name] = &d
	}
}

func (e *Engine) def(name string) *Def {
	d := e.defs[name]
	if d == nil {
		panic("chart: there is no chart " + name)
	}
	return d
}

// Span is the length of a bucket.
type Span string

// The spans that charts are read in.
const (
	Hour Span = "hour"
	Day  Span = "day"
)

// all is where the sums of ever are.
const all Span = "all"

var epoch = time.Date(1970, 1, 1, 0, 0, 0, 0, time.UTC)

// length of a bucket. Days are UTC's, which have no others.
func (s Span) length() time.Duration {
	if s == Day {
		return 24 * time.Hour
	}
	return time.Hour
}

// Bucket is the beginning of the bucket that a moment is in.
func (s Span) Bucket(t time.Time) time.Time { return t.UTC().Truncate(s.length()) }

const (
	flushEvery = time.Minute
	// maxPending is how many sums are gathered at most before they are written
	// out of turn.
	maxPending = 10_000
	// mostPending is how many are kept while they cannot be written.
	mostPending = 200_000
)

// Count adds n to a column now; it is written with the next flush.
func (e *Engine) Count(name, grp, col string, n int64) {
	e.gather(func(s *Sums) { s.Add(e.now(), name, grp, col, n) })
}

// Seen counts a member in a column now, once a bucket; it is written with the
// next flush.
func (e *Engine) Seen(name, grp, col, member string) {
	e.gather(func(s *Sums) { s.Seen(e.now(), name, grp, col, member) })
}

func (e *Engine) gather(add func(*Sums)) {
	e.mu.Lock()
	defer e.mu.Unlock()
	add(e.pending)
	if e.pending.size() >= maxPending {
		select {
		case e.full <- struct{}{}:
		default:
		}
	}
}

// Flush writes what was gathered. What cannot be written is kept for the next
// time, within limits.
func (e *Engine) Flush(ctx context.Context) error {
	e.mu.Lock()
	out := e.pending
	e.pending = e.Sums()
	e.mu.Unlock()
	if out.size() == 0 {
		return nil
	}
	if err := e.db.Tx(ctx, func(tx *pg.Tx) error { return e.Write(ctx, tx, out) }); err != nil {
		e.mu.Lock()
		defer e.mu.Unlock()
		if e.pending.size()+out.size() > mostPending {
			return fmt.Errorf("%d sums are lost: %w", out.size(), err)
		}
		e.pending.merge(out)
		return err
	}
	return nil
}

// Reset drops what was gathered.
func (e *Engine) Reset() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.pending = e.Sums()
}

const sqlHour = `INSERT INTO chart_hour (at) VALUES ($1) ON CONFLICT (at) DO NOTHING`

// Run writes what is gathered, and down that the server is there, until ctx ends.
// Who ends last calls Flush once more.
func (e *Engine) Run(ctx context.Context) error {
	for {
		if _, err := e.db.Exec(ctx, sqlHour, Hour.Bucket(e.now())); err != nil && ctx.Err() == nil {
			e.log.Warn("charts", "err", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(flushEvery):
		case <-e.full:
		}
		// A commit that is cut off may have happened: it would be done twice.
		if err := e.Flush(context.WithoutCancel(ctx)); err != nil {
			e.log.Warn("charts", "err", err)
			select {
			case <-ctx.Done():
			case <-time.After(time.Second):
			}
		}
	}
}

const sqlClean = `DELETE FROM chart_member WHERE at < $1 OR span = 'hour' AND at < $2`

const (
	keepHours = 2 * 24 * time.Hour
	keepDays  = 40 * 24 * time.Hour
)

// Clean forgets who was counted in buckets that nothing is added to any more.
func (e *Engine) Clean(ctx context.Context) error {
	now := e.now()
	if _, err := e.db.Exec(ctx, sqlClean, now.Add(-keepDays), now.Add(-keepHours)); err != nil {
		return fmt.Errorf("members of charts: %w", err)
	}
	return nil
}
