package backup

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"filippo.io/age"
	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"

	"buttersc.one/oven/internal/lib/blob"
	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/lib/pgserver"
	"buttersc.one/oven/internal/lib/secret"
	"buttersc.one/oven/internal/socket/doctor"
)

// Target is what a backup is restored into. It must be empty, but for the secret
// key and for what an earlier try of a restore left.
type Target struct {
	DB            *pg.DB
	Database      string // its address, past a pooler
	Managed       bool   // the database is in Dir
	Files         blob.Store
	Dir           string // data directory, locked by the caller
	SecretKeyFile string
	Version       string
	Newest        int64 // the last migration that the program knows
	Schema        func(context.Context, *pg.DB) (string, error)
	Migrate       func(context.Context, *pg.DB) (int, error)
	Log           *slog.Logger
}

// Restored is what a restore did.
type Restored struct {
	*Manifest
	Left []string `json:"left"` // what a person has to see to
}

// ErrNotEmpty says that something is there already.
var ErrNotEmpty = errors.New("a backup is restored into an empty place only")

// Restore restores the backup of an id, "" for the newest. On an error, and when it
// is ended anyhow, the place stays marked as unfinished; the next try begins anew.
func (t *Target) Restore(ctx context.Context, p Place, id string, keys []age.Identity) (*Restored, error) {
	v, err := newVault(p, nil, keys)
	if err != nil {
		return nil, err
	}
	o, err := v.openBackup(ctx, id)
	if err != nil {
		return nil, err
	}
	if o.Schema.Version > t.Newest {
		return nil, fmt.Errorf("backup: %s is of a newer Oven (%s): restore it with that", o.ID, o.Oven)
	}
	r := &Restored{Manifest: o.Manifest, Left: []string{}}
	lock, err := t.DB.TryLock(ctx, pg.LockBackup, 0)
	if errors.Is(err, pg.ErrLocked) {
		return nil, errors.New("backup: another backup or restore is at work on this database")
	}
	if err != nil {
		return nil, err
	}
	defer lock.Release()
	conn, err := connect(ctx, t.Database)
	if err != nil {
		return nil, err
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	tools, err := t.tools(ctx, conn, o)
	if err != nil {
		return nil, err
	}
	m := marker{ID: o.ID, From: p.String(), Dir: t.Dir, At: time.Now().UTC()}
	again, err := t.checkEmpty(ctx, conn)
	if err != nil {
		return nil, err
	}
	if err := t.takeKey(ctx, o, false); err != nil {
		return nil, err
	}
	if err := m.write(); err != nil {
		return nil, err
	}
	if again {
		t.Log.Info("an earlier restore did not finish; it is begun anew")
		if err := empty(ctx, conn); err != nil {
			return nil, err
		}
	} else if err := m.mark(ctx, conn); err != nil {
		return nil, err
	}
	if err := t.fill(ctx, o, tools, r); err != nil {
		return nil, err
	}
	if err := m.remove(); err != nil {
		return nil, err
	}
	if _, err := conn.Exec(ctx, sqlUnmark); err != nil {
		return nil, fmt.Errorf("backup: %w", err)
	}
	return r, nil
}

// tools finds PostgreSQL's programs and sees that the server can take the dump.
func (t *Target) tools(ctx context.Context, conn *pgx.Conn, o *opened) (pgserver.Tools, error) {
	major, err := takes(ctx, conn, o)
	if err != nil {
		return pgserver.Tools{}, err
	}
	return pgserver.FindTools(major)
}

const sqlServerVersion = `SELECT current_setting('server_version_num')::int`

func takes(ctx context.Context, conn *pgx.Conn, o *opened) (major int, err error) {
	if err := conn.QueryRow(ctx, sqlServerVersion).Scan(&major); err != nil {
		return 0, fmt.Errorf("backup: %w", err)
	}
	if major /= 10000; major < o.Postgres/10000 {
		return 0, fmt.Errorf("backup: %s was made on PostgreSQL %d, and this is PostgreSQL %d; run: apt-get install postgresql-%d", o.ID, o.Postgres/10000, major, o.Postgres/10000)
	}
	return major, nil
}

// checkEmpty tells whether what is there is of an earlier try, and refuses anything
// else.
func (t *Target) checkEmpty(ctx context.Context, conn *pgx.Conn) (again bool, err error) {
	var marked, tables bool
	var text string
	if err := conn.QueryRow(ctx, sqlMarked).Scan(&marked, &text); err != nil {
		return false, fmt.Errorf("backup: %w", err)
	}
	if err := conn.QueryRow(ctx, sqlHasTables).Scan(&tables); err != nil {
		return false, fmt.Errorf("backup: %w", err)
	}
	if tables && !marked {
		return false, fmt.Errorf("%w: there are tables in the database", ErrNotEmpty)
	}
	mine, err := readMarker(t.Dir)
	if err != nil {
		return false, err
	}
	if mine != nil || marked && strings.Contains(text, fmt.Sprintf("%q", t.Dir)) {
		return marked, nil
	}
	for i, err := range t.Files.All(ctx) {
		if err != nil {
			return false, fmt.Errorf("backup: %w", err)
		}
		return false, fmt.Errorf("%w: there are files in %s, such as %s", ErrNotEmpty, t.Dir, i.Key)
	}
	return marked, nil
}

// takeKey puts the secret key where it belongs, if the backup has it; it refuses
// one that is there and is another. Without write it only looks.
func (t *Target) takeKey(ctx context.Context, o *opened, write bool) error {
	box, err := secret.Load(t.SecretKeyFile)
	switch {
	case err == nil && !box.Knows(o.Secret):
		return fmt.Errorf("backup: the secret key in %s is not the one that this backup needs", t.SecretKeyFile)
	case err == nil:
		return nil
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	if _, ok := o.Parts[secretName]; !ok || !write {
		return nil
	}
	text, err := o.text(ctx, secretName)
	if err != nil {
		return err
	}
	return writeFile(t.SecretKeyFile, text)
}

// fill does the work between the marks.
func (t *Target) fill(ctx context.Context, o *opened, tools pgserver.Tools, r *Restored) error {
	t.Log.Info("restoring the database", "backup", o.ID, "bytes", o.Parts[dumpName].Size)
	if err := o.load(ctx, tools, t.Database); err != nil {
		return err
	}
	t.Log.Info("restoring files", "files", o.Files, "bytes", o.FileBytes)
	if err := t.fillFiles(ctx, o); err != nil {
		return err
	}
	if err := t.takeKey(ctx, o, true); err != nil {
		return err
	}
	if text, err := o.text(ctx, settingsName); err != nil {
		return err
	} else if err := writeFile(filepath.Join(t.Dir, "settings.restored.yaml"), text); err != nil {
		return err
	}
	if _, ok := o.Parts[localConfName]; ok && t.Managed {
		text, err := o.text(ctx, localConfName)
		if err != nil {
			return err
		}
		if err := writeFile(filepath.Join(t.Dir, "pg", localConfName), text); err != nil {
			return err
		}
	}
	t.Log.Info("comparing the database with what it was")
	d, err := proveDatabase(ctx, o, t.Database, t.Version, t.Schema, t.Migrate)
	if err != nil {
		return err
	}
	for _, f := range d {
		r.Left = append(r.Left, fmt.Sprintf("%s %s %s: %s", f.Code, f.Where, f.Detail, f.Repair))
	}
	if _, err := secret.Load(t.SecretKeyFile); errors.Is(err, fs.ErrNotExist) {
		r.Left = append(r.Left, "the secret key is not in this backup: put the one with the fingerprint "+o.Secret+" at "+t.SecretKeyFile+" before the server is started")
	}
	if o.Missing > 0 {
		r.Left = append(r.Left, fmt.Sprintf("%d files were missing already when the backup was made", o.Missing))
	}
	return nil
}

func (o *opened) load(ctx context.Context, tools pgserver.Tools, dsn string) error {
	f, err := o.part(ctx, dumpName)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	return load(ctx, tools, dsn, f)
}

// eachFile reads the list of files.
func (o *opened) eachFile(ctx context.Context, f func(File) error) error {
	in, err := o.part(ctx, filesName)
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }()
	return eachLine(in, f)
}

func (t *Target) fillFiles(ctx context.Context, o *opened) error {
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(copyWorkers)
	wanted := map[string]bool{}
	err := o.eachFile(ctx, func(f File) error {
		wanted[f.Key] = true
		if gctx.Err() == nil {
			g.Go(func() error { return t.fillFile(gctx, o.v, f) })
		}
		return nil
	})
	if err := errors.Join(g.Wait(), err); err != nil {
		return err
	}
	// What an earlier try left of another backup.
	for i, err := range t.Files.All(ctx) {
		if err == nil && !wanted[i.Key] {
			err = t.Files.Delete(ctx, i.Key)
		}
		if err != nil {
			return fmt.Errorf("backup: %w", err)
		}
	}
	return nil
}

func (t *Target) fillFile(ctx context.Context, v *vault, f File) error {
	want := Part{f.Size, f.SHA256}
	if have, err := t.Files.Open(ctx, f.Key); err == nil { // of an earlier try
		m := newMeter(reader{ctx, have})
		_, err := io.Copy(io.Discard, m)
		_ = have.Close()
		if err == nil && m.part() == want {
			return nil
		}
	}
	in, err := v.readPart(ctx, objectsDir+f.Object, want)
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }()
	if _, err := t.Files.Put(ctx, f.Key, in, blob.PutOptions{}); err != nil {
		return fmt.Errorf("backup: file %s: %w", f.Key, err)
	}
	return nil
}

