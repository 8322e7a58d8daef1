package transfer

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/socket/errand"
)

const (
	wayIn  = "import"
	wayOut = "export"
)

// What is carried, as notifications call it.
const (
	notes     = "note"
	favorites = "favorite"
	clips     = "clip"
	antennas  = "antenna"
	following = "following"
	muting    = "muting"
	blocking  = "blocking"
	userLists = "userList"
)

// options of who asked.
type options struct {
	ExcludeMuting   bool `json:"excludeMuting,omitempty"`
	ExcludeInactive bool `json:"excludeInactive,omitempty"`
	WithReplies     bool `json:"withReplies,omitempty"`
}

// carry is something on its way.
type carry struct {
	errand.Row
	What     string
	UserID   string
	FileID   *string
	Options  options
	AskedAt  time.Time
	Position int64
	Stream   *int64
}

const (
	sqlAsk  = `INSERT INTO transfer (id, way, what, user_id, file_id, options, asked_at, due_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $7)`
	sqlOpen = `SELECT count(*) FROM transfer WHERE finished_at IS NULL AND due_at <= $1 AND way = ANY($2)`
	sqlTake = `
UPDATE transfer SET tries = tries + 1
WHERE id = (SELECT id FROM transfer WHERE finished_at IS NULL AND due_at <= $1 AND way = $2 AND id <> ALL($3) ORDER BY due_at, id LIMIT 1)
RETURNING id, what, user_id, file_id, options, asked_at, tries, position, stream_id`
	sqlLater  = `UPDATE transfer SET due_at = $2, tries = $3 WHERE id = $1 AND finished_at IS NULL`
	sqlForget = `DELETE FROM transfer WHERE finished_at < $1`
)

// ask has something carried, once tx is committed.
func (s *Service) ask(ctx context.Context, tx *pg.Tx, way, what, userID string, fileID *string, o options) error {
	b, err := json.Marshal(o)
	if err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, sqlAsk, s.IDs.Now(), way, what, userID, fileID, b, s.Now()); err != nil {
		return fmt.Errorf("ask for an %s: %w", way, err)
	}
	tx.AfterCommit(s.runs[way].Poke)
	return nil
}

// soon is the longest rest of what is going on well.
const soon = 30 * time.Second

// Pending is how much is being carried, or is to be.
func (s *Service) Pending(ctx context.Context) (int64, error) {
	return s.pending(ctx, s.Now().Add(soon), wayIn, wayOut)
}

func (s *Service) pending(ctx context.Context, at time.Time, ways ...string) (n int64, err error) {
	if err := s.DB.QueryRow(ctx, sqlOpen, at, ways).Scan(&n); err != nil {
		return 0, fmt.Errorf("transfers: %w", err)
	}
	return n, nil
}

func (s *Service) runner(way string, key int32, workers int, work func(context.Context, *carry) error) *errand.Runner[*carry] {
	return errand.New(errand.Runner[*carry]{Name: "transfers", DB: s.DB, Class: pg.LockCarry, Key: key, Workers: workers, Book: book{s, way}, Work: work, Slog: s.Slog})
}

// book is what goes one way.
type book struct {
	*Service
	way string
}

// Due implements errand.Book.
func (b book) Due(ctx context.Context) (int64, error) { return b.pending(ctx, b.Now(), b.way) }

// Take implements errand.Book.
func (b book) Take(ctx context.Context, but []string) (*carry, error) {
	c := &carry{}
	err := b.DB.QueryRow(ctx, sqlTake, b.Now(), b.way, but).Scan(&c.ID, &c.What, &c.UserID, &c.FileID, &c.Options, &c.AskedAt, &c.Tries, &c.Position, &c.Stream)
	if pg.NoRows(err) {
		return nil, errand.ErrNone
	}
	if err != nil {
		return nil, fmt.Errorf("transfers: %w", err)
	}
	c.Lang, err = b.Auth.LanguageOf(ctx, b.DB, c.UserID)
	return c, err
}

// Later implements errand.Book.
func (b book) Later(ctx context.Context, c *carry, in time.Duration, tries int) error {
	_, err := b.DB.Exec(ctx, sqlLater, c.ID, b.Now().Add(in), tries)
	return err
}

// Fail implements errand.Book.
func (b book) Fail(ctx context.Context, c *carry, why errand.Text) error { return b.end(ctx, c, why) }

// Forget implements errand.Book.
func (b book) Forget(ctx context.Context) error {
	if _, err := b.DB.Exec(ctx, sqlForget, b.Now().Add(-errand.Kept)); err != nil {
		return fmt.Errorf("forget transfers: %w", err)
	}
	return nil
}

const sqlEnd = `
UPDATE transfer SET finished_at = $2 WHERE id = $1 AND finished_at IS NULL
RETURNING way, stream_id, added, same, passed, remarks`

// outcome is what has become of what was to be taken in.
type outcome struct {
	way                 string
	added, same, passed int
	remarks             []string
}

// end ends it and tells whoever asked; failed is why it could not be done, or none.
// What was sent is still delivered.
func (s *Service) end(ctx context.Context, c *carry, failed errand.Text) error {
	return s.DB.Tx(ctx, func(tx *pg.Tx) error {
		var o outcome
		var stream *int64
		err := tx.QueryRow(ctx, sqlEnd, c.ID, s.Now()).Scan(&o.way, &stream, &o.added, &o.same, &o.passed, &o.remarks)
		if pg.NoRows(err) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("end a transfer: %w", err)
		}
		if stream != nil {
			if err := s.Delivery.Close(ctx, tx, *stream); err != nil {
				return err
			}
		}
		return s.Bus.Emit(ctx, tx, o.report(c, failed))
	})
}

func (o *outcome) report(c *carry, failed errand.Text) errand.Reported {
	became := imported
	var lines []string
	switch {
	case failed.None():
	case o.way == wayOut:
		became = notExported
	case o.added+o.same+o.passed > 0:
		became = partly
	default:
		became = notImported
	}
	if !failed.None() {
		lines = append(lines, errand.Failed(failed.In(c.Lang)))
	}
	if o.way == wayIn {
		lines = append(lines, counts.With(o.added, o.same, o.passed).In(c.Lang))
	}
	return errand.Reported{UserID: c.UserID, Header: titles[c.What].In(c.Lang) + ": " + became.In(c.Lang), Body: errand.Listing(c.Lang, lines, o.remarks, o.passed)}
}
