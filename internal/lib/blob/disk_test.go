package blob_test

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"time"

	"golang.org/x/sys/unix"

	"buttersc.one/oven/internal/lib/blob"
)

func disk(t *testing.T) (*blob.Disk, string) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "files")
	d, err := blob.NewDisk(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d, dir
}

func put(t *testing.T, d *blob.Disk, key, text string) {
	t.Helper()
	info, err := d.Put(t.Context(), key, strings.NewReader(text), blob.PutOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if info.Key != key || info.Size != int64(len(text)) || time.Since(info.Modified) > time.Minute {
		t.Errorf("stored %+v", info)
	}
}

func get(t *testing.T, d *blob.Disk, key string) string {
	t.Helper()
	f, err := d.Open(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	text, err := io.ReadAll(f)
	if err != nil {
		t.Fatal(err)
	}
	if f.Info().Size != int64(len(text)) {
		t.Errorf("size %d, read %d", f.Info().Size, len(text))
	}
	return string(text)
}

// files are the names of all regular files below dir.
func files(t *testing.T, dir string) []string {
	t.Helper()
	var found []string
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			found = append(found, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func TestPutOpenStatDelete(t *testing.T) {
	d, _ := disk(t)
	put(t, d, "a.webp", "hello")
	if got := get(t, d, "a.webp"); got != "hello" {
		t.Errorf("got %q", got)
	}
	put(t, d, "a.webp", "again, longer")
	if got := get(t, d, "a.webp"); got != "again, longer" {
		t.Errorf("got %q", got)
	}
	info, err := d.Stat(t.Context(), "a.webp")
	if err != nil || info.Size != 13 || info.Key != "a.webp" {
		t.Errorf("%+v %v", info, err)
	}
	open, err := d.Open(t.Context(), "a.webp")
	if err != nil {
		t.Fatal(err)
	}
	defer open.Close()
	for range 2 {
		if err := d.Delete(t.Context(), "a.webp"); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := d.Open(t.Context(), "a.webp"); !errors.Is(err, blob.ErrNotFound) {
		t.Errorf("open: %v", err)
	}
	if _, err := d.Stat(t.Context(), "a.webp"); !errors.Is(err, blob.ErrNotFound) {
		t.Errorf("stat: %v", err)
	}
	if _, err := open.Seek(7, io.SeekStart); err != nil {
		t.Fatal(err)
	}
	if text, err := io.ReadAll(open); err != nil || string(text) != "longer" {
		t.Errorf("what was open before the delete: %q %v", text, err)
	}
}

func TestKeys(t *testing.T) {
	d, dir := disk(t)
	outside := filepath.Join(filepath.Dir(dir), "outside")
	if err := os.WriteFile(outside, []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	bad := []string{"", ".", "..", ".hidden", ".temp", "../outside", "a/b", "/etc/passwd", "a\\b", "a b", "a\x00", "한글", "a\n", strings.Repeat("a", 201)}
	for _, key := range bad {
		_, err1 := d.Put(t.Context(), key, strings.NewReader("x"), blob.PutOptions{})
		_, err2 := d.Open(t.Context(), key)
		_, err3 := d.Stat(t.Context(), key)
		err4 := d.Delete(t.Context(), key)
		for _, err := range []error{err1, err2, err3, err4} {
			if !errors.Is(err, blob.ErrKey) {
				t.Errorf("%q: %v", key, err)
			}
		}
	}
	if text, err := os.ReadFile(outside); err != nil || string(text) != "secret" {
		t.Errorf("outside was touched: %q %v", text, err)
	}
	for _, key := range []string{"a", "-", "_.", "a..b", "A-Z_0.9", strings.Repeat("a", 200)} {
		put(t, d, key, "x")
	}
}

// A link that someone put into the directory leads nowhere.
func TestLinksAreNotFollowedOutside(t *testing.T) {
	d, dir := disk(t)
	put(t, d, "a", "x")
	place := files(t, dir)[0]
	if err := os.Remove(place); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/etc/passwd", place); err != nil {
		t.Fatal(err)
	}
	if f, err := d.Open(t.Context(), "a"); err == nil {
		f.Close()
		t.Error("opened a link to the outside")
	}
	if _, err := d.Stat(t.Context(), "a"); !errors.Is(err, blob.ErrNotFound) {
		t.Errorf("stat: %v", err)
	}
}

func TestModes(t *testing.T) {
	old := unix.Umask(0)
	defer unix.Umask(old)
	d, dir := disk(t)
	put(t, d, "a", "x")
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		want := os.FileMode(0o600)
		if e.IsDir() {
			want = 0o700
		}
		if info.Mode().Perm() != want {
			t.Errorf("%s has mode %o", path, info.Mode().Perm())
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestFailedPutChangesNothing(t *testing.T) {
	d, dir := disk(t)
	put(t, d, "a", "old")
	broken := errors.New("broken")
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	for name, c := range map[string]struct {
		ctx  context.Context
		r    io.Reader
		max  int64
		want error
	}{
		"reader":    {t.Context(), io.MultiReader(strings.NewReader("new"), iotest.ErrReader(broken)), 0, broken},
		"too large": {t.Context(), strings.NewReader("new"), 2, blob.ErrTooLarge},
		"cancelled": {cancelled, strings.NewReader("new"), 0, context.Canceled},
	} {
		if _, err := d.Put(c.ctx, "a", c.r, blob.PutOptions{Max: c.max}); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
		if got := get(t, d, "a"); got != "old" {
			t.Errorf("%s: now %q", name, got)
		}
		if left := files(t, dir); len(left) != 1 {
			t.Errorf("%s: left behind %v", name, left)
		}
	}
	if _, err := d.Put(t.Context(), "a", strings.NewReader("new"), blob.PutOptions{Max: 3}); err != nil {
		t.Errorf("exactly the limit: %v", err)
	}
}

func TestAll(t *testing.T) {
	d, dir := disk(t)
	want := map[string]int64{}
	for i := range 50 {
		key := "key-" + strings.Repeat("x", i)
		put(t, d, key, strings.Repeat("y", i))
		want[key] = int64(i)
	}
	for _, stray := range []string{".temp/unfinished", "stray", "fff/key-"} { // not where a key belongs
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, stray)), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, stray), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	got := map[string]int64{}
	for info, err := range d.All(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		got[info.Key] = info.Size
	}
	if !maps.Equal(got, want) {
		t.Errorf("got %v", slices.Sorted(maps.Keys(got)))
	}
	n := 0
	for range d.All(t.Context()) {
		n++
		break
	}
	if n != 1 {
		t.Error("does not stop")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, err := range d.All(ctx) {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("cancelled: %v", err)
		}
	}
}

func TestAbandonedWritesAreRemoved(t *testing.T) {
	_, dir := disk(t)
	old, fresh := filepath.Join(dir, ".temp", "old"), filepath.Join(dir, ".temp", "fresh")
	for _, name := range []string{old, fresh} {
		if err := os.WriteFile(name, []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chtimes(old, time.Time{}, time.Now().Add(-25*time.Hour)); err != nil {
		t.Fatal(err)
	}
	again, err := blob.NewDisk(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	if left := files(t, dir); len(left) != 1 || left[0] != fresh {
		t.Errorf("left: %v", left)
	}
}

func TestManyWriters(t *testing.T) {
	d, _ := disk(t)
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			text := strings.Repeat(string(rune('a'+i)), 100_000)
			if _, err := d.Put(t.Context(), "same", strings.NewReader(text), blob.PutOptions{}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	got := get(t, d, "same")
	if len(got) != 100_000 || strings.Trim(got, got[:1]) != "" {
		t.Error("a mix of two writers")
	}
}
