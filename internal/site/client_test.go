package site

import (
	"testing"
	"testing/fstest"
)

func TestLoadClient(t *testing.T) {
	t.Parallel()
	if c, err := loadClient(fstest.MapFS{".keep": {}}); c != nil || err != nil {
		t.Errorf("without a build: %v, %v", c, err)
	}
	for name, manifest := range map[string]string{"no JSON": "{", "no entry": `{"index.html": {"file": "x.js"}}`} {
		if _, err := loadClient(fstest.MapFS{".vite/manifest.json": {Data: []byte(manifest)}}); err == nil {
			t.Errorf("a manifest with %s is taken", name)
		}
	}
	c, err := loadClient(fstest.MapFS{".vite/manifest.json": {Data: []byte(`{
		"src/main.ts": {"file": "assets/main-1.js", "css": ["assets/main-2.css"], "imports": ["_shared-3.js"]},
		"_shared-3.js": {"file": "assets/shared-3.js", "css": ["assets/shared-4.css"], "imports": ["src/main.ts"]},
		"src/locales/ko.json": {"file": "assets/ko-5.js"}}`)}})
	if err != nil {
		t.Fatal(err)
	}
	if c.script != "/assets/main-1.js" || len(c.styles) != 2 || len(c.preload) != 1 || c.preload[0] != "/assets/shared-3.js" || c.locales["ko"] != "/assets/ko-5.js" {
		t.Errorf("read as %+v", c)
	}
}
