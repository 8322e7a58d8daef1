package confine_test

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"buttersc.one/oven/internal/lib/confine"
)

// run gives what a shell command prints, confined.
func run(t *testing.T, l confine.Limits, script string) (string, error) {
	t.Helper()
	if l.Memory == 0 {
		l.Memory = 256 << 20
	}
	if l.Time == 0 {
		l.Time = 10 * time.Second
	}
	cmd, done := confine.Command(t.Context(), l, "/bin/bash", "-c", script)
	defer done()
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	return out.String(), err
}

func TestBounds(t *testing.T) {
	t.Parallel()
	if out, err := run(t, confine.Limits{}, "echo $HOME; echo fine"); err != nil || out != "/nonexistent\nfine\n" {
		t.Fatalf("%q %v", out, err)
	}
	dir := t.TempDir()
	file := filepath.Join(dir, "read")
	if err := os.WriteFile(file, []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	for what, script := range map[string]string{
		"writes":   "echo x > " + dir + "/new",
		"appends":  "echo x >> " + file,
		"connects": "exec 3<>/dev/tcp/127.0.0.1/1 || exec 3<>/dev/udp/127.0.0.1/1",
		"kills":    "kill -9 $PPID",
	} {
		if out, err := run(t, confine.Limits{Read: []string{file}}, script); err == nil {
			t.Errorf("it %s: %s", what, out)
		} else if what == "connects" && !strings.Contains(out, "Operation not permitted") {
			t.Errorf("%s: %s", what, out)
		}
	}
	if b, err := os.ReadFile(file); err != nil || string(b) != "secret" {
		t.Errorf("the file became %q (%v)", b, err)
	}
	if b, _ := os.ReadFile(filepath.Join(dir, "new")); len(b) > 0 {
		t.Errorf("a file was written: %q", b)
	}
	if out, err := run(t, confine.Limits{Read: []string{file}}, "cat "+file); err != nil || out != "secret" {
		t.Errorf("what is named cannot be read: %q %v", out, err)
	}
	if confine.Landlocked() {
		if out, err := run(t, confine.Limits{}, "cat "+file); err == nil {
			t.Errorf("what is not named was read: %q", out)
		}
	} else {
		t.Log("this kernel has no Landlock: files are not kept from being read")
	}
}

func TestEnds(t *testing.T) {
	t.Parallel()
	begun := time.Now()
	if out, err := run(t, confine.Limits{Time: time.Second}, "while :; do :; done"); err == nil || time.Since(begun) > 8*time.Second {
		t.Errorf("it ran for %s: %q", time.Since(begun), out)
	}
	begun = time.Now()
	if out, err := run(t, confine.Limits{Time: time.Second}, "sleep 20"); err == nil || time.Since(begun) > 8*time.Second {
		t.Errorf("it slept for %s: %q", time.Since(begun), out)
	}
	if out, err := run(t, confine.Limits{Memory: 64 << 20}, "a=x; while :; do a=$a$a; done"); err == nil || !strings.Contains(out, "cannot allocate") {
		t.Errorf("it had as much memory as it liked: %.200q %v", out, err)
	}
	cmd, done := confine.Command(t.Context(), confine.Limits{Memory: 1 << 26, Time: time.Second}, "/nonexistent")
	defer done()
	var exit *exec.ExitError
	if err := cmd.Run(); !errors.As(err, &exit) || exit.ExitCode() != 127 {
		t.Errorf("a program that is not there: %v", err)
	}
}
