package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"text/tabwriter"
	"time"

	"filippo.io/age"

	"buttersc.one/oven/db"
	"buttersc.one/oven/internal/backup"
	"buttersc.one/oven/internal/lib/config"
	"buttersc.one/oven/internal/lib/datadir"
	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/lib/pgserver"
	"buttersc.one/oven/internal/lib/secret"
)

// backupCmd is the backups' commands.
type backupCmd struct {
	Make   backupMakeCmd   `cmd:"" default:"withargs" help:"Back up the database, files and settings; works while the server runs."`
	List   backupListCmd   `cmd:"" help:"List the backups in a place."`
	Verify backupVerifyCmd `cmd:"" help:"Restore a backup into a cluster that is thrown away, and compare everything."`
}

type backupMakeCmd struct {
	To               string   `placeholder:"DIR|s3://BUCKET/PREFIX" help:"Where to. As in the settings (backup.to), if not given."`
	AgeRecipient     []string `placeholder:"age1…" help:"Encrypt all of it for this age public key; may be given several times."`
	WithoutSecretKey bool     `help:"Leave the secret key out of an encrypted backup. It is never in a plain one."`
	KeepLast         int      `help:"Keep the newest N; with the other two 0: keep all."`
	KeepDaily        int      `help:"Keep the newest of each of N days."`
	KeepWeekly       int      `help:"Keep the newest of each of N weeks."`
	JSON             bool     `name:"json" help:"Print JSON."`
}

// Run implements oven backup.
func (b backupMakeCmd) Run(ctx context.Context, c *cli) error {
	o, err := c.attachAsItIs(ctx)
	if err != nil {
		return err
	}
	defer o.close()
	set := o.cfg.Backup
	order := backup.Order{To: b.AgeRecipient, WithoutKey: b.WithoutSecretKey, Keep: backup.Keep{Last: b.KeepLast, Daily: b.KeepDaily, Weekly: b.KeepWeekly}}
	if b.To == "" {
		if b.To = set.To; b.To == "" {
			return errors.New("say where to: --to, or backup.to in the settings")
		}
		if order.Keep == (backup.Keep{}) {
			order.Keep = backup.Keep{Last: set.KeepLast, Daily: set.KeepDaily, Weekly: set.KeepWeekly}
		}
		if len(order.To) == 0 {
			order.To = set.Recipients
		}
	}
	if order.Place, err = backup.OpenPlace(b.To, o.cfg.S3, true); err != nil {
		return err
	}
	src, err := o.source()
	if err != nil {
		return err
	}
	r, err := src.Make(ctx, order)
	if err != nil {
		return err
	}
	if !r.HasKey {
		o.log.Warn("the secret key is not in this backup: keep a copy of it elsewhere; without it nobody's token and no actor's key in the backup can be read", "file", o.cfg.SecretKeyFile)
	}
	if b.JSON {
		err = printJSON(r)
	} else {
		fmt.Printf("%s %d tables, %d files (%s), %s added to %s\n", r.ID, len(r.Tables), r.Files, size(r.FileBytes), size(r.AddedBytes), order.Place)
		for _, id := range r.Removed {
			fmt.Println("removed", id)
		}
	}
	return left(err, b.JSON, r.Left)
}

// left ends a command with exit code 1 when something is left for a person.
func left(err error, told bool, list []string) error {
	if err != nil || len(list) == 0 {
		return err
	}
	if !told {
		for _, l := range list {
			fmt.Println("left to do:", l)
		}
	}
	return errFound
}

func size(n int64) string {
	units := []string{"B", "kB", "MB", "GB", "TB"}
	f, u := float64(n), 0
	for f >= 1000 && u < len(units)-1 {
		f, u = f/1000, u+1
	}
	return strconv.FormatFloat(f, 'g', 3, 64) + " " + units[u]
}

// source is this server, for a backup. A database whose schema is old is backed up
// as it is: that is what backups before an upgrade are for.
func (o *opened) source() (*backup.Source, error) {
	dir, err := datadir.Prepare(o.cfg.DataDir)
	if err != nil {
		return nil, err
	}
	files, err := o.files(o.cfg, dir)
	if err != nil {
		return nil, err
	}
	box, err := secret.Load(o.cfg.SecretKeyFile)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	return &backup.Source{DB: o.db, Direct: o.cfg.DatabaseDirectURL, Files: files, Dir: dir, Box: box, SecretKeyFile: o.cfg.SecretKeyFile,
		Version: version, Settings: o.settings, Schema: db.Schema, Log: o.log}, nil
}

// from is where backups are read.
type from struct {
	From        string   `placeholder:"DIR|s3://BUCKET/PREFIX" help:"Where backups are. As in the settings (backup.to), if not given."`
	AgeIdentity []string `placeholder:"FILE" help:"File with age private keys, for encrypted backups; may be given several times."`
}

func (f from) open(cfg *config.Config) (backup.Place, []age.Identity, error) {
	at := f.From
	if at == "" {
		at = cfg.Backup.To
	}
	if at == "" {
		return nil, nil, errors.New("say where the backups are: --from, or backup.to in the settings")
	}
	p, err := backup.OpenPlace(at, cfg.S3, false)
	if err != nil {
		return nil, nil, err
	}
	keys, err := backup.ReadIdentities(f.AgeIdentity)
	return p, keys, err
}

