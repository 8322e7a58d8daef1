package textindex

import (
	"slices"

	"github.com/RoaringBitmap/roaring/v2"
)

// fewEnough documents are looked at one by one, rather than in bitmaps of all.
const fewEnough = 256

// node is a condition as it stands in one segment.
type node struct {
	Expr
	of   posting         // of a term
	all  *roaring.Bitmap // of a prefix, once it was gathered
	args []*node
}

// load looks terms up. A condition that nothing can fulfil becomes None.
func (s *segment) load(e Expr) (*node, error) {
	n := &node{Expr: e}
	if e.Op == OpTerm {
		var err error
		if n.of, err = s.term(e.Text); err != nil {
			return nil, err
		}
		if n.of.count() == 0 {
			n.Op = OpNone
		}
		return n, nil
	}
	for _, a := range e.Args {
		arg, err := s.load(a)
		if err != nil {
			return nil, err
		}
		if arg.Op == OpNone && e.Op == OpAnd {
			return arg, nil
		}
		if arg.Op != OpNone || e.Op == OpNot {
			n.args = append(n.args, arg)
		}
	}
	if e.Op == OpOr && len(n.args) == 0 {
		n.Op = OpNone
	}
	return n, nil
}

// gather is the documents with any term that begins so.
func (s *segment) gather(n *node) (*roaring.Bitmap, error) {
	if n.all != nil {
		return n.all, nil
	}
	all := roaring.New()
	var singles []uint32
	var bad error
	err := s.prefixed(n.Text, func(where uint64) bool {
		p, err := decode(s.postings, where, s.docs)
		switch {
		case err != nil:
			bad = err
			return false
		case p.many != nil:
			all.Or(p.many)
		default:
			if singles = append(singles, p.few...); len(singles) > 1<<16 {
				all.AddMany(singles)
				singles = singles[:0]
			}
		}
		return true
	})
	if err == nil {
		err = bad
	}
	if err != nil {
		return nil, err
	}
	slices.Sort(singles)
	all.AddMany(singles)
	n.all = all
	return all, nil
}

// test tells whether a document fulfils a condition.
func (s *segment) test(n *node, doc uint32) (bool, error) {
	switch n.Op {
	case OpAll:
		return true, nil
	case OpTerm:
		return n.of.has(doc), nil
	case OpPrefix:
		all, err := s.gather(n)
		return err == nil && all.Contains(doc), err
	case OpNot:
		yes, err := s.test(n.args[0], doc)
		return !yes, err
	case OpAnd, OpOr:
		for _, a := range n.args {
			yes, err := s.test(a, doc)
			if err != nil || yes == (n.Op == OpOr) {
				return yes, err
			}
		}
		return n.Op == OpAnd, nil
	}
	return false, nil
}

// weight orders the parts of an AND: what is cheap and leaves little comes first.
func (s *segment) weight(n *node) int {
	switch n.Op {
	case OpTerm:
		return n.of.count()
	case OpOr:
		sum := 0
		for _, a := range n.args {
			sum += s.weight(a)
		}
		return min(sum, int(s.docs)) + int(s.docs)/64
	case OpAnd:
		least := int(s.docs)
		for _, a := range n.args {
			least = min(least, s.weight(a))
		}
		return least
	case OpPrefix:
		return int(s.docs)
	case OpNone:
		return 0
	}
	return 2 * int(s.docs)
}

// eval is the documents that fulfil a condition, as a bitmap of the caller's own.
func (s *segment) eval(n *node) (*roaring.Bitmap, error) {
	switch n.Op {
	case OpAll:
		b := roaring.New()
		b.AddRange(0, uint64(s.docs))
		return b, nil
	case OpTerm:
		return n.of.bitmap(), nil
	case OpPrefix:
		all, err := s.gather(n)
		if err != nil {
			return nil, err
		}
		return all.Clone(), nil
	case OpNot:
		b, err := s.eval(n.args[0])
		if err != nil {
			return nil, err
		}
		b.Flip(0, uint64(s.docs))
		return b, nil
	case OpOr:
		b := roaring.New()
		for _, a := range n.args {
			if a.Op == OpTerm {
				a.of.into(b)
				continue
			}
			part, err := s.eval(a)
			if err != nil {
				return nil, err
			}
			b.Or(part)
		}
		return b, nil
	case OpAnd:
		return s.every(n)
	}
	return roaring.New(), nil
}

// every is the documents that fulfil all parts of an AND.
func (s *segment) every(n *node) (*roaring.Bitmap, error) {
	parts := slices.Clone(n.args)
	slices.SortStableFunc(parts, func(a, b *node) int { return s.weight(a) - s.weight(b) })
	b, err := s.eval(parts[0])
	if err != nil {
		return nil, err
	}
	for _, p := range parts[1:] {
		count := b.GetCardinality()
		switch {
		case count == 0:
			return b, nil
		case count <= fewEnough && p.Op != OpPrefix:
			kept := roaring.New()
			for _, d := range b.ToArray() {
				yes, err := s.test(p, d)
				if err != nil {
					return nil, err
				}
				if yes {
					kept.Add(d)
				}
			}
			b = kept
		case p.Op == OpTerm && p.of.many != nil:
			b.And(p.of.many)
		case p.Op == OpNot:
			part, err := s.eval(p.args[0])
			if err != nil {
				return nil, err
			}
			b.AndNot(part)
		default:
			part, err := s.eval(p)
			if err != nil {
				return nil, err
			}
			b.And(part)
		}
	}
	return b, nil
}

// find is the documents of a segment that a query asks for.
func (s *segment) find(q Query, dead *roaring.Bitmap) (b *roaring.Bitmap, err error) {
	defer damaged(&err)
	n, err := s.load(q.Expr)
	if err != nil || n.Op == OpNone {
		return roaring.New(), err
	}
	if b, err = s.eval(n); err != nil {
		return nil, err
	}
	if q.Before != "" {
		doc, same, err := s.ids.search(q.Before)
		if err != nil {
			return nil, err
		}
		if same {
			doc++
		}
		b.RemoveRange(0, uint64(doc))
	}
	if q.After != "" {
		doc, _, err := s.ids.search(q.After)
		if err != nil {
			return nil, err
		}
		b.RemoveRange(uint64(doc), uint64(s.docs))
	}
	if dead != nil {
		b.AndNot(dead)
	}
	return b, nil
}
