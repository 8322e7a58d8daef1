package hashtag

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/text/unicode/norm"

	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/socket/api"
	"buttersc.one/oven/internal/user"
)

func normal(tag string) string {
	return strings.ToLower(norm.NFKC.String(strings.TrimPrefix(tag, "#")))
}

// packed is Hashtag.
type packed struct {
	Tag             string `json:"tag"`
	Mentioned       int    `json:"mentionedUsersCount"`
	MentionedLocal  int    `json:"mentionedLocalUsersCount"`
	MentionedRemote int    `json:"mentionedRemoteUsersCount"`
	Attached        int    `json:"attachedUsersCount"`
	AttachedLocal   int    `json:"attachedLocalUsersCount"`
	AttachedRemote  int    `json:"attachedRemoteUsersCount"`
}

const sqlTags = `SELECT h.name, h.mentioned_local, h.mentioned_remote, h.attached_local, h.attached_remote FROM hashtag h`

func (s *Service) tags(ctx context.Context, w *pg.Where, tail string) ([]*packed, error) {
	rows, err := s.db.Query(ctx, sqlTags+w.SQL()+tail, w.Args...)
	if err != nil {
		return nil, fmt.Errorf("hashtags: %w", err)
	}
	out, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) (*packed, error) {
		p := &packed{}
		err := r.Scan(&p.Tag, &p.MentionedLocal, &p.MentionedRemote, &p.AttachedLocal, &p.AttachedRemote)
		p.Mentioned, p.Attached = p.MentionedLocal+p.MentionedRemote, p.AttachedLocal+p.AttachedRemote
		return p, err
	})
	if err != nil {
		return nil, fmt.Errorf("hashtags: %w", err)
	}
	return out, nil
}

type listReq struct {
	Limit          int    `json:"limit" api:"min=1,max=100,default=10"`
	AttachedOnly   bool   `json:"attachedToUserOnly" api:"default=false"`
	AttachedLocal  bool   `json:"attachedToLocalUserOnly" api:"default=false"`
	AttachedRemote bool   `json:"attachedToRemoteUserOnly" api:"default=false"`
	Sort           string `json:"sort" api:"required,enum=+mentionedUsers|-mentionedUsers|+mentionedLocalUsers|-mentionedLocalUsers|+mentionedRemoteUsers|-mentionedRemoteUsers|+attachedUsers|-attachedUsers|+attachedLocalUsers|-attachedLocalUsers|+attachedRemoteUsers|-attachedRemoteUsers"`
}

// order is the ORDER BY of a sort: + is the most first.
func order(sort string, columns map[string]string) string {
	dir := " DESC"
	if strings.HasPrefix(sort, "-") {
		dir = " ASC"
	}
	return " ORDER BY " + columns[sort[1:]] + dir
}

func (s *Service) apiList(ctx context.Context, _ *api.Call, req listReq) ([]*packed, error) {
	var w pg.Where
	if req.AttachedOnly {
		w.And("h.attached_local + h.attached_remote > 0")
	}
	if req.AttachedLocal {
		w.And("h.attached_local > 0")
	}
	if req.AttachedRemote {
		w.And("h.attached_remote > 0")
	}
	return s.tags(ctx, &w, order(req.Sort, map[string]string{
		"mentionedUsers": "h.mentioned_local + h.mentioned_remote", "mentionedLocalUsers": "h.mentioned_local", "mentionedRemoteUsers": "h.mentioned_remote",
		"attachedUsers": "h.attached_local + h.attached_remote", "attachedLocalUsers": "h.attached_local", "attachedRemoteUsers": "h.attached_remote",
	})+", h.name"+pg.Limit(req.Limit))
}

type searchReq struct {
	Query  string `json:"query" api:"required"`
	Limit  int    `json:"limit" api:"min=1,max=100,default=10"`
	Offset int    `json:"offset" api:"min=0,default=0"`
}

const sqlSearch = `SELECT name FROM hashtag WHERE name LIKE $1 ORDER BY mentioned_local + mentioned_remote DESC, name LIMIT $2 OFFSET $3`

