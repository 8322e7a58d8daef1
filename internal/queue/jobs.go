package queue

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"buttersc.one/oven/internal/socket/api"
	"buttersc.one/oven/internal/socket/delivery"
	"buttersc.one/oven/internal/socket/inbox"
	"buttersc.one/oven/internal/socket/job"
)

var (
	errShowNone = api.Err("NO_SUCH_JOB", "8d1f4f0a-6f0e-4b53-9d0c-6a4f0b8e2a01", "There is no such job.")
	errLogsNone = api.Err("NO_SUCH_JOB", "8d1f4f0a-6f0e-4b53-9d0c-6a4f0b8e2a02", "There is no such job.")
)

// maxJobs are listed.
const maxJobs = 100

// entry is a job. Of deliveries it is a host with all that waits for it
// ("host:a.example"), or an activity that one inbox is sent again on its own
// (endpoint-stream-number).
type entry struct {
	ID           string         `json:"id"`
	Name         string         `json:"name"`
	Data         map[string]any `json:"data"` // ids, hosts, types and numbers
	Opts         map[string]any `json:"opts"`
	Timestamp    int64          `json:"timestamp"` // ms
	ProcessedOn  *int64         `json:"processedOn,omitempty"`
	ProcessedBy  string         `json:"processedBy,omitempty"`
	FinishedOn   *int64         `json:"finishedOn,omitempty"`
	Progress     map[string]any `json:"progress"`
	Attempts     int            `json:"attempts"`
	Delay        int64          `json:"delay"` // ms from timestamp
	FailedReason string         `json:"failedReason"`
	Stacktrace   []string       `json:"stacktrace"`
	ReturnValue  map[string]any `json:"returnValue"`
	IsFailed     bool           `json:"isFailed"`

	logs []string
}

func newEntry(id, name string, data map[string]any) entry {
	return entry{ID: id, Name: name, Data: data, Opts: map[string]any{}, Progress: map[string]any{}, ReturnValue: map[string]any{}, Stacktrace: []string{}, logs: []string{}}
}

type jobsReq struct {
	queueReq
	State  []string `json:"state" api:"required,items-enum=active|wait|delayed|completed|failed|paused"`
	Search *string  `json:"search" api:"max=256"`
}

// apiJobs lists the newest jobs; search is a part of a name, an id or a host.
func (s *Service) apiJobs(ctx context.Context, _ *api.Call, req jobsReq) ([]entry, error) {
	var list []entry
	var err error
	switch req.Queue {
	case "deliver":
		list, err = s.deliveries(ctx, req.State)
	case "inbox":
		list, err = s.activities(ctx, req.State, search(req.Search), nil)
	default:
		list, err = s.riverJobs(ctx, req.Queue, req.State)
	}
	if err != nil {
		return nil, err
	}
	if text := search(req.Search); text != "" {
		list = slices.DeleteFunc(list, func(e entry) bool {
			return !strings.Contains(strings.ToLower(e.ID+" "+e.Name+" "+fmt.Sprint(e.Data["host"])), text)
		})
	}
	return list[:min(len(list), maxJobs)], nil
}

func search(s *string) string {
	if s == nil {
		return ""
	}
	return strings.ToLower(strings.TrimSpace(*s))
}

func ms(t *time.Time) *int64 {
	if t == nil {
		return nil
	}
	n := t.UnixMilli()
	return &n
}

func hostEntry(h delivery.HostStatus) entry {
	e := newEntry("host:"+h.Host, h.Host, map[string]any{"host": h.Host, "state": h.State, "waiting": h.Backlog, "inFlight": h.InFlight})
	e.Attempts, e.FailedReason, e.ProcessedOn = h.Fails, h.LastError, ms(h.LastOK)
	if h.FailSince != nil {
		e.Timestamp = h.FailSince.UnixMilli()
		e.logs = append(e.logs, h.FailSince.UTC().Format(time.RFC3339)+" fails since: "+h.LastError)
	} else if h.LastOK != nil {
		e.Timestamp = h.LastOK.UnixMilli()
	}
	if h.NextTry != nil {
		e.Delay = max(0, h.NextTry.UnixMilli()-e.Timestamp)
		e.logs = append(e.logs, h.NextTry.UTC().Format(time.RFC3339)+" next try")
	}
	return e
}

// The day is in the key of the log, and is not known here; a number of a stream
// is there once.
const sqlSingles = `
SELECT x.endpoint_id, x.stream_id, x.seq, x.attempts, x.next_at, x.reason, h.host, l.type, l.activity_id, l.actor_id
FROM fed_exception x JOIN fed_endpoint e ON e.endpoint_id = x.endpoint_id JOIN fed_host h ON h.host_id = e.host_id
JOIN LATERAL (
	SELECT type, activity_id, actor_id FROM fed_log_live l WHERE l.stream_id = x.stream_id AND l.seq = x.seq
	UNION ALL SELECT type, activity_id, actor_id FROM fed_log_bulk l WHERE l.stream_id = x.stream_id AND l.seq = x.seq
) l ON true
WHERE $1::int IS NULL OR x.endpoint_id = $1 AND x.stream_id = $2 AND x.seq = $3
ORDER BY x.next_at LIMIT 1000`

