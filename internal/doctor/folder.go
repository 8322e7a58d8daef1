package doctor

import (
	"context"
	"io/fs"
	"iter"
	"os"
	"path/filepath"

	"buttersc.one/oven/internal/lib/blob"
)

// Folder is the files below a folder of the disk, to be looked at only: Oven's,
// which lie in folders of their own, or Misskey's, which lie side by side.
type Folder string

// All yields every file once; its key is its name.
func (d Folder) All(ctx context.Context) iter.Seq2[blob.Info, error] {
	return func(yield func(blob.Info, error) bool) {
		err := filepath.WalkDir(string(d), func(path string, e fs.DirEntry, err error) error {
			switch {
			case ctx.Err() != nil:
				return ctx.Err()
			case err != nil && (!os.IsNotExist(err) || path == string(d)):
				return err
			case err != nil:
				return nil //nolint:nilerr // it went while it was read
			case e.IsDir() && path != string(d) && e.Name()[0] == '.':
				return fs.SkipDir // what is not stored yet
			case !e.Type().IsRegular() || blob.CheckKey(e.Name()) != nil:
				return nil //nolint:nilerr // no file of a store
			}
			info, err := e.Info()
			if err != nil && !os.IsNotExist(err) {
				return err
			}
			if err == nil && !yield(blob.Info{Key: e.Name(), Size: info.Size(), Modified: info.ModTime()}, nil) {
				return fs.SkipAll
			}
			return nil
		})
		if err != nil {
			yield(blob.Info{}, err)
		}
	}
}
