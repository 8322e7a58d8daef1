// Package backup is in charge of taking a server's database, files and key out to a
// folder or an object store, of proving that they can be put in again, and of
// putting them in. It looks at what every slice owns and writes none of it, but for
// the rows that tell of its own runs.
package backup

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"buttersc.one/oven/internal/lib/blob"
	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/lib/pgserver"
	"buttersc.one/oven/internal/lib/secret"
)

// Source is the server that is backed up. It may be running.
type Source struct {
	DB            *pg.DB
	Direct        string // address of the database past a pooler; "" as DB
	Files         blob.Store
	Dir           string      // data directory
	Box           *secret.Box // nil: there is no key yet
	SecretKeyFile string
	Version       string                                        // Oven's
	Settings      func(secrets bool) ([]byte, error)            // as a file of settings
	Schema        func(context.Context, *pg.DB) (string, error) // describes the schema as it stands
	Log           *slog.Logger
}

// Order says what is to be made.
type Order struct {
	Place      Place
	To         Recipients // empty: not encrypted
	Keep       Keep
	WithoutKey bool // leave the secret key out of an encrypted backup, too
	Known      bool // refuse a place that is empty although backups were made there
}

// errVanished says that a place has nothing in it and should have.
var errVanished = errors.New("backups were made there and none are: is it mounted? If it was emptied on purpose, make one by hand: oven backup")

// Result is what was done.
type Result struct {
	*Manifest
	Encrypted bool     `json:"encrypted"`
	HasKey    bool     `json:"hasKey"`  // the secret key is in it
	Removed   []string `json:"removed"` // backups that need not stay any more
	Left      []string `json:"left"`    // what a person has to see to
}

func (s *Source) direct() string {
	if s.Direct != "" {
		return s.Direct
	}
	return s.DB.DSN()
}

// Make makes a backup. It may be ended anywhere: without a manifest there is none,
// and the next run removes what is left of it.
func (s *Source) Make(ctx context.Context, o Order) (_ *Result, err error) {
	lock, err := s.DB.TryLock(ctx, pg.LockBackup, 0)
	if errors.Is(err, pg.ErrLocked) {
		return nil, ErrBusy
	}
	if err != nil {
		return nil, err
	}
	defer lock.Release()
	began := time.Now()
	r := &Result{Removed: []string{}, Left: []string{}}
	defer func() {
		if ctx.Err() == nil { // who was told to end has not failed
			err = errors.Join(err, s.record(ctx, kindBackup, o.Place, began, r, err))
		}
	}()
	v, err := newVault(o.Place, o.To, nil)
	if err != nil {
		return nil, err
	}
	release, err := v.lock(ctx)
	if err != nil {
		return nil, err
	}
	defer release()
	if r.Manifest, err = s.make(ctx, v, o); err != nil {
		return nil, err
	}
	r.Encrypted = v.encrypts()
	_, r.HasKey = r.Parts[secretName]
	if r.Missing > 0 {
		r.Left = append(r.Left, fmt.Sprintf("%d files that the database knows are missing on this server", r.Missing))
	}
	// The backup is made, whatever becomes of the old ones.
	removed, err := clean(ctx, v, o.Keep)
	if err == nil {
		_, err = sweep(ctx, v)
	}
	r.Removed = append(r.Removed, removed...)
	if err != nil {
		s.Log.Error("old backups could not be removed", "place", v.String(), "err", err)
		r.Left = append(r.Left, "old backups or their files could not be removed: "+err.Error())
	}
	return r, nil
}

const (
	sqlServer      = `SELECT origin, secret_fingerprint FROM server`
	sqlSnapshot    = `SELECT pg_export_snapshot(), current_setting('server_version_num')::int`
	sqlVersion     = `SELECT max(version_id) FROM goose_db_version WHERE is_applied`
	sqlHasVersions = `SELECT to_regclass('public.goose_db_version') IS NOT NULL`
)

