package drive_test

import (
	"bytes"
	"image"
	"image/png"
	"net/http"
	"strings"
	"testing"

	"buttersc.one/oven/internal/testsrv"
)

type m = testsrv.M

func picture(t *testing.T) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := png.Encode(&b, image.NewGray(image.Rect(0, 0, 2, 2))); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// A file of the operator's is served as what its bytes are, and nothing as a
// document of this server.
func TestStoreAndServe(t *testing.T) {
	t.Parallel()
	s := testsrv.New(t)
	f, err := s.App.Drive.Store(t.Context(), "빵.html", bytes.NewReader(picture(t)))
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.Get(f.URL)
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	h := res.Header
	if res.StatusCode != http.StatusOK || h.Get("Content-Type") != "image/png" || h.Get("X-Content-Type-Options") != "nosniff" || !strings.Contains(h.Get("Content-Security-Policy"), "default-src 'none'") {
		t.Errorf("%s %v", res.Status, h)
	}
	for _, path := range []string{"/files/nothing", "/files/..%2f..%2fsecret.key", "/files/" + strings.Repeat("a", 300)} {
		res, err := http.Get(s.Origin + path)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		if res.StatusCode != http.StatusNotFound {
			t.Errorf("%s: %s", path, res.Status)
		}
	}
	for what, b := range map[string][]byte{"a page": []byte("<html><script>alert(1)</script>"), "a drawing": []byte(`<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"/>`),
		"nothing": {}, "too much": append(picture(t), make([]byte, 8<<20)...)} {
		if f, err := s.App.Drive.Store(t.Context(), "x.png", bytes.NewReader(b)); err == nil {
			t.Errorf("%s was stored as %s", what, f.Type)
		}
	}
}

// A note carries one's own files in the given order; another's it does not.
func TestFilesOfNotes(t *testing.T) {
	t.Parallel()
	far := testsrv.NewRemote(t)
	s := testsrv.New(t)
	a, b, bob := s.User(t, "alice"), s.User(t, "bora"), far.Actor("bob")
	bob.Tell(t, s, m{"type": "Follow", "object": a.URI()})
	var ids []string
	for range 2 {
		f, err := s.App.Drive.Store(t.Context(), "x.png", bytes.NewReader(picture(t)))
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, f.ID)
		if _, err := s.DB.Exec(t.Context(), "UPDATE drive_file SET user_id = $2, comment = '그림' WHERE id = $1", f.ID, a.ID); err != nil {
			t.Fatal(err)
		}
	}
	b.Fails(t, "notes/create", m{"fileIds": ids}, 400, "NO_SUCH_FILE")
	a.Fails(t, "notes/create", m{"fileIds": []string{ids[0], ids[0]}}, 400, "INVALID_PARAM")
	a.Note(t, m{"text": "without"})
	n := testsrv.Dig(a.Post(t, "notes/create", m{"fileIds": []string{ids[1], ids[0]}}), "createdNote")
	testsrv.Is(t, n, []any{ids[1], ids[0]}, "fileIds")
	testsrv.Is(t, n, "image/png", "files", 0, "type")
	testsrv.Is(t, n, "그림", "files", 1, "comment")
	sent := far.Got(t, "Create")
	if testsrv.Dig(sent, "object", "id") != s.Origin+"/notes/"+testsrv.Dig(n, "id").(string) { // notes travel side by side
		sent = far.Got(t, "Create")
	}
	testsrv.Is(t, sent, "image/png", "object", "attachment", 0, "mediaType")
	testsrv.Is(t, sent, "그림", "object", "attachment", 1, "name")
	for _, name := range []string{"notes/timeline", "notes/local-timeline", "users/notes"} {
		if l := a.List(t, name, m{"userId": a.ID, "withFiles": true}); len(l) != 1 {
			t.Errorf("%s with files: %v", name, l)
		}
	}
	// A file is one's picture; another's is not.
	testsrv.Is(t, a.Post(t, "i/update", m{"avatarId": ids[0]}), ids[0], "avatarId")
	b.Fails(t, "i/update", m{"avatarId": ids[0]}, 400, "NO_SUCH_AVATAR")
	testsrv.Is(t, a.Post(t, "i/update", m{"avatarId": nil}), nil, "avatarId")
}
