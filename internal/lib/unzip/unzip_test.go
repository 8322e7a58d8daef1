package unzip_test

import (
	"archive/zip"
	"bytes"
	"compress/flate"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"

	"buttersc.one/oven/internal/lib/unzip"
)

func bounds() unzip.Bounds {
	return unzip.Bounds{Entries: 1000, Directory: 1 << 20, Name: 100, Unpacked: 1 << 20}
}

// part is an entry of an archive that a test makes by hand.
type part struct {
	name, there string // in the directory, and at the file; "": the same
	content     []byte
	method      uint16
	size        int // what is said of it; 0: the truth
	flags       uint16
	made        byte
	mode        uint32
	at          int // where it is said to be; 0: the truth
	wide        bool
}

// raw makes an archive of parts; end changes how it ends, and entries are how many
// it says that there are, 0: the truth.
func raw(parts []part, entries int, comment string) []byte {
	var b, dir []byte
	le := binary.LittleEndian
	for _, p := range parts {
		packed := p.content
		if p.method == zip.Deflate {
			var out bytes.Buffer
			w, err := flate.NewWriter(&out, 9)
			if err == nil {
				_, err = w.Write(p.content)
			}
			if err = errors.Join(err, w.Close()); err != nil {
				panic(err)
			}
			packed = out.Bytes()
		}
		size, at, there := len(p.content), len(b), p.there
		if p.size != 0 {
			size = p.size
		}
		if p.at != 0 {
			at = p.at - 1
		}
		if there == "" {
			there = p.name
		}
		b = le.AppendUint32(b, 0x04034b50)
		b = append(b, 20, 0)
		b = le.AppendUint16(b, p.flags)
		b = le.AppendUint16(b, p.method)
		b = append(b, make([]byte, 16)...) // as one that is packed while it is sent
		b = le.AppendUint16(b, uint16(len(there)))
		b = append(b, 0, 0)
		b = append(append(b, there...), packed...)

		dir = le.AppendUint32(dir, 0x02014b50)
		dir = append(dir, 20, p.made, 20, 0)
		dir = le.AppendUint16(dir, p.flags)
		dir = le.AppendUint16(dir, p.method)
		dir = append(dir, 0, 0, 0, 0)
		dir = le.AppendUint32(dir, crc32.ChecksumIEEE(p.content))
		var extra []byte
		if p.wide {
			extra = le.AppendUint16(le.AppendUint16(extra, 1), 24)
			extra = le.AppendUint64(le.AppendUint64(le.AppendUint64(extra, uint64(size)), uint64(len(packed))), uint64(at))
			dir = append(dir, 255, 255, 255, 255, 255, 255, 255, 255)
		} else {
			dir = le.AppendUint32(le.AppendUint32(dir, uint32(len(packed))), uint32(size))
		}
		dir = le.AppendUint16(le.AppendUint16(dir, uint16(len(p.name))), uint16(len(extra)))
		dir = append(dir, make([]byte, 6)...)
		dir = le.AppendUint32(dir, p.mode<<16)
		if p.wide {
			dir = append(dir, 255, 255, 255, 255)
		} else {
			dir = le.AppendUint32(dir, uint32(at))
		}
		dir = append(append(dir, p.name...), extra...)
	}
	if entries == 0 {
		entries = len(parts)
	}
	at := len(b)
	b = append(b, dir...)
	b = le.AppendUint32(b, 0x06054b50)
	b = append(b, 0, 0, 0, 0)
	b = le.AppendUint16(le.AppendUint16(b, uint16(entries)), uint16(entries))
	b = le.AppendUint32(le.AppendUint32(b, uint32(len(dir))), uint32(at))
	b = le.AppendUint16(b, uint16(len(comment)))
	return append(b, comment...)
}

// wideEnd gives an archive the longer end.
func wideEnd(b []byte) []byte {
	le := binary.LittleEndian
	body, end := b[:len(b)-22], bytes.Clone(b[len(b)-22:])
	out := le.AppendUint32(bytes.Clone(body), 0x06064b50)
	out = le.AppendUint64(out, 44)
	out = append(out, 45, 0, 45, 0, 0, 0, 0, 0, 0, 0, 0, 0)
	n := uint64(le.Uint16(end[8:]))
	out = le.AppendUint64(le.AppendUint64(out, n), n)
	out = le.AppendUint64(le.AppendUint64(out, uint64(le.Uint32(end[12:]))), uint64(le.Uint32(end[16:])))
	out = le.AppendUint32(out, 0x07064b50)
	out = append(out, 0, 0, 0, 0)
	out = le.AppendUint64(out, uint64(len(body)))
	out = append(out, 1, 0, 0, 0)
	copy(end[8:], bytes.Repeat([]byte{255}, 12))
	return append(out, end...)
}

func files() []part {
	return []part{{name: "a.txt", content: []byte("stored")}, {name: "dir/"}, {name: "dir/빵.txt", content: bytes.Repeat([]byte("packed "), 100), method: zip.Deflate, made: 3, mode: 0o100644}}
}

