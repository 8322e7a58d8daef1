package drive

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// leftAfter is how long nothing has been written to a file in the making when
// nobody is at it any more.
const leftAfter = time.Hour

// SweepAll removes what processes that were killed have left in the directory of
// files in the making. Other processes may be using it.
func (s *Service) SweepAll() error {
	var errs []error
	for _, made := range []string{"upload-*", "fetched-*", "temp-*", "stripped-*", "emoji-*.zip", "transfer-*"} {
		errs = append(errs, s.Sweep(made, leftAfter))
	}
	return errors.Join(errs...)
}

// Sweep removes the files in the making that are called so (path.Match) and have
// not been written to for a while.
func (s *Service) Sweep(called string, since time.Duration) error {
	entries, err := os.ReadDir(s.Dir)
	if err != nil {
		return fmt.Errorf("sweep: %w", err)
	}
	var errs []error
	for _, e := range entries {
		if ok, err := filepath.Match(called, e.Name()); err != nil || !ok || !e.Type().IsRegular() {
			continue
		}
		info, err := e.Info()
		if err == nil && time.Since(info.ModTime()) >= since {
			err = os.Remove(filepath.Join(s.Dir, e.Name()))
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, fmt.Errorf("sweep: %w", err))
		}
	}
	return errors.Join(errs...)
}
