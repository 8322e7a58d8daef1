package media

import (
	"image"
	"math"
	"strings"
)

const base83 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz#$%*+,-.:;=?@[]^_{|}~"

// Blurhash is the hash of a small picture with nx by ny components, 1 to 9 each
// (the algorithm of blurha.sh). Its cost grows with the pixels: give it a few
// thousand.
func Blurhash(m image.Image, nx, ny int) string {
	b := m.Bounds()
	w, h := b.Dx(), b.Dy()
	if w == 0 || h == 0 {
		return ""
	}
	linear := make([][3]float64, 0, w*h)
	for y := b.Min.Y; y < b.Max.Y; y++ {
		for x := b.Min.X; x < b.Max.X; x++ {
			r, g, bl, a := m.At(x, y).RGBA()
			white := 0xffff - a // what is transparent is shown on white
			linear = append(linear, [3]float64{toLinear(r + white), toLinear(g + white), toLinear(bl + white)})
		}
	}
	factors := make([][3]float64, 0, nx*ny)
	for j := range ny {
		for i := range nx {
			factors = append(factors, factor(linear, w, h, i, j))
		}
	}
	return encodeFactors(factors, nx, ny)
}

func toLinear(v uint32) float64 {
	c := float64(min(v, 0xffff)) / 0xffff
	if c <= 0.04045 {
		return c / 12.92
	}
	return math.Pow((c+0.055)/1.055, 2.4)
}

func toSRGB(v float64) int {
	v = min(max(v, 0), 1)
	if v <= 0.0031308 {
		return int(v*12.92*255 + 0.5)
	}
	return int((1.055*math.Pow(v, 1/2.4)-0.055)*255 + 0.5)
}

func factor(linear [][3]float64, w, h, i, j int) (sum [3]float64) {
	scale := 2.0
	if i == 0 && j == 0 {
		scale = 1
	}
	cosX := make([]float64, w)
	for x := range cosX {
		cosX[x] = math.Cos(math.Pi * float64(i) * float64(x) / float64(w))
	}
	for y := range h {
		cosY := math.Cos(math.Pi * float64(j) * float64(y) / float64(h))
		for x := range w {
			basis := cosX[x] * cosY
			p := &linear[y*w+x]
			sum[0] += basis * p[0]
			sum[1] += basis * p[1]
			sum[2] += basis * p[2]
		}
	}
	for c := range sum {
		sum[c] *= scale / float64(w*h)
	}
	return sum
}

func encodeFactors(factors [][3]float64, nx, ny int) string {
	var s strings.Builder
	put := func(v, digits int) {
		for d := digits - 1; d >= 0; d-- {
			s.WriteByte(base83[v/int(math.Pow(83, float64(d)))%83])
		}
	}
	put(nx-1+(ny-1)*9, 1)
	largest := 0.0
	for _, f := range factors[1:] {
		largest = max(largest, math.Abs(f[0]), math.Abs(f[1]), math.Abs(f[2]))
	}
	quantised := 0
	most := 1.0
	if len(factors) > 1 {
		quantised = int(min(max(math.Floor(largest*166-0.5), 0), 82))
		most = float64(quantised+1) / 166
	}
	put(quantised, 1)
	dc := factors[0]
	put(toSRGB(dc[0])<<16|toSRGB(dc[1])<<8|toSRGB(dc[2]), 4)
	for _, f := range factors[1:] {
		ac := 0
		for _, c := range f {
			v := c / most
			ac = ac*19 + int(min(max(math.Floor(math.Copysign(math.Sqrt(math.Abs(v)), v)*9+9.5), 0), 18))
		}
		put(ac, 2)
	}
	return s.String()
}
