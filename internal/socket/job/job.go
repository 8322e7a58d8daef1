// Package job is in charge of work that is rare or per person and happens
// later: a thin wrapper on River. Arguments are typed, a job is inserted in
// the transaction of its cause, and periodic work runs on one node. What
// happens for every note belongs into the change log (package log), and
// deliveries have an engine of their own.
package job

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivertype"

	"buttersc.one/oven/internal/lib/pg"
)

// Args are the arguments of a job. Kind names it, as "slice.what".
type Args interface{ Kind() string }

// Worker does the jobs of one kind.
type Worker struct {
	kind     string
	add      func(ws *river.Workers)
	periodic *river.PeriodicJob // nil: runs when inserted
	args     Args               // of periodic work
}

// Work makes a worker. An error is tried again with growing waits; an error
// from Cancel is final.
func Work[A Args](f func(ctx context.Context, args A) error) Worker {
	var zero A
	return Worker{kind: zero.Kind(), add: func(ws *river.Workers) {
		river.AddWorker(ws, &worker[A]{f: f})
	}}
}

// Few is Work for what is given up after a number of tries.
func Few[A Args](tries int, f func(ctx context.Context, args A) error) Worker {
	var zero A
	return Worker{kind: zero.Kind(), add: func(ws *river.Workers) {
		river.AddWorker(ws, &worker[A]{f: f, tries: tries})
	}}
}

// Every makes a worker that runs once per interval, on one node.
func Every[A Args](interval time.Duration, args A, f func(ctx context.Context) error) Worker {
	w := Work(func(ctx context.Context, _ A) error { return f(ctx) })
	w.args = args
	w.periodic = river.NewPeriodicJob(river.PeriodicInterval(interval),
		func() (river.JobArgs, *river.InsertOpts) {
			return args, &river.InsertOpts{MaxAttempts: 1, UniqueOpts: river.UniqueOpts{ByPeriod: interval}}
		},
		&river.PeriodicJobOpts{RunOnStart: true})
	return w
}

// lowest is the priority of work that may wait for all other.
const lowest = 4

// Low is Every for work that may wait for all other.
func Low[A Args](interval time.Duration, args A, f func(ctx context.Context) error) Worker {
	w := Every(interval, args, f)
	w.periodic = river.NewPeriodicJob(river.PeriodicInterval(interval),
		func() (river.JobArgs, *river.InsertOpts) {
			return args, &river.InsertOpts{MaxAttempts: 1, Priority: lowest, UniqueOpts: river.UniqueOpts{ByPeriod: interval}}
		},
		&river.PeriodicJobOpts{RunOnStart: true})
	return w
}

// Long is Low for work that may take hours. A run does not wait for the one before:
// f must see for itself that it is alone.
func Long[A Args](interval time.Duration, args A, f func(ctx context.Context) error) Worker {
	w := Low(interval, args, f)
	w.add = func(ws *river.Workers) {
		river.AddWorker(ws, &worker[A]{f: func(ctx context.Context, _ A) error { return f(ctx) }, timeout: -1})
	}
	return w
}

type worker[A Args] struct {
	river.WorkerDefaults[A]
	f       func(ctx context.Context, args A) error
	timeout time.Duration // 0: the queue's; -1: none
	tries   int           // 0: the queue's
}

func (w *worker[A]) Timeout(*river.Job[A]) time.Duration { return w.timeout }

func (w *worker[A]) Work(ctx context.Context, j *river.Job[A]) error {
	err := w.f(ctx, j.Args)
	if err != nil && w.tries > 0 && j.Attempt >= w.tries {
		return river.JobCancel(err)
	}
	return err
}

// Cancel marks an error after which the job is never tried again.
func Cancel(err error) error { return river.JobCancel(err) }

// Queue inserts and runs jobs.
type Queue struct {
	db      *pg.DB
	log     *slog.Logger
	schema  string
	workers []Worker
	client  *river.Client[pgx.Tx]
}

