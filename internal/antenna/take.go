package antenna

import (
	"context"
	"errors"
	"fmt"
	"reflect"

	"buttersc.one/oven/internal/lib/pg"
)

// ErrAlready says that somebody has such an antenna.
var ErrAlready = errors.New("there is such an antenna")

// Of gives the antennas of an account, the oldest first.
func (s *Service) Of(ctx context.Context, q pg.Q, userID string) ([]*Antenna, error) {
	return query(ctx, q, sqlOfUser, userID)
}

// Take keeps an antenna that comes from elsewhere, unless its owner has one like it:
// ErrAlready. It has no id yet. The errors of antennas/create.
func (s *Service) Take(ctx context.Context, tx *pg.Tx, a *Antenna) error {
	if err := a.tidy(errCreateEmpty); err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, sqlOwner, a.UserID); err != nil { // one at a time
		return fmt.Errorf("antenna: %w", err)
	}
	a.ID, a.Active = s.IDs.Now(), true
	have, err := s.Of(ctx, tx, a.UserID)
	if err != nil {
		return err
	}
	for _, h := range have {
		like := *h
		like.ID, like.Active, like.Unread = a.ID, true, false
		if reflect.DeepEqual(&like, a) {
			return ErrAlready
		}
	}
	return s.add(ctx, tx, a)
}
