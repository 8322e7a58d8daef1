package note

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"buttersc.one/oven/internal/lib/pg"
)

// Columns and From let other slices read notes inside their own statements, as
// n and its counts as ns; Scan reads one such row.
const (
	Columns = `n.id, n.user_id, n.user_host, n.text, n.cw, n.visibility, n.local_only, n.reaction_acceptance,
	n.reply_id, n.reply_user_id, n.reply_user_host, n.renote_id, n.renote_user_id, n.renote_user_host, n.thread_id,
	n.channel_id, n.uri, n.url, n.file_ids, n.visible_user_ids, n.mentions, n.emojis, n.tags, n.has_poll,
	n.is_pure_renote, n.updated_at, n.audience_id, n.audience_extra,
	ns.renote_count, ns.replies_count, ns.clipped_count, ns.reactions, ns.reaction_pairs`
	From = ` FROM note n JOIN note_stat ns ON ns.note_id = n.id `
)

// Scan reads a row of Columns.
func Scan(r pgx.CollectableRow) (*Note, error) {
	n := &Note{}
	return n, r.Scan(&n.ID, &n.UserID, &n.UserHost, &n.Text, &n.CW, &n.Visibility, &n.LocalOnly, &n.ReactionAcceptance,
		&n.ReplyID, &n.ReplyUserID, &n.ReplyUserHost, &n.RenoteID, &n.RenoteUserID, &n.RenoteUserHost, &n.ThreadID,
		&n.ChannelID, &n.URI, &n.URL, &n.FileIDs, &n.VisibleUserIDs, &n.Mentions, &n.Emojis, &n.Tags, &n.HasPoll,
		&n.IsPureRenote, &n.UpdatedAt, &n.AudienceID, &n.AudienceExtra,
		&n.RenoteCount, &n.RepliesCount, &n.ClippedCount, &n.Reactions, &n.ReactionPairs)
}

const (
	sqlByIDs = `SELECT ` + Columns + From + `WHERE n.id = ANY($1)`
	sqlByURI = `SELECT ` + Columns + From + `WHERE n.uri = $1`
)

// ByIDs reads notes; missing ones are missing.
func (s *Service) ByIDs(ctx context.Context, q pg.Q, ids []string) (map[string]*Note, error) {
	out := make(map[string]*Note, len(ids))
	if len(ids) == 0 {
		return out, nil
	}
	rows, err := q.Query(ctx, sqlByIDs, ids)
	if err != nil {
		return nil, fmt.Errorf("read notes: %w", err)
	}
	list, err := pgx.CollectRows(rows, Scan)
	if err != nil {
		return nil, fmt.Errorf("read notes: %w", err)
	}
	for _, n := range list {
		out[n.ID] = n
	}
	return out, nil
}

// ByID reads a note, whoever may see it.
func (s *Service) ByID(ctx context.Context, q pg.Q, id string) (*Note, error) {
	m, err := s.ByIDs(ctx, q, []string{id})
	if err != nil {
		return nil, err
	}
	if n := m[id]; n != nil {
		return n, nil
	}
	return nil, ErrNotFound
}

// ByURI reads a note by its id on the wire, ours or remote. It never asks the
// network.
func (s *Service) ByURI(ctx context.Context, q pg.Q, uri string) (*Note, error) {
	if id, ok := s.LocalID(uri); ok {
		n, err := s.ByID(ctx, q, id)
		if err == nil && !n.Local() {
			return nil, ErrNotFound
		}
		return n, err
	}
	rows, err := q.Query(ctx, sqlByURI, uri)
	if err != nil {
		return nil, fmt.Errorf("read note: %w", err)
	}
	n, err := pgx.CollectExactlyOneRow(rows, Scan)
	if pg.NoRows(err) {
		return nil, ErrNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("read note: %w", err)
	}
	return n, nil
}

const sqlKeep = `SELECT FROM note WHERE id = $1 FOR KEY SHARE`

// Keep holds a note against deletion until tx ends; ErrNotFound when it is gone
// already. Whoever writes what hangs on a note calls it before any other lock.
func (s *Service) Keep(ctx context.Context, tx *pg.Tx, noteID string) error {
	tag, err := tx.Exec(ctx, sqlKeep, noteID)
	if err != nil {
		return fmt.Errorf("keep note: %w", err)
	}
	if tag.RowsAffected() == 0 {
		return ErrNotFound
	}
	return nil
}

const sqlAddReaction = `
UPDATE note_stat SET
	reactions = reactions || jsonb_build_object($2::text, coalesce((reactions ->> $2::text)::int, 0) + 1),
	reaction_pairs = CASE WHEN cardinality(reaction_pairs) < 16 THEN reaction_pairs || $3::text ELSE reaction_pairs END
WHERE note_id = $1`

// AddReaction counts a reaction; pair is "user/reaction".
func (s *Service) AddReaction(ctx context.Context, tx *pg.Tx, noteID, reaction, pair string) error {
	if _, err := tx.Exec(ctx, sqlAddReaction, noteID, reaction, pair); err != nil {
		return fmt.Errorf("count reaction: %w", err)
	}
	return nil
}

const sqlRemoveReaction = `
UPDATE note_stat SET
	reactions = CASE WHEN coalesce((reactions ->> $2::text)::int, 0) > 1
		THEN reactions || jsonb_build_object($2::text, (reactions ->> $2::text)::int - 1) ELSE reactions - $2::text END,
	reaction_pairs = array_remove(reaction_pairs, $3::text)
WHERE note_id = $1`

// RemoveReaction takes a reaction off the count.
func (s *Service) RemoveReaction(ctx context.Context, tx *pg.Tx, noteID, reaction, pair string) error {
	if _, err := tx.Exec(ctx, sqlRemoveReaction, noteID, reaction, pair); err != nil {
		return fmt.Errorf("count reaction: %w", err)
	}
	return nil
}

const sqlHold = `INSERT INTO note_holder (note_id, endpoint_id) SELECT $1, unnest($2::int[]) ON CONFLICT (note_id, endpoint_id) DO NOTHING`

// Hold records that endpoints are known to have the note beyond its audience:
// its Delete goes there too.
func (s *Service) Hold(ctx context.Context, tx *pg.Tx, n *Note, endpoints []int32) error {
	if !n.Local() || n.Visibility != Public && n.Visibility != Home || len(endpoints) == 0 {
		return nil
	}
	if _, err := tx.Exec(ctx, sqlHold, n.ID, endpoints); err != nil {
		return fmt.Errorf("note holder: %w", err)
	}
	return nil
}

const sqlCountClips = `UPDATE note_stat SET clipped_count = greatest(0, clipped_count + $2) WHERE note_id = ANY($1)`

// CountClips changes in how many clips the notes are.
func (s *Service) CountClips(ctx context.Context, tx *pg.Tx, noteIDs []string, by int) error {
	if _, err := tx.Exec(ctx, sqlCountClips, noteIDs, by); err != nil {
		return fmt.Errorf("count clips: %w", err)
	}
	return nil
}
