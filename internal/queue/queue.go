// Package queue is in charge of what moderators see and do of work that waits:
// deliveries to other servers, the inbox, and jobs. It has no queue of its own
// and no table: Misskey's names of queues and states are put on what the sockets
// have. Nothing it shows has the text of an activity or of a job's arguments.
package queue

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/socket/api"
	"buttersc.one/oven/internal/socket/delivery"
	"buttersc.one/oven/internal/socket/event"
	"buttersc.one/oven/internal/socket/inbox"
	"buttersc.one/oven/internal/socket/job"
	"buttersc.one/oven/internal/socket/stream"
)

// Service answers for the queues.
type Service struct {
	db       *pg.DB
	delivery *delivery.Service
	inbox    *inbox.Service
	jobs     *job.Queue
	bus      *event.Bus
	hub      *stream.Hub
	slog     *slog.Logger
}

// New makes the service.
func New(db *pg.DB, d *delivery.Service, in *inbox.Service, jobs *job.Queue, bus *event.Bus, hub *stream.Hub, l *slog.Logger) *Service {
	return &Service{db: db, delivery: d, inbox: in, jobs: jobs, bus: bus, hub: hub, slog: l}
}

// Endpoints is the API of this slice.
func (s *Service) Endpoints() []api.Endpoint {
	read, write := api.Moderator("read:admin:queue"), api.Moderator("write:admin:queue")
	return []api.Endpoint{
		api.Post("admin/queue/stats", s.apiStats, api.Moderator("read:admin:emoji")),
		api.Post("admin/queue/queues", s.apiQueues, read),
		api.Post("admin/queue/queue-stats", s.apiQueueStats, read),
		api.Post("admin/queue/deliver-delayed", s.apiDeliverDelayed, read),
		api.Post("admin/queue/inbox-delayed", s.apiInboxDelayed, read),
		api.Post("admin/queue/jobs", s.apiJobs, read),
		api.Post("admin/queue/show-job", s.apiShowJob, read, api.Errors(errShowNone)),
		api.Post("admin/queue/show-job-logs", s.apiJobLogs, read, api.Errors(errLogsNone)),
		api.Post("admin/queue/clear", s.apiClear, write),
		api.Post("admin/queue/promote", s.apiPromote, write),
		api.Post("admin/queue/promote-jobs", s.apiPromoteJobs, write),
		api.Post("admin/queue/retry-job", s.apiRetryJob, write, api.Errors(errRetryNone)),
		api.Post("admin/queue/remove-job", s.apiRemoveJob, write, api.Errors(errRemoveNone)),
	}
}

// names of the queues, in the order in which clients show them.
var names = []string{"system", "endedPollNotification", "postScheduledNote", "deliver", "inbox", "db", "relationship", "objectStorage",
	"userWebhookDeliver", "systemWebhookDeliver"}

// queueOf puts a kind of job into one of Misskey's queues.
func queueOf(kind string) string {
	slice, _, _ := strings.Cut(kind, ".")
	switch {
	case kind == "note.polls":
		return "endedPollNotification"
	case slice == "account" || slice == "note":
		return "db"
	case slice == "relation":
		return "relationship"
	case slice == "drive":
		return "objectStorage"
	case kind == "webhook.system":
		return "systemWebhookDeliver"
	case slice == "webhook":
		return "userWebhookDeliver"
	}
	return "system"
}

// counts are what is in a queue.
type counts struct {
	Waiting   int64 `json:"waiting"`
	Active    int64 `json:"active"`
	Completed int64 `json:"completed"`
	Failed    int64 `json:"failed"`
	Delayed   int64 `json:"delayed"`
	paused    int64
}

// byState has the counts by the names that states have in the newer API.
func (c counts) byState() map[string]int64 {
	return map[string]int64{"wait": c.Waiting, "waiting": c.Waiting, "active": c.Active, "completed": c.Completed, "failed": c.Failed, "delayed": c.Delayed,
		"paused": c.paused, "prioritized": 0, "waiting-children": 0}
}

// snapshot is all queues at one moment, read in a number of statements that
// grows with nothing.
type snapshot struct {
	counts map[string]*counts
	kinds  map[string][]string // of jobs that are kept, by queue
	hosts  []delivery.HostStatus
}

const sqlInboxStates = `SELECT state, count(*) FROM fed_inbox GROUP BY state`

func (s *Service) snapshot(ctx context.Context) (*snapshot, error) {
	out := &snapshot{counts: map[string]*counts{}, kinds: map[string][]string{}}
	for _, name := range names {
		out.counts[name] = &counts{}
	}
	var err error
	if out.hosts, err = s.delivery.Hosts(ctx); err != nil {
		return nil, err
	}
	d := out.counts["deliver"]
	for _, h := range out.hosts {
		d.Active += int64(h.InFlight)
		d.Delayed += int64(h.Singles)
		switch stateOf(h) {
		case "paused":
			d.paused += h.Backlog
		case "delayed":
			d.Delayed += h.Backlog
		default:
			d.Waiting += h.Backlog
		}
	}
	in := out.counts["inbox"]
	rows, err := s.db.Query(ctx, sqlInboxStates)
	if err != nil {
		return nil, fmt.Errorf("inbox: %w", err)
	}
	var state inbox.State
	var n int64
	if _, err := pgx.ForEachRow(rows, []any{&state, &n}, func() error {
		switch state {
		case inbox.Ready:
			in.Active = min(n, int64(s.inbox.Active()))
			in.Waiting = n - in.Active
		case inbox.Again, inbox.Parked:
			in.Delayed += n
		case inbox.Failed:
			in.Failed = n
		}
		return nil
	}); err != nil {
		return nil, fmt.Errorf("inbox: %w", err)
	}
	jobs, err := s.jobs.Counts(ctx)
	if err != nil {
		return nil, err
	}
	for _, j := range jobs {
		name := queueOf(j.Kind)
		if !slices.Contains(out.kinds[name], j.Kind) {
			out.kinds[name] = append(out.kinds[name], j.Kind)
		}
		c := out.counts[name]
		switch j.State {
		case job.Available, job.Pending:
			c.Waiting += j.N
		case job.Running:
			c.Active += j.N
		case job.Retryable, job.Scheduled:
			c.Delayed += j.N
		case job.Completed:
			c.Completed += j.N
		default:
			c.Failed += j.N
		}
	}
	return out, nil
}

// stateOf puts a host into one of Misskey's states.
func stateOf(h delivery.HostStatus) string {
	switch h.State {
	case "paused":
		return "paused"
	case "up", "throttled":
		return "wait"
	}
	return "delayed"
}
