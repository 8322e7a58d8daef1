// Command benchdelivery measures what a clean-up does to everybody else's
// deliveries: 50,000 deletions to 34 servers, 3 of which hang and 3 of which
// refuse, while notes and reactions are posted; the same drive against a plain
// queue with a job for each inbox, on River, in the same run. Signatures are
// real, sockets too; the servers are a process of their own on the same machine.
// The last line of stdout is the result; everything else goes to stderr.
//
// BENCH_SCALE (0.01 to 1) shrinks it, BENCH_SEED does nothing: nothing is drawn.
package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"buttersc.one/oven/db"
	"buttersc.one/oven/internal/lib/httpsig"
	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/lib/pgserver"
	"buttersc.one/oven/internal/lib/secret"
	"buttersc.one/oven/internal/socket/delivery"
	"buttersc.one/oven/test/benchline"
)

const (
	deletions = 50_000
	servers   = 34
	hanging   = 3 // the first ones
	refusing  = 3 // those after them
	healthy   = servers - hanging - refusing
	reacted   = 10 // servers that a reaction goes to, the last ones
	liveEvery = 250 * time.Millisecond
	receiving = "BENCH_DELIVERY_RECEIVER"
)

func main() {
	if os.Getenv(receiving) != "" {
		fmt.Fprintln(os.Stderr, "benchdelivery:", receive())
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	b := &bench{Bench: benchline.New("delivery")}
	err := b.run(ctx)
	b.close()
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "benchdelivery:", err)
		os.Exit(2)
	}
	b.AtMost("live.p95_ms", 250)
	b.AtMost("live.p95_over_idle", 1.5)
	b.AtMost("storage.mb", 45)
	b.AtLeast("drain.over_rsa", 0.85)
	b.Print()
}

type bench struct {
	*benchline.Bench

	dir      string
	server   *pgserver.Server
	db       *pg.DB
	box      *secret.Box
	pair     *httpsig.KeyPair
	key      httpsig.Key
	receiver *exec.Cmd
	in       io.Closer
	addr     string
	client   *http.Client
	live     int
}

func (b *bench) run(ctx context.Context) error {
	if err := b.prepare(ctx); err != nil {
		return err
	}
	b.rsa()
	if err := b.own(ctx); err != nil {
		return fmt.Errorf("own engine: %w", err)
	}
	b.rsa() // again: the machine may have had other work the first time
	if err := b.river(ctx); err != nil {
		return fmt.Errorf("river: %w", err)
	}
	b.Ratios["live.p95_over_idle"] = b.Figures["live.p95_ms"] / b.Figures["idle.p95_ms"]
	b.Ratios["live.p95_over_river"] = b.Figures["live.p95_ms"] / b.Peer["river.live.p95_ms"]
	b.Ratios["drain.over_rsa"] = b.Figures["drain.per_s"] / b.Figures["rsa.per_s"]
	return nil
}

func (b *bench) prepare(ctx context.Context) error {
	var err error
	if b.dir, err = os.MkdirTemp("/tmp", "oven-bench-*"); err != nil {
		return err
	}
	if err := os.Chmod(b.dir, 0o755); err != nil { //nolint:gosec // PostgreSQL runs as another user
		return err
	}
	if b.server, err = pgserver.Start(ctx, pgserver.Options{Dir: b.dir, Log: slog.New(slog.DiscardHandler)}); err != nil {
		return err
	}
	if b.db, err = pg.Open(ctx, b.server.DSN(), pg.Options{MaxConns: 90}); err != nil {
		return err
	}
	if _, err := db.Migrate(ctx, b.db); err != nil {
		return err
	}
	if b.box, err = secret.LoadOrCreate(b.dir + "/secret.key"); err != nil {
		return err
	}
	if b.pair, err = httpsig.GenerateRSA(); err != nil {
		return err
	}
	if b.key.Signer, err = httpsig.ParsePrivateKey(b.pair.PrivatePEM); err != nil {
		return err
	}
	b.key.ID = "https://self.example/users/alice#main-key"
	b.client = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 512}}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	b.receiver = exec.Command(self)
	b.receiver.Env, b.receiver.Stderr = append(os.Environ(), receiving+"=1"), os.Stderr
	in, err := b.receiver.StdinPipe()
	if err != nil {
		return err
	}
	b.in = in
	out, err := b.receiver.StdoutPipe()
	if err != nil {
		return err
	}
	if err := b.receiver.Start(); err != nil {
		return err
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	b.addr = strings.TrimSpace(line)
	return err
}

