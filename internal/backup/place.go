package backup

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"path/filepath"
	"strings"

	"buttersc.one/oven/internal/lib/config"
)

// errNone says that a place has nothing under a name.
var errNone = errors.New("is not there")

// ErrBusy says that somebody else is at it in the same place.
var ErrBusy = errors.New("another backup is under way there")

// object is something that lies in a place.
type object struct {
	Name string
	Size int64 // bytes, as stored
}

// Place keeps what is written under names with slashes. Names are ours: no place
// needs to guard against others.
type Place interface {
	// put stores all of r whole or not at all; when it returns nil it survives a
	// crash. size is r's, -1 when it is not known.
	put(ctx context.Context, name string, r io.Reader, size int64) (int64, error)
	// open gives errNone where there is nothing.
	open(ctx context.Context, name string) (io.ReadCloser, error)
	// list yields what lies below a prefix that ends with a slash, or "" for all.
	list(ctx context.Context, prefix string) iter.Seq2[object, error]
	// remove is content when there is nothing.
	remove(ctx context.Context, name string) error
	// lock keeps others out of the place as far as it can; ErrBusy.
	lock(ctx context.Context) (release func(), err error)
	// tidy throws away what writers that were killed left half. Only whoever holds the
	// lock may, and only in a place of this server's.
	tidy(ctx context.Context) error
	// String is the address, without secrets.
	String() string
}

// OpenPlace opens a folder, which is made if make is true, or a bucket by s3://BUCKET/PREFIX.
func OpenPlace(address string, set config.S3, make bool) (Place, error) {
	if rest, ok := strings.CutPrefix(address, "s3://"); ok {
		return openS3(rest, set)
	}
	if address == "" {
		return nil, errors.New("backup: no place given: a folder, or s3://bucket/prefix")
	}
	if strings.Contains(address, "://") {
		return nil, fmt.Errorf("backup: %q is neither a folder nor s3://bucket/prefix", address)
	}
	abs, err := filepath.Abs(address)
	if err != nil {
		return nil, fmt.Errorf("backup: %w", err)
	}
	return openFolder(abs, make)
}
