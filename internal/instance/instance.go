// Package instance is in charge of other servers: which are known, what
// software they run, which are blocked or silenced. State about deliveries to
// them belongs to package delivery.
package instance

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"buttersc.one/oven/internal/lib/id"
	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/meta"
	"buttersc.one/oven/internal/socket/job"
	"buttersc.one/oven/internal/socket/remote"
)

// ErrBlocked says that the server does not federate with the host.
var ErrBlocked = errors.New("host is blocked")

// Info is what a user's server is shown as.
type Info struct {
	Name            *string `json:"name"`
	SoftwareName    *string `json:"softwareName"`
	SoftwareVersion *string `json:"softwareVersion"`
	IconURL         *string `json:"iconUrl"`
	FaviconURL      *string `json:"faviconUrl"`
	ThemeColor      *string `json:"themeColor"`
}

// Service knows other servers.
type Service struct {
	db    *pg.DB
	meta  *meta.Service
	ids   *id.Maker
	jobs  *job.Queue
	slog  *slog.Logger
	fetch fetcher

	mu    sync.Mutex
	infos map[string]cached
}

type cached struct {
	info *Info // nil: unknown host
	till time.Time
}

// fetcher reads documents of other servers; remote.Client is one. It is
// bound after construction, since the client asks this service which hosts are
// allowed.
type fetcher interface {
	Get(ctx context.Context, url, accept string, limit int64) (*remote.Page, error)
	GetJSON(ctx context.Context, url string, limit int64) ([]byte, error)
	OriginOf(host string) string
}

// New makes the service; Bind must follow before its jobs run.
func New(db *pg.DB, m *meta.Service, ids *id.Maker, jobs *job.Queue, l *slog.Logger) *Service {
	return &Service{db: db, meta: m, ids: ids, jobs: jobs, slog: l, infos: map[string]cached{}}
}

// Bind gives the service its way out.
func (s *Service) Bind(f fetcher) { s.fetch = f }

// Allowed implements remote.HostPolicy: ErrBlocked for hosts that this server
// does not federate with. A rule for a host holds for its subdomains too.
func (s *Service) Allowed(_ context.Context, host string) error {
	set := s.meta.Get()
	switch {
	case set.Federation == "none",
		set.Federation == "specified" && !Covers(set.FederationHosts, host),
		Covers(set.BlockedHosts, host):
		return fmt.Errorf("%s: %w", host, ErrBlocked)
	}
	return nil
}

// MediaSilenced tells whether files and emoji of the host are not shown
// (exact match).
func (s *Service) MediaSilenced(host string) bool {
	for _, h := range s.meta.Get().MediaSilencedHosts {
		if h == host {
			return true
		}
	}
	return false
}

// Covers tells whether one of the rules is for the host, or for a domain above
// it.
func Covers(rules []string, host string) bool {
	for _, r := range rules {
		if r != "" && (host == r || strings.HasSuffix(host, "."+r)) {
			return true
		}
	}
	return false
}

const sqlSilenced = `SELECT is_silenced FROM instance WHERE host = $1`

// Silenced tells whether public notes of the host's users are only shown to
// their followers (fork: an instance's own flag).
func (s *Service) Silenced(ctx context.Context, q pg.Q, host string) (bool, error) {
	var silenced bool
	if err := q.QueryRow(ctx, sqlSilenced, host).Scan(&silenced); err != nil && !pg.NoRows(err) {
		return false, fmt.Errorf("instance %s: %w", host, err)
	}
	return silenced, nil
}

// infoFor is how long Info may be stale.
const infoFor = 5 * time.Minute

// maxInfos bounds the memory of the cache; a full one starts anew.
const maxInfos = 20_000

const sqlInfos = `
SELECT host, name, software_name, software_version, icon_url, favicon_url, theme_color
FROM instance WHERE host = ANY($1)`

