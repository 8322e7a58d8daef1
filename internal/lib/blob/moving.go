package blob

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
)

// Moving is a store that moves: what is new goes to To, what is not there yet is
// in From. Several processes may use it at once.
type Moving struct{ To, From Store }

var _ Store = (*Moving)(nil)

// Put is Store's.
func (m *Moving) Put(ctx context.Context, key string, r io.Reader, o PutOptions) (Info, error) {
	info, err := m.To.Put(ctx, key, r, o)
	if err != nil {
		return info, err
	}
	return info, m.From.Delete(ctx, key) // what was there before is replaced
}

// Open is Store's.
func (m *Moving) Open(ctx context.Context, key string) (File, error) {
	return either(m, func(s Store) (File, error) { return s.Open(ctx, key) })
}

// either asks the new place, then the old one, and the new one again for what has
// moved in between. Where the new place cannot be reached the old one may do.
func either[T any](m *Moving, ask func(Store) (T, error)) (T, error) {
	v, first := ask(m.To)
	if first == nil {
		return v, nil
	}
	v, err := ask(m.From)
	switch {
	case err == nil:
		return v, nil
	case !errors.Is(err, ErrNotFound), !errors.Is(first, ErrNotFound):
		return v, errors.Join(unless(first), unless(err))
	}
	return ask(m.To)
}

// unless leaves out that something is not there: it is not known where a place
// does not answer.
func unless(err error) error {
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	return err
}

// Stat is Store's.
func (m *Moving) Stat(ctx context.Context, key string) (Info, error) {
	return either(m, func(s Store) (Info, error) { return s.Stat(ctx, key) })
}

// Delete is Store's. The old place comes first: what is on its way is then not
// taken for a file that still has to move.
func (m *Moving) Delete(ctx context.Context, key string) error {
	if err := m.From.Delete(ctx, key); err != nil {
		return err
	}
	return m.To.Delete(ctx, key)
}

// All is Store's.
func (m *Moving) All(ctx context.Context) iter.Seq2[Info, error] {
	return func(yield func(Info, error) bool) {
		for i, err := range m.From.All(ctx) {
			if err == nil {
				if _, moved := m.To.Stat(ctx, i.Key); moved == nil {
					continue // it is in both, and told with the others
				}
			}
			if !yield(i, err) || err != nil {
				return
			}
		}
		for i, err := range m.To.All(ctx) {
			if !yield(i, err) || err != nil {
				return
			}
		}
	}
}

// Move carries over what is still in From, one by one, and says how many there
// were. Ended at any point it goes on where it was when called again. One process
// may do it at a time.
func (m *Moving) Move(ctx context.Context) (n int, err error) {
	for i, err := range m.From.All(ctx) {
		if err != nil {
			return n, err
		}
		if err := m.carry(ctx, i); err != nil {
			return n, fmt.Errorf("blob: move %s: %w", i.Key, err)
		}
		n++
	}
	return n, nil
}

func (m *Moving) carry(ctx context.Context, i Info) error {
	have, err := m.To.Stat(ctx, i.Key)
	if errors.Is(err, ErrNotFound) || err == nil && have.Size != i.Size {
		f, err := m.From.Open(ctx, i.Key)
		if errors.Is(err, ErrNotFound) {
			return nil // deleted, or moved by another
		}
		if err != nil {
			return err
		}
		_, err = m.To.Put(ctx, i.Key, f, PutOptions{})
		if err = errors.Join(err, f.Close()); err != nil {
			return err
		}
		if _, err := m.From.Stat(ctx, i.Key); errors.Is(err, ErrNotFound) { // deleted meanwhile
			return m.To.Delete(ctx, i.Key)
		}
	} else if err != nil {
		return err
	}
	return m.From.Delete(ctx, i.Key)
}
