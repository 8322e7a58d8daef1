package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/jackc/pgx/v5"

	"buttersc.one/oven/db"
	"buttersc.one/oven/internal/doctor"
	"buttersc.one/oven/internal/lib/datadir"
	"buttersc.one/oven/internal/lib/pgserver"
	mech "buttersc.one/oven/internal/socket/doctor"
)

// doctorCmd looks after databases.
type doctorCmd struct {
	Check   doctorCheckCmd   `cmd:"" help:"Compare a database with what should hold in it. Reads only; works on a replica."`
	Explain doctorExplainCmd `cmd:"" help:"Say how missing keys and duplicates have probably come about, and what would make it certain."`
	Plan    doctorPlanCmd    `cmd:"" help:"Write down how it would be repaired: every group of rows, every index. Changes nothing."`
	Decide  doctorDecideCmd  `cmd:"" help:"Say which row of a group stays, where nobody but a person can."`
	Apply   doctorApplyCmd   `cmd:"" help:"Carry a plan out while the server goes on. Run it again when it broke off."`
	Verify  doctorVerifyCmd  `cmd:"" help:"Look at a repair with fresh eyes: nothing twice, nothing lost, nothing widened."`
	Undo    doctorUndoCmd    `cmd:"" help:"Make what a repair changed what it was; for 30 days."`
	Report  doctorReportCmd  `cmd:"" help:"Tell what a repair did."`
}

// patient is the database to look at.
type patient struct {
	Misskey string `help:"The database of a Misskey server or of a fork, by its address, instead of Oven's own." placeholder:"DSN"`
	Host    string `help:"The host of the server whose database it is, where the database does not tell." placeholder:"HOST"`
	JSON    bool   `name:"json" help:"Print JSON."`
}

// open connects without changing anything: migrations are not run.
func (p patient) open(ctx context.Context, c *cli) (*pgx.Conn, func(), error) {
	dsn, stop := p.Misskey, func() {}
	if dsn == "" {
		cfg, err := c.load()
		if err != nil {
			return nil, nil, err
		}
		dsn = cfg.DatabaseURL
		if cfg.Managed() {
			dir, err := datadir.Prepare(cfg.DataDir)
			if err != nil {
				return nil, nil, err
			}
			srv, err := pgserver.Attach(ctx, pgserver.Options{Dir: dir})
			if err != nil {
				return nil, nil, err
			}
			stop = func() { _ = srv.Stop(context.WithoutCancel(ctx)) }
			dsn = srv.DSN()
		}
	}
	cfg, err := pgx.ParseConfig(dsn)
	if err != nil {
		stop()
		return nil, nil, fmt.Errorf("database url: %w", err)
	}
	conn, err := dial(ctx, cfg)
	if err != nil {
		stop()
		return nil, nil, fmt.Errorf("reach database: %w", err)
	}
	return conn, func() { _ = conn.Close(context.WithoutCancel(ctx)); stop() }, nil
}

// dial connects so that nothing is prepared: every statement runs once, and a pooler
// in between need not know it.
func dial(ctx context.Context, cfg *pgx.ConnConfig) (*pgx.Conn, error) {
	cfg.DefaultQueryExecMode = pgx.QueryExecModeExec
	cfg.RuntimeParams["application_name"] = "oven doctor"
	return pgx.ConnectConfig(ctx, cfg)
}

// options of the check; how far it is goes to standard error.
func (p patient) options() doctor.Options {
	return doctor.Options{Misskey: p.Misskey != "", Newest: db.Newest(), Host: p.Host, Progress: progress()}
}

type doctorCheckCmd struct {
	patient
	Files    bool     `help:"Compare the rows with the files in the store, too."`
	FilesDir string   `help:"The folder of the files, where it is not Oven's own." placeholder:"DIR" type:"existingdir"`
	Replica  []string `help:"Compare this replica with the database; may be given again. Those that Oven is configured with are compared anyway." placeholder:"DSN"`
}

