package media_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"image"
	"image/color"
	"image/gif"
	"image/jpeg"
	"image/png"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"buttersc.one/oven/internal/lib/media"

	"golang.org/x/image/webp"
)

func file(t *testing.T, b []byte) string {
	t.Helper()
	p := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(p, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return p
}

func look(t *testing.T, b []byte) media.Info {
	t.Helper()
	info, err := media.Look(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	return info
}

// flag is a picture whose upper left quarter is red, the rest white.
func flag(w, h int) image.Image {
	m := image.NewRGBA(image.Rect(0, 0, w, h))
	for y := range h {
		for x := range w {
			c := color.RGBA{255, 255, 255, 255}
			if x < w/2 && y < h/2 {
				c = color.RGBA{255, 0, 0, 255}
			}
			m.SetRGBA(x, y, c)
		}
	}
	return m
}

func asJPEG(t *testing.T, m image.Image) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := jpeg.Encode(&b, m, nil); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func asPNG(t *testing.T, m image.Image) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := png.Encode(&b, m); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func asGIF(t *testing.T, w, h, frames int) []byte {
	t.Helper()
	g := &gif.GIF{}
	for i := range frames {
		p := image.NewPaletted(image.Rect(0, 0, w, h), color.Palette{color.Black, color.White, color.RGBA{255, 0, 0, 255}})
		for j := range p.Pix {
			p.Pix[j] = uint8((i + j/w) % 3) //nolint:gosec // below 3
		}
		g.Image, g.Delay = append(g.Image, p), append(g.Delay, 10)
	}
	var b bytes.Buffer
	if err := gif.EncodeAll(&b, g); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// withEXIF is a JPEG with an EXIF segment that turns it and names a place, a
// comment, and something after its end.
func withEXIF(t *testing.T, m image.Image, orientation byte) []byte {
	t.Helper()
	j := asJPEG(t, m)
	exif := []byte("Exif\x00\x00II*\x00\x08\x00\x00\x00\x02\x00\x12\x01\x03\x00\x01\x00\x00\x00\x00\x00\x00\x00\x0f\x01\x02\x00\x06\x00\x00\x00\x26\x00\x00\x00\x00\x00\x00\x00SECRETGPS")
	exif[24] = orientation
	segment := func(marker byte, p []byte) []byte {
		return append(binary.BigEndian.AppendUint16([]byte{0xff, marker}, uint16(len(p)+2)), p...) //nolint:gosec // short
	}
	out := append([]byte{0xff, 0xd8}, segment(0xe1, exif)...)
	out = append(out, segment(0xfe, []byte("SECRETCOMMENT"))...)
	out = append(out, segment(0xe1, []byte("http://ns.adobe.com/xap/1.0/\x00SECRETXMP"))...)
	return append(append(out, j[2:]...), "SECRETTAIL PK\x03\x04"...)
}

func engines(t *testing.T) map[string]*media.Engine {
	out := map[string]*media.Engine{"built-in": media.NewEngine(media.Programs{}, 2)}
	if p := media.FindPrograms(); p.Vips != "" {
		out["vips"] = media.NewEngine(p, 2)
	} else {
		t.Log("vipsthumbnail is not installed: only the built-in decoders are tried")
	}
	return out
}

func TestRender(t *testing.T) {
	t.Parallel()
	for name, e := range engines(t) {
		for what, b := range map[string][]byte{"jpeg": asJPEG(t, flag(1200, 800)), "png": asPNG(t, flag(1200, 800)), "gif": asGIF(t, 1200, 800, 1)} {
			info := look(t, b)
			if info.Type != "image/"+what || info.Width != 1200 || info.Height != 800 || info.Animated {
				t.Errorf("%s: %+v", what, info)
			}
			m, err := e.Render(t.Context(), file(t, b), info, media.Shape{Width: 498, Height: 422, Quality: 77})
			if err != nil {
				t.Errorf("%s %s: %v", name, what, err)
				continue
			}
			if m.Type != "image/webp" || m.Width != 498 || m.Height != 332 {
				t.Errorf("%s %s: %s of %d × %d", name, what, m.Type, m.Width, m.Height)
			}
			small, err := e.Render(t.Context(), file(t, b), info, media.Shape{Width: 4000, Height: 4000, Quality: 77, PNG: true})
			if err != nil || small.Width != 1200 || small.Type != "image/png" {
				t.Errorf("%s %s enlarged: %+v %v", name, what, small, err)
			}
		}
		// However a camera was held, the picture is upright.
		for o := byte(1); o <= 8; o++ {
			b := withEXIF(t, flag(400, 300), o)
			info := look(t, b)
			if info.Orientation != int(o) {
				t.Fatalf("orientation %d is read as %d", o, info.Orientation)
			}
			m, err := e.Render(t.Context(), file(t, b), info, media.Shape{Width: 200, Height: 200, Quality: 90})
			if err != nil {
				t.Fatal(name, err)
			}
			w, h := info.Shown()
			if (w > h) != (m.Width > m.Height) {
				t.Errorf("%s, orientation %d: %d × %d", name, o, m.Width, m.Height)
			}
			p, err := webp.Decode(bytes.NewReader(m.Data))
			if err != nil {
				t.Fatal(err)
			}
			// where the stored upper left corner is shown
			x, y := m.Width/8, m.Height/8
			if o == 2 || o == 3 || o == 6 || o == 7 {
				x = m.Width - 1 - x
			}
			if o == 3 || o == 4 || o == 7 || o == 8 {
				y = m.Height - 1 - y
			}
			if _, g, _, _ := p.At(x, y).RGBA(); g > 0x6000 {
				t.Errorf("%s, orientation %d: the red corner is elsewhere", name, o)
			}
		}
	}
}

func TestAnimated(t *testing.T) {
	t.Parallel()
	b := asGIF(t, 600, 400, 5)
	info := look(t, b)
	if !info.Animated {
		t.Fatalf("%+v", info)
	}
	for name, e := range engines(t) {
		m, err := e.Render(t.Context(), file(t, b), info, media.Shape{Width: 300, Height: 300, Quality: 77, Animated: true})
		if err != nil {
			t.Fatal(name, err)
		}
		if moves := look(t, m.Data).Animated; moves != (name == "vips") {
			t.Errorf("%s: moves: %v", name, moves)
		}
	}
}

// What is not what it seems, is cut off, or grows without end does no harm.
func TestHostile(t *testing.T) {
	t.Parallel()
	huge := asPNG(t, flag(8, 8))
	copy(huge[8:], chunk("IHDR", []byte("\x00\x00\x61\xa8\x00\x00\x61\xa8\x08\x02\x00\x00\x00")))
	if info := look(t, huge); info.Type != media.Unknown {
		t.Errorf("a picture of 25,000 × 25,000 is %+v", info)
	}
	// 16,383 × 16,383, of which there are 8 × 8
	wide := append([]byte("\x89PNG\r\n\x1a\n"), chunk("IHDR", []byte("\x00\x00\x3f\xff\x00\x00\x3f\xff\x08\x02\x00\x00\x00"))...)
	wide = append(wide, asPNG(t, flag(8, 8))[33:]...)
	for what, b := range map[string][]byte{"nothing": {}, "a page": []byte("<!doctype html><script>alert(1)</script>"), "a cut header": asJPEG(t, flag(9, 9))[:30], "only a beginning": []byte("\x89PNG\r\n\x1a\n")} {
		if info := look(t, b); info.Picture() || media.Safe(info.Type) {
			t.Errorf("%s is %+v", what, info)
		}
	}
	bomb := bombPNG(t, 16000, 16000)
	for name, e := range engines(t) {
		for what, b := range map[string][]byte{"wrong sizes": wide, "a cut JPEG": asJPEG(t, flag(900, 900))[:4000], "a bomb": bomb} {
			m, err := e.Render(t.Context(), file(t, b), look(t, b), media.Shape{Width: 498, Height: 422, Quality: 77})
			if err != nil && !errors.Is(err, media.ErrFailed) {
				t.Errorf("%s, %s: %v", name, what, err)
			}
			if err == nil && m.Width > 498 {
				t.Errorf("%s, %s: %d wide", name, what, m.Width)
			}
			if name == "built-in" && what == "a bomb" && err == nil {
				t.Error("the built-in decoder had memory for a bomb")
			}
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := e.Render(ctx, file(t, bomb), look(t, bomb), media.Shape{Width: 9, Height: 9}); !errors.Is(err, context.Canceled) {
			t.Errorf("%s, given up: %v", name, err)
		}
		if _, err := e.Render(t.Context(), file(t, []byte("x")), media.Info{Type: "video/mp4"}, media.Shape{}); !errors.Is(err, media.ErrUnable) {
			t.Errorf("%s, a film: %v", name, err)
		}
	}
}

func TestFilm(t *testing.T) {
	t.Parallel()
	p := media.FindPrograms()
	if p.FFmpeg == "" || p.FFprobe == "" {
		t.Log("ffmpeg is not installed: films are kept as they are, and nothing is tried here")
		return
	}
	e := media.NewEngine(p, 2)
	path := filepath.Join(t.TempDir(), "film.mp4")
	record := exec.CommandContext(t.Context(), p.FFmpeg, "-v", "error", "-f", "lavfi", "-i", "testsrc=size=640x480:rate=10:duration=4", "-metadata", "title=SECRETTITLE", "-metadata", "location=+37.0+127.0/", "-pix_fmt", "yuv420p", path)
	if out, err := record.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	info, err := media.Look(f)
	if err != nil || info.Type != "video/mp4" {
		t.Fatalf("%+v %v", info, err)
	}
	if b, _ := os.ReadFile(path); !bytes.Contains(b, []byte("SECRETTITLE")) || !bytes.Contains(b, []byte("loci")) {
		t.Fatal("the film does not tell what it is to lose")
	}
	same, err := media.Strip(path, t.TempDir(), info)
	if err != nil || same != path {
		t.Fatal(same, err)
	}
	if b, _ := os.ReadFile(path); bytes.Contains(b, []byte("SECRETTITLE")) || bytes.Contains(b, []byte("loci")) {
		t.Error("the film tells of its maker")
	}
	film, err := e.Watch(t.Context(), path, info)
	if err != nil || film.Width != 640 || film.Height != 480 || film.Seconds < 3.9 || film.Seconds > 4.1 {
		t.Fatalf("%+v %v", film, err)
	}
	m, err := e.Frame(t.Context(), path, info, *film, media.Shape{Width: 498, Height: 422, Quality: 77})
	if err != nil || m.Width != 498 || m.Type != "image/webp" {
		t.Fatalf("%+v %v", m, err)
	}
	// A playlist in disguise is not followed.
	secret := file(t, []byte("secret"))
	list := file(t, []byte("#EXTM3U\n#EXT-X-MEDIA-SEQUENCE:0\n#EXTINF:1,\nfile://"+secret+"\n#EXT-X-ENDLIST\n"))
	if _, err := e.Watch(t.Context(), list, media.Info{Type: "video/mp4"}); !errors.Is(err, media.ErrFailed) {
		t.Errorf("a playlist: %v", err)
	}
}
