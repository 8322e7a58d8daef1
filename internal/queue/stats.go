package queue

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"runtime"
	"slices"

	"github.com/jackc/pgx/v5"

	"buttersc.one/oven/internal/socket/api"
	"buttersc.one/oven/internal/socket/job"
)

type statsRes struct {
	Deliver       counts `json:"deliver"`
	Inbox         counts `json:"inbox"`
	DB            counts `json:"db"`
	ObjectStorage counts `json:"objectStorage"`
}

func (s *Service) apiStats(ctx context.Context, _ *api.Call, _ struct{}) (*statsRes, error) {
	st, err := s.snapshot(ctx)
	if err != nil {
		return nil, err
	}
	return &statsRes{*st.counts["deliver"], *st.counts["inbox"], *st.counts["db"], *st.counts["objectStorage"]}, nil
}

// metrics are how many ended, and by minute where that is known: of jobs, in the
// last hour, the newest minute first.
type metrics struct {
	Meta struct {
		Count     int64 `json:"count"`
		PrevTS    int64 `json:"prevTS"`
		PrevCount int64 `json:"prevCount"`
	} `json:"meta"`
	Data  []int64 `json:"data"`
	Count int64   `json:"count"`
}

type queueMetrics struct {
	Completed metrics `json:"completed"`
	Failed    metrics `json:"failed"`
}

type queueRes struct {
	Name     string           `json:"name"`
	Counts   map[string]int64 `json:"counts"`
	IsPaused bool             `json:"isPaused"`
	Metrics  queueMetrics     `json:"metrics"`
}

func (s *Service) queues(ctx context.Context) ([]queueRes, error) {
	st, err := s.snapshot(ctx)
	if err != nil {
		return nil, err
	}
	ended, err := s.jobs.LastHour(ctx)
	if err != nil {
		return nil, err
	}
	out := make([]queueRes, 0, len(names))
	for _, name := range names {
		c := st.counts[name]
		q := queueRes{Name: name, Counts: c.byState()}
		q.Metrics.Completed.Count, q.Metrics.Failed.Count = c.Completed, c.Failed
		q.Metrics.Completed.Data, q.Metrics.Failed.Data = []int64{}, []int64{}
		switch name {
		case "deliver":
			for _, h := range st.hosts {
				q.Metrics.Failed.Count += h.Refused // given up, and not kept
			}
		case "inbox":
		default:
			q.Metrics.Completed.Data, q.Metrics.Failed.Data = make([]int64, 60), make([]int64, 60)
			for _, m := range ended {
				if queueOf(m.Kind) != name || m.Ago < 0 || m.Ago >= 60 {
					continue
				}
				if m.State == job.Completed {
					q.Metrics.Completed.Data[m.Ago] += m.N
				} else {
					q.Metrics.Failed.Data[m.Ago] += m.N
				}
			}
		}
		q.Metrics.Completed.Meta.Count, q.Metrics.Failed.Meta.Count = q.Metrics.Completed.Count, q.Metrics.Failed.Count
		out = append(out, q)
	}
	return out, nil
}

func (s *Service) apiQueues(ctx context.Context, _ *api.Call, _ struct{}) ([]queueRes, error) {
	return s.queues(ctx)
}

// database is what the queues are kept in: PostgreSQL. Of its memory nothing can
// be asked, so memory is this process's.
type database struct {
	Version   string `json:"version"`
	Mode      string `json:"mode"`
	RunID     string `json:"runId"`     // of the database's run: when it started
	ProcessID string `json:"processId"` // of the session that answered
	Port      int    `json:"port"`
	OS        string `json:"os"`
	Uptime    int64  `json:"uptime"` // seconds
	Memory    struct {
		Total              uint64  `json:"total"`
		Used               uint64  `json:"used"`
		FragmentationRatio float64 `json:"fragmentationRatio"`
		Peak               uint64  `json:"peak"`
	} `json:"memory"`
	Clients struct {
		Blocked   int `json:"blocked"`
		Connected int `json:"connected"`
	} `json:"clients"`
}