type backupListCmd struct {
	From string `placeholder:"DIR|s3://BUCKET/PREFIX" help:"As in the settings (backup.to), if not given."`
	JSON bool   `name:"json" help:"Print JSON."`
}

// Run implements oven backup list.
func (l backupListCmd) Run(ctx context.Context, c *cli) error {
	cfg, err := c.load()
	if err != nil {
		return err
	}
	p, _, err := from{From: l.From}.open(cfg)
	if err != nil {
		return err
	}
	list, err := backup.List(ctx, p)
	if err != nil {
		return err
	}
	if l.JSON {
		return printJSON(append([]backup.Info{}, list...))
	}
	w := tabwriter.NewWriter(os.Stdout, 0, 8, 2, ' ', 0)
	for _, i := range list {
		state := "plain"
		switch {
		case !i.Complete:
			state = "unfinished"
		case i.Encrypted:
			state = "encrypted"
		}
		_, _ = fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", i.ID, i.At.Format(time.RFC3339), state, size(i.Bytes))
	}
	return w.Flush()
}

type backupVerifyCmd struct {
	ID string `arg:"" optional:"" help:"The backup; the newest, if not given."`
	from
	JSON bool `name:"json" help:"Print JSON."`
}

// Run implements oven backup verify.
func (b backupVerifyCmd) Run(ctx context.Context, c *cli) error {
	cfg, err := c.load()
	if err != nil {
		return err
	}
	place, keys, err := b.open(cfg)
	if err != nil {
		return err
	}
	p := &backup.Prover{Version: version, Schema: db.Schema, Migrate: db.Migrate, Log: newLog()}
	// The server remembers the proof, where there is one: a backup can be verified on any machine.
	if o, err := c.known(ctx, cfg); err != nil {
		return err
	} else if o != nil {
		defer o.close()
		if p.Source, err = o.source(); err != nil {
			return err
		}
	}
	proof, err := p.Verify(ctx, place, b.ID, keys)
	if err != nil {
		return err
	}
	if b.JSON {
		return printJSON(proof)
	}
	fmt.Printf("%s is good: %d tables and %d files are what they were\n", proof.ID, len(proof.Tables), proof.Files)
	return nil
}

// known is the server of the settings, or nil when there is none here.
func (c *cli) known(ctx context.Context, cfg *config.Config) (*opened, error) {
	if cfg.Managed() {
		if _, err := os.Stat(cfg.DataDir + "/pg/data"); err != nil {
			return nil, nil //nolint:nilerr // no server has run here
		}
	}
	o, err := c.attachAsItIs(ctx)
	if errors.Is(err, backup.ErrUnfinished) {
		return nil, nil
	}
	return o, err
}

type restoreCmd struct {
	from
	ID   string `name:"id" help:"The backup; the newest, if not given."`
	JSON bool   `name:"json" help:"Print JSON."`
}

// Run implements oven restore.
func (r restoreCmd) Run(ctx context.Context, c *cli) error {
	cfg, err := c.load()
	if err != nil {
		return err
	}
	place, keys, err := r.open(cfg)
	if err != nil {
		return err
	}
	o := &opened{cfg: cfg, log: newLog(), file: c.Config}
	defer o.close()
	dir, err := datadir.Prepare(cfg.DataDir)
	if err != nil {
		return err
	}
	lock, err := datadir.TakeLock(dir)
	if err != nil {
		return err
	}
	o.defers(func() { _ = lock.Release() })
	dsn := cfg.DatabaseDirectURL
	if cfg.Managed() {
		srv, err := pgserver.Attach(ctx, pgserver.Options{Dir: dir})
		if err != nil {
			return err
		}
		o.defers(func() { _ = srv.Stop(context.WithoutCancel(ctx)) })
		dsn = srv.DSN()
	}
	files, err := o.files(cfg, dir)
	if err != nil {
		return err
	}
	if o.db, err = pg.Open(ctx, dsn, pg.Options{MaxConns: 2}); err != nil {
		return err
	}
	o.defers(o.db.Close)
	t := &backup.Target{DB: o.db, Database: dsn, Managed: cfg.Managed(), Files: files, Dir: dir, SecretKeyFile: cfg.SecretKeyFile, Version: version,
		Newest: db.Newest(), Schema: db.Schema, Migrate: db.Migrate, Log: o.log}
	done, err := t.Restore(ctx, place, r.ID, keys)
	if err != nil {
		return err
	}
	if cfg.URL != "" && cfg.URL != done.Server {
		done.Left = append(done.Left, "the settings say that this server is "+cfg.URL+", and it is "+done.Server+": set url (OVEN_URL) before it is started")
	}
	if r.JSON {
		err = printJSON(done)
	} else {
		fmt.Printf("restored %s of %s: %d tables and %d files are what they were\n", done.ID, done.Server, len(done.Tables), done.Files)
	}
	return left(err, r.JSON, done.Left)
}
