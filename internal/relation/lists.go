package relation

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/socket/api"
	"buttersc.one/oven/internal/user"
)

// tieRow is a row of a list of ties.
type tieRow struct {
	id      string
	userID  string // the account at the other end
	expires *time.Time
}

type pageReq struct {
	api.Page
	Limit int `json:"limit" api:"min=1,max=100,default=30"`
}

const (
	sqlBlockList  = `SELECT t.id, t.blockee_id, NULL::timestamptz FROM blocking t`
	sqlMuteList   = `SELECT t.id, t.mutee_id, t.expires_at FROM muting t`
	sqlRenoteList = `SELECT t.id, t.mutee_id, NULL::timestamptz FROM renote_muting t`
)

func (s *Service) page(ctx context.Context, base string, w *pg.Where, p api.Page, limit int) ([]tieRow, error) {
	order := p.Apply(w, s.ids.Method(), limit)
	rows, err := s.db.Query(ctx, base+w.SQL()+order, w.Args...)
	if err != nil {
		return nil, fmt.Errorf("list of ties: %w", err)
	}
	return pgx.CollectRows(rows, func(r pgx.CollectableRow) (tieRow, error) {
		var t tieRow
		err := r.Scan(&t.id, &t.userID, &t.expires)
		return t, err
	})
}

// packed gives the accounts at the other ends, as the viewer sees them.
func (s *Service) packed(ctx context.Context, viewerID string, rows []tieRow) (map[string]*user.Detailed, error) {
	ids := make([]string, 0, len(rows))
	for _, r := range rows {
		ids = append(ids, r.userID)
	}
	list, err := s.users.DetailedByIDs(ctx, viewerID, ids)
	if err != nil {
		return nil, err
	}
	out := make(map[string]*user.Detailed, len(list))
	for _, d := range list {
		out[d.ID] = d
	}
	return out, nil
}

func (s *Service) createdAt(id string) api.Time {
	t, err := s.ids.Method().Time(id)
	if err != nil {
		return api.Time{}
	}
	return api.Time(t)
}

type blockRes struct {
	ID        string         `json:"id"`
	CreatedAt api.Time       `json:"createdAt"`
	BlockeeID string         `json:"blockeeId"`
	Blockee   *user.Detailed `json:"blockee"`
}

func (s *Service) apiBlocks(ctx context.Context, c *api.Call, req pageReq) ([]blockRes, error) {
	var w pg.Where
	w.And("t.blocker_id = ?", c.UserID)
	rows, err := s.page(ctx, sqlBlockList, &w, req.Page, req.Limit)
	if err != nil {
		return nil, err
	}
	packed, err := s.packed(ctx, c.UserID, rows)
	if err != nil {
		return nil, err
	}
	out := make([]blockRes, 0, len(rows))
	for _, r := range rows {
		out = append(out, blockRes{ID: r.id, CreatedAt: s.createdAt(r.id), BlockeeID: r.userID, Blockee: packed[r.userID]})
	}
	return out, nil
}

type muteRes struct {
	ID        string         `json:"id"`
	CreatedAt api.Time       `json:"createdAt"`
	ExpiresAt *api.Time      `json:"expiresAt"`
	MuteeID   string         `json:"muteeId"`
	Mutee     *user.Detailed `json:"mutee"`
}

func (s *Service) apiMutes(ctx context.Context, c *api.Call, req pageReq) ([]muteRes, error) {
	var w pg.Where
	w.And("t.muter_id = ?", c.UserID)
	w.And("(t.expires_at IS NULL OR t.expires_at > now())")
	return s.mutes(ctx, c, sqlMuteList, &w, req)
}

func (s *Service) apiRenoteMutes(ctx context.Context, c *api.Call, req pageReq) ([]muteRes, error) {
	var w pg.Where
	w.And("t.muter_id = ?", c.UserID)
	return s.mutes(ctx, c, sqlRenoteList, &w, req)
}

