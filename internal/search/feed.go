package search

import (
	"context"
	"fmt"

	"buttersc.one/oven/internal/lib/textindex"
	"buttersc.one/oven/internal/socket/log"
)

// Place implements log.Keeper: how far all indexes are for good.
func (s *Service) Place() (int64, bool) {
	least, ok := int64(0), false
	for _, sh := range s.shelves() {
		at, known := sh.saved()
		if !known {
			return 0, false
		}
		if !ok || at < least {
			least, ok = at, true
		}
	}
	return least, ok
}

// Take brings the indexes up to a change. What a note says now is read from the
// database, whatever the change was: a change that comes twice, or late, does no harm.
func (s *Service) Take(ctx context.Context, batch []log.Change, upTo int64) error {
	if err := s.lead(ctx); err != nil {
		return err
	}
	for _, sh := range s.shelves() {
		if err := s.takeFor(ctx, sh, batch, upTo); err != nil {
			s.failed(err)
			return err
		}
	}
	return nil
}

func (s *Service) takeFor(ctx context.Context, sh *shelf, batch []log.Change, upTo int64) error {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	st := sh.state()
	var b textindex.Batch
	var read []string
	seen := map[string]bool{}
	for _, c := range batch {
		switch c.Kind {
		case "note.created", "note.updated":
			if !seen[c.ObjectID] {
				seen[c.ObjectID] = true
				read = append(read, c.ObjectID)
			}
		case "note.deleted":
			b.Delete = append(b.Delete, c.ObjectID)
		case "user.deleted":
			b.DeleteTerm = append(b.DeleteTerm, termAuthor+c.ObjectID)
		default:
			if err := s.author(ctx, sh, &st, &b, c.ObjectID); err != nil {
				return err
			}
		}
	}
	if err := s.read(ctx, &b, read); err != nil {
		return err
	}
	st.Seq = max(st.Seq, upTo)
	if err := sh.apply(ctx, b, st); err != nil {
		return err
	}
	if len(st.Authors) > 0 || st.Back != nil {
		s.wake()
	}
	return nil
}

// read puts notes as they are now; those that are gone, or do not belong, are deleted.
func (s *Service) read(ctx context.Context, b *textindex.Batch, ids []string) error {
	if len(ids) == 0 {
		return nil
	}
	rows, err := s.rows(ctx, s.DB, sqlRowsByID, ids)
	if err != nil {
		return err
	}
	here := map[string]bool{}
	for _, n := range rows {
		if s.indexed(n) {
			here[n.ID] = true
			b.Put = append(b.Put, n.doc())
		}
	}
	for _, id := range ids {
		if !here[id] {
			b.Delete = append(b.Delete, id)
		}
	}
	return nil
}

const sqlAuthor = `SELECT is_suspended OR is_deleted, is_indexable FROM "user" WHERE id = $1`

// author compares what the index has of an author with how the account is now: the
// notes of one who is suspended go, those of one who may be found otherwise than before,
// or is back, are read again.
func (s *Service) author(ctx context.Context, sh *shelf, st *state, b *textindex.Batch, id string) error {
	rows, err := s.DB.Query(ctx, sqlAuthor, id)
	if err != nil {
		return fmt.Errorf("search: %w", err)
	}
	defer rows.Close()
	var gone, consent bool
	if !rows.Next() {
		b.DeleteTerm = append(b.DeleteTerm, termAuthor+id)
		return rows.Err()
	}
	if err := rows.Scan(&gone, &consent); err != nil {
		return fmt.Errorf("search: %w", err)
	}
	rows.Close()
	theirs, willing := textindex.Term(termAuthor+id), textindex.Term(termConsent)
	other := textindex.Not(willing)
	if !consent {
		other = willing
	}
	switch {
	case gone:
		b.DeleteTerm = append(b.DeleteTerm, termAuthor+id)
	case !has(ctx, sh.drv, theirs), has(ctx, sh.drv, textindex.And(theirs, other)):
		st.again(id)
	}
	return rows.Err()
}

func has(ctx context.Context, d Driver, e textindex.Expr) bool {
	h := d.Search(ctx, textindex.Query{Expr: e})
	defer h.Close()
	_, ok := h.Next()
	return ok
}

// lost is told that the log does not reach back to where the index is, or that it is
// another database's. Who does not lead cannot mend that, and whoever leads has been
// told, too: it is looked at again when this process leads.
func (s *Service) lost() {
	ctx := context.Background()
	var err error
	if s.Home.Leads() {
		err = s.renew(ctx)
	} else {
		g := gap{seen: -1}
		err = s.DB.QueryRow(ctx, sqlHead).Scan(&g.from)
		if sh := s.shown(); sh != nil {
			g.seen = sh.state().Seq
		}
		s.gap.Store(&g)
	}
	if err != nil {
		s.failed(err)
	}
}

// gap is what a process that does not lead may have missed.
type gap struct {
	from int64 // change after which this process follows the log
	seen int64 // change up to which the index was; -1: there was none
}

// closeGap has an index renewed that nobody has brought up to where this process follows.
func (s *Service) closeGap(ctx context.Context) error {
	g := s.gap.Load()
	if g == nil {
		return nil
	}
	if seq := s.shown().state().Seq; seq < g.from || seq == g.seen {
		if err := s.renew(ctx); err != nil {
			return err
		}
	}
	s.gap.Store(nil)
	return nil
}

func (s *Service) failed(err error) {
	text := err.Error()
	s.err.Store(&text)
	s.Slog.Error("search", "err", err)
}
