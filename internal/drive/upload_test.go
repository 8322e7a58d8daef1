package drive_test

import (
	"archive/zip"
	"bytes"
	"crypto/md5"
	"encoding/hex"
	"image"
	"image/jpeg"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	_ "golang.org/x/image/webp"

	"buttersc.one/oven/internal/testsrv"
)

// photo is a JPEG that tells where it was taken, and is turned by a quarter.
func photo(t testing.TB, w, h int) []byte {
	t.Helper()
	m := image.NewRGBA(image.Rect(0, 0, w, h))
	for i := range m.Pix {
		m.Pix[i] = uint8(i / 7) //nolint:gosec // any colour
	}
	var b bytes.Buffer
	if err := jpeg.Encode(&b, m, nil); err != nil {
		t.Fatal(err)
	}
	exif := "Exif\x00\x00MM\x00\x2a\x00\x00\x00\x08\x00\x01\x01\x12\x00\x03\x00\x00\x00\x01\x00\x06\x00\x00\x00\x00\x00\x00SECRETPLACE"
	out := append([]byte{0xff, 0xd8, 0xff, 0xe1, 0, byte(len(exif) + 2)}, exif...)
	return append(out, b.Bytes()[2:]...)
}

func get(t testing.TB, url string) (*http.Response, []byte) {
	t.Helper()
	res, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res, b
}

// A photo comes with a preview and a blurhash, upright, and without its place.
func TestUpload(t *testing.T) {
	t.Parallel()
	s := testsrv.New(t)
	a, b := s.User(t, "alice"), s.User(t, "bora")
	sock := a.Stream(t, "main", "drive")
	sent := photo(t, 3000, 1500)
	f := a.File(t, "빵.jpg", bytes.NewReader(sent), m{"comment": "식빵"})
	sum := md5.Sum(sent)
	for key, want := range map[string]any{"name": "빵.jpg", "type": "image/jpeg", "md5": hex.EncodeToString(sum[:]), "comment": "식빵", "isSensitive": false, "folderId": nil, "userId": a.ID} {
		testsrv.Is(t, f, want, key)
	}
	testsrv.Is(t, f, 1500.0, "properties", "width") // it was held upright
	testsrv.Is(t, f, 3000.0, "properties", "height")
	if hash, _ := f["blurhash"].(string); len(hash) < 20 {
		t.Errorf("blurhash %q", hash)
	}
	for key, side := range map[string]int{"url": 2048, "thumbnailUrl": 422} {
		res, got := get(t, f[key].(string))
		p, kind, err := image.DecodeConfig(bytes.NewReader(got))
		if err != nil || kind != "webp" || res.Header.Get("Content-Type") != "image/webp" || max(p.Width, p.Height) != side || p.Height < p.Width {
			t.Errorf("%s: %s %d × %d (%v) %v", key, kind, p.Width, p.Height, err, res.Header)
		}
		if bytes.Contains(got, []byte("SECRETPLACE")) {
			t.Errorf("%s tells where it was taken", key)
		}
	}
	// The original can be had by moderators only, and does not tell either.
	keys := s.Count(t, "SELECT count(*) FROM drive_blob WHERE file_id = $1 AND until IS NULL AND size > 0", f["id"])
	if keys != 3 {
		t.Errorf("%d parts are stored", keys)
	}
	var original string
	if err := s.DB.QueryRow(t.Context(), "SELECT key FROM drive_blob WHERE file_id = $1 AND kind = 'original'", f["id"]).Scan(&original); err != nil {
		t.Fatal(err)
	}
	if _, got := get(t, s.Origin+"/files/"+original); len(got) == 0 || bytes.Contains(got, []byte("SECRETPLACE")) {
		t.Errorf("the original of %d bytes", len(got))
	}
	for _, typ := range []string{"fileCreated", "driveFileCreated"} {
		e := sock.Next(typ, func(e m) bool { return testsrv.Dig(e, "body", "type") == typ })
		testsrv.Is(t, e, f["id"], "body", "body", "id")
	}
	// The same again is the same; forced it is another; sensitive it becomes so.
	if again := a.File(t, "other.jpg", bytes.NewReader(sent), nil); again["id"] != f["id"] || again["isSensitive"] != false {
		t.Errorf("the same again: %v", again)
	}
	if again := a.File(t, "other.jpg", bytes.NewReader(sent), m{"isSensitive": true}); again["id"] != f["id"] || again["isSensitive"] != true {
		t.Errorf("the same again, sensitive: %v", again)
	}
	if other := a.File(t, "other.jpg", bytes.NewReader(sent), m{"force": true}); other["id"] == f["id"] || other["name"] != "other.jpg" {
		t.Errorf("forced: %v", other)
	}
	if theirs := b.File(t, "x.jpg", bytes.NewReader(sent), nil); theirs["id"] == f["id"] {
		t.Error("another's file was given")
	}
	if got := a.Post(t, "drive/files/check-existence", m{"md5": f["md5"]}); got != true {
		t.Errorf("it does not exist: %v", got)
	}
	if got := b.List(t, "drive/files/find-by-hash", m{"md5": f["md5"]}); len(got) != 1 || got[0]["id"] == f["id"] {
		t.Errorf("by hash: %v", got)
	}
	b.Fails(t, "drive/files/show", m{"fileId": f["id"]}, 400, "ACCESS_DENIED")
	testsrv.Is(t, a.Post(t, "drive/files/show", m{"url": f["thumbnailUrl"]}), f["id"], "id")
	testsrv.Is(t, a.Post(t, "drive/files/show", m{"fileId": f["id"]}), "alice", "user", "username")
	a.Fails(t, "drive/files/show", m{"fileId": "none"}, 400, "NO_SUCH_FILE")
	a.Fails(t, "drive/files/show", m{}, 400, "INVALID_PARAM")
}

