package draft

import (
	"context"
	"errors"
	"fmt"

	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/note"
	"buttersc.one/oven/internal/socket/api"
	"buttersc.one/oven/internal/user"
)

// Posted is emitted when a draft has become a note by itself.
type Posted struct{ UserID, NoteID string }

// Failed is emitted when a draft could not become a note at its time; it is a draft
// like others from then on.
type Failed struct{ UserID, DraftID string }

// postArgs ask to post a draft, if it is still to be posted at that time.
type postArgs struct {
	DraftID string `json:"draftId"`
	At      int64  `json:"at"` // ms since 1970
}

// Kind implements job.Args.
func (postArgs) Kind() string { return "draft.post" }

// schedule has a draft posted at its time. Whatever was asked for before finds that
// the time is another.
func (s *Service) schedule(ctx context.Context, tx *pg.Tx, d *Draft) error {
	if !d.Scheduled {
		return nil
	}
	return s.queue.Insert(ctx, tx, postArgs{d.ID, d.ScheduledAt.UnixMilli()}, *d.ScheduledAt)
}

const (
	sqlTake = `DELETE FROM note_draft WHERE id = $1 AND is_scheduled AND scheduled_at = $2`
	sqlFail = `UPDATE note_draft SET is_scheduled = false WHERE id = $1 AND is_scheduled AND scheduled_at = $2`
)

// errChanged says that a draft was changed while it was being posted.
var errChanged = errors.New("the draft has changed")

// workPost makes a note of a draft. The draft goes in the transaction in which the note
// comes, so that it becomes one note, whenever a process ends.
func (s *Service) workPost(ctx context.Context, a postArgs) error {
	found, err := query(ctx, s.db, sqlByID, a.DraftID)
	if err != nil || len(found) == 0 {
		return err
	}
	d := found[0]
	if !d.Scheduled || d.ScheduledAt == nil || d.ScheduledAt.UnixMilli() != a.At {
		return nil
	}
	author, err := s.users.ByID(ctx, d.UserID)
	if err != nil {
		return err
	}
	var refused *api.Error
	if err = s.post(ctx, author, d); errors.As(err, &refused) {
		return s.fail(ctx, d)
	}
	if errors.Is(err, errChanged) {
		return nil
	}
	return err
}

func (s *Service) post(ctx context.Context, author *user.User, d *Draft) error {
	if author.IsSuspended || author.IsDeleted || author.MovedToURI != nil {
		return errNoDraft
	}
	_, err := s.notes.Publish(ctx, author, d.writing(), func(ctx context.Context, tx *pg.Tx, n *note.Note) error {
		tag, err := tx.Exec(ctx, sqlTake, d.ID, d.ScheduledAt)
		if err != nil {
			return fmt.Errorf("take draft: %w", err)
		}
		if tag.RowsAffected() == 0 {
			return errChanged
		}
		return s.bus.Emit(ctx, tx, Posted{d.UserID, n.ID})
	})
	return err
}

func (s *Service) fail(ctx context.Context, d *Draft) error {
	return s.db.Tx(ctx, func(tx *pg.Tx) error {
		tag, err := tx.Exec(ctx, sqlFail, d.ID, d.ScheduledAt)
		if err != nil || tag.RowsAffected() == 0 {
			return err
		}
		return s.bus.Emit(ctx, tx, Failed{d.UserID, d.ID})
	})
}
