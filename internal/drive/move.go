package drive

import (
	"context"
	"errors"
	"fmt"
	"time"

	"buttersc.one/oven/internal/lib/pg"
)

// mover is a store that has files in a place that it leaves.
type mover interface {
	Move(ctx context.Context) (int, error)
}

// moveAgain is how long after a look for files elsewhere the next one is: a store
// may not have answered, or another process may have put something there.
const moveAgain = 10 * time.Minute

// Run brings every file to where it belongs by the settings, while files are read
// and written, until ctx ends. The settings are those of the start.
func (s *Service) Run(ctx context.Context) error {
	m, ok := s.Files.(mover)
	if !ok {
		return nil
	}
	for {
		n, err := s.move(ctx, m)
		switch {
		case err != nil && ctx.Err() == nil:
			s.Slog.Warn("files do not move", "err", err)
		case n > 0:
			s.Slog.Info("files have moved", "files", n)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(moveAgain):
		}
	}
}

// move moves, unless another process does.
func (s *Service) move(ctx context.Context, m mover) (int, error) {
	lock, err := s.DB.TryLock(ctx, pg.LockMove, 0)
	if errors.Is(err, pg.ErrLocked) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("move files: %w", err)
	}
	defer lock.Release()
	return m.Move(ctx)
}