func (s *Service) mutes(ctx context.Context, c *api.Call, base string, w *pg.Where, req pageReq) ([]muteRes, error) {
	rows, err := s.page(ctx, base, w, req.Page, req.Limit)
	if err != nil {
		return nil, err
	}
	packed, err := s.packed(ctx, c.UserID, rows)
	if err != nil {
		return nil, err
	}
	out := make([]muteRes, 0, len(rows))
	for _, r := range rows {
		out = append(out, muteRes{ID: r.id, CreatedAt: s.createdAt(r.id), ExpiresAt: api.TimePtr(r.expires), MuteeID: r.userID, Mutee: packed[r.userID]})
	}
	return out, nil
}

type requestRes struct {
	ID       string     `json:"id"`
	Follower *user.Lite `json:"follower"`
	Followee *user.Lite `json:"followee"`
}

type requestsReq struct {
	api.Page
	Limit int `json:"limit" api:"min=1,max=100,default=10"`
}

const sqlRequests = `SELECT t.id, t.follower_id, t.followee_id FROM follow_request t`

func (s *Service) apiRequests(ctx context.Context, c *api.Call, req requestsReq) ([]requestRes, error) {
	var w pg.Where
	w.And("t.followee_id = ?", c.UserID)
	return s.requests(ctx, &w, req)
}

func (s *Service) apiSent(ctx context.Context, c *api.Call, req requestsReq) ([]requestRes, error) {
	var w pg.Where
	w.And("t.follower_id = ?", c.UserID)
	return s.requests(ctx, &w, req)
}

func (s *Service) requests(ctx context.Context, w *pg.Where, req requestsReq) ([]requestRes, error) {
	order := req.Apply(w, s.ids.Method(), req.Limit)
	rows, err := s.db.Query(ctx, sqlRequests+w.SQL()+order, w.Args...)
	if err != nil {
		return nil, fmt.Errorf("requests: %w", err)
	}
	list, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) ([3]string, error) {
		var t [3]string
		err := r.Scan(&t[0], &t[1], &t[2])
		return t, err
	})
	if err != nil {
		return nil, fmt.Errorf("requests: %w", err)
	}
	var ids []string
	for _, t := range list {
		ids = append(ids, t[1], t[2])
	}
	lites, err := s.users.LiteByIDs(ctx, ids)
	if err != nil {
		return nil, err
	}
	out := make([]requestRes, 0, len(list))
	for _, t := range list {
		out = append(out, requestRes{ID: t[0], Follower: lites[t[1]], Followee: lites[t[2]]})
	}
	return out, nil
}

// followsReq asks for the followers or followees of an account, named by id or
// by name and host.
type followsReq struct {
	api.Page
	Limit    int     `json:"limit" api:"min=1,max=100,default=10"`
	UserID   *string `json:"userId" api:"id"`
	Username *string `json:"username" api:"optional"`
	Host     *string `json:"host" api:"nullable"`
	Birthday *string `json:"birthday" api:"nullable,pattern=^([0-9]{4})-([0-9]{2})-([0-9]{2})$"`
}

// followRes is one follow; of the two accounts the one that is asked for is
// packed.
type followRes struct {
	ID         string         `json:"id"`
	CreatedAt  api.Time       `json:"createdAt"`
	FolloweeID string         `json:"followeeId"`
	FollowerID string         `json:"followerId"`
	Followee   *user.Detailed `json:"followee,omitempty"`
	Follower   *user.Detailed `json:"follower,omitempty"`
}

const (
	sqlFollowersOf = `SELECT t.id, t.follower_id, NULL::timestamptz FROM following t`
	sqlFolloweesOf = `SELECT t.id, t.followee_id, NULL::timestamptz FROM following t`
)