func (b *bench) close() {
	if b.in != nil {
		_ = b.in.Close()
		_ = b.receiver.Wait()
	}
	if b.db != nil {
		b.db.Close()
	}
	if b.server != nil {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		_ = b.server.Stop(ctx)
	}
	if b.dir != "" {
		_ = os.RemoveAll(b.dir)
	}
}

// rsa measures how many RSA-2048 signatures all cores make in a second: what
// bounds deliveries. The best of all calls counts.
func (b *bench) rsa() {
	sum := sha256.Sum256([]byte("x"))
	var wg sync.WaitGroup
	n := make([]int, runtime.GOMAXPROCS(0))
	end := time.Now().Add(2 * time.Second)
	for i := range n {
		wg.Go(func() {
			for time.Now().Before(end) {
				if _, err := b.key.Signer.(*rsa.PrivateKey).Sign(rand.Reader, sum[:], crypto.SHA256); err != nil {
					return
				}
				n[i]++
			}
		})
	}
	wg.Wait()
	total := 0.0
	for _, k := range n {
		total += float64(k) / 2
	}
	b.Figures["rsa.per_s"] = max(b.Figures["rsa.per_s"], total)
	b.Say("%.0f RSA signatures a second", b.Figures["rsa.per_s"])
}

// Post implements delivery.Poster over real sockets, all to the receiver's
// process, or to a port where nobody is.
func (b *bench) Post(ctx context.Context, inbox string, body []byte, key httpsig.Key, _ func() error) (delivery.Answer, error) {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	n, err := strconv.Atoi(strings.TrimSuffix(strings.TrimPrefix(inbox, "https://h"), ".example/inbox"))
	if err != nil {
		return delivery.Answer{}, err
	}
	to := "http://" + b.addr
	if n >= hanging && n < hanging+refusing {
		to = "http://127.0.0.1:1"
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, to+"/inbox/"+strconv.Itoa(n), bytes.NewReader(body))
	if err != nil {
		return delivery.Answer{}, err
	}
	if err := httpsig.SignCavage(r, key, body, time.Now()); err != nil {
		return delivery.Answer{}, err
	}
	res, err := b.client.Do(r)
	if err != nil {
		return delivery.Answer{}, err
	}
	_, _ = io.Copy(io.Discard, res.Body)
	_ = res.Body.Close()
	return delivery.Answer{Status: res.StatusCode}, nil
}

func inbox(n int) string { return fmt.Sprintf("https://h%d.example/inbox", n) }

// drive posts live messages until the duration is over, and gives how long each
// took from its commit to each healthy server that it was for, sorted; lost is
// how many had not come some seconds after the end.
func (b *bench) drive(ctx context.Context, d time.Duration, post func(ctx context.Context, id string, note bool) error) (took []time.Duration, lost int, err error) {
	if _, err := b.receipts(); err != nil {
		return nil, 0, err
	}
	sent := map[string]time.Time{}
	want := 0
	for end := time.Now().Add(d); time.Now().Before(end) && ctx.Err() == nil; time.Sleep(liveEvery) {
		for _, note := range []bool{true, false} {
			b.live++
			id := fmt.Sprintf("live-%d-%v", b.live, note)
			if err := post(ctx, id, note); err != nil {
				return nil, 0, err
			}
			sent[id] = time.Now()
			if note {
				want += healthy
			} else {
				want += reacted
			}
		}
	}
	seen := map[string]bool{}
	for end := time.Now().Add(15 * time.Second); len(took) < want && time.Now().Before(end); time.Sleep(200 * time.Millisecond) {
		list, err := b.receipts()
		if err != nil {
			return nil, 0, err
		}
		for _, r := range list {
			at, ok := sent[r.ID]
			if k := fmt.Sprint(r.ID, " ", r.Host); ok && !seen[k] {
				seen[k] = true
				took = append(took, max(r.At.Sub(at), 0))
			}
		}
	}
	slices.Sort(took)
	return took, want - len(took), ctx.Err()
}

func (b *bench) receipts() ([]receipt, error) {
	var out []receipt
	return out, b.get("/receipts", func(r io.Reader) error { return json.NewDecoder(r).Decode(&out) })
}

func (b *bench) total() (n float64, err error) {
	return n, b.get("/total", func(r io.Reader) error { _, err := fmt.Fscan(r, &n); return err })
}

func (b *bench) get(path string, read func(io.Reader) error) error {
	res, err := http.Get("http://" + b.addr + path) //nolint:noctx // on this machine
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }()
	return read(res.Body)
}

// percentiles notes p50, p95 and p99, and what did not come.
func percentiles(to map[string]float64, name string, took []time.Duration, lost int) {
	benchline.Percentiles(to, name, took)
	to[name+".lost"] = float64(lost)
}

var errNothing = errors.New("nothing was delivered")
