// Package web drives the web client in a real browser against a real server:
// what two people do on it, without one violation of the content policy.
package web_test

import (
	"encoding/json"
	"io"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"

	"buttersc.one/oven/internal/testsrv"
	"buttersc.one/oven/test/npm"
)

func TestClient(t *testing.T) {
	build(t)
	npm.Install(t)
	srv := testsrv.New(t)
	srv.Set(t, testsrv.M{"name": "갓 구운 서버"})
	npm.Run(t, "node", "drive.mjs", srv.Origin)
}

var (
	preloads = regexp.MustCompile(`<link rel="modulepreload" href="([^"]+)"`)
	texts    = regexp.MustCompile(`/(?:ko|ja|en)-`)
)

// The pages name every file that the client needs, and the files are served for ever.
func TestServing(t *testing.T) {
	build(t)
	srv := testsrv.New(t)
	srv.User(t, "alice")
	for _, path := range []string{"/", "/@alice", "/signup"} {
		res, body := get(t, srv.Origin+path, nil)
		csp := res.Header.Get("Content-Security-Policy")
		if !strings.Contains(csp, "script-src 'self';") || !strings.Contains(csp, "require-trusted-types-for 'script'") || strings.Contains(csp, "unsafe") {
			t.Errorf("%s has the policy %q", path, csp)
		}
		if !strings.Contains(body, `<script type="module" src="/assets/`) || !strings.Contains(body, `id="boot"`) || !strings.Contains(body, "<main>") {
			t.Errorf("%s is not a page of the server's with the client in it", path)
		}
	}
	for _, path := range []string{"/settings", "/my/notifications", "/timeline/local"} {
		if res, _ := get(t, srv.Origin+path, nil); res.StatusCode != http.StatusOK {
			t.Errorf("%s answers %d", path, res.StatusCode)
		}
	}
	if _, body := get(t, srv.Origin+"/@alice", map[string]string{"Cookie": "client=1; theme=dark; lang=ja"}); strings.Contains(body, "<main>") ||
		!strings.Contains(body, `<html lang="ja" data-theme="dark">`) {
		t.Error("who is signed in gets the page for visitors, or not in the chosen language and theme")
	}
	if res, body := get(t, srv.Origin+"/miauth/0123456789abcdef", nil); strings.Contains(body, "<script") || strings.Contains(res.Header.Get("Content-Security-Policy"), "script-src") {
		t.Error("the page for apps has scripts")
	}
	_, page := get(t, srv.Origin+"/", nil)
	_, after, _ := strings.Cut(page, `<script type="module" src="`)
	script, _, _ := strings.Cut(after, `"`)
	// What comes before anything can be done: the script, and what it cannot be
	// without. The texts are counted by themselves.
	total := 0
	for _, m := range preloads.FindAllStringSubmatch(page, -1) {
		if _, body := get(t, srv.Origin+m[1], map[string]string{"Accept-Encoding": "gzip"}); !texts.MatchString(m[1]) {
			total += len(body)
		}
	}
	for coding, accept := range map[string]string{"br": "gzip, br", "gzip": "gzip;q=1, br;q=0", "": "identity"} {
		res, body := get(t, srv.Origin+script, map[string]string{"Accept-Encoding": accept})
		if res.Header.Get("Content-Encoding") != coding || !strings.Contains(res.Header.Get("Cache-Control"), "immutable") ||
			!strings.HasPrefix(res.Header.Get("Content-Type"), "text/javascript") {
			t.Errorf("%s for %q: %v", script, accept, res.Header)
		}
		if coding == "gzip" {
			total += len(body)
			t.Logf("entry: %d bytes gzip", total)
			if total > 60_000 {
				t.Errorf("the entry is %d bytes, more than 60 kB", total)
			}
		}
	}
	if res, _ := get(t, srv.Origin+"/assets/main-gone.js", nil); res.StatusCode != http.StatusNotFound {
		t.Errorf("a file that is gone answers %d", res.StatusCode)
	}
}

func get(t *testing.T, url string, header map[string]string) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for k, v := range header {
		req.Header.Set(k, v)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res, string(b)
}

// build fails where the client is not in this binary: make web comes first.
func build(t *testing.T) {
	t.Helper()
	b, err := os.ReadFile("../../web/dist/app/.vite/manifest.json")
	if err != nil || !json.Valid(b) {
		t.Fatal("the client is not built: run make web")
	}
}
