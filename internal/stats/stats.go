// Package stats is in charge of this server's numbers: totals that are kept by
// following the change log, so that nobody counts rows to tell them; the machine
// it runs on, and what that does; and the sizes of its tables.
package stats

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/jackc/pgx/v5"

	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/meta"
	"buttersc.one/oven/internal/socket/api"
	"buttersc.one/oven/internal/socket/log"
	"buttersc.one/oven/internal/socket/stream"
)

// Service keeps totals.
type Service struct {
	db   *pg.DB
	meta *meta.Service
	log  *log.Log
	hub  *stream.Hub
	dir  string // on the disk that files are on
	slog *slog.Logger
}

// New makes the service.
func New(db *pg.DB, m *meta.Service, lg *log.Log, hub *stream.Hub, dir string, l *slog.Logger) *Service {
	return &Service{db: db, meta: m, log: lg, hub: hub, dir: dir, slog: l}
}

// Totals are counts of this moment, up to what is still in the change log.
type Totals struct {
	Notes, LocalNotes int64
	Users, LocalUsers int64
	Reactions         int64
	Instances         int64
}

const sqlTotals = `SELECT name, value FROM counter UNION ALL SELECT 'instances', count(*) FROM instance`

// Totals reads the totals.
func (s *Service) Totals(ctx context.Context) (*Totals, error) {
	rows, err := s.db.Query(ctx, sqlTotals)
	if err != nil {
		return nil, fmt.Errorf("totals: %w", err)
	}
	t := &Totals{}
	into := map[string]*int64{"notes": &t.Notes, "notes.local": &t.LocalNotes, "users": &t.Users, "users.local": &t.LocalUsers,
		"reactions": &t.Reactions, "instances": &t.Instances}
	var name string
	var value int64
	_, err = pgx.ForEachRow(rows, []any{&name, &value}, func() error {
		if p := into[name]; p != nil {
			*p = value
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("totals: %w", err)
	}
	return t, nil
}

// Consumers fold the change log into the totals: the cursor moves in the same
// transaction, so each change counts once.
func (s *Service) Consumers() []log.Consumer {
	return []log.Consumer{{
		Name: "stats.totals", Durable: true, Handle: s.onChanges,
		Kinds: []string{"note.created", "note.deleted", "note.reacted", "note.unreacted", "user.created"},
	}}
}

const sqlAdd = `
INSERT INTO counter (name, value) SELECT * FROM unnest($1::text[], $2::bigint[])
ON CONFLICT (name) DO UPDATE SET value = counter.value + excluded.value`

func (s *Service) onChanges(ctx context.Context, tx *pg.Tx, batch []log.Change) error {
	sum := map[string]int64{}
	for _, c := range batch {
		var d struct {
			Host   *string `json:"host"`
			Local  bool    `json:"local"`
			System bool    `json:"system"`
		}
		if err := c.Into(&d); err != nil {
			return err
		}
		count := func(name string, local bool, n int64) {
			sum[name] += n
			if local {
				sum[name+".local"] += n
			}
		}
		switch c.Kind {
		case "note.created":
			count("notes", d.Host == nil, 1)
		case "note.deleted":
			count("notes", d.Host == nil, -1)
		case "note.reacted":
			sum["reactions"]++
		case "note.unreacted":
			sum["reactions"]--
		case "user.created":
			if !d.System {
				count("users", d.Local, 1)
			}
		}
	}
	names, values := []string{}, []int64{}
	for n, v := range sum {
		names, values = append(names, n), append(values, v)
	}
	if _, err := tx.Exec(ctx, sqlAdd, names, values); err != nil {
		return fmt.Errorf("count: %w", err)
	}
	return nil
}

// Endpoints is the API of this slice.
func (s *Service) Endpoints() []api.Endpoint {
	return []api.Endpoint{
		api.Post("stats", s.apiStats, api.Visitors),
		api.Post("server-info", s.apiServerInfo, api.Visitors, api.Get(60)),
		api.Post("admin/server-info", s.apiAdminServerInfo, api.Moderator("read:admin:server-info")),
		api.Post("admin/get-table-stats", s.apiTables, api.Admin("read:admin:table-stats")),
		api.Post("admin/get-index-stats", s.apiIndexes, api.Admin("read:admin:index-stats")),
	}
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
	if err := s.db.QueryRow(ctx, sqlUsage).Scan(&res.DriveUsageLocal, &res.DriveUsageRemote); err != nil {
		return nil, fmt.Errorf("usage of files: %w", err)
	}
	return res, nil
}
