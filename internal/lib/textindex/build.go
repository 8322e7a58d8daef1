package textindex

import (
	"bufio"
	"container/heap"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"io"
	"os"
	"slices"

	"github.com/RoaringBitmap/roaring/v2"
	"github.com/blevesearch/vellum"
)

// seal makes a segment in memory of documents whose terms are sorted.
func seal(docs []Doc) (*segment, error) {
	docs = slices.Clone(docs)
	slices.SortFunc(docs, func(a, b Doc) int { return -compare(a.ID, b.ID) })
	lists := map[string][]uint32{}
	var ids idWriter
	for n, d := range docs {
		ids.add(d.ID)
		for _, t := range d.Terms {
			lists[t] = append(lists[t], uint32(n))
		}
	}
	d := &sorted{terms: make([]string, 0, len(lists)), wheres: make([]uint64, 0, len(lists))}
	for t := range lists {
		d.terms = append(d.terms, t)
	}
	slices.Sort(d.terms)
	s := &segment{docs: uint32(len(docs)), dict: d}
	enc := encoder{write: func(b []byte) error { s.postings = append(s.postings, b...); return nil }}
	for _, t := range d.terms {
		where, err := enc.add(lists[t])
		if err != nil {
			return nil, err
		}
		d.wheres = append(d.wheres, where)
	}
	return s, s.inMemory(&ids)
}

func compare(a, b string) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// inMemory finishes a segment that has no file.
func (s *segment) inMemory(ids *idWriter) (err error) {
	section := ids.bytes()
	s.size = int64(len(s.postings) + len(section))
	if d, ok := s.dict.(*sorted); ok {
		for _, t := range d.terms {
			s.size += int64(len(t)) + 24
		}
	}
	s.refs.Store(1)
	if s.ids, err = newIDs(section, s.docs); err != nil {
		return err
	}
	return s.bounds()
}

// source is a segment that goes into another, as it was when the merge began.
type source struct {
	*segment
	without *roaring.Bitmap
	numbers []uint32 // the new number of each document
}

// gone is the new number of a document that is dead.
const gone = ^uint32(0)

// renumber gives the documents of all sources new numbers, newest first, and collects their ids.
func renumber(list []*source, ids *idWriter) error {
	heads := make([]func() (uint32, string, bool, error), len(list))
	for i, s := range list {
		s.numbers = make([]uint32, s.docs)
		heads[i] = s.walk()
	}
	current := make([]string, len(list))
	docs := make([]uint32, len(list))
	live := make([]bool, len(list))
	step := func(i int) (err error) {
		docs[i], current[i], live[i], err = heads[i]()
		return err
	}
	for i := range list {
		if err := step(i); err != nil {
			return err
		}
	}
	for n := uint32(0); ; n++ {
		best := -1
		for i := range list {
			if live[i] && (best < 0 || current[i] > current[best]) {
				best = i
			}
		}
		if best < 0 {
			return nil
		}
		list[best].numbers[docs[best]] = n
		ids.add(current[best])
		if err := step(best); err != nil {
			return err
		}
	}
}

// walk gives the documents that are not dead one by one, newest first.
func (s *source) walk() func() (uint32, string, bool, error) {
	var block []string
	next := uint32(0)
	return func() (uint32, string, bool, error) {
		for ; next < s.docs; next++ {
			if next%blockIDs == 0 {
				block = block[:0]
				if err := s.ids.block(next/blockIDs, func(_ uint32, id []byte) bool { block = append(block, string(id)); return true }); err != nil {
					return 0, "", false, err
				}
			}
			if s.without != nil && s.without.Contains(next) {
				s.numbers[next] = gone
				continue
			}
			doc := next
			next++
			return doc, block[doc%blockIDs], true, nil
		}
		return 0, "", false, nil
	}
}

// cursor stands on a term of a source.
type cursor struct {
	term  []byte
	where uint64
	next  func() (bool, error)
	src   *source
	order int
}

type cursors []*cursor

func (c cursors) Len() int { return len(c) }
func (c cursors) Less(i, j int) bool {
	if string(c[i].term) != string(c[j].term) {
		return string(c[i].term) < string(c[j].term)
	}
	return c[i].order < c[j].order
}
func (c cursors) Swap(i, j int) { c[i], c[j] = c[j], c[i] }
func (c *cursors) Push(x any)   { *c = append(*c, x.(*cursor)) }
func (c *cursors) Pop() any {
	old := *c
	x := old[len(old)-1]
	*c = old[:len(old)-1]
	return x
}

// terms walks over the dictionary of a source.
func (s *source) terms(order int) *cursor {
	c := &cursor{src: s, order: order}
	switch d := s.dict.(type) {
	case *sorted:
		i := 0
		c.next = func() (bool, error) {
			if i == len(d.terms) {
				return false, nil
			}
			c.term, c.where = append(c.term[:0], d.terms[i]...), d.wheres[i]
			i++
			return true, nil
		}
	case automaton:
		var it *vellum.FSTIterator
		c.next = func() (more bool, err error) {
			defer damaged(&err)
			if it == nil {
				it, err = d.fst.Iterator(nil, nil)
			} else {
				err = it.Next()
			}
			if errors.Is(err, vellum.ErrIteratorDone) {
				return false, nil
			}
			if err != nil {
				return false, err
			}
			term, where := it.Current()
			c.term, c.where = append(c.term[:0], term...), where
			return true, nil
		}
	}
	return c
}

