package backup

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"buttersc.one/oven/internal/lib/config"
	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/socket/api"
	"buttersc.one/oven/internal/socket/job"
)

// Config says what the server does by itself.
type Config struct {
	To         string // place; "": nothing
	S3         config.S3
	Every      time.Duration
	Keep       Keep
	Recipients Recipients
	ProveEvery time.Duration // how often the newest one is restored to prove it; 0: never
	Identities []string      // files with the private keys for that
}

// Service backs the server up by its settings, and tells how that went.
type Service struct {
	Source
	Config
	prover Prover
	now    func() time.Time
}

// New makes the service. It refuses settings that would fail every time.
func New(src Source, c Config, prover Prover, now func() time.Time) (*Service, error) {
	s := &Service{Source: src, Config: c, prover: prover, now: now}
	s.prover.Source = &s.Source
	return s, c.Recipients.Check()
}

// Endpoints is the API of this slice.
func (s *Service) Endpoints() []api.Endpoint {
	return []api.Endpoint{api.Post("oven/admin/backup", s.apiStatus, api.Admin("read:admin:meta"), api.Hidden)}
}

// lookEvery is how often it is asked whether a backup is due; retryAfter is how long
// one that failed is left alone.
const (
	lookEvery  = 5 * time.Minute
	retryAfter = time.Hour
)

type due struct{}

// Kind names the job.
func (due) Kind() string { return "backup.due" }

// Jobs of this slice.
func (s *Service) Jobs() []job.Worker {
	if s.To == "" {
		return nil
	}
	list := []job.Worker{job.Long(lookEvery, due{}, s.work)}
	if s.provable() {
		list = append(list, job.Long(lookEvery, proof{}, s.prove))
	}
	return list
}

const (
	sqlLastGood = `SELECT max(began_at) FROM backup_run WHERE kind = 'backup' AND error = ''`
	sqlLastTry  = `SELECT max(began_at) FROM backup_run WHERE kind = 'backup'`
)

const sqlLasts = `SELECT kind, max(ended_at) FROM backup_run WHERE error = '' GROUP BY kind`

// Last tells when the last good backup was made, and when one was last proven by
// restoring it; the zero time: never.
func (s *Service) Last(ctx context.Context) (good, proven time.Time, err error) {
	rows, err := s.DB.Query(ctx, sqlLasts)
	if err != nil {
		return good, proven, fmt.Errorf("backup: %w", err)
	}
	var kind string
	var at time.Time
	_, err = pgx.ForEachRow(rows, []any{&kind, &at}, func() error {
		if kind == kindBackup {
			good = at
		} else {
			proven = at
		}
		return nil
	})
	if err != nil {
		return good, proven, fmt.Errorf("backup: %w", err)
	}
	return good, proven, nil
}

func (s *Service) last(ctx context.Context, sql string) (t time.Time, err error) {
	var at *time.Time
	if err := s.DB.QueryRow(ctx, sql).Scan(&at); err != nil {
		return t, fmt.Errorf("backup: %w", err)
	}
	if at != nil {
		t = *at
	}
	return t, nil
}

// work makes a backup when one is due.
func (s *Service) work(ctx context.Context) error {
	good, err := s.last(ctx, sqlLastGood)
	if err != nil {
		return err
	}
	tried, err := s.last(ctx, sqlLastTry)
	if err != nil {
		return err
	}
	now := s.now()
	// A little early is better than a little later every day.
	if now.Sub(good) < s.Every-lookEvery/2 || tried.After(good) && now.Sub(tried) < min(retryAfter, s.Every) {
		return nil
	}
	place, err := OpenPlace(s.To, s.S3, true)
	if err != nil {
		return err
	}
	r, err := s.Make(ctx, Order{Place: place, To: s.Recipients, Keep: s.Keep, Known: true})
	switch {
	case errors.Is(err, ErrBusy):
		return nil
	case err != nil:
		s.Log.Error("the backup failed", "place", place.String(), "err", err)
		return nil // it is in the table, by which it is tried again
	}
	s.Log.Info("backed up", "id", r.ID, "place", place.String(), "files", r.Files, "added", r.AddedBytes, "missing", r.Missing)
	return nil
}

