package catalogue

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"buttersc.one/oven/internal/lib/pg"
)

// The ways that emoji are carried; one archive goes each way at a time.
const (
	wayIn  = "import"
	wayOut = "export"
)

const (
	carryTries  = 12 // without going on; then whoever asked is told
	lookEvery   = time.Second
	carryKept   = 30 * 24 * time.Hour // after its end
	maxRemarks  = 100
	maxReport   = 4000 // characters
	maxReported = 60   // characters of a name that is none
)

// Reported is emitted, in the transaction that ends it, when there is something to
// be said of what somebody has asked for.
type Reported struct {
	UserID, Header, Body string
}

// carry is an archive on its way.
type carry struct {
	ID, UserID string
	FileID     *string
	AskedAt    time.Time
	Tries      int // this one counted
	Position   int
}

// refusal ends it for a reason that can be told.
type refusal struct{ why string }

func (r *refusal) Error() string { return r.why }

// errElsewhere says that another process has gone on, or that it is over.
var errElsewhere = errors.New("the archive is carried elsewhere")

const (
	sqlAsk  = `INSERT INTO emoji_carry (id, kind, user_id, file_id, asked_at, due_at) VALUES ($1, $2, $3, $4, $5, $5)`
	sqlOpen = `SELECT count(*) FROM emoji_carry WHERE finished_at IS NULL AND due_at <= $1 AND kind = ANY($2)`
	sqlTake = `
UPDATE emoji_carry SET tries = tries + 1
WHERE id = (SELECT id FROM emoji_carry WHERE finished_at IS NULL AND due_at <= $1 AND kind = $2 ORDER BY due_at, id LIMIT 1)
RETURNING id, user_id, file_id, asked_at, tries, position`
	sqlLater  = `UPDATE emoji_carry SET due_at = $2, tries = $3 WHERE id = $1 AND finished_at IS NULL`
	sqlForget = `DELETE FROM emoji_carry WHERE finished_at < $1`
)

// ask has an archive carried, once tx is committed.
func (s *Service) ask(ctx context.Context, tx *pg.Tx, way, userID string, fileID *string) error {
	if _, err := tx.Exec(ctx, sqlAsk, s.IDs.Now(), way, userID, fileID, s.Now()); err != nil {
		return fmt.Errorf("ask for an archive: %w", err)
	}
	tx.AfterCommit(func() {
		select {
		case s.wake[way] <- struct{}{}:
		default:
		}
	})
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
	wg.Go(func() { s.run(ctx, wayIn, 0, s.takeIn) })
	wg.Go(func() { s.run(ctx, wayOut, 1, s.writeOut) })
	wg.Wait()
	return nil
}

func (s *Service) run(ctx context.Context, way string, key int32, work func(context.Context, *carry) error) {
	for ctx.Err() == nil {
		if err := s.round(ctx, way, key, work); err != nil && ctx.Err() == nil {
			s.Slog.Error("archives of emoji", "way", way, "err", err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(lookEvery):
		case <-s.wake[way]:
		}
	}
}

// round carries all that is to be carried one way, unless another process does.
func (s *Service) round(ctx context.Context, way string, key int32, work func(context.Context, *carry) error) error {
	if n, err := s.pending(ctx, []string{way}); err != nil || n == 0 {
		return err
	}
	lock, err := s.DB.TryLock(ctx, pg.LockCarry, key)
	if errors.Is(err, pg.ErrLocked) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("carry emoji: %w", err)
	}
	defer lock.Release()
	if _, err := s.DB.Exec(ctx, sqlForget, s.Now().Add(-carryKept)); err != nil {
		return fmt.Errorf("forget archives: %w", err)
	}
	for {
		c := &carry{}
		err := s.DB.QueryRow(ctx, sqlTake, s.Now(), way).Scan(&c.ID, &c.UserID, &c.FileID, &c.AskedAt, &c.Tries, &c.Position)
		if pg.NoRows(err) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("carry emoji: %w", err)
		}
		if err := s.one(ctx, c, work); err != nil {
			return err
		}
	}
}

// one carries an archive, and says what becomes of it when that cannot be done.
func (s *Service) one(ctx context.Context, c *carry, work func(context.Context, *carry) error) error {
	err := error(&refusal{"the server has ended each time that it was at it"})
	if c.Tries <= carryTries {
		err = work(ctx, c)
	}
	var no *refusal
	switch {
	case err == nil, errors.Is(err, errElsewhere):
		return nil
	case ctx.Err() != nil: // the server stops, which is no try
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
		defer cancel()
		_, err := s.DB.Exec(ctx, sqlLater, c.ID, s.Now(), c.Tries-1)
		return err
	case errors.As(err, &no):
		return s.end(ctx, c, no.why)
	case c.Tries >= carryTries:
		s.Slog.Error("an archive of emoji is given up", "id", c.ID, "err", err)
		return s.end(ctx, c, "the server could not go on; ask again to have it try once more")
	}
	s.Slog.Warn("an archive of emoji is tried again", "id", c.ID, "err", err)
	_, err = s.DB.Exec(ctx, sqlLater, c.ID, s.Now().Add(time.Duration(min(c.Tries, 5))*time.Minute), c.Tries)
	return err
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

// end ends it and tells whoever asked; failed is why it could not be done, "" when
// it is.
func (s *Service) end(ctx context.Context, c *carry, failed string) error {
	return s.DB.Tx(ctx, func(tx *pg.Tx) error {
		var o outcome
		err := tx.QueryRow(ctx, sqlEnd, c.ID, s.Now()).Scan(&o.way, &o.added, &o.replaced, &o.same, &o.passed, &o.remarks)
		if pg.NoRows(err) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("end an archive: %w", err)
		}
		return s.Bus.Emit(ctx, tx, o.report(c.UserID, failed))
	})
}

func (o *outcome) report(userID, failed string) Reported {
	r := Reported{UserID: userID, Header: "Custom emoji were imported"}
	var lines []string
	switch {
	case failed != "" && o.way == wayOut:
		r.Header = "Custom emoji could not be exported"
	case failed != "" && o.added+o.replaced+o.same+o.passed > 0:
		r.Header = "Only a part of the custom emoji was imported"
	case failed != "":
		r.Header = "Custom emoji could not be imported"
	}
	if failed != "" {
		lines = append(lines, *bounded(&failed, 500))
	}
	if o.way == wayIn {
		lines = append(lines, fmt.Sprintf("%d added, %d replaced, %d as they were, %d passed over.", o.added, o.replaced, o.same, o.passed))
	}
	r.Body = listing(lines, o.remarks, o.passed)
	return r
}

// listing is a text of bounded length: lines, and as many of the remarks as there
// is room for.
func listing(lines, remarks []string, all int) string {
	text, shown := strings.Join(lines, "\n"), 0
	for _, m := range remarks {
		if len([]rune(text))+len([]rune(m)) > maxReport-40 {
			break
		}
		text += "\n" + m
		shown++
	}
	if more := all - shown; more > 0 {
		text += fmt.Sprintf("\n… and %d more.", more)
	}
	return text
}
