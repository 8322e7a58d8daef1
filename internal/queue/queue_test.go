package queue_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"buttersc.one/oven/internal/app"
	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/role"
	"buttersc.one/oven/internal/testsrv"
)

type m = testsrv.M

// counter counts statements.
type counter struct{ n atomic.Int64 }

type counted struct{}

func (c *counter) TraceQueryStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceQueryStartData) context.Context {
	if ctx.Value(counted{}) != nil {
		c.n.Add(1)
	}
	return ctx
}
func (*counter) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

// lagging puts hosts into the database that have been down for an hour, each
// with 100 activities behind.
func lagging(t *testing.T, d *pg.DB, n int) {
	t.Helper()
	for _, sql := range []string{
		fmt.Sprintf(`INSERT INTO fed_host (host, fails, fail_since, next_try, last_error) SELECT 'h' || i || '.example', 9, now() - interval '1 hour', now() + interval '1 hour', 'down' FROM generate_series(1, %d) i`, n),
		`INSERT INTO fed_endpoint (host_id, url, shared) SELECT host_id, 'https://' || host || '/inbox', true FROM fed_host`,
		`INSERT INTO fed_cursor (endpoint_id, stream_id, acked) SELECT endpoint_id, 1, 0 FROM fed_endpoint`,
		`UPDATE fed_stream SET next_seq = 101 WHERE stream_id = 1`,
	} {
		if _, err := d.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
}

// F46: the page of queues answers for 3,000 hosts with no more statements than
// for three, where deliveries are made and where they are not.
func TestLaggingHosts(t *testing.T) {
	t.Parallel()
	for _, workers := range []bool{true, false} {
		used := map[int]int64{}
		for _, n := range []int{3, 3000} {
			seen := &counter{}
			s := testsrv.New(t, func(o *app.Options) {
				lagging(t, o.DB, n)
				cfg := o.DB.Config()
				cfg.ConnConfig.Tracer = seen
				pool, err := pgxpool.NewWithConfig(t.Context(), cfg)
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(pool.Close)
				o.DB.Pool.Close()
				o.DB.Pool = pool
				o.Workers = workers
			})
			root := s.User(t, "root")
			if list := root.Post(t, "admin/queue/deliver-delayed", m{}).([]any); len(list) != n || testsrv.Dig(list[0], 1) != float64(100) {
				t.Fatalf("%d of %d hosts, the first %v", len(list), n, list[0])
			}
			testsrv.Is(t, root.Post(t, "admin/queue/stats", m{}), float64(100*n), "deliver", "delayed")
			st, err := s.App.Delivery.Status(context.WithValue(t.Context(), counted{}, true))
			if err != nil || len(st.Hosts) != n {
				t.Fatalf("%d hosts: %v", len(st.Hosts), err)
			}
			used[n] = seen.n.Load()
		}
		// One where every shard is this process's by now, four where it is not.
		for n, k := range used {
			if k != 1 && k != 4 {
				t.Errorf("workers %v, %d hosts: %d statements", workers, n, k)
			}
		}
	}
}

func TestQueues(t *testing.T) {
	t.Parallel()
	s := testsrv.New(t, func(o *app.Options) { lagging(t, o.DB, 3) })
	root, bob := s.User(t, "root"), s.User(t, "bob")
	var acted []role.Acted
	s.App.Bus.Spy(func(ev any) {
		if a, ok := ev.(role.Acted); ok {
			acted = append(acted, a)
		}
	})
	for _, e := range s.App.Queues.Endpoints() {
		bob.Fails(t, e.Name, m{"queue": "db", "jobId": "1", "type": "inbox", "state": []string{"wait"}}, 403, "ROLE_PERMISSION_DENIED")
	}
	if list := root.List(t, "admin/queue/queues", m{}); len(list) != 10 {
		t.Errorf("%d queues", len(list))
	}
	testsrv.Is(t, root.Post(t, "admin/queue/queue-stats", m{"queue": "deliver"}), float64(300), "counts", "delayed")
	root.Fails(t, "admin/queue/queue-stats", m{"queue": "none"}, 400, "INVALID_PARAM")
	list := root.List(t, "admin/queue/jobs", m{"queue": "deliver", "state": []string{"delayed"}, "search": "H2."})
	if len(list) != 1 || list[0]["id"] != "host:h2.example" || list[0]["failedReason"] != "down" {
		t.Fatalf("jobs %v", list)
	}
	job := m{"queue": "deliver", "jobId": "host:h2.example"}
	testsrv.Is(t, root.Post(t, "admin/queue/show-job", job), "h2.example", "name")
	if logs := root.Post(t, "admin/queue/show-job-logs", job).([]any); len(logs) == 0 {
		t.Error("no logs")
	}
	for _, name := range []string{"show-job", "show-job-logs", "retry-job", "remove-job"} {
		for _, id := range []string{"host:none.example", "1-1-1", "x", "999999"} {
			for _, q := range []string{"deliver", "inbox", "db"} {
				root.Fails(t, "admin/queue/"+name, m{"queue": q, "jobId": id}, 400, "NO_SUCH_JOB")
			}
		}
	}
	if len(acted) != 0 {
		t.Errorf("what was refused is noted: %v", acted)
	}
	root.Post(t, "admin/queue/remove-job", job)
	testsrv.Is(t, root.Post(t, "admin/queue/stats", m{}), float64(200), "deliver", "delayed")
	root.Post(t, "admin/queue/clear", m{"queue": "deliver", "state": "*"})
	testsrv.Is(t, root.Post(t, "admin/queue/stats", m{}), float64(0), "deliver", "delayed")
	root.Post(t, "admin/queue/promote", m{"type": "deliver"})
	root.Post(t, "admin/queue/retry-job", job)

	// The inbox.
	for i, state := range []int{1, 2, 3} {
		if _, err := s.DB.Exec(t.Context(), `INSERT INTO fed_inbox (state, lane, host, object_key, actor, actor_id, body, received_at, due_at, wait_host, waits_for)
			VALUES ($1, 0, 'far.example', $2, 'https://far.example/a', 'x', '{"secret":1}', now(), now() + interval '1 hour', 'far.example', 'https://far.example/n')`, state, []byte{byte(i)}); err != nil {
			t.Fatal(err)
		}
	}
	if l := root.Post(t, "admin/queue/inbox-delayed", m{}).([]any); len(l) != 1 || testsrv.Dig(l[0], 0) != "far.example" || testsrv.Dig(l[0], 1) != float64(2) {
		t.Errorf("inbox-delayed %v", l)
	}
	in := root.List(t, "admin/queue/jobs", m{"queue": "inbox", "state": []string{"failed"}})
	if len(in) != 1 || in[0]["isFailed"] != true {
		t.Fatalf("inbox %v", in)
	}
	root.Post(t, "admin/queue/remove-job", m{"queue": "inbox", "jobId": in[0]["id"]})
	root.Post(t, "admin/queue/clear", m{"queue": "inbox", "state": "delayed"})
	if n := s.Count(t, `SELECT count(*) FROM fed_inbox`); n != 0 {
		t.Errorf("%d are left", n)
	}

	// Jobs.
	if _, err := s.DB.Exec(t.Context(), `INSERT INTO river.river_job (kind, args, max_attempts, state, scheduled_at) VALUES ('account.leave', '{"userId": "abc", "mail": "a@b.example"}', 3, 'scheduled', now() + interval '1 day')`); err != nil {
		t.Fatal(err)
	}
	jobs := root.List(t, "admin/queue/jobs", m{"queue": "db", "state": []string{"delayed"}})
	if len(jobs) != 1 || testsrv.Dig(jobs[0], "data", "userId") != "abc" || testsrv.Dig(jobs[0], "data", "mail") != nil {
		t.Fatalf("jobs %v", jobs)
	}
	root.Post(t, "admin/queue/promote-jobs", m{"queue": "relationship"})
	if n := s.Count(t, `SELECT count(*) FROM river.river_job WHERE kind = 'account.leave' AND state = 'scheduled'`); n != 1 {
		t.Error("another queue's job was promoted")
	}
	root.Post(t, "admin/queue/promote-jobs", m{"queue": "db"})
	if n := s.Count(t, `SELECT count(*) FROM river.river_job WHERE kind = 'account.leave' AND state = 'scheduled'`); n != 0 {
		t.Error("not promoted")
	}
	if len(acted) != 8 || acted[0].Type != "clearQueue" || acted[2].Type != "promoteQueue" || acted[0].Moderator != root.ID {
		t.Errorf("acted %v", acted)
	}
	root.Post(t, "admin/queue/clear", m{})
}
