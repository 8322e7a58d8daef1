package relation

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"buttersc.one/oven/internal/lib/pg"
)

const (
	sqlMutersOf = `SELECT muter_id, expires_at FROM muting WHERE mutee_id = $1 AND muter_id <> $2 ORDER BY id`
	sqlMuteToo  = `INSERT INTO muting (id, muter_id, mutee_id, expires_at) VALUES ($1, $2, $3, $4) ON CONFLICT (muter_id, mutee_id) DO NOTHING`
)

// CopyMutes has everybody who mutes an account mute another one too, for as
// long: it is the same person.
func (s *Service) CopyMutes(ctx context.Context, tx *pg.Tx, from, to string) error {
	rows, err := tx.Query(ctx, sqlMutersOf, from, to)
	if err != nil {
		return fmt.Errorf("copy mutes: %w", err)
	}
	type mute struct {
		muter string
		until *time.Time
	}
	mutes, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) (mute, error) {
		var m mute
		return m, r.Scan(&m.muter, &m.until)
	})
	if err != nil {
		return fmt.Errorf("copy mutes: %w", err)
	}
	for _, m := range mutes {
		if _, err := tx.Exec(ctx, sqlMuteToo, s.ids.Now(), m.muter, to, m.until); err != nil {
			return fmt.Errorf("copy mutes: %w", err)
		}
		if err := s.note(ctx, tx, "muted", m.muter, to); err != nil {
			return err
		}
	}
	return nil
}
