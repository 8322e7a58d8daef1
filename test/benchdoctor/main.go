// Command benchdoctor measures a repair: a million accounts and five million notes,
// in which 8,000 accounts and as many notes are there twice because the indexes were
// lost, are checked, planned, repaired and proved by the real program while sixteen
// clients write. The last line of stdout is the result; everything else goes to
// stderr.
//
// BENCH_SCALE (0.01 to 1) shrinks it, BENCH_SEED chooses who writes what.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"buttersc.one/oven/db"
	"buttersc.one/oven/internal/lib/datadir"
	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/lib/pgserver"
	"buttersc.one/oven/test/benchline"
)

const (
	accounts = 1_000_000
	notes    = 5_000_000
	groups   = 8_000 // of accounts, and of notes
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	b := &bench{Bench: benchline.New("doctor")}
	err := b.run(ctx)
	b.close()
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "benchdoctor:", err)
		os.Exit(2)
	}
	b.Print()
}

type bench struct {
	*benchline.Bench
	dir, program, dsn string
	server            *pgserver.Server
	db                *pgxpool.Pool
	users, groups     int
	memory            int64 // kB, the most of the program's runs
}

func (b *bench) close() {
	if b.db != nil {
		b.db.Close()
	}
	if b.server != nil {
		_ = b.server.Stop(context.Background())
	}
	if b.dir != "" {
		_ = os.RemoveAll(b.dir)
	}
}

func (b *bench) run(ctx context.Context) error {
	if err := b.prepare(ctx); err != nil {
		return err
	}
	if err := b.fill(ctx); err != nil {
		return fmt.Errorf("fill: %w", err)
	}
	quiet, err := b.writing(ctx, 10*time.Second)
	if err != nil {
		return err
	}
	b.Figures["client.before.p95_ms"] = ms(quiet.percentile(95))
	var found struct{ Findings []struct{ Code string } }
	if b.Figures["check.seconds"], err = b.oven(ctx, &found, "check"); err != nil {
		return err
	}
	if len(found.Findings) == 0 {
		return errors.New("the check found nothing")
	}
	c := b.begin(ctx)
	defer c.end()
	plan := filepath.Join(b.dir, "plan")
	var planned struct{ Groups, Undecided int }
	if b.Figures["plan.seconds"], err = b.oven(ctx, &planned, "plan", "--fence", "--offline", "--out", plan); err != nil {
		return err
	}
	b.Figures["groups.n"] = float64(planned.Groups)
	c.mark()
	waits := b.watch(ctx)
	var applied struct {
		Run    string
		Groups int
		Failed []any
	}
	if b.Figures["apply.seconds"], err = b.oven(ctx, &applied, "apply", plan); err != nil {
		return err
	}
	long, longest := waits()
	c.end()
	b.Figures["failed_steps.n"] = float64(len(applied.Failed))
	b.Figures["lock_waits_over_1s.n"], b.Figures["longest_lock_wait.ms"] = float64(long), ms(longest)
	b.Figures["client.during.p95_ms"] = ms(c.percentile(95))
	b.Figures["client.during.p99_ms"] = ms(c.percentile(99))
	b.Figures["client.writes.n"], b.Figures["client.refused.n"] = float64(c.wrote.Load()), float64(c.refused.Load())
	b.Figures["client.looked_again.n"], b.Figures["client.failed.n"] = float64(c.late.Load()), float64(c.failed.Load())
	var proof struct{ Findings []any }
	if b.Figures["verify.seconds"], err = b.oven(ctx, &proof, "verify", applied.Run); err != nil {
		return err
	}
	b.Figures["verify.findings.n"] = float64(len(proof.Findings))
	var left int64
	if err := b.db.QueryRow(ctx, sqlLeft).Scan(&left); err != nil {
		return err
	}
	b.Figures["groups.left.n"] = float64(left)
	b.Figures["groups.per_s"] = float64(planned.Groups) / b.Figures["apply.seconds"]
	b.Figures["memory.mb"] = float64(b.memory) / 1024
	b.AtMost("memory.mb", 200)
	b.AtMost("groups.left.n", 0)
	b.AtMost("verify.findings.n", 0)
	b.AtMost("client.failed.n", 0)
	return nil
}

