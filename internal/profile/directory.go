package profile

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"buttersc.one/oven/internal/lib/ap"
	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/socket/api"
	"buttersc.one/oven/internal/user"
)

func (s *Service) directoryEndpoints() []api.Endpoint {
	return []api.Endpoint{
		api.Post("users", s.apiUsers, api.Visitors),
		api.Post("users/search", s.apiUserSearch, api.Visitors, api.Policy("canSearchUsers")),
		api.Post("users/recommendation", s.apiRecommendation, api.Scope("read:account")),
		api.Post("users/get-frequently-replied-users", s.apiFrequent, api.Visitors, api.Errors(errFrequentNoUser)),
		api.Post("users/get-following-users-by-birthday", s.apiBirthdays, api.Scope("read:account")),
		api.Post("pinned-users", s.apiPinnedUsers, api.Visitors),
		api.Post("get-online-users-count", s.apiOnline, api.Visitors, api.Get(60)),
	}
}

// living is how recently an account in use has been seen.
const living = 30 * 24 * time.Hour

func (s *Service) detailed(ctx context.Context, c *api.Call, sql string, args ...any) ([]*user.Detailed, error) {
	rows, err := s.db.Query(ctx, sql, args...)
	if err != nil {
		return nil, fmt.Errorf("accounts: %w", err)
	}
	ids, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, fmt.Errorf("accounts: %w", err)
	}
	return s.users.DetailedByIDs(ctx, c.ID(), ids)
}

type usersReq struct {
	Limit    int     `json:"limit" api:"min=1,max=100,default=10"`
	Offset   int     `json:"offset" api:"min=0,default=0"`
	Sort     string  `json:"sort" api:"enum=+follower|-follower|+createdAt|-createdAt|+updatedAt|-updatedAt"`
	State    string  `json:"state" api:"enum=all|alive,default=all"`
	Origin   string  `json:"origin" api:"enum=combined|local|remote,default=local"`
	Hostname *string `json:"hostname" api:"nullable,max=255"`
}

const sqlUsers = `SELECT u.id FROM "user" u JOIN user_stat st ON st.user_id = u.id`

// apiUsers lists accounts that want to be found.
func (s *Service) apiUsers(ctx context.Context, c *api.Call, req usersReq) ([]*user.Detailed, error) {
	var w pg.Where
	w.And("u.is_explorable AND NOT u.is_suspended AND NOT u.is_deleted AND NOT u.is_system")
	if req.State == "alive" {
		w.And("u.updated_at > ?", s.now().Add(-5*24*time.Hour))
	}
	switch req.Origin {
	case "local":
		w.And("u.host IS NULL")
	case "remote":
		w.And("u.host IS NOT NULL")
	}
	if req.Hostname != nil {
		host, err := ap.NormalizeHost(*req.Hostname)
		if err != nil {
			return []*user.Detailed{}, nil //nolint:nilerr // nobody is there
		}
		w.And("u.host = ?", host)
	}
	if id := c.ID(); id != "" {
		w.And("NOT EXISTS (SELECT FROM muting m WHERE m.muter_id = ?1 AND m.mutee_id = u.id) AND NOT EXISTS (SELECT FROM blocking b WHERE b.blocker_id = u.id AND b.blockee_id = ?1)", id)
	}
	order := " ORDER BY u.id ASC"
	if req.Sort != "" {
		dir := " DESC"
		if req.Sort[0] == '-' {
			dir = " ASC"
		}
		order = " ORDER BY " + map[string]string{"follower": "st.followers_count", "createdAt": "u.id", "updatedAt": "u.updated_at"}[req.Sort[1:]] + dir + ", u.id"
	}
	return s.detailed(ctx, c, sqlUsers+w.SQL()+order+pg.Limit(req.Limit)+pg.Offset(req.Offset), w.Args...)
}

type userSearchReq struct {
	Query  string `json:"query" api:"required,max=512"`
	Offset int    `json:"offset" api:"min=0,default=0"`
	Limit  int    `json:"limit" api:"min=1,max=100,default=10"`
	Origin string `json:"origin" api:"enum=local|remote|combined,default=combined"`
	Detail bool   `json:"detail" api:"default=true"`
}

const sqlUserSearch = `SELECT u.id FROM "user" u JOIN user_stat st ON st.user_id = u.id JOIN user_profile p ON p.user_id = u.id`