// run is what became of a backup, or of the proof of one.
type run struct {
	Kind       string   `json:"kind"` // backup, verify
	Place      string   `json:"place"`
	BackupID   string   `json:"backupId"`
	BeganAt    api.Time `json:"beganAt"`
	EndedAt    api.Time `json:"endedAt"`
	Error      string   `json:"error"` // "": it went well
	Encrypted  bool     `json:"encrypted"`
	Files      int64    `json:"files"`
	FileBytes  int64    `json:"fileBytes"`
	Missing    int64    `json:"missing"`
	AddedBytes int64    `json:"addedBytes"`
}

type keeps struct {
	Last   int `json:"last"`
	Daily  int `json:"daily"`
	Weekly int `json:"weekly"`
}

type statusRes struct {
	To                string `json:"to"`    // "": nothing is backed up by itself
	Every             int64  `json:"every"` // seconds
	Encrypted         bool   `json:"encrypted"`
	Keep              keeps  `json:"keep"`
	Running           bool   `json:"running"`
	ProveEvery        int64  `json:"proveEvery"` // seconds; 0: nothing is proven by itself
	LastGoodBackup    *run   `json:"lastGoodBackup"`
	LastProvenRestore *run   `json:"lastProvenRestore"`
	Runs              []run  `json:"runs"` // newest first
}

const (
	sqlRunColumns = `SELECT kind, place, backup_id, began_at, ended_at, error, encrypted, files, file_bytes, missing, added_bytes FROM backup_run `
	sqlRuns       = sqlRunColumns + `ORDER BY id DESC LIMIT 30`
	sqlLastRun    = sqlRunColumns + `WHERE kind = $1 AND error = '' ORDER BY id DESC LIMIT 1`
	sqlRunning    = `
SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND classid = $1::int::oid AND objid = 0
	AND database = (SELECT oid FROM pg_database WHERE datname = current_database()))`
)

// apiStatus tells when the last good backup was, and when one was last proven.
func (s *Service) apiStatus(ctx context.Context, _ *api.Call, _ struct{}) (*statusRes, error) {
	out := &statusRes{To: s.To, Every: int64(s.Every / time.Second), Encrypted: len(s.Recipients) > 0,
		Keep: keeps{Last: s.Config.Keep.Last, Daily: s.Config.Keep.Daily, Weekly: s.Config.Keep.Weekly}}
	if err := s.DB.QueryRow(ctx, sqlRunning, pg.LockBackup).Scan(&out.Running); err != nil {
		return nil, fmt.Errorf("backup: %w", err)
	}
	if s.To != "" && s.provable() {
		out.ProveEvery = int64(s.Config.ProveEvery / time.Second)
	}
	var err error
	if out.Runs, err = s.runs(ctx, sqlRuns); err != nil {
		return nil, err
	}
	for kind, to := range map[string]**run{kindBackup: &out.LastGoodBackup, kindVerify: &out.LastProvenRestore} {
		list, err := s.runs(ctx, sqlLastRun, kind)
		if err != nil {
			return nil, err
		}
		if len(list) > 0 {
			*to = &list[0]
		}
	}
	return out, nil
}

func (s *Service) runs(ctx context.Context, sql string, args ...any) ([]run, error) {
	rows, err := s.DB.Query(ctx, sql, args...)
	if err != nil {
		return nil, fmt.Errorf("backup: %w", err)
	}
	out, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (r run, err error) {
		var began, ended time.Time
		err = row.Scan(&r.Kind, &r.Place, &r.BackupID, &began, &ended, &r.Error, &r.Encrypted, &r.Files, &r.FileBytes, &r.Missing, &r.AddedBytes)
		r.BeganAt, r.EndedAt = api.Time(began), api.Time(ended)
		return r, err
	})
	if err != nil {
		return nil, fmt.Errorf("backup: %w", err)
	}
	if out == nil {
		out = []run{}
	}
	return out, nil
}
