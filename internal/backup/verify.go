package backup

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"time"

	"filippo.io/age"
	"golang.org/x/sync/errgroup"

	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/lib/pgserver"
)

// Prover tries a restore, in a cluster of PostgreSQL that is thrown away afterwards.
type Prover struct {
	Source  *Source // the server, which remembers the proof; nil: nobody does
	Version string
	TempDir string // "": the system's
	Schema  func(context.Context, *pg.DB) (string, error)
	Migrate func(context.Context, *pg.DB) (int, error)
	Log     *slog.Logger
}

// Proof is what was proven.
type Proof struct {
	*Manifest
	Seconds float64 `json:"seconds"`
}

// Verify reads all of a backup, "" for the newest, restores its database and
// compares everything. The error tells all that is wrong with it.
func (p *Prover) Verify(ctx context.Context, place Place, id string, keys []age.Identity) (_ *Proof, err error) {
	began := time.Now()
	out := &Proof{}
	if p.Source != nil {
		defer func() {
			err = errors.Join(err, p.Source.record(ctx, kindVerify, place, began, &Result{Manifest: out.Manifest}, err))
		}()
	}
	v, err := newVault(place, nil, keys)
	if err != nil {
		return nil, err
	}
	o, err := v.openBackup(ctx, id)
	if err != nil {
		return nil, err
	}
	out.Manifest = o.Manifest
	var bad problems
	bad.add(owned(ctx, v, o.Server))
	p.Log.Info("reading files", "backup", o.ID, "files", o.Files, "bytes", o.FileBytes)
	bad.add(o.readFiles(ctx, &bad))
	for name := range o.Parts {
		if name != filesName && name != dumpName {
			f, err := o.part(ctx, name)
			bad.add(drain(ctx, f, err))
		}
	}
	if bad.any() { // bad as it is
		return nil, bad.err()
	}
	p.Log.Info("restoring the database", "bytes", o.Parts[dumpName].Size)
	bad.add(p.database(ctx, o))
	out.Seconds = time.Since(began).Seconds()
	return out, bad.err()
}

// problems are what is wrong; of many of one kind not all are told.
type problems struct {
	mu   sync.Mutex
	list []error
	more int
}

func (p *problems) add(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case err == nil:
	case len(p.list) < 20:
		p.list = append(p.list, err)
	default:
		p.more++
	}
}

func (p *problems) any() bool { return len(p.list) > 0 }

func (p *problems) err() error {
	if p.more > 0 {
		p.list = append(p.list, fmt.Errorf("and %d more", p.more))
	}
	return errors.Join(p.list...)
}

// readFiles reads every file that the backup names, and compares the names with the
// list by which others are removed.
func (o *opened) readFiles(ctx context.Context, bad *problems) error {
	needed := map[string]bool{}
	if err := names(ctx, o.v, o.ID, needed); err != nil {
		return err
	}
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(copyWorkers)
	seen := map[string]bool{}
	var n, bytes int64
	err := o.eachFile(ctx, func(f File) error {
		n++
		bytes += f.Size
		if seen[f.Object] {
			return nil
		}
		seen[f.Object] = true
		if !needed[f.Object] {
			bad.add(damaged("file %s is not among the objects that are kept", f.Key))
		}
		g.Go(func() error {
			in, err := o.v.readPart(gctx, objectsDir+f.Object, Part{f.Size, f.SHA256})
			if err := drain(gctx, in, err); err != nil {
				bad.add(fmt.Errorf("file %s: %w", f.Key, err))
			}
			return context.Cause(ctx)
		})
		return nil
	})
	if err := errors.Join(g.Wait(), err); err != nil {
		return err
	}
	if n != o.Files || bytes != o.FileBytes {
		return damaged("%d files of %d bytes are listed, and there were %d of %d", n, bytes, o.Files, o.FileBytes)
	}
	return nil
}

// database restores the database into a cluster of its own and compares it.
func (p *Prover) database(ctx context.Context, o *opened) error {
	dir, err := os.MkdirTemp(p.TempDir, "oven-verify-*")
	if err != nil {
		return fmt.Errorf("backup: %w", err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	// PostgreSQL runs as another user when this is root.
	if err := os.Chmod(dir, 0o755); err != nil { //nolint:gosec // what is in it is closed
		return fmt.Errorf("backup: %w", err)
	}
	srv, err := pgserver.Start(ctx, pgserver.Options{Dir: dir, Unsafe: true, Throwaway: true, MaxConnections: 20, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		return err
	}
	defer func() {
		stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), 20*time.Second)
		defer cancel()
		_ = srv.Stop(stop)
	}()
	conn, err := connect(ctx, srv.DSN())
	if err != nil {
		return err
	}
	major, err := takes(ctx, conn, o)
	_ = conn.Close(ctx)
	if err != nil {
		return err
	}
	tools, err := pgserver.FindTools(major)
	if err != nil {
		return err
	}
	if err := o.load(ctx, tools, srv.DSN()); err != nil {
		return err
	}
	found, err := proveDatabase(ctx, o, srv.DSN(), p.Version, p.Schema, p.Migrate)
	if err != nil {
		return err
	}
	var list []string
	for _, f := range found {
		list = append(list, f.Code+" "+f.Where)
	}
	if len(list) > 0 {
		return fmt.Errorf("the database that was backed up lacks keys that guard identity: %s", strings.Join(list, ", "))
	}
	return nil
}
