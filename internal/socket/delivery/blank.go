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
UPDATE fed_stage SET body = '' WHERE object_key = ANY($1) AND object = ANY($2) AND type NOT IN ('Delete', 'Undo') AND body <> ''`
	sqlBlankLive = `
UPDATE fed_log_live SET body = '' WHERE object_key = ANY($1) AND object = ANY($2) AND type NOT IN ('Delete', 'Undo') AND body <> ''`
	sqlBlankBulk = `
UPDATE fed_log_bulk SET body = '' WHERE object_key = ANY($1) AND object = ANY($2) AND type NOT IN ('Delete', 'Undo') AND body <> ''`
)

// BlankUnsent takes the text of objects that were deleted out of what is still
// to be delivered: those messages become nothing. Deletes and Undos stay.
func (s *Service) BlankUnsent(ctx context.Context, tx *pg.Tx, objects ...string) error {
	keys := make([]int64, len(objects))
	for i, o := range objects {
		keys[i] = objectKey(o)
	}
	b := &pgx.Batch{}
	b.Queue(sqlBlankStage, keys, objects)
	b.Queue(sqlBlankLive, keys, objects)
	b.Queue(sqlBlankBulk, keys, objects)
	if err := tx.SendBatch(ctx, b).Close(); err != nil {
		return fmt.Errorf("blank what is unsent: %w", err)
	}
	tx.AfterCommit(func() {
		for _, o := range objects {
			s.forgetUnsent(o)
		}
	})
	return nil
}

// forgetUnsent remembers that what was read of an object is not to be sent.
func (s *Service) forgetUnsent(object string) {
	if s.blanked.add(object) {
		return
	}
	if d := s.dispatching(); d != nil {
		d.dropWindows()
	}
	s.blanked.forget()
	s.blanked.add(object)
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
