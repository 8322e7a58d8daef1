package drive

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/jackc/pgx/v5"

	"buttersc.one/oven/internal/lib/blob"
	"buttersc.one/oven/internal/lib/id"
	"buttersc.one/oven/internal/lib/pg"
)

// Kinds of what is in the store.
const (
	original  = "original"
	thumbnail = "thumbnail"
	public    = "webpublic" // a picture in the place of an original that not everybody can or should show
	cached    = "cache"     // of another server, for a while
)

// claimed is how long bytes that are being stored may be of no file.
const claimed = time.Hour

// stored are bytes in the store that are to become part of a file.
type stored struct {
	Key, Kind, Type string
	Size            int64
}

const (
	sqlClaim = `
INSERT INTO drive_blob (key, kind, type, until) VALUES ($1, $2, $3, $4)
ON CONFLICT (key) DO UPDATE SET type = excluded.type WHERE drive_blob.file_id IS NULL`
	sqlAdopt = `UPDATE drive_blob SET file_id = $1, size = v.size, until = NULL FROM unnest($2::text[], $3::bigint[]) v (key, size) WHERE drive_blob.key = v.key AND kind <> 'erased'`
)

// put stores bytes under a new key. Their row comes first: what is stored and
// then forgotten is erased.
func (s *Service) put(ctx context.Context, kind, typ string, r io.Reader, max int64) (stored, error) {
	b := stored{Key: id.Random(32), Kind: kind, Type: typ}
	if _, err := s.DB.Exec(ctx, sqlClaim, b.Key, kind, typ, s.Now().Add(claimed)); err != nil {
		return b, fmt.Errorf("store file: %w", err)
	}
	info, err := s.Files.Put(ctx, b.Key, r, blob.PutOptions{ContentType: typ, Max: max})
	if err != nil {
		return b, fmt.Errorf("store file: %w", err)
	}
	b.Size = info.Size
	return b, nil
}

// adopt makes stored bytes part of the file, in tx.
func adopt(ctx context.Context, tx *pg.Tx, fileID string, parts []stored) error {
	var keys []string
	var sizes []int64
	for _, p := range parts {
		keys, sizes = append(keys, p.Key), append(sizes, p.Size)
	}
	tag, err := tx.Exec(ctx, sqlAdopt, fileID, keys, sizes)
	if err == nil && int(tag.RowsAffected()) != len(parts) {
		err = errors.New("it took too long, and they were erased")
	}
	if err != nil {
		return fmt.Errorf("adopt stored bytes: %w", err)
	}
	return nil
}

func (s *Service) urlOf(b stored) string { return s.Meta.Origin + "/files/" + b.Key }

// What is being erased can no longer become part of a file.
const (
	sqlErasing = `
UPDATE drive_blob SET kind = 'erased' WHERE key = ANY (ARRAY(
	SELECT key FROM drive_blob WHERE file_id IS NULL AND (until IS NULL OR until < $1)
	ORDER BY until NULLS FIRST LIMIT 100 FOR UPDATE SKIP LOCKED))
RETURNING key`
	sqlErased = `DELETE FROM drive_blob WHERE key = ANY($1) AND file_id IS NULL`
)

// eraseArgs asks to erase what is of no file any more.
type eraseArgs struct{}

// Kind implements job.Args.
func (eraseArgs) Kind() string { return "drive.erase" }

// eraseEvery the bytes of removed files are erased.
const eraseEvery = time.Minute

// Erase removes the bytes of files that are gone and of what was kept for a
// while. Run again it goes on where it was.
func (s *Service) Erase(ctx context.Context) error {
	for {
		rows, err := s.DB.Query(ctx, sqlErasing, s.Now())
		if err != nil {
			return fmt.Errorf("erase files: %w", err)
		}
		keys, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil || len(keys) == 0 {
			return err
		}
		for _, k := range keys {
			if err := s.Files.Delete(ctx, k); err != nil && !errors.Is(err, blob.ErrNotFound) {
				return fmt.Errorf("erase file: %w", err)
			}
		}
		if _, err := s.DB.Exec(ctx, sqlErased, keys); err != nil {
			return fmt.Errorf("erase files: %w", err)
		}
	}
}