const sqlLeft = `SELECT (SELECT count(*) FROM (SELECT FROM "user" GROUP BY username_lower, host HAVING count(*) > 1) u) + (SELECT count(*) FROM (SELECT FROM note WHERE uri IS NOT NULL GROUP BY uri HAVING count(*) > 1) n)`

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// prepare starts a database with Oven's schema, and builds the program.
func (b *bench) prepare(ctx context.Context) (err error) {
	b.users, b.groups = int(accounts*b.Scale), int(groups*b.Scale)
	if b.dir, err = os.MkdirTemp("/tmp", "oven-bench-*"); err != nil {
		return err
	}
	if err := os.Chmod(b.dir, 0o755); err != nil { //nolint:gosec // PostgreSQL runs as another user
		return err
	}
	b.program = filepath.Join(b.dir, "oven")
	if out, err := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", b.program, "./cmd/oven").CombinedOutput(); err != nil {
		return fmt.Errorf("build: %w: %s", err, out)
	}
	dir, err := datadir.Prepare(filepath.Join(b.dir, "data"))
	if err != nil {
		return err
	}
	if b.server, err = pgserver.Start(ctx, pgserver.Options{Dir: dir}); err != nil {
		return err
	}
	b.dsn = b.server.DSN()
	d, err := pg.Open(ctx, b.dsn, pg.Options{})
	if err != nil {
		return err
	}
	_, err = db.Migrate(ctx, d)
	d.Close()
	if err != nil {
		return err
	}
	cfg, err := pgxpool.ParseConfig(b.dsn)
	if err != nil {
		return err
	}
	cfg.MaxConns = 24
	b.db, err = pgxpool.NewWithConfig(ctx, cfg)
	return err
}

// filling makes the accounts and notes; then the keys are lost, and some of the rows
// are there twice, as concurrent resolvers leave them.
var filling = []string{
	`INSERT INTO "user" (id, username, username_lower, host, actor_host, uri, last_fetched_at)
SELECT 'u' || lpad(g::text, 8, '0'), 'u' || g, 'u' || g, 'h' || g % 500 || '.example', 'h' || g % 500 || '.example', 'https://h' || g % 500 || '.example/u' || g, now() FROM generate_series(1, $1::int) g`,
	`INSERT INTO user_profile (user_id) SELECT id FROM "user"`,
	`INSERT INTO user_stat (user_id) SELECT id FROM "user"`,
	`INSERT INTO user_publickey (key_id, user_id, pem) SELECT uri || '#key', id, 'pem of ' || username FROM "user"`,
	`INSERT INTO note (id, user_id, user_host, text, visibility, uri, mentions) SELECT 'n' || lpad(g::text, 9, '0'), 'u' || lpad(u::text, 8, '0'), 'h' || u % 500 || '.example', 'a note of some length, as they are', 'public', 'https://h.example/n' || g,
	CASE WHEN g % 5 = 0 THEN ARRAY['u' || lpad((1 + g % $1::int)::text, 8, '0')] ELSE '{}' END FROM (SELECT g, 1 + (g::bigint * 7919 % $1::int)::int AS u FROM generate_series(1, $2::int) g) x`,
	`INSERT INTO note_stat (note_id) SELECT id FROM note`,
	`INSERT INTO following (id, follower_id, followee_id, follower_host, followee_host) SELECT 'f' || g, 'u' || lpad((1 + g % $1::int)::text, 8, '0'), 'u' || lpad((1 + (g::bigint * 31 + 7) % $1::int)::text, 8, '0'), 'h.example', 'h.example' FROM generate_series(1, $1::int) g WHERE (1 + g % $1::int) <> (1 + (g::bigint * 31 + 7) % $1::int) ON CONFLICT (follower_id, followee_id) DO NOTHING`,
	`INSERT INTO note_reaction (id, note_id, user_id, reaction) SELECT 'r' || g, 'n' || lpad((1 + g * 3 % $2::int)::text, 9, '0'), 'u' || lpad((1 + g % $1::int)::text, 8, '0'), 'x' FROM generate_series(1, $1::int) g ON CONFLICT (user_id, note_id) DO NOTHING`,
	`ALTER TABLE "user" DROP CONSTRAINT user_username_lower_host_key, DROP CONSTRAINT user_uri_key`,
	`ALTER TABLE note DROP CONSTRAINT note_uri_key`,
	`INSERT INTO "user" (id, username, username_lower, host, actor_host, uri) SELECT 'v' || substr(id, 2), username, username_lower, host, actor_host, uri FROM "user" WHERE id <= 'u' || lpad($3::int::text, 8, '0')`,
	`INSERT INTO user_profile (user_id) SELECT id FROM "user" WHERE id LIKE 'v%'`,
	`INSERT INTO user_stat (user_id) SELECT id FROM "user" WHERE id LIKE 'v%'`,
	`INSERT INTO user_publickey (key_id, user_id, pem) SELECT uri || '#key2', id, 'pem of ' || username FROM "user" WHERE id LIKE 'v%'`,
	`UPDATE note SET user_id = 'v' || substr(user_id, 2) WHERE user_id <= 'u' || lpad($3::int::text, 8, '0') AND id LIKE '%3'`,
	`UPDATE note SET mentions = ARRAY['v' || substr(mentions[1], 2)] WHERE mentions <> '{}' AND mentions[1] <= 'u' || lpad($3::int::text, 8, '0') AND id LIKE '%5'`,
	`INSERT INTO following (id, follower_id, followee_id, follower_host, followee_host) SELECT 'g' || id, follower_id, 'v' || substr(followee_id, 2), follower_host, followee_host FROM following WHERE followee_id <= 'u' || lpad($3::int::text, 8, '0')`,
	`INSERT INTO note (id, user_id, user_host, text, visibility, uri) SELECT 'z' || substr(id, 2), user_id, user_host, text, 'home', uri FROM note WHERE id <= 'n' || lpad($3::int::text, 9, '0')`,
	`INSERT INTO note_stat (note_id) SELECT id FROM note WHERE id LIKE 'z%'`,
	`INSERT INTO note_reaction (id, note_id, user_id, reaction) SELECT 's' || id, 'z' || substr(note_id, 2), user_id, 'x' FROM note_reaction WHERE note_id <= 'n' || lpad($3::int::text, 9, '0')`,
	`INSERT INTO "user" (id, username, username_lower) VALUES ('alice', 'alice', 'alice')`,
	`ANALYZE`,
}

