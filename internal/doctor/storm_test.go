package doctor_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"buttersc.one/oven/internal/doctor"
	mech "buttersc.one/oven/internal/socket/doctor"
	"buttersc.one/oven/internal/testsrv"
)

// doubled makes n accounts elsewhere that are there twice, as concurrent resolvers
// without an index leave them, both of them followed, writing and reacting; and a
// note of each that is there twice.
const doubled = `
ALTER TABLE "user" DROP CONSTRAINT user_username_lower_host_key, DROP CONSTRAINT user_uri_key; ALTER TABLE note DROP CONSTRAINT note_uri_key; ALTER TABLE following DROP CONSTRAINT following_pair_key;
INSERT INTO "user" (id, username, username_lower, host, actor_host, uri, is_suspended, last_fetched_at)
SELECT 'p' || lpad(g::text, 6, '0') || k, 'p' || g, 'p' || g, 'wide.example', 'wide.example', 'https://wide.example/p' || g, g %% 7 = 0 AND k = 'b', now() FROM generate_series(1, %[1]d) g, unnest(ARRAY['a', 'b']) k;
INSERT INTO user_profile (user_id) SELECT id FROM "user" WHERE host = 'wide.example';
INSERT INTO user_stat (user_id) SELECT id FROM "user" WHERE host = 'wide.example';
INSERT INTO user_publickey (key_id, user_id, pem) SELECT 'key of ' || id, id, 'pem of ' || username FROM "user" WHERE host = 'wide.example';
INSERT INTO following (id, follower_id, followee_id, followee_host, notify) SELECT 'f' || u.id || v.id, v.id, u.id, 'wide.example', CASE WHEN u.id LIKE '%%b' THEN 'normal' END FROM "user" u, "user" v WHERE u.host = 'wide.example' AND v.id IN ('alice', 'bob');
INSERT INTO following (id, follower_id, followee_id, followee_host, notify) SELECT 'g' || id, follower_id, followee_id, followee_host, notify FROM following WHERE followee_host = 'wide.example' AND followee_id LIKE '%%1a';
INSERT INTO note (id, user_id, user_host, text, visibility, uri, mentions) SELECT 'n' || id || n, id, host, 'x', 'public', uri || '/' || n || right(id, 1), ARRAY[id, 'alice'] FROM "user", generate_series(1, 3) n WHERE host = 'wide.example';
INSERT INTO note (id, user_id, user_host, text, visibility, uri) SELECT 'd' || id, id, host, 'y', CASE WHEN id LIKE '%%b' THEN 'followers' ELSE 'public' END, uri || '/twice' FROM "user" WHERE host = 'wide.example';
INSERT INTO note (id, user_id, text, visibility, reply_id, reply_user_id, thread_id) SELECT 'r' || id, 'bob', 'z', 'public', id, user_id, id FROM note WHERE id LIKE 'd%%';
INSERT INTO note_stat (note_id) SELECT id FROM note ON CONFLICT DO NOTHING;
INSERT INTO note_reaction (id, note_id, user_id, reaction) SELECT 'q' || u.id, 'n1', u.id, 'x' FROM "user" u WHERE host = 'wide.example';
UPDATE note_stat SET reactions = jsonb_build_object('x', (SELECT count(*) FROM note_reaction WHERE note_id = 'n1')) WHERE note_id = 'n1';
UPDATE note_stat s SET replies_count = 1 WHERE note_id LIKE 'd%%';
UPDATE user_stat s SET notes_count = (SELECT count(*) FROM note WHERE user_id = s.user_id), followers_count = (SELECT count(*) FROM following WHERE followee_id = s.user_id), following_count = (SELECT count(*) FROM following WHERE follower_id = s.user_id) WHERE user_id IN ('alice', 'bob');
ANALYZE`

// binary builds the program.
func binary(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "oven")
	if out, err := exec.Command("go", "build", "-o", path, "../../cmd/oven").CombinedOutput(); err != nil {
		t.Fatalf("build: %v: %s", err, out)
	}
	return path
}

// clients write as a server does, by sixteen connections, until they are stopped.
type clients struct {
	wrote, refused, late atomic.Int64
	failed               atomic.Pointer[error]
	stop                 context.CancelFunc
	wg                   sync.WaitGroup
}

