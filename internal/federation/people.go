package federation

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/socket/api"
	"buttersc.one/oven/internal/socket/remote"
	"buttersc.one/oven/internal/user"
)

// peopleReq asks for accounts of a server, or what ties them to ours.
type peopleReq struct {
	api.Page
	Host  string `json:"host" api:"required,max=255"`
	Limit int    `json:"limit" api:"min=1,max=100,default=10"`
}

const sqlPeople = `SELECT t.id FROM "user" t`

// apiPeople lists the accounts of a server that are known here.
func (s *Service) apiPeople(ctx context.Context, c *api.Call, req peopleReq) ([]*user.Detailed, error) {
	host, err := s.authority(ctx, req.Host)
	if errors.Is(err, errNoHost) {
		return []*user.Detailed{}, nil
	}
	if err != nil {
		return nil, err
	}
	var w pg.Where
	w.And("t.actor_host = ? AND NOT t.is_deleted", host)
	tail := req.Apply(&w, s.IDs.Method(), req.Limit)
	rows, err := s.DB.Query(ctx, sqlPeople+w.SQL()+tail, w.Args...)
	if err != nil {
		return nil, fmt.Errorf("accounts of server: %w", err)
	}
	ids, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, fmt.Errorf("accounts of server: %w", err)
	}
	return s.Users.DetailedByIDs(ctx, c.ID(), ids)
}

// tieRes is a follow between an account there and one here.
type tieRes struct {
	ID         string         `json:"id"`
	CreatedAt  api.Time       `json:"createdAt"`
	FolloweeID string         `json:"followeeId"`
	FollowerID string         `json:"followerId"`
	Followee   *user.Detailed `json:"followee,omitempty"`
	Follower   *user.Detailed `json:"follower,omitempty"`
}

// Whom an account here follows, and by whom it is followed, is told to those
// only whom its profile tells it: p is the profile of the one that is here.
const (
	sqlTiesOf   = `SELECT t.id, t.follower_id, t.followee_id FROM following t`
	tiesShownTo = `EXISTS (SELECT FROM user_profile p WHERE p.user_id = %[1]s AND (p.%[2]s = 'public' OR p.user_id = $1 OR $2
	OR p.%[2]s = 'followers' AND EXISTS (SELECT FROM following f WHERE f.follower_id = $1 AND f.followee_id = p.user_id)))`
)

// apiFollowersOf lists follows of accounts there by accounts here.
func (s *Service) apiFollowersOf(ctx context.Context, c *api.Call, req peopleReq) ([]tieRes, error) {
	return s.ties(ctx, c, req, true)
}

// apiFollowingOf lists follows of accounts here by accounts there.
func (s *Service) apiFollowingOf(ctx context.Context, c *api.Call, req peopleReq) ([]tieRes, error) {
	return s.ties(ctx, c, req, false)
}

func (s *Service) ties(ctx context.Context, c *api.Call, req peopleReq, followers bool) ([]tieRes, error) {
	host, err := s.authority(ctx, req.Host)
	if errors.Is(err, errNoHost) {
		return []tieRes{}, nil
	}
	if err != nil {
		return nil, err
	}
	w := &pg.Where{}
	w.Arg(c.ID())
	w.Arg(c.IsModerator())
	shown := fmt.Sprintf(tiesShownTo, "t.followee_id", "followers_visibility")
	if followers {
		w.And("t.followee_host = ?", host)
		shown = fmt.Sprintf(tiesShownTo, "t.follower_id", "following_visibility")
	} else {
		w.And("t.follower_host = ?", host)
	}
	tail := req.Apply(w, s.IDs.Method(), req.Limit)
	rows, err := s.DB.Query(ctx, sqlTiesOf+w.SQL()+" AND "+shown+tail, w.Args...)
	if err != nil {
		return nil, fmt.Errorf("ties with server: %w", err)
	}
	var who []string
	out, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) (tieRes, error) {
		var t tieRes
		err := r.Scan(&t.ID, &t.FollowerID, &t.FolloweeID)
		who = append(who, t.FollowerID, t.FolloweeID)
		return t, err
	})
	if err != nil {
		return nil, fmt.Errorf("ties with server: %w", err)
	}
	users, err := s.Users.ByIDs(ctx, s.DB, who)
	if err != nil {
		return nil, err
	}
	packed, err := s.Users.PackDetailed(ctx, c.ID(), users, false)
	if err != nil {
		return nil, err
	}
	for i := range out {
		t := &out[i]
		at, err := s.IDs.Method().Time(t.ID)
		if err != nil {
			return nil, fmt.Errorf("ties with server: %w", err)
		}
		t.CreatedAt, t.Followee, t.Follower = api.Time(at), packed[t.FolloweeID], packed[t.FollowerID]
	}
	if out == nil {
		out = []tieRes{}
	}
	return out, nil
}

var (
	errRefreshNobody = api.Err("NO_SUCH_USER", "2b1c3f5e-6d0a-4c36-9b0d-7d5a4a1e9c01", "There is no such account of another server.")
	errRefreshFailed = api.Err("REQUEST_FAILED", "2b1c3f5e-6d0a-4c36-9b0d-7d5a4a1e9c02", "The other server could not be asked, or its answer cannot be used.")
)

type refreshReq struct {
	UserID string `json:"userId" api:"required,id"`
}

// apiRefreshUser asks an account's server for it now.
func (s *Service) apiRefreshUser(ctx context.Context, _ *api.Call, req refreshReq) (api.None, error) {
	u, err := s.Users.ByID(ctx, req.UserID)
	if errors.Is(err, user.ErrNotFound) || err == nil && (u.Local() || u.URI == nil) {
		return api.None{}, errRefreshNobody
	}
	if err != nil {
		return api.None{}, err
	}
	_, err = s.Users.Refresh(ctx, *u.URI)
	var re *remote.Error
	if e := showError(err); errors.As(err, &re) || e != err { //nolint:errorlint // the same error: it means nothing to a person
		return api.None{}, errRefreshFailed
	}
	return api.None{}, err
}
