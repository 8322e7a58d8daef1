package web_test

import (
	"image"
	"image/color"
	"image/jpeg"
	"os"
	"path/filepath"
	"testing"

	"buttersc.one/oven/internal/testsrv"
	"buttersc.one/oven/test/npm"
)

// Somebody sends pictures and shows them.
func TestMedia(t *testing.T) {
	build(t)
	npm.Install(t)
	srv := testsrv.New(t)
	alice, bora := srv.User(t, "alice"), srv.User(t, "bora")
	srv.Set(t, testsrv.M{"name": "갓 구운 서버", "langs": []string{"ko"}})
	dir := t.TempDir()
	for i, name := range []string{"빵.jpg", "오븐.jpg"} {
		m := image.NewRGBA(image.Rect(0, 0, 1200, 800))
		for y := range 800 {
			for x := range 1200 {
				m.SetRGBA(x, y, color.RGBA{uint8(200 - i*90 + x/40), uint8(120 + y/12), uint8(60 + i*120), 255}) //nolint:gosec // a colour
			}
		}
		f, err := os.Create(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if err := jpeg.Encode(f, m, nil); err != nil {
			t.Fatal(err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
	npm.Run(t, "node", "media.mjs", srv.Origin, alice.Token, bora.Token, dir)
}
