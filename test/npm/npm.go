// Package npm runs programs of Node in tests, with what their package-lock.json
// names.
package npm

import (
	"os"
	"os/exec"
	"testing"
	"time"
)

// Install brings node_modules of the working directory up to the lock file.
func Install(t testing.TB) {
	t.Helper()
	lock, err := os.Stat("package-lock.json")
	if err != nil {
		t.Fatal(err)
	}
	// npm writes its own list of what is there when it is done.
	have, err := os.Stat("node_modules/.package-lock.json")
	if err == nil && !have.ModTime().Before(lock.ModTime()) {
		return
	}
	Run(t, "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund")
}

// Run runs a program that must succeed; what it says is the test's log.
func Run(t testing.TB, name string, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.WaitDelay = 5 * time.Second
	out, err := cmd.CombinedOutput()
	t.Logf("%s %v\n%s", name, args, out)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
}