// New makes a queue on River's tables in schema. Plug workers, then Start.
func New(db *pg.DB, schema string, l *slog.Logger) *Queue {
	return &Queue{db: db, schema: schema, log: l}
}

// Plug adds workers, before Start.
func (q *Queue) Plug(ws ...Worker) { q.workers = append(q.workers, ws...) }

// Start begins to work jobs with up to concurrency at a time; 0 makes a queue
// that only inserts. Stop ends it.
func (q *Queue) Start(ctx context.Context, concurrency int) error {
	cfg := &river.Config{
		Schema: q.schema, Logger: slog.New(quiet{q.log.Handler()}), JobTimeout: 10 * time.Minute,
		FetchCooldown: 50 * time.Millisecond, RescueStuckJobsAfter: 15 * time.Minute,
	}
	if concurrency > 0 {
		cfg.Queues = map[string]river.QueueConfig{river.QueueDefault: {MaxWorkers: concurrency}}
		cfg.Workers = river.NewWorkers()
		for _, w := range q.workers {
			w.add(cfg.Workers)
			if w.periodic != nil {
				cfg.PeriodicJobs = append(cfg.PeriodicJobs, w.periodic)
			}
		}
	}
	client, err := river.NewClient(riverpgxv5.New(q.db.Pool), cfg)
	if err != nil {
		return fmt.Errorf("jobs: %w", err)
	}
	q.client = client
	if concurrency == 0 {
		return nil
	}
	if err := client.Start(ctx); err != nil {
		return fmt.Errorf("jobs: %w", err)
	}
	return nil
}

// Stop lets running jobs end until ctx does, then cancels them.
func (q *Queue) Stop(ctx context.Context) error {
	if q.client == nil {
		return nil
	}
	if err := q.client.Stop(ctx); err != nil && !errors.Is(err, context.Canceled) {
		return q.client.StopAndCancel(context.WithoutCancel(ctx))
	}
	return nil
}

// Insert adds a job in tx, to run at the given time or, with the zero time, at
// once after the commit.
func (q *Queue) Insert(ctx context.Context, tx *pg.Tx, args Args, at time.Time) error {
	if _, err := q.client.InsertTx(ctx, tx.Tx, args, &river.InsertOpts{ScheduledAt: at}); err != nil {
		return fmt.Errorf("insert job %s: %w", args.Kind(), err)
	}
	return nil
}

// RunPeriodic has all periodic work run now, out of turn: the clock has jumped.
func (q *Queue) RunPeriodic(ctx context.Context) error {
	return q.db.Tx(ctx, func(tx *pg.Tx) error {
		for _, w := range q.workers {
			if w.periodic == nil {
				continue
			}
			if err := q.Insert(ctx, tx, w.args, time.Time{}); err != nil {
				return err
			}
		}
		return nil
	})
}

// Due counts the jobs that could run now or are running.
func (q *Queue) Due(ctx context.Context) (int, error) {
	now := time.Now()
	n := 0
	res, err := q.client.JobList(ctx, river.NewJobListParams().First(1000).
		States(rivertype.JobStateAvailable, rivertype.JobStateRunning, rivertype.JobStateScheduled, rivertype.JobStateRetryable))
	if err != nil {
		return 0, fmt.Errorf("list jobs: %w", err)
	}
	for _, j := range res.Jobs {
		if !j.ScheduledAt.After(now) {
			n++
		}
	}
	return n, nil
}

// quiet passes warnings and errors only: River tells a lot at info.
type quiet struct{ slog.Handler }

func (quiet) Enabled(_ context.Context, l slog.Level) bool { return l >= slog.LevelWarn }

// Hold stops taking up jobs, or goes on.
func (q *Queue) Hold(ctx context.Context, hold bool) error {
	if hold {
		return q.client.QueuePause(ctx, river.QueueDefault, nil)
	}
	return q.client.QueueResume(ctx, river.QueueDefault, nil)
}
