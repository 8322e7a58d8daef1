package moderation

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"buttersc.one/oven/internal/lib/ap"
	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/socket/api"
	"buttersc.one/oven/internal/user"
)

type showUsersReq struct {
	Limit    int     `json:"limit" api:"min=1,max=100,default=10"`
	Offset   int     `json:"offset" api:"min=0,default=0"`
	Sort     string  `json:"sort" api:"enum=+follower|-follower|+createdAt|-createdAt|+updatedAt|-updatedAt|+lastActiveDate|-lastActiveDate"`
	State    string  `json:"state" api:"enum=all|alive|available|admin|moderator|adminOrModerator|suspended,default=all"`
	Origin   string  `json:"origin" api:"enum=combined|local|remote,default=combined"`
	Username *string `json:"username" api:"nullable,max=128"`
	Hostname *string `json:"hostname" api:"nullable,max=255"`
}

// aliveFor is how long ago an account that is alive has changed at most.
const aliveFor = 5 * 24 * time.Hour

const sqlUsers = `SELECT u.id FROM "user" u JOIN user_stat st ON st.user_id = u.id`

// apiShowUsers lists accounts, suspended ones too; those that have ended and the
// server's own are left out.
func (s *Service) apiShowUsers(ctx context.Context, c *api.Call, req showUsersReq) ([]*user.Detailed, error) {
	w := &pg.Where{}
	w.And("NOT u.is_deleted AND NOT u.is_system")
	if err := s.state(ctx, w, req.State); err != nil {
		return nil, err
	}
	switch req.Origin {
	case "local":
		w.And("u.host IS NULL")
	case "remote":
		w.And("u.host IS NOT NULL")
	}
	if req.Username != nil && *req.Username != "" {
		w.And("u.username_lower LIKE ?", strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`).Replace(strings.ToLower(*req.Username))+"%")
	}
	if req.Hostname != nil && *req.Hostname != "" {
		host, err := ap.NormalizeHost(*req.Hostname)
		if err != nil {
			return []*user.Detailed{}, nil //nolint:nilerr // nobody is of such a host
		}
		w.And("u.host = ?", host)
	}
	rows, err := s.DB.Query(ctx, sqlUsers+w.SQL()+orderOf(req.Sort)+pg.Limit(req.Limit)+pg.Offset(req.Offset), w.Args...)
	if err != nil {
		return nil, fmt.Errorf("list accounts: %w", err)
	}
	ids, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, fmt.Errorf("list accounts: %w", err)
	}
	return s.Users.DetailedByIDs(ctx, c.UserID, ids)
}

func (s *Service) state(ctx context.Context, w *pg.Where, state string) error {
	switch state {
	case "available":
		w.And("NOT u.is_suspended")
		return nil
	case "suspended":
		w.And("u.is_suspended")
		return nil
	case "alive":
		w.And("u.updated_at > ?", s.Now().Add(-aliveFor))
		return nil
	case "all":
		return nil
	}
	all, err := s.Roles.Moderators(ctx)
	if err != nil {
		return err
	}
	ids := []string{}
	for userID, admin := range all {
		if state == "adminOrModerator" || admin == (state == "admin") {
			ids = append(ids, userID)
		}
	}
	w.And("u.id = ANY(?)", ids)
	return nil
}

// orderOf is the ORDER BY of a sort; + is the most, or the latest, first.
func orderOf(sort string) string {
	switch sort {
	case "+follower":
		return " ORDER BY st.followers_count DESC, u.id"
	case "-follower":
		return " ORDER BY st.followers_count, u.id"
	case "+createdAt":
		return " ORDER BY u.id DESC"
	case "+updatedAt":
		return " ORDER BY u.updated_at DESC NULLS LAST, u.id"
	case "-updatedAt":
		return " ORDER BY u.updated_at NULLS FIRST, u.id"
	case "+lastActiveDate":
		return " ORDER BY st.last_active_at DESC NULLS LAST, u.id"
	case "-lastActiveDate":
		return " ORDER BY st.last_active_at NULLS FIRST, u.id"
	}
	return " ORDER BY u.id"
}
