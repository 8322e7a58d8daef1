package search

import (
	"context"
	"errors"
	"fmt"
	"time"

	"buttersc.one/oven/internal/lib/textindex"
)

const (
	fillRows = 500
	// fillRest is how long filling rests for every moment it works, so that people do
	// not notice it.
	fillRest = 0.5
	// flushEvery is how long what is new may be in memory alone; the change log has it
	// until then.
	flushEvery = 10 * time.Minute
)

const (
	sqlWhich = `SELECT (SELECT oid FROM pg_database WHERE datname = current_database())::text || '/' || secret_fingerprint FROM server`
	sqlHead  = `SELECT next_seq - 1 FROM log_head WHERE name = 'change'`
	sqlAbout = `SELECT greatest(reltuples, 0)::bigint FROM pg_class WHERE oid = 'note'::regclass`
)

// Open opens what there is, before the change log is followed.
func (s *Service) Open(ctx context.Context) error {
	if !s.Serves {
		return nil
	}
	if err := s.DB.QueryRow(ctx, sqlWhich).Scan(&s.db); err != nil {
		return fmt.Errorf("search: %w", err)
	}
	s.loads.Lock()
	defer s.loads.Unlock()
	return s.open(ctx, s.Home.Leads())
}

// lead waits until this process may change indexes, and looks at them anew when it has
// not been so before.
func (s *Service) lead(ctx context.Context) error {
	term, err := s.Home.Lead(ctx)
	if err != nil {
		return err
	}
	s.loads.Lock()
	defer s.loads.Unlock()
	if term == s.term {
		return nil
	}
	if err := s.open(ctx, true); err != nil {
		return err
	}
	if err := s.closeGap(ctx); err != nil {
		return err
	}
	s.term = term
	return nil
}

// see looks which index is searched, unless this process leads: then lead has.
func (s *Service) see(ctx context.Context) error {
	s.loads.Lock()
	defer s.loads.Unlock()
	if s.Home.Leads() {
		return nil
	}
	return s.open(ctx, false)
}

// open opens what there is. The newest that is whole is searched, a newer one is being
// built; of others nothing is needed, and who leads removes them. s.loads is held: two
// at a time would make two indexes.
func (s *Service) open(ctx context.Context, leads bool) error {
	list, err := s.Home.Open(ctx)
	if err != nil {
		return err
	}
	var live, next *shelf
	var old []Driver
	for _, d := range list {
		sh := newShelf(d)
		st := sh.state()
		switch {
		case st.DB != s.db:
			old = append(old, d)
		case live == nil:
			live = sh
		case st.whole():
			old = append(old, live.drv)
			if next != nil {
				old = append(old, next.drv)
			}
			live, next = sh, nil
		case next == nil:
			next = sh
		default:
			old = append(old, d)
		}
	}
	for _, d := range old {
		if leads {
			err = errors.Join(err, d.Drop(ctx))
		}
	}
	if err == nil && leads && live == nil {
		live, err = s.make(ctx)
	}
	if err != nil {
		return err
	}
	if leads && next == nil && !live.state().whole() {
		if live, next, err = s.before(ctx, live); err != nil {
			return err
		}
	}
	s.mu.Lock()
	s.live, s.next = live, next
	s.mu.Unlock()
	if live == nil || !leads {
		return nil
	}
	if st := live.state(); next == nil && (st.Terms != termsVersion || st.Local != s.Local) {
		return s.beside(ctx)
	}
	return nil
}

// before puts the index that there was elsewhere before the one that is still being
// filled.
func (s *Service) before(ctx context.Context, filling *shelf) (live, next *shelf, err error) {
	switch {
	case s.Old == nil:
		return filling, nil, nil
	case s.next != nil: // it is searched already
		return s.live, filling, nil
	}
	list, err := s.Old.Open(ctx)
	if err != nil {
		return nil, nil, err
	}
	for _, d := range list {
		sh := newShelf(d)
		if st := sh.state(); live == nil && st.DB == s.db && st.whole() && st.Local == s.Local {
			live = sh
			continue
		}
		if err := d.Drop(ctx); err != nil {
			return nil, nil, err
		}
	}
	if live == nil {
		return filling, nil, nil
	}
	return live, filling, nil
}

