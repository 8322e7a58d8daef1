package doctor_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"buttersc.one/oven/internal/doctor"
	"buttersc.one/oven/internal/lib/blob"
	"buttersc.one/oven/internal/testsrv"
)

// Rows without their file and files without a row are found, on the disk of Oven; a
// file that is just being uploaded is no finding. No name of a file is told.
func TestFilesOfOven(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	store, err := blob.NewDisk(dir)
	if err != nil {
		t.Fatal(err)
	}
	conn := connect(t, testsrv.Database(t).Config().ConnString())
	exec1(t, conn, people)
	for _, key := range []string{"kept", "small-kept", "lost", "stray", "fresh", "leaving"} {
		if _, err := store.Put(t.Context(), key, strings.NewReader("12345"), blob.PutOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	old := time.Now().Add(-2 * time.Hour)
	err = filepath.Walk(dir, func(path string, info os.FileInfo, err error) error {
		if err == nil && info.Mode().IsRegular() && info.Name() != "fresh" {
			return os.Chtimes(path, old, old)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	exec1(t, conn, `INSERT INTO drive_file (id, user_id, name, type, url, thumbnail_url, is_link) VALUES
		('d1', 'alice', 'x', 'image/png', 'https://oven.example/files/kept', 'https://oven.example/files/small-kept', false),
		('d2', 'alice', 'x', 'image/png', 'https://oven.example/files/lost', NULL, false),
		('d3', 'carol', 'x', 'image/png', 'https://far.example/files/theirs', NULL, true)`)
	exec1(t, conn, `INSERT INTO drive_blob (key, file_id, kind, type) VALUES ('kept', 'd1', 'original', 'image/png'), ('small-kept', 'd1', 'thumbnail', 'image/png'),
		('lost', 'd2', 'original', 'image/png'), ('leaving', NULL, 'original', 'image/png'), ('left', NULL, 'cache', 'image/png')`)
	look := func(want string) {
		t.Helper()
		r, err := doctor.Check(t.Context(), conn, doctor.Options{Files: doctor.Folder(dir)})
		if err != nil {
			t.Fatal(err)
		}
		expect(t, "files", r, want)
		for _, f := range r.Findings {
			if f.Code == "file-unnamed" && (f.Count != 1 || f.Detail != "files that no row names, of 5 bytes") || f.Code == "file-missing" && f.Count != 1 || strings.Contains(lines(r), "stray") {
				t.Errorf("%+v", f)
			}
		}
	}
	look("file-unnamed files")
	if err := store.Delete(t.Context(), "lost"); err != nil {
		t.Fatal(err)
	}
	look("file-unnamed files,file-missing drive_blob")
	if err := store.Delete(t.Context(), "stray"); err != nil {
		t.Fatal(err)
	}
	look("file-missing drive_blob")
}

// The same for a folder that Misskey has written.
func TestFilesOfMisskey(t *testing.T) {
	t.Parallel()
	dsn, tarball := misskeyDump(t, "misskey-2024.10-a.dump"), sharedData(t, "misskey-2024.10-a-files.tar.gz")
	if dsn == "" || tarball == "" {
		t.Log("shared/data/misskey-2024.10-a-files.tar.gz is missing: Misskey's folder of files was not compared")
		return
	}
	dir := t.TempDir()
	if out, err := run("tar", "xzf", tarball, "-C", dir, "-m"); err != nil {
		t.Fatal(err, out)
	}
	dir = filepath.Join(dir, "files")
	conn := connect(t, dsn)
	look := func() (list []string) {
		t.Helper()
		r, err := doctor.Check(t.Context(), conn, doctor.Options{Misskey: true, Files: doctor.Folder(dir)})
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range codes(r) {
			if strings.HasPrefix(c, "file-") {
				list = append(list, c)
			}
		}
		return list
	}
	if got := look(); len(got) > 0 {
		t.Errorf("what Misskey wrote: %v", got)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) < 100 {
		t.Fatalf("%d files: %v", len(entries), err)
	}
	old := time.Now().Add(-2 * time.Hour)
	path := filepath.Join(dir, entries[0].Name())
	if err := os.Rename(path, path+"-2"); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(path+"-2", old, old); err != nil {
		t.Fatal(err)
	}
	if got := look(); len(got) != 2 || got[0] != "file-missing drive_file" || got[1] != "file-unnamed files" {
		t.Errorf("a file that was renamed: %v", got)
	}
}
