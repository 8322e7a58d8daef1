// Package misskeyjs lives on a server as a real Misskey client does: npm's
// misskey-js, type-checked, with its stream.
package misskeyjs_test

import (
	"os"
	"os/exec"
	"testing"
	"time"

	"buttersc.one/oven/internal/testsrv"
)

func TestMisskeyJS(t *testing.T) {
	install(t)
	run(t, "node_modules/.bin/tsc")
	run(t, "node", "build/drive.js", testsrv.New(t).Origin)
}

// install brings node_modules up to the lock file. npm writes its own list of
// what is there when it is done.
func install(t *testing.T) {
	t.Helper()
	lock, err := os.Stat("package-lock.json")
	if err != nil {
		t.Fatal(err)
	}
	have, err := os.Stat("node_modules/.package-lock.json")
	if err == nil && !have.ModTime().Before(lock.ModTime()) {
		return
	}
	run(t, "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund")
}

// run runs a program that must succeed; what it says is the test's log.
func run(t *testing.T, name string, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.WaitDelay = 5 * time.Second
	out, err := cmd.CombinedOutput()
	t.Logf("%s %v\n%s", name, args, out)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
}
