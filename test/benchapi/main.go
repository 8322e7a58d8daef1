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
	"encoding/json"
	"fmt"
	"math"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	ctx, cancel := context.WithCancel(ctx)
	go leave(ctx, cancel)
	b := &bench{figures: map[string]float64{}, scale: min(1, max(0.01, number("BENCH_SCALE", 1))), seed: int(number("BENCH_SEED", 1)), load1: load1()}
	start := time.Now()
	err := b.run(ctx)
	b.close()
	cancel()
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "benchapi:", err)
		os.Exit(2)
	}
	b.print(time.Since(start))
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

func number(name string, fallback float64) float64 {
	if f, err := strconv.ParseFloat(os.Getenv(name), 64); err == nil && f > 0 {
		return f
	}
	return fallback
}

// bench is one run.
type bench struct {
	scale   float64
	seed    int
	load1   float64 // before the run
	dir     string
	public  []string // ids of notes that everybody may see
	server  *server
	figures map[string]float64
}

func (b *bench) close() {
	if b.server != nil {
		b.server.stop()
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
	reader, err := b.server.account(ctx, "reader", "--admin")
	if err != nil {
		return err
	}
	writer, err := b.server.account(ctx, "writer")
	if err != nil {
		return err
	}
	follower, err := b.server.account(ctx, "many") // follows many
	if err != nil {
		return err
	}
	if err := b.fill(ctx, reader.ID); err != nil {
		return err
	}
	b.server.stop()
	// Warm: the database is there, nothing is migrated.
	if err := b.start(ctx, "start"); err != nil {
		return err
	}
	if err := pause(ctx, 3*time.Second); err != nil {
		return err
	}
	if b.figures["idle.rss_mb"], err = b.server.rss(); err != nil {
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
	if b.figures["loaded.rss_mb"], err = b.server.rss(); err != nil {
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
	s, took, err := start(ctx, b.dir)
	if err != nil {
		return err
	}
	b.server = s
	b.figures[label+".first_answer_ms"] = ms(took)
	return nil
}

// endpoint is what is measured.
type endpoint struct {
	label string
	name  string
	times int // as many requests as for the others: the clock of /proc is coarse
	body  func(i int) map[string]any
}

func (b *bench) endpoints(reader, writer, follower *account) []endpoint {
	page := func(int) map[string]any { return map[string]any{"i": reader.Token, "limit": 20} }
	return []endpoint{
		{"timeline", "notes/timeline", 1, page},
		{"timeline_2000", "notes/timeline", 1, func(int) map[string]any { return map[string]any{"i": follower.Token, "limit": 20} }},
		{"local", "notes/local-timeline", 1, page},
		{"show", "notes/show", 4, func(i int) map[string]any {
			// Of a public note: the reader does not follow everybody.
			return map[string]any{"i": reader.Token, "noteId": b.public[i*37%len(b.public)]}
		}},
		{"create", "notes/create", 1, func(i int) map[string]any {
			// Taken in turns: an account may write 300 an hour.
			who := []*account{reader, writer}[i%2]
			return map[string]any{"i": who.Token, "text": fmt.Sprintf("오늘 %d번째로 구운 식빵 #오븐", i)}
		}},
		{"meta", "meta", 4, func(int) map[string]any { return map[string]any{} }},
	}
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// goal is a figure's bound, and whether it holds.
type goal struct {
	Max float64 `json:"max"`
	Met bool    `json:"met"`
}

func (b *bench) print(took time.Duration) {
	goals := map[string]goal{}
	for name, bound := range map[string]float64{"idle.rss_mb": 60, "start.first_answer_ms": 1000} {
		goals[name] = goal{bound, b.figures[name] <= bound}
	}
	for name, f := range b.figures {
		b.figures[name] = math.Round(f*1000) / 1000
	}
	line, err := json.Marshal(map[string]any{
		"bench": "api", "rev": rev(), "cpus": runtime.NumCPU(), "load1": b.load1, "seed": b.seed, "scale": b.scale,
		"seconds": math.Round(took.Seconds()*10) / 10, "figures": b.figures, "peer": map[string]float64{}, "ratios": map[string]float64{}, "goals": goals,
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, "benchapi:", err)
		return
	}
	fmt.Println(string(line))
}

// rev is the commit, with "-dirty" where files differ from it.
func rev() string {
	out, err := exec.Command("git", "describe", "--always", "--dirty", "--exclude=*").Output()
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(out))
}

func load1() float64 {
	b, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return 0
	}
	first, _, _ := strings.Cut(string(b), " ")
	f, err := strconv.ParseFloat(first, 64)
	if err != nil {
		return 0
	}
	return f
}