func (s *Service) singles(ctx context.Context, x *delivery.Single) ([]entry, error) {
	var endpoint *int32
	var stream, seq *int64
	if x != nil {
		endpoint, stream, seq = &x.Endpoint, &x.Stream, &x.Seq
	}
	rows, err := s.db.Query(ctx, sqlSingles, endpoint, stream, seq)
	if err != nil {
		return nil, fmt.Errorf("deliveries: %w", err)
	}
	out, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) (entry, error) {
		var x delivery.Single
		var attempts int
		var next time.Time
		var reason, host, typ, activity, actor string
		err := r.Scan(&x.Endpoint, &x.Stream, &x.Seq, &attempts, &next, &reason, &host, &typ, &activity, &actor)
		e := newEntry(fmt.Sprintf("%d-%d-%d", x.Endpoint, x.Stream, x.Seq), host, map[string]any{"host": host, "type": typ, "activityId": activity, "actorId": actor})
		e.Attempts, e.FailedReason, e.Timestamp = attempts, reason, next.UnixMilli()
		e.logs = append(e.logs, fmt.Sprintf("attempt %d: %s", attempts, reason), next.UTC().Format(time.RFC3339)+" next try")
		return e, err
	})
	if err != nil {
		return nil, fmt.Errorf("deliveries: %w", err)
	}
	return out, nil
}

func (s *Service) deliveries(ctx context.Context, states []string) ([]entry, error) {
	hosts, err := s.delivery.Hosts(ctx)
	if err != nil {
		return nil, err
	}
	slices.SortStableFunc(hosts, func(a, b delivery.HostStatus) int { return int(min(1, max(-1, b.Backlog-a.Backlog))) })
	out := []entry{}
	for _, h := range hosts {
		if h.Backlog > 0 && slices.Contains(states, stateOf(h)) || h.InFlight > 0 && slices.Contains(states, "active") {
			out = append(out, hostEntry(h))
		}
	}
	if slices.Contains(states, "delayed") {
		more, err := s.singles(ctx, nil)
		if err != nil {
			return nil, err
		}
		out = append(out, more...)
	}
	return out, nil
}

const sqlActivities = `
SELECT id, state, host, actor, actor_id, received_at, due_at, attempts, waits_for FROM fed_inbox
WHERE state = ANY($1::smallint[]) AND ($2 = '' OR strpos(host, $2) > 0 OR id::text = $2) AND ($3::bigint IS NULL OR id = $3)
ORDER BY id DESC LIMIT 100`

// inboxStates has what Misskey's states are in the inbox. What is at work is
// among what is ready: its rows are held, not marked.
var inboxStates = map[string][]inbox.State{"wait": {inbox.Ready}, "active": {inbox.Ready}, "delayed": {inbox.Again, inbox.Parked}, "failed": {inbox.Failed},
	"*": {inbox.Ready, inbox.Again, inbox.Parked, inbox.Failed}}

func (s *Service) activities(ctx context.Context, states []string, text string, id *int64) ([]entry, error) {
	var in []inbox.State
	for _, st := range states {
		in = append(in, inboxStates[st]...)
	}
	rows, err := s.db.Query(ctx, sqlActivities, in, text, id)
	if err != nil {
		return nil, fmt.Errorf("activities: %w", err)
	}
	out, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) (entry, error) {
		var id int64
		var state inbox.State
		var host, actor, actorID, waits string
		var received, due time.Time
		var attempts int
		err := r.Scan(&id, &state, &host, &actor, &actorID, &received, &due, &attempts, &waits)
		e := newEntry(strconv.FormatInt(id, 10), host, map[string]any{"host": host, "actor": actor, "actorId": actorID})
		e.Timestamp, e.Attempts, e.IsFailed = received.UnixMilli(), attempts, state == inbox.Failed
		e.Delay = max(0, due.Sub(received).Milliseconds())
		e.logs = append(e.logs, received.UTC().Format(time.RFC3339)+" received")
		switch state {
		case inbox.Failed:
			e.FailedReason = fmt.Sprintf("failed %d times", attempts)
		case inbox.Parked:
			e.FailedReason = "waits for " + waits
			e.logs = append(e.logs, due.UTC().Format(time.RFC3339)+" fetches "+waits)
		case inbox.Again:
			e.FailedReason = fmt.Sprintf("failed %d times", attempts)
			e.logs = append(e.logs, due.UTC().Format(time.RFC3339)+" next try")
		}
		return e, err
	})
	if err != nil {
		return nil, fmt.Errorf("activities: %w", err)
	}
	return out, nil
}

