// Package stats is in charge of this server's numbers: totals and charts that are
// kept by following the change log, so that nobody counts rows to tell them; how
// many of those who came stay; the machine it runs on, and what that does; and the
// sizes of its tables.
package stats

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"buttersc.one/oven/internal/instance"
	"buttersc.one/oven/internal/lib/id"
	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/lib/secret"
	"buttersc.one/oven/internal/meta"
	"buttersc.one/oven/internal/socket/api"
	"buttersc.one/oven/internal/socket/chart"
	"buttersc.one/oven/internal/socket/job"
	"buttersc.one/oven/internal/socket/log"
	"buttersc.one/oven/internal/socket/stream"
)

// Deps are what the slice stands on.
type Deps struct {
	DB        *pg.DB
	Meta      *meta.Service
	Instances *instance.Service
	Engine    *chart.Engine
	Box       *secret.Box
	IDs       *id.Maker
	Hub       *stream.Hub
	Dir       string // on the disk that files are on
	Slog      *slog.Logger
	Now       func() time.Time
}

// Service keeps totals and charts.
type Service struct{ Deps }

// New makes the service.
func New(d Deps) *Service { return &Service{Deps: d} }

// Totals are counts of this moment, up to what is still in the change log.
type Totals struct {
	Notes, LocalNotes int64
	Users, LocalUsers int64
	Reactions         int64
	Instances         int64
}

const sqlCounters = `SELECT coalesce((SELECT value FROM counter WHERE name = 'reactions'), 0), (SELECT count(*) FROM instance)`

// Totals reads the totals.
func (s *Service) Totals(ctx context.Context) (*Totals, error) {
	t := &Totals{}
	if err := s.DB.QueryRow(ctx, sqlCounters).Scan(&t.Reactions, &t.Instances); err != nil {
		return nil, fmt.Errorf("totals: %w", err)
	}
	for name, of := range map[string]struct{ local, every *int64 }{"notes": {&t.LocalNotes, &t.Notes}, "users": {&t.LocalUsers, &t.Users}} {
		v, err := s.Engine.Read(ctx, chart.Query{Name: name, Span: chart.Day, Limit: 1})
		if err != nil {
			return nil, fmt.Errorf("totals: %w", err)
		}
		*of.local = v["local.total"][0]
		*of.every = *of.local + v["remote.total"][0]
	}
	return t, nil
}

// Consumers fold the change log into the totals: the cursor moves in the same
// transaction, so each change counts once.
func (s *Service) Consumers() []log.Consumer {
	return []log.Consumer{{
		Name: "stats.totals", Durable: true, Handle: s.onReactions,
		Kinds: []string{"note.reacted", "note.unreacted"},
	}, {
		Name: "stats.charts", Durable: true, Handle: s.onCharts, Kinds: folded,
	}}
}

// cleanEvery who was counted is forgotten.
const cleanEvery = 6 * time.Hour

type cleanArgs struct{}

// Kind implements job.Args.
func (cleanArgs) Kind() string { return "stats.clean" }

// Jobs of this slice.
func (s *Service) Jobs() []job.Worker {
	return []job.Worker{
		job.Every(serversEvery, serversArgs{}, s.workServers),
		job.Every(cohortsEvery, cohortsArgs{}, s.workCohorts),
		job.Every(cleanEvery, cleanArgs{}, s.Engine.Clean),
	}
}

const sqlAdd = `
INSERT INTO counter (name, value) VALUES ('reactions', $1) ON CONFLICT (name) DO UPDATE SET value = counter.value + excluded.value`

// onReactions counts the reactions that there are: what charts count is those that
// were made.
func (s *Service) onReactions(ctx context.Context, tx *pg.Tx, batch []log.Change) error {
	n := 0
	for _, c := range batch {
		if c.Kind == "note.reacted" {
			n++
		} else {
			n--
		}
	}
	if _, err := tx.Exec(ctx, sqlAdd, n); err != nil {
		return fmt.Errorf("count: %w", err)
	}
	return nil
}

// Endpoints is the API of this slice.
func (s *Service) Endpoints() []api.Endpoint {
	return append(s.chartEndpoints(), []api.Endpoint{
		api.Post("stats", s.apiStats, api.Visitors),
		api.Post("server-info", s.apiServerInfo, api.Visitors, api.Get(60)),
		api.Post("admin/server-info", s.apiAdminServerInfo, api.Moderator("read:admin:server-info")),
		api.Post("admin/get-table-stats", s.apiTables, api.Admin("read:admin:table-stats")),
		api.Post("admin/get-index-stats", s.apiIndexes, api.Admin("read:admin:index-stats")),
	}...)
}

type statsRes struct {
	NotesCount         int64 `json:"notesCount"`
	OriginalNotesCount int64 `json:"originalNotesCount"`
	UsersCount         int64 `json:"usersCount"`
	OriginalUsersCount int64 `json:"originalUsersCount"`
	ReactionsCount     int64 `json:"reactionsCount"`
	Instances          int64 `json:"instances"`
	DriveUsageLocal    int64 `json:"driveUsageLocal"`
	DriveUsageRemote   int64 `json:"driveUsageRemote"`
}

const sqlUsage = `SELECT coalesce(sum(size) FILTER (WHERE user_host IS NULL), 0), coalesce(sum(size) FILTER (WHERE user_host IS NOT NULL), 0)
FROM drive_file WHERE NOT is_link`

func (s *Service) apiStats(ctx context.Context, _ *api.Call, _ struct{}) (*statsRes, error) {
	t, err := s.Totals(ctx)
	if err != nil {
		return nil, err
	}
	res := &statsRes{NotesCount: t.Notes, OriginalNotesCount: t.LocalNotes, UsersCount: t.Users, OriginalUsersCount: t.LocalUsers,
		ReactionsCount: t.Reactions, Instances: t.Instances}
	if err := s.DB.QueryRow(ctx, sqlUsage).Scan(&res.DriveUsageLocal, &res.DriveUsageRemote); err != nil {
		return nil, fmt.Errorf("usage of files: %w", err)
	}
	return res, nil
}
