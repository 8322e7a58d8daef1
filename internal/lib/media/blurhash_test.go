package media_test

import (
	"image"
	"image/color"
	"testing"

	"buttersc.one/oven/internal/lib/media"
)

// The hashes are those of the npm package blurhash.
func TestBlurhash(t *testing.T) {
	t.Parallel()
	paint := func(f func(x, y int) color.NRGBA) image.Image {
		m := image.NewNRGBA(image.Rect(0, 0, 8, 6))
		for y := range 6 {
			for x := range 8 {
				m.SetNRGBA(x, y, f(x, y))
			}
		}
		return m
	}
	mix := paint(func(x, y int) color.NRGBA {
		return color.NRGBA{uint8(255 - x*36), uint8(255 - y*51), uint8(255 - x*y*7), 255} //nolint:gosec // as the vector's
	})
	for _, c := range []struct {
		m      image.Image
		nx, ny int
		want   string
	}{
		{mix, 5, 5, "e~IF1E}d;-%4$9y?xZsSozn~g}f|fOg1fOyDxHsWogo2g#f#fOf*fO"}, {mix, 1, 1, "00IF1E"}, {mix, 4, 3, "L~IF1E}d;-%4y?xZsSozg}f|fOg1"},
		{paint(func(x, _ int) color.NRGBA { v := uint8(x % 2 * 255); return color.NRGBA{v, v, v, 255} }), 5, 5, "eRLqe9fQfQfQfQ~qfQfQfQfQfQfQfQfQfQ~qfQfQfQfQfQfQfQfQfQ"},
	} {
		if got := media.Blurhash(c.m, c.nx, c.ny); got != c.want {
			t.Errorf("%d × %d: %s, not %s", c.nx, c.ny, got, c.want)
		}
	}
	clear := paint(func(int, int) color.NRGBA { return color.NRGBA{} })
	white := paint(func(int, int) color.NRGBA { return color.NRGBA{255, 255, 255, 255} })
	if a, b := media.Blurhash(clear, 3, 3), media.Blurhash(white, 3, 3); a != b {
		t.Errorf("transparent %s, white %s", a, b)
	}
}
