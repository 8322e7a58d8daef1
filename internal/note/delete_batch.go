package note

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"

	"buttersc.one/oven/internal/lib/ap"
	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/socket/delivery"
	"buttersc.one/oven/internal/socket/log"
	"buttersc.one/oven/internal/user"
)

const (
	sqlLockNotes       = `SELECT id FROM note WHERE id = ANY($1) ORDER BY id FOR UPDATE`
	sqlBatchNotes      = `SELECT ` + Columns + From + `WHERE n.id = ANY($1) AND n.user_id = $2 ORDER BY n.id`
	sqlBatchRenotes    = `SELECT ` + Columns + From + `WHERE n.renote_id = ANY($1) AND n.is_pure_renote AND n.user_id <> $2 ORDER BY n.id LIMIT 1000`
	sqlBatchOwnRenotes = `SELECT n.id FROM note n WHERE n.renote_id = ANY($1) AND n.is_pure_renote AND n.user_id = $2 ORDER BY n.id LIMIT 1000`
	sqlBatchHolders    = `SELECT note_id, array_agg(endpoint_id) FROM note_holder WHERE note_id = ANY($1) GROUP BY note_id`
	sqlBatchReplies    = `
UPDATE note_stat s SET replies_count = greatest(0, s.replies_count - n.n)
FROM (SELECT reply_id, count(*) AS n FROM note WHERE id = ANY($1) AND reply_id IS NOT NULL GROUP BY reply_id) n WHERE s.note_id = n.reply_id`
	sqlBatchShares = `
UPDATE note_stat s SET renote_count = greatest(0, s.renote_count - n.n)
FROM (SELECT renote_id, count(*) AS n FROM note WHERE id = ANY($1) AND renote_id IS NOT NULL AND renote_user_id <> user_id GROUP BY renote_id) n
WHERE s.note_id = n.renote_id`
	sqlBatchDelete = `DELETE FROM note WHERE id = ANY($1)`
)

// DeleteBatch removes notes of one author in tx, as Delete does with each, with
// a number of statements that does not grow with theirs. What is to be told goes
// by an operation's stream (delivery.Open); stream 0 tells nobody, for an account
// that tells of its end instead. It says how many were removed.
func (s *Service) DeleteBatch(ctx context.Context, tx *pg.Tx, author *user.User, ids []string, stream int64) (int, error) {
	ids, err := s.withOwnRenotes(ctx, tx, author, ids)
	if err != nil {
		return 0, err
	}
	if _, err := tx.Exec(ctx, sqlLockNotes, ids); err != nil {
		return 0, fmt.Errorf("lock notes: %w", err)
	}
	if err := s.deleteOthersRenotes(ctx, tx, author, ids); err != nil {
		return 0, err
	}
	notes, err := s.some(ctx, tx, sqlBatchNotes, ids, author.ID)
	if err != nil || len(notes) == 0 {
		return 0, err
	}
	ids = ids[:0]
	var gone []log.Row
	for _, n := range notes {
		ids = append(ids, n.ID)
		gone = append(gone, log.Row{ObjectID: n.ID, ActorID: n.UserID, Data: deletedOf(n, author)})
	}
	if stream != 0 && author.Local() {
		if err := s.sendDeletes(ctx, tx, author, notes, stream); err != nil {
			return 0, err
		}
	}
	if err := s.Bus.Emit(ctx, tx, Deleted{AuthorID: author.ID, IDs: ids}); err != nil {
		return 0, err
	}
	b := &pgx.Batch{}
	b.Queue(sqlBatchReplies, ids)
	if !author.IsBot {
		b.Queue(sqlBatchShares, ids)
	}
	b.Queue(sqlBatchDelete, ids)
	if err := tx.SendBatch(ctx, b).Close(); err != nil {
		return 0, fmt.Errorf("delete notes: %w", err)
	}
	if err := s.Users.Count(ctx, tx, author.ID, -len(ids), 0, 0); err != nil {
		return 0, err
	}
	return len(ids), s.Log.AppendRows(ctx, tx, "note.deleted", gone)
}

// withOwnRenotes adds the author's renotes of the notes, which go with them.
func (s *Service) withOwnRenotes(ctx context.Context, tx *pg.Tx, author *user.User, ids []string) ([]string, error) {
	rows, err := tx.Query(ctx, sqlBatchOwnRenotes, ids, author.ID)
	if err != nil {
		return nil, fmt.Errorf("own renotes: %w", err)
	}
	own, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, fmt.Errorf("own renotes: %w", err)
	}
	out := append(slices.Clone(ids), own...)
	slices.Sort(out)
	return slices.Compact(out), nil
}

