package blob

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path"
	"time"
)

// Disk stores files in a directory:
//
//	DIR/3f2/KEY       3f2: from the key's hash, so that no directory gets too large
//	DIR/.temp/RANDOM  being written
type Disk struct {
	root *os.Root // also what keeps every path inside of DIR
}

const (
	tempDir  = ".temp"
	fileMode = 0o600
	dirMode  = 0o700
	// abandoned is how old a temporary file is when no Put can be at it any more.
	abandoned = 24 * time.Hour
)

var _ Store = (*Disk)(nil)

// NewDisk opens a directory, making it if needed, and removes what writers that were killed left behind.
func NewDisk(dir string) (*Disk, error) {
	if err := os.MkdirAll(dir, dirMode); err != nil {
		return nil, fmt.Errorf("blob: %w", err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("blob: %w", err)
	}
	d := &Disk{root: root}
	if err := d.clean(time.Now().Add(-abandoned)); err != nil {
		root.Close()
		return nil, err
	}
	return d, nil
}

// Close gives the directory up. Open files stay open.
func (d *Disk) Close() error { return d.root.Close() }

func (d *Disk) clean(before time.Time) error {
	if err := d.mkdir(tempDir); err != nil {
		return err
	}
	entries, err := fs.ReadDir(d.root.FS(), tempDir)
	if err != nil {
		return fmt.Errorf("blob: %w", err)
	}
	for _, e := range entries {
		info, err := e.Info()
		if errors.Is(err, fs.ErrNotExist) || err == nil && info.ModTime().After(before) {
			continue
		}
		if err == nil {
			err = d.root.Remove(path.Join(tempDir, e.Name()))
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("blob: %w", err)
		}
	}
	return nil
}

func (d *Disk) mkdir(name string) error {
	err := d.root.Mkdir(name, dirMode)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err == nil {
		err = d.sync(".")
	}
	if err != nil {
		return fmt.Errorf("blob: %w", err)
	}
	return nil
}

// sync flushes a directory: without it a crash may forget a name.
func (d *Disk) sync(dir string) error {
	f, err := d.root.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

func shard(key string) string {
	sum := sha256.Sum256([]byte(key))
	return hex.EncodeToString(sum[:2])[:3]
}

// Put is Store's.
func (d *Disk) Put(ctx context.Context, key string, r io.Reader, o PutOptions) (_ Info, err error) {
	if err := CheckKey(key); err != nil {
		return Info{}, err
	}
	temp := path.Join(tempDir, rand.Text())
	f, err := d.root.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, fileMode)
	if err != nil {
		return Info{}, fmt.Errorf("blob: put %s: %w", key, err)
	}
	defer func() {
		if err != nil {
			f.Close()
			d.root.Remove(temp) // what cannot be removed now, the next start removes
			err = fmt.Errorf("blob: put %s: %w", key, err)
		}
	}()
	in := io.Reader(reader{ctx, r})
	if o.Max > 0 {
		in = io.LimitReader(in, o.Max+1)
	}
	size, err := io.Copy(f, in)
	if err != nil {
		return Info{}, err
	}
	if o.Max > 0 && size > o.Max {
		return Info{}, ErrTooLarge
	}
	if err := f.Sync(); err != nil {
		return Info{}, err
	}
	info, err := f.Stat()
	if err != nil {
		return Info{}, err
	}
	if err := f.Close(); err != nil {
		return Info{}, err
	}
	dir := shard(key)
	if err := d.mkdir(dir); err != nil {
		return Info{}, err
	}
	if err := d.root.Rename(temp, path.Join(dir, key)); err != nil {
		return Info{}, err
	}
	if err := d.sync(dir); err != nil {
		return Info{}, err
	}
	return Info{Key: key, Size: size, Modified: info.ModTime().UTC()}, nil
}

// reader ends a copy when its context ends.
type reader struct {
	ctx context.Context
	r   io.Reader
}

func (r reader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, context.Cause(r.ctx)
	}
	return r.r.Read(p)
}

type diskFile struct {
	*os.File
	info Info
}

func (f diskFile) Info() Info { return f.info }

// Open is Store's.
func (d *Disk) Open(_ context.Context, key string) (File, error) {
	if err := CheckKey(key); err != nil {
		return nil, err
	}
	f, err := d.root.Open(path.Join(shard(key), key))
	if err != nil {
		return nil, missing(key, err)
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fs.ErrNotExist
	}
	if err != nil {
		f.Close()
		return nil, missing(key, err)
	}
	return diskFile{f, infoOf(info)}, nil
}

// Stat is Store's.
func (d *Disk) Stat(_ context.Context, key string) (Info, error) {
	if err := CheckKey(key); err != nil {
		return Info{}, err
	}
	info, err := d.root.Lstat(path.Join(shard(key), key))
	if err == nil && !info.Mode().IsRegular() {
		err = fs.ErrNotExist
	}
	if err != nil {
		return Info{}, missing(key, err)
	}
	return infoOf(info), nil
}

// Delete is Store's.
func (d *Disk) Delete(_ context.Context, key string) error {
	if err := CheckKey(key); err != nil {
		return err
	}
	err := d.root.Remove(path.Join(shard(key), key))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("blob: delete %s: %w", key, err)
	}
	return nil
}

// All is Store's. It skips what is not ours: names that are no keys, files that are not where their key belongs.
func (d *Disk) All(ctx context.Context) iter.Seq2[Info, error] {
	return func(yield func(Info, error) bool) {
		err := fs.WalkDir(d.root.FS(), ".", func(name string, e fs.DirEntry, err error) error {
			if err == nil {
				err = context.Cause(ctx)
			}
			if err != nil {
				return unlessGone(err)
			}
			if e.IsDir() {
				if name == tempDir {
					return fs.SkipDir
				}
				return nil
			}
			if !e.Type().IsRegular() || !keyPattern.MatchString(e.Name()) || path.Dir(name) != shard(e.Name()) {
				return nil
			}
			info, err := e.Info()
			if err != nil {
				return unlessGone(err)
			}
			if !yield(infoOf(info), nil) {
				return fs.SkipAll
			}
			return nil
		})
		if err != nil {
			yield(Info{}, fmt.Errorf("blob: list: %w", err))
		}
	}
}

// unlessGone forgives what was deleted while the directory is read.
func unlessGone(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

func infoOf(info fs.FileInfo) Info {
	return Info{Key: info.Name(), Size: info.Size(), Modified: info.ModTime().UTC()}
}

func missing(key string, err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w: %s", ErrNotFound, key)
	}
	return fmt.Errorf("blob: open %s: %w", key, err)
}
