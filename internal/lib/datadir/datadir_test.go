package datadir_test

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"buttersc.one/oven/internal/lib/datadir"
)

func TestPrepareMakesTheLayout(t *testing.T) {
	old := unix.Umask(0o077) // a careful shell must not lock PostgreSQL out
	defer unix.Umask(old)
	dir, err := datadir.Prepare(filepath.Join(t.TempDir(), "a", "b"))
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]os.FileMode{"..": 0o755, ".": 0o755, "files": 0o700, "search": 0o700, "backup": 0o700} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != want {
			t.Errorf("%s has mode %o, want %o", name, info.Mode().Perm(), want)
		}
	}
}

func TestPrepareKeepsWhatIsThere(t *testing.T) {
	base := t.TempDir()
	if err := os.Chmod(base, 0o750); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(base, link); err != nil {
		t.Fatal(err)
	}
	dir, err := datadir.Prepare(link)
	if err != nil {
		t.Fatal(err)
	}
	want, err := filepath.EvalSymlinks(base)
	if err != nil {
		t.Fatal(err)
	}
	if dir != want {
		t.Errorf("got %s, want the resolved %s", dir, want)
	}
	if info, err := os.Stat(base); err != nil || info.Mode().Perm() != 0o750 {
		t.Errorf("mode of an existing directory changed: %v %v", info.Mode(), err)
	}
}

func TestPrepareRefusesAFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{"", file, filepath.Join(file, "below")} {
		if _, err := datadir.Prepare(dir); err == nil {
			t.Errorf("Prepare(%q) succeeded", dir)
		}
	}
}

func TestLockIsExclusive(t *testing.T) {
	dir, err := datadir.Prepare(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	first, err := datadir.TakeLock(dir)
	if err != nil {
		t.Fatal(err)
	}
	_, err = datadir.TakeLock(dir)
	if !errors.Is(err, datadir.ErrLocked) {
		t.Fatalf("second lock: %v", err)
	}
	if !strings.Contains(err.Error(), strconv.Itoa(os.Getpid())) {
		t.Errorf("error does not name the holder: %v", err)
	}
	if err := first.Release(); err != nil {
		t.Fatal(err)
	}
	again, err := datadir.TakeLock(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := again.Release(); err != nil {
		t.Fatal(err)
	}
}
