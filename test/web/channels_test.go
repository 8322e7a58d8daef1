package web_test

import (
	"testing"

	"buttersc.one/oven/internal/testsrv"
	"buttersc.one/oven/test/npm"
)

// Channels are made, found, followed, written in and closed.
func TestChannels(t *testing.T) {
	build(t)
	npm.Install(t)
	srv := testsrv.New(t)
	srv.User(t, "root")
	alice, bora := srv.User(t, "alice"), srv.User(t, "bora")
	srv.Set(t, testsrv.M{"name": "갓 구운 서버", "langs": []string{"ko"}})
	npm.Run(t, "node", "channels.mjs", srv.Origin, alice.Token, bora.Token)
}
