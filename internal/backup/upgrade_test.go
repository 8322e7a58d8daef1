package backup_test

import (
	"context"
	"database/sql"
	"log/slog"
	"os"
	"testing"

	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivermigrate"

	"buttersc.one/oven/db"
	"buttersc.one/oven/internal/backup"
	"buttersc.one/oven/internal/lib/blob"
	"buttersc.one/oven/internal/lib/config"
	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/lib/pgserver/pgtest"
)

// at is a database as a program of an earlier time left it.
func at(t *testing.T, pick func(versions []int64) int64) (*pg.DB, int64) {
	t.Helper()
	d, err := pg.Open(t.Context(), pgtest.DSN(t), pg.Options{MaxConns: 6})
	must(t, err)
	t.Cleanup(d.Close)
	std := stdlib.OpenDBFromPool(d.Pool)
	t.Cleanup(func() { _ = std.Close() })
	river := goose.NewGoMigration(2, &goose.GoFunc{RunDB: func(ctx context.Context, _ *sql.DB) error {
		if _, err := d.Exec(ctx, "CREATE SCHEMA river"); err != nil {
			return err
		}
		m, err := rivermigrate.New(riverpgxv5.New(d.Pool), &rivermigrate.Config{Schema: db.RiverSchema})
		if err == nil {
			_, err = m.Migrate(ctx, rivermigrate.DirectionUp, nil)
		}
		return err
	}}, nil)
	p, err := goose.NewProvider(goose.DialectPostgres, std, os.DirFS("../../db/migrations"), goose.WithGoMigrations(river), goose.WithDisableGlobalRegistry(true))
	must(t, err)
	var versions []int64
	for _, s := range p.ListSources() {
		versions = append(versions, s.Version)
	}
	version := pick(versions)
	_, err = p.UpTo(t.Context(), version)
	must(t, err)
	_, err = d.Exec(t.Context(), `INSERT INTO server (one, id_method, secret_fingerprint, origin) VALUES (true, 'aidx', 'f', 'https://oven.example')`)
	must(t, err)
	return d, version
}

// A backup of any earlier schema is restored and brought to this one; one of a later
// schema is refused.
func TestUpgrade(t *testing.T) {
	t.Parallel()
	want, err := os.ReadFile("../../db/schema.sql")
	must(t, err)
	for _, pick := range []func([]int64) int64{
		func(v []int64) int64 { return v[1] },
		func(v []int64) int64 { return v[len(v)/2] },
		func(v []int64) int64 { return v[len(v)-2] },
	} {
		d, version := at(t, pick)
		files, err := blob.NewDisk(t.TempDir())
		must(t, err)
		t.Cleanup(func() { _ = files.Close() })
		data := t.TempDir()
		must(t, os.Mkdir(data+"/backup", 0o700))
		src := &backup.Source{DB: d, Files: files, Dir: data, Version: "test", Settings: settings, Schema: db.Schema, Log: slog.New(slog.DiscardHandler)}
		p, err := backup.OpenPlace(t.TempDir(), config.S3{}, true)
		must(t, err)
		r, err := src.Make(t.Context(), backup.Order{Place: p})
		must(t, err)
		if r.Schema.Version != version {
			t.Errorf("the manifest says %d, the schema is %d", r.Schema.Version, version)
		}
		to := newTarget(t)
		newest := to.Newest
		to.Newest = version - 1
		if _, err := to.Restore(t.Context(), p, "", nil); err == nil {
			t.Error("a program restores what is newer than itself")
		}
		to.Newest = newest
		restored, err := to.Restore(t.Context(), p, "", nil)
		must(t, err)
		if len(restored.Left) != 1 {
			t.Errorf("left: %q", restored.Left)
		}
		got, err := db.Schema(t.Context(), to.DB)
		must(t, err)
		if got != string(want) {
			t.Errorf("restored from schema %d and migrated, the schema is not the current one", version)
		}
	}
}