// deleteOthersRenotes removes others' renotes of the notes: they say nothing of
// their own.
func (s *Service) deleteOthersRenotes(ctx context.Context, tx *pg.Tx, author *user.User, ids []string) error {
	for {
		renotes, err := s.some(ctx, tx, sqlBatchRenotes, ids, author.ID)
		if err != nil || len(renotes) == 0 {
			return err
		}
		for _, r := range renotes {
			by, err := s.Users.ByIDIn(ctx, tx, r.UserID)
			if err != nil {
				return err
			}
			if err := s.deleteOne(ctx, tx, by, r); err != nil {
				return err
			}
		}
	}
}

func (s *Service) some(ctx context.Context, tx *pg.Tx, sql string, args ...any) ([]*Note, error) {
	rows, err := tx.Query(ctx, sql, args...)
	if err != nil {
		return nil, fmt.Errorf("notes: %w", err)
	}
	list, err := pgx.CollectRows(rows, Scan)
	if err != nil {
		return nil, fmt.Errorf("notes: %w", err)
	}
	return list, nil
}

// sendDeletes tells those who hold the notes, each of each, in one stream.
func (s *Service) sendDeletes(ctx context.Context, tx *pg.Tx, author *user.User, notes []*Note, stream int64) error {
	held, err := s.holders(ctx, tx, notes)
	if err != nil {
		return err
	}
	var messages []delivery.Message
	var uris []string
	for _, n := range notes {
		if n.LocalOnly {
			continue
		}
		act, err := s.deletion(ctx, tx, author, n)
		if err != nil {
			return err
		}
		body, err := json.Marshal(act)
		if err != nil {
			return fmt.Errorf("render deletion: %w", err)
		}
		to := n.recipients()
		if n.Visibility == Public || n.Visibility == Home {
			to.Extra = append(slices.Clone(to.Extra), held[n.ID]...)
		}
		uri := s.URI(n)
		uris = append(uris, uri)
		messages = append(messages, delivery.Message{ActorID: author.ID, ActivityID: act.ID, Type: act.Type, Object: uri, Body: body,
			Class: delivery.Bulk, To: to, Stream: stream})
	}
	if len(messages) == 0 {
		return nil
	}
	if err := s.Delivery.BlankUnsent(ctx, tx, uris...); err != nil {
		return err
	}
	_, err = s.Delivery.SendAll(ctx, tx, messages)
	return err
}

func (s *Service) holders(ctx context.Context, tx *pg.Tx, notes []*Note) (map[string][]int32, error) {
	var ids []string
	for _, n := range notes {
		ids = append(ids, n.ID)
	}
	rows, err := tx.Query(ctx, sqlBatchHolders, ids)
	if err != nil {
		return nil, fmt.Errorf("note holders: %w", err)
	}
	out := map[string][]int32{}
	var id string
	var endpoints []int32
	if _, err := pgx.ForEachRow(rows, []any{&id, &endpoints}, func() error {
		out[id] = endpoints
		endpoints = nil
		return nil
	}); err != nil {
		return nil, fmt.Errorf("note holders: %w", err)
	}
	return out, nil
}

// deletion is the activity that takes a note back: Undo of a renote, Delete of
// everything else.
func (s *Service) deletion(ctx context.Context, tx *pg.Tx, author *user.User, n *Note) (*ap.Activity, error) {
	actor, uri := s.Users.URI(author), s.URI(n)
	if !n.IsPureRenote {
		return ap.Delete(actor, uri+"#delete", uri), nil
	}
	inner, err := s.announce(ctx, tx, author, n)
	if errors.Is(err, ErrNotFound) {
		// What was renoted is gone: that it was is told by its id alone.
		id := uri + "/activity"
		return &ap.Activity{Context: ap.Context(), ID: id + "/undo", Type: "Undo", Actor: actor, To: []string{ap.Public}, Object: id}, nil
	}
	if err != nil {
		return nil, err
	}
	return &ap.Activity{Context: ap.Context(), ID: inner.ID + "/undo", Type: "Undo", Actor: actor, To: inner.To, Cc: inner.Cc, Object: inner}, nil
}
