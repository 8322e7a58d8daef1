// Command schemagen writes db/schema.sql: the schema as the migrations leave
// it, with each table's owner; and the manifest that databases are compared
// with.
package main

import (
	"context"
	"fmt"
	"os"

	"buttersc.one/oven/db"
	"buttersc.one/oven/internal/lib/datadir"
	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/lib/pgserver"
	"buttersc.one/oven/internal/socket/doctor"
)

func main() {
	if err := run(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, "schemagen:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	tmp, err := os.MkdirTemp("/tmp", "oven-schema-*")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(tmp) }()
	if err := os.Chmod(tmp, 0o755); err != nil { //nolint:gosec // PostgreSQL runs as another user
		return err
	}
	dir, err := datadir.Prepare(tmp)
	if err != nil {
		return err
	}
	srv, err := pgserver.Start(ctx, pgserver.Options{Dir: dir, Unsafe: true, Throwaway: true})
	if err != nil {
		return err
	}
	defer func() { _ = srv.Stop(ctx) }()
	d, err := pg.Open(ctx, srv.DSN(), pg.Options{})
	if err != nil {
		return err
	}
	defer d.Close()
	if _, err := db.Migrate(ctx, d); err != nil {
		return err
	}
	text, err := db.Schema(ctx, d)
	if err != nil {
		return err
	}
	if err := os.WriteFile("db/schema.sql", []byte(text), 0o644); err != nil { //nolint:gosec // a source file
		return err
	}
	manifest, err := doctor.Manifest(ctx, d)
	if err != nil {
		return err
	}
	return os.WriteFile("internal/socket/doctor/manifest.txt", []byte(manifest), 0o644) //nolint:gosec // a source file
}
