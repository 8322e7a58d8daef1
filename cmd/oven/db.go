package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"time"

	"buttersc.one/oven/internal/lib/datadir"
	"buttersc.one/oven/internal/lib/pgserver"
	"buttersc.one/oven/internal/socket/doctor"
)

// dbCmd is the database's commands.
type dbCmd struct {
	URL     dbURLCmd     `cmd:"" name:"url" help:"Print the address of the database in use, for psql and other tools."`
	Migrate dbMigrateCmd `cmd:"" help:"Bring the schema up to date."`
	Psql    dbPsqlCmd    `cmd:"" help:"Open psql on the database."`
	Keep    dbKeepCmd    `cmd:"" hidden:""`
}

// keepIdle is how long a cluster that was started for a printed address waits
// for somebody to use it.
const keepIdle = 5 * time.Minute

// address is the database's address, which stays good after the command ends.
func (c *cli) address(ctx context.Context) (string, error) {
	cfg, err := c.load()
	if err != nil {
		return "", err
	}
	if !cfg.Managed() {
		return cfg.DatabaseURL, nil
	}
	dir, err := datadir.Prepare(cfg.DataDir)
	if err != nil {
		return "", err
	}
	exe, err := os.Executable()
	if err != nil {
		return "", err
	}
	argv := []string{exe}
	if c.Config != "" {
		argv = append(argv, "--config", c.Config)
	}
	srv, err := pgserver.Spawn(ctx, pgserver.Options{Dir: dir}, append(argv, "db", "keep")...)
	if err != nil {
		return "", err
	}
	return srv.DSN(), srv.Stop(ctx)
}

type dbURLCmd struct{}

// Run implements oven db url.
func (dbURLCmd) Run(ctx context.Context, c *cli) error {
	dsn, err := c.address(ctx)
	if err != nil {
		return err
	}
	fmt.Println(dsn)
	return nil
}

type dbMigrateCmd struct{}

// Run implements oven db migrate.
func (dbMigrateCmd) Run(ctx context.Context, c *cli) error {
	dsn, err := c.address(ctx)
	if err != nil {
		return err
	}
	cfg, err := c.load()
	if err != nil {
		return err
	}
	o := &opened{cfg: cfg, log: newLog(), file: c.Config}
	defer o.close()
	if err := o.connect(ctx, dsn); err != nil {
		return err
	}
	fmt.Println(dsn)
	return o.compare(ctx)
}

// compare tells what of the schema is not as the migrations make it.
func (o *opened) compare(ctx context.Context) error {
	findings, err := doctor.CheckSchema(ctx, o.db)
	if err != nil {
		return err
	}
	wrong := false
	for _, f := range findings {
		fmt.Fprintf(os.Stderr, "%s: %s %s: %s\n", f.Kind(), f.Code, f.Where, f.Detail)
		if f.Repair != "" {
			fmt.Fprintf(os.Stderr, "    %s;\n", f.Repair)
		}
		wrong = wrong || f.Kind() != doctor.Information
	}
	if wrong {
		return errFound
	}
	return nil
}

type dbPsqlCmd struct {
	Args []string `arg:"" optional:"" passthrough:"" help:"Arguments for psql."`
}

// Run implements oven db psql.
func (p dbPsqlCmd) Run(ctx context.Context, c *cli) error {
	dsn, err := c.address(ctx)
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, "psql", append([]string{dsn}, p.Args...)...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	return cmd.Run()
}

type dbKeepCmd struct{}

// Run keeps the managed cluster for those who were given its address.
func (dbKeepCmd) Run(ctx context.Context, c *cli) error {
	cfg, err := c.load()
	if err != nil {
		return err
	}
	dir, err := datadir.Prepare(cfg.DataDir)
	if err != nil {
		return err
	}
	return pgserver.Keep(ctx, pgserver.Options{Dir: dir}, keepIdle, nil)
}
