package web_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"buttersc.one/oven/internal/app"
	"buttersc.one/oven/internal/testsrv"
	"buttersc.one/oven/test/npm"
)

// Every way into an account, in the browser.
func TestAccount(t *testing.T) {
	build(t)
	npm.Install(t)
	at := ""
	srv := testsrv.New(t, func(o *app.Options) {
		// Passkeys need a name; the browser knows loopback's.
		o.Origin = strings.Replace(o.Origin, "127.0.0.1", "localhost", 1)
		o.Host = strings.Replace(o.Host, "127.0.0.1", "localhost", 1)
		o.Hostname, at = "localhost", o.Origin
	})
	letters := letters(t, srv, at)
	root := srv.User(t, "alice")
	srv.Set(t, testsrv.M{"name": "갓 구운 서버", "langs": []string{"ko"}, "disableRegistration": true, "emailRequiredForSignup": true, "approvalRequiredForSignup": true})
	npm.Run(t, "node", "account.mjs", at, letters, root.Token)
}

// letters is the address of a server that answers ?to=address with the newest
// link to at that was written there.
func letters(t *testing.T, srv *testsrv.Server, at string) string {
	t.Helper()
	box := srv.Mailbox(t)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		list := box.To(r.URL.Query().Get("to"))
		if len(list) == 0 {
			return
		}
		for _, word := range strings.Fields(list[len(list)-1].Text) {
			if strings.HasPrefix(word, at+"/") {
				_, _ = io.WriteString(w, word)
				return
			}
		}
	}))
	t.Cleanup(s.Close)
	return s.URL
}
