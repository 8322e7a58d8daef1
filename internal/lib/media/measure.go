package media

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"image"
	_ "image/gif"  // their headers are read here
	_ "image/jpeg" // .
	_ "image/png"  // .
	"io"

	_ "golang.org/x/image/bmp"  // .
	_ "golang.org/x/image/tiff" // .
	_ "golang.org/x/image/webp" // .
)

// measured is how much of a file is read for its sizes: what stands before the
// frame header of a JPEG is bounded by this.
const measured = 8 << 20

func (i *Info) measure(f io.ReadSeeker, head []byte) error {
	switch i.Type {
	case "image/avif", "image/heic":
		return i.measureISO(f, head)
	case "image/png", "image/apng", "image/gif", "image/jpeg", "image/webp", "image/bmp", "image/tiff":
	default:
		return nil // an icon or another kind: kept, never decoded
	}
	c, _, err := image.DecodeConfig(bufio.NewReader(io.LimitReader(f, measured)))
	if err != nil {
		return err
	}
	i.Width, i.Height = c.Width, c.Height
	if i.Width < 1 || i.Height < 1 {
		return ErrBroken
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return err
	}
	switch i.Type {
	case "image/jpeg":
		i.Orientation = orientation(f)
	case "image/png", "image/apng":
		if i.Animated = bytes.Contains(beforeData(head), []byte("acTL")); i.Animated {
			i.Type = "image/apng"
		} else {
			i.Type = "image/png"
		}
	case "image/webp":
		i.Animated = len(head) > 20 && string(head[12:16]) == "VP8X" && head[20]&0x02 != 0
	case "image/gif":
		i.Animated = gifFrames(f, 2) > 1
	}
	return nil
}

// beforeData is the part of a PNG's head before its first data.
func beforeData(head []byte) []byte {
	before, _, _ := bytes.Cut(head, []byte("IDAT"))
	return before
}

// measureISO looks for the largest "ispe" box (ISO/IEC 23008-12 §6.5.3): tiles
// and thumbnails have smaller ones.
func (i *Info) measureISO(f io.Reader, head []byte) error {
	b, err := io.ReadAll(io.LimitReader(f, 256<<10))
	if err != nil {
		return err
	}
	for rest := b; ; {
		_, after, ok := bytes.Cut(rest, []byte("ispe"))
		if !ok || len(after) < 12 {
			break
		}
		w, h := binary.BigEndian.Uint32(after[4:]), binary.BigEndian.Uint32(after[8:])
		if uint64(w)*uint64(h) > uint64(i.Width)*uint64(i.Height) {
			i.Width, i.Height = int(min(w, 1<<30)), int(min(h, 1<<30))
		}
		rest = after[12:]
	}
	if i.Width < 1 || i.Height < 1 {
		return ErrBroken
	}
	i.Animated = len(head) > 12 && (string(head[8:12]) == "avis" || string(head[8:12]) == "msf1")
	return nil
}

// gifFrames counts a GIF's frames, up to enough of them.
func gifFrames(r io.Reader, enough int) (n int) {
	g := gifReader{r: bufio.NewReader(r)}
	if g.header() != nil {
		return 0
	}
	for n < enough {
		kind, _, err := g.block(nil)
		if err != nil || kind == gifTrailer {
			break
		}
		if kind == gifImage {
			n++
		}
	}
	return n
}
