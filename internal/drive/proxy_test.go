package drive_test

import (
	"bytes"
	"context"
	"errors"
	"image"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"buttersc.one/oven/internal/lib/blob"
	"buttersc.one/oven/internal/testsrv"
)

// gallery is another server with pictures, and what is none.
type gallery struct {
	*httptest.Server
	asked atomic.Int32
	down  atomic.Bool
}

func newGallery(t *testing.T) *gallery {
	t.Helper()
	g := &gallery{}
	g.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		g.asked.Add(1)
		if g.down.Load() {
			http.Error(w, "down", http.StatusBadGateway)
			return
		}
		switch strings.TrimSuffix(r.URL.Path, ".html") {
		case "/photo.jpg":
			_, _ = w.Write(photo(t, 1600, 800))
		case "/small.jpg":
			_, _ = w.Write(photo(t, 60, 40))
		case "/grey.png":
			_, _ = w.Write(picture(t))
		case "/page":
			w.Header().Set("Content-Type", "image/png")
			_, _ = w.Write([]byte("<html><script>alert(1)</script>"))
		case "/film.mp4":
			_, _ = w.Write([]byte("\x00\x00\x00\x18ftypisom\x00\x00\x02\x00isomiso2\x00\x00\x00\x08free"))
		case "/away":
			http.Redirect(w, r, "/small.jpg", http.StatusFound)
		case "/home":
			http.Redirect(w, r, "http://10.1.2.3/x.png", http.StatusFound)
		case "/long":
			_, _ = io.CopyN(w, endless{}, 80<<20)
		default:
			http.NotFound(w, r)
		}
	}))
	t.Cleanup(g.Close)
	return g
}

type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }

func proxied(s *testsrv.Server, picture, mode string) string {
	return s.Origin + "/proxy/image.webp?url=" + url.QueryEscape(picture) + mode
}

func TestProxy(t *testing.T) {
	t.Parallel()
	far := newGallery(t)
	s := testsrv.New(t)
	for mode, want := range map[string]image.Point{"&avatar=1": {160, 320}, "&emoji=1": {64, 128}, "&static=1": {211, 422}, "&preview=1": {100, 200}, "": {1600, 800}} {
		res, b := get(t, proxied(s, far.URL+"/photo.jpg", mode))
		c, _, err := image.DecodeConfig(bytes.NewReader(b))
		if err != nil || res.StatusCode != http.StatusOK || c.Width != want.X || c.Height != want.Y || bytes.Contains(b, []byte("SECRETPLACE")) {
			t.Errorf("%s: %s %d × %d (%v)", mode, res.Status, c.Width, c.Height, err)
		}
		if h := res.Header; h.Get("X-Content-Type-Options") != "nosniff" || !strings.Contains(h.Get("Content-Security-Policy"), "default-src 'none'") || !strings.Contains(h.Get("Cache-Control"), "max-age=604800") {
			t.Errorf("%s: %v", mode, h)
		}
	}
	if res, b := get(t, proxied(s, far.URL+"/photo.jpg", "&badge=1")); res.Header.Get("Content-Type") != "image/png" || len(b) == 0 {
		t.Errorf("a badge: %s %v", res.Status, res.Header)
	}
	// What was made once is kept, by everybody, also when the other server is gone.
	far.asked.Store(0)
	far.down.Store(true)
	if res, _ := get(t, proxied(s, far.URL+"/photo.jpg", "&avatar=1")); res.StatusCode != http.StatusOK || far.asked.Load() != 0 {
		t.Errorf("what is kept: %s, asked %d times", res.Status, far.asked.Load())
	}
	far.down.Store(false)
	// Many who ask at once make it once.
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			if res, _ := get(t, proxied(s, far.URL+"/small.jpg", "&avatar=1")); res.StatusCode != http.StatusOK {
				t.Error(res.Status)
			}
		})
	}
	wg.Wait()
	if n := far.asked.Load(); n != 1 {
		t.Errorf("asked %d times", n)
	}
	// After a while it is fetched anew, and the old one is erased.
	s.Guest().Post(t, "oven/clock", m{"offsetMs": (15 * 24 * time.Hour).Milliseconds()})
	if res, _ := get(t, proxied(s, far.URL+"/small.jpg", "&avatar=1")); res.StatusCode != http.StatusOK || far.asked.Load() != 2 {
		t.Errorf("weeks later: %s, asked %d times", res.Status, far.asked.Load())
	}
	if err := s.App.Drive.Erase(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := s.Count(t, "SELECT count(*) FROM drive_blob"); n != 1 {
		t.Errorf("%d pictures are kept", n)
	}
}

