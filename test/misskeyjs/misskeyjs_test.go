// Package misskeyjs lives on the built server as a real Misskey client does:
// npm misskey-js, type-checked, with its stream.
package misskeyjs_test

import (
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"buttersc.one/oven/internal/lib/pgserver/pgtest"
)

func TestMisskeyJS(t *testing.T) {
	install(t)
	run(t, "node_modules/.bin/tsc")
	run(t, "node", "build/drive.js", serve(t))
}

// install brings node_modules up to the lock file.
func install(t *testing.T) {
	t.Helper()
	lock, err := os.Stat("package-lock.json")
	if err != nil {
		t.Fatal(err)
	}
	have, err := os.Stat("node_modules/.package-lock.json")
	if err != nil || have.ModTime().Before(lock.ModTime()) {
		run(t, "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund")
	}
}

func run(t *testing.T, name string, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	out, err := cmd.CombinedOutput()
	t.Logf("%s %v\n%s", name, args, out)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
}

// serve builds and runs the server in test mode and gives its origin.
func serve(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	bin := filepath.Join(dir, "oven")
	run(t, "go", "build", "-o", bin, "../../cmd/oven")
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	origin := "http://" + addr
	cmd := exec.Command(bin, "serve")
	cmd.Env = append(os.Environ(), "OVEN_MODE=test", "OVEN_URL="+origin, "OVEN_LISTEN="+addr, "OVEN_DATA_DIR="+filepath.Join(dir, "data"),
		"OVEN_DATABASE_URL="+pgtest.DSN(t))
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		if err := cmd.Wait(); err != nil {
			t.Errorf("serve ended with %v", err)
		}
	})
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		res, err := http.Get(origin + "/healthz")
		if err == nil {
			_ = res.Body.Close()
			if res.StatusCode == http.StatusOK {
				return origin
			}
		}
		if time.Now().After(deadline) {
			t.Fatal("the server does not answer")
		}
	}
}