// proveDatabase compares a database that was restored with the manifest, then
// brings it to the program's schema and looks at the keys that guard identity.
func proveDatabase(ctx context.Context, o *opened, dsn, version string, schema func(context.Context, *pg.DB) (string, error), migrate func(context.Context, *pg.DB) (int, error)) ([]doctor.Finding, error) {
	have, err := sumsOf(ctx, dsn)
	if err != nil {
		return nil, err
	}
	if d := differences(o.Tables, have); len(d) > 0 {
		return nil, damaged("what was restored is not what was backed up: %s", strings.Join(d, "; "))
	}
	d, err := pg.Open(ctx, dsn, pg.Options{MaxConns: 4, AppName: "oven restore"})
	if err != nil {
		return nil, err
	}
	defer d.Close()
	// Another version may describe the same schema in other words.
	if o.Oven == version {
		text, err := schema(ctx, d)
		if err != nil {
			return nil, err
		}
		if hashOf([]byte(text)) != o.Schema.SHA256 {
			return nil, damaged("the schema that was restored is not what was backed up")
		}
	}
	if _, err := d.Exec(ctx, "SET statement_timeout = 0; ANALYZE"); err != nil {
		return nil, fmt.Errorf("backup: %w", err)
	}
	if _, err := migrate(ctx, d); err != nil {
		return nil, err
	}
	found, err := doctor.CheckSchema(ctx, d)
	return slices.DeleteFunc(found, func(f doctor.Finding) bool { return f.Kind() == doctor.Information }), err
}
