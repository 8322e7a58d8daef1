package web_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"buttersc.one/oven/internal/testsrv"
	"buttersc.one/oven/test/npm"
)

// Showing that one is a person, in the browser: in a frame of a page of its own, while
// the client's pages let in no script of others.
func TestCaptcha(t *testing.T) {
	build(t)
	npm.Install(t)
	far := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/widget/" {
			w.Header().Set("Content-Type", "text/html")
			_, _ = io.WriteString(w, `<button onclick="parent.postMessage({token: 'right'}, '*')">`+r.URL.Query().Get("sitekey")+`</button>`)
			return
		}
		b, _ := io.ReadAll(r.Body)
		right := strings.Contains(string(b), `"right"`) && strings.Contains(string(b), `"hush"`)
		_, _ = io.WriteString(w, map[bool]string{true: `{"valid":true}`, false: `{"valid":false}`}[right])
	}))
	t.Cleanup(far.Close)
	s := testsrv.New(t, testsrv.Mode("production"))
	root := s.User(t, "alice")
	s.Set(t, testsrv.M{"langs": []string{"ko"}})
	npm.Run(t, "node", "captcha.mjs", s.Origin, root.Token, far.URL)
	res, err := http.Get(s.Origin + "/captcha?of=hcaptcha")
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	if res.StatusCode != http.StatusNotFound {
		t.Errorf("a question of somebody who is not asked: %s", res.Status)
	}
}
