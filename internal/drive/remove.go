package drive

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"buttersc.one/oven/internal/lib/blob"
	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/socket/job"
)

// A picture of an emoji is nobody's; a file that somebody put here may be one
// all the same, and then stays.
const (
	sqlRemove = `
DELETE FROM drive_file f WHERE f.id = ANY($1) AND f.user_id = ANY($2)
RETURNING f.url, f.thumbnail_url, f.is_link`
	sqlToErase = `INSERT INTO drive_erase (key) SELECT unnest($1::text[]) ON CONFLICT (key) DO NOTHING`
	sqlErasing = `
SELECT key FROM drive_erase e
WHERE NOT EXISTS (SELECT FROM drive_file f WHERE f.url = $1 || e.key AND NOT f.is_link)
ORDER BY at LIMIT 100`
	sqlErased = `DELETE FROM drive_erase WHERE key = ANY($1)`
)

// Remove takes away files of one account in tx. Their bytes are erased later,
// once the transaction is committed. It says how many there were.
func (s *Service) Remove(ctx context.Context, tx *pg.Tx, userID string, ids []string) (int, error) {
	return s.RemoveOf(ctx, tx, []string{userID}, ids)
}

// RemoveOf is Remove of files of several accounts.
func (s *Service) RemoveOf(ctx context.Context, tx *pg.Tx, userIDs, ids []string) (int, error) {
	rows, err := tx.Query(ctx, sqlRemove, ids, userIDs)
	if err != nil {
		return 0, fmt.Errorf("remove files: %w", err)
	}
	n := 0
	var keys []string
	var url string
	var thumbnail *string
	var link bool
	if _, err := pgx.ForEachRow(rows, []any{&url, &thumbnail, &link}, func() error {
		n++
		if link {
			return nil
		}
		for _, u := range []*string{&url, thumbnail} {
			if u == nil {
				continue
			}
			if key, ok := strings.CutPrefix(*u, s.meta.Origin+"/files/"); ok {
				keys = append(keys, key)
			}
		}
		return nil
	}); err != nil {
		return 0, fmt.Errorf("remove files: %w", err)
	}
	if len(keys) > 0 {
		if _, err := tx.Exec(ctx, sqlToErase, keys); err != nil {
			return 0, fmt.Errorf("remove files: %w", err)
		}
	}
	return n, nil
}

// The notes are counted: where one is enough, the planner expects to find it soon
// and reads all notes instead of looking into the index.
const sqlRemoveUnshown = `
DELETE FROM drive_file f WHERE f.id = ANY($1) AND f.is_link AND f.user_host IS NOT NULL
	AND (SELECT count(*) FROM note n WHERE n.file_ids @> ARRAY[f.id] AND n.file_ids <> '{}') = 0`

// RemoveUnshown takes away, in tx, those of the files that are links to other
// servers' and that no note has. It says how many there were.
func (s *Service) RemoveUnshown(ctx context.Context, tx *pg.Tx, ids []string) (int, error) {
	tag, err := tx.Exec(ctx, sqlRemoveUnshown, ids)
	if err != nil {
		return 0, fmt.Errorf("remove links: %w", err)
	}
	return int(tag.RowsAffected()), nil
}

const sqlUnshown = `
SELECT count(*) FROM drive_file f WHERE f.id = ANY($1) AND f.is_link AND f.user_host IS NOT NULL
	AND (SELECT count(*) FROM note n WHERE n.file_ids @> ARRAY[f.id] AND n.file_ids <> '{}') = 0`

// Unshown counts what RemoveUnshown would take away.
func (s *Service) Unshown(ctx context.Context, q pg.Q, ids []string) (n int64, err error) {
	if err := q.QueryRow(ctx, sqlUnshown, ids).Scan(&n); err != nil {
		return 0, fmt.Errorf("links that no note has: %w", err)
	}
	return n, nil
}

// eraseArgs asks to erase what is of no file any more.
type eraseArgs struct{}

// Kind implements job.Args.
func (eraseArgs) Kind() string { return "drive.erase" }

// eraseEvery the bytes of removed files are erased.
const eraseEvery = time.Minute

// Jobs of this slice.
func (s *Service) Jobs() []job.Worker {
	return []job.Worker{job.Every(eraseEvery, eraseArgs{}, s.Erase)}
}

// Erase removes the bytes of files that are gone. Run again it goes on where it
// was.
func (s *Service) Erase(ctx context.Context) error {
	for {
		rows, err := s.db.Query(ctx, sqlErasing, s.meta.Origin+"/files/")
		if err != nil {
			return fmt.Errorf("erase files: %w", err)
		}
		keys, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil || len(keys) == 0 {
			return err
		}
		for _, k := range keys {
			if err := s.store.Delete(ctx, k); err != nil && !errors.Is(err, blob.ErrNotFound) {
				return fmt.Errorf("erase file: %w", err)
			}
		}
		if _, err := s.db.Exec(ctx, sqlErased, keys); err != nil {
			return fmt.Errorf("erase files: %w", err)
		}
	}
}
