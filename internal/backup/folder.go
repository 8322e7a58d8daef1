package backup

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path"

	"golang.org/x/sys/unix"
)

// folder is a place on a disk:
//
//	DIR/NAME         as it was named
//	DIR/.temp/RANDOM being written
//	DIR/.lock        held while somebody writes
type folder struct {
	dir  string
	root *os.Root
}

const (
	tempDir  = ".temp"
	lockFile = ".lock"
)

func openFolder(dir string, make bool) (*folder, error) {
	if make {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, fmt.Errorf("backup: %w", err)
		}
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("backup: %w", err)
	}
	return &folder{dir: dir, root: root}, nil
}

func (f *folder) String() string { return f.dir }

func (f *folder) lock(context.Context) (func(), error) {
	file, err := f.root.OpenFile(lockFile, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("backup: %w", err)
	}
	if err := unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		_ = file.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, fmt.Errorf("%s: %w", f.dir, ErrBusy)
		}
		return nil, fmt.Errorf("backup: lock %s: %w", f.dir, err)
	}
	return func() { _ = file.Close() }, nil
}

func (f *folder) tidy(context.Context) error {
	if err := f.root.RemoveAll(tempDir); err != nil {
		return fmt.Errorf("backup: %w", err)
	}
	return nil
}

func (f *folder) put(ctx context.Context, name string, r io.Reader, _ int64) (n int64, err error) {
	temp := path.Join(tempDir, rand.Text())
	if err := f.mkdir(tempDir); err != nil {
		return 0, fmt.Errorf("backup: %w", err)
	}
	file, err := f.root.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return 0, fmt.Errorf("backup: %w", err)
	}
	defer func() {
		if err != nil {
			_ = file.Close()
			_ = f.root.Remove(temp)
			err = fmt.Errorf("backup: write %s: %w", name, err)
		}
	}()
	if n, err = io.Copy(file, reader{ctx, r}); err != nil {
		return 0, err
	}
	if err = file.Sync(); err != nil {
		return 0, err
	}
	if err = file.Close(); err != nil {
		return 0, err
	}
	if err = f.mkdir(path.Dir(name)); err != nil {
		return 0, err
	}
	if err = f.root.Rename(temp, name); err != nil {
		return 0, err
	}
	return n, f.sync(path.Dir(name))
}

// mkdir makes a directory and those above it, so that they outlive a crash.
func (f *folder) mkdir(dir string) error {
	if dir == "." {
		return nil
	}
	if info, err := f.root.Stat(dir); err == nil && info.IsDir() {
		return nil
	}
	if err := f.mkdir(path.Dir(dir)); err != nil {
		return err
	}
	if err := f.root.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return f.sync(path.Dir(dir))
}

func (f *folder) sync(dir string) error {
	d, err := f.root.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// reader ends a copy when its context ends.
type reader struct {
	ctx context.Context
	r   io.Reader
}

func (r reader) Read(p []byte) (int, error) {
	if r.ctx.Err() != nil {
		return 0, context.Cause(r.ctx)
	}
	return r.r.Read(p)
}

func (f *folder) open(_ context.Context, name string) (io.ReadCloser, error) {
	file, err := f.root.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("backup: %s in %s %w", name, f.dir, errNone)
	}
	if err != nil {
		return nil, fmt.Errorf("backup: %w", err)
	}
	return file, nil
}

func (f *folder) list(ctx context.Context, prefix string) iter.Seq2[object, error] {
	return func(yield func(object, error) bool) {
		err := fs.WalkDir(f.root.FS(), path.Clean("./"+prefix), func(name string, e fs.DirEntry, err error) error {
			if err == nil {
				err = context.Cause(ctx)
			}
			if errors.Is(err, fs.ErrNotExist) {
				return nil
			}
			if err != nil {
				return err
			}
			if e.IsDir() {
				if name == tempDir {
					return fs.SkipDir
				}
				return nil
			}
			if name == lockFile || !e.Type().IsRegular() {
				return nil
			}
			info, err := e.Info()
			if errors.Is(err, fs.ErrNotExist) {
				return nil
			}
			if err != nil {
				return err
			}
			if !yield(object{name, info.Size()}, nil) {
				return fs.SkipAll
			}
			return nil
		})
		if err != nil {
			yield(object{}, fmt.Errorf("backup: list %s: %w", f.dir, err))
		}
	}
}

// remove takes the directory along when it was the last in it.
func (f *folder) remove(_ context.Context, name string) error {
	if err := f.root.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("backup: %w", err)
	}
	for dir := path.Dir(name); dir != "." && f.root.Remove(dir) == nil; {
		dir = path.Dir(dir)
	}
	return nil
}
