package textindex

import (
	"container/heap"
	"slices"

	"github.com/RoaringBitmap/roaring/v2"
)

// Query is what is looked for.
type Query struct {
	Expr      Expr
	Before    string // ids below this; "": any
	After     string // ids above this; "": any
	Ascending bool   // oldest first
}

// Hits are the documents found, one after the other. They must be closed, and are one goroutine's.
type Hits struct {
	x    *Index
	q    Query
	heap flows
	segs []*segment
	errs error
}

// flow is what one segment gives, in order. It is not asked before it is its turn.
type flow struct {
	desc bool
	key  string // the document it stands on; before it is open, the first it could have
	open bool
	seg  *segment
	dead *roaring.Bitmap
	next func() (uint32, bool) // document of the segment
	ids  []string              // of those that are few: the rest of them
}

type flows []*flow

func (f flows) Len() int { return len(f) }
func (f flows) Less(i, j int) bool {
	if f[i].key == f[j].key {
		return !f[i].open && f[j].open
	}
	return (f[i].key > f[j].key) == f[i].desc
}
func (f flows) Swap(i, j int) { f[i], f[j] = f[j], f[i] }
func (f *flows) Push(x any)   { *f = append(*f, x.(*flow)) }
func (f *flows) Pop() any {
	old := *f
	x := old[len(old)-1]
	*f = old[:len(old)-1]
	return x
}

// Search begins a search in what there is at this moment; what comes later does not change it.
func (x *Index) Search(q Query) *Hits {
	h := &Hits{x: x, q: q}
	x.mu.RLock()
	docs, dead := x.live.docs, x.live.dead
	for _, list := range [][]*segment{x.segs, x.mem} {
		for _, s := range list {
			if q.Before != "" && s.min >= q.Before || q.After != "" && s.max <= q.After || s.bad.Load() {
				continue
			}
			s.take()
			h.segs = append(h.segs, s)
			f := &flow{desc: !q.Ascending, key: s.max, seg: s, dead: s.dead}
			if q.Ascending {
				f.key = s.min
				if q.After > f.key {
					f.key = q.After
				}
			} else if q.Before != "" && q.Before < f.key {
				f.key = q.Before
			}
			h.heap = append(h.heap, f)
		}
	}
	x.mu.RUnlock()
	var ids []string
	for i, d := range docs {
		if !dead[i] && (q.Before == "" || d.ID < q.Before) && (q.After == "" || d.ID > q.After) && fits(d.Terms, q.Expr) {
			ids = append(ids, d.ID)
		}
	}
	if len(ids) > 0 {
		slices.Sort(ids)
		if !q.Ascending {
			slices.Reverse(ids)
		}
		h.heap = append(h.heap, &flow{desc: !q.Ascending, key: ids[0], open: true, ids: ids[1:]})
	}
	heap.Init(&h.heap)
	return h
}

// Next is the next document; ok is false when there are no more.
func (h *Hits) Next() (id string, ok bool) {
	for len(h.heap) > 0 {
		f := h.heap[0]
		if f.open {
			id, ok = f.key, true
		}
		more, err := f.step(h.q)
		if err != nil {
			h.errs = err
			h.x.condemn(f.seg)
		}
		if more && err == nil {
			heap.Fix(&h.heap, 0)
		} else {
			heap.Pop(&h.heap)
		}
		if ok {
			return id, true
		}
	}
	return "", false
}

// step goes on to the next document, and opens first what is not open.
func (f *flow) step(q Query) (more bool, err error) {
	if f.seg == nil {
		if len(f.ids) == 0 {
			return false, nil
		}
		f.key, f.ids = f.ids[0], f.ids[1:]
		return true, nil
	}
	defer damaged(&err)
	if !f.open {
		f.open = true
		b, err := f.seg.find(q, f.dead)
		if err != nil {
			return false, err
		}
		if f.desc {
			it := b.Iterator()
			f.next = func() (uint32, bool) {
				if !it.HasNext() {
					return 0, false
				}
				return it.Next(), true
			}
		} else {
			it := b.ReverseIterator()
			f.next = func() (uint32, bool) {
				if !it.HasNext() {
					return 0, false
				}
				return it.Next(), true
			}
		}
	}
	doc, ok := f.next()
	if !ok {
		return false, nil
	}
	f.key, err = f.seg.ids.id(doc)
	return err == nil, err
}

// Err says that a part of the index is damaged: what it had is missing among the hits. It is put aside by then; see
// Lost.
func (h *Hits) Err() error { return h.errs }

// Close ends the search.
func (h *Hits) Close() {
	for _, s := range h.segs {
		s.drop()
	}
	h.segs, h.heap = nil, nil
}