var (
	errFollowersNoUser    = api.Err("NO_SUCH_USER", "27fa5435-88ab-43de-9360-387de88727cd", "There is no such account.")
	errFollowersForbidden = api.Err("FORBIDDEN", "3c6a84db-d619-26af-ca14-06232a21df8a", "The account does not show its followers.")
	errFollowingNoUser    = api.Err("NO_SUCH_USER", "63e4aba4-4156-4e53-be25-c9559e42d71b", "There is no such account.")
	errFollowingForbidden = api.Err("FORBIDDEN", "f6cdb0df-c19f-ec5c-7dbb-0ba84a1f92ba", "The account does not show whom it follows.")
)

func (s *Service) apiFollowers(ctx context.Context, c *api.Call, req followsReq) ([]followRes, error) {
	u, err := s.shows(ctx, c, req, errFollowersNoUser, errFollowersForbidden, func(p *user.Profile) string { return p.FollowersVisibility })
	if err != nil {
		return nil, err
	}
	var w pg.Where
	w.And("t.followee_id = ?", u.ID)
	return s.follows(ctx, c, sqlFollowersOf, &w, req, func(r *followRes, d *user.Detailed, other string) {
		r.FolloweeID, r.FollowerID, r.Follower = u.ID, other, d
	})
}

func (s *Service) apiFollowing(ctx context.Context, c *api.Call, req followsReq) ([]followRes, error) {
	u, err := s.shows(ctx, c, req, errFollowingNoUser, errFollowingForbidden, func(p *user.Profile) string { return p.FollowingVisibility })
	if err != nil {
		return nil, err
	}
	var w pg.Where
	w.And("t.follower_id = ?", u.ID)
	if req.Birthday != nil {
		w.And("EXISTS (SELECT FROM user_profile p WHERE p.user_id = t.followee_id AND substr(p.birthday, 6) = ?)", (*req.Birthday)[5:])
	}
	return s.follows(ctx, c, sqlFolloweesOf, &w, req, func(r *followRes, d *user.Detailed, other string) {
		r.FollowerID, r.FolloweeID, r.Followee = u.ID, other, d
	})
}

// shows finds the account and checks that it shows the list to the caller.
func (s *Service) shows(ctx context.Context, c *api.Call, req followsReq, noUser, forbidden *api.Error, visibility func(*user.Profile) string) (*user.User, error) {
	var u *user.User
	var err error
	switch {
	case req.UserID != nil:
		u, err = s.users.ByID(ctx, *req.UserID)
	case req.Username != nil:
		u, err = s.users.ByAcct(ctx, s.db, *req.Username, req.Host)
	default:
		return nil, api.InvalidParam("#/anyOf", "must have required property 'userId'")
	}
	if errors.Is(err, user.ErrNotFound) {
		return nil, noUser
	}
	if err != nil {
		return nil, err
	}
	if c.Is(u.ID) {
		return u, nil
	}
	profiles, err := s.users.Profiles(ctx, []string{u.ID})
	if err != nil {
		return nil, err
	}
	p := profiles[u.ID]
	if p == nil {
		return nil, noUser
	}
	switch visibility(p) {
	case "public":
		return u, nil
	case "followers":
		if ok, err := s.Follows(ctx, s.db, c.ID(), u.ID); err != nil || ok {
			return u, err
		}
	}
	return nil, forbidden
}

func (s *Service) follows(ctx context.Context, c *api.Call, base string, w *pg.Where, req followsReq, fill func(r *followRes, d *user.Detailed, other string)) ([]followRes, error) {
	rows, err := s.page(ctx, base, w, req.Page, req.Limit)
	if err != nil {
		return nil, err
	}
	packed, err := s.packed(ctx, c.ID(), rows)
	if err != nil {
		return nil, err
	}
	out := make([]followRes, 0, len(rows))
	for _, r := range rows {
		f := followRes{ID: r.id, CreatedAt: s.createdAt(r.id)}
		fill(&f, packed[r.userID], r.userID)
		out = append(out, f)
	}
	return out, nil
}
