// Package hashtag is in charge of who uses which hashtags: how many accounts
// do, in notes and on themselves, and what is on everybody's lips this hour.
// Notes by hashtag are in package timeline.
package hashtag

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/meta"
	"buttersc.one/oven/internal/socket/api"
	"buttersc.one/oven/internal/socket/job"
	"buttersc.one/oven/internal/socket/log"
	"buttersc.one/oven/internal/user"
)

// Service counts hashtags.
type Service struct {
	db    *pg.DB
	meta  *meta.Service
	users *user.Service
	now   func() time.Time
}

// New makes the service.
func New(db *pg.DB, m *meta.Service, us *user.Service, now func() time.Time) *Service {
	return &Service{db: db, meta: m, users: us, now: now}
}

// Endpoints is the API of this slice.
func (s *Service) Endpoints() []api.Endpoint {
	return []api.Endpoint{
		api.Post("hashtags/list", s.apiList, api.Visitors),
		api.Post("hashtags/search", s.apiSearch, api.Visitors),
		api.Post("hashtags/show", s.apiShow, api.Visitors, api.Errors(errNone)),
		api.Post("hashtags/trend", s.apiTrend, api.Visitors, api.Get(60)),
		api.Post("hashtags/users", s.apiUsers, api.Visitors),
	}
}

// Consumers count from the change log, each change once.
func (s *Service) Consumers() []log.Consumer {
	return []log.Consumer{{
		Name: "hashtag.counts", Durable: true, Handle: s.onChanges,
		Kinds: []string{"note.created", "note.updated", "user.created", "user.updated", "user.deleted"},
	}}
}

// Jobs of this slice.
func (s *Service) Jobs() []job.Worker {
	return []job.Worker{job.Every(time.Hour, pruneArgs{}, s.prune)}
}

// pruneArgs asks to forget uses that no trend shows any more.
type pruneArgs struct{}

// Kind implements job.Args.
func (pruneArgs) Kind() string { return "hashtag.prune" }

const sqlPrune = `DELETE FROM hashtag_use WHERE bucket < $1`

func (s *Service) prune(ctx context.Context) error {
	if _, err := s.db.Exec(ctx, sqlPrune, s.now().Add(-trendBuckets*bucket-time.Hour)); err != nil {
		return fmt.Errorf("prune hashtags: %w", err)
	}
	return nil
}

// bucket is how long uses of one account count once in a trend.
const bucket = 10 * time.Minute

const (
	// Notes for a few only make no trend and tell nobody that they exist.
	sqlOfNotes = `
SELECT t.name, n.user_id, n.user_host IS NULL FROM note n CROSS JOIN LATERAL unnest(n.tags) t(name)
WHERE n.id = ANY($1) AND n.visibility IN ('public', 'home') AND n.tags <> '{}'`
	sqlOfUsers = `SELECT t.name, u.id, u.host IS NULL FROM "user" u CROSS JOIN LATERAL unnest(u.tags) t(name)
WHERE u.id = ANY($1) AND NOT u.is_deleted AND NOT u.is_suspended`
	// In the order of names: two nodes never wait for each other in a circle.
	sqlUses = `
INSERT INTO hashtag_use (bucket, name, user_id)
SELECT DISTINCT $1::timestamptz, name, user_id FROM unnest($2::text[], $3::text[]) t(name, user_id) ORDER BY name, user_id
ON CONFLICT (bucket, name, user_id) DO NOTHING`
	sqlCountUsers = `
WITH used AS (
	INSERT INTO hashtag_user (name, attached, user_id, is_local)
	SELECT DISTINCT name, $4::bool, user_id, is_local FROM unnest($1::text[], $2::text[], $3::bool[]) t(name, user_id, is_local) ORDER BY name, user_id
	ON CONFLICT (name, attached, user_id) DO NOTHING RETURNING name, is_local
)
INSERT INTO hashtag (name, mentioned_local, mentioned_remote, attached_local, attached_remote)
SELECT name, count(*) FILTER (WHERE NOT $4 AND is_local), count(*) FILTER (WHERE NOT $4 AND NOT is_local),
	count(*) FILTER (WHERE $4 AND is_local), count(*) FILTER (WHERE $4 AND NOT is_local)
FROM used GROUP BY name ORDER BY name
ON CONFLICT (name) DO UPDATE SET mentioned_local = hashtag.mentioned_local + excluded.mentioned_local,
	mentioned_remote = hashtag.mentioned_remote + excluded.mentioned_remote,
	attached_local = hashtag.attached_local + excluded.attached_local, attached_remote = hashtag.attached_remote + excluded.attached_remote`
	sqlDetach = `
WITH gone AS (
	DELETE FROM hashtag_user h USING "user" u WHERE h.user_id = ANY($1) AND h.attached AND u.id = h.user_id
		AND (h.name <> ALL(u.tags) OR u.is_deleted OR u.is_suspended) RETURNING h.name, h.is_local
), less AS (SELECT name, count(*) FILTER (WHERE is_local) AS local, count(*) FILTER (WHERE NOT is_local) AS remote FROM gone GROUP BY name)
UPDATE hashtag SET attached_local = attached_local - less.local, attached_remote = attached_remote - less.remote FROM less WHERE hashtag.name = less.name`
)

// used is hashtags and who used them, side by side.
type used struct {
	names, users []string
	local        []bool
}

func (s *Service) collect(ctx context.Context, tx *pg.Tx, sql string, ids []string) (*used, error) {
	u := &used{}
	if len(ids) == 0 {
		return u, nil
	}
	rows, err := tx.Query(ctx, sql, ids)
	if err != nil {
		return nil, fmt.Errorf("hashtags: %w", err)
	}
	var name, by string
	var local bool
	_, err = pgx.ForEachRow(rows, []any{&name, &by, &local}, func() error {
		u.names, u.users, u.local = append(u.names, name), append(u.users, by), append(u.local, local)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("hashtags: %w", err)
	}
	return u, nil
}

func (s *Service) onChanges(ctx context.Context, tx *pg.Tx, batch []log.Change) error {
	var notes, users []string
	for _, c := range batch {
		if strings.HasPrefix(c.Kind, "note.") {
			notes = append(notes, c.ObjectID)
		} else {
			users = append(users, c.ObjectID)
		}
	}
	mentioned, err := s.collect(ctx, tx, sqlOfNotes, notes)
	if err != nil {
		return err
	}
	if len(mentioned.names) > 0 {
		at := s.now().UTC().Truncate(bucket)
		if _, err := tx.Exec(ctx, sqlUses, at, mentioned.names, mentioned.users); err != nil {
			return fmt.Errorf("count hashtags: %w", err)
		}
	}
	if err := s.count(ctx, tx, mentioned, false); err != nil {
		return err
	}
	attached, err := s.collect(ctx, tx, sqlOfUsers, users)
	if err != nil {
		return err
	}
	if err := s.count(ctx, tx, attached, true); err != nil {
		return err
	}
	if len(users) > 0 {
		if _, err := tx.Exec(ctx, sqlDetach, users); err != nil {
			return fmt.Errorf("count hashtags: %w", err)
		}
	}
	return nil
}

func (s *Service) count(ctx context.Context, tx *pg.Tx, u *used, attached bool) error {
	if len(u.names) == 0 {
		return nil
	}
	if _, err := tx.Exec(ctx, sqlCountUsers, u.names, u.users, u.local, attached); err != nil {
		return fmt.Errorf("count hashtags: %w", err)
	}
	return nil
}
