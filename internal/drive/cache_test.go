package drive_test

import (
	"bytes"
	"fmt"
	"image"
	"image/png"
	"io/fs"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"buttersc.one/oven/internal/app"
	"buttersc.one/oven/internal/testsrv"
)

// noisy serves pictures of some 300 kB each, and counts who asks for which.
type noisy struct {
	*httptest.Server
	mu    sync.Mutex
	asked map[string]int
}

func newNoisy(t *testing.T) *noisy {
	t.Helper()
	n := &noisy{asked: map[string]int{}}
	n.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n.mu.Lock()
		n.asked[r.URL.Path]++
		n.mu.Unlock()
		p := image.NewGray(image.Rect(0, 0, 600, 500))
		dice := rand.New(rand.NewPCG(1, uint64(len(r.URL.Path)))) //nolint:gosec // a picture
		for i := range p.Pix {
			p.Pix[i] = uint8(dice.Uint32())
		}
		var b bytes.Buffer
		if png.Encode(&b, p) == nil {
			_, _ = w.Write(b.Bytes())
		}
	}))
	t.Cleanup(n.Close)
	return n
}

func (n *noisy) times(path string) int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.asked[path]
}

// onDisk is what the store has.
func onDisk(t *testing.T, s *testsrv.Server) (files int, bytes int64) {
	t.Helper()
	dir := filepath.Dir(s.SearchDir)
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.HasPrefix(path, s.SearchDir) || filepath.Dir(path) == dir {
			return err
		}
		info, err := d.Info()
		files, bytes = files+1, bytes+info.Size()
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files, bytes
}

// What is kept of other servers' pictures has a bound; what nobody looked at for
// longest goes, once, whoever makes room, and can be had again at once.
func TestCacheIsBounded(t *testing.T) {
	t.Parallel()
	far := newNoisy(t)
	s := testsrv.New(t)
	root := s.User(t, "root")
	path := func(i int) string { return fmt.Sprintf("/%d.png", i) }
	show := func(i int) {
		t.Helper()
		res, b := get(t, proxied(s, far.URL+path(i), ""))
		if c, _, err := image.DecodeConfig(bytes.NewReader(b)); err != nil || res.StatusCode != http.StatusOK || c.Width != 600 {
			t.Fatalf("%d: %s %v", i, res.Status, err)
		}
	}
	clock := func(at time.Duration) { root.Post(t, "oven/clock", m{"offsetMs": at.Milliseconds()}) }
	root.Fails(t, "admin/update-meta", m{"proxyCacheMb": 0}, 400, "INVALID_PARAM")
	root.Post(t, "admin/update-meta", m{"proxyCacheMb": 1000})
	for i := range 8 {
		show(i)
	}
	if err := s.App.Drive.Evict(t.Context()); err != nil {
		t.Fatal(err)
	}
	k, err := s.App.Drive.Kept(t.Context())
	if err != nil || k.Files != 8 || k.Bytes < 8*250_000 {
		t.Fatalf("kept: %+v %v", k, err)
	}
	// The first is looked at again, by somebody who does not wait for that to be written.
	clock(2 * time.Hour)
	show(0)
	if err := s.App.Drive.TellLooks(t.Context()); err != nil {
		t.Fatal(err)
	}
	root.Post(t, "admin/update-meta", m{"proxyCacheMb": 1})
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			if err := s.App.Drive.Evict(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	one := k.Bytes / 8
	if k, err = s.App.Drive.Kept(t.Context()); err != nil || k.Bytes > 1<<20 || k.Bytes < (1<<20)*9/10-one {
		t.Errorf("kept: %+v %v", k, err)
	}
	if files, size := onDisk(t, s); int64(files) != k.Files || size != k.Bytes {
		t.Errorf("%d files of %d bytes in the store, %+v in the table", files, size, k)
	}
	show(0)
	if n := far.times(path(0)); n != 1 {
		t.Errorf("what was looked at lately was fetched %d times", n)
	}
	show(1)
	if n := far.times(path(1)); n != 2 {
		t.Errorf("what was looked at longest ago was fetched %d times", n)
	}
	// Bytes lost in the store are fetched again.
	if _, err := s.DB.Exec(t.Context(), "UPDATE drive_blob SET key = 'c0123456789' WHERE name IS NOT NULL AND used_at = (SELECT max(used_at) FROM drive_blob)"); err != nil {
		t.Fatal(err)
	}
	show(1)
	if n := far.times(path(1)); n != 3 {
		t.Errorf("what was lost was fetched %d times", n)
	}
	// All of it given up, it can be shown before it is erased.
	root.Post(t, "admin/drive/clean-remote-files", nil)
	show(0)
	if k, err := s.App.Drive.Kept(t.Context()); err != nil || k.Files != 1 {
		t.Errorf("kept: %+v %v", k, err)
	}
	if err := s.App.Drive.Erase(t.Context()); err != nil {
		t.Fatal(err)
	}
	show(0)
	if n := far.times(path(0)); n != 2 {
		t.Errorf("fetched %d times", n)
	}
	if n := s.Count(t, "SELECT count(*) FROM drive_blob"); n != 1 {
		t.Errorf("%d rows", n)
	}
}

// Processes that make the same picture at the same time end up with one.
func TestTwoProcessesKeepOne(t *testing.T) {
	t.Parallel()
	far := newNoisy(t)
	a := testsrv.New(t)
	b := testsrv.New(t, testsrv.On(a.DB), func(o *app.Options) { o.Box, o.Files, o.Origin, o.Host = a.Box(), a.App.Drive.Files, a.Origin, a.Host })
	for range 3 {
		var wg sync.WaitGroup
		for _, s := range []*testsrv.Server{a, b} {
			wg.Go(func() {
				if res, _ := get(t, proxied(s, far.URL+"/x.png", "&preview=1")); res.StatusCode != http.StatusOK {
					t.Error(res.Status)
				}
			})
		}
		wg.Wait()
		if n := a.Count(t, "SELECT count(*) FROM drive_blob WHERE name IS NOT NULL"); n != 1 {
			t.Errorf("%d are kept", n)
		}
		if _, err := a.DB.Exec(t.Context(), "UPDATE drive_blob SET name = NULL, until = NULL"); err != nil {
			t.Fatal(err)
		}
	}
	// One is written down while the other waits to write down its own.
	get(t, proxied(a, far.URL+"/y.png", "&preview=1"))
	var key, name string
	if err := a.DB.QueryRow(t.Context(), "SELECT key, name FROM drive_blob WHERE name IS NOT NULL").Scan(&key, &name); err != nil {
		t.Fatal(err)
	}
	if _, err := a.DB.Exec(t.Context(), "UPDATE drive_blob SET name = NULL WHERE key = $1", key); err != nil {
		t.Fatal(err)
	}
	tx, err := a.DB.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec(t.Context(), "UPDATE drive_blob SET name = $2 WHERE key = $1", key, name); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		if res, _ := get(t, proxied(b, far.URL+"/y.png", "&preview=1")); res.StatusCode != http.StatusOK {
			t.Errorf("the second: %s", res.Status)
		}
	})
	for end := time.Now().Add(8 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if a.Count(t, "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE '%SET name = $2, size%'") > 0 {
			break
		}
	}
	if err := tx.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	wg.Wait()
	if n := a.Count(t, "SELECT count(*) FROM drive_blob WHERE name IS NOT NULL AND key = $1", key); n != 1 {
		t.Error("the first is not kept")
	}
}
