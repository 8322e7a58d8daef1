package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"buttersc.one/oven/internal/app"
	"buttersc.one/oven/internal/lib/config"
	"buttersc.one/oven/internal/lib/datadir"
	"buttersc.one/oven/internal/lib/pgserver"
)

// serveCmd runs the server.
type serveCmd struct{}

// drain is how long requests under way may take when the server is told to
// end.
const drain = 8 * time.Second

// Run implements oven serve.
func (serveCmd) Run(ctx context.Context, c *cli) error {
	cfg, err := c.load()
	if err != nil {
		return err
	}
	if err := cfg.CheckServe(); err != nil {
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
	// The port first: whether it is free is known at once, the rest takes longer.
	ln, err := (&net.ListenConfig{}).Listen(ctx, "tcp", cfg.Listen)
	if err != nil {
		return fmt.Errorf("listen on %s: %w", cfg.Listen, cause(err))
	}
	defer func() { _ = ln.Close() }()
	var figures net.Listener
	if cfg.MetricsListen != "" {
		if figures, err = (&net.ListenConfig{}).Listen(ctx, "tcp", cfg.MetricsListen); err != nil {
			return fmt.Errorf("listen on %s for metrics: %w", cfg.MetricsListen, cause(err))
		}
		defer func() { _ = figures.Close() }()
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	dsn := cfg.DatabaseURL
	if cfg.Managed() {
		srv, err := pgserver.Start(ctx, pgserver.Options{Dir: dir, Log: o.log})
		if err != nil {
			return err
		}
		o.defers(func() { _ = srv.Stop(context.WithoutCancel(ctx)) })
		go func() {
			select {
			case <-srv.Done():
				cancel(errors.New("the database has ended by itself; see " + dir + "/pg/log"))
			case <-ctx.Done():
			}
		}()
		dsn = srv.DSN()
	}
	if err := o.connect(ctx, dsn); err != nil {
		return err
	}
	a, err := o.app(ctx, cfg.Role != config.Web)
	if err != nil {
		return err
	}
	if figures != nil {
		srv := &http.Server{Handler: a.Metrics(), ReadHeaderTimeout: 10 * time.Second}
		defer func() { _ = srv.Close() }()
		go func() {
			if err := srv.Serve(figures); !errors.Is(err, http.ErrServerClosed) {
				o.log.Error("metrics", "err", err)
			}
		}()
	}
	return o.serve(ctx, a, ln)
}

// cause is the plain reason of a failure to listen.
func cause(err error) error {
	var se *os.SyscallError
	if errors.As(err, &se) {
		return se.Err
	}
	return err
}

func (o *opened) serve(ctx context.Context, a *app.App, ln net.Listener) error {
	srv := &http.Server{Handler: a.Handler(), ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 64 << 10}
	done := make(chan error, 1)
	go func() { done <- a.Run(ctx) }()
	select {
	case <-a.Ready():
	case err := <-done:
		return err
	}
	go func() {
		if err := srv.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
			o.log.Error("http", "err", err)
		}
	}()
	o.welcome(ctx, a)
	err := <-done
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), drain)
	defer cancel()
	if serr := srv.Shutdown(stop); serr != nil {
		_ = srv.Close()
	}
	if cause := context.Cause(ctx); cause != nil && !errors.Is(cause, context.Canceled) {
		return cause
	}
	return err
}

// welcome says where the server is and, to whoever is new, how to begin.
func (o *opened) welcome(ctx context.Context, a *app.App) {
	o.log.Info("oven is ready", "url", o.cfg.URL, "listen", o.cfg.Listen, "mode", string(o.cfg.Mode), "version", version)
	first, err := a.Meta.RequiresSetup(ctx, o.db)
	if err != nil || !first {
		return
	}
	browser := "    in the browser   " + o.cfg.URL + "/signup"
	if o.cfg.SetupPassword != "" {
		browser = "    by the API       admin/accounts/create, with the setup password"
	}
	fmt.Fprintln(os.Stderr, strings.Join([]string{
		"",
		"  Nobody has an account yet. The first one becomes the administrator:",
		browser,
		"    or here          bin/oven user create --admin --username NAME --password-stdin",
		"",
	}, "\n"))
}
