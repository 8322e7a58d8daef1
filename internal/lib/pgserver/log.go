package pgserver

import (
	"errors"
	"os"
	"time"
)

const maxLog = 8 << 20 // bytes; one older file of this size is kept beside it

// limitLog keeps the log within bounds while the cluster runs. PostgreSQL's own collector would be one more process,
// and it limits by time or by size, not the sum.
func (s *Server) limitLog() {
	tick := time.NewTicker(30 * time.Second)
	defer tick.Stop()
	for {
		if err := limitFile(s.at.log, maxLog); err != nil {
			s.log.Warn("cannot limit PostgreSQL's log", "error", err)
		}
		select {
		case <-s.pm.done:
			return
		case <-tick.C:
		}
	}
}

// limitFile moves the end of a grown log to FILE.1 and empties it. PostgreSQL has it open for appending, so it goes
// on at the new end.
func limitFile(path string, limit int64) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil || info.Size() <= limit {
		return err
	}
	end := make([]byte, limit)
	n, err := f.ReadAt(end, info.Size()-limit)
	if err != nil {
		return err
	}
	// Emptied also when the copy fails: on a full disk the log must not be what keeps it full.
	return errors.Join(os.WriteFile(path+".1", end[:n], 0o600), f.Truncate(0))
}
