package catalogue

import (
	"context"
	"errors"
	"time"
)

// TakeInFrom goes on with an archive from where a process thinks that it is, and
// tells whether it was wrong.
func (s *Service) TakeInFrom(ctx context.Context, id, userID, fileID string, position int) (wrong bool, err error) {
	err = s.takeIn(ctx, &carry{ID: id, UserID: userID, FileID: &fileID, Tries: 1, Position: position})
	if errors.Is(err, errElsewhere) {
		return true, nil
	}
	return false, err
}

// WriteOutLate writes an archive as a process that is late, and tells whether it saw
// that.
func (s *Service) WriteOutLate(ctx context.Context, id, userID string) (late bool, err error) {
	err = s.writeOut(ctx, &carry{ID: id, UserID: userID, AskedAt: time.Unix(0, 0), Tries: 1})
	if errors.Is(err, errElsewhere) {
		return true, nil
	}
	return false, err
}
