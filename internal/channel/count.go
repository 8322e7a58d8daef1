package channel

import (
	"context"
	"fmt"

	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/socket/log"
)

const (
	sqlWrote = `
INSERT INTO channel_author AS a (channel_id, user_id, notes) SELECT $1, $2, 1 WHERE EXISTS (SELECT FROM channel WHERE id = $1)
ON CONFLICT (channel_id, user_id) DO UPDATE SET notes = a.notes + 1 RETURNING (a.notes = 1)::int`
	sqlTook = `
WITH less AS (UPDATE channel_author SET notes = notes - 1 WHERE channel_id = $1 AND user_id = $2 RETURNING notes)
SELECT count(*), count(*) FILTER (WHERE notes = 0) FROM less`
	sqlNoLonger = `DELETE FROM channel_author WHERE channel_id = $1 AND user_id = $2 AND notes <= 0`
	sqlCounted  = `
UPDATE channel SET notes_count = notes_count + $2, users_count = users_count + $3, last_noted_at = CASE WHEN $2 > 0 THEN greatest(last_noted_at, $4) ELSE last_noted_at END
WHERE id = $1`
)

// inChannel is what the change log tells of a note.
type inChannel struct {
	Channel string `json:"channelId"`
}

// onNotes counts notes and authors of channels: the cursor moves in the same
// transaction, so each note counts once.
func (s *Service) onNotes(ctx context.Context, tx *pg.Tx, batch []log.Change) error {
	for _, c := range batch {
		var d inChannel
		if err := c.Into(&d); err != nil {
			return err
		}
		if d.Channel == "" {
			continue
		}
		if err := s.count(ctx, tx, c, d.Channel); err != nil {
			return fmt.Errorf("count a note of a channel: %w", err)
		}
	}
	return nil
}

func (s *Service) count(ctx context.Context, tx *pg.Tx, c log.Change, channelID string) error {
	if c.Kind == "note.created" {
		var first int
		err := tx.QueryRow(ctx, sqlWrote, channelID, c.ActorID).Scan(&first)
		if pg.NoRows(err) {
			return nil
		}
		if err != nil {
			return err
		}
		_, err = tx.Exec(ctx, sqlCounted, channelID, 1, first, c.At)
		return err
	}
	var had, left int
	if err := tx.QueryRow(ctx, sqlTook, channelID, c.ActorID).Scan(&had, &left); err != nil || had == 0 {
		return err
	}
	if left > 0 {
		if _, err := tx.Exec(ctx, sqlNoLonger, channelID, c.ActorID); err != nil {
			return err
		}
	}
	_, err := tx.Exec(ctx, sqlCounted, channelID, -1, -left, c.At)
	return err
}