const sqlDatabase = `
SELECT current_setting('server_version'), extract(epoch FROM pg_postmaster_start_time())::bigint::text, pg_backend_pid()::text,
       current_setting('port')::int, coalesce(substring(version() FROM ' on ([^ ,]+)'), ''), extract(epoch FROM now() - pg_postmaster_start_time())::bigint,
       count(*) FILTER (WHERE wait_event_type = 'Lock'), count(*)
FROM pg_stat_activity WHERE datname = current_database()`

type queueStatsRes struct {
	queueRes
	QualifiedName string   `json:"qualifiedName"`
	DB            database `json:"db"`
}

type queueReq struct {
	Queue string `json:"queue" api:"required,enum=system|endedPollNotification|postScheduledNote|deliver|inbox|db|relationship|objectStorage|userWebhookDeliver|systemWebhookDeliver"`
}

func (s *Service) apiQueueStats(ctx context.Context, _ *api.Call, req queueReq) (*queueStatsRes, error) {
	all, err := s.queues(ctx)
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(all, func(q queueRes) bool { return q.Name == req.Queue })
	out := &queueStatsRes{queueRes: all[i], QualifiedName: "oven:" + req.Queue}
	d := &out.DB
	d.Mode = "standalone"
	if err := s.db.QueryRow(ctx, sqlDatabase).Scan(&d.Version, &d.RunID, &d.ProcessID, &d.Port, &d.OS, &d.Uptime, &d.Clients.Blocked, &d.Clients.Connected); err != nil {
		return nil, fmt.Errorf("database: %w", err)
	}
	var mem runtime.MemStats
	runtime.ReadMemStats(&mem)
	d.Memory.Total, d.Memory.Peak, d.Memory.Used = mem.Sys, mem.Sys, mem.HeapAlloc
	d.Memory.FragmentationRatio = float64(mem.HeapInuse) / float64(max(mem.HeapAlloc, 1))
	return out, nil
}

// lag is a host and how much of it waits, as a pair.
type lag struct {
	Host string
	N    int64
}

// MarshalJSON writes the pair.
func (l lag) MarshalJSON() ([]byte, error) { return json.Marshal([]any{l.Host, l.N}) }

// APISchema says that it is one.
func (lag) APISchema() *api.Schema {
	return &api.Schema{Type: "array", Items: &api.Schema{AnyOf: []*api.Schema{{Type: "string"}, {Type: "integer"}}}}
}

// apiDeliverDelayed lists the hosts that are not up and how much waits for each,
// and those that are, with what they are sent again on its own; the most first.
func (s *Service) apiDeliverDelayed(ctx context.Context, _ *api.Call, _ struct{}) ([]lag, error) {
	hosts, err := s.delivery.Hosts(ctx)
	if err != nil {
		return nil, err
	}
	out := []lag{}
	for _, h := range hosts {
		n := int64(h.Singles)
		if stateOf(h) != "wait" {
			n += h.Backlog
		}
		if n > 0 {
			out = append(out, lag{h.Host, n})
		}
	}
	slices.SortStableFunc(out, func(a, b lag) int { return cmp.Compare(b.N, a.N) })
	return out, nil
}

const sqlInboxDelayed = `SELECT host, count(*) FROM fed_inbox WHERE state IN (1, 2) GROUP BY host ORDER BY count(*) DESC, host`

func (s *Service) apiInboxDelayed(ctx context.Context, _ *api.Call, _ struct{}) ([]lag, error) {
	rows, err := s.db.Query(ctx, sqlInboxDelayed)
	if err != nil {
		return nil, fmt.Errorf("delayed activities: %w", err)
	}
	out, err := pgx.CollectRows(rows, pgx.RowToStructByPos[lag])
	if err != nil {
		return nil, fmt.Errorf("delayed activities: %w", err)
	}
	return out, nil
}