// What roles do not allow is refused, and leaves nothing.
func TestUploadLimits(t *testing.T) {
	t.Parallel()
	s := testsrv.New(t)
	root, a := s.User(t, "root"), s.User(t, "alice")
	refused := func(name string, content []byte, params m, code string) {
		t.Helper()
		if status, v := a.Upload(t, name, bytes.NewReader(content), params); status != 400 || testsrv.Dig(v, "error", "code") != code {
			t.Errorf("%s: %d %v, not %s", name, status, v, code)
		}
	}
	pic := picture(t)
	for _, name := range []string{"a/b.png", `a\b.png`, "../x.png", strings.Repeat("빵", 201)} {
		refused("x.png", pic, m{"name": name}, "INVALID_FILE_NAME")
	}
	refused("x.html", []byte("<!doctype html><script>alert(1)</script>"), nil, "UNALLOWED_FILE_TYPE")
	var archive bytes.Buffer
	z := zip.NewWriter(&archive)
	if _, err := z.Create("meta.json"); err != nil || z.Close() != nil {
		t.Fatal(err)
	}
	refused("x.zip", archive.Bytes(), nil, "UNALLOWED_FILE_TYPE")
	if status, v := root.Upload(t, "x.zip", bytes.NewReader(archive.Bytes()), nil); status != 200 { // who looks after emoji has them in archives
		t.Errorf("an archive of an administrator: %d %v", status, v)
	}
	a.Fails(t, "drive/files/create", m{}, 400, "INVALID_PARAM") // nothing is sent along
	refused("x.png", pic, m{"folderId": "none"}, "NO_SUCH_FOLDER")
	refused("x.png", pic, m{"comment": strings.Repeat("x", 513)}, "INVALID_PARAM")
	root.Post(t, "admin/roles/update-default-policies", m{"policies": m{"driveCapacityMb": 1, "maxFileSizeMb": 1}})
	refused("big.txt", bytes.Repeat([]byte("text "), 300<<10), nil, "MAX_FILE_SIZE_EXCEEDED")
	a.File(t, "one.txt", bytes.NewReader(bytes.Repeat([]byte("one "), 160<<10)), nil)
	refused("two.txt", bytes.Repeat([]byte("two "), 160<<10), nil, "NO_FREE_SPACE")
	u := a.Post(t, "drive", nil)
	testsrv.Is(t, u, float64(1<<20), "capacity")
	testsrv.Is(t, u, float64(640<<10), "usage")
	root.Post(t, "admin/roles/update-default-policies", m{"policies": m{"uploadableFileTypes": []string{"*/*"}, "alwaysMarkNsfw": true}})
	page := a.File(t, "page.html", strings.NewReader("<!doctype html><script>alert(1)</script>"), nil)
	testsrv.Is(t, page, "text/html", "type")
	testsrv.Is(t, page, true, "isSensitive")
	a.Fails(t, "drive/files/update", m{"fileId": page["id"], "isSensitive": false}, 400, "RESTRICTED_BY_ROLE")
	if res, _ := get(t, page["url"].(string)); res.Header.Get("Content-Type") != "application/octet-stream" || res.Header.Get("Content-Disposition") != "attachment" {
		t.Errorf("a page is served as one: %v", res.Header)
	}
	// What refused uploads had stored is erased, and only that.
	before := s.Count(t, "SELECT count(*) FROM drive_blob WHERE file_id IS NOT NULL")
	if left := s.Count(t, "SELECT count(*) FROM drive_blob WHERE file_id IS NULL"); left == 0 {
		t.Error("nothing was stored by what was refused; the test tests nothing")
	}
	s.Guest().Post(t, "oven/clock", m{"offsetMs": (2 * time.Hour).Milliseconds()})
	if err := s.App.Drive.Erase(t.Context()); err != nil {
		t.Fatal(err)
	}
	if left := s.Count(t, "SELECT count(*) FROM drive_blob"); left != before {
		t.Errorf("%d parts are left, not %d", left, before)
	}
	n := 0
	for _, err := range s.App.Files().All(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		n++
	}
	if n != before {
		t.Errorf("%d files are left in the store, not %d", n, before)
	}
}