func (b *bench) fill(ctx context.Context) error {
	began := time.Now()
	values := []any{b.users, int(notes * b.Scale), b.groups}
	for _, sql := range filling {
		n := 0
		for i := range values {
			if strings.Contains(sql, "$"+strconv.Itoa(i+1)) {
				n = i + 1
			}
		}
		// A statement takes those that it names; those before stay unnamed otherwise.
		for i := 1; i <= n; i++ {
			sql = strings.ReplaceAll(sql, "$"+strconv.Itoa(i), strconv.Itoa(values[i-1].(int)))
		}
		if _, err := b.db.Exec(ctx, sql); err != nil {
			return fmt.Errorf("%.60s: %w", sql, err)
		}
	}
	b.Say("%d accounts, %d notes, %d of each twice, in %.0f s", b.users, values[1], b.groups, time.Since(began).Seconds())
	return nil
}

// oven runs a command of the doctor, reads what it tells, and notes how much memory
// it took.
func (b *bench) oven(ctx context.Context, into any, command string, args ...string) (seconds float64, err error) {
	cmd := exec.CommandContext(ctx, b.program, append([]string{"doctor", command, "--json"}, args...)...)
	cmd.Env = append(os.Environ(), "OVEN_DATABASE_URL="+b.dsn)
	cmd.Stderr = os.Stderr
	began := time.Now()
	out, err := cmd.Output()
	seconds = time.Since(began).Seconds()
	var exit *exec.ExitError
	if err != nil && (!errors.As(err, &exit) || exit.ExitCode() != 1) {
		return seconds, fmt.Errorf("oven doctor %s: %w", command, err)
	}
	if used, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage); ok {
		b.memory = max(b.memory, used.Maxrss)
	}
	b.Say("%s: %.1f s", command, seconds)
	return seconds, json.Unmarshal(out, into)
}

const sqlWaits = `
SELECT coalesce(max(extract(epoch FROM clock_timestamp() - state_change)), 0)::float8 FROM pg_stat_activity
WHERE wait_event_type = 'Lock' AND application_name <> 'oven doctor' AND datname = current_database()`

// watch looks twenty times a second how long clients wait for locks.
func (b *bench) watch(ctx context.Context) func() (long int, longest time.Duration) {
	ctx, cancel := context.WithCancel(ctx)
	var over, most atomic.Int64
	done := make(chan struct{})
	go func() {
		defer close(done)
		above := false
		for ctx.Err() == nil {
			var seconds float64
			if b.db.QueryRow(ctx, sqlWaits).Scan(&seconds) != nil {
				return
			}
			most.Store(max(most.Load(), int64(seconds*1e9)))
			if seconds > 1 && !above {
				over.Add(1)
			}
			above = seconds > 1
			time.Sleep(50 * time.Millisecond)
		}
	}()
	return func() (int, time.Duration) {
		cancel()
		<-done
		return int(over.Load()), time.Duration(most.Load())
	}
}
