package drive

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/socket/log"
)

// A picture of an emoji is nobody's; a file that somebody put here may be one
// all the same, and then stays. The bytes lose their file with its row, and are
// erased once the transaction is committed.
const sqlRemove = `
DELETE FROM drive_file f WHERE f.id = ANY($1) AND f.user_id = ANY($2)
RETURNING f.id, f.user_id, coalesce(f.user_host, ''), f.size, f.is_link`

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
	type gone struct {
		ID, UserID, Host string
		Size             int64
		Link             bool
	}
	list, err := pgx.CollectRows(rows, pgx.RowToStructByPos[gone])
	if err != nil {
		return 0, fmt.Errorf("remove files: %w", err)
	}
	var changes []log.Row
	for _, f := range list {
		if !f.Link { // which was never told of as a file here
			changes = append(changes, log.Row{ObjectID: f.ID, ActorID: f.UserID, Data: Change{UserID: f.UserID, Host: f.Host, Size: f.Size}})
		}
	}
	return len(list), s.Log.AppendRows(ctx, tx, deleted, changes)
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
