package job

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"

	"buttersc.one/oven/internal/lib/pg"
)

// States of a job, as River names them.
const (
	Available = rivertype.JobStateAvailable
	Cancelled = rivertype.JobStateCancelled
	Completed = rivertype.JobStateCompleted
	Discarded = rivertype.JobStateDiscarded
	Pending   = rivertype.JobStatePending
	Retryable = rivertype.JobStateRetryable
	Running   = rivertype.JobStateRunning
	Scheduled = rivertype.JobStateScheduled
)

// State is one of the above.
type State = rivertype.JobState

// ErrNoJob says that a job does not exist, or is running and cannot be touched.
var ErrNoJob = errors.New("no such job")

// Job is a job as operators see it. It never has the text of arguments or
// errors, which can quote what is somebody's.
type Job struct {
	ID          int64
	Kind        string
	State       State
	Data        map[string]string // ids, hosts and types among the arguments
	Attempt     int
	MaxAttempts int
	CreatedAt   time.Time
	ScheduledAt time.Time
	AttemptedAt *time.Time
	AttemptedBy string // the node
	FinalizedAt *time.Time
	Failures    []time.Time // when an attempt failed, the oldest first
}

// Count is how many jobs of a kind are in a state.
type Count struct {
	Kind  string
	State State
	N     int64
}

const (
	sqlCounts  = `SELECT kind, state::text, count(*) FROM river.river_job GROUP BY kind, state`
	sqlMinutes = `
SELECT kind, state::text, floor(extract(epoch FROM now() - finalized_at) / 60)::int, count(*)
FROM river.river_job WHERE finalized_at > now() - interval '60 minutes' GROUP BY 1, 2, 3`
	sqlHasten = `
SELECT id FROM river.river_job WHERE kind = ANY($1) AND state IN ('retryable', 'scheduled') ORDER BY id LIMIT 10000`
)

// Counts counts the jobs that are kept, the finished of the last day included.
func (q *Queue) Counts(ctx context.Context) ([]Count, error) {
	rows, err := q.db.Query(ctx, sqlCounts)
	if err != nil {
		return nil, fmt.Errorf("count jobs: %w", err)
	}
	out, err := pgx.CollectRows(rows, pgx.RowToStructByPos[Count])
	if err != nil {
		return nil, fmt.Errorf("count jobs: %w", err)
	}
	return out, nil
}

// Minute is how many jobs of a kind ended in a state so many minutes ago.
type Minute struct {
	Kind  string
	State State
	Ago   int
	N     int64
}

// LastHour counts the jobs that ended in the last 60 minutes, by minute.
func (q *Queue) LastHour(ctx context.Context) ([]Minute, error) {
	rows, err := q.db.Query(ctx, sqlMinutes)
	if err != nil {
		return nil, fmt.Errorf("count ended jobs: %w", err)
	}
	out, err := pgx.CollectRows(rows, pgx.RowToStructByPos[Minute])
	if err != nil {
		return nil, fmt.Errorf("count ended jobs: %w", err)
	}
	return out, nil
}

// List gives the newest jobs of the kinds in one of the states.
func (q *Queue) List(ctx context.Context, kinds []string, states []State, limit int) ([]Job, error) {
	if len(kinds) == 0 || len(states) == 0 {
		return nil, nil
	}
	res, err := q.client.JobList(ctx, river.NewJobListParams().First(limit).Kinds(kinds...).States(states...).OrderBy(river.JobListOrderByID, river.SortOrderDesc))
	if err != nil {
		return nil, fmt.Errorf("list jobs: %w", err)
	}
	out := make([]Job, 0, len(res.Jobs))
	for _, j := range res.Jobs {
		out = append(out, seen(j))
	}
	return out, nil
}

// Get gives a job. ErrNoJob.
func (q *Queue) Get(ctx context.Context, id int64) (*Job, error) {
	j, err := q.client.JobGet(ctx, id)
	if errors.Is(err, rivertype.ErrNotFound) {
		return nil, ErrNoJob
	}
	if err != nil {
		return nil, fmt.Errorf("job %d: %w", id, err)
	}
	out := seen(j)
	return &out, nil
}

func seen(j *rivertype.JobRow) Job {
	out := Job{ID: j.ID, Kind: j.Kind, State: j.State, Data: identity(j.EncodedArgs), Attempt: j.Attempt, MaxAttempts: j.MaxAttempts,
		CreatedAt: j.CreatedAt, ScheduledAt: j.ScheduledAt, AttemptedAt: j.AttemptedAt, FinalizedAt: j.FinalizedAt}
	if n := len(j.AttemptedBy); n > 0 {
		out.AttemptedBy = j.AttemptedBy[n-1]
	}
	for _, e := range j.Errors {
		out.Failures = append(out.Failures, e.At)
	}
	return out
}

// identity picks the ids, hosts and types out of arguments.
func identity(args []byte) map[string]string {
	out := map[string]string{}
	var all map[string]any
	if json.Unmarshal(args, &all) != nil {
		return out
	}
	for name, v := range all {
		text, ok := v.(string)
		if ok && len(text) <= 256 && (name == "id" || name == "host" || name == "type" || strings.HasSuffix(name, "Id")) {
			out[name] = text
		}
	}
	return out
}

// Retry has a job run at once, whatever it is in; one that is running goes on.
// ErrNoJob.
func (q *Queue) Retry(ctx context.Context, tx *pg.Tx, id int64) error {
	_, err := q.client.JobRetryTx(ctx, tx.Tx, id)
	if errors.Is(err, rivertype.ErrNotFound) {
		return ErrNoJob
	}
	if err != nil {
		return fmt.Errorf("retry job %d: %w", id, err)
	}
	return nil
}

// Remove deletes a job that is not running. ErrNoJob.
func (q *Queue) Remove(ctx context.Context, tx *pg.Tx, id int64) error {
	_, err := q.client.JobDeleteTx(ctx, tx.Tx, id)
	if errors.Is(err, rivertype.ErrNotFound) || errors.Is(err, rivertype.ErrJobRunning) {
		return ErrNoJob
	}
	if err != nil {
		return fmt.Errorf("remove job %d: %w", id, err)
	}
	return nil
}

// Hasten has the jobs of the kinds that wait for their time run at once, up to
// 10,000 of them.
func (q *Queue) Hasten(ctx context.Context, tx *pg.Tx, kinds []string) error {
	rows, err := tx.Query(ctx, sqlHasten, kinds)
	if err != nil {
		return fmt.Errorf("run jobs now: %w", err)
	}
	ids, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	if err != nil {
		return fmt.Errorf("run jobs now: %w", err)
	}
	for _, id := range ids {
		if err := q.Retry(ctx, tx, id); err != nil && !errors.Is(err, ErrNoJob) {
			return err
		}
	}
	return nil
}

// Clear deletes the jobs of the kinds in the states, up to 10,000 at a time;
// what is running stays.
func (q *Queue) Clear(ctx context.Context, tx *pg.Tx, kinds []string, states []State) error {
	if len(kinds) == 0 || len(states) == 0 {
		return nil
	}
	if _, err := q.client.JobDeleteManyTx(ctx, tx.Tx, river.NewJobDeleteManyParams().First(10_000).Kinds(kinds...).States(states...)); err != nil {
		return fmt.Errorf("clear jobs: %w", err)
	}
	return nil
}
