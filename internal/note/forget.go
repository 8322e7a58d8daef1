package note

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/jackc/pgx/v5"

	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/socket/log"
)

const (
	sqlForgotten = `
SELECT n.id, n.user_id, n.user_host, u.actor_host, coalesce(n.reply_id, ''), coalesce(n.renote_id, ''), n.file_ids FROM note n JOIN "user" u ON u.id = n.user_id
WHERE n.id = ANY($1) AND n.user_host IS NOT NULL ORDER BY n.id`
	// What bots renoted was not counted.
	sqlForgetShares = `
UPDATE note_stat s SET renote_count = greatest(0, s.renote_count - n.n)
FROM (SELECT n.renote_id, count(*) AS n FROM note n JOIN "user" u ON u.id = n.user_id
	WHERE n.id = ANY($1) AND n.renote_id IS NOT NULL AND n.renote_user_id <> n.user_id AND NOT u.is_bot GROUP BY n.renote_id) n
WHERE s.note_id = n.renote_id`
)

// forgotten is a note that goes.
type forgotten struct {
	ID, UserID    string
	Host, Server  *string
	Reply, Renote string
	FileIDs       []string
}

// Forget removes notes of other servers in tx, of whichever authors, and tells
// nobody: they are not deleted by who wrote them, and come again when somebody
// refers to them. The caller has locked them and knows that nothing hangs on them
// but what goes with them. It says how many there were, and which files they had.
func (s *Service) Forget(ctx context.Context, tx *pg.Tx, ids []string) (n int, files []string, err error) {
	rows, err := tx.Query(ctx, sqlForgotten, ids)
	if err != nil {
		return 0, nil, fmt.Errorf("forget notes: %w", err)
	}
	list, err := pgx.CollectRows(rows, pgx.RowToStructByPos[forgotten])
	if err != nil {
		return 0, nil, fmt.Errorf("forget notes: %w", err)
	}
	if len(list) == 0 {
		return 0, nil, nil
	}
	byAuthor := map[string][]string{}
	var gone []log.Row
	less := map[string]int{}
	ids = ids[:0:0]
	for _, f := range list {
		ids = append(ids, f.ID)
		files = append(files, f.FileIDs...)
		byAuthor[f.UserID] = append(byAuthor[f.UserID], f.ID)
		less[f.UserID]--
		gone = append(gone, log.Row{ObjectID: f.ID, ActorID: f.UserID,
			Data: deletedData{Host: f.Host, Server: f.Server, Reply: f.Reply, Renote: f.Renote, Files: len(f.FileIDs) > 0}})
	}
	for _, a := range slices.Sorted(maps.Keys(byAuthor)) {
		if err := s.Bus.Emit(ctx, tx, Deleted{AuthorID: a, IDs: byAuthor[a]}); err != nil {
			return 0, nil, err
		}
	}
	b := &pgx.Batch{}
	b.Queue(sqlBatchReplies, ids)
	b.Queue(sqlForgetShares, ids)
	b.Queue(sqlBatchDelete, ids)
	if err := tx.SendBatch(ctx, b).Close(); err != nil {
		return 0, nil, fmt.Errorf("forget notes: %w", err)
	}
	if err := s.Users.CountNotes(ctx, tx, less); err != nil {
		return 0, nil, err
	}
	if err := s.Log.AppendRows(ctx, tx, "note.deleted", gone); err != nil {
		return 0, nil, err
	}
	return len(list), files, nil
}
