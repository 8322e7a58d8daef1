package media

import (
	"bufio"
	"bytes"
	"io"
)

// Kinds of GIF blocks (GIF89a, appendix A).
const (
	gifImage     = 0x2c
	gifExtension = 0x21
	gifTrailer   = 0x3b

	gifComment     = 0xfe
	gifApplication = 0xff
)

// gifReader walks through a GIF's blocks.
type gifReader struct {
	r   *bufio.Reader
	out []byte // of the header or the block before its sub-blocks
}

func (g *gifReader) take(n int) ([]byte, error) {
	b := make([]byte, n)
	if _, err := io.ReadFull(g.r, b); err != nil {
		return nil, err
	}
	g.out = append(g.out, b...)
	return b, nil
}

func colours(flags byte) int {
	if flags&0x80 == 0 {
		return 0
	}
	return 3 << (flags&7 + 1)
}

// header reads to the first block; out has its bytes then.
func (g *gifReader) header() error {
	b, err := g.take(13)
	if err == nil {
		_, err = g.take(colours(b[10]))
	}
	return err
}

// block reads the next block and gives its kind and, of an extension, its
// label; out has the bytes before the sub-blocks. The sub-blocks go to w, nil:
// nowhere.
func (g *gifReader) block(w func(kind, label byte, first []byte) io.Writer) (kind, label byte, err error) {
	g.out = g.out[:0]
	b, err := g.take(1)
	if err != nil {
		return 0, 0, err
	}
	kind = b[0]
	switch kind {
	case gifTrailer:
		return kind, 0, nil
	case gifImage:
		if b, err = g.take(9); err == nil {
			if _, err = g.take(colours(b[8])); err == nil {
				_, err = g.take(1)
			}
		}
	case gifExtension:
		if b, err = g.take(1); err == nil {
			label = b[0]
		}
	default:
		err = ErrBroken
	}
	if err != nil {
		return kind, label, err
	}
	return kind, label, g.subBlocks(func(first []byte) io.Writer {
		if w == nil {
			return nil
		}
		return w(kind, label, first)
	})
}

// subBlocks copies sub-blocks to where the first of them says.
func (g *gifReader) subBlocks(to func(first []byte) io.Writer) error {
	var w io.Writer
	b := make([]byte, 256)
	for first := true; ; first = false {
		n, err := g.r.ReadByte()
		if err != nil {
			return err
		}
		b[0] = n
		if _, err := io.ReadFull(g.r, b[1:1+int(n)]); err != nil {
			return err
		}
		if first {
			if w = to(b[1 : 1+int(n)]); w != nil {
				if _, err := w.Write(g.out); err != nil {
					return err
				}
			}
		}
		if w != nil {
			if _, err := w.Write(b[:1+int(n)]); err != nil {
				return err
			}
		}
		if n == 0 {
			return nil
		}
	}
}

// stripGIF leaves out comments, applications' data but that of loops, and what
// follows the end.
func stripGIF(r io.Reader, w io.Writer) error {
	g := &gifReader{r: bufio.NewReader(r)}
	if err := g.header(); err != nil {
		return err
	}
	if _, err := w.Write(g.out); err != nil {
		return err
	}
	for {
		kind, _, err := g.block(func(kind, label byte, first []byte) io.Writer {
			if kind == gifExtension && (label == gifComment || label == gifApplication && !bytes.HasPrefix(first, []byte("NETSCAPE2.0")) && !bytes.HasPrefix(first, []byte("ANIMEXTS1.0"))) {
				return nil
			}
			return w
		})
		if err != nil {
			return err
		}
		if kind == gifTrailer {
			_, err := w.Write([]byte{gifTrailer})
			return err
		}
	}
}