// merged calls f for every term of the sources with its documents by their new numbers, ascending.
func merged(list []*source, f func(term []byte, docs []uint32) error) error {
	var h cursors
	for i, s := range list {
		c := s.terms(i)
		ok, err := c.next()
		if err != nil {
			return err
		}
		if ok {
			h = append(h, c)
		}
	}
	heap.Init(&h)
	var term []byte
	var docs, olds []uint32
	for len(h) > 0 {
		term = append(term[:0], h[0].term...)
		docs = docs[:0]
		ascends := true
		for len(h) > 0 && string(h[0].term) == string(term) {
			c := h[0]
			p, err := decode(c.src.postings, c.where, c.src.docs)
			if err != nil {
				return err
			}
			olds = p.appendTo(olds[:0])
			for _, d := range olds {
				if n := c.src.numbers[d]; n != gone {
					ascends = ascends && (len(docs) == 0 || docs[len(docs)-1] < n)
					docs = append(docs, n)
				}
			}
			more, err := c.next()
			switch {
			case err != nil:
				return err
			case more:
				heap.Fix(&h, 0)
			default:
				heap.Pop(&h)
			}
		}
		if len(docs) == 0 {
			continue
		}
		if !ascends {
			slices.Sort(docs)
		}
		if err := f(term, docs); err != nil {
			return err
		}
	}
	return nil
}

// fold merges segments in memory into one in memory.
func fold(list []*source) (*segment, error) {
	var ids idWriter
	if err := renumber(list, &ids); err != nil || ids.n == 0 {
		return nil, err
	}
	d := &sorted{}
	s := &segment{docs: ids.n, dict: d}
	enc := encoder{write: func(b []byte) error { s.postings = append(s.postings, b...); return nil }}
	err := merged(list, func(term []byte, docs []uint32) error {
		where, err := enc.add(docs)
		d.terms, d.wheres = append(d.terms, string(term)), append(d.wheres, where)
		return err
	})
	if err != nil {
		return nil, err
	}
	return s, s.inMemory(&ids)
}

// sectionWriter counts and sums what it writes.
type sectionWriter struct {
	w   io.Writer
	n   uint64
	sum hash.Hash32
}

func (w *sectionWriter) Write(b []byte) (int, error) {
	_, _ = w.sum.Write(b)
	w.n += uint64(len(b))
	return w.w.Write(b)
}

// writeSegment merges sources into a file, and says how many documents are in it. It holds no more in memory than the
// documents' numbers and the postings of one term. Without documents there is no file.
func writeSegment(path string, list []*source) (docs uint32, err error) {
	var ids idWriter
	if err := renumber(list, &ids); err != nil || ids.n == 0 {
		return 0, err
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_RDWR, 0o600)
	if err != nil {
		return 0, err
	}
	words, err := os.OpenFile(path+".words", os.O_CREATE|os.O_TRUNC|os.O_RDWR, 0o600)
	if err != nil {
		return 0, errors.Join(err, f.Close())
	}
	defer func() {
		err = errors.Join(err, f.Close(), words.Close(), os.Remove(path+".words"))
		if err != nil {
			_ = os.Remove(path)
		}
	}()
	out := bufio.NewWriterSize(f, 256<<10)
	if _, err := out.WriteString(magic); err != nil {
		return 0, err
	}
	sections := [3]*sectionWriter{}
	for i := range sections {
		sections[i] = &sectionWriter{w: out, sum: crc32.New(castagnoli())}
	}
	toWords := bufio.NewWriterSize(words, 256<<10)
	sections[1].w = toWords
	dict, err := vellum.New(sections[1], nil)
	if err != nil {
		return 0, err
	}
	enc := encoder{write: func(b []byte) error { _, err := sections[0].Write(b); return err }}
	err = merged(list, func(term []byte, docs []uint32) error {
		where, err := enc.add(docs)
		if err != nil {
			return err
		}
		return dict.Insert(term, where)
	})
	if err = errors.Join(err, dict.Close(), toWords.Flush()); err != nil {
		return 0, err
	}
	if _, err := words.Seek(0, io.SeekStart); err != nil {
		return 0, err
	}
	if _, err := io.Copy(out, words); err != nil {
		return 0, err
	}
	if _, err := sections[2].Write(ids.bytes()); err != nil {
		return 0, err
	}
	if _, err := out.Write(footer(ids.n, sections)); err != nil {
		return 0, err
	}
	if err := out.Flush(); err != nil {
		return 0, err
	}
	return ids.n, f.Sync()
}

func footer(docs uint32, sections [3]*sectionWriter) []byte {
	b := binary.LittleEndian.AppendUint32(nil, docs)
	b = binary.LittleEndian.AppendUint64(b, 0) // to come
	for _, s := range sections {
		b = binary.LittleEndian.AppendUint64(b, s.n)
		b = binary.LittleEndian.AppendUint32(b, s.sum.Sum32())
	}
	b = binary.LittleEndian.AppendUint32(b, crc32.Checksum(b, castagnoli()))
	return append(b, magic...)
}

// check refuses what is no document.
func check(d Doc) error {
	if d.ID == "" || len(d.ID) > MaxID {
		return fmt.Errorf("%w: id of %d bytes", ErrInput, len(d.ID))
	}
	for _, t := range d.Terms {
		if t == "" || len(t) > MaxTerm {
			return fmt.Errorf("%w: term of %d bytes", ErrInput, len(t))
		}
	}
	return nil
}
