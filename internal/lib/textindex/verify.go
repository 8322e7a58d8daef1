package textindex

import (
	"context"
	"errors"
	"fmt"
	"slices"
)

// Verify reads every byte and compares checksums and structures. Parts that are damaged are put aside by the time it
// returns, and are in its error. progress, which may be nil, is told how many bytes of how many are read.
func (x *Index) Verify(ctx context.Context, progress func(done, total int64)) error {
	x.mu.RLock()
	segs := slices.Clone(x.segs)
	var total, done int64
	for _, s := range segs {
		s.take()
		total += s.size
	}
	x.mu.RUnlock()
	var bad []error
	for _, s := range segs {
		err := ctx.Err()
		if err == nil {
			if err = s.verify(); err != nil {
				err = errors.Join(fmt.Errorf("%s: %w", s.name, err), x.putAside(s))
			}
		}
		if err != nil {
			bad = append(bad, err)
		}
		if done += s.size; progress != nil {
			progress(done, total)
		}
		s.drop()
	}
	return errors.Join(bad...)
}

// condemn has a damaged segment put aside soon.
func (x *Index) condemn(s *segment) {
	if s == nil || s.name == "" || s.bad.Swap(true) {
		return
	}
	select {
	case x.bad <- s:
	default:
	}
}

// putAside takes a damaged segment out of the index.
func (x *Index) putAside(s *segment) error {
	x.w.Lock()
	defer x.w.Unlock()
	i := slices.Index(x.segs, s)
	if i < 0 || x.closed {
		return nil
	}
	x.o.Log.Warn("a part of the search index is damaged; it is put aside", "part", s.name)
	segs, lost := slices.Delete(slices.Clone(x.segs), i, i+1), append(slices.Clone(x.lost), Range{s.min, s.max})
	if err := x.saveAs(segs, lost, x.saved); err != nil {
		return err
	}
	x.mu.Lock()
	x.segs, x.lost = segs, lost
	x.mu.Unlock()
	x.aside(s.name)
	s.drop()
	return nil
}

// Lost are ranges of ids of which documents are missing, since a part was damaged. Whoever puts them again says so with
// Healed.
func (x *Index) Lost() []Range {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return slices.Clone(x.lost)
}

// Healed says that a range of Lost is whole again, and durable.
func (x *Index) Healed(r Range) error {
	x.w.Lock()
	defer x.w.Unlock()
	if x.closed {
		return ErrClosed
	}
	if err := x.flush(); err != nil {
		return err
	}
	lost := slices.DeleteFunc(slices.Clone(x.lost), func(o Range) bool { return o == r })
	if err := x.saveAs(x.segs, lost, x.saved); err != nil {
		return err
	}
	x.mu.Lock()
	x.lost = lost
	x.mu.Unlock()
	return nil
}
