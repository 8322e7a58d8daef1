package media

import (
	"encoding/binary"
	"errors"
	"io"
	"os"
)

// boxes of ISO/IEC 14496-12 that are gone into; what tells of the maker is in
// "udta" and "meta" below "moov" (places, names, devices) and in "uuid" (XMP).
var (
	mp4Into = map[string]bool{"moov": true, "trak": true}
	mp4Drop = map[string]bool{"udta": true, "meta": true, "uuid": true}
)

// maxBoxes of one file that are looked at.
const maxBoxes = 10_000

// blankMP4 turns boxes that tell of the maker into free space filled with
// zeroes. Nothing moves, so that every offset in the file stays right.
func blankMP4(f *os.File) error {
	end, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return err
	}
	left := maxBoxes
	return blankBoxes(f, 0, end, false, &left)
}

func blankBoxes(f *os.File, at, end int64, inside bool, left *int) error {
	for at+8 <= end {
		if *left--; *left < 0 {
			return ErrBroken
		}
		var h [16]byte
		if _, err := f.ReadAt(h[:8], at); err != nil {
			return err
		}
		head, size, kind := int64(8), int64(binary.BigEndian.Uint32(h[:])), string(h[4:8])
		switch size {
		case 0:
			size = end - at
		case 1:
			if _, err := f.ReadAt(h[:], at); err != nil {
				return errors.Join(ErrBroken, err)
			}
			head, size = 16, int64(binary.BigEndian.Uint64(h[8:])) //nolint:gosec // checked next
		}
		if size < head || size > end-at {
			return ErrBroken
		}
		switch {
		case mp4Into[kind]:
			if err := blankBoxes(f, at+head, at+size, true, left); err != nil {
				return err
			}
		case mp4Drop[kind] && (inside || kind == "uuid"):
			if _, err := f.WriteAt([]byte("free"), at+4); err != nil {
				return err
			}
			if err := zero(f, at+head, size-head); err != nil {
				return err
			}
		}
		at += size
	}
	return nil
}

func zero(f *os.File, at, n int64) error {
	empty := make([]byte, min(n, 64<<10))
	for n > 0 {
		k := min(n, int64(len(empty)))
		if _, err := f.WriteAt(empty[:k], at); err != nil {
			return err
		}
		at, n = at+k, n-k
	}
	return nil
}
