package backup_test

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	"buttersc.one/oven/internal/backup"
	"buttersc.one/oven/internal/lib/blob"
)

func TestKeep(t *testing.T) {
	t.Parallel()
	var all []backup.Info
	start := time.Date(2026, 3, 2, 1, 0, 0, 0, time.UTC) // a Monday
	for i := range 60 {                                  // two a day
		at := start.Add(time.Duration(i) * 12 * time.Hour)
		all = append(all, backup.Info{ID: at.Format("0102.15"), At: at, Complete: true})
	}
	stay := func(k backup.Keep) string {
		gone := k.Goes(all)
		var out []string
		for _, b := range all {
			if !slices.Contains(gone, b) {
				out = append(out, b.ID)
			}
		}
		return strings.Join(out, " ")
	}
	for _, c := range []struct {
		k    backup.Keep
		want string
	}{
		{backup.Keep{Last: 3}, "0330.13 0331.01 0331.13"},
		{backup.Keep{Daily: 3}, "0329.13 0330.13 0331.13"},
		{backup.Keep{Weekly: 3}, "0322.13 0329.13 0331.13"},
		{backup.Keep{Last: 2, Daily: 2, Weekly: 2}, "0329.13 0330.13 0331.01 0331.13"},
	} {
		if got := stay(c.k); got != c.want {
			t.Errorf("%+v: %s, want %s", c.k, got, c.want)
		}
	}
	if n := len(backup.Keep{}.Goes(all)); n != 0 {
		t.Errorf("%d go although all stay", n)
	}
}

// Whatever is asked for, the newest stays, and who stays today has not gone yesterday.
func TestKeepNeverTakesTheNewest(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		k := backup.Keep{Last: rapid.IntRange(0, 3).Draw(t, "last"), Daily: rapid.IntRange(0, 4).Draw(t, "daily"), Weekly: rapid.IntRange(0, 4).Draw(t, "weekly")}
		at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
		var all, kept []backup.Info // kept: cleaned after each
		for range rapid.IntRange(1, 40).Draw(t, "n") {
			at = at.Add(time.Duration(rapid.IntRange(1, 200).Draw(t, "h")) * time.Hour)
			b := backup.Info{ID: at.Format(time.RFC3339), At: at}
			all, kept = append(all, b), append(kept, b)
			gone := k.Goes(kept)
			kept = slices.DeleteFunc(kept, func(b backup.Info) bool { return slices.Contains(gone, b) })
			if kept[len(kept)-1] != b {
				t.Fatal("the newest went")
			}
			gone = k.Goes(all)
			once := slices.DeleteFunc(slices.Clone(all), func(b backup.Info) bool { return slices.Contains(gone, b) })
			if !slices.Equal(once, kept) {
				t.Fatalf("cleaned each time %v stay, cleaned once %v", kept, once)
			}
		}
	})
}

// Backups that need not stay go with the files that only they had; what a run that
// was ended left goes, too; the others stay whole.
func TestClean(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	gone, stays := w.file(1000), w.file(2000)
	w.make(backup.Order{})
	if n := len(objects(t, w.dir)); n != 2 {
		t.Fatalf("%d objects", n)
	}
	must(t, w.s.App.Files().Delete(t.Context(), gone))
	// A run that was ended: parts without a manifest, an object of no backup, a file half written.
	half := filepath.Join(w.dir, "backups", "20260101T000000.000Z-aaaaaa")
	must(t, os.MkdirAll(half, 0o700))
	must(t, os.WriteFile(filepath.Join(half, "database.dump"), []byte("half"), 0o600))
	must(t, os.MkdirAll(filepath.Join(w.dir, ".temp"), 0o700))
	must(t, os.WriteFile(filepath.Join(w.dir, ".temp", "X"), []byte("half"), 0o600))
	must(t, os.MkdirAll(filepath.Join(w.dir, "objects", "00"), 0o700))
	must(t, os.WriteFile(filepath.Join(w.dir, "objects", "00", "00aa"), []byte("nobody's"), 0o600))
	list, err := backup.List(t.Context(), w.place)
	must(t, err)
	if len(list) != 2 || list[0].Complete || !list[1].Complete {
		t.Errorf("%+v", list)
	}
	r := w.make(backup.Order{Keep: backup.Keep{Last: 1}})
	if len(r.Removed) != 1 || r.Removed[0] != list[1].ID {
		t.Errorf("removed %v", r.Removed)
	}
	if left := objects(t, w.dir); len(left) != 1 {
		t.Errorf("left %v", left)
	}
	for _, path := range w.stored() {
		if strings.Contains(path, ".temp") || strings.Contains(path, "20260101T") {
			t.Errorf("%s is still there", path)
		}
	}
	must(t, w.verify())
	// A list that cannot be trusted has nothing removed by it; the new backup counts.
	lists, err := filepath.Glob(filepath.Join(w.dir, "backups", "*", "objects"))
	must(t, err)
	undo := flip(t, lists[0])
	if r := w.make(backup.Order{}); len(r.Left) != 1 || !strings.Contains(r.Left[0], "could not be removed") {
		t.Errorf("left: %q", r.Left)
	}
	undo()
	// An object that was lost is brought again.
	must(t, os.RemoveAll(filepath.Join(w.dir, "objects")))
	if w.verify() == nil {
		t.Error("nobody noticed that a file is missing")
	}
	w.make(backup.Order{})
	must(t, w.verify())
	to := newTarget(t)
	_, err = to.Restore(t.Context(), w.place, "", nil)
	must(t, err)
	if n := len(read(t, to.files, stays)); n != 2000 {
		t.Errorf("the file has %d bytes", n)
	}
}

func objects(t *testing.T, dir string) (out []string) {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(dir, "objects", "*", "*"))
	must(t, err)
	return found
}

// stopping is a store that ends the run after some files.
type stopping struct {
	blob.Store
	left atomic.Int32
	stop context.CancelFunc
}

func (s *stopping) Open(ctx context.Context, key string) (blob.File, error) {
	if s.left.Add(-1) < 0 {
		s.stop()
	}
	return s.Store.Open(ctx, key)
}

// A run that ends in the middle makes no backup; the next goes on with what is there.
func TestCancelled(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for range 6 {
		w.file(10_000)
	}
	src := *w.src
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	store := &stopping{Store: w.src.Files, stop: cancel}
	store.left.Store(3)
	src.Files = store
	if _, err := src.Make(ctx, backup.Order{Place: w.place}); err == nil {
		t.Fatal("a run that was ended says that it made a backup")
	}
	list, err := backup.List(t.Context(), w.place)
	must(t, err)
	if n := w.s.Count(t, "SELECT count(*) FROM backup_run"); n != 0 || len(list) != 0 {
		t.Errorf("%d runs, %+v", n, list)
	}
	w.make(backup.Order{})
	must(t, w.verify())
}
