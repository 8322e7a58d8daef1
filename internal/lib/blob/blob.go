// Package blob stores files by key: what users upload, thumbnails, emoji, cached remote media.
//
// It knows nothing of who owns a file or what is in it. A key names one content for ever: writers take a new random
// key for new content, so readers and caches never see a change.
package blob

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"regexp"
	"time"
)

var (
	// ErrNotFound says that nothing is stored under the key.
	ErrNotFound = errors.New("blob: not found")
	// ErrKey says that a key is not one: see CheckKey.
	ErrKey = errors.New("blob: not a valid key")
	// ErrTooLarge says that the content was longer than PutOptions.Max. Nothing was stored.
	ErrTooLarge = errors.New("blob: larger than allowed")
)

// Info is what a store knows of a file.
type Info struct {
	Key      string
	Size     int64     // bytes
	Modified time.Time // when it was stored
}

// PutOptions are hints and limits for Put.
type PutOptions struct {
	ContentType string // media type, for stores that serve files themselves; the disk keeps none
	Max         int64  // bytes; 0: no limit
}

// File is an open file. It must be closed.
type File interface {
	io.ReadSeekCloser
	Info() Info
}

// Store keeps files. Implementations may be used by many goroutines at once; every method may return ErrKey.
type Store interface {
	// Put stores all of r under key, replacing what was there. When it returns without an error the file survives a
	// crash of the machine; on any error, of r too, nothing has changed.
	Put(ctx context.Context, key string, r io.Reader, o PutOptions) (Info, error)
	// Open returns ErrNotFound when there is no such file. What is open stays readable when it is deleted or replaced.
	Open(ctx context.Context, key string) (File, error)
	// Stat returns ErrNotFound when there is no such file.
	Stat(ctx context.Context, key string) (Info, error)
	// Delete returns nil when there is no such file: deleting again is not an error.
	Delete(ctx context.Context, key string) error
	// All yields every file once, in no order, and ends with the first error. Files that come or go meanwhile may or
	// may not be among them.
	All(ctx context.Context) iter.Seq2[Info, error]
}

var keyPattern = regexp.MustCompile(`^[A-Za-z0-9_-][A-Za-z0-9._-]{0,199}$`)

// CheckKey returns ErrKey unless key is 1 to 200 characters of A-Z a-z 0-9 . _ - and begins with another than a dot.
func CheckKey(key string) error {
	if !keyPattern.MatchString(key) {
		return fmt.Errorf("%w: %.100q", ErrKey, key)
	}
	return nil
}