// Infos gives what is known of the hosts; unknown ones are missing.
func (s *Service) Infos(ctx context.Context, hosts []string) (map[string]*Info, error) {
	out := make(map[string]*Info, len(hosts))
	var ask []string
	now := time.Now()
	s.mu.Lock()
	for _, h := range hosts {
		if c, ok := s.infos[h]; ok && now.Before(c.till) {
			if c.info != nil {
				out[h] = c.info
			}
		} else {
			ask = append(ask, h)
		}
	}
	s.mu.Unlock()
	if len(ask) == 0 {
		return out, nil
	}
	rows, err := s.db.Query(ctx, sqlInfos, ask)
	if err != nil {
		return nil, fmt.Errorf("instances: %w", err)
	}
	defer rows.Close()
	found := map[string]*Info{}
	for rows.Next() {
		var host string
		i := &Info{}
		if err := rows.Scan(&host, &i.Name, &i.SoftwareName, &i.SoftwareVersion, &i.IconURL, &i.FaviconURL, &i.ThemeColor); err != nil {
			return nil, fmt.Errorf("instances: %w", err)
		}
		found[host], out[host] = i, i
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("instances: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.infos) > maxInfos {
		clear(s.infos)
	}
	for _, h := range ask {
		s.infos[h] = cached{info: found[h], till: now.Add(infoFor)}
	}
	return out, nil
}

// Forget empties the cache.
func (s *Service) Forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.infos)
}

const sqlTouch = `INSERT INTO instance (id, host) VALUES ($1, $2) ON CONFLICT (host) DO NOTHING`

// ErrUnknown says that nothing is known of a host.
var ErrUnknown = errors.New("no such instance")

// Row is what moderators change of a server.
type Row struct {
	ID, Host       string
	IsSilenced     bool
	ModerationNote string
}

const (
	sqlHold    = `SELECT id, host, is_silenced, moderation_note FROM instance WHERE host = $1 FOR UPDATE`
	sqlSilence = `UPDATE instance SET is_silenced = $2 WHERE host = $1`
	sqlRemark  = `UPDATE instance SET moderation_note = $2 WHERE host = $1`
)

// Hold reads a server's row and locks it; ErrUnknown.
func (s *Service) Hold(ctx context.Context, tx *pg.Tx, host string) (*Row, error) {
	r := &Row{}
	err := tx.QueryRow(ctx, sqlHold, host).Scan(&r.ID, &r.Host, &r.IsSilenced, &r.ModerationNote)
	if pg.NoRows(err) {
		return nil, ErrUnknown
	}
	if err != nil {
		return nil, fmt.Errorf("instance %s: %w", host, err)
	}
	return r, nil
}

// Silence has public notes of a server's accounts taken in as home notes from
// now on, or ends that.
func (s *Service) Silence(ctx context.Context, tx *pg.Tx, host string, yes bool) error {
	if _, err := tx.Exec(ctx, sqlSilence, host, yes); err != nil {
		return fmt.Errorf("silence %s: %w", host, err)
	}
	return nil
}

// Remark writes what moderators say of a server among themselves.
func (s *Service) Remark(ctx context.Context, tx *pg.Tx, host, note string) error {
	if _, err := tx.Exec(ctx, sqlRemark, host, note); err != nil {
		return fmt.Errorf("remark on %s: %w", host, err)
	}
	return nil
}

// Ask has a server's description fetched soon.
func (s *Service) Ask(ctx context.Context, tx *pg.Tx, host string) error {
	return s.ask(ctx, tx, host, time.Time{})
}

const sqlAsked = `UPDATE instance SET asked_at = now() WHERE host = $1`

func (s *Service) ask(ctx context.Context, tx *pg.Tx, host string, at time.Time) error {
	if _, err := tx.Exec(ctx, sqlAsked, host); err != nil {
		return fmt.Errorf("ask instance %s: %w", host, err)
	}
	return s.jobs.Insert(ctx, tx, fetchArgs{Host: host}, at)
}

// Touch makes a row for the host when there is none, and has its description
// fetched later.
func (s *Service) Touch(ctx context.Context, tx *pg.Tx, host string) error {
	tag, err := tx.Exec(ctx, sqlTouch, s.ids.Now(), host)
	if err != nil {
		return fmt.Errorf("instance %s: %w", host, err)
	}
	if tag.RowsAffected() == 0 {
		return nil
	}
	return s.Ask(ctx, tx, host)
}

// Jobs of this slice.
func (s *Service) Jobs() []job.Worker {
	return []job.Worker{job.Work(s.workFetch), job.Every(refreshEvery, refreshArgs{}, s.workRefresh)}
}
