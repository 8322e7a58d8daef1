package textindex

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/RoaringBitmap/roaring/v2"
	"github.com/blevesearch/vellum"
	"golang.org/x/sys/unix"
)

// A segment's file: the magic, postings, dictionary, ids, and a footer that says where they are.
const (
	magic      = "ovntix01"
	footerSize = 4 + 8 + 3*12 + 4 + len(magic)
)

func castagnoli() *crc32.Table { return crc32.MakeTable(crc32.Castagnoli) }

// dictionary finds a term's postings.
type dictionary interface {
	get(term string) (where uint64, ok bool, err error)
	// from calls f for the terms from start on, ascending, until it gives false.
	from(start string, f func(term []byte, where uint64) bool) error
}

// segment is documents that do not change, in memory or in a file, and which of them are dead.
type segment struct {
	name     string // of its file; "": in memory
	docs     uint32
	min, max string
	dict     dictionary
	postings []byte
	ids      idReader
	sums     [3]uint32 // of the sections in the file
	fst      []byte
	raw      []byte // of the file
	size     int64

	dead      *roaring.Bitmap // never changed, only replaced, under the index's lock; nil: none
	deadFile  string          // that says dead as of the last flush
	deadSaved *roaring.Bitmap

	refs atomic.Int32 // the index's own and the readers'
	bad  atomic.Bool  // damaged: to be put aside
}

func (s *segment) take() { s.refs.Add(1) }

// drop lets go; the last one unmaps.
func (s *segment) drop() {
	if s.refs.Add(-1) == 0 && s.raw != nil {
		_ = unix.Munmap(s.raw)
		s.raw, s.postings, s.fst, s.dict = nil, nil, nil, nil
	}
}

func (s *segment) alive() uint32 { return s.docs - s.deadCount(s.dead) }

func (s *segment) deadCount(b *roaring.Bitmap) uint32 {
	if b == nil {
		return 0
	}
	return uint32(b.GetCardinality())
}

// term is the documents of a term; an empty posting if there are none.
func (s *segment) term(term string) (posting, error) {
	where, ok, err := s.dict.get(term)
	if err != nil || !ok {
		return posting{}, err
	}
	return decode(s.postings, where, s.docs)
}

// sorted is the dictionary of a segment in memory.
type sorted struct {
	terms  []string
	wheres []uint64
}

func (d *sorted) get(term string) (uint64, bool, error) {
	i, ok := slices.BinarySearch(d.terms, term)
	if !ok {
		return 0, false, nil
	}
	return d.wheres[i], true, nil
}

func (d *sorted) from(start string, f func([]byte, uint64) bool) error {
	i, _ := slices.BinarySearch(d.terms, start)
	for ; i < len(d.terms); i++ {
		if !f([]byte(d.terms[i]), d.wheres[i]) {
			return nil
		}
	}
	return nil
}

// automaton is the dictionary of a segment in a file.
type automaton struct{ fst *vellum.FST }

func (d automaton) get(term string) (where uint64, ok bool, err error) {
	defer damaged(&err)
	return d.fst.Get([]byte(term))
}

func (d automaton) from(start string, f func([]byte, uint64) bool) (err error) {
	defer damaged(&err)
	it, err := d.fst.Iterator([]byte(start), nil)
	for ; err == nil; err = it.Next() {
		if term, where := it.Current(); !f(term, where) {
			return nil
		}
	}
	if errors.Is(err, vellum.ErrIteratorDone) {
		return nil
	}
	return err
}

// damaged turns what a library does with bytes that are none of its own into an error.
func damaged(err *error) {
	if r := recover(); r != nil {
		*err = fmt.Errorf("%w: %v", errDamage, r)
	}
}