// options of the check, with the stores and copies that it covers.
func (d doctorCheckCmd) options(ctx context.Context, c *cli) (doctor.Options, func(), error) {
	o := d.patient.options()
	replicas := d.Replica
	if d.Misskey == "" {
		cfg, err := c.load()
		if err != nil {
			return o, nil, err
		}
		replicas = append(cfg.DatabaseReplicaURLs, replicas...)
		if d.Files {
			if o.Files, err = storeOf(cfg); err != nil {
				return o, nil, err
			}
		}
	}
	switch {
	case d.FilesDir != "":
		o.Files = doctor.Folder(d.FilesDir)
	case d.Files && d.Misskey != "":
		return o, nil, errors.New("--files: give Misskey's folder of files by --files-dir")
	}
	var open []func()
	done := func() {
		for _, f := range open {
			f()
		}
	}
	for _, dsn := range replicas {
		cfg, err := pgx.ParseConfig(dsn)
		if err != nil {
			done()
			return o, nil, errors.New("replica: not an address of a database")
		}
		conn, err := dial(ctx, cfg)
		if err != nil {
			done()
			return o, nil, fmt.Errorf("reach replica %s: %w", cfg.Host, err)
		}
		open = append(open, func() { _ = conn.Close(context.WithoutCancel(ctx)) })
		o.Replicas = append(o.Replicas, mech.Replica{Name: fmt.Sprintf("%s:%d/%s", cfg.Host, cfg.Port, cfg.Database), Source: conn})
	}
	return o, done, nil
}

// Run implements oven doctor check.
func (d doctorCheckCmd) Run(ctx context.Context, c *cli) error {
	conn, done, err := d.open(ctx, c)
	if err != nil {
		return err
	}
	defer done()
	o, undone, err := d.options(ctx, c)
	if err != nil {
		return err
	}
	defer undone()
	report, err := doctor.Check(ctx, conn, o)
	if err != nil {
		return err
	}
	if d.JSON {
		err = printJSON(report)
	} else {
		for _, n := range report.Notes {
			fmt.Fprintf(os.Stderr, "note: %s: %s\n", printable(n.Where, 120), printable(n.Says, 2000))
		}
		for _, f := range report.Findings {
			detail := f.Detail
			if len(f.IDs) > 0 {
				detail += ": " + strings.Join(f.IDs, " ")
			}
			fmt.Println(f.Code, f.Where, printable(detail, 4000), f.Count)
		}
	}
	if err == nil && len(report.Findings) > 0 {
		return errFound
	}
	return err
}

type doctorExplainCmd struct{ patient }

// Run implements oven doctor explain.
func (d doctorExplainCmd) Run(ctx context.Context, c *cli) error {
	conn, done, err := d.open(ctx, c)
	if err != nil {
		return err
	}
	defer done()
	list, err := doctor.Explain(ctx, conn, d.options())
	if err != nil {
		return err
	}
	if d.JSON {
		err = printJSON(map[string]any{"explanations": list})
	} else {
		for _, a := range list {
			detail := a.Confidence + ": " + strings.Join(a.Evidence, "; ")
			if len(a.Instead) > 0 {
				detail += "; or else " + strings.Join(a.Instead, ", ")
			}
			if a.Settle != "" {
				detail += "; settled by: " + a.Settle
			}
			if len(a.IDs) > 0 {
				detail += ": " + strings.Join(a.IDs, " ")
			}
			fmt.Println(a.Mechanism, a.Where, printable(detail, 6000), a.Count)
		}
	}
	if err == nil && len(list) > 0 {
		return errFound
	}
	return err
}

// progress draws a bar on a terminal, and prints a line every tenth of the way
// elsewhere.
func progress() func(done, total int, what string) {
	info, err := os.Stderr.Stat()
	tty := err == nil && info.Mode()&os.ModeCharDevice != 0
	tenth := 0
	return func(done, total int, what string) {
		total = max(total, 1)
		if tty {
			const width = 30
			n := done * width / total
			fmt.Fprintf(os.Stderr, "\r\x1b[K[%s%s] %3d%% %s", strings.Repeat("=", n), strings.Repeat(" ", width-n), done*100/total, printable(what, 40))
			if done == total {
				fmt.Fprint(os.Stderr, "\r\x1b[K")
			}
			return
		}
		if now := done * 10 / total; now > tenth {
			tenth = now
			fmt.Fprintf(os.Stderr, "%d%% %s\n", now*10, printable(what, 120))
		}
	}
}
