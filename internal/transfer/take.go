package transfer

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"buttersc.one/oven/internal/drive"
	"buttersc.one/oven/internal/instance"
	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/socket/delivery"
	"buttersc.one/oven/internal/socket/errand"
	"buttersc.one/oven/internal/user"
)

// A file may name tens of thousands of accounts: they are taken some at a time,
// with rests, and few of one server at a time, so that none is flooded with
// questions and with what it is told. That goes by a stream of the lower lane,
// which gives way to whatever people write meanwhile.
const (
	linesAtATime = 20
	ofOneServer  = 5 // among them, of another than this
	askedAtATime = 8 // servers
	pace         = 500 * time.Millisecond
	askTimeout   = 10 * time.Second // for one account
	turnFor      = 20 * time.Second // then others have their turn
	streamWait   = 5 * time.Second  // for a stream, when too many are written to

	// lineTries of a line that the server fails at; then it is left out.
	lineTries = 3
)

// takeIn takes a file in, line by line, each once.
func (s *Service) takeIn(ctx context.Context, c *carry) error {
	me, err := s.Users.ByID(ctx, c.UserID)
	if err != nil {
		return err
	}
	if me.IsDeleted || me.IsSuspended || me.MovedToURI != nil {
		return errand.Refuse(accountUnused)
	}
	file, err := s.fetch(ctx, *c.FileID)
	if err != nil {
		return err
	}
	if c.What == antennas {
		return s.takeAntennas(ctx, c, file)
	}
	for began := time.Now(); time.Since(began) < turnFor; {
		batch := s.next(ctx, c, file)
		if len(batch) == 0 {
			return s.end(ctx, c, errand.Text{})
		}
		s.look(ctx, batch)
		if err := ctx.Err(); err != nil {
			return err
		}
		for _, l := range batch {
			if err := s.carryOut(ctx, c, me, l); err != nil {
				return err
			}
		}
		if err := s.rest(ctx, pace); err != nil {
			return err
		}
	}
	return errand.Rest(0)
}

func (s *Service) fetch(ctx context.Context, fileID string) ([]byte, error) {
	files, err := s.Drive.ByIDs(ctx, s.DB, []string{fileID})
	if err != nil {
		return nil, err
	}
	err = drive.ErrNotFound
	var b []byte
	if f := files[fileID]; f != nil {
		b, err = s.read(ctx, f)
	}
	switch {
	case errors.Is(err, drive.ErrNotFound):
		return nil, errand.Refuse(fileGone)
	case errors.Is(err, errLarge):
		return nil, errand.Refuse(fileLarge)
	}
	return b, err
}

// found is a line with the account that it names.
type found struct {
	*line
	user *user.User // nil: why, or it has to be asked for
}

// next gives the lines that come next, with the accounts that are known.
func (s *Service) next(ctx context.Context, c *carry, file []byte) []*found {
	var out []*found
	ofServer := map[string]int{}
	for at := c.Position; len(out) < linesAtATime; {
		l := readLine(file, at, c.What == userLists)
		if l == nil {
			break
		}
		f := &found{line: l}
		if l.why.None() {
			if u, err := s.Users.ByAcct(ctx, s.DB, l.name, &l.host); err == nil && !u.IsDeleted {
				f.user = u
			}
			if l.host != s.Meta.Host && (f.user != nil || !s.silent.is(l.host)) {
				if ofServer[l.host]++; ofServer[l.host] > ofOneServer {
					break
				}
			}
		}
		out, at = append(out, f), l.next
	}
	return out
}

// look asks for the accounts that are not known: several servers at a time, and
// each for one account after the other.
func (s *Service) look(ctx context.Context, batch []*found) {
	byHost := map[string][]*found{}
	for _, f := range batch {
		if f.why.None() && f.user == nil {
			byHost[f.host] = append(byHost[f.host], f)
		}
	}
	var wg sync.WaitGroup
	slots := make(chan struct{}, askedAtATime)
	for host, list := range byHost {
		wg.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			for _, f := range list {
				f.user, f.why = s.resolve(ctx, f.name, host)
			}
		})
	}
	wg.Wait()
}

// resolve finds an account, or says why there is none.
func (s *Service) resolve(ctx context.Context, name, host string) (*user.User, errand.Text) {
	if s.silent.is(host) {
		return nil, notAnswering
	}
	asking, cancel := context.WithTimeout(ctx, s.patience)
	defer cancel()
	u, err := s.Users.ResolveAcct(asking, name, host)
	switch {
	case err == nil:
		s.silent.heard(host, nil)
		if u.IsDeleted {
			return nil, accountGone
		}
		return u, errand.Text{}
	case errors.Is(err, user.ErrNotFound):
		return nil, noAccount
	case errors.Is(err, instance.ErrBlocked):
		return nil, notDealtWith
	case ctx.Err() != nil:
		return nil, errand.Text{} // the server stops: nothing is made of it
	case !s.silent.heard(host, err):
		return nil, notAnswering
	case user.Gone(err):
		return nil, noAccount
	}
	return nil, notTelling
}

// Results of a line, as they are counted.
const (
	added  = "added"
	same   = "same"
	passed = "passed"
)

const (
	sqlTurn = `SELECT FROM transfer WHERE id = $1 AND position = $2 AND finished_at IS NULL FOR UPDATE`
	sqlStep = `
UPDATE transfer SET position = $2, tries = 0, added = added + ($3 = 'added')::int, same = same + ($3 = 'same')::int, passed = passed + ($3 = 'passed')::int,
	remarks = CASE WHEN $4 <> '' AND jsonb_array_length(remarks) < $5 THEN remarks || to_jsonb($4::text) ELSE remarks END
WHERE id = $1`
)

// once does what is to be done for a line, which ends at next, together with the
// step: it is done once, whoever else is at it. What do refuses is left out, and
// what it has done is undone.
func (s *Service) once(ctx context.Context, c *carry, next int64, name string, do func(ctx context.Context, tx *pg.Tx) (string, error)) error {
	work := func(tx *pg.Tx) error {
		tag, err := tx.Exec(ctx, sqlTurn, c.ID, c.Position)
		if err != nil {
			return fmt.Errorf("turn: %w", err)
		}
		if tag.RowsAffected() == 0 {
			return errand.ErrElsewhere
		}
		result, remark := "", ""
		err = tx.Savepoint(ctx, func(tx *pg.Tx) (err error) {
			result, err = do(ctx, tx)
			return err
		})
		var out *leftOut
		if errors.As(err, &out) {
			result, remark, err = passed, errand.Remark(name, out.why.In(c.Lang)), nil
		}
		if err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, sqlStep, c.ID, next, result, remark, errand.MaxRemarks); err != nil {
			return fmt.Errorf("step: %w", err)
		}
		return nil
	}
	err := s.DB.Tx(ctx, work)
	if err != nil && ctx.Err() == nil && c.Tries >= lineTries && !expected(err) {
		s.Slog.Error("a line of an import is left out", "id", c.ID, "position", c.Position, "err", err)
		do = func(context.Context, *pg.Tx) (string, error) { return "", &leftOut{couldNot} }
		err = s.DB.Tx(ctx, work)
	}
	if err != nil {
		return err
	}
	c.Position, c.Tries = next, 1 // since it went on
	return nil
}

// expected tells of errors that say nothing about a line.
func expected(err error) bool {
	return errors.Is(err, errand.ErrElsewhere) || errors.Is(err, delivery.ErrStream) || errors.Is(err, delivery.ErrStreams)
}

// leftOut is why a line is not carried out.
type leftOut struct{ why errand.Text }

func (l *leftOut) Error() string { return l.why.String() }
