package backup_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"buttersc.one/oven/internal/app"
	"buttersc.one/oven/internal/backup"
	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/testsrv"
)

// The server backs itself up when it is due, tells administrators, and nobody else.
func TestScheduled(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "scheduled")
	w := newWorld(t, func(o *app.Options) {
		o.Backup.Config = backup.Config{To: dir, Every: 24 * time.Hour, Keep: backup.Keep{Last: 2}}
	})
	bob := w.s.User(t, "bob")
	bob.Fails(t, "oven/admin/backup", nil, 403, "ROLE_PERMISSION_DENIED")
	w.s.Guest().Fails(t, "oven/admin/backup", nil, 401, "CREDENTIAL_REQUIRED")
	status := func() any { return w.alice.Post(t, "oven/admin/backup", m{}) }
	made := func(n int) func() bool {
		return func() bool {
			good := 0
			for _, r := range testsrv.Dig(status(), "runs").([]any) {
				if testsrv.Dig(r, "error") == "" && testsrv.Dig(r, "kind") == "backup" {
					good++
				}
			}
			return good >= n
		}
	}
	eventually(t, "the first backup", made(1)) // none has ever been made: at the start
	st := status()
	if testsrv.Dig(st, "to") != dir || testsrv.Dig(st, "every") != 86400.0 || testsrv.Dig(st, "encrypted") != false || testsrv.Dig(st, "keep", "last") != 2.0 ||
		testsrv.Dig(st, "lastGoodBackup", "place") != dir || testsrv.Dig(st, "lastProvenRestore") != nil {
		t.Errorf("%v", st)
	}
	// Not due: nothing. A day later: another.
	must(t, w.s.App.Backups.Work(t.Context()))
	if n := w.s.Count(t, "SELECT count(*) FROM backup_run"); n != 1 {
		t.Errorf("%d runs", n)
	}
	w.s.Guest().Post(t, "oven/clock", m{"offsetMs": (25 * time.Hour).Milliseconds()})
	must(t, w.s.App.Backups.Work(t.Context()))
	eventually(t, "the second backup", made(2))
	// A proof is remembered; so is a failure, which is not tried again at once.
	_, err := prover(w.src).Verify(t.Context(), w.open(dir), "", nil)
	must(t, err)
	st = status()
	if testsrv.Dig(st, "lastProvenRestore", "backupId") == nil || testsrv.Dig(st, "lastProvenRestore", "backupId") != testsrv.Dig(st, "lastGoodBackup", "backupId") {
		t.Errorf("%v", st)
	}
	w.s.Guest().Post(t, "oven/clock", m{"offsetMs": 0})
	// The disk is not mounted: nothing is written below its mount point.
	must(t, os.Rename(dir, dir+".away"))
	_, err = w.s.DB.Exec(t.Context(), "UPDATE backup_run SET began_at = began_at - interval '30 days'")
	must(t, err)
	eventually(t, "a failure", func() bool {
		must(t, w.s.App.Backups.Work(t.Context()))
		return w.s.Count(t, "SELECT count(*) FROM backup_run WHERE error <> ''") > 0
	})
	if said, _ := testsrv.Dig(status(), "runs", 0, "error").(string); !strings.Contains(said, "is it mounted?") {
		t.Errorf("%v", said)
	}
	if left, err := filepath.Glob(filepath.Join(dir, "[^.]*")); err != nil || len(left) > 0 {
		t.Errorf("written: %v %v", left, err)
	}
	must(t, w.s.App.Backups.Work(t.Context()))
	if n := w.s.Count(t, "SELECT count(*) FROM backup_run WHERE error <> ''"); n != 1 {
		t.Errorf("tried again at once: %d failures", n)
	}
	w.make(backup.Order{Place: w.open(dir)})
}

// The server restores its newest backup by itself, now and then, and says when that
// did not go.
func TestScheduledProof(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "proven")
	w := newWorld(t, func(o *app.Options) {
		o.Backup.Config = backup.Config{To: dir, Every: 24 * time.Hour, ProveEvery: 7 * 24 * time.Hour}
	})
	runs := func(where string) int {
		return w.s.Count(t, "SELECT count(*) FROM backup_run WHERE kind = 'verify' AND "+where)
	}
	eventually(t, "a backup", func() bool {
		return w.s.Count(t, "SELECT count(*) FROM backup_run WHERE kind = 'backup' AND error = ''") == 1
	})
	must(t, w.s.App.Backups.Prove(t.Context()))
	eventually(t, "a proof", func() bool { return runs("error = ''") == 1 })
	st := w.alice.Post(t, "oven/admin/backup", m{})
	if testsrv.Dig(st, "proveEvery") != 604800.0 || testsrv.Dig(st, "lastProvenRestore", "backupId") != testsrv.Dig(st, "lastGoodBackup", "backupId") {
		t.Errorf("%v", st)
	}
	must(t, w.s.App.Backups.Prove(t.Context()))
	if n := runs("true"); n != 1 {
		t.Errorf("not due, and proven %d times", n)
	}
	// A week later, and a file of it is damaged.
	_, err := w.s.DB.Exec(t.Context(), "UPDATE backup_run SET began_at = began_at - interval '8 days' WHERE kind = 'verify'")
	must(t, err)
	parts, err := filepath.Glob(filepath.Join(dir, "*", "*", "database*"))
	if err != nil || len(parts) == 0 {
		if parts, err = filepath.Glob(filepath.Join(dir, "*", "database*")); err != nil || len(parts) == 0 {
			t.Fatalf("no dump below %s: %v", dir, err)
		}
	}
	must(t, os.Truncate(parts[0], 10))
	must(t, w.s.App.Backups.Prove(t.Context()))
	if n := runs("error <> ''"); n != 1 {
		t.Errorf("a damaged backup: %d failures", n)
	}
	must(t, w.s.App.Backups.Prove(t.Context()))
	if n := runs("error <> ''"); n != 1 {
		t.Errorf("tried again at once: %d failures", n)
	}
}

// Two at once: one works, the other says so.
func TestOneAtATime(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for range 20 {
		w.file(1000)
	}
	release, err := backup.Hold(t.Context(), w.place)
	must(t, err)
	other := w.open(w.dir)
	_, err = w.src.Make(t.Context(), backup.Order{Place: other})
	wants(t, err, backup.ErrBusy)
	release()
	w.make(backup.Order{Place: other})
	lock, err := w.s.DB.TryLock(t.Context(), pg.LockBackup, 0)
	must(t, err)
	if running := testsrv.Dig(w.alice.Post(t, "oven/admin/backup", m{}), "running"); running != true {
		t.Errorf("running: %v", running)
	}
	_, err = w.src.Make(t.Context(), backup.Order{Place: w.place})
	wants(t, err, backup.ErrBusy)
	lock.Release()
	w.make(backup.Order{})
}
