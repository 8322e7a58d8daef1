// Package misskeyjs lives on a server as a real Misskey client does: npm's
// misskey-js, type-checked, with its stream.
package misskeyjs_test

import (
	"testing"

	"buttersc.one/oven/internal/testsrv"
	"buttersc.one/oven/test/npm"
)

func TestMisskeyJS(t *testing.T) {
	npm.Install(t)
	npm.Run(t, "node_modules/.bin/tsc")
	npm.Run(t, "node", "build/drive.js", testsrv.New(t).Origin)
}
