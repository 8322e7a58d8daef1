// Package unzip reads zip archives that strangers made. It takes them in whole or
// not at all: what an archive's directory says is held against the bounds before
// any of it is kept, and against the archive itself before anything is unpacked.
// It writes nothing anywhere.
package unzip

import (
	"bufio"
	"bytes"
	"cmp"
	"compress/flate"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"slices"
	"strings"
)

// Bounds of what an archive may be.
type Bounds struct {
	Entries   int   // files and folders
	Directory int64 // bytes of the list of them
	Name      int   // bytes of a name
	Unpacked  int64 // bytes of all files together
}

// ErrRefused says that something is not a zip archive, or not one that can be read
// without harm.
var ErrRefused = errors.New("not a zip archive that can be read")

// Archive is one that has been looked through.
type Archive struct {
	r     io.ReaderAt
	files map[string]*file
}

// file is an entry, as the directory has it.
type file struct {
	name           string
	method         uint16
	sum            uint32
	packed, size   int64
	head, contents int64 // where they begin
}

// The parts of an archive (APPNOTE.TXT 4.3), by what they begin with and how long
// they are at least.
const (
	headSign, headLen   = 0x04034b50, 30 // 4.3.7, before each file's bytes
	entrySign, entryLen = 0x02014b50, 46 // 4.3.12, one each in the directory
	endSign, endLen     = 0x06054b50, 22 // 4.3.16, at the end
	farSign, farLen     = 0x07064b50, 20 // 4.3.15, before that
	end64Sign, end64Len = 0x06064b50, 56 // 4.3.14, where that leads
	maxComment          = 1<<16 - 1
	stored, deflated    = 0, 8
	encrypted           = 1 | 1<<6 | 1<<13 // flags
	wide16, wide32      = 1<<16 - 1, 1<<32 - 1
	wideExtra           = 1 // id of the extra field with long numbers
)

func refused(form string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrRefused, fmt.Sprintf(form, args...))
}

// Open looks through an archive of so many bytes; ErrRefused. Refused is what goes
// beyond the bounds, has two entries of one name, names that lead elsewhere,
// anything but files and folders, encrypted files, and entries that share bytes
// with one another or with the directory: those of an archive that is small and
// unpacks to a lot.
func Open(r io.ReaderAt, size int64, b Bounds) (*Archive, error) {
	d, err := find(r, size)
	if err != nil {
		return nil, err
	}
	if d.entries > int64(b.Entries) {
		return nil, refused("it has %d entries", d.entries)
	}
	if d.size > b.Directory {
		return nil, refused("the list of its entries is %d bytes long", d.size)
	}
	list, err := d.read(r, b)
	if err != nil {
		return nil, err
	}
	if err := apart(r, list, d.at); err != nil {
		return nil, err
	}
	a := &Archive{r: r, files: make(map[string]*file, len(list))}
	for _, f := range list {
		if a.files[f.name] != nil {
			return nil, refused("two entries are called %.60q", f.name)
		}
		a.files[f.name] = f
	}
	for name := range a.files {
		if f := strings.TrimSuffix(name, "/"); f != name && a.files[f] != nil {
			return nil, refused("%.60q is a file and a folder", f)
		}
	}
	return a, nil
}

