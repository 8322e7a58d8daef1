package notification

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/socket/log"
)

// Followers who want to be told of every note of an account: of what it
// writes, not of its replies to others and renotes.
const sqlSubscribers = `
SELECT n.id, n.user_id, f.follower_id FROM note n JOIN following f ON f.followee_id = n.user_id AND f.notify = 'normal' AND f.follower_host IS NULL
WHERE n.id = ANY($1) AND NOT n.is_pure_renote AND n.visibility IN ('public', 'home', 'followers') AND n.channel_id IS NULL
	AND (n.reply_id IS NULL OR n.reply_user_id = n.user_id)
	AND NOT EXISTS (SELECT FROM notification x WHERE x.note_id = n.id AND x.notifiee_id = f.follower_id)
ORDER BY n.id`

// onNotes tells subscribers. It follows the change log, not the transaction of
// the note: there may be many of them.
func (s *Service) onNotes(ctx context.Context, tx *pg.Tx, batch []log.Change) error {
	ids := make([]string, 0, len(batch))
	for _, c := range batch {
		ids = append(ids, c.ObjectID)
	}
	rows, err := tx.Query(ctx, sqlSubscribers, ids)
	if err != nil {
		return fmt.Errorf("subscribers: %w", err)
	}
	type told struct{ note, by, to string }
	list, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) (told, error) {
		var t told
		return t, r.Scan(&t.note, &t.by, &t.to)
	})
	if err != nil {
		return fmt.Errorf("subscribers: %w", err)
	}
	for _, t := range list {
		if err := s.addTo(ctx, tx, t.to, row{typ: "note", by: t.by, noteID: t.note}); err != nil {
			return err
		}
	}
	return nil
}
