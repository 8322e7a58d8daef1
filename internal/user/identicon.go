package user

import (
	"crypto/sha256"
	"image"
	"image/color"
	"image/png"
	"net/http"

	"buttersc.one/oven/internal/socket/api"
)

func (s *Service) identiconRoutes() []api.Route {
	return []api.Route{{Pattern: "GET /identicon/{acct}", Handler: http.HandlerFunc(serveIdenticon)}}
}

const (
	identiconCells = 5
	identiconCell  = 32 // pixels
)

// serveIdenticon draws five by five cells, mirrored, from the hash of the
// name: the same picture for the same account on every server.
func serveIdenticon(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "image/png")
	w.Header().Set("Cache-Control", "public, max-age=86400, immutable")
	_ = png.Encode(w, identicon(r.PathValue("acct")))
}

func identicon(acct string) image.Image {
	h := sha256.Sum256([]byte(acct))
	ink := color.RGBA{R: 96 + h[0]/2, G: 96 + h[1]/2, B: 96 + h[2]/2, A: 255}
	paper := color.RGBA{R: 240, G: 238, B: 232, A: 255}
	img := image.NewPaletted(image.Rect(0, 0, identiconCells*identiconCell, identiconCells*identiconCell), color.Palette{paper, ink})
	for y := range identiconCells {
		for x := range (identiconCells + 1) / 2 {
			if h[3+y*3+x]&1 == 0 {
				continue
			}
			for _, cx := range []int{x, identiconCells - 1 - x} {
				for py := range identiconCell {
					for px := range identiconCell {
						img.SetColorIndex(cx*identiconCell+px, y*identiconCell+py, 1)
					}
				}
			}
		}
	}
	return img
}