func (s *Source) make(ctx context.Context, v *vault, o Order) (*Manifest, error) {
	m := &Manifest{Format: format, Oven: s.Version, Parts: map[string]Part{}}
	var known bool
	if err := s.DB.QueryRow(ctx, sqlHasVersions).Scan(&known); err != nil {
		return nil, fmt.Errorf("backup: %w", err)
	}
	if !known {
		return nil, errors.New("backup: the database is empty: nothing has run on it yet")
	}
	if err := s.DB.QueryRow(ctx, sqlServer).Scan(&m.Server, &m.Secret); pg.NoRows(err) {
		return nil, errors.New("backup: no server has run on this database yet")
	} else if err != nil {
		return nil, fmt.Errorf("backup: %w", err)
	}
	if v.encrypts() && s.Box == nil {
		return nil, fmt.Errorf("backup: the secret key %s is missing", s.SecretKeyFile)
	}
	if o.Known {
		if err := s.checkVanished(ctx, o.Place); err != nil {
			return nil, err
		}
	}
	if err := claim(ctx, v, m.Server); err != nil {
		return nil, err
	}
	if err := v.tidy(ctx); err != nil {
		return nil, err
	}
	if _, err := clean(ctx, v, Keep{}); err != nil {
		return nil, err
	}
	// Most of the files first: the database must not hold a snapshot while they travel.
	c := &carrier{v: v, files: s.Files, name: func(sum []byte) string {
		if !v.encrypts() {
			return objectName(sum)
		}
		return objectName(s.Box.Name(o.To.context(), sum))
	}}
	if err := c.look(ctx); err != nil {
		return nil, err
	}
	memory := filepath.Join(s.Dir, "backup", "known-"+hashOf([]byte(v.String() + o.To.context()))[:16])
	before, err := c.carry(ctx, recall(memory))
	if err != nil {
		return nil, err
	}
	if err := remember(memory, before); err != nil {
		s.Log.Warn("what the place has cannot be remembered", "err", err)
	}
	m.BeganAt = time.Now().UTC()
	m.ID = newID(m.BeganAt)
	dir := backupsDir + m.ID + "/"
	text, err := s.Schema(ctx, s.DB)
	if err != nil {
		return nil, err
	}
	m.Schema.SHA256 = hashOf([]byte(text))
	files, err := s.takeDatabase(ctx, v, m, c, dir, before)
	if err != nil {
		return nil, err
	}
	if m.Parts[filesName], _, err = v.write(ctx, dir+filesName, linesOf(files), -1); err != nil {
		return nil, err
	}
	for _, f := range files {
		m.Files++
		m.FileBytes += f.Size
	}
	objects := objectsOf(files)
	if _, err := v.put(ctx, dir+objectsName, bytes.NewReader(objects), int64(len(objects))); err != nil {
		return nil, err
	}
	m.Parts[objectsName] = Part{int64(len(objects)), hashOf(objects)}
	if err := s.takeRest(ctx, v, m, dir, !o.WithoutKey); err != nil {
		return nil, err
	}
	m.AddedBytes += c.added
	m.EndedAt = time.Now().UTC()
	end, err := m.encode()
	if err != nil {
		return nil, err
	}
	if _, _, err := v.write(ctx, dir+manifestName, bytes.NewReader(end), int64(len(end))); err != nil {
		return nil, err
	}
	if err := remember(memory, files); err != nil {
		s.Log.Warn("what the place has cannot be remembered", "err", err)
	}
	return m, nil
}

const sqlWasThere = `SELECT EXISTS (SELECT FROM backup_run WHERE kind = 'backup' AND error = '' AND place = $1)`

// checkVanished finds that a disk is not mounted, before its mount point is filled.
func (s *Source) checkVanished(ctx context.Context, p Place) error {
	f, err := p.open(ctx, ownerName)
	if err == nil {
		return f.Close()
	}
	if !errors.Is(err, errNone) {
		return err
	}
	var was bool
	if err := s.DB.QueryRow(ctx, sqlWasThere, p.String()).Scan(&was); err != nil {
		return fmt.Errorf("backup: %w", err)
	}
	if was {
		return fmt.Errorf("%s: %w", p, errVanished)
	}
	return nil
}

