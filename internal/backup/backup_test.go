package backup_test

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"filippo.io/age"

	"buttersc.one/oven/internal/backup"
	"buttersc.one/oven/internal/lib/blob"
	"buttersc.one/oven/internal/lib/config"
)

func read(t *testing.T, s blob.Store, key string) []byte {
	t.Helper()
	f, err := s.Open(t.Context(), key)
	must(t, err)
	defer func() { _ = f.Close() }()
	text, err := io.ReadAll(f)
	must(t, err)
	return text
}

// What was there is there again: rows, files, ids; and what was taken needs no
// second copy.
func TestMakeAndRestore(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	note := w.alice.Note(t, m{"text": "한국어 and 日本語"})
	w.s.Settle(t)
	keys := []string{w.file(1), w.file(100_000), w.file(0)}
	first := w.make(backup.Order{})
	if first.Files != 3 || first.FileBytes != 100_001 || first.HasKey || first.Encrypted || first.Missing != 0 {
		t.Errorf("%+v", first)
	}
	// The same again: nothing of the files is copied. One more, and one is gone.
	must(t, w.s.App.Files().Delete(t.Context(), keys[0]))
	keys = append(keys[1:], w.file(50_000))
	second := w.make(backup.Order{})
	if dump := second.Parts["database.dump"].Size; second.AddedBytes != 50_000+dump {
		t.Errorf("%d bytes were added, for a file of 50000 and a dump of %d", second.AddedBytes, dump)
	}
	must(t, w.verify())

	to := newTarget(t)
	r, err := to.Restore(t.Context(), w.place, "", nil)
	must(t, err)
	if r.ID != second.ID || len(r.Left) != 1 || !strings.Contains(r.Left[0], "secret key") {
		t.Errorf("restored %s, left %q", r.ID, r.Left)
	}
	for _, k := range keys {
		if !bytes.Equal(read(t, to.files, k), read(t, w.s.App.Files(), k)) {
			t.Errorf("file %s is another", k)
		}
	}
	var text string
	must(t, to.DB.QueryRow(t.Context(), "SELECT text FROM note WHERE id = $1", note).Scan(&text))
	if text != "한국어 and 日本語" {
		t.Errorf("the note says %q", text)
	}
	must(t, backup.CheckFinished(t.Context(), to.Dir, to.DB))
	set, err := os.ReadFile(filepath.Join(to.Dir, "settings.restored.yaml"))
	must(t, err)
	if !strings.Contains(string(set), "https://oven.example") || strings.Contains(string(set), "hunter2") || !strings.Contains(string(set), "# setup_password is left out") {
		t.Errorf("settings: %s", set)
	}
	// Nothing is restored over it, nor into a place with a file.
	_, err = to.Restore(t.Context(), w.place, "", nil)
	wants(t, err, backup.ErrNotEmpty)
	other := newTarget(t)
	_, err = other.Files.Put(t.Context(), "mine", strings.NewReader("x"), blob.PutOptions{})
	must(t, err)
	_, err = other.Restore(t.Context(), w.place, "", nil)
	wants(t, err, backup.ErrNotEmpty)
	if _, err := os.Stat(filepath.Join(other.Dir, "restore-unfinished.json")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a refused restore left a mark: %v", err)
	}
	// The first is still whole, with the file that has gone since.
	older := newTarget(t)
	_, err = older.Restore(t.Context(), w.place, first.ID, nil)
	must(t, err)
	if n := len(read(t, older.files, keys[1])); n != 0 {
		t.Errorf("an empty file has %d bytes", n)
	}
	_, err = older.Restore(t.Context(), w.place, "20200101T000000.000Z-abcdef", nil)
	wants(t, err, backup.ErrNoBackup)
}

// A changed bit, a cut or a missing file anywhere is found, and the reason told.
func TestDamageIsFound(t *testing.T) {
	t.Parallel()
	for _, encrypted := range []bool{false, true} {
		id, err := age.GenerateX25519Identity()
		must(t, err)
		o, keys := backup.Order{}, []age.Identity{}
		if encrypted {
			o.To, keys = backup.Recipients{id.Recipient().String()}, append(keys, id)
		}
		w := newWorld(t)
		w.file(70_000)
		w.file(3)
		w.make(o)
		must(t, w.verify(keys...))
		for _, path := range w.stored() {
			name, err := filepath.Rel(w.dir, path)
			must(t, err)
			undo := flip(t, path)
			if w.verify(keys...) == nil {
				t.Errorf("a changed bit in %s was not found (encrypted: %v)", name, encrypted)
			}
			undo()
			was, err := os.ReadFile(path)
			must(t, err)
			if len(was) == 0 || encrypted && strings.Contains(name, "database.dump") {
				continue // nothing to cut; as the plain one
			}
			must(t, os.Truncate(path, int64(len(was)-1)))
			if w.verify(keys...) == nil {
				t.Errorf("%s was cut, and nobody noticed (encrypted: %v)", name, encrypted)
			}
			must(t, os.Remove(path))
			if w.verify(keys...) == nil {
				t.Errorf("%s is missing, and nobody noticed (encrypted: %v)", name, encrypted)
			}
			must(t, os.WriteFile(path, was, 0o600))
		}
		must(t, w.verify(keys...))
	}
}

