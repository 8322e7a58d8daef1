package catalogue

import (
	"context"
	"fmt"
	"sync"
	"time"

	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/socket/errand"
)

// The ways that emoji are carried; one archive goes each way at a time.
const (
	wayIn  = "import"
	wayOut = "export"
)

// carry is an archive on its way.
type carry struct {
	errand.Row
	UserID   string
	FileID   *string
	AskedAt  time.Time
	Position int
}

const (
	sqlAsk  = `INSERT INTO emoji_carry (id, kind, user_id, file_id, asked_at, due_at) VALUES ($1, $2, $3, $4, $5, $5)`
	sqlOpen = `SELECT count(*) FROM emoji_carry WHERE finished_at IS NULL AND due_at <= $1 AND kind = ANY($2)`
	sqlTake = `
UPDATE emoji_carry SET tries = tries + 1
WHERE id = (SELECT id FROM emoji_carry WHERE finished_at IS NULL AND due_at <= $1 AND kind = $2 AND id <> ALL($3) ORDER BY due_at, id LIMIT 1)
RETURNING id, user_id, file_id, asked_at, tries, position`
	sqlLater  = `UPDATE emoji_carry SET due_at = $2, tries = $3 WHERE id = $1 AND finished_at IS NULL`
	sqlForget = `DELETE FROM emoji_carry WHERE finished_at < $1`
)

// ask has an archive carried, once tx is committed.
func (s *Service) ask(ctx context.Context, tx *pg.Tx, way, userID string, fileID *string) error {
	if _, err := tx.Exec(ctx, sqlAsk, s.IDs.Now(), way, userID, fileID, s.Now()); err != nil {
		return fmt.Errorf("ask for an archive: %w", err)
	}
	tx.AfterCommit(s.runs[way].Poke)
	return nil
}

// Pending is how many archives are being carried, or are to be now.
func (s *Service) Pending(ctx context.Context) (int64, error) {
	return s.pending(ctx, []string{wayIn, wayOut})
}

func (s *Service) pending(ctx context.Context, ways []string) (n int64, err error) {
	if err := s.DB.QueryRow(ctx, sqlOpen, s.Now(), ways).Scan(&n); err != nil {
		return 0, fmt.Errorf("archives of emoji: %w", err)
	}
	return n, nil
}

// Run carries archives in and out until ctx ends. What is begun and not ended is
// gone on with by whatever process comes first.
func (s *Service) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	for _, r := range s.runs {
		wg.Go(func() { _ = r.Run(ctx) })
	}
	wg.Wait()
	return nil
}

// runner carries the archives that go one way.
func (s *Service) runner(way string, key int32, work func(context.Context, *carry) error) *errand.Runner[*carry] {
	return errand.New(errand.Runner[*carry]{Name: "archives of emoji", DB: s.DB, Class: pg.LockCarry, Key: key, Workers: 1, Book: book{s, way}, Work: work, Slog: s.Slog})
}

// book are the archives that go one way.
type book struct {
	*Service
	way string
}

// Due implements errand.Book.
func (b book) Due(ctx context.Context) (int64, error) { return b.pending(ctx, []string{b.way}) }

// Take implements errand.Book.
func (b book) Take(ctx context.Context, but []string) (*carry, error) {
	c := &carry{}
	err := b.DB.QueryRow(ctx, sqlTake, b.Now(), b.way, but).Scan(&c.ID, &c.UserID, &c.FileID, &c.AskedAt, &c.Tries, &c.Position)
	if pg.NoRows(err) {
		return nil, errand.ErrNone
	}
	if err != nil {
		return nil, fmt.Errorf("carry emoji: %w", err)
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
		return fmt.Errorf("forget archives: %w", err)
	}
	return nil
}

const sqlEnd = `
UPDATE emoji_carry SET finished_at = $2 WHERE id = $1 AND finished_at IS NULL
RETURNING kind, added, replaced, same, passed, remarks`

// outcome is what has become of an archive's entries.
type outcome struct {
	way                           string
	added, replaced, same, passed int
	remarks                       []string
}

// end ends it and tells whoever asked; failed is why it could not be done, or none.
func (s *Service) end(ctx context.Context, c *carry, failed errand.Text) error {
	return s.DB.Tx(ctx, func(tx *pg.Tx) error {
		var o outcome
		err := tx.QueryRow(ctx, sqlEnd, c.ID, s.Now()).Scan(&o.way, &o.added, &o.replaced, &o.same, &o.passed, &o.remarks)
		if pg.NoRows(err) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("end an archive: %w", err)
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
	case o.added+o.replaced+o.same+o.passed > 0:
		became = partly
	default:
		became = notImported
	}
	if !failed.None() {
		lines = append(lines, errand.Failed(failed.In(c.Lang)))
	}
	if o.way == wayIn {
		lines = append(lines, counts.With(o.added, o.replaced, o.same, o.passed).In(c.Lang))
	}
	return errand.Reported{UserID: c.UserID, Header: became.In(c.Lang), Body: errand.Listing(c.Lang, lines, o.remarks, o.passed)}
}