// begin starts them. n is how many accounts are doubled.
func (c *clients) begin(t *testing.T, dsn string, n int) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	c.stop = cancel
	t.Cleanup(c.end)
	for i := range 16 {
		conn, err := pgx.Connect(ctx, dsn)
		if err != nil {
			t.Fatal(err)
		}
		c.wg.Go(func() {
			defer func() { _ = conn.Close(context.Background()) }()
			for k := 0; ctx.Err() == nil; k++ {
				c.write(ctx, conn, fmt.Sprintf("%02d%06d", i, k), 1+rand.IntN(n)) //nolint:gosec // no secret
				time.Sleep(time.Duration(2+rand.IntN(10)) * time.Millisecond)     //nolint:gosec // as above
			}
		})
	}
}

func (c *clients) end() {
	c.stop()
	c.wg.Wait()
}

// write is one transaction: a new account, one that is there already, a note of one
// of the doubled, a reaction, or a follow.
func (c *clients) write(ctx context.Context, conn *pgx.Conn, id string, of int) {
	who := fmt.Sprintf("p%d", of)
	one := `(SELECT id FROM "user" WHERE username_lower = $2 AND host = 'wide.example' ORDER BY random() LIMIT 1)`
	work := []string{
		`WITH u AS (INSERT INTO "user" (id, username, username_lower, host, actor_host, uri) VALUES ('w' || $1, 'w' || $1, 'w' || $1, 'wide.example', 'wide.example', 'https://wide.example/w' || $1 || $2) RETURNING id),
		p AS (INSERT INTO user_profile (user_id) SELECT id FROM u), k AS (INSERT INTO user_publickey (key_id, user_id, pem) SELECT 'key of ' || id, id, 'x' FROM u) INSERT INTO user_stat (user_id) SELECT id FROM u`,
		`INSERT INTO "user" (id, username, username_lower, host, actor_host, uri) VALUES ('w' || $1, $2, $2, 'wide.example', 'wide.example', 'https://wide.example/' || $2)`,
		`WITH n AS (INSERT INTO note (id, user_id, user_host, text, visibility, uri) SELECT 'w' || $1, ` + one + `, 'wide.example', 'w', 'public', 'https://wide.example/n/' || $1 RETURNING id) INSERT INTO note_stat (note_id) SELECT id FROM n`,
		`INSERT INTO note_reaction (id, note_id, user_id, reaction) SELECT 'w' || $1, 'n3', ` + one + `, 'x' ON CONFLICT (user_id, note_id) DO NOTHING`,
		`INSERT INTO muting (id, muter_id, mutee_id) SELECT 'w' || $1, 'bob', ` + one + ` ON CONFLICT (muter_id, mutee_id) DO NOTHING`,
	}
	sql := work[rand.IntN(len(work))] //nolint:gosec // as above
	for try := 0; ; try++ {
		_, err := conn.Exec(ctx, sql, id, who)
		var pe *pgconn.PgError
		switch {
		case err == nil:
			c.wrote.Add(1)
			return
		case ctx.Err() != nil:
			return
		case errors.As(err, &pe) && pe.Code == "23505":
			c.refused.Add(1) // it is there already, which is how a server notices
			return
		case errors.As(err, &pe) && pe.Code == "23503" && try < 5:
			c.late.Add(1) // it looked up a row that became part of another meanwhile: it looks again
			continue
		}
		c.failed.CompareAndSwap(nil, &err)
		return
	}
}

// crowd is an Oven with n doubled accounts.
func crowd(t *testing.T, n int) (*pgx.Conn, string) {
	t.Helper()
	d := testsrv.Database(t)
	dsn := d.Config().ConnString()
	conn := connect(t, dsn)
	exec1(t, conn, people)
	exec1(t, conn, fmt.Sprintf(doubled, n))
	return conn, dsn
}

// repaired runs the real program: a plan behind a fence, and the plan carried out,
// killed as often as said.
func repaired(t *testing.T, program, dsn string, kills int) (run string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "plan")
	env := append(without(os.Environ(), nil), "OVEN_DATABASE_URL="+dsn)
	oven := func(args ...string) *exec.Cmd {
		cmd := exec.Command(program, args...)
		for _, e := range env {
			if !strings.HasPrefix(e, "OVEN_TEST") {
				cmd.Env = append(cmd.Env, e)
			}
		}
		return cmd
	}
	if out, err := oven("doctor", "plan", "--fence", "--offline", "--out", file).CombinedOutput(); err != nil {
		t.Fatalf("plan: %v: %s", err, out)
	}
	killed := 0
	for killed < kills {
		cmd := oven("doctor", "apply", file)
		var out bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &out
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		over := make(chan error, 1)
		go func() { over <- cmd.Wait() }()
		select {
		case err := <-over:
			if err != nil {
				t.Fatalf("apply after %d kills: %v: %s", killed, err, out.String())
			}
			t.Logf("%d kills before it was done", killed)
			return last(out.String())
		case <-time.After(time.Duration(50+rand.IntN(500)) * time.Millisecond): //nolint:gosec // as above
			_ = cmd.Process.Kill()
			<-over
			killed++
		}
	}
	out, err := oven("doctor", "apply", file).Output()
	if err != nil {
		t.Fatalf("apply: %v: %s", err, out)
	}
	return last(string(out))
}

