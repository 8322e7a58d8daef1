// Command benchapi measures the API over real HTTP: CPU milliseconds a request
// of the server and of PostgreSQL, with 200 and with 2,000 followees over
// 100,000 notes; and a thousand open timelines, CPU an event delivered. The last
// line of stdout is the result; everything else goes to stderr.
//
// BENCH_SCALE (0.01 to 1) shrinks it, BENCH_SEED chooses who writes what.
// BENCH_KEEP, when set, leaves the data directory behind, for EXPLAIN.
package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"buttersc.one/oven/test/benchline"
	"buttersc.one/oven/test/proc"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	ctx, cancel := context.WithCancel(ctx)
	go leave(ctx, cancel)
	b := &bench{Bench: benchline.New("api")}
	err := b.run(ctx)
	b.close()
	cancel()
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "benchapi:", err)
		os.Exit(2)
	}
	b.AtMost("idle.rss_mb", 60)
	b.AtMost("start.first_answer_ms", 1000)
	b.AtMost("timeline.server_cpu_ms", 0.7)
	b.AtMost("create.server_cpu_ms", 1.5)
	b.AtMost("timeline.statements", 6)
	b.AtMost("timeline_2000.statements", 6)
	b.Print()
}

// leave ends the run when its parent has ended: go run does not hand on every
// signal.
func leave(ctx context.Context, cancel context.CancelFunc) {
	parent := os.Getppid()
	for pause(ctx, 200*time.Millisecond) == nil {
		if os.Getppid() != parent {
			cancel()
		}
	}
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// bench is one run.
type bench struct {
	*benchline.Bench
	dir    string
	public []string // ids of notes that everybody may see
	server *proc.Oven
}

func (b *bench) close() {
	if b.server != nil {
		b.server.Stop()
	}
	switch {
	case b.dir == "":
	case os.Getenv("BENCH_KEEP") != "":
		fmt.Fprintln(os.Stderr, "kept", b.dir)
	default:
		if err := os.RemoveAll(b.dir); err != nil {
			fmt.Fprintln(os.Stderr, "benchapi:", err)
		}
	}
}

func (b *bench) run(ctx context.Context) error {
	if err := b.prepare(ctx); err != nil {
		return err
	}
	if err := b.start(ctx, "cold"); err != nil {
		return err
	}
	reader, err := b.server.Account(ctx, "reader", "--admin")
	if err != nil {
		return err
	}
	writer, err := b.server.Account(ctx, "writer")
	if err != nil {
		return err
	}
	follower, err := b.server.Account(ctx, "many") // follows many
	if err != nil {
		return err
	}
	if err := b.fill(ctx, reader.ID); err != nil {
		return err
	}
	b.server.Stop()
	// Warm: the database is there, nothing is migrated.
	if err := b.start(ctx, "start"); err != nil {
		return err
	}
	if err := pause(ctx, 3*time.Second); err != nil {
		return err
	}
	if b.Figures["idle.rss_mb"], err = b.server.RSS(); err != nil {
		return err
	}
	es := b.endpoints(reader, writer, follower)
	for _, e := range es {
		if err := b.measure(ctx, e); err != nil {
			return fmt.Errorf("%s: %w", e.label, err)
		}
	}
	if err := b.sockets(ctx, reader); err != nil {
		return fmt.Errorf("sockets: %w", err)
	}
	if b.Figures["loaded.rss_mb"], err = b.server.RSS(); err != nil {
		return err
	}
	return b.count(ctx, es)
}

// prepare makes the directory of the run, with the program as it is built now:
// a later build does not change what is measured.
func (b *bench) prepare(ctx context.Context) error {
	if out, err := exec.CommandContext(ctx, "make", "--no-print-directory", "build").CombinedOutput(); err != nil {
		return fmt.Errorf("build: %w: %s", err, out)
	}
	var err error
	if b.dir, err = os.MkdirTemp("/tmp", "oven-bench-*"); err != nil {
		return err
	}
	if err := os.Chmod(b.dir, 0o755); err != nil { //nolint:gosec // PostgreSQL runs as another user
		return err
	}
	program, err := os.ReadFile("bin/oven")
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(b.dir, "oven"), program, 0o755) //nolint:gosec // it is run
}

// start runs the server and notes how long its first answer took.
func (b *bench) start(ctx context.Context, label string) error {
	var err error
	if b.server, err = proc.New(filepath.Join(b.dir, "oven"), filepath.Join(b.dir, "data"), "bench.example"); err != nil {
		return err
	}
	b.server.Log = os.Stderr
	begin := time.Now()
	if err := b.server.Start(ctx); err != nil {
		b.server = nil
		return err
	}
	b.Figures[label+".first_answer_ms"] = ms(time.Since(begin))
	return nil
}

// endpoint is what is measured.
type endpoint struct {
	label string
	name  string
	times int // as many requests as for the others: the clock of /proc is coarse
	body  func(i int) map[string]any
}

func (b *bench) endpoints(reader, writer, follower proc.Account) []endpoint {
	page := func(int) map[string]any { return map[string]any{"i": reader.Token, "limit": 20} }
	return []endpoint{
		{"timeline", "notes/timeline", 4, page},
		{"timeline_2000", "notes/timeline", 4, func(int) map[string]any { return map[string]any{"i": follower.Token, "limit": 20} }},
		{"local", "notes/local-timeline", 4, page},
		{"show", "notes/show", 4, func(i int) map[string]any {
			// Of a public note: the reader does not follow everybody.
			return map[string]any{"i": reader.Token, "noteId": b.public[i*37%len(b.public)]}
		}},
		{"create", "notes/create", 1, func(i int) map[string]any {
			// Taken in turns: an account may write 300 an hour.
			who := []proc.Account{reader, writer}[i%2]
			return map[string]any{"i": who.Token, "text": fmt.Sprintf("오늘 %d번째로 구운 식빵 #오븐", i)}
		}},
		{"meta", "meta", 4, func(int) map[string]any { return map[string]any{} }},
	}
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
