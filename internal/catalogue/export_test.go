package catalogue

import (
	"context"
	"errors"
	"time"

	"buttersc.one/oven/internal/socket/errand"
)

// TakeInFrom goes on with an archive from where a process thinks that it is, and
// tells whether it was wrong.
func (s *Service) TakeInFrom(ctx context.Context, id, userID, fileID string, position int) (wrong bool, err error) {
	err = s.takeIn(ctx, &carry{Row: errand.Row{ID: id, Tries: 1}, UserID: userID, FileID: &fileID, Position: position})
	if errors.Is(err, errand.ErrElsewhere) {
		return true, nil
	}
	return false, err
}

// WriteOutLate writes an archive as a process that is late, and tells whether it saw
// that.
func (s *Service) WriteOutLate(ctx context.Context, id, userID string) (late bool, err error) {
	err = s.writeOut(ctx, &carry{Row: errand.Row{ID: id, Tries: 1}, UserID: userID, AskedAt: time.Unix(0, 0)})
	if errors.Is(err, errand.ErrElsewhere) {
		return true, nil
	}
	return false, err
}