func last(out string) string {
	lines := strings.Split(strings.TrimSpace(out), "\n")
	return lines[len(lines)-1]
}

// sound looks at what a repair under writing clients has left.
func sound(t *testing.T, conn *pgx.Conn, c *clients, run string, n int) {
	t.Helper()
	c.end()
	if err := c.failed.Load(); err != nil {
		t.Errorf("a client's transaction failed: %v", *err)
	}
	t.Logf("clients wrote %d, were refused %d, looked again %d times", c.wrote.Load(), c.refused.Load(), c.late.Load())
	if c.wrote.Load() < 100 || c.refused.Load() == 0 {
		t.Error("the clients hardly wrote")
	}
	for sql, want := range map[string]string{
		`SELECT count(*) FROM "user" WHERE host = 'wide.example' AND id LIKE 'p%'`:                                               fmt.Sprint(n),
		`SELECT count(*) FROM (SELECT FROM "user" GROUP BY username_lower, host HAVING count(*) > 1) x`:                          "0",
		`SELECT count(*) FROM (SELECT FROM "user" WHERE uri IS NOT NULL GROUP BY uri HAVING count(*) > 1) x`:                     "0",
		`SELECT count(*) FROM note WHERE id LIKE 'np%'`:                                                                          fmt.Sprint(6 * n),
		`SELECT count(*) FROM note WHERE id LIKE 'dp%' AND visibility = 'followers'`:                                             fmt.Sprint(n),
		`SELECT count(*) FROM note WHERE id LIKE 'dp%'`:                                                                          fmt.Sprint(n),
		`SELECT count(*) FROM note n WHERE reply_id IS NOT NULL AND NOT EXISTS (SELECT FROM note p WHERE p.id = n.reply_id)`:     "0",
		`SELECT count(*) FROM note n, unnest(mentions) m WHERE m LIKE 'p%' AND NOT EXISTS (SELECT FROM "user" u WHERE u.id = m)`: "0",
		`SELECT count(*) FROM note_stat s WHERE note_id LIKE 'dp%' AND replies_count <> 2`:                                       "0",
		`SELECT count(*) FROM "user" WHERE host = 'wide.example' AND is_suspended`:                                               fmt.Sprint(n / 7),
		`SELECT count(*) FROM following WHERE followee_host = 'wide.example' AND notify = 'normal'`:                              fmt.Sprint(2 * n),
		`SELECT count(*) FROM following WHERE followee_host = 'wide.example'`:                                                    fmt.Sprint(2 * n),
		`SELECT reactions::text FROM note_stat WHERE note_id = 'n1'`:                                                             fmt.Sprintf(`{"x": %d}`, n+1),
		`SELECT count(*) FROM pg_trigger WHERE tgname LIKE 'oven_doctor%'`:                                                       "0",
	} {
		if got := one(t, conn, sql); got != want {
			t.Errorf("%s\n is %s, not %s", sql, got, want)
		}
	}
	if found, err := doctor.Verify(t.Context(), conn, doctor.Options{}, run); err != nil || len(found) > 0 {
		t.Errorf("verify: %v, %+v", err, found)
	}
	var wrong []mech.Finding
	for _, f := range check(t, conn, false).Findings {
		// What the clients reacted to and followed without counting it.
		if f.Code != "counter-differs" && f.Code != "profile-missing" && f.Code != "stat-missing" && f.Code != "publickey-missing" {
			wrong = append(wrong, f)
		}
	}
	if len(wrong) > 0 {
		t.Errorf("check: %+v", wrong)
	}
}

// Accounts that are there twice are merged while sixteen clients write, in a process
// that is killed at random moments and begun again.
func TestRepairUnderFire(t *testing.T) {
	t.Parallel()
	const n = 100
	conn, dsn := crowd(t, n)
	program := binary(t)
	var c clients
	c.begin(t, dsn, n)
	run := repaired(t, program, dsn, 4)
	sound(t, conn, &c, run, n)
}
