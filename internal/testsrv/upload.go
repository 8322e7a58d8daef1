package testsrv

import (
	"bytes"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"image"
	"image/color"
	"image/png"
	"io"
	"mime/multipart"
	"net/http"
	"testing"
)

// Picture is a small PNG whose colour goes by its name.
func Picture(t testing.TB, name string) *bytes.Reader {
	t.Helper()
	h := fnv.New32a()
	_, _ = h.Write([]byte(name))
	sum := h.Sum32()
	m := image.NewNRGBA(image.Rect(0, 0, 16, 12))
	for i := range m.Pix {
		m.Pix[i] = uint8(sum >> (i % 4 * 8)) //nolint:gosec // any colour
	}
	m.SetNRGBA(0, 0, color.NRGBA{255, 0, 0, 255})
	var b bytes.Buffer
	if err := png.Encode(&b, m); err != nil {
		t.Fatal(err)
	}
	return bytes.NewReader(b.Bytes())
}

// Upload sends a file as Misskey's clients do, and gives the answer.
func (u *User) Upload(t testing.TB, name string, content io.Reader, params M) (int, any) {
	t.Helper()
	var body bytes.Buffer
	w := multipart.NewWriter(&body)
	params = with(params, u.Token)
	for key, value := range params {
		if err := w.WriteField(key, fmt.Sprint(value)); err != nil {
			t.Fatal(err)
		}
	}
	part, err := w.CreateFormFile("file", name)
	if err == nil {
		_, err = io.Copy(part, content)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, u.S.Origin+"/api/drive/files/create", &body)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", w.FormDataContentType())
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	if err := record("drive/files/create", res.StatusCode, raw); err != nil {
		t.Fatal(err)
	}
	var v any
	if len(raw) > 0 {
		if err := json.Unmarshal(raw, &v); err != nil {
			t.Fatalf("drive/files/create: %d %s", res.StatusCode, raw)
		}
	}
	return res.StatusCode, v
}

// File uploads a file that must be taken, and gives it.
func (u *User) File(t testing.TB, name string, content io.Reader, params M) M {
	t.Helper()
	status, v := u.Upload(t, name, content, params)
	f, ok := v.(map[string]any)
	if status != http.StatusOK || !ok {
		t.Fatalf("upload of %s: %d %v", name, status, v)
	}
	return f
}

func with(params M, token string) M {
	out := M{"i": token}
	for k, v := range params {
		out[k] = v
	}
	return out
}

// GetAP asks the server for a document, as another server does, and gives the
// answer's status.
func GetAP(t testing.TB, s *Server, path string) int {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.Origin+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Accept", "application/activity+json")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	return res.StatusCode
}
