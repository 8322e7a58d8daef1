package inbox

import (
	"context"
	"fmt"
	"time"
)

// How long things are kept.
const (
	keepSeen   = 14 * 24 * time.Hour
	keepBuried = 7 * 24 * time.Hour
	keepBody   = 24 * time.Hour      // of a failed activity, after it came
	keepFailed = 30 * 24 * time.Hour // its row, to be counted

	expireEvery = 10 * time.Minute
	expireBatch = 5000
)

func (s *Service) expireLoop(ctx context.Context) {
	for ctx.Err() == nil {
		if err := s.expire(ctx); err != nil && ctx.Err() == nil {
			s.log.Error("inbox not cleaned", "err", err)
		}
		pause(ctx, expireEvery)
	}
}

const sqlExpireSeen = `
DELETE FROM fed_seen WHERE hash IN (SELECT hash FROM fed_seen WHERE day < $1::date ORDER BY day LIMIT $2)`

const sqlExpireBuried = `
DELETE FROM fed_tombstone WHERE hash IN (SELECT hash FROM fed_tombstone WHERE buried_at < $1 ORDER BY buried_at LIMIT $2)`

const sqlBlank = `
UPDATE fed_inbox SET body = NULL WHERE id IN (
	SELECT id FROM fed_inbox WHERE state = 3 AND body IS NOT NULL AND received_at < $1 ORDER BY received_at LIMIT $2)`

const sqlExpireFailed = `
DELETE FROM fed_inbox WHERE id IN (SELECT id FROM fed_inbox WHERE state = 3 AND received_at < $1 ORDER BY received_at LIMIT $2)`

// expire removes what is older than it is kept, in small statements.
func (s *Service) expire(ctx context.Context) error {
	for _, e := range []struct {
		sql  string
		keep time.Duration
	}{{sqlExpireSeen, keepSeen}, {sqlExpireBuried, keepBuried}, {sqlExpireFailed, keepFailed}, {sqlBlank, keepBody}} {
		for {
			tag, err := s.db.Exec(ctx, e.sql, s.cfg.Now().UTC().Add(-e.keep), expireBatch)
			if err != nil {
				return fmt.Errorf("expire: %w", err)
			}
			if tag.RowsAffected() < expireBatch {
				break
			}
		}
	}
	return nil
}
