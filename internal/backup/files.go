package backup

import (
	"bufio"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"buttersc.one/oven/internal/lib/blob"
)

// File is a line of the list of files.
type File struct {
	Key    string    `json:"key"`
	Size   int64     `json:"size"`
	SHA256 string    `json:"sha256"`
	Object string    `json:"object"` // the name of its contents, below objects/
	Stored int64     `json:"stored"` // bytes of the object
	At     time.Time `json:"at"`     // when it was put here
}

// same tells whether what is here is what the line is about. A key has one content
// for ever, so this is enough, and a file is read once in its life.
func (f File) same(i blob.Info) bool {
	return f.Key == i.Key && f.Size == i.Size && f.At.Equal(i.Modified)
}

// copyWorkers is how many files are on their way at a time.
const copyWorkers = 4

// carrier brings files to a place.
type carrier struct {
	v     *vault
	files blob.Store
	name  func(sum []byte) string // of what has this hash

	there map[string]int64 // objects of the place and their length
	added int64            // bytes
}

// look finds out what the place has.
func (c *carrier) look(ctx context.Context) error {
	c.there = map[string]int64{}
	for o, err := range c.v.list(ctx, objectsDir) {
		if err != nil {
			return err
		}
		c.there[strings.TrimPrefix(o.Name, objectsDir)] = o.Size
	}
	return nil
}

// carry brings what the place does not have yet, and gives a line for each file,
// by key. known are the lines of an earlier time, by key.
func (c *carrier) carry(ctx context.Context, known []File) ([]File, error) {
	var here []blob.Info
	for i, err := range c.files.All(ctx) {
		if err != nil {
			return nil, fmt.Errorf("backup: %w", err)
		}
		here = append(here, i)
	}
	slices.SortFunc(here, func(a, b blob.Info) int { return strings.Compare(a.Key, b.Key) })
	out := make([]File, len(here))
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(copyWorkers)
	type done struct {
		at    int
		file  File
		gone  bool
		added int64
	}
	results := make(chan done)
	collected := make(chan struct{})
	go func() {
		defer close(collected)
		for d := range results {
			if !d.gone {
				out[d.at] = d.file
				c.added += d.added
			}
		}
	}()
	k := 0
	for at, i := range here {
		for k < len(known) && known[k].Key < i.Key {
			k++
		}
		if k < len(known) && known[k].same(i) {
			if size, ok := c.there[known[k].Object]; ok && size == known[k].Stored {
				results <- done{at: at, file: known[k]}
				continue
			}
		}
		if gctx.Err() != nil {
			break
		}
		g.Go(func() error {
			f, added, err := c.one(gctx, i)
			if errors.Is(err, blob.ErrNotFound) { // erased meanwhile
				results <- done{at: at, gone: true}
				return nil
			}
			if err == nil {
				results <- done{at: at, file: f, added: added}
			}
			return err
		})
	}
	err := g.Wait()
	close(results)
	<-collected
	if err == nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		return nil, err
	}
	for _, f := range out {
		if f.Key != "" {
			c.there[f.Object] = f.Stored
		}
	}
	return slices.DeleteFunc(out, func(f File) bool { return f.Key == "" }), nil
}

// one reads a file for its hash, and once more to bring it when the place does not
// have it.
func (c *carrier) one(ctx context.Context, i blob.Info) (File, int64, error) {
	in, err := c.files.Open(ctx, i.Key)
	if err != nil {
		return File{}, 0, err
	}
	defer func() { _ = in.Close() }()
	m := newMeter(reader{ctx, in})
	if _, err := io.Copy(io.Discard, m); err != nil {
		return File{}, 0, fmt.Errorf("backup: read file %s: %w", i.Key, err)
	}
	part := m.part()
	sum, err := hex.DecodeString(part.SHA256)
	if err != nil {
		return File{}, 0, err
	}
	f := File{Key: i.Key, Size: part.Size, SHA256: part.SHA256, At: in.Info().Modified}
	name := c.name(sum)
	f.Object = c.v.name(name)
	if size, ok := c.there[f.Object]; ok && (size == part.Size || c.v.encrypts() && size > part.Size) {
		f.Stored = size
		return f, 0, nil
	}
	if _, err := in.Seek(0, io.SeekStart); err != nil {
		return File{}, 0, err
	}
	wrote, n, err := c.v.write(ctx, objectsDir+name, in, part.Size)
	if err != nil {
		return File{}, 0, err
	}
	if wrote != part {
		return File{}, 0, fmt.Errorf("backup: file %s changed while it was read", i.Key)
	}
	f.Stored = n
	return f, n, nil
}

// objectName is where what has a hash lies: two levels, so that no folder gets large.
func objectName(sum []byte) string {
	text := hex.EncodeToString(sum)
	return text[:2] + "/" + text
}

// writeLines writes values as lines of JSON.
func writeLines[T any](w io.Writer, list []T) error {
	b := bufio.NewWriter(w)
	enc := json.NewEncoder(b)
	for _, v := range list {
		if err := enc.Encode(v); err != nil {
			return err
		}
	}
	return b.Flush()
}

// linesOf is a reader of such lines.
func linesOf[T any](list []T) io.ReadCloser {
	r, w := io.Pipe()
	go func() { _ = w.CloseWithError(writeLines(w, list)) }()
	return r
}

// eachLine reads such lines.
func eachLine[T any](r io.Reader, f func(T) error) error {
	dec := json.NewDecoder(r)
	for {
		var v T
		if err := dec.Decode(&v); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		if err := f(v); err != nil {
			return err
		}
	}
}

// remember keeps the lines for the next time; forgetting them costs reading all
// files once more.
func remember(path string, list []File) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".known-*")
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(f.Name()) }()
	err = writeLines(f, list)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

// recall gives what was remembered, or nothing.
func recall(path string) []File {
	f, err := os.Open(path)
	if err != nil {
		return nil
	}
	defer func() { _ = f.Close() }()
	var out []File
	if err := eachLine(f, func(l File) error { out = append(out, l); return nil }); err != nil {
		return nil
	}
	return out
}
