package media

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"io"
	"os"
	"strconv"

	"github.com/gen2brain/webp"
	"golang.org/x/image/draw"
)

// The decoders of this program run in a process of their own, too: a picture of
// a few bytes may need gigabytes, and it is that process which then does not
// get them.
const (
	builtinMarker  = "oven-picture"
	builtinProgram = "/proc/self/exe"
)

// builtinEnv is how the process knows what it is: its arguments are numbers.
var builtinEnv = []string{builtinMarker + "=1", "GOMAXPROCS=1", "GOGC=50"}

// builtinTypes are decoded without any program being installed.
var builtinTypes = map[string]bool{"image/jpeg": true, "image/png": true, "image/apng": true, "image/gif": true, "image/webp": true, "image/bmp": true, "image/tiff": true}

// init makes a process that was started by Render do its work.
func init() { //nolint:gochecknoinits // see builtinMarker
	if os.Getenv(builtinMarker) == "" || len(os.Args) != 6 {
		return
	}
	if err := builtin(os.Stdin, os.Stdout, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

func builtin(in io.Reader, out io.Writer, args []string) error {
	n := [5]int{}
	for i, a := range args {
		n[i], _ = strconv.Atoi(a) // false is 0; the arguments are ours
	}
	asPNG := args[3] == "true"
	m, _, err := image.Decode(in)
	if err != nil {
		return err
	}
	w, h := n[0], n[1]
	if n[4] >= 5 {
		w, h = h, w
	}
	m = upright(Shrink(m, w, h), n[4])
	return encode(out, m, n[2], asPNG)
}

// Shrink fits a picture into w by h; 0: no bound. It is never made larger.
func Shrink(m image.Image, w, h int) image.Image {
	b := m.Bounds()
	scale := 1.0
	if w > 0 {
		scale = min(scale, float64(w)/float64(b.Dx()))
	}
	if h > 0 {
		scale = min(scale, float64(h)/float64(b.Dy()))
	}
	to := image.Rect(0, 0, max(int(float64(b.Dx())*scale+0.5), 1), max(int(float64(b.Dy())*scale+0.5), 1))
	out := image.NewNRGBA(to)
	if scale == 1 {
		draw.Draw(out, to, m, b.Min, draw.Src)
		return out
	}
	draw.CatmullRom.Scale(out, to, m, b, draw.Src, nil)
	return out
}

// upright turns a picture as its EXIF orientation says (TIFF 6.0, tag 274).
func upright(m image.Image, orientation int) image.Image {
	if orientation <= 1 || orientation > 8 {
		return m
	}
	w, h := m.Bounds().Dx(), m.Bounds().Dy()
	to := image.Rect(0, 0, w, h)
	if orientation >= 5 {
		to = image.Rect(0, 0, h, w)
	}
	out := image.NewNRGBA(to)
	for y := range h {
		for x := range w {
			c := color.NRGBAModel.Convert(m.At(x, y)).(color.NRGBA) //nolint:forcetypeassert // by its model
			switch orientation {
			case 2:
				out.SetNRGBA(w-1-x, y, c)
			case 3:
				out.SetNRGBA(w-1-x, h-1-y, c)
			case 4:
				out.SetNRGBA(x, h-1-y, c)
			case 5:
				out.SetNRGBA(y, x, c)
			case 6:
				out.SetNRGBA(h-1-y, x, c)
			case 7:
				out.SetNRGBA(h-1-y, w-1-x, c)
			case 8:
				out.SetNRGBA(y, w-1-x, c)
			}
		}
	}
	return out
}

func encode(w io.Writer, m image.Image, quality int, asPNG bool) error {
	if asPNG {
		return png.Encode(w, m)
	}
	var b bytes.Buffer
	err := webp.Encode(&b, m, webp.Options{Quality: quality, Method: 2})
	if err == nil {
		_, err = w.Write(b.Bytes())
		return err
	}
	if o, ok := m.(interface{ Opaque() bool }); ok && o.Opaque() {
		return errors.Join(jpeg.Encode(w, m, &jpeg.Options{Quality: max(quality, 1)}))
	}
	return png.Encode(w, m)
}
