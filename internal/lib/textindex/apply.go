package textindex

import (
	"fmt"
	"path/filepath"
	"slices"

	"github.com/RoaringBitmap/roaring/v2"
)

// Apply makes changes: searches that begin afterwards see all of them, those that began before none. They are durable
// with the next flush, which comes by itself when there are enough. An error means that nothing has changed.
func (x *Index) Apply(b Batch) error {
	if len(b.State) > MaxState {
		return fmt.Errorf("%w: state of %d bytes", ErrInput, len(b.State))
	}
	puts := make(map[string]int, len(b.Put))
	for i, d := range b.Put {
		if err := check(d); err != nil {
			return err
		}
		puts[d.ID] = i
	}
	x.w.Lock()
	defer x.w.Unlock()
	if x.closed {
		return ErrClosed
	}
	if x.liveDocs() >= x.o.LiveDocs { // as long as the disk is full, memory must not be
		if err := x.flush(); err != nil {
			return err
		}
	}
	d := &deaths{x: x, segs: map[*segment]*roaring.Bitmap{}}
	x.killTerms(d, b.DeleteTerm)
	x.killIDs(d, b.Delete, puts)
	added := make([]Doc, 0, len(puts))
	for i, doc := range b.Put {
		if puts[doc.ID] == i { // the last of those with one id
			terms := slices.Clone(doc.Terms)
			slices.Sort(terms)
			added = append(added, Doc{doc.ID, slices.Compact(terms)})
		}
	}
	if err := x.publish(d, added, b.State); err != nil {
		return err
	}
	if err := x.foldSmall(); err != nil {
		return err
	}
	if x.liveDocs() >= x.o.LiveDocs {
		if err := x.flush(); err != nil {
			x.o.Log.Error("the search index could not be written; it is tried again", "err", err)
		}
	}
	return nil
}

// killTerms marks every document that has one of the terms.
func (x *Index) killTerms(d *deaths, terms []string) {
	for _, t := range terms {
		for _, s := range x.all() {
			p, err := s.term(t)
			switch {
			case err != nil:
				x.condemn(s)
			case p.count() > 0:
				p.into(d.of(s))
			}
		}
		for i, doc := range x.live.docs {
			if fits(doc.Terms, Term(t)) {
				d.liveOne(i)
			}
		}
	}
}

// killIDs marks documents that are deleted, and those that are put anew.
func (x *Index) killIDs(d *deaths, ids []string, puts map[string]int) {
	newest := ""
	for _, s := range x.all() {
		newest = max(newest, s.max)
	}
	kill := func(id string) {
		if i, ok := x.live.at[id]; ok {
			d.liveOne(i)
			return
		}
		if id > newest {
			return
		}
		for _, s := range x.all() {
			if id < s.min || id > s.max {
				continue
			}
			doc, same, err := s.ids.search(id)
			if err != nil {
				x.condemn(s)
			} else if same {
				d.of(s).Add(doc)
			}
		}
	}
	for _, id := range ids {
		kill(id)
	}
	for id := range puts {
		kill(id)
	}
}

// publish lets searches see a batch.
func (x *Index) publish(d *deaths, added []Doc, state []byte) error {
	dead := x.live.dead
	if d.live != nil {
		dead = d.live
	}
	var sealed *segment
	next := chunk{}
	if len(x.live.docs)+len(added) < chunkDocs {
		next.docs = append(x.live.docs, added...)
		next.dead = append(slices.Clip(dead), make([]bool, len(added))...)
		next.at = make(map[string]int, len(next.docs))
		for i, doc := range next.docs {
			if !next.dead[i] {
				next.at[doc.ID] = i
			}
		}
	} else {
		var list []Doc
		for i, doc := range x.live.docs {
			if !dead[i] {
				list = append(list, doc)
			}
		}
		if list = append(list, added...); len(list) > 0 {
			var err error
			if sealed, err = seal(list); err != nil {
				return fmt.Errorf("textindex: %w", err)
			}
		}
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	for s, b := range d.segs {
		s.dead = b
	}
	x.live = next
	if sealed != nil {
		x.mem = append(slices.Clip(x.mem), sealed)
	}
	if state != nil {
		x.state = slices.Clone(state)
	}
	return nil
}

// foldSmall makes one segment of many small ones in memory.
func (x *Index) foldSmall() error {
	var small, rest []*segment
	for _, s := range x.mem {
		if s.docs < foldDocs {
			small = append(small, s)
		} else {
			rest = append(rest, s)
		}
	}
	if len(small) < foldAt {
		return nil
	}
	s, err := fold(sources(small))
	if err != nil {
		return fmt.Errorf("textindex: %w", err)
	}
	if s != nil {
		rest = append(rest, s)
	}
	x.mu.Lock()
	x.mem = rest
	x.mu.Unlock()
	for _, old := range small {
		old.drop()
	}
	return nil
}

func sources(list []*segment) []*source {
	out := make([]*source, len(list))
	for i, s := range list {
		out[i] = &source{segment: s, without: s.dead}
	}
	return out
}

// Flush makes all that was applied durable before it returns.
func (x *Index) Flush() error {
	x.w.Lock()
	defer x.w.Unlock()
	if x.closed {
		return ErrClosed
	}
	return x.flush()
}

// flush writes what is in memory as a segment, and the tombstones of others. The caller has w.
func (x *Index) flush() error {
	mem := slices.Clone(x.mem)
	var live []Doc
	for i, d := range x.live.docs {
		if !x.live.dead[i] {
			live = append(live, d)
		}
	}
	if len(live) > 0 {
		s, err := seal(live)
		if err != nil {
			return fmt.Errorf("textindex: %w", err)
		}
		mem = append(mem, s)
	}
	segs := slices.Clone(x.segs)
	if len(mem) > 0 {
		s, err := x.write(sources(mem))
		if err != nil {
			return err
		}
		if s != nil {
			segs = append(segs, s)
		}
	}
	if len(mem) == 0 && slices.Equal(x.state, x.saved) && !slices.ContainsFunc(segs, func(s *segment) bool { return s.dead != s.deadSaved }) {
		return nil
	}
	if err := x.saveAs(segs, x.lost, x.state); err != nil {
		if len(segs) > len(x.segs) {
			x.remove(segs[len(x.segs):])
		}
		return err
	}
	x.mu.Lock()
	old := x.mem
	x.segs, x.mem, x.live = segs, nil, chunk{}
	x.mu.Unlock()
	for _, s := range old {
		s.drop()
	}
	x.flushes.Add(1)
	select {
	case x.wake <- struct{}{}:
	default:
	}
	return nil
}

// write makes a file of sources and opens it; nil when nothing of them is alive.
func (x *Index) write(list []*source) (*segment, error) {
	name := fmt.Sprintf("%08x.seg", x.number())
	path := filepath.Join(x.dir, name)
	docs, err := writeSegment(path, list)
	if err != nil {
		return nil, fmt.Errorf("textindex: write %s: %w", name, err)
	}
	if docs == 0 {
		return nil, nil
	}
	s, err := open(path, name)
	if err != nil {
		return nil, err
	}
	x.written.Add(s.size)
	return s, syncDir(x.dir)
}
