package textindex

import (
	"encoding/binary"
	"fmt"
	"sort"
)

// Ids of a segment descend. They are kept in blocks of blockIDs, of which the first is whole and the others say how much
// they share with the one before.
const blockIDs = 16

// idWriter collects ids, newest first.
type idWriter struct {
	buf    []byte
	starts []uint32
	n      uint32
	last   string
}

func (w *idWriter) add(id string) {
	shared := 0
	if w.n%blockIDs == 0 {
		w.starts = append(w.starts, uint32(len(w.buf)))
	} else {
		for shared < len(id) && shared < len(w.last) && id[shared] == w.last[shared] {
			shared++
		}
	}
	w.buf = append(w.buf, byte(shared), byte(len(id)-shared))
	w.buf = append(w.buf, id[shared:]...)
	w.last = id
	w.n++
}

// bytes is the section: where blocks begin, then the blocks.
func (w *idWriter) bytes() []byte {
	out := make([]byte, 0, 4*len(w.starts)+len(w.buf))
	for _, s := range w.starts {
		out = binary.LittleEndian.AppendUint32(out, s)
	}
	return append(out, w.buf...)
}

// idReader reads them again.
type idReader struct {
	starts []byte
	blocks []byte
	n      uint32
}

func newIDs(section []byte, n uint32) (idReader, error) {
	blocks := int((uint64(n) + blockIDs - 1) / blockIDs)
	if n == 0 || len(section) < 4*blocks {
		return idReader{}, fmt.Errorf("%w: ids", errDamage)
	}
	return idReader{section[:4*blocks], section[4*blocks:], n}, nil
}

// block calls f for the ids of a block until it gives false.
func (r idReader) block(i uint32, f func(doc uint32, id []byte) bool) error {
	at := binary.LittleEndian.Uint32(r.starts[4*i:])
	if uint64(at) > uint64(len(r.blocks)) {
		return fmt.Errorf("%w: block of ids", errDamage)
	}
	b := r.blocks[at:]
	var id [2 * MaxID]byte
	before := 0
	for doc := i * blockIDs; doc < min(r.n, (i+1)*blockIDs); doc++ {
		if len(b) < 2 {
			return fmt.Errorf("%w: block of ids", errDamage)
		}
		shared, more := int(b[0]), int(b[1])
		if shared > before || shared+more > MaxID || shared+more == 0 || len(b) < 2+more {
			return fmt.Errorf("%w: block of ids", errDamage)
		}
		copy(id[shared:], b[2:2+more])
		before, b = shared+more, b[2+more:]
		if !f(doc, id[:before]) {
			break
		}
	}
	return nil
}

// id is the id of a document.
func (r idReader) id(doc uint32) (id string, err error) {
	if doc >= r.n {
		return "", fmt.Errorf("%w: document %d of %d", errDamage, doc, r.n)
	}
	err = r.block(doc/blockIDs, func(d uint32, b []byte) bool {
		if d == doc {
			id = string(b)
		}
		return d < doc
	})
	return id, err
}

// search finds the first document whose id is not greater, and whether it is this one. n: all are greater.
func (r idReader) search(id string) (doc uint32, same bool, err error) {
	blocks := len(r.starts) / 4
	// The last block whose first id is not smaller; what is looked for is in it or begins the next.
	i := sort.Search(blocks, func(i int) bool {
		first := ""
		if e := r.block(uint32(i), func(_ uint32, b []byte) bool { first = string(b); return false }); e != nil {
			err = e
		}
		return first < id
	})
	if err != nil {
		return 0, false, err
	}
	if i == 0 {
		return 0, false, nil
	}
	doc = min(r.n, uint32(i)*blockIDs)
	err = r.block(uint32(i-1), func(d uint32, b []byte) bool {
		if string(b) > id {
			return true
		}
		doc, same = d, string(b) == id
		return false
	})
	return doc, same, err
}
