package inbox

import (
	"context"
	"crypto/sha256"
	"fmt"

	"buttersc.one/oven/internal/lib/pg"
)

const sqlBury = `
INSERT INTO fed_tombstone (hash, buried_at) VALUES ($1, $2)
ON CONFLICT (hash) DO UPDATE SET buried_at = EXCLUDED.buried_at`

// Tombstone remembers for 7 days that the thing with this id was deleted or
// undone before it came. Handlers of Delete and Undo call it for what they do
// not know.
func (s *Service) Tombstone(ctx context.Context, tx *pg.Tx, uri string) error {
	sum := sha256.Sum256([]byte(uri))
	if _, err := tx.Exec(ctx, sqlBury, sum[:], s.cfg.Now()); err != nil {
		return fmt.Errorf("bury: %w", err)
	}
	return nil
}

const sqlBuried = `SELECT EXISTS (SELECT FROM fed_tombstone WHERE hash = $1)`

// Buried tells whether there is a Tombstone for this id. Who writes something
// that came from another server asks in the transaction that writes it.
func (s *Service) Buried(ctx context.Context, tx *pg.Tx, uri string) (bool, error) {
	sum := sha256.Sum256([]byte(uri))
	var there bool
	if err := tx.QueryRow(ctx, sqlBuried, sum[:]).Scan(&there); err != nil {
		return false, fmt.Errorf("buried: %w", err)
	}
	return there, nil
}
