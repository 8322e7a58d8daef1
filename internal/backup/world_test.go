package backup_test

import (
	"bytes"
	"crypto/rand"
	"errors"
	"io/fs"
	"log/slog"
	mrand "math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"filippo.io/age"

	"buttersc.one/oven/db"
	"buttersc.one/oven/internal/app"
	"buttersc.one/oven/internal/backup"
	"buttersc.one/oven/internal/lib/blob"
	"buttersc.one/oven/internal/lib/config"
	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/lib/pgserver/pgtest"
	"buttersc.one/oven/internal/lib/secret"
	"buttersc.one/oven/internal/testsrv"
)

type m = testsrv.M

// world is a server with something on it, and a place for its backups.
type world struct {
	t     *testing.T
	s     *testsrv.Server
	alice *testsrv.User
	src   *backup.Source
	key   string // path of the secret key
	dir   string // of the place
	place backup.Place
}

// newWorld makes a server; set gets what it is made of.
func newWorld(t *testing.T, set ...testsrv.Option) *world {
	t.Helper()
	w := &world{t: t, dir: filepath.Join(t.TempDir(), "place")}
	data := t.TempDir()
	must(t, os.MkdirAll(filepath.Join(data, "backup"), 0o700))
	w.key = filepath.Join(data, "secret.key")
	box, err := secret.LoadOrCreate(w.key)
	must(t, err)
	opts := append([]testsrv.Option{func(o *app.Options) {
		o.Box = box
		o.Backup.DataDir, o.Backup.SecretKeyFile, o.Backup.Settings = data, w.key, settings
	}}, set...)
	w.s = testsrv.New(t, opts...)
	w.src = &w.s.App.Backups.Source
	w.alice = w.s.User(t, "alice")
	w.place = w.open(w.dir)
	return w
}

func settings(secrets bool) ([]byte, error) {
	return config.Text("", []string{"OVEN_URL=https://oven.example", "OVEN_SETUP_PASSWORD=hunter2"}, secrets)
}

func (w *world) open(dir string) backup.Place {
	w.t.Helper()
	p, err := backup.OpenPlace(dir, config.S3{}, true)
	must(w.t, err)
	return p
}

// file puts a file of random bytes into the drive and gives its key.
func (w *world) file(n int) string {
	w.t.Helper()
	key := strings.ToLower(rand.Text())
	text := make([]byte, n)
	_, _ = rand.Read(text)
	_, err := w.s.App.Files().Put(w.t.Context(), key, bytes.NewReader(text), blob.PutOptions{})
	must(w.t, err)
	return key
}

func (w *world) make(o backup.Order) *backup.Result {
	w.t.Helper()
	if o.Place == nil {
		o.Place = w.place
	}
	r, err := w.src.Make(w.t.Context(), o)
	must(w.t, err)
	return r
}

func prover(src *backup.Source) *backup.Prover {
	return &backup.Prover{Source: src, Version: "test", Schema: db.Schema, Migrate: db.Migrate, Log: slog.New(slog.DiscardHandler)}
}

// verify tells what is wrong with the newest backup.
func (w *world) verify(keys ...age.Identity) error {
	w.t.Helper()
	_, err := prover(nil).Verify(w.t.Context(), w.place, "", keys)
	return err
}

// target is an empty place to restore into.
type target struct {
	backup.Target
	files *blob.Disk
}

func newTarget(t *testing.T) *target {
	t.Helper()
	dir := t.TempDir()
	files, err := blob.NewDisk(filepath.Join(dir, "files"))
	must(t, err)
	t.Cleanup(func() { _ = files.Close() })
	dsn := pgtest.DSN(t)
	d, err := pg.Open(t.Context(), dsn, pg.Options{MaxConns: 4})
	must(t, err)
	t.Cleanup(d.Close)
	return &target{Target: backup.Target{DB: d, Database: dsn, Files: files, Dir: dir, SecretKeyFile: filepath.Join(dir, "secret.key"),
		Version: "test", Newest: db.Newest(), Schema: db.Schema, Migrate: db.Migrate, Log: slog.New(slog.DiscardHandler)}, files: files}
}

// stored lists the files of the place.
func (w *world) stored() []string {
	w.t.Helper()
	var out []string
	must(w.t, filepath.WalkDir(w.dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() && d.Name() != ".lock" {
			out = append(out, path)
		}
		return err
	}))
	return out
}

// flip changes one bit of a file and gives a way back.
func flip(t *testing.T, path string) (undo func()) {
	t.Helper()
	was, err := os.ReadFile(path)
	must(t, err)
	now := bytes.Clone(was)
	now[mrand.IntN(len(now))] ^= 1 << mrand.IntN(8)
	must(t, os.WriteFile(path, now, 0o600))
	return func() { must(t, os.WriteFile(path, was, 0o600)) }
}

func wants(t *testing.T, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("got %v, want %v", err, want)
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !ok(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("timed out: " + what)
		}
	}
}
