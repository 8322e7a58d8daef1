package web_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"buttersc.one/oven/internal/testsrv"
	"buttersc.one/oven/test/npm"
)

// Somebody's browser tells of notifications while no page is open.
func TestPush(t *testing.T) {
	build(t)
	npm.Install(t)
	srv := testsrv.New(t)
	alice, bora := srv.User(t, "alice"), srv.User(t, "bora")
	srv.Set(t, testsrv.M{"name": "갓 구운 서버", "langs": []string{"ko"}})
	npm.Run(t, "node", "push.mjs", srv.Origin, alice.Token, bora.Token)
}

// What a browser needs to install the client as an app is there.
func TestInstall(t *testing.T) {
	build(t)
	srv := testsrv.New(t)
	srv.Set(t, testsrv.M{"name": "갓 구운 서버", "shortName": "빵집", "themeColor": "#8a4b14", "iconUrl": "https://a.example/icon.png"})
	res, body := get(t, srv.Origin+"/manifest.json", nil)
	var m struct {
		Name, Display string
		Short         string `json:"short_name"`
		Start         string `json:"start_url"`
		Theme         string `json:"theme_color"`
		Icons         []struct{ Src, Sizes, Type, Purpose string }
	}
	if err := json.Unmarshal([]byte(body), &m); err != nil || !strings.HasPrefix(res.Header.Get("Content-Type"), "application/manifest+json") {
		t.Fatalf("%v: %v", res.Header, err)
	}
	if m.Name != "갓 구운 서버" || m.Short != "빵집" || m.Start != "/" || m.Display != "standalone" || m.Theme != "#8a4b14" || len(m.Icons) != 4 || m.Icons[0].Src != "https://a.example/icon.png" {
		t.Errorf("the manifest is %+v", m)
	}
	for _, i := range m.Icons[1:] {
		if res, body := get(t, srv.Origin+i.Src, nil); res.Header.Get("Content-Type") != "image/png" || !strings.HasPrefix(body, "\x89PNG") {
			t.Errorf("%s: %v", i.Src, res.Header)
		}
	}
	if res, _ := get(t, srv.Origin+"/icons/..%2fshell.html", nil); res.StatusCode != http.StatusNotFound {
		t.Errorf("what is no icon answers %d", res.StatusCode)
	}
	res, _ = get(t, srv.Origin+"/sw.js", nil)
	tag := res.Header.Get("ETag")
	if res.Header.Get("Cache-Control") != "no-cache" || !strings.HasPrefix(res.Header.Get("Content-Type"), "text/javascript") || tag == "" {
		t.Errorf("the worker: %v", res.Header)
	}
	if res, _ := get(t, srv.Origin+"/sw.js", map[string]string{"If-None-Match": tag}); res.StatusCode != http.StatusNotModified {
		t.Errorf("the same worker again: %d", res.StatusCode)
	}
	if _, page := get(t, srv.Origin+"/", nil); !strings.Contains(page, `<link rel="manifest" href="/manifest.json">`) || !strings.Contains(page, `"push":"B`) {
		t.Error("the page names no manifest, or no key")
	}
	srv.Set(t, testsrv.M{"enableServiceWorker": false})
	if _, page := get(t, srv.Origin+"/", nil); !strings.Contains(page, `"push":""`) {
		t.Error("a server that tells no browsers names a key")
	}
}