// riverStates has what Misskey's states are of jobs.
var riverStates = map[string][]job.State{"wait": {job.Available, job.Pending}, "active": {job.Running}, "delayed": {job.Retryable, job.Scheduled},
	"completed": {job.Completed}, "failed": {job.Cancelled, job.Discarded}}

func (s *Service) riverJobs(ctx context.Context, queue string, states []string) ([]entry, error) {
	st, err := s.snapshot(ctx)
	if err != nil {
		return nil, err
	}
	var in []job.State
	for _, name := range states {
		in = append(in, riverStates[name]...)
	}
	jobs, err := s.jobs.List(ctx, st.kinds[queue], in, maxJobs)
	if err != nil {
		return nil, err
	}
	out := []entry{}
	for _, j := range jobs {
		out = append(out, jobEntry(j))
	}
	return out, nil
}

func jobEntry(j job.Job) entry {
	data := map[string]any{}
	for k, v := range j.Data {
		data[k] = v
	}
	e := newEntry(strconv.FormatInt(j.ID, 10), j.Kind, data)
	e.Opts["attempts"] = j.MaxAttempts
	e.Timestamp, e.ProcessedOn, e.ProcessedBy, e.FinishedOn = j.CreatedAt.UnixMilli(), ms(j.AttemptedAt), j.AttemptedBy, ms(j.FinalizedAt)
	e.Attempts, e.Delay = j.Attempt, max(0, j.ScheduledAt.Sub(j.CreatedAt).Milliseconds())
	e.IsFailed = slices.Contains(riverStates["failed"], j.State)
	if n := len(j.Failures); n > 0 {
		// What it says can quote what is somebody's: the server's log has it.
		e.FailedReason = fmt.Sprintf("failed %d times, the last at %s", n, j.Failures[n-1].UTC().Format(time.RFC3339))
	}
	for i, t := range j.Failures {
		e.logs = append(e.logs, fmt.Sprintf("%s attempt %d failed", t.UTC().Format(time.RFC3339), i+1))
	}
	return e
}

type jobReq struct {
	queueReq
	JobID string `json:"jobId" api:"required,min=1,max=300"`
}

// errNone says that there is no such job; each endpoint has its own of it.
var errNone = errors.New("no such job")

// single reads the id of an activity that is sent again on its own.
func single(id string) *delivery.Single {
	parts := strings.Split(id, "-")
	if len(parts) != 3 {
		return nil
	}
	endpoint, err1 := strconv.ParseInt(parts[0], 10, 32)
	stream, err2 := strconv.ParseInt(parts[1], 10, 64)
	seq, err3 := strconv.ParseInt(parts[2], 10, 64)
	if err1 != nil || err2 != nil || err3 != nil {
		return nil
	}
	return &delivery.Single{Endpoint: int32(endpoint), Stream: stream, Seq: seq}
}

func (s *Service) job(ctx context.Context, req jobReq) (*entry, error) {
	var list []entry
	var err error
	if host, ok := strings.CutPrefix(req.JobID, "host:"); ok && req.Queue == "deliver" {
		hosts, err := s.delivery.Hosts(ctx)
		if err != nil {
			return nil, err
		}
		for _, h := range hosts {
			if h.Host == host {
				e := hostEntry(h)
				return &e, nil
			}
		}
		return nil, errNone
	}
	if req.Queue == "deliver" {
		x := single(req.JobID)
		if x == nil {
			return nil, errNone
		}
		list, err = s.singles(ctx, x)
	} else {
		id, bad := strconv.ParseInt(req.JobID, 10, 64)
		if bad != nil {
			return nil, errNone
		}
		if req.Queue == "inbox" {
			list, err = s.activities(ctx, []string{"*"}, "", &id)
		} else if j, missing := s.jobs.Get(ctx, id); missing == nil && queueOf(j.Kind) == req.Queue {
			list = []entry{jobEntry(*j)}
		} else if missing != nil && !errors.Is(missing, job.ErrNoJob) {
			err = missing
		}
	}
	if err != nil {
		return nil, err
	}
	if len(list) == 0 {
		return nil, errNone
	}
	return &list[0], nil
}

func (s *Service) apiShowJob(ctx context.Context, _ *api.Call, req jobReq) (*entry, error) {
	e, err := s.job(ctx, req)
	if errors.Is(err, errNone) {
		err = errShowNone
	}
	return e, err
}

func (s *Service) apiJobLogs(ctx context.Context, _ *api.Call, req jobReq) ([]string, error) {
	e, err := s.job(ctx, req)
	if errors.Is(err, errNone) {
		return nil, errLogsNone
	}
	if err != nil {
		return nil, err
	}
	return e.logs, nil
}