// apiUserSearch finds accounts by name, or with @ in front by username; those
// whose name or username begins with the query come first, then those that
// have it inside, then those whose description has it.
func (s *Service) apiUserSearch(ctx context.Context, c *api.Call, req userSearchReq) (any, error) {
	var w pg.Where
	q := strings.TrimSpace(req.Query)
	byName, isAcct := strings.CutPrefix(q, "@")
	if byName == "" {
		return []*user.Detailed{}, nil
	}
	name, host, hasHost := strings.Cut(byName, "@")
	if !isAcct {
		name, hasHost = q, false
	}
	begin := likePrefix(name)
	inside := "%" + begin
	w.And("NOT u.is_suspended AND NOT u.is_deleted AND NOT u.is_system")
	if isAcct {
		w.And("u.username_lower LIKE ?", begin)
	} else {
		w.And("(u.username_lower LIKE ?1 OR u.name ILIKE ?2 OR p.description ILIKE ?2)", begin, inside)
	}
	if hasHost && host != "" {
		w.And("u.host LIKE ?", likePrefix(host))
	}
	switch req.Origin {
	case "local":
		w.And("u.host IS NULL")
	case "remote":
		w.And("u.host IS NOT NULL")
	}
	rank := " ORDER BY (u.username_lower LIKE " + w.Arg(begin) + " OR u.name ILIKE " + w.Arg(begin) + ") DESC, coalesce(u.name ILIKE " + w.Arg(inside) + ", false) DESC, st.followers_count DESC, u.id"
	rows, err := s.db.Query(ctx, sqlUserSearch+w.SQL()+rank+pg.Limit(req.Limit)+pg.Offset(req.Offset), w.Args...)
	if err != nil {
		return nil, fmt.Errorf("search accounts: %w", err)
	}
	return s.found(ctx, c, rows, req.Detail)
}

type recommendationReq struct {
	Limit  int `json:"limit" api:"min=1,max=100,default=10"`
	Offset int `json:"offset" api:"min=0,default=0"`
}

const sqlRecommended = `
SELECT u.id FROM "user" u JOIN user_stat st ON st.user_id = u.id
WHERE u.host IS NULL AND u.is_explorable AND NOT u.is_locked AND NOT u.is_suspended AND NOT u.is_deleted AND NOT u.is_system AND u.moved_to_uri IS NULL
	AND u.id <> $1 AND st.last_active_at > $2
	AND NOT EXISTS (SELECT FROM following f WHERE f.follower_id = $1 AND f.followee_id = u.id)
	AND NOT EXISTS (SELECT FROM follow_request r WHERE r.follower_id = $1 AND r.followee_id = u.id)
	AND NOT EXISTS (SELECT FROM muting m WHERE m.muter_id = $1 AND m.mutee_id = u.id)
	AND NOT EXISTS (SELECT FROM blocking b WHERE b.blocker_id = $1 AND b.blockee_id = u.id)
	AND NOT EXISTS (SELECT FROM blocking b WHERE b.blocker_id = u.id AND b.blockee_id = $1)
ORDER BY st.followers_count DESC, u.id LIMIT $3 OFFSET $4`

// apiRecommendation gives accounts here that the caller could follow.
func (s *Service) apiRecommendation(ctx context.Context, c *api.Call, req recommendationReq) ([]*user.Detailed, error) {
	return s.detailed(ctx, c, sqlRecommended, c.UserID, s.now().Add(-living), req.Limit, req.Offset)
}

type frequentReq struct {
	UserID string `json:"userId" api:"required,id"`
	Limit  int    `json:"limit" api:"min=1,max=100,default=10"`
}

var errFrequentNoUser = api.Err("NO_SUCH_USER", "e6965129-7b2a-40a4-bae2-cd84cd434822", "There is no such account.")

// Out of the last thousand replies, and only such as everybody may see.
const sqlFrequent = `
SELECT r.reply_user_id, count(*)::float8 FROM (
	SELECT n.reply_user_id FROM note n WHERE n.user_id = $1 AND n.reply_id IS NOT NULL AND n.reply_user_id <> $1 AND n.visibility IN ('public', 'home')
	ORDER BY n.id DESC LIMIT 1000
) r GROUP BY r.reply_user_id ORDER BY count(*) DESC, r.reply_user_id LIMIT $2`

// frequent is an account and how often it was replied to, the most often is 1.
type frequent struct {
	User   *user.Detailed `json:"user"`
	Weight float64        `json:"weight"`
}