// make makes an empty index that knows what it is.
func (s *Service) make(ctx context.Context) (*shelf, error) {
	d, err := s.Home.Make(ctx)
	if err != nil {
		return nil, err
	}
	sh := newShelf(d)
	var head, total int64
	if err := s.DB.QueryRow(ctx, sqlHead).Scan(&head); err != nil {
		return nil, fmt.Errorf("search: %w", err)
	}
	if err := s.DB.QueryRow(ctx, sqlAbout).Scan(&total); err != nil {
		return nil, fmt.Errorf("search: %w", err)
	}
	st := state{DB: s.db, Terms: termsVersion, Local: s.Local, Seq: head}
	st.begin(total)
	if err := sh.apply(ctx, textindex.Batch{}, st); err != nil {
		return nil, err
	}
	return sh, d.Flush(ctx)
}

// beside begins an index that takes the place of the one that is searched when it is
// whole.
func (s *Service) beside(ctx context.Context) error {
	s.mu.RLock()
	busy := s.next != nil
	s.mu.RUnlock()
	if busy {
		return nil
	}
	sh, err := s.make(ctx)
	if err != nil {
		return err
	}
	s.mu.Lock()
	s.next = sh
	s.mu.Unlock()
	s.wake()
	return nil
}

// renew has everything read again: the index that is there is searched meanwhile,
// unless it is not whole anyway.
func (s *Service) renew(ctx context.Context) error {
	sh := s.shown()
	if sh == nil {
		return nil
	}
	if sh.state().whole() {
		return s.beside(ctx)
	}
	sh.mu.Lock()
	defer sh.mu.Unlock()
	st := sh.state()
	st.Authors, st.At = nil, ""
	st.begin(st.Total)
	if err := s.DB.QueryRow(ctx, sqlHead).Scan(&st.Seq); err != nil {
		return fmt.Errorf("search: %w", err)
	}
	err := sh.apply(ctx, textindex.Batch{}, st)
	s.wake()
	return err
}

// Run fills the indexes until ctx ends, and then makes durable what they have.
func (s *Service) Run(ctx context.Context) error {
	if !s.Serves {
		return nil
	}
	go s.report(ctx)
	go s.follow(ctx)
	flush := time.NewTicker(flushEvery)
	defer flush.Stop()
	for ctx.Err() == nil {
		more, err := false, s.lead(ctx)
		began := time.Now()
		if err == nil {
			more, err = s.fill(ctx)
		}
		switch {
		case ctx.Err() != nil:
		case err != nil:
			s.failed(err)
			rest(ctx, 5*time.Second)
		case more:
			rest(ctx, time.Duration(float64(time.Since(began))*fillRest))
		default:
			select {
			case <-ctx.Done():
			case <-s.work:
			case <-flush.C:
				for _, sh := range s.shelves() {
					if err := sh.drv.Flush(ctx); err != nil {
						s.failed(err)
					}
				}
			}
		}
	}
	return s.close()
}

