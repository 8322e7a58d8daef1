package announcement

import (
	"context"
	"fmt"

	"buttersc.one/oven/internal/lib/pg"
)

// Told is what the server says to one account.
type Told struct {
	UserID      string
	Title, Text string
	Icon        string
}

// Tell announces something to one account in tx, in nobody's name. It is shown until it
// is read; whether a letter is due besides is the caller's to decide.
func (s *Service) Tell(ctx context.Context, tx *pg.Tx, t Told) error {
	id := s.ids.Now()
	if _, err := tx.Exec(ctx, sqlInsert, id, t.Title, t.Text, nil, t.Icon, "banner", false, true, false, t.UserID); err != nil {
		return fmt.Errorf("announce: %w", err)
	}
	return s.log.Append(ctx, tx, "announcement.created", id, "", nil)
}
