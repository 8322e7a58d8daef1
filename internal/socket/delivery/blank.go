package delivery

import (
	"context"
	"fmt"
	"sync"

	"github.com/jackc/pgx/v5"

	"buttersc.one/oven/internal/lib/pg"
)

// Statements of their own, the stage first: a row that the sequencer moves meanwhile is
// in the log when the others look.
const (
	sqlBlankStage = `
UPDATE fed_stage SET body = '' WHERE object_key = $1 AND object = $2 AND type NOT IN ('Delete', 'Undo') AND body <> ''`
	sqlBlankLive = `
UPDATE fed_log_live SET body = '' WHERE object_key = $1 AND object = $2 AND type NOT IN ('Delete', 'Undo') AND body <> ''`
	sqlBlankBulk = `
UPDATE fed_log_bulk SET body = '' WHERE object_key = $1 AND object = $2 AND type NOT IN ('Delete', 'Undo') AND body <> ''`
)

// BlankUnsent takes the text of an object that was deleted out of what is still
// to be delivered: those messages become nothing. Deletes and Undos stay.
func (s *Service) BlankUnsent(ctx context.Context, tx *pg.Tx, object string) error {
	key := objectKey(object)
	b := &pgx.Batch{}
	b.Queue(sqlBlankStage, key, object)
	b.Queue(sqlBlankLive, key, object)
	b.Queue(sqlBlankBulk, key, object)
	if err := tx.SendBatch(ctx, b).Close(); err != nil {
		return fmt.Errorf("blank %s: %w", object, err)
	}
	tx.AfterCommit(func() {
		if s.blanked.add(object) {
			return
		}
		if d := s.dispatching(); d != nil {
			d.dropWindows()
		}
		s.blanked.forget()
		s.blanked.add(object)
	})
	return nil
}

// maxBlanked objects are remembered; then everything that was read before is
// read anew instead.
const maxBlanked = 100_000

// blanked remembers objects whose rows may have been read before they were
// blanked.
type blanked struct {
	mu sync.Mutex
	m  map[string]struct{}
}

// add tells whether there was room.
func (b *blanked) add(object string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.m) >= maxBlanked {
		return false
	}
	if b.m == nil {
		b.m = map[string]struct{}{}
	}
	b.m[object] = struct{}{}
	return true
}

func (b *blanked) has(object string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	_, ok := b.m[object]
	return ok
}

func (b *blanked) forget() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.m = nil
}
