package note

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/jackc/pgx/v5"

	"buttersc.one/oven/internal/lib/ap"
	"buttersc.one/oven/internal/lib/pg"
)

// Servers tell the votes to those who hold the poll, which may be nobody here that it
// tells: a poll that came by a renote, or that was looked up. So another server's poll
// is asked for anew when somebody looks at it, and once it is over.
const (
	// pollFresh is how long tallies are not asked for again.
	pollFresh = time.Minute
	// pollSpread is within what time the last tallies of a poll are asked for: all
	// servers that hold it know when it is over.
	pollSpread = 2 * time.Minute

	pollTries = 3
)

// A poll that was asked for after its end does not change any more.
const sqlClaimPoll = `
UPDATE poll SET checked_at = $2 WHERE note_id = $1 AND user_host IS NOT NULL
	AND (checked_at IS NULL OR checked_at < $3 AND (expires_at IS NULL OR checked_at < expires_at))`

// pollArgs asks for the tallies of another server's poll.
type pollArgs struct {
	NoteID string `json:"noteId"`
}

// Kind implements job.Args.
func (pollArgs) Kind() string { return "note.poll" }

// refreshPoll has the tallies of another server's poll asked for, unless that was done
// a moment ago. Who looks does not wait for it.
func (s *Service) refreshPoll(ctx context.Context, n *Note) error {
	if n.Local() || !n.HasPoll {
		return nil
	}
	now := s.clock()
	return s.DB.Tx(ctx, func(tx *pg.Tx) error {
		tag, err := tx.Exec(ctx, sqlClaimPoll, n.ID, now, now.Add(-pollFresh))
		if err != nil {
			return fmt.Errorf("refresh poll: %w", err)
		}
		if tag.RowsAffected() == 0 {
			return nil
		}
		return s.Queue.Insert(ctx, tx, pollArgs{NoteID: n.ID}, time.Time{})
	})
}

// refreshEnded has the last tallies of another server's poll asked for.
func (s *Service) refreshEnded(ctx context.Context, tx *pg.Tx, n *Note) error {
	return s.Queue.Insert(ctx, tx, pollArgs{NoteID: n.ID}, time.Now().Add(rand.N(pollSpread)))
}

const sqlPollChecked = `UPDATE poll SET checked_at = $2 WHERE note_id = $1`

// workPoll asks the poll's server how it stands.
func (s *Service) workPoll(ctx context.Context, a pollArgs) error {
	n, err := s.ByID(ctx, s.DB, a.NoteID)
	if errors.Is(err, ErrNotFound) || err == nil && n.URI == nil {
		return nil
	}
	if err != nil {
		return err
	}
	asked := s.clock()
	o, err := s.Remote.GetObject(ctx, *n.URI)
	if err != nil {
		return err
	}
	if o.ID() != *n.URI {
		return nil // it is another post by now
	}
	return s.DB.Tx(ctx, func(tx *pg.Tx) error {
		if _, err := tx.Exec(ctx, sqlPollChecked, n.ID, asked); err != nil {
			return fmt.Errorf("refresh poll: %w", err)
		}
		if err := s.takeTallies(ctx, tx, n.ID, o); !errors.Is(err, errOtherPoll) {
			return err
		}
		return nil
	})
}

// errOtherPoll is what is said of a Question whose choices are not the poll's.
var errOtherPoll = errors.New("another poll")

const sqlTallies = `UPDATE poll SET votes = $2 WHERE note_id = $1 AND user_host IS NOT NULL`

// takeTallies takes the numbers of votes from a Question; errOtherPoll.
func (s *Service) takeTallies(ctx context.Context, tx *pg.Tx, noteID string, o *ap.Object) error {
	got := pollFrom(o)
	rows, err := tx.Query(ctx, sqlLocked, noteID)
	if err != nil {
		return fmt.Errorf("poll: %w", err)
	}
	have, err := pgx.CollectExactlyOneRow(rows, scanPoll)
	if err != nil {
		return fmt.Errorf("poll: %w", err)
	}
	if got == nil || len(got.Choices) != len(have.Choices) {
		return errOtherPoll
	}
	for i := range got.Choices {
		if got.Choices[i] != have.Choices[i] {
			return errOtherPoll
		}
	}
	if _, err := tx.Exec(ctx, sqlTallies, noteID, got.Votes); err != nil {
		return fmt.Errorf("tallies: %w", err)
	}
	return nil
}
