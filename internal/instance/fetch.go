package instance

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"

	"buttersc.one/oven/internal/lib/pg"
)

// fetchArgs asks for a server's description.
type fetchArgs struct {
	Host string `json:"host"`
}

// Kind implements job.Args.
func (fetchArgs) Kind() string { return "instance.fetch" }

// nodeinfo is what is read of NodeInfo 2.0 and 2.1 (FEP-f1d5).
type nodeinfo struct {
	Software struct {
		Name    string `json:"name"`
		Version string `json:"version"`
	} `json:"software"`
	OpenRegistrations *bool          `json:"openRegistrations"`
	Metadata          map[string]any `json:"metadata"`
}

const maxNodeinfo = 256 << 10

func (s *Service) workFetch(ctx context.Context, a fetchArgs) error {
	if s.Allowed(ctx, a.Host) != nil {
		return nil //nolint:nilerr // blocked since: not asked
	}
	info, err := s.nodeinfo(ctx, a.Host)
	page, perr := s.look(ctx, a.Host)
	if err != nil && perr != nil {
		return fmt.Errorf("nodeinfo of %s: %w", a.Host, err)
	}
	// What could not be had now stays as it was.
	return s.save(ctx, a.Host, info, page)
}

const (
	// refreshEvery servers that have sent something of late are asked again what
	// they are, each once a day.
	refreshEvery = time.Hour
	refreshMost  = 1000 // at a time, spread over the hour
)

// refreshArgs asks for the servers to be asked that have not been for a day.
type refreshArgs struct{}

// Kind implements job.Args.
func (refreshArgs) Kind() string { return "instance.refresh" }

const sqlStale = `
SELECT t.host FROM instance t JOIN fed_sender s ON s.host = t.host
WHERE s.last_at > now() - interval '1 day' AND (t.asked_at IS NULL OR t.asked_at < now() - interval '1 day')
ORDER BY t.asked_at NULLS FIRST LIMIT $1`

func (s *Service) workRefresh(ctx context.Context) error {
	rows, err := s.db.Query(ctx, sqlStale, refreshMost)
	if err != nil {
		return fmt.Errorf("stale instances: %w", err)
	}
	hosts, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return fmt.Errorf("stale instances: %w", err)
	}
	for i, host := range hosts {
		var at time.Time
		if i > 0 {
			at = time.Now().Add(time.Duration(i) * refreshEvery / refreshMost)
		}
		if err := s.db.Tx(ctx, func(tx *pg.Tx) error { return s.ask(ctx, tx, host, at) }); err != nil {
			return err
		}
	}
	return nil
}

// Alive tells whether a server of the fediverse is at the host: it says of itself
// what it runs.
func (s *Service) Alive(ctx context.Context, host string) bool {
	_, err := s.nodeinfo(ctx, host)
	return err == nil
}

func (s *Service) nodeinfo(ctx context.Context, host string) (*nodeinfo, error) {
	b, err := s.fetch.GetJSON(ctx, s.fetch.OriginOf(host)+"/.well-known/nodeinfo", maxNodeinfo)
	if err != nil {
		return nil, err
	}
	var index struct {
		Links []struct{ Rel, Href string }
	}
	if err := json.Unmarshal(b, &index); err != nil {
		return nil, err
	}
	best := ""
	for _, l := range index.Links {
		if strings.HasPrefix(l.Rel, "http://nodeinfo.diaspora.software/ns/schema/") && l.Rel > best {
			best = l.Rel
		}
	}
	for _, l := range index.Links {
		if l.Rel != best {
			continue
		}
		b, err := s.fetch.GetJSON(ctx, l.Href, maxNodeinfo)
		if err != nil {
			return nil, err
		}
		var n nodeinfo
		return &n, json.Unmarshal(b, &n)
	}
	return nil, fmt.Errorf("no schema named")
}

const (
	sqlSaveInfo = `
UPDATE instance SET info_updated_at = now(), software_name = $2, software_version = $3, open_registrations = $4,
	name = $5, description = $6, maintainer_name = $7, maintainer_email = $8, theme_color = $9
WHERE host = $1`
	// What a server says of itself in nodeinfo, now or before, is better than what
	// its page does.
	sqlSaveLook = `
UPDATE instance SET info_updated_at = now(), icon_url = $2, favicon_url = $3,
	theme_color = CASE WHEN software_name IS NULL THEN coalesce($4, theme_color) ELSE coalesce(theme_color, $4) END,
	name = CASE WHEN software_name IS NULL THEN coalesce($5, name) ELSE coalesce(name, $5) END
WHERE host = $1`
)

func (s *Service) save(ctx context.Context, host string, n *nodeinfo, l *look) error {
	if n != nil {
		if err := s.saveInfo(ctx, host, n); err != nil {
			return err
		}
	}
	if l != nil {
		str := func(v string, max int) *string {
			if v = cut(v, max); v == "" {
				return nil
			}
			return &v
		}
		_, err := s.db.Exec(ctx, sqlSaveLook, host, str(l.icon, maxIconURL), str(l.favicon, maxIconURL), str(l.themeColor, 64), str(l.name, 256))
		if err != nil {
			return fmt.Errorf("save instance %s: %w", host, err)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.infos, host)
	return nil
}

func (s *Service) saveInfo(ctx context.Context, host string, n *nodeinfo) error {
	str := func(m map[string]any, key string, max int) *string {
		v, ok := m[key].(string)
		if !ok || v == "" {
			return nil
		}
		v = cut(v, max)
		return &v
	}
	maintainer, _ := n.Metadata["maintainer"].(map[string]any)
	software := strings.ToLower(cut(n.Software.Name, 64))
	version := cut(n.Software.Version, 64)
	_, err := s.db.Exec(ctx, sqlSaveInfo, host, software, version, n.OpenRegistrations,
		str(n.Metadata, "nodeName", 256), str(n.Metadata, "nodeDescription", 4096),
		str(maintainer, "name", 128), str(maintainer, "email", 256), str(n.Metadata, "themeColor", 64))
	if err != nil {
		return fmt.Errorf("save instance %s: %w", host, err)
	}
	return nil
}

// cut is at most max code points of s, and always text PostgreSQL can store.
func cut(s string, max int) string {
	s = strings.ToValidUTF8(strings.ReplaceAll(s, "\x00", ""), "")
	if utf8.RuneCountInString(s) <= max {
		return s
	}
	return string([]rune(s)[:max])
}
