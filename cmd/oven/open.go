package main

import (
	"context"
	"log/slog"
	"os"

	"buttersc.one/oven/db"
	"buttersc.one/oven/internal/app"
	"buttersc.one/oven/internal/backup"
	"buttersc.one/oven/internal/lib/config"
	"buttersc.one/oven/internal/lib/datadir"
	"buttersc.one/oven/internal/lib/opensearch"
	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/lib/pgserver"
	"buttersc.one/oven/internal/lib/secret"
	"buttersc.one/oven/internal/meta"
	"buttersc.one/oven/internal/search"
)

// opened is what a command works on; close gives it all back, last first.
type opened struct {
	cfg   *config.Config
	db    *pg.DB
	log   *slog.Logger
	steps []func()
	file  string // of the settings; "": as the environment says
}

// settings gives the settings in force as a file.
func (o *opened) settings(secrets bool) ([]byte, error) {
	return config.Text(o.file, os.Environ(), secrets)
}

func (o *opened) defers(f func()) { o.steps = append(o.steps, f) }

func (o *opened) close() {
	for i := len(o.steps) - 1; i >= 0; i-- {
		o.steps[i]()
	}
}

func (c *cli) load() (*config.Config, error) { return config.Load(c.Config, os.Environ()) }

func newLog() *slog.Logger {
	return slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelInfo}))
}

// attach opens the database for a command and brings its schema up to date.
func (c *cli) attach(ctx context.Context) (*opened, error) {
	o, err := c.attachAsItIs(ctx)
	if err != nil {
		return nil, err
	}
	if err := o.migrate(ctx); err != nil {
		o.close()
		return nil, err
	}
	return o, nil
}

// attachAsItIs opens the database for a command: the configured one, or the managed
// cluster, running or started for the command's duration.
func (c *cli) attachAsItIs(ctx context.Context) (*opened, error) {
	cfg, err := c.load()
	if err != nil {
		return nil, err
	}
	o := &opened{cfg: cfg, log: newLog(), file: c.Config}
	dsn := cfg.DatabaseURL
	if cfg.Managed() {
		dir, err := datadir.Prepare(cfg.DataDir)
		if err != nil {
			return nil, err
		}
		srv, err := pgserver.Attach(ctx, pgserver.Options{Dir: dir})
		if err != nil {
			return nil, err
		}
		o.defers(func() { _ = srv.Stop(context.WithoutCancel(ctx)) })
		dsn = srv.DSN()
	}
	if err := o.open(ctx, dsn); err != nil {
		o.close()
		return nil, err
	}
	return o, nil
}

// connect opens the pool and brings the schema up to date.
func (o *opened) connect(ctx context.Context, dsn string) error {
	if err := o.open(ctx, dsn); err != nil {
		return err
	}
	return o.migrate(ctx)
}

// open opens the pool, unless a restore has not finished with the database.
func (o *opened) open(ctx context.Context, dsn string) error {
	d, err := pg.Open(ctx, dsn, pg.Options{MaxConns: 24})
	if err != nil {
		return err
	}
	o.db = d
	o.defers(d.Close)
	return backup.CheckFinished(ctx, o.cfg.DataDir, d)
}

func (o *opened) migrate(ctx context.Context) error {
	n, err := db.Migrate(ctx, o.db)
	if err == nil && n > 0 {
		o.log.Info("database migrated", "steps", n)
	}
	return err
}

// app builds the server on what is open.
func (o *opened) app(ctx context.Context, workers bool) (*app.App, error) {
	if err := o.cfg.CheckServe(); err != nil {
		return nil, err
	}
	dir, err := datadir.Prepare(o.cfg.DataDir)
	if err != nil {
		return nil, err
	}
	box, err := secret.LoadOrCreate(o.cfg.SecretKeyFile)
	if err != nil {
		return nil, err
	}
	files, err := o.files(o.cfg, dir)
	if err != nil {
		return nil, err
	}
	index, before, err := o.searchPlaces(dir)
	if err != nil {
		return nil, err
	}
	return app.New(ctx, app.Options{
		Mode: string(o.cfg.Mode), Origin: o.cfg.URL, Host: o.cfg.Host(), Hostname: o.cfg.Hostname(), Version: version,
		DB: o.db, Box: box, Files: files, TempDir: dir + "/files", Zone: o.cfg.Location, TrustedProxies: o.cfg.TrustedProxies,
		PrivateNetworks: o.cfg.AllowedPrivateNetworks, SetupPassword: o.cfg.SetupPassword, TestHosts: o.cfg.TestHosts, Workers: workers, Log: o.log,
		Search: index, SearchOld: before, SearchLocal: o.cfg.SearchLocal,
		Backup: app.Backup{DataDir: dir, DirectURL: o.cfg.DatabaseDirectURL, SecretKeyFile: o.cfg.SecretKeyFile, Settings: o.settings,
			Config: backup.Config{To: o.cfg.Backup.To, S3: o.cfg.S3, Every: o.cfg.Backup.Every, Recipients: o.cfg.Backup.Recipients,
				ProveEvery: o.cfg.Backup.ProveEvery, Identities: o.cfg.Backup.Identities,
				Keep: backup.Keep{Last: o.cfg.Backup.KeepLast, Daily: o.cfg.Backup.KeepDaily, Weekly: o.cfg.Backup.KeepWeekly}}},
	})
}

// searchPlaces is where this process has its search index, and where it had one before;
// nil when it answers nobody.
func (o *opened) searchPlaces(dir string) (now, before search.Place, err error) {
	if o.cfg.Role == config.Worker {
		return nil, nil, nil
	}
	local, err := search.NewLocal(dir+"/search", o.log)
	if err != nil || o.cfg.SearchURL == "" {
		return local, nil, err
	}
	cluster, err := search.NewCluster(opensearch.Config{URL: o.cfg.SearchURL}, o.db)
	return cluster, local, err
}

// command builds the server for a command, which need not be told the address of
// one that has run.
func (o *opened) command(ctx context.Context) (*app.App, error) {
	origin, err := meta.Origin(ctx, o.db)
	if err == nil && origin != "" {
		err = o.cfg.Adopt(origin)
	}
	if err != nil {
		return nil, err
	}
	a, err := o.app(ctx, false)
	if err != nil {
		return nil, err
	}
	return a, a.Prepare(ctx)
}

// prepared is the server for a command: nothing runs, jobs can be inserted.
func (c *cli) prepared(ctx context.Context) (*opened, *app.App, error) {
	o, err := c.attach(ctx)
	if err != nil {
		return nil, nil, err
	}
	a, err := o.command(ctx)
	if err != nil {
		o.close()
		return nil, nil, err
	}
	o.defers(a.Release)
	return o, a, nil
}
