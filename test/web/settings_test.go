package web_test

import (
	"strings"
	"testing"

	"buttersc.one/oven/internal/app"
	"buttersc.one/oven/internal/testsrv"
	"buttersc.one/oven/test/npm"
)

// Every page of the settings, in the browser.
func TestSettings(t *testing.T) {
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
	carol := srv.User(t, "carol")
	srv.Set(t, testsrv.M{"name": "갓 구운 서버", "langs": []string{"ko"}})
	npm.Run(t, "node", "settings.mjs", at, letters, root.Token, carol.Token)
}
