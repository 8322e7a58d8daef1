package drive

import (
	"bytes"
	"image"
	"image/color"
	"image/png"
)

// flat is by how much a mask's values must differ for anything to be seen.
const flat = 16

// badge makes a mask of a picture: white, as opaque as the picture is there, or
// where it is opaque all over, as bright. errNoPicture when nothing would be seen.
func badge(b []byte) ([]byte, error) {
	m, err := png.Decode(bytes.NewReader(b))
	if err != nil {
		return nil, errNoPicture
	}
	r := m.Bounds()
	out := image.NewNRGBA(r)
	opaque := true
	for y := r.Min.Y; y < r.Max.Y; y++ {
		for x := r.Min.X; x < r.Max.X; x++ {
			_, _, _, a := m.At(x, y).RGBA()
			opaque = opaque && a == 0xffff
		}
	}
	low, high := uint8(255), uint8(0)
	for y := r.Min.Y; y < r.Max.Y; y++ {
		for x := r.Min.X; x < r.Max.X; x++ {
			c := m.At(x, y)
			_, _, _, a := c.RGBA()
			v := uint8(a >> 8) //nolint:gosec // 16 bits
			if opaque {
				v = color.GrayModel.Convert(c).(color.Gray).Y //nolint:forcetypeassert // by its model
			}
			low, high = min(low, v), max(high, v)
			out.SetNRGBA(x, y, color.NRGBA{255, 255, 255, v})
		}
	}
	if high-low < flat {
		return nil, errNoPicture
	}
	var buf bytes.Buffer
	err = png.Encode(&buf, out)
	return buf.Bytes(), err
}