func (s *Service) apiFrequent(ctx context.Context, c *api.Call, req frequentReq) ([]frequent, error) {
	u, err := s.users.ByID(ctx, req.UserID)
	if errors.Is(err, user.ErrNotFound) || err == nil && u.IsDeleted {
		return nil, errFrequentNoUser
	}
	if err != nil {
		return nil, err
	}
	rows, err := s.db.Query(ctx, sqlFrequent, u.ID, req.Limit)
	if err != nil {
		return nil, fmt.Errorf("replied to: %w", err)
	}
	var ids []string
	weights := map[string]float64{}
	var id string
	var n, most float64
	_, err = pgx.ForEachRow(rows, []any{&id, &n}, func() error {
		ids, most = append(ids, id), max(most, n)
		weights[id] = n
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("replied to: %w", err)
	}
	list, err := s.users.DetailedByIDs(ctx, c.ID(), ids)
	if err != nil {
		return nil, err
	}
	out := make([]frequent, 0, len(list))
	for _, d := range list {
		out = append(out, frequent{User: d, Weight: weights[d.ID] / most})
	}
	return out, nil
}

// day is a day of the year.
type day struct {
	Month int `json:"month" api:"required,min=1,max=12"`
	Day   int `json:"day" api:"required,min=1,max=31"`
}

func (d day) number() int { return d.Month*100 + d.Day }

// birthday is one day, or the days from begin to end; past the end of the year
// when begin is later.
type birthday struct {
	Month int  `json:"month" api:"optional,min=1,max=12"`
	Day   int  `json:"day" api:"optional,min=1,max=31"`
	Begin *day `json:"begin" api:"optional"`
	End   *day `json:"end" api:"optional"`
}

type birthdaysReq struct {
	Limit    int      `json:"limit" api:"min=1,max=100,default=10"`
	Offset   int      `json:"offset" api:"min=0,default=0"`
	Birthday birthday `json:"birthday" api:"required"`
}

// celebrant is a followed account and its birthday.
type celebrant struct {
	ID       string     `json:"id"`
	Birthday string     `json:"birthday"`
	User     *user.Lite `json:"user"`
}

// The day of the year stands in a birthday as "YYYY-MM-DD".
const sqlBirthdays = `
SELECT u.id, b.birthday FROM following f JOIN "user" u ON u.id = f.followee_id
CROSS JOIN LATERAL (SELECT p.birthday, (substring(p.birthday, 6, 2) || substring(p.birthday, 9, 2))::int AS n FROM user_profile p
	WHERE p.user_id = u.id AND p.birthday ~ '^[0-9]{4}-[0-9]{2}-[0-9]{2}$') b
WHERE f.follower_id = $1 AND NOT u.is_suspended AND NOT u.is_deleted
	AND CASE WHEN $2::int <= $3 THEN b.n BETWEEN $2 AND $3 ELSE b.n >= $2 OR b.n <= $3 END
ORDER BY (b.n < $2), b.n, u.id LIMIT $4 OFFSET $5`

func (s *Service) apiBirthdays(ctx context.Context, c *api.Call, req birthdaysReq) ([]celebrant, error) {
	b := req.Birthday
	from, to := day{b.Month, b.Day}, day{b.Month, b.Day}
	if b.Begin != nil && b.End != nil {
		from, to = *b.Begin, *b.End
	} else if b.Month == 0 || b.Day == 0 {
		return nil, api.InvalidParam("#/properties/birthday/anyOf", "must be a day, or days from begin to end")
	}
	rows, err := s.db.Query(ctx, sqlBirthdays, c.UserID, from.number(), to.number(), req.Limit, req.Offset)
	if err != nil {
		return nil, fmt.Errorf("birthdays: %w", err)
	}
	var ids []string
	list, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) (celebrant, error) {
		var x celebrant
		err := r.Scan(&x.ID, &x.Birthday)
		ids = append(ids, x.ID)
		return x, err
	})
	if err != nil {
		return nil, fmt.Errorf("birthdays: %w", err)
	}
	lites, err := s.users.LiteByIDs(ctx, ids)
	if err != nil {
		return nil, err
	}
	for i := range list {
		list[i].User = lites[list[i].ID]
	}
	return list, nil
}

// apiPinnedUsers gives the accounts that the server recommends to newcomers.
func (s *Service) apiPinnedUsers(ctx context.Context, c *api.Call, _ struct{}) ([]*user.Detailed, error) {
	var ids []string
	for _, acct := range s.meta.Get().PinnedUsers {
		name, host, _ := strings.Cut(strings.TrimPrefix(acct, "@"), "@")
		var at *string
		if h, err := ap.NormalizeHost(host); err == nil && host != "" && h != s.meta.Host {
			at = &h
		}
		u, err := s.users.ByAcct(ctx, s.db, name, at)
		if errors.Is(err, user.ErrNotFound) || err == nil && (u.IsDeleted || u.IsSuspended) {
			continue
		}
		if err != nil {
			return nil, err
		}
		ids = append(ids, u.ID)
	}
	return s.users.DetailedByIDs(ctx, c.ID(), ids)
}

// online is how recently somebody who is here now has been seen.
const online = 10 * time.Minute

const sqlOnline = `SELECT count(*) FROM user_stat st JOIN "user" u ON u.id = st.user_id WHERE u.host IS NULL AND NOT u.is_system AND st.last_active_at > $1`

type onlineRes struct {
	Count int `json:"count"`
}

func (s *Service) apiOnline(ctx context.Context, _ *api.Call, _ struct{}) (*onlineRes, error) {
	res := &onlineRes{}
	if err := s.db.QueryRow(ctx, sqlOnline, s.now().Add(-online)).Scan(&res.Count); err != nil {
		return nil, fmt.Errorf("online: %w", err)
	}
	return res, nil
}
