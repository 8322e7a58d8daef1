package media_test

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"image"
	"os"
	"testing"

	"buttersc.one/oven/internal/lib/media"

	_ "golang.org/x/image/webp"
)

func chunk(kind string, data []byte) []byte {
	b := binary.BigEndian.AppendUint32(nil, uint32(len(data))) //nolint:gosec // short
	b = append(append(b, kind...), data...)
	return binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(b[4:]))
}

// bombPNG is a grey picture of a few bytes that is large when it is unpacked.
func bombPNG(t *testing.T, w, h int) []byte {
	t.Helper()
	var z bytes.Buffer
	c := zlib.NewWriter(&z)
	row := make([]byte, w*4+1)
	for range h {
		if _, err := c.Write(row); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	head := binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, uint32(w)), uint32(h)) //nolint:gosec // positive
	head = append(head, 8, 6, 0, 0, 0)
	out := append([]byte("\x89PNG\r\n\x1a\n"), chunk("IHDR", head)...)
	return append(append(out, chunk("IDAT", z.Bytes())...), chunk("IEND", nil)...)
}

func strip(t *testing.T, b []byte) ([]byte, error) {
	t.Helper()
	p, err := media.Strip(file(t, b), t.TempDir(), look(t, b))
	if err != nil {
		return nil, err
	}
	out, err := os.ReadFile(p)
	if err != nil {
		t.Fatal(err)
	}
	return out, nil
}

// same tells whether two files show the same picture.
func same(t *testing.T, a, b []byte) bool {
	t.Helper()
	m, _, err := image.Decode(bytes.NewReader(a))
	if err != nil {
		t.Fatal(err)
	}
	n, _, err := image.Decode(bytes.NewReader(b))
	if err != nil {
		t.Fatalf("what was stripped cannot be read: %v", err)
	}
	if m.Bounds() != n.Bounds() {
		return false
	}
	for y := m.Bounds().Min.Y; y < m.Bounds().Max.Y; y++ {
		for x := m.Bounds().Min.X; x < m.Bounds().Max.X; x++ {
			if m.At(x, y) != n.At(x, y) {
				return false
			}
		}
	}
	return true
}

func samples(t *testing.T) map[string][]byte {
	t.Helper()
	p := asPNG(t, flag(40, 30))
	png := append(append([]byte{}, p[:33]...), chunk("tEXt", []byte("Author\x00SECRET"))...)
	png = append(append(append(png, chunk("eXIf", []byte("SECRET"))...), p[33:]...), "SECRET"...)
	g := asGIF(t, 40, 30, 3)
	end := len(g) - 1
	gif := append(append([]byte{}, g[:end]...), "\x21\xfe\x06SECRET\x00\x21\xff\x0bXMP DataXMP\x06SECRET\x00;SECRET"...)
	e := media.NewEngine(media.Programs{}, 1)
	m, err := e.Render(t.Context(), file(t, p), look(t, p), media.Shape{Quality: 80})
	if err != nil {
		t.Fatal(err)
	}
	simple := m.Data[12:] // VP8 chunk
	x := append([]byte("VP8X\x0a\x00\x00\x00\x0c\x00\x00\x00"), 39, 0, 0, 29, 0, 0)
	x = append(append(append(x, simple...), "EXIF\x06\x00\x00\x00SECRET"...), "XMP \x06\x00\x00\x00SECRET"...)
	webp := binary.LittleEndian.AppendUint32([]byte("RIFF"), uint32(len(x)+4)) //nolint:gosec // short
	webp = append(append(append(webp, "WEBP"...), x...), "SECRET"...)
	return map[string][]byte{"image/jpeg": withEXIF(t, flag(40, 30), 6), "image/png": png, "image/gif": gif, "image/webp": webp}
}

func TestStrip(t *testing.T) {
	t.Parallel()
	for typ, b := range samples(t) {
		if info := look(t, b); info.Type != typ {
			t.Fatalf("%s is %+v", typ, info)
		}
		out, err := strip(t, b)
		if err != nil {
			t.Errorf("%s: %v", typ, err)
			continue
		}
		if bytes.Contains(out, []byte("SECRET")) || bytes.Contains(out, []byte("PK\x03\x04")) {
			t.Errorf("%s still tells of its maker", typ)
		}
		if !same(t, b, out) {
			t.Errorf("%s shows something else", typ)
		}
		before, after := look(t, b), look(t, out)
		if before != after {
			t.Errorf("%s: %+v became %+v", typ, before, after)
		}
		again, err := strip(t, out)
		if err != nil || !bytes.Equal(again, out) {
			t.Errorf("%s, once more: other bytes (%v)", typ, err)
		}
		// Cut off anywhere, it is either stripped or refused.
		for n := range b {
			if !look(t, b[:n]).Picture() {
				continue
			}
			out, err := strip(t, b[:n])
			if err != nil && !errors.Is(err, media.ErrBroken) {
				t.Fatalf("%s of %d bytes: %v", typ, n, err)
			}
			if bytes.Contains(out, []byte("SECRET")) {
				t.Fatalf("%s of %d bytes tells of its maker", typ, n)
			}
		}
	}
}

func FuzzStrip(f *testing.F) {
	f.Add([]byte("\xff\xd8\xff\xe0\x00\x02\xff\xda\x00\x02x\xff\xd9"))
	f.Add([]byte("GIF89a\x01\x00\x01\x00\x00\x00\x00;"))
	f.Add([]byte("\x89PNG\r\n\x1a\n"))
	f.Add([]byte("RIFF\x0c\x00\x00\x00WEBPVP8 \x00\x00\x00\x00"))
	f.Add([]byte("\x00\x00\x00\x10ftypisom\x00\x00\x00\x00\x00\x00\x00\x08moov"))
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, typ := range []string{"image/jpeg", "image/png", "image/gif", "image/webp", "video/mp4"} {
			p, err := media.Strip(file(t, b), t.TempDir(), media.Info{Type: typ})
			if err != nil && !errors.Is(err, media.ErrBroken) {
				t.Fatal(err)
			}
			if err == nil {
				if out, err := os.Stat(p); err != nil || out.Size() > int64(len(b)+64) {
					t.Fatalf("%s: %d bytes became %v (%v)", typ, len(b), out, err)
				}
			}
		}
		if _, err := media.Look(bytes.NewReader(b)); err != nil {
			t.Fatal(err)
		}
	})
}