// Files that mean harm are kept as downloads or not at all.
func TestUploadHostile(t *testing.T) {
	t.Parallel()
	s := testsrv.New(t)
	root := s.User(t, "root")
	root.Post(t, "admin/roles/update-default-policies", m{"policies": m{"uploadableFileTypes": []string{"*/*"}}})
	a := s.User(t, "alice")
	polyglot := append(photo(t, 20, 10), "<script>alert(1)</script>PK\x03\x04"...)
	f := a.File(t, "x.jpg", bytes.NewReader(polyglot), nil)
	if _, got := get(t, f["url"].(string)); bytes.Contains(got, []byte("script")) || bytes.Contains(got, []byte("PK\x03\x04")) {
		t.Error("what hangs behind a picture was kept")
	}
	for name, b := range map[string][]byte{"cut.png": picture(t)[:40], "huge.png": []byte("\x89PNG\r\n\x1a\n\x00\x00\x00\x0dIHDR\x00\x00\x61\xa8\x00\x00\x61\xa8\x08\x02\x00\x00\x00\x00\x00\x00\x00"), "empty.png": {}} {
		f := a.File(t, name, bytes.NewReader(b), nil)
		testsrv.Is(t, f, "application/octet-stream", "type")
		testsrv.Is(t, f, nil, "thumbnailUrl")
	}
	draw := `<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg" width="100" height="50"><script>alert(1)</script><image href="file:///etc/passwd"/><rect width="100" height="50" fill="red"/></svg>`
	svg := a.File(t, "x.svg", strings.NewReader(draw), nil)
	testsrv.Is(t, svg, "image/svg+xml", "type")
	if res, got := get(t, svg["url"].(string)); res.Header.Get("Content-Type") != "image/webp" && res.Header.Get("Content-Type") != "application/octet-stream" || bytes.Contains(got, []byte("script")) && res.Header.Get("Content-Disposition") != "attachment" {
		t.Errorf("a drawing is given as one: %v %.80q", res.Header, got)
	}
}

// Parts of a file can be had (RFC 9110 §14), of films and sounds, too.
func TestRanges(t *testing.T) {
	t.Parallel()
	s := testsrv.New(t)
	a := s.User(t, "alice")
	f := a.File(t, "x.txt", strings.NewReader("0123456789"), nil)
	req, err := http.NewRequest(http.MethodGet, f["url"].(string), nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Range", "bytes=2-4")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	if b, _ := io.ReadAll(res.Body); res.StatusCode != http.StatusPartialContent || string(b) != "234" || res.Header.Get("Content-Range") != "bytes 2-4/10" {
		t.Errorf("%s %q %v", res.Status, b, res.Header)
	}
}

// What is at an address is fetched later, by a server that does not go everywhere.
func TestUploadFromURL(t *testing.T) {
	t.Parallel()
	var asked atomic.Int32
	far := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		switch r.URL.Path {
		case "/a.png":
			w.Header().Set("Content-Disposition", `attachment; filename="../..\bread.png"`)
			_, _ = w.Write(picture(t))
		case "/page":
			_, _ = w.Write([]byte("<html>"))
		default:
			http.NotFound(w, r)
		}
	}))
	defer far.Close()
	s := testsrv.New(t)
	a := s.User(t, "alice")
	sock := a.Stream(t, "main")
	dir := testsrv.Dig(a.Post(t, "drive/folders/create", m{"name": "빵"}), "id")
	a.Post(t, "drive/files/upload-from-url", m{"url": far.URL + "/a.png", "marker": "m1", "folderId": dir, "comment": "from afar", "isSensitive": true})
	e := sock.Next("urlUploadFinished", func(e m) bool { return testsrv.Dig(e, "body", "type") == "urlUploadFinished" })
	testsrv.Is(t, e, "m1", "body", "body", "marker")
	for key, want := range map[string]any{"name": "bread.png", "type": "image/png", "comment": "from afar", "isSensitive": true, "folderId": dir} {
		testsrv.Is(t, e, want, "body", "body", "file", key)
	}
	for _, path := range []string{"/page", "/none"} {
		a.Post(t, "drive/files/upload-from-url", m{"url": far.URL + path})
	}
	s.Settle(t)
	if n := len(a.List(t, "drive/stream", m{})); n != 1 {
		t.Errorf("%d files", n)
	}
	a.Fails(t, "drive/files/upload-from-url", m{"url": "file:///etc/passwd"}, 400, "INVALID_PARAM")
	asked.Store(0)
	a.Post(t, "drive/files/upload-from-url", m{"url": s.Origin + "/files/x"})
	a.Post(t, "drive/files/upload-from-url", m{"url": "http://10.255.255.1/x.png"})
	s.Settle(t)
	if n := len(a.List(t, "drive/stream", m{})); n != 1 {
		t.Errorf("%d files after addresses that are not to be asked", n)
	}
}
