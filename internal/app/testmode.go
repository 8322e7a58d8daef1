package app

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"

	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/socket/api"
)

// clock is the process' clock with an offset, which only test mode changes.
type clock struct{ offset atomic.Int64 }

// Now is the moment now on this clock.
func (c *clock) Now() time.Time { return time.Now().Add(time.Duration(c.offset.Load())) }

// testMode are the endpoints that exist in test mode only.
type testMode struct{ a *App }

// Endpoints of test mode; in every other mode the API does not know them.
func (t *testMode) Endpoints() []api.Endpoint {
	return []api.Endpoint{
		api.Post("reset-db", t.apiReset, api.TestOnly),
		api.Post("oven/settle", t.apiSettle, api.TestOnly, api.Hidden),
		api.Post("oven/clock", t.apiClock, api.TestOnly, api.Hidden),
		api.Post("oven/jobs", t.apiJobs, api.TestOnly, api.Hidden),
	}
}

// What stays when everything is emptied: the schema's version, what was
// decided at the first start, the running nodes, and the places in the logs.
const sqlTables = `
SELECT quote_ident(n.nspname) || '.' || quote_ident(c.relname)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE (n.nspname = 'public' AND c.relkind IN ('r', 'p') AND NOT c.relispartition
	AND c.relname NOT IN ('goose_db_version', 'server', 'node', 'log_head', 'fed_stream', 'fed_node', 'fed_shard'))
	OR (n.nspname = 'river' AND c.relname = 'river_job')`

func (t *testMode) apiReset(ctx context.Context, _ *api.Call, _ struct{}) (api.None, error) {
	a := t.a
	a.Hub.CloseAll()
	rows, err := a.o.DB.Query(ctx, sqlTables)
	if err != nil {
		return api.None{}, fmt.Errorf("tables: %w", err)
	}
	tables, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return api.None{}, fmt.Errorf("tables: %w", err)
	}
	if err := t.empty(ctx, tables); err != nil {
		return api.None{}, fmt.Errorf("empty the database: %w", err)
	}
	a.clock.offset.Store(0)
	a.Inbox.Reset()
	a.Channels.Forget()
	a.Emojis.Forget()
	a.Instances.Forget()
	a.Roles.Forget()
	a.Auth.Reset()
	a.Decorations.Reset()
	a.Previews.Reset()
	a.Translations.Reset()
	a.Remote.ForgetAll()
	a.API.Limits().Reset()
	a.Charts.Reset()
	if err := a.Delivery.Reset(ctx); err != nil {
		return api.None{}, err
	}
	if err := a.Log.Reset(ctx); err != nil {
		return api.None{}, err
	}
	if err := a.Search.Reset(ctx); err != nil {
		return api.None{}, err
	}
	if err := a.emptyFiles(ctx); err != nil {
		return api.None{}, err
	}
	if err := a.Meta.Load(ctx); err != nil {
		return api.None{}, err
	}
	_, err = a.Users.EnsureInstanceActor(ctx)
	return api.None{}, err
}

// empty takes everything out of tables. Whatever the server is at meanwhile has
// its locks in an order of its own: this gives way before the database looks for
// deadlocks, and tries again.
func (t *testMode) empty(ctx context.Context, tables []string) error {
	const tries = 100
	for try := 1; ; try++ {
		err := t.a.o.DB.Tx(ctx, func(tx *pg.Tx) error {
			if _, err := tx.Exec(ctx, "SELECT set_config('lock_timeout', '300ms', true)"); err != nil {
				return err
			}
			_, err := tx.Exec(ctx, "TRUNCATE "+strings.Join(tables, ", "))
			return err
		})
		if try == tries || pg.Code(err) != "55P03" {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Duration(min(try, 10)) * 10 * time.Millisecond):
		}
	}
}

func (a *App) emptyFiles(ctx context.Context) error {
	var keys []string
	for info, err := range a.o.Files.All(ctx) {
		if err != nil {
			return fmt.Errorf("list files: %w", err)
		}
		keys = append(keys, info.Key)
	}
	for _, k := range keys {
		if err := a.o.Files.Delete(ctx, k); err != nil {
			return fmt.Errorf("delete file: %w", err)
		}
	}
	return nil
}

type settleReq struct {
	Timeout float64 `json:"timeout" api:"min=0,max=300,default=10"` // seconds
}

type settleRes struct {
	Settled bool  `json:"settled"`
	Waited  int64 `json:"waited"` // ms
}

// apiSettle waits until nothing that is due is left to do.
func (t *testMode) apiSettle(ctx context.Context, _ *api.Call, req settleReq) (*settleRes, error) {
	start := time.Now()
	deadline := start.Add(time.Duration(req.Timeout * float64(time.Second)))
	for {
		ok, err := t.a.Settled(ctx)
		if err != nil {
			return nil, err
		}
		if ok || time.Now().After(deadline) {
			return &settleRes{Settled: ok, Waited: time.Since(start).Milliseconds()}, nil
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// Settled tells whether all that was accepted has been carried out: changes
// are read, jobs that are due are done, what came in is processed, and what
// goes out has arrived wherever somebody answers. One piece of work makes the
// next, so it must hold twice in a row.
func (a *App) Settled(ctx context.Context) (bool, error) {
	for range 2 {
		status, err := a.Log.Status(ctx)
		if err != nil {
			return false, err
		}
		for _, s := range status {
			if s.Lag > 0 {
				return false, nil
			}
		}
		due, err := a.Jobs.Due(ctx)
		if err != nil || due > 0 {
			return false, err
		}
		for _, pending := range []func(context.Context) (int64, error){a.Inbox.Pending, a.Accounts.Pending, a.Accounts.PendingMoves, a.Retention.Pending, a.Catalogue.Pending, a.Transfers.Pending, a.Delivery.Pending, a.Search.Pending} {
			if n, err := pending(ctx); err != nil || n > 0 {
				return false, err
			}
		}
	}
	if err := a.Charts.Flush(ctx); err != nil { // last: the work that was waited for is counted
		return false, err
	}
	return true, nil
}

type clockReq struct {
	OffsetMs int64 `json:"offsetMs" api:"required"`
}

// apiClock moves the clock. What looks at the time now and then looks at once,
// so that after settle all that has become due is done.
func (t *testMode) apiClock(ctx context.Context, _ *api.Call, req clockReq) (api.None, error) {
	t.a.clock.offset.Store(req.OffsetMs * int64(time.Millisecond))
	return api.None{}, t.a.Jobs.RunPeriodic(ctx)
}

type jobsReq struct {
	Run bool `json:"run" api:"required"`
}

func (t *testMode) apiJobs(ctx context.Context, _ *api.Call, req jobsReq) (api.None, error) {
	return api.None{}, t.a.Jobs.Hold(ctx, !req.Run)
}
