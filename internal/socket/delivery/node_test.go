package delivery_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"buttersc.one/oven/internal/socket/delivery"
)

// shardsOf counts the shards of each node.
func shardsOf(t testing.TB, r *rig) map[string]int {
	t.Helper()
	rows, err := r.db.Query(context.Background(), "SELECT coalesce(node::text, ''), count(*) FROM fed_shard WHERE node IS NULL OR lease_until > now() GROUP BY 1")
	must(t, err)
	defer rows.Close()
	out := map[string]int{}
	for rows.Next() {
		var node string
		var n int
		must(t, rows.Scan(&node, &n))
		out[node] = n
	}
	must(t, rows.Err())
	return out
}

func fairly(t testing.TB, r *rig, nodes int) {
	t.Helper()
	wait(t, fmt.Sprint("shares of ", nodes), func() bool {
		of := shardsOf(t, r)
		if len(of) != nodes || of[""] > 0 {
			return false
		}
		for _, n := range of {
			if n < 256/nodes/2 {
				return false
			}
		}
		return true
	})
}

// F17, F19: several processes share the hosts; one joins, one ends, one dies,
// while messages go out. Every inbox gets all, in order, and nothing twice but
// what a process that died had not written down.
func TestNodes(t *testing.T) {
	t.Parallel()
	dsn := newDSN(t)
	f := newFleet()
	f.wait = func(string) time.Duration { return time.Millisecond }
	flushes := func(c *delivery.Config) { c.FlushEvery = 20 * time.Millisecond }
	node := func() *rig { return newRig(t, open(t, dsn), f, flushes).run(t) }
	names := hosts(60)
	a := node()
	fairly(t, a, 1)
	sent := 0
	send := func(n int) {
		for range n {
			object := fmt.Sprint("o", sent)
			a.send(t, message(object, "1Create", delivery.Direct, names...))
			a.send(t, message(object, "2Update", delivery.Fanout, names...))
			sent++
		}
	}
	send(20)
	b := node()
	send(20)
	fairly(t, a, 2)
	c := node()
	send(20)
	fairly(t, a, 3)
	send(20)
	b.stop()
	send(20)
	fairly(t, a, 2)
	c.kill()
	send(20)
	fairly(t, a, 1)
	wait(t, "all", func() bool {
		for _, h := range names {
			if len(counts(f.at(shared(h)))) < 2*sent {
				return false
			}
		}
		return true
	})
	a.settle(t)
	twice := 0
	for _, h := range names {
		got := f.at(shared(h))
		twice += len(got) - len(counts(got))
		seen := map[string]bool{}
		for _, body := range got {
			var object, verb string
			_, _ = fmt.Sscan(body, &object, &verb)
			if verb == "2Update" && !seen[object] {
				t.Errorf("%s: %s before its Create", h, body)
			}
			seen[object] = true
		}
	}
	if twice > 2*sent*len(names)/10 {
		t.Errorf("%d came twice", twice)
	}
	if len(f.clash) > 0 {
		t.Errorf("two of an object at a time: %v", f.clash)
	}
}

// A process that was stopped for longer than its lease finds that its hosts are
// another's, and what it writes then moves no cursor and brings back nothing.
func TestFence(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	dsn := newDSN(t)
	f := newFleet()
	gate := make(chan struct{})
	f.wait = func(string) time.Duration { <-gate; return 0 }
	a := newRig(t, open(t, dsn), f).run(t)
	fairly(t, a, 1)
	a.stage(t, 0, 10, delivery.Fanout, "a.example")
	wait(t, "under way", func() bool { return f.tried(shared("a.example")) > 0 })
	// Its lease is over, and another has taken all.
	_, err := a.db.Exec(ctx, "UPDATE fed_shard SET node = gen_random_uuid(), epoch = epoch + 1, lease_until = now() + interval '1 hour'")
	must(t, err)
	_, err = a.db.Exec(ctx, "INSERT INTO fed_node (node, lock_key, heartbeat) SELECT DISTINCT node, 1, now() + interval '1 hour' FROM fed_shard LIMIT 1")
	must(t, err)
	_, err = a.db.Exec(ctx, "UPDATE fed_shard SET node = (SELECT node FROM fed_node WHERE heartbeat > now())")
	must(t, err)
	close(gate)
	wait(t, "it learns of it", func() bool {
		st, err := a.Status(ctx)
		must(t, err)
		for _, h := range st.Hosts {
			if h.InFlight > 0 {
				return false
			}
		}
		return len(st.Hosts) == 1 && st.Hosts[0].Backlog == 10
	})
	time.Sleep(300 * time.Millisecond)
	var acked int64
	must(t, a.db.QueryRow(ctx, "SELECT sum(acked) FROM fed_cursor").Scan(&acked))
	if acked != 0 {
		t.Errorf("it moved the cursor to %d", acked)
	}
}

// An actor whose Delete was sent may be told of again, by every process: it was
// suspended and is back.
func TestActorAfterItsDelete(t *testing.T) {
	t.Parallel()
	dsn := newDSN(t)
	f := newFleet()
	a := newRig(t, open(t, dsn), f).run(t)
	newRig(t, open(t, dsn), f).run(t)
	fairly(t, a, 2)
	names := hosts(20)
	for i, verb := range []string{"Delete", "Undo", "Update"} {
		a.send(t, message("https://self.example/users/alice", verb, delivery.Background, names...))
		wait(t, verb, func() bool {
			for _, h := range names {
				if len(counts(f.at(shared(h)))) < i+1 {
					return false
				}
			}
			return true
		})
	}
}
