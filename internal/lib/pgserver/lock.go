package pgserver

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

const (
	shared    = unix.LOCK_SH
	exclusive = unix.LOCK_EX
)

var errHeld = errors.New("lock is held")

// tryLock takes a lock without waiting; errHeld when it is not to be had. Closing the file releases it. The kernel
// does so too when the process dies; PostgreSQL does not inherit it (O_CLOEXEC).
func tryLock(path string, how int) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if errors.Is(err, os.ErrPermission) {
		return nil, fmt.Errorf("pgserver: %w: run as root or as the owner of the data directory", err)
	}
	if err != nil {
		return nil, fmt.Errorf("pgserver: %w", err)
	}
	if err := unix.Flock(int(f.Fd()), how|unix.LOCK_NB); err != nil {
		f.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, errHeld
		}
		return nil, fmt.Errorf("pgserver: lock %s: %w", path, err)
	}
	if how == exclusive { // for the message of who waits; nothing relies on it
		if f.Truncate(0) == nil {
			f.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
		}
	}
	return f, nil
}

func lockHolder(path string) string {
	f, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, 32))
	pid := strings.TrimSpace(string(text))
	if err != nil || pid == "" {
		return ""
	}
	return " (process " + pid + ")"
}

func waitLock(ctx context.Context, path string, how int) (*os.File, error) {
	for {
		f, err := tryLock(path, how)
		if !errors.Is(err, errHeld) {
			return f, err
		}
		if err := sleep(ctx, 20*time.Millisecond); err != nil {
			return nil, err
		}
	}
}

// waitOwner takes the owner lock, asking a keeper to leave meanwhile.
func (at layout) waitOwner(ctx context.Context, patience time.Duration) (*os.File, error) {
	if err := at.makeHome(); err != nil {
		return nil, err
	}
	f, err := tryLock(at.ownerLock, exclusive)
	if !errors.Is(err, errHeld) {
		return f, err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, patience, ErrBusy)
	defer cancel()
	wanted, err := waitLock(ctx, at.wantedLock, shared)
	if err == nil {
		defer wanted.Close()
		f, err = waitLock(ctx, at.ownerLock, exclusive)
	}
	if err != nil {
		return nil, fmt.Errorf("pgserver: %s: %w%s", at.home, err, lockHolder(at.ownerLock))
	}
	return f, nil
}
