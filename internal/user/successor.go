package user

import (
	"context"
	"fmt"

	"buttersc.one/oven/internal/lib/pg"
)

const sqlSuccessor = `SELECT new_id FROM redirect WHERE kind = 'user' AND old_id = $1`

// Successor reads the account that another row has become part of in a repair;
// ErrNotFound when there is none.
func (s *Service) Successor(ctx context.Context, id string) (*User, error) {
	var now string
	err := s.db.QueryRow(ctx, sqlSuccessor, id).Scan(&now)
	if pg.NoRows(err) {
		return nil, ErrNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("successor of %s: %w", id, err)
	}
	return s.ByID(ctx, now)
}
