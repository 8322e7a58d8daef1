//go:build faults

// Package faults does to whole servers what happens to them: processes that
// are killed and frozen, a database that ends, fills its disk or takes no
// writes. It takes minutes, so it has a target of its own: make test-faults.
package faults

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"buttersc.one/oven/internal/lib/pgserver"
	"buttersc.one/oven/test/fleet"
	"buttersc.one/oven/test/proc"
)

type m = fleet.M

// host is the name of the server, whichever of its processes answers.
const host = "oven.example"

// program is the binary, built once.
var program string

func TestMain(t *testing.M) {
	dir, err := os.MkdirTemp("/tmp", "oven-faults-*")
	if err == nil {
		err = os.Chmod(dir, 0o755) //nolint:gosec // PostgreSQL runs as another user when this is root
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	program = filepath.Join(dir, "oven")
	if out, err := exec.Command("go", "build", "-o", program, "../../cmd/oven").CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build: %v: %s", err, out)
		os.Exit(2)
	}
	code := t.Run()
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

// world is a database, several ovens on it, and other servers.
type world struct {
	t      *testing.T
	dir    string
	pg     *pgserver.Server
	db     *pgxpool.Pool
	nodes  []*proc.Oven
	fleet  *fleet.Fleet
	users  []*local
	dice   *rand.Rand
	dicing sync.Mutex
	// failed counts calls that got no answer, or one that the server cannot.
	failed atomic.Int64
	away   atomic.Pointer[proc.Oven] // a node that answers nobody; nil: none
	said   atomic.Int64              // things of other servers, for their addresses
}

// local is somebody who lives on the server.
type local struct {
	name string
	proc.Account
}

// newWorld starts nodes, other servers and accounts, and has each of the other
// servers' accounts follow each account here.
func newWorld(t *testing.T, nodes, hosts, users int) *world {
	t.Helper()
	w := &world{t: t, dir: filepath.Join(filepath.Dir(program), t.Name()), dice: rand.New(rand.NewPCG(seed(t), 1))} //nolint:gosec // who does what
	must(t, os.RemoveAll(w.dir))                                                                                    // of a run before
	must(t, os.MkdirAll(filepath.Join(w.dir, "db"), 0o755))                                                         //nolint:gosec // as above
	w.startDatabase()
	t.Cleanup(func() { w.stopDatabase() })
	var err error
	if w.fleet, err = fleet.New(hosts); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.fleet.Close)
	for i := range nodes {
		o, err := proc.New(program, filepath.Join(w.dir, fmt.Sprint("node", i)), host)
		must(t, err)
		o.Env = []string{"OVEN_MODE=test", "OVEN_DATABASE_URL=" + w.pg.DSN(), "OVEN_SECRET_KEY_FILE=" + filepath.Join(w.dir, "secret.key"), w.fleet.Env()}
		must(t, o.Start(t.Context()))
		w.nodes = append(w.nodes, o)
		t.Cleanup(o.Stop)
	}
	for i := range users {
		u := &local{name: fmt.Sprint("user", i)}
		u.Account, err = w.nodes[0].Account(t.Context(), u.name)
		must(t, err)
		w.users = append(w.users, u)
	}
	for _, h := range w.fleet.Hosts {
		for _, u := range w.users {
			must(t, w.fleet.Insist(t.Context(), w.any, host, h.Actor, m{"type": "Follow", "id": h.URL("/follow/" + u.ID), "object": u.actor()}))
		}
	}
	w.wait("followers", func() bool { return w.count("SELECT count(*) FROM following") == hosts*users })
	return w
}

func (u *local) actor() string { return "http://" + host + "/users/" + u.ID }

func (w *world) startDatabase() {
	w.t.Helper()
	var err error
	w.pg, err = pgserver.Start(context.Background(), pgserver.Options{Dir: filepath.Join(w.dir, "db"), Log: slog.New(slog.DiscardHandler)})
	must(w.t, err)
	if w.db == nil {
		w.db, err = pgxpool.New(context.Background(), w.pg.DSN())
		must(w.t, err)
	}
}

func (w *world) stopDatabase() {
	w.db.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	_ = w.pg.Stop(ctx)
}

// seed is FAULTS_SEED, or else another each time. What processes make of it is
// theirs; what is done to them is the same.
func seed(t *testing.T) uint64 {
	n, err := strconv.ParseUint(os.Getenv("FAULTS_SEED"), 10, 64)
	if err != nil {
		n = rand.Uint64()
	}
	t.Logf("FAULTS_SEED=%d", n)
	return n
}

// intN is a number of the seed's, below n.
func (w *world) intN(n int) int {
	w.dicing.Lock()
	defer w.dicing.Unlock()
	return w.dice.IntN(n)
}

// any is the address of one of the nodes.
func (w *world) any() string { return w.node().Addr }

func (w *world) node() *proc.Oven {
	for {
		if o := w.nodes[w.intN(len(w.nodes))]; o != w.away.Load() {
			return o
		}
	}
}

// call asks one of the nodes; done tells whether the answer was one of success.
// Without an answer it is not known what became of the request.
func (w *world) call(u *local, name string, params m) (out m, done bool) {
	ctx, cancel := context.WithTimeout(w.t.Context(), 20*time.Second)
	defer cancel()
	params["i"] = u.Token
	b, err := w.node().Call(ctx, name, params)
	if err != nil {
		var no *proc.StatusError
		if errors.As(err, &no) && no.Status < 500 && no.Status != 404 && !strings.Contains(string(no.Body), "NO_SUCH") {
			w.t.Errorf("%s: %v", name, err)
		} else if no == nil || no.Status >= 500 {
			w.failed.Add(1)
		}
		return nil, false
	}
	if len(b) > 0 {
		must(w.t, json.Unmarshal(b, &out))
	}
	return out, true
}

// count is a number out of the database, or -1 while that cannot be had.
func (w *world) count(sql string, args ...any) int {
	n := -1
	_ = w.db.QueryRow(context.Background(), sql, args...).Scan(&n)
	return n
}

// pairs are the rows of two columns.
func (w *world) pairs(sql string, args ...any) map[string]string {
	w.t.Helper()
	rows, err := w.db.Query(context.Background(), sql, args...)
	must(w.t, err)
	out := map[string]string{}
	var k, v string
	_, err = pgx.ForEachRow(rows, []any{&k, &v}, func() error { out[k] = v; return nil })
	must(w.t, err)
	return out
}

// patience is longer than anything takes on a busy machine: a shard whose node
// was frozen waits for the end of its lease, a host that failed for its turn.
const patience = 4 * time.Minute

func (w *world) wait(what string, ok func() bool) {
	w.t.Helper()
	for end := time.Now().Add(patience); !ok(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			w.t.Fatalf("timed out: %s", what)
		}
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
