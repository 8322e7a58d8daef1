package search

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"buttersc.one/oven/internal/lib/textindex"
)

// Local keeps indexes in folders of the data directory.
type Local struct {
	dir, name string
	log       *slog.Logger
}

// NewLocal prepares the folder, which belongs to this process alone.
func NewLocal(dir string, log *slog.Logger) (*Local, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil { //nolint:gosec // as the data directory; files are 0600
		return nil, fmt.Errorf("search: %w", err)
	}
	path := filepath.Join(dir, "name")
	name, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) || err == nil && len(name) == 0 {
		name = []byte(strings.ToLower(rand.Text()[:10]))
		err = os.WriteFile(path, name, 0o600)
	}
	if err != nil {
		return nil, fmt.Errorf("search: %w", err)
	}
	return &Local{dir, string(name), log}, nil
}

// Name implements Place.
func (l *Local) Name() string { return l.name }

// Driver implements Place.
func (l *Local) Driver() string { return "textindex" }

// Lead implements Place: the folder is this process' alone.
func (l *Local) Lead(context.Context) (int64, error) { return 0, nil }

// Leads implements Place.
func (l *Local) Leads() bool { return true }

// Release implements Place.
func (l *Local) Release() {}

func (l *Local) numbers() ([]int, error) {
	entries, err := os.ReadDir(l.dir)
	if err != nil {
		return nil, fmt.Errorf("search: %w", err)
	}
	var out []int
	for _, e := range entries {
		if n, err := strconv.Atoi(e.Name()); err == nil && e.IsDir() {
			out = append(out, n)
		}
	}
	slices.Sort(out)
	return out, nil
}

// Open implements Place.
func (l *Local) Open(context.Context) ([]Driver, error) {
	numbers, err := l.numbers()
	if err != nil {
		return nil, err
	}
	var out []Driver
	for _, n := range numbers {
		d, err := l.open(n)
		if err != nil {
			for _, o := range out {
				err = errors.Join(err, o.Close())
			}
			return nil, err
		}
		out = append(out, d)
	}
	return out, nil
}

// Make implements Place.
func (l *Local) Make(context.Context) (Driver, error) {
	numbers, err := l.numbers()
	if err != nil {
		return nil, err
	}
	n := 1
	if len(numbers) > 0 {
		n = numbers[len(numbers)-1] + 1
	}
	return l.open(n)
}

func (l *Local) open(n int) (*folder, error) {
	dir := filepath.Join(l.dir, strconv.Itoa(n))
	x, err := textindex.Open(dir, textindex.Options{Log: l.log})
	if err != nil {
		return nil, fmt.Errorf("search index %s: %w", dir, err)
	}
	return &folder{x, dir}, nil
}

// folder is a textindex as a Driver.
type folder struct {
	*textindex.Index
	dir string
}

// Apply implements Driver.
func (f *folder) Apply(_ context.Context, b textindex.Batch) error { return f.Index.Apply(b) }

// Search implements Driver.
func (f *folder) Search(_ context.Context, q textindex.Query) Hits { return f.Index.Search(q) }

// Flush implements Driver.
func (f *folder) Flush(context.Context) error { return f.Index.Flush() }

// Stats implements Driver.
func (f *folder) Stats(context.Context) (Stats, error) {
	s := f.Index.Stats()
	return Stats{Docs: s.Docs, Deleted: s.Deleted, Segments: s.Segments, Bytes: s.Bytes, Memory: s.Memory, Written: s.Written, Merging: s.Merging, Lost: s.Lost}, nil
}

// Drop implements Driver.
func (f *folder) Drop(context.Context) error {
	return errors.Join(f.Close(), os.RemoveAll(f.dir))
}