// Names of the files, in order. What is in folders has their names before it, with
// slashes.
func (a *Archive) Names() []string {
	var out []string
	for name := range a.files {
		if !strings.HasSuffix(name, "/") {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out
}

// Read unpacks a file of up to max bytes; fs.ErrNotExist, or ErrRefused when it is
// larger or not what the directory says of it.
func (a *Archive) Read(name string, max int64) ([]byte, error) {
	f := a.files[name]
	if f == nil || strings.HasSuffix(name, "/") {
		return nil, fmt.Errorf("%.60q: %w", name, fs.ErrNotExist)
	}
	if f.size > max {
		return nil, refused("%.60q is larger than %d bytes", name, max)
	}
	var in io.Reader = io.NewSectionReader(a.r, f.contents, f.packed)
	if f.method == deflated {
		in = flate.NewReader(in)
	}
	var out bytes.Buffer
	n, err := io.Copy(&out, io.LimitReader(in, f.size+1)) // grows with what is there, not with what is said to be
	if err != nil {
		return nil, refused("%.60q: %v", name, err)
	}
	if n != f.size || crc32.ChecksumIEEE(out.Bytes()) != f.sum {
		return nil, refused("%.60q is damaged", name)
	}
	return out.Bytes(), nil
}

// directory is where the list of entries is, as the end of an archive tells.
type directory struct {
	entries, size, at int64
}

// find reads the end of an archive.
func find(r io.ReaderAt, size int64) (d directory, err error) {
	tail := make([]byte, min(size, endLen+maxComment))
	if err := readAt(r, tail, size-int64(len(tail))); err != nil {
		return d, err
	}
	end, i := []byte(nil), len(tail)-endLen
	for ; i >= 0; i-- {
		// It is the last one whose comment goes to the end: in a comment there may be another.
		if b := tail[i:]; le32(b) == endSign && int(le16(b[20:])) == len(b)-endLen {
			end = b
			break
		}
	}
	if end == nil {
		return d, refused("it has no end")
	}
	at := size - int64(len(tail)) + int64(i)
	d = directory{entries: int64(le16(end[10:])), size: int64(le32(end[12:])), at: int64(le32(end[16:]))}
	disks := le16(end[4:]) != 0 || le16(end[6:]) != 0 || le16(end[8:]) != le16(end[10:])
	if d.entries == wide16 || d.size == wide32 || d.at == wide32 {
		if d, at, err = find64(r, at); err != nil {
			return d, err
		}
	} else if disks {
		return d, refused("it is in several parts")
	}
	if d.entries < 0 || d.size < 0 || d.at < 0 || d.at > at || d.size > at-d.at || d.entries > d.size/entryLen {
		return d, refused("its end does not lead to a list of its entries")
	}
	return d, nil
}

// find64 reads the longer end, to which what is before the short one leads.
func find64(r io.ReaderAt, end int64) (d directory, at int64, err error) {
	far, b := make([]byte, farLen), make([]byte, end64Len)
	if err := readAt(r, far, end-farLen); err != nil {
		return d, 0, err
	}
	if le32(far) != farSign || le32(far[4:]) != 0 || le32(far[16:]) > 1 {
		return d, 0, refused("its end is broken")
	}
	at = int64(le64(far[8:])) //nolint:gosec // checked where it is read
	if at > end-farLen-end64Len {
		return d, 0, refused("its end is broken")
	}
	if err := readAt(r, b, at); err != nil {
		return d, 0, err
	}
	if le32(b) != end64Sign || le32(b[16:]) != 0 || le32(b[20:]) != 0 || le64(b[24:]) != le64(b[32:]) {
		return d, 0, refused("its end is broken")
	}
	return directory{entries: int64(le64(b[32:])), size: int64(le64(b[40:])), at: int64(le64(b[48:]))}, at, nil //nolint:gosec // the caller refuses negative ones
}

// read reads the list of entries, which must have the length and the number that
// the end says: nothing of what follows is taken for more of it.
func (d directory) read(r io.ReaderAt, b Bounds) ([]*file, error) {
	in := bufio.NewReader(io.NewSectionReader(r, d.at, d.size))
	list, left, total := []*file(nil), d.size, int64(0)
	head := make([]byte, entryLen)
	for range d.entries {
		if _, err := io.ReadFull(in, head); err != nil || le32(head) != entrySign {
			return nil, refused("the list of its entries is broken")
		}
		name, extra, comment := int(le16(head[28:])), int(le16(head[30:])), int(le16(head[32:]))
		if left -= int64(entryLen + name + extra + comment); left < 0 {
			return nil, refused("the list of its entries is broken")
		}
		if name > b.Name {
			return nil, refused("a name of %d bytes", name)
		}
		rest := make([]byte, name+extra)
		if _, err := io.ReadFull(in, rest); err != nil {
			return nil, refused("the list of its entries is broken")
		}
		if _, err := in.Discard(comment); err != nil {
			return nil, refused("the list of its entries is broken")
		}
		f, err := entry(head, string(rest[:name]), rest[name:])
		if err != nil {
			return nil, err
		}
		if f.size > b.Unpacked-total {
			return nil, refused("it is too large when unpacked")
		}
		total += f.size
		list = append(list, f)
	}
	if left != 0 {
		return nil, refused("the list of its entries is broken")
	}
	return list, nil
}

// entry reads one of the list.
func entry(head []byte, name string, extra []byte) (*file, error) {
	f := &file{name: name, method: le16(head[10:]), sum: le32(head[16:]), packed: int64(le32(head[20:])), size: int64(le32(head[24:])), head: int64(le32(head[42:]))}
	if err := f.widen(extra); err != nil {
		return nil, err
	}
	folder := strings.HasSuffix(name, "/")
	plain := strings.TrimSuffix(name, "/")
	if plain == "." || !fs.ValidPath(plain) || strings.ContainsAny(name, "\\\x00") || len(plain) > 1 && plain[1] == ':' {
		return nil, refused("an entry is called %.60q", name)
	}
	switch made, attributes := head[5], le32(head[38:]); {
	case le16(head[8:])&encrypted != 0:
		return nil, refused("%.60q is encrypted", name)
	case f.method != stored && f.method != deflated:
		return nil, refused("%.60q is packed in another way than deflate", name)
	case f.method == stored && f.size != f.packed, folder && f.size != 0:
		return nil, refused("%.60q has a wrong size", name)
	case le16(head[34:]) != 0 && le16(head[34:]) != wide16:
		return nil, refused("it is in several parts")
	case made == 3 || made == 19: // Unix, macOS: the mode is in the upper half
		const kind, directory, regular = 0o170000, 0o040000, 0o100000
		switch k := attributes >> 16 & kind; {
		case k != 0 && k != directory && k != regular, k == directory && !folder:
			return nil, refused("%.60q is neither a file nor a folder", name)
		}
	}
	return f, nil
}

// widen reads the numbers that are too long for their places (APPNOTE.TXT 4.5.3).
func (f *file) widen(extra []byte) error {
	var wide []byte
	for len(extra) >= 4 {
		id, n := le16(extra), int(le16(extra[2:]))
		if extra = extra[4:]; n > len(extra) {
			break // of programs that fill it with anything
		}
		if id == wideExtra && wide == nil {
			wide = extra[:n]
		}
		extra = extra[n:]
	}
	for _, p := range []*int64{&f.size, &f.packed, &f.head} {
		if *p != wide32 {
			continue
		}
		if len(wide) < 8 {
			return refused("%.60q has no size", f.name)
		}
		if *p, wide = int64(le64(wide)), wide[8:]; *p < 0 { //nolint:gosec // which is checked here
			return refused("%.60q has a wrong size", f.name)
		}
	}
	return nil
}

// apart finds where the files' bytes begin, and makes sure that no two share any.
func apart(r io.ReaderAt, list []*file, end int64) error {
	order := slices.Clone(list)
	slices.SortFunc(order, func(a, b *file) int { return cmp.Compare(a.head, b.head) })
	head := make([]byte, headLen)
	for i, f := range order {
		next := end
		if i+1 < len(order) {
			next = order[i+1].head
		}
		if f.head > next-headLen {
			return refused("%.60q shares bytes with another entry", f.name)
		}
		if err := readAt(r, head, f.head); err != nil {
			return err
		}
		if le32(head) != headSign || le16(head[6:])&encrypted != 0 || le16(head[8:]) != f.method {
			return refused("%.60q is not where it is said to be", f.name)
		}
		name := make([]byte, le16(head[26:]))
		if f.contents = f.head + headLen + int64(len(name)) + int64(le16(head[28:])); f.contents > next || f.packed > next-f.contents {
			return refused("%.60q shares bytes with another entry", f.name)
		}
		if len(name) != len(f.name) {
			return refused("%.60q has two names", f.name)
		}
		if err := readAt(r, name, f.head+headLen); err != nil {
			return err
		}
		if string(name) != f.name {
			return refused("%.60q has two names", f.name)
		}
	}
	return nil
}

// readAt fills b; what ends before is refused, what cannot be read is not.
func readAt(r io.ReaderAt, b []byte, at int64) error {
	if at < 0 {
		return refused("it is cut off")
	}
	n, err := r.ReadAt(b, at)
	switch {
	case n == len(b):
		return nil
	case errors.Is(err, io.EOF):
		return refused("it is cut off")
	}
	return fmt.Errorf("read archive: %w", err)
}

func le16(b []byte) uint16 { return binary.LittleEndian.Uint16(b) }
func le32(b []byte) uint32 { return binary.LittleEndian.Uint32(b) }
func le64(b []byte) uint64 { return binary.LittleEndian.Uint64(b) }
