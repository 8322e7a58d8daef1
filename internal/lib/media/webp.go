package media

import (
	"encoding/binary"
	"io"
)

// Chunks of WebP that tell how to show the picture (RFC 9649 §2.7).
var webpKept = map[string]bool{"VP8 ": true, "VP8L": true, "VP8X": true, "ALPH": true, "ANIM": true, "ANMF": true, "ICCP": true}

// Flags of VP8X that announce what is left out.
const webpMetadata = 0x08 | 0x04 // EXIF, XMP

type riffChunk struct{ at, size int64 } // at: where its head is; size: with head and padding

// stripWebP leaves out EXIF, XMP, unknown chunks, and what follows the end.
func stripWebP(r io.ReadSeeker, w io.Writer) error {
	kept, total, err := webpChunks(r)
	if err != nil {
		return err
	}
	head := make([]byte, 12)
	copy(head, "RIFF")
	binary.LittleEndian.PutUint32(head[4:], uint32(total+4)) //nolint:gosec // less than the old one
	copy(head[8:], "WEBP")
	if _, err := w.Write(head); err != nil {
		return err
	}
	for _, c := range kept {
		if _, err := r.Seek(c.at, io.SeekStart); err != nil {
			return err
		}
		b := make([]byte, 9)
		if _, err := io.ReadFull(r, b); err != nil {
			return err
		}
		if string(b[:4]) == "VP8X" {
			b[8] &^= webpMetadata
		}
		if _, err := w.Write(b); err != nil {
			return err
		}
		if _, err := io.CopyN(w, r, c.size-9); err != nil {
			return err
		}
	}
	return nil
}

// webpChunks finds the chunks to keep, and their size together.
func webpChunks(r io.ReadSeeker) (kept []riffChunk, total int64, err error) {
	head := make([]byte, 12)
	if _, err := io.ReadFull(r, head); err != nil {
		return nil, 0, err
	}
	if string(head[:4]) != "RIFF" || string(head[8:]) != "WEBP" {
		return nil, 0, ErrBroken
	}
	end := int64(binary.LittleEndian.Uint32(head[4:])) + 8
	length, err := r.Seek(0, io.SeekEnd)
	if err != nil {
		return nil, 0, err
	}
	end = min(end, length)
	for at := int64(12); at+8 < end; {
		if _, err := r.Seek(at, io.SeekStart); err != nil {
			return nil, 0, err
		}
		if _, err := io.ReadFull(r, head[:8]); err != nil {
			return nil, 0, err
		}
		n := int64(binary.LittleEndian.Uint32(head[4:]))
		c := riffChunk{at: at, size: 8 + n + n&1}
		if n == 0 || at+8+n > length {
			return nil, 0, ErrBroken
		}
		c.size = min(c.size, length-at) // the last padding is often missing
		if webpKept[string(head[:4])] {
			kept, total = append(kept, c), total+c.size
		}
		at += c.size
		if len(kept) > 100_000 {
			return nil, 0, ErrBroken
		}
	}
	if len(kept) == 0 {
		return nil, 0, ErrBroken
	}
	return kept, total, nil
}
