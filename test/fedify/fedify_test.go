// Package fedify federates with a server built on Fedify, which shares no code
// and no author with this one: its own vocabulary, rules and signatures, both
// draft-cavage and RFC 9421.
package fedify_test

import (
	"testing"

	"buttersc.one/oven/internal/testsrv"
	"buttersc.one/oven/test/npm"
)

func TestFedify(t *testing.T) {
	npm.Install(t)
	npm.Run(t, "node", "drive.mjs", testsrv.New(t).Origin)
}
