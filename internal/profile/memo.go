package profile

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"buttersc.one/oven/internal/socket/api"
	"buttersc.one/oven/internal/user"
)

type memoReq struct {
	UserID string          `json:"userId" api:"required,id"`
	Memo   api.Opt[string] `json:"memo" api:"required,nullable,max=8192"`
}

var errMemoNoUser = api.Err("NO_SUCH_USER", "6fef56f3-e765-4957-88e5-c6f65329b8a5", "There is no such account.")

const (
	sqlMemo = `INSERT INTO user_memo (user_id, target_user_id, memo) VALUES ($1, $2, $3)
ON CONFLICT (user_id, target_user_id) DO UPDATE SET memo = excluded.memo`
	sqlNoMemo = `DELETE FROM user_memo WHERE user_id = $1 AND target_user_id = $2`
)

// apiMemo notes something down about an account, for the caller's own eyes;
// null or nothing takes it away.
func (s *Service) apiMemo(ctx context.Context, c *api.Call, req memoReq) (api.None, error) {
	u, err := s.users.ByID(ctx, req.UserID)
	if errors.Is(err, user.ErrNotFound) {
		return api.None{}, errMemoNoUser
	}
	if err != nil {
		return api.None{}, err
	}
	memo := strings.ReplaceAll(req.Memo.V, "\x00", "")
	if req.Memo.Null || memo == "" {
		_, err = s.db.Exec(ctx, sqlNoMemo, c.UserID, u.ID)
	} else {
		_, err = s.db.Exec(ctx, sqlMemo, c.UserID, u.ID, memo)
	}
	if err != nil {
		return api.None{}, fmt.Errorf("memo: %w", err)
	}
	return api.None{}, nil
}