// open maps a file. Whether it is whole is seen by its footer and by its ids; Verify reads the rest.
func open(path, name string) (*segment, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	size := int(info.Size())
	if size < len(magic)+footerSize {
		return nil, fmt.Errorf("%w: %s is short", errDamage, name)
	}
	raw, err := unix.Mmap(int(f.Fd()), 0, size, unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("textindex: map %s: %w", name, err)
	}
	// Read-ahead would fill memory with what is not asked for.
	_ = unix.Madvise(raw, unix.MADV_RANDOM)
	s := &segment{name: name, raw: raw, size: int64(size)}
	s.refs.Store(1)
	if err := s.parse(raw); err != nil {
		s.drop()
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return s, nil
}

// parse finds the sections.
func (s *segment) parse(raw []byte) (err error) {
	defer damaged(&err)
	foot := raw[len(raw)-footerSize:]
	if string(raw[:len(magic)]) != magic || string(foot[footerSize-len(magic):]) != magic {
		return fmt.Errorf("%w: no segment", errDamage)
	}
	sumAt := footerSize - len(magic) - 4
	if crc32.Checksum(foot[:sumAt], castagnoli()) != binary.LittleEndian.Uint32(foot[sumAt:]) {
		return fmt.Errorf("%w: footer", errDamage)
	}
	s.docs = binary.LittleEndian.Uint32(foot)
	at := uint64(len(magic))
	var parts [3][]byte
	for i := range parts {
		f := foot[12+12*i:]
		n := binary.LittleEndian.Uint64(f)
		if n > uint64(len(raw)-footerSize)-at {
			return fmt.Errorf("%w: footer", errDamage)
		}
		parts[i], at = raw[at:at+n:at+n], at+n
		s.sums[i] = binary.LittleEndian.Uint32(f[8:])
	}
	s.postings, s.fst = parts[0], parts[1]
	if crc32.Checksum(parts[2], castagnoli()) != s.sums[2] {
		return fmt.Errorf("%w: ids", errDamage)
	}
	if s.ids, err = newIDs(parts[2], s.docs); err != nil {
		return err
	}
	fst, err := vellum.Load(s.fst)
	if err != nil {
		return fmt.Errorf("%w: dictionary: %w", errDamage, err)
	}
	s.dict = automaton{fst}
	return s.bounds()
}

func (s *segment) bounds() (err error) {
	if s.max, err = s.ids.id(0); err == nil {
		s.min, err = s.ids.id(s.docs - 1)
	}
	if err == nil && s.min > s.max {
		err = fmt.Errorf("%w: ids", errDamage)
	}
	return err
}

// verify reads everything.
func (s *segment) verify() (err error) {
	defer damaged(&err)
	if s.raw != nil {
		for i, part := range [][]byte{s.postings, s.fst} {
			if crc32.Checksum(part, castagnoli()) != s.sums[i] {
				return fmt.Errorf("%w: section %d", errDamage, i)
			}
		}
	}
	before := "\xff"
	for b := range uint32(len(s.ids.starts) / 4) {
		ok := true
		err := s.ids.block(b, func(_ uint32, id []byte) bool {
			ok = string(id) < before
			before = string(id)
			return ok
		})
		if err != nil {
			return err
		}
		if !ok {
			return fmt.Errorf("%w: ids do not descend", errDamage)
		}
	}
	var last []byte
	err = s.dict.from("", func(term []byte, where uint64) bool {
		var p posting
		if p, err = decode(s.postings, where, s.docs); err == nil && p.many != nil {
			err = p.many.Validate()
		}
		if err == nil && last != nil && bytes.Compare(last, term) >= 0 {
			err = fmt.Errorf("%w: terms do not ascend", errDamage)
		}
		last = append(last[:0], term...)
		return err == nil
	})
	if err != nil && !errors.Is(err, errDamage) {
		err = fmt.Errorf("%w: %w", errDamage, err)
	}
	return err
}

// prefixed calls f for the postings of all terms that begin so.
func (s *segment) prefixed(prefix string, f func(where uint64) bool) error {
	return s.dict.from(prefix, func(term []byte, where uint64) bool {
		return strings.HasPrefix(string(term), prefix) && f(where)
	})
}