// apiSearch gives hashtags that begin with the query, the most used first.
func (s *Service) apiSearch(ctx context.Context, _ *api.Call, req searchReq) ([]string, error) {
	begin := strings.NewReplacer(`\`, `\\`, "%", `\%`, "_", `\_`).Replace(normal(req.Query)) + "%"
	rows, err := s.db.Query(ctx, sqlSearch, begin, req.Limit, req.Offset)
	if err != nil {
		return nil, fmt.Errorf("search hashtags: %w", err)
	}
	return pgx.CollectRows(rows, pgx.RowTo[string])
}

type showReq struct {
	Tag string `json:"tag" api:"required"`
}

var errNone = api.Err("NO_SUCH_HASHTAG", "110ee688-193e-4a3a-9ecf-c167b2e6981e", "There is no such hashtag.")

func (s *Service) apiShow(ctx context.Context, _ *api.Call, req showReq) (*packed, error) {
	var w pg.Where
	w.And("h.name = ?", normal(req.Tag))
	list, err := s.tags(ctx, &w, "")
	if err != nil {
		return nil, err
	}
	if len(list) == 0 {
		return nil, errNone
	}
	return list[0], nil
}

// trend is a hashtag of this hour.
type trend struct {
	Tag        string `json:"tag"`
	Chart      []int  `json:"chart"` // accounts per ten minutes, the newest first
	UsersCount int    `json:"usersCount"`
}

const (
	trendBuckets = 20
	trendWindow  = time.Hour
)

const sqlTrend = `
WITH top AS (
	SELECT name, count(DISTINCT user_id) AS users FROM hashtag_use WHERE bucket > $1 AND name <> ALL(coalesce($4::text[], '{}')) GROUP BY name ORDER BY users DESC, name LIMIT 10
)
SELECT top.name, top.users, ARRAY(
	SELECT (SELECT count(*) FROM hashtag_use u WHERE u.bucket = b.at AND u.name = top.name)
	FROM generate_series($2::timestamptz, $2::timestamptz - $3::interval, interval '-10 minutes') b(at))
FROM top ORDER BY top.users DESC, top.name`

// apiTrend gives the hashtags that most accounts used in the last hour.
func (s *Service) apiTrend(ctx context.Context, _ *api.Call, _ struct{}) ([]*trend, error) {
	now := s.now().UTC().Truncate(bucket)
	rows, err := s.db.Query(ctx, sqlTrend, now.Add(-trendWindow), now, (trendBuckets-1)*bucket, s.meta.Get().HiddenTags)
	if err != nil {
		return nil, fmt.Errorf("trend: %w", err)
	}
	out, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) (*trend, error) {
		t := &trend{}
		return t, r.Scan(&t.Tag, &t.UsersCount, &t.Chart)
	})
	if err != nil {
		return nil, fmt.Errorf("trend: %w", err)
	}
	return out, nil
}

type usersReq struct {
	Tag    string `json:"tag" api:"required"`
	Limit  int    `json:"limit" api:"min=1,max=100,default=10"`
	Offset int    `json:"offset" api:"min=0,default=0"`
	Sort   string `json:"sort" api:"required,enum=+follower|-follower|+createdAt|-createdAt|+updatedAt|-updatedAt"`
	State  string `json:"state" api:"enum=all|alive,default=all"`
	Origin string `json:"origin" api:"enum=combined|local|remote,default=local"`
}

const sqlUsers = `
SELECT u.id FROM hashtag_user h JOIN "user" u ON u.id = h.user_id JOIN user_stat st ON st.user_id = u.id`

// alive is how recently a living account has been changed.
const alive = 5 * 24 * time.Hour

// apiUsers gives accounts that carry the hashtag in their profile.
func (s *Service) apiUsers(ctx context.Context, c *api.Call, req usersReq) ([]*user.Detailed, error) {
	var w pg.Where
	w.And("h.name = ? AND h.attached AND NOT u.is_suspended AND NOT u.is_deleted", normal(req.Tag))
	if req.State == "alive" {
		w.And("u.updated_at > ?", s.now().Add(-alive))
	}
	switch req.Origin {
	case "local":
		w.And("u.host IS NULL")
	case "remote":
		w.And("u.host IS NOT NULL")
	}
	rows, err := s.db.Query(ctx, sqlUsers+w.SQL()+order(req.Sort, map[string]string{
		"follower": "st.followers_count", "createdAt": "u.id", "updatedAt": "u.updated_at",
	})+", u.id"+pg.Limit(req.Limit)+pg.Offset(req.Offset), w.Args...)
	if err != nil {
		return nil, fmt.Errorf("accounts with a hashtag: %w", err)
	}
	ids, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, fmt.Errorf("accounts with a hashtag: %w", err)
	}
	return s.users.DetailedByIDs(ctx, c.ID(), ids)
}