func open(b []byte) (*unzip.Archive, error) {
	return unzip.Open(bytes.NewReader(b), int64(len(b)), bounds())
}

func TestOpen(t *testing.T) {
	t.Parallel()
	wide := files()
	for i := range wide {
		wide[i].wide = true
	}
	var written bytes.Buffer
	z := zip.NewWriter(&written)
	for _, f := range files() {
		w, err := z.Create(f.name)
		if err == nil {
			_, err = w.Write(f.content)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	for name, b := range map[string][]byte{"plain": raw(files(), 0, ""), "comment": raw(files(), 0, "an end PK\x05\x06 that is none, and much besides of it"),
		"long numbers": raw(wide, 0, ""), "long end": wideEnd(raw(wide, 0, "")), "another program's": written.Bytes()} {
		a, err := open(b)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got := a.Names(); !slices.Equal(got, []string{"a.txt", "dir/빵.txt"}) {
			t.Errorf("%s: %q", name, got)
		}
		for _, f := range files() {
			got, err := a.Read(f.name, 1000)
			if strings.HasSuffix(f.name, "/") {
				if !errors.Is(err, fs.ErrNotExist) {
					t.Errorf("%s: a folder was read: %v", name, err)
				}
			} else if err != nil || !bytes.Equal(got, f.content) {
				t.Errorf("%s: %s is %q, %v", name, f.name, got, err)
			}
		}
		if _, err := a.Read("dir/빵.txt", 699); !errors.Is(err, unzip.ErrRefused) {
			t.Errorf("%s: more was read than was asked for: %v", name, err)
		}
		if _, err := a.Read("b.txt", 1); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: a file that is not there: %v", name, err)
		}
	}
}

// Whatever takes more than it looks like, or leads elsewhere, is refused, and for
// that reason.
func TestRefused(t *testing.T) {
	t.Parallel()
	one := []byte("x")
	with := func(p ...part) []byte { return raw(p, 0, "") }
	many := make([]part, 0, 1001)
	for i := range 1001 {
		many = append(many, part{name: fmt.Sprint(i)})
	}
	large := make([]part, 0, 3)
	for i := range 3 {
		large = append(large, part{name: fmt.Sprint(i), content: make([]byte, 400_000), method: zip.Deflate})
	}
	plain := with(files()...)
	short := bytes.Clone(plain)
	short[len(short)-10]-- // of the directory
	outside := bytes.Clone(plain)
	outside[len(outside)-3] = 0x7f // where the directory is
	hidden := raw(files(), 2, "")
	for _, c := range []struct {
		name, why string
		archive   []byte
	}{
		{"nothing", "no end", nil},
		{"no archive", "no end", []byte("PK\x03\x04 nothing, but long enough to have an end")},
		{"cut off", "no end", plain[:len(plain)-1]},
		{"the same entry again and again", "shares bytes", with(part{name: "a", content: one}, part{name: "a2", content: one, at: 1}, part{name: "a3", content: one, at: 1})},
		// The first file is not packed, and has the second one's head in it.
		{"heads inside files", "shares bytes", with(part{name: "a", content: with(part{name: "b", content: one})}, part{name: "b", content: one, at: 1 + 30 + 1})},
		{"in the directory", "shares bytes", with(part{name: "a", content: one, at: 1 + 32})},
		{"outside", "shares bytes", with(part{name: "a", content: one, at: 5000})},
		{"more entries than it says", "broken", hidden},
		{"fewer entries than it says", "its end does not lead", raw(files(), 4, "")}, {"a few fewer", "broken", raw(append(files(), part{name: strings.Repeat("d", 90)}), 5, "")},
		{"many entries", "1001 entries", with(many...)},
		{"a shorter list", "broken", short},
		{"a list elsewhere", "its end does not lead", outside},
		{"large together", "too large when unpacked", with(large...)},
		{"said to be large", "too large when unpacked", with(part{name: "a", content: one, method: zip.Deflate, size: 2 << 20})},
		{"one name twice", "are called", with(part{name: "a", content: one}, part{name: "a", content: one})},
		{"file and folder", "a file and a folder", with(part{name: "a", content: one}, part{name: "a/"})},
		{"up", "is called", with(part{name: "../a", content: one})},
		{"up inside", "is called", with(part{name: "a/../../a", content: one})},
		{"root", "is called", with(part{name: "/a", content: one})},
		{"drive", "is called", with(part{name: "C:a", content: one})},
		{"backslash", "is called", with(part{name: `a\b`, content: one})},
		{"no name", "is called", with(part{content: one})},
		{"a zero", "is called", with(part{name: "a\x00.png", content: one})},
		{"not UTF-8", "is called", with(part{name: "\xff", content: one})},
		{"long name", "a name of 101 bytes", with(part{name: strings.Repeat("a", 101), content: one})},
		{"two names", "two names", with(part{name: "a", there: "b", content: one})},
		{"two lengths of a name", "two names", with(part{name: "a", there: "", content: one}, part{name: "ab", there: "a", content: one})},
		{"a link", "neither a file nor a folder", with(part{name: "a", content: []byte("/etc/passwd"), made: 3, mode: 0o120777})},
		{"a device", "neither a file nor a folder", with(part{name: "a", made: 3, mode: 0o020666})},
		{"encrypted", "encrypted", with(part{name: "a", content: one, flags: 1})},
		{"packed otherwise", "another way", with(part{name: "a", content: one, method: 12})},
		{"stored in less", "wrong size", with(part{name: "a", content: one, size: 2})},
		{"a folder with bytes", "wrong size", with(part{name: "a/", content: one})},
	} {
		if _, err := open(c.archive); !errors.Is(err, unzip.ErrRefused) || !strings.Contains(err.Error(), c.why) {
			t.Errorf("%s: %v, not for %q", c.name, err, c.why)
		}
	}
	for name, p := range map[string]part{"unpacks to more": {name: "a", content: []byte("xxxx"), method: zip.Deflate, size: 3}, "unpacks to less": {name: "a", content: []byte("xxxx"), method: zip.Deflate, size: 5}} {
		a, err := open(with(p))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := a.Read("a", 1000); !errors.Is(err, unzip.ErrRefused) {
			t.Errorf("%s: %v", name, err)
		}
	}
	broken := bytes.Clone(plain)
	broken[35]++ // of the first file
	a, err := open(broken)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.Read("a.txt", 1000); !errors.Is(err, unzip.ErrRefused) {
		t.Errorf("a damaged file: %v", err)
	}
}

// sparse is an archive whose directory is said to be, and is, of that size.
type sparse struct {
	tail []byte
	size int64
	most int // that was read at once
	all  int64
}

func (s *sparse) ReadAt(b []byte, at int64) (int, error) {
	s.most, s.all = max(s.most, len(b)), s.all+int64(len(b))
	clear(b)
	if from := s.size - int64(len(s.tail)); at+int64(len(b)) > from {
		copy(b[max(0, from-at):], s.tail[max(0, at-from):])
	}
	return len(b), nil
}

// A directory beyond the bounds is not read at all.
func TestDirectoryIsBounded(t *testing.T) {
	t.Parallel()
	end := binary.LittleEndian.AppendUint32(nil, 0x06054b50)
	end = append(end, 0, 0, 0, 0, 1, 0, 1, 0)
	end = binary.LittleEndian.AppendUint32(end, 1<<30)
	end = append(end, 0, 0, 0, 0, 0, 0)
	s := &sparse{tail: end, size: 1<<30 + 22}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err := unzip.Open(s, s.size, bounds())
	runtime.ReadMemStats(&after)
	if !errors.Is(err, unzip.ErrRefused) || !strings.Contains(err.Error(), "1073741824 bytes long") {
		t.Errorf("a directory of 1 GiB: %v", err)
	}
	if s.all > 1<<17 {
		t.Errorf("%d bytes of it were read", s.all)
	}
}

// What cannot be read is not said to be no archive.
func TestUnread(t *testing.T) {
	t.Parallel()
	f, err := os.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	if _, err := unzip.Open(f, 1000, bounds()); err == nil || errors.Is(err, unzip.ErrRefused) {
		t.Errorf("a file that cannot be read: %v", err)
	}
}

// FuzzOpen holds what is opened against another reader: they must see the same.
func FuzzOpen(f *testing.F) {
	wide := files()
	for i := range wide {
		wide[i].wide = true
	}
	one := []byte("x")
	for _, b := range [][]byte{raw(files(), 0, ""), raw(wide, 0, "comment"), wideEnd(raw(wide, 0, "")), raw(nil, 0, ""), raw(files(), 2, ""),
		raw([]part{{name: "a", content: one}, {name: "b", content: one, at: 1}}, 0, ""),
		raw([]part{{name: "a", content: raw(files(), 0, "")}, {name: "b", content: one, at: 32}}, 0, "")} {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		a, err := open(b)
		if err != nil {
			if !errors.Is(err, unzip.ErrRefused) {
				t.Fatalf("an error of another kind: %v", err)
			}
			return
		}
		total := 0
		contents := map[string][]byte{}
		for _, name := range a.Names() {
			c, err := a.Read(name, 1<<20)
			if err != nil && !errors.Is(err, unzip.ErrRefused) {
				t.Fatalf("%q: %v", name, err)
			}
			if err == nil {
				contents[name] = c
			}
			total += len(c)
		}
		if total > 1<<20 {
			t.Fatalf("%d bytes of %d", total, len(b))
		}
		z, err := zip.NewReader(bytes.NewReader(b), int64(len(b)))
		if err != nil {
			return // it refuses more
		}
		n := 0
		for _, e := range z.File {
			if strings.HasSuffix(e.Name, "/") {
				continue
			}
			n++
			want, ok := contents[e.Name]
			r, err := e.Open()
			if err != nil {
				continue
			}
			if got, err := io.ReadAll(io.LimitReader(r, 1<<20)); err == nil && ok && !bytes.Equal(got, want) {
				t.Fatalf("%q is another for another reader", e.Name)
			}
		}
		if n != len(a.Names()) {
			t.Fatalf("%d files, and %d for another reader", len(a.Names()), n)
		}
	})
}
