package backup

import (
	"context"
	"io"
)

// Goes tells which backups do not stay.
func (k Keep) Goes(all []Info) []Info { return k.goes(all) }

// Work makes a backup when one is due.
func (s *Service) Work(ctx context.Context) error { return s.work(ctx) }

// Prove restores the newest backup when that is due.
func (s *Service) Prove(ctx context.Context) error { return s.prove(ctx) }

// Hold takes a place's lock.
func Hold(ctx context.Context, p Place) (func(), error) { return p.lock(ctx) }

// Through puts what it is given into a place and gives back what comes out.
func Through(ctx context.Context, p Place, name string, r io.Reader) (io.ReadCloser, error) {
	if _, err := p.put(ctx, name, r, -1); err != nil {
		return nil, err
	}
	return p.open(ctx, name)
}

// Libpq is how PostgreSQL's programs are told of a database.
func Libpq(dsn string) (string, []string, error) { return libpq(dsn) }
