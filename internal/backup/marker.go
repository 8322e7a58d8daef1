package backup

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/jackc/pgx/v5"

	"buttersc.one/oven/internal/lib/pg"
)

// While a restore is under way two marks say so, one in the data directory and one
// in the database, since each may be used without the other: nothing serves on
// what is half there. The database is emptied only where it has the mark.
type marker struct {
	ID   string    `json:"id"`
	From string    `json:"from"`
	Dir  string    `json:"dir"` // data directory
	At   time.Time `json:"at"`
}

const (
	markerFile = "restore-unfinished.json"

	sqlMarked    = `SELECT to_regnamespace('oven_restore') IS NOT NULL, coalesce(obj_description(to_regnamespace('oven_restore')::oid, 'pg_namespace'), '')`
	sqlMark      = `CREATE SCHEMA oven_restore`
	sqlMarkText  = `SELECT format('COMMENT ON SCHEMA oven_restore IS %L', $1::text)`
	sqlUnmark    = `DROP SCHEMA oven_restore`
	sqlHasTables = `
SELECT EXISTS (SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
	WHERE c.relkind IN ('r', 'p', 'v', 'm', 'S') AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'oven_restore') AND n.nspname NOT LIKE 'pg\_%'
		AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = c.oid AND d.classid = 'pg_class'::regclass AND d.deptype = 'e'))`
	sqlSchemas = `
SELECT quote_ident(nspname) FROM pg_namespace
WHERE nspname NOT IN ('pg_catalog', 'information_schema', 'oven_restore') AND nspname NOT LIKE 'pg\_%'`
)

// ErrUnfinished says that a restore was begun and has not ended.
var ErrUnfinished = errors.New("a restore into this place was begun and has not finished: run oven restore again, or empty the place")

// CheckFinished refuses a data directory or a database that a restore has not
// finished with. Everything that uses them asks first.
func CheckFinished(ctx context.Context, dir string, db *pg.DB) error {
	m, err := readMarker(dir)
	if err != nil {
		return err
	}
	if m != nil {
		return fmt.Errorf("%w (backup %s from %s)", ErrUnfinished, m.ID, m.From)
	}
	var there bool
	var text string
	if err := db.QueryRow(ctx, sqlMarked).Scan(&there, &text); err != nil {
		return fmt.Errorf("backup: %w", err)
	}
	if there {
		return fmt.Errorf("%w (%s)", ErrUnfinished, text)
	}
	return nil
}

func readMarker(dir string) (*marker, error) {
	text, err := os.ReadFile(filepath.Join(dir, markerFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("backup: %w", err)
	}
	var m marker
	if json.Unmarshal(text, &m) != nil { // it was being written
		m = marker{Dir: dir}
	}
	return &m, nil
}

// write puts the mark into the data directory, so that it outlives a crash.
func (m marker) write() error {
	text, err := json.Marshal(m)
	if err != nil {
		return err
	}
	return writeFile(filepath.Join(m.Dir, markerFile), text)
}

// writeFile writes a file that only its owner reads, and makes sure of it.
func writeFile(path string, text []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return fmt.Errorf("backup: %w", err)
	}
	_, err = f.Write(text)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("backup: %w", err)
	}
	return syncDir(filepath.Dir(path))
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("backup: %w", err)
	}
	return errors.Join(d.Sync(), d.Close())
}

func (m marker) remove() error {
	if err := os.Remove(filepath.Join(m.Dir, markerFile)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("backup: %w", err)
	}
	return syncDir(m.Dir)
}

// mark puts the mark into the database.
func (m marker) mark(ctx context.Context, conn *pgx.Conn) error {
	text, err := json.Marshal(m)
	if err != nil {
		return err
	}
	return pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, sqlMark); err != nil {
			return fmt.Errorf("backup: %w", err)
		}
		var comment string
		if err := tx.QueryRow(ctx, sqlMarkText, string(text)).Scan(&comment); err != nil {
			return fmt.Errorf("backup: %w", err)
		}
		if _, err := tx.Exec(ctx, comment); err != nil {
			return fmt.Errorf("backup: %w", err)
		}
		return nil
	})
}

// empty takes out of a marked database what an earlier try left.
func empty(ctx context.Context, conn *pgx.Conn) error {
	rows, err := conn.Query(ctx, sqlSchemas)
	if err != nil {
		return fmt.Errorf("backup: %w", err)
	}
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return fmt.Errorf("backup: %w", err)
	}
	for _, n := range names {
		if _, err := conn.Exec(ctx, "DROP SCHEMA "+n+" CASCADE"); err != nil {
			return fmt.Errorf("backup: empty the database: %w", err)
		}
	}
	if _, err := conn.Exec(ctx, "CREATE SCHEMA public; COMMENT ON SCHEMA public IS 'standard public schema'"); err != nil {
		return fmt.Errorf("backup: empty the database: %w", err)
	}
	return nil
}