// A restore of what is damaged ends, and leaves a mark until one has gone well.
func TestDamagedIsNotRestored(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.file(70_000)
	b := w.make(backup.Order{})
	to := newTarget(t)
	for _, path := range w.stored() {
		if name := filepath.Base(path); name == "objects" || name == "oven.json" {
			continue // not needed for it
		}
		undo, into := flip(t, path), to
		if strings.Contains(path, "/objects/") {
			into = newTarget(t) // the other has the file from an earlier try
		}
		if _, err := into.Restore(t.Context(), w.place, b.ID, nil); err == nil {
			t.Fatalf("%s was changed, and restored", path)
		}
		undo()
	}
	wants(t, backup.CheckFinished(t.Context(), to.Dir, to.DB), backup.ErrUnfinished)
	wants(t, backup.CheckFinished(t.Context(), t.TempDir(), to.DB), backup.ErrUnfinished)
	wants(t, backup.CheckFinished(t.Context(), to.Dir, w.s.DB), backup.ErrUnfinished)
	_, err := to.Restore(t.Context(), w.place, b.ID, nil)
	must(t, err)
	must(t, backup.CheckFinished(t.Context(), to.Dir, to.DB))
}

// With age nothing can be read without the key, and the server's own key is in it.
func TestEncrypted(t *testing.T) {
	t.Parallel()
	id, err := age.GenerateX25519Identity()
	must(t, err)
	second, err := age.GenerateX25519Identity()
	must(t, err)
	w := newWorld(t)
	w.alice.Note(t, m{"text": "nobody reads this"})
	key := w.file(4000)
	content := read(t, w.s.App.Files(), key)
	to := backup.Recipients{id.Recipient().String(), second.Recipient().String()}
	r := w.make(backup.Order{To: to})
	if !r.Encrypted || !r.HasKey {
		t.Errorf("%+v", r)
	}
	for _, path := range w.stored() {
		text, err := os.ReadFile(path)
		must(t, err)
		name := filepath.Base(path)
		if !strings.HasSuffix(name, ".age") && name != "objects" && name != "oven.json" {
			t.Errorf("%s is not encrypted", path)
		}
		if bytes.Contains(text, content[:16]) || bytes.Contains(text, []byte("PGDMP")) || bytes.Contains(text, []byte("oven-key")) {
			t.Errorf("%s can be read", path)
		}
	}
	stranger, err := age.GenerateX25519Identity()
	must(t, err)
	if err := w.verify(stranger); err == nil || !strings.Contains(err.Error(), "none of the age identities") {
		t.Errorf("with another's key: %v", err)
	}
	wants(t, w.verify(), backup.ErrSealed)
	into := newTarget(t)
	if _, err := into.Restore(t.Context(), w.place, "", []age.Identity{stranger}); err == nil {
		t.Error("restored with another's key")
	}
	restored, err := into.Restore(t.Context(), w.place, "", []age.Identity{stranger, second})
	must(t, err)
	if len(restored.Left) != 0 {
		t.Errorf("left: %q", restored.Left)
	}
	if !bytes.Equal(read(t, into.files, key), content) {
		t.Error("the file is another")
	}
	was, err := os.ReadFile(w.key)
	must(t, err)
	now, err := os.ReadFile(into.SecretKeyFile)
	must(t, err)
	info, err := os.Stat(into.SecretKeyFile)
	must(t, err)
	if !bytes.Equal(was, now) || info.Mode().Perm() != 0o600 {
		t.Errorf("the secret key is not what it was (mode %o)", info.Mode().Perm())
	}
	// For other recipients the files are written anew, and without the key if that is asked.
	r = w.make(backup.Order{To: backup.Recipients{stranger.Recipient().String()}, WithoutKey: true})
	if r.HasKey || r.AddedBytes < 4000 {
		t.Errorf("%+v", r)
	}
	must(t, w.verify(stranger))
	if err := (backup.Recipients{"age1nonsense"}).Check(); err == nil {
		t.Error("nonsense is taken for a key")
	}
}

// A key that is there and is another is found before anything is touched.
func TestWrongSecretKey(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.make(backup.Order{})
	to := newTarget(t)
	must(t, os.WriteFile(to.SecretKeyFile, []byte("oven-key-1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n"), 0o600))
	if _, err := to.Restore(t.Context(), w.place, "", nil); err == nil || !strings.Contains(err.Error(), "not the one that this backup needs") {
		t.Errorf("got %v", err)
	}
	must(t, backup.CheckFinished(t.Context(), to.Dir, to.DB))
}

// A place belongs to one server.
func TestPlaceOfAnother(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.make(backup.Order{})
	other := newWorld(t)
	if _, err := other.src.Make(t.Context(), backup.Order{Place: w.place}); err == nil || !strings.Contains(err.Error(), "a place of its own") {
		t.Errorf("got %v", err)
	}
	for _, bad := range []string{"", "ftp://x", "s3://", "s3://bucket"} {
		if _, err := backup.OpenPlace(bad, config.S3{}, true); err == nil {
			t.Errorf("%q is taken for a place", bad)
		}
	}
}
