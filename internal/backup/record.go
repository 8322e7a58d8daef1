package backup

import (
	"context"
	"fmt"
	"time"

	"buttersc.one/oven/internal/lib/pg"
)

// What runs do.
const (
	kindBackup = "backup"
	kindVerify = "verify"
)

const (
	sqlHasRuns = `SELECT to_regclass('public.backup_run') IS NOT NULL`
	sqlRecord  = `
INSERT INTO backup_run (kind, place, backup_id, began_at, error, encrypted, files, file_bytes, missing, added_bytes)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`
	sqlForget = `
DELETE FROM backup_run r WHERE r.id < (SELECT max(id) FROM backup_run) - 200
	AND r.id NOT IN (SELECT max(id) FROM backup_run WHERE error = '' GROUP BY kind)`
)

// record keeps that a run was, and how it ended. A database whose schema is older
// than that keeps nothing.
func (s *Source) record(ctx context.Context, kind string, p Place, began time.Time, r *Result, failed error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	said := ""
	if failed != nil {
		said = failed.Error()
	}
	m := r.Manifest
	if m == nil {
		m = &Manifest{}
	}
	var there bool
	if err := s.DB.QueryRow(ctx, sqlHasRuns).Scan(&there); err != nil || !there {
		return err
	}
	err := s.DB.Tx(ctx, func(tx *pg.Tx) error {
		if _, err := tx.Exec(ctx, sqlRecord, kind, p.String(), m.ID, began, said, r.Encrypted, m.Files, m.FileBytes, m.Missing, m.AddedBytes); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, sqlForget)
		return err
	})
	if err != nil {
		return fmt.Errorf("backup: keep what was done: %w", err)
	}
	return nil
}
