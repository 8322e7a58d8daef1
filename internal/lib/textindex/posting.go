package textindex

import (
	"encoding/binary"
	"fmt"

	"github.com/RoaringBitmap/roaring/v2"
)

// Where a term's documents are is one number of the dictionary: its lowest bits say what the rest is.
const (
	single = iota // the one document
	short         // an offset: a count and the differences, as varints
	long          // an offset: a length as varint, and a roaring bitmap
	kinds  = 4
)

// maxShort documents are written as varints.
const maxShort = 48

// posting is the documents of a term in a segment: few by number, or many as a bitmap that must not be changed.
type posting struct {
	few  []uint32
	many *roaring.Bitmap
}

func (p posting) count() int {
	if p.many != nil {
		return int(p.many.GetCardinality())
	}
	return len(p.few)
}

func (p posting) has(doc uint32) bool {
	if p.many != nil {
		return p.many.Contains(doc)
	}
	for _, d := range p.few {
		if d == doc {
			return true
		}
	}
	return false
}

// into adds the documents to b.
func (p posting) into(b *roaring.Bitmap) {
	if p.many != nil {
		b.Or(p.many)
		return
	}
	b.AddMany(p.few)
}

// bitmap is the documents as a bitmap of the caller's own.
func (p posting) bitmap() *roaring.Bitmap {
	if p.many != nil {
		return p.many.Clone()
	}
	return roaring.BitmapOf(p.few...)
}

// appendTo appends the documents, which ascend.
func (p posting) appendTo(list []uint32) []uint32 {
	if p.many == nil {
		return append(list, p.few...)
	}
	n := len(list)
	list = append(list, make([]uint32, p.count())...)
	part := list[n:]
	p.many.ToExistingArray(&part)
	return list
}

// encoder writes postings one after the other.
type encoder struct {
	at     uint64 // how much has been written
	write  func([]byte) error
	buf    []byte
	bitmap *roaring.Bitmap
}

// add writes ascending documents and gives the number that finds them again.
func (e *encoder) add(docs []uint32) (uint64, error) {
	if len(docs) == 1 {
		return uint64(docs[0])*kinds + single, nil
	}
	at := e.at
	b, kind := e.buf[:0], uint64(short)
	if len(docs) <= maxShort {
		b = binary.AppendUvarint(b, uint64(len(docs)))
		before := uint32(0)
		for _, d := range docs {
			b = binary.AppendUvarint(b, uint64(d-before))
			before = d
		}
	} else {
		kind = long
		if e.bitmap == nil {
			e.bitmap = roaring.New()
		}
		e.bitmap.Clear()
		e.bitmap.AddMany(docs)
		e.bitmap.RunOptimize()
		raw, err := e.bitmap.ToBytes()
		if err != nil {
			return 0, err
		}
		b = append(binary.AppendUvarint(b, uint64(len(raw))), raw...)
	}
	e.buf = b
	e.at += uint64(len(b))
	return at*kinds + kind, e.write(b)
}

// decode reads a posting again. A bitmap is read where it lies.
func decode(postings []byte, where uint64, docs uint32) (posting, error) {
	at := where / kinds
	if where%kinds == single {
		if at >= uint64(docs) {
			return posting{}, fmt.Errorf("%w: document %d of %d", errDamage, at, docs)
		}
		return posting{few: []uint32{uint32(at)}}, nil
	}
	if at >= uint64(len(postings)) {
		return posting{}, fmt.Errorf("%w: posting at %d", errDamage, at)
	}
	b := postings[at:]
	n, size := binary.Uvarint(b)
	if size <= 0 || n > uint64(len(b)) {
		return posting{}, fmt.Errorf("%w: posting at %d", errDamage, at)
	}
	b = b[size:]
	if where%kinds == long {
		if n > uint64(len(b)) {
			return posting{}, fmt.Errorf("%w: posting at %d", errDamage, at)
		}
		bm := roaring.New()
		if _, err := bm.FromBuffer(b[:n:n]); err != nil || bm.IsEmpty() || bm.Maximum() >= docs {
			return posting{}, fmt.Errorf("%w: posting at %d", errDamage, at)
		}
		return posting{many: bm}, nil
	}
	if n > maxShort {
		return posting{}, fmt.Errorf("%w: posting at %d", errDamage, at)
	}
	few := make([]uint32, n)
	before := uint64(0)
	for i := range few {
		d, size := binary.Uvarint(b)
		if size <= 0 || before+d >= uint64(docs) || i > 0 && d == 0 {
			return posting{}, fmt.Errorf("%w: posting at %d", errDamage, at)
		}
		before += d
		few[i], b = uint32(before), b[size:]
	}
	return posting{few: few}, nil
}
