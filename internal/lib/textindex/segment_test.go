package textindex

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"testing"
)

// part is the bytes of a small segment with postings of all kinds.
func part(t testing.TB) []byte {
	r := rand.New(rand.NewPCG(7, 7))
	var docs []Doc
	for i := range 300 {
		d := Doc{ID: strconv.Itoa(1000 + i), Terms: []string{"all", "k" + strconv.Itoa(r.IntN(20)), "one" + strconv.Itoa(i)}}
		docs = append(docs, d)
	}
	s, err := seal(docs)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "s")
	if _, err := writeSegment(path, sources([]*segment{s})); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// readAll does with a segment's bytes all that can be done, and must not panic. It tells whether they are whole.
func readAll(b []byte) bool {
	s := &segment{name: "x"}
	if s.parse(b) != nil {
		return false
	}
	s.raw = b
	whole := s.verify() == nil
	for _, e := range []Expr{Term("all"), Term("k3"), Prefix("k"), Prefix("one1"), And(Term("all"), Term("k3")), Not(Term("k3")), Or(Term("one7"), Prefix("z"))} {
		got, err := s.find(Query{Expr: e, Before: "1200", After: "1050"}, nil)
		if err != nil {
			continue
		}
		got.Iterate(func(doc uint32) bool { _, err := s.ids.id(doc); return err == nil })
	}
	from := sources([]*segment{s})
	var ids idWriter
	func() {
		var err error
		defer damaged(&err)
		if renumber(from, &ids) == nil {
			_ = merged(from, func([]byte, []uint32) error { return nil })
		}
	}()
	return whole
}

// Every byte of a segment is covered by a checksum or by what is read.
func TestEveryByteCounts(t *testing.T) {
	b := part(t)
	if !readAll(append([]byte(nil), b...)) {
		t.Fatal("a segment as it was written is not whole")
	}
	for i := range b {
		changed := append([]byte(nil), b...)
		changed[i] ^= byte(1 + i%255)
		if readAll(changed) {
			t.Fatalf("byte %d of %d may be anything", i, len(b))
		}
	}
}

func FuzzSegment(f *testing.F) {
	b := part(f)
	f.Add(b)
	f.Add(b[:len(b)/2])
	f.Fuzz(func(_ *testing.T, b []byte) {
		if len(b) >= len(magic)+footerSize {
			readAll(b)
		}
	})
}