func rest(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// followEvery is how often a process that does not lead looks which index is searched.
const followEvery = 5 * time.Second

// follow keeps up with what the process that leads does.
func (s *Service) follow(ctx context.Context) {
	for ; ctx.Err() == nil; rest(ctx, followEvery) {
		if err := s.see(ctx); err != nil && ctx.Err() == nil {
			s.failed(err)
		}
	}
}

func (s *Service) close() error {
	defer s.Home.Release()
	var errs []error
	for _, sh := range s.shelves() {
		sh.mu.Lock()
		errs = append(errs, sh.drv.Close())
		sh.mu.Unlock()
	}
	return errors.Join(errs...)
}

// fill does one piece of what is to be filled in, and tells whether there is more.
func (s *Service) fill(ctx context.Context) (bool, error) {
	s.mu.RLock()
	sh, next := s.live, s.next
	s.mu.RUnlock()
	if next != nil {
		if next.state().whole() {
			return true, s.swap(ctx, next)
		}
		sh = next
	}
	if sh == nil {
		return false, nil
	}
	st := sh.state()
	switch {
	case st.Back != nil:
		return true, s.fillBack(ctx, sh)
	case len(st.Authors) > 0:
		return true, s.fillAuthor(ctx, sh)
	}
	for _, r := range sh.drv.Lost() {
		return true, s.heal(ctx, sh, r)
	}
	return false, nil
}

// fillBack puts the next notes below those that are in already.
func (s *Service) fillBack(ctx context.Context, sh *shelf) error {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	st := sh.state()
	rows, err := s.rows(ctx, s.DB, sqlRowsBelow, *st.Back, !s.Local, fillRows)
	if err != nil {
		return err
	}
	if len(rows) < fillRows {
		st.Back = nil
	} else {
		at := rows[len(rows)-1].ID
		st.Back = &at
	}
	st.Done += int64(len(rows))
	if err := sh.apply(ctx, s.puts(rows), st); err != nil {
		return err
	}
	if st.Back == nil {
		s.Slog.Info("the search index is whole", "notes", st.Done)
		return sh.drv.Flush(ctx)
	}
	return nil
}

func (s *Service) puts(rows []*row) (b textindex.Batch) {
	for _, n := range rows {
		if s.indexed(n) {
			b.Put = append(b.Put, n.doc())
		}
	}
	return b
}

// fillAuthor reads the next notes of the first author that is to be read again.
func (s *Service) fillAuthor(ctx context.Context, sh *shelf) error {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	st := sh.state()
	below := st.At
	if below == "" {
		below = topID
	}
	rows, err := s.rows(ctx, s.DB, sqlRowsOf, st.Authors[0], below, fillRows)
	if err != nil {
		return err
	}
	if len(rows) < fillRows {
		st.Authors, st.At = st.Authors[1:], ""
	} else {
		st.At = rows[len(rows)-1].ID
	}
	return sh.apply(ctx, s.puts(rows), st)
}

// heal puts again what a damaged part had.
func (s *Service) heal(ctx context.Context, sh *shelf, r textindex.Range) error {
	for below := r.Max + "\x01"; ; {
		rows, err := s.healSome(ctx, sh, below, r.Min)
		if err != nil {
			return err
		}
		if len(rows) < fillRows {
			break
		}
		below = rows[len(rows)-1].ID
	}
	s.Slog.Info("a damaged part of the search index is whole again", "from", r.Min, "to", r.Max)
	return sh.drv.Healed(r)
}

func (s *Service) healSome(ctx context.Context, sh *shelf, below, least string) ([]*row, error) {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	rows, err := s.rows(ctx, s.DB, sqlRowsInside, below, least, !s.Local, fillRows)
	if err != nil {
		return nil, err
	}
	return rows, sh.apply(ctx, s.puts(rows), sh.state())
}

// swap has the new index searched, and removes the old one.
func (s *Service) swap(ctx context.Context, next *shelf) error {
	if err := next.drv.Flush(ctx); err != nil {
		return err
	}
	s.mu.Lock()
	old := s.live
	s.live, s.next = next, nil
	s.mu.Unlock()
	s.Slog.Info("a new search index is in use")
	old.mu.Lock()
	defer old.mu.Unlock()
	return old.drv.Drop(ctx)
}

// Reset follows the emptying of the database in test mode.
func (s *Service) Reset(ctx context.Context) error {
	if !s.Serves {
		return nil
	}
	fresh, err := s.make(ctx)
	if err != nil {
		return err
	}
	s.mu.Lock()
	old := []*shelf{s.live, s.next}
	s.live, s.next = fresh, nil
	s.mu.Unlock()
	for _, sh := range old {
		if sh != nil {
			sh.mu.Lock()
			err = errors.Join(err, sh.drv.Drop(ctx))
			sh.mu.Unlock()
		}
	}
	s.wake()
	return err
}

// Pending is how much is still to be filled in, for tests and for settling.
func (s *Service) Pending(context.Context) (int64, error) {
	n := int64(0)
	for i, sh := range s.shelves() {
		st := sh.state()
		if st.Back != nil || len(st.Authors) > 0 || i > 0 || len(sh.drv.Lost()) > 0 {
			n++
		}
	}
	return n, nil
}
