// Package datadir lays out Oven's data directory and lets one server at a time use it.
//
// It owns the directory itself, files/, search/, backup/ and the file lock. What lies inside pg/ is package
// pgserver's, inside files/ package blob's.
package datadir

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// ErrLocked says that another server uses the data directory. The command line answers it with exit code 2.
var ErrLocked = errors.New("data directory is in use by another oven server")

// Prepare makes the data directory and its folders where they are missing, and returns its absolute path with
// symbolic links resolved, so that the same directory always has the same name. Modes do not depend on the umask:
// 0755 for the directory (PostgreSQL runs as another user and must pass through), 0700 for the folders. The mode of
// a directory that exists already is left alone.
func Prepare(dir string) (string, error) {
	if dir == "" {
		return "", errors.New("data directory: no path given")
	}
	abs, err := filepath.Abs(dir)
	if err != nil {
		return "", fmt.Errorf("data directory: %w", err)
	}
	if err := makeAll(abs, 0o755); err != nil {
		return "", fmt.Errorf("data directory: %w", err)
	}
	abs, err = filepath.EvalSymlinks(abs)
	if err != nil {
		return "", fmt.Errorf("data directory: %w", err)
	}
	for _, name := range []string{"files", "search", "backup"} {
		if err := makeAll(filepath.Join(abs, name), 0o700); err != nil {
			return "", fmt.Errorf("data directory: %w", err)
		}
	}
	return abs, nil
}

// makeAll is os.MkdirAll with a mode that the umask does not narrow, for every directory it makes.
func makeAll(dir string, mode os.FileMode) error {
	info, err := os.Stat(dir)
	if err == nil {
		if !info.IsDir() {
			return fmt.Errorf("%s is not a directory", dir)
		}
		return nil
	}
	if !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if parent := filepath.Dir(dir); parent != dir {
		if err := makeAll(parent, 0o755); err != nil {
			return err
		}
	}
	if err := os.Mkdir(dir, mode); err != nil {
		if errors.Is(err, os.ErrExist) { // made by someone else meanwhile
			return nil
		}
		return err
	}
	return os.Chmod(dir, mode)
}

// Lock is the right to serve from a data directory. The kernel gives it up when the process ends, however it ends.
type Lock struct{ f *os.File }

// TakeLock takes the data directory for this process, without waiting. The error is ErrLocked, with the holder's
// process id in its text, when another server has it.
func TakeLock(dir string) (*Lock, error) {
	path := filepath.Join(dir, "lock")
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("data directory: %w", err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		defer f.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, fmt.Errorf("%s: %w%s", dir, ErrLocked, holder(f))
		}
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	// The number is for people only; the lock is the kernel's.
	err = f.Truncate(0)
	if err == nil {
		_, err = f.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("write %s: %w", path, err)
	}
	return &Lock{f: f}, nil
}

func holder(f *os.File) string {
	text, err := io.ReadAll(io.LimitReader(f, 32))
	pid := strings.TrimSpace(string(text))
	if err != nil || pid == "" {
		return ""
	}
	return " (process " + pid + ")"
}

// Release gives the data directory up. The file stays: removing it would let two servers lock two files of one name.
func (l *Lock) Release() error { return l.f.Close() }