// takeDatabase dumps and sums the database as it is at one moment, and finds the
// files that it knows at that moment.
func (s *Source) takeDatabase(ctx context.Context, v *vault, m *Manifest, c *carrier, dir string, before []File) (files []File, err error) {
	conn, err := connect(ctx, s.direct())
	if err != nil {
		return nil, err
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	err = pgx.BeginTxFunc(ctx, conn, snapshotTx(), func(tx pgx.Tx) error {
		var snapshot string
		if err := tx.QueryRow(ctx, sqlSnapshot).Scan(&snapshot, &m.Postgres); err != nil {
			return fmt.Errorf("backup: %w", err)
		}
		if err := tx.QueryRow(ctx, sqlVersion).Scan(&m.Schema.Version); err != nil {
			return fmt.Errorf("backup: %w", err)
		}
		tools, err := pgserver.FindTools(m.Postgres / 10000)
		if err != nil {
			return err
		}
		var n int64
		if m.Parts[dumpName], n, err = v.dump(ctx, tools, s.direct(), snapshot, dir+dumpName); err != nil {
			return err
		}
		m.AddedBytes += n
		if m.Tables, err = sums(ctx, tx); err != nil {
			return err
		}
		after, err := c.carry(ctx, before)
		if err != nil {
			return err
		}
		files, err = known(ctx, tx, m, before, after)
		return err
	})
	return files, err
}

// Before migration 86 files were known by their addresses only.
const (
	sqlHasBlobs = `SELECT to_regclass('drive_blob') IS NOT NULL`
	sqlKnown    = `SELECT key FROM drive_blob WHERE file_id IS NOT NULL`
	sqlKnownOld = `
SELECT substr(u, length(s.origin) + 8) FROM drive_file f, server s, LATERAL (VALUES (f.url), (f.thumbnail_url)) v (u)
WHERE NOT f.is_link AND starts_with(u, s.origin || '/files/')`
)

// known is what a backup has: the files that are here now, and those that have gone
// since they were copied and that the snapshot still knows. It counts those that
// the snapshot knows and nobody has.
func known(ctx context.Context, tx pgx.Tx, m *Manifest, before, after []File) ([]File, error) {
	var now bool
	if err := tx.QueryRow(ctx, sqlHasBlobs).Scan(&now); err != nil {
		return nil, fmt.Errorf("backup: files: %w", err)
	}
	sql := sqlKnown
	if !now {
		sql = sqlKnownOld
	}
	rows, err := tx.Query(ctx, sql)
	if err != nil {
		return nil, fmt.Errorf("backup: files: %w", err)
	}
	byKey := func(f File, key string) int { return strings.Compare(f.Key, key) }
	var key string
	back := map[string]File{}
	_, err = pgx.ForEachRow(rows, []any{&key}, func() error {
		if _, ok := slices.BinarySearchFunc(after, key, byKey); ok {
			return nil
		}
		if at, ok := slices.BinarySearchFunc(before, key, byKey); ok {
			back[key] = before[at]
		} else {
			m.Missing++
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("backup: files: %w", err)
	}
	for _, f := range back {
		after = append(after, f)
	}
	slices.SortFunc(after, func(a, b File) int { return strings.Compare(a.Key, b.Key) })
	return after, nil
}

// takeRest takes what else a server needs: its settings, and the key where it will
// be encrypted.
func (s *Source) takeRest(ctx context.Context, v *vault, m *Manifest, dir string, key bool) error {
	take := func(name string, text []byte) (err error) {
		m.Parts[name], _, err = v.write(ctx, dir+name, bytes.NewReader(text), int64(len(text)))
		return err
	}
	text, err := s.Settings(v.encrypts())
	if err != nil {
		return err
	}
	if err := take(settingsName, text); err != nil {
		return err
	}
	text, err = os.ReadFile(filepath.Join(s.Dir, "pg", localConfName))
	if err == nil {
		err = take(localConfName, text)
	} else if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	if err != nil || !v.encrypts() || !key {
		return err
	}
	text, err = os.ReadFile(s.SecretKeyFile)
	if err != nil {
		return fmt.Errorf("backup: the secret key: %w", err)
	}
	if !s.Box.Knows(m.Secret) {
		return fmt.Errorf("backup: the secret key in %s is not the one that the database was made with", s.SecretKeyFile)
	}
	return take(secretName, text)
}

func hashOf(text []byte) string {
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

// drain reads to the end, for the checks on the way.
func drain(ctx context.Context, r io.ReadCloser, err error) error {
	if err != nil {
		return err
	}
	defer func() { _ = r.Close() }()
	_, err = io.Copy(io.Discard, reader{ctx, r})
	return err
}