// The proxy is no door: to no other kind of file, to no private network, and no
// place for scripts.
func TestProxyRefuses(t *testing.T) {
	t.Parallel()
	far := newGallery(t)
	s := testsrv.New(t, testsrv.Mode("development"))
	for path, want := range map[string]int{"/page": 403, "/film.mp4": 403, "/none": 404, "/home": 404, "/away": 200, "/grey.png": 200, "/long": 404} {
		res, b := get(t, proxied(s, far.URL+path, ""))
		if res.StatusCode != want || bytes.Contains(b, []byte("script")) || strings.Contains(res.Header.Get("Content-Type"), "html") {
			t.Errorf("%s: %s %v", path, res.Status, res.Header)
		}
	}
	for _, address := range []string{"", "file:///etc/passwd", "javascript:alert(1)", "http://user:pass@" + far.Listener.Addr().String() + "/small.jpg", "ftp://x.example/", "//x.example/"} {
		if res, _ := get(t, proxied(s, address, "")); res.StatusCode != http.StatusBadRequest {
			t.Errorf("%q: %s", address, res.Status)
		}
	}
	for _, address := range []string{"http://10.0.0.1/x.png", "http://[::ffff:10.0.0.1]/x.png", "http://169.254.169.254/latest/meta-data", s.Origin + "/api/ping", s.Origin + "/proxy/image.webp?url=x"} {
		if res, _ := get(t, proxied(s, address, "")); res.StatusCode != http.StatusNotFound {
			t.Errorf("%q: %s", address, res.Status)
		}
	}
	if res, _ := get(t, proxied(s, far.URL+"/grey.png", "&badge=1")); res.StatusCode != http.StatusForbidden { // nothing would be seen of it
		t.Errorf("a flat badge: %s", res.Status)
	}
	if res, b := get(t, proxied(s, far.URL+"/none", "&fallback")); res.StatusCode != http.StatusOK || res.Header.Get("Content-Type") != "image/gif" || len(b) == 0 {
		t.Errorf("a fallback: %s", res.Status)
	}
	// A failure is believed for a while, so that nobody can make this server knock.
	far.asked.Store(0)
	get(t, proxied(s, far.URL+"/none2", ""))
	get(t, proxied(s, far.URL+"/none2", ""))
	if n := far.asked.Load(); n != 1 {
		t.Errorf("asked %d times for what is not there", n)
	}
	req, err := http.NewRequest(http.MethodGet, proxied(s, far.URL+"/small.jpg", ""), nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("User-Agent", "Oven/1 (https://other.example)")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	if res.StatusCode != http.StatusForbidden {
		t.Errorf("another server's proxy: %s", res.Status)
	}
}

// One's own picture is shown small, through the proxy, and remote files are, too.
func TestProxiedFiles(t *testing.T) {
	t.Parallel()
	far := testsrv.NewRemote(t)
	pics := newGallery(t)
	s := testsrv.New(t)
	root, a, bob := s.User(t, "root"), s.User(t, "alice"), far.Actor("bob")
	f := a.File(t, "me.jpg", bytes.NewReader(photo(t, 900, 450)), nil)
	me := a.Post(t, "i/update", m{"avatarId": f["id"]})
	res, b := get(t, testsrv.Dig(me, "avatarUrl").(string))
	if c, _, err := image.DecodeConfig(bytes.NewReader(b)); err != nil || c.Height != 320 {
		t.Errorf("one's picture: %s %+v (%v)", res.Status, c, err)
	}
	bob.Tell(t, s, m{"type": "Create", "object": bob.Note("/n1", m{"attachment": []m{{"type": "Document", "mediaType": "image/jpeg", "url": pics.URL + "/photo.jpg", "width": 800, "height": 1600}}})})
	var file m
	for _, n := range root.List(t, "users/notes", m{"userId": bob.On(t, root).ID}) {
		if fs, _ := n["files"].([]any); len(fs) == 1 {
			file = fs[0].(map[string]any)
		}
	}
	for key, side := range map[string]int{"url": 1600, "thumbnailUrl": 422} {
		u, _ := file[key].(string)
		if !strings.HasPrefix(u, s.Origin+"/proxy/") {
			t.Fatalf("%s: %q", key, u)
		}
		_, b := get(t, u)
		if c, _, err := image.DecodeConfig(bytes.NewReader(b)); err != nil || max(c.Width, c.Height) != side {
			t.Errorf("%s: %+v (%v)", key, c, err)
		}
	}
	root.Post(t, "admin/update-meta", m{"proxyRemoteFiles": false})
	testsrv.Is(t, root.List(t, "users/notes", m{"userId": bob.On(t, root).ID})[0], pics.URL+"/photo.jpg", "files", 0, "url")
}

// silent is a store that does not answer.
type silent struct{ blob.Store }

func (silent) Open(context.Context, string) (blob.File, error) { return nil, errors.New("no answer") }

// When the store does not answer, a file is not said to be missing, and nobody
// remembers it as missing.
func TestStoreDown(t *testing.T) {
	t.Parallel()
	s := testsrv.New(t)
	a := s.User(t, "alice")
	f := a.File(t, "me.jpg", bytes.NewReader(photo(t, 90, 45)), nil)
	own := proxied(s, f["url"].(string), "&avatar=1")
	store := s.App.Drive.Files
	s.App.Drive.Files = silent{store}
	for _, address := range []string{f["url"].(string), own} {
		if res, _ := get(t, address); res.StatusCode != http.StatusServiceUnavailable || strings.Contains(res.Header.Get("Cache-Control"), "immutable") {
			t.Errorf("%s: %s %v", address, res.Status, res.Header)
		}
	}
	s.App.Drive.Files = store
	for _, address := range []string{f["url"].(string), own} {
		if res, _ := get(t, address); res.StatusCode != http.StatusOK {
			t.Errorf("%s, up again: %s", address, res.Status)
		}
	}
}
