// Command benchapi measures the API over real HTTP: CPU milliseconds a request
// of the server and of PostgreSQL, with 200 followees over 100,000 notes. The
// last line of stdout is the result; everything else goes to stderr.
//
// BENCH_SCALE (0.01 to 1) shrinks it, BENCH_SEED chooses the texts.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	b := &bench{figures: map[string]float64{}, scale: number("BENCH_SCALE", 1), seed: int(number("BENCH_SEED", 1))}
	start := time.Now()
	err := b.run(ctx)
	b.close()
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "benchapi:", err)
		os.Exit(1)
	}
	b.print(time.Since(start))
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
	dir     string
	server  *server
	figures map[string]float64
}

func (b *bench) close() {
	if b.server != nil {
		b.server.stop()
	}
	if b.dir != "" {
		_ = os.RemoveAll(b.dir)
	}
}

func (b *bench) run(ctx context.Context) error {
	dir, err := os.MkdirTemp("/tmp", "oven-bench-*")
	if err != nil {
		return err
	}
	b.dir = dir
	if err := os.Chmod(dir, 0o755); err != nil { //nolint:gosec // PostgreSQL runs as another user
		return err
	}
	if out, err := exec.CommandContext(ctx, "make", "--no-print-directory", "build").CombinedOutput(); err != nil {
		return fmt.Errorf("build: %w: %s", err, out)
	}
	s, cold, err := start(ctx, dir)
	if err != nil {
		return err
	}
	b.server = s
	b.figures["cold.first_answer_ms"] = ms(cold)
	me, err := s.signUp()
	if err != nil {
		return err
	}
	if err := b.fill(ctx, me); err != nil {
		return err
	}
	s.stop()
	// Warm: the database is there, nothing is migrated.
	s, warm, err := start(ctx, dir)
	if err != nil {
		return err
	}
	b.server = s
	b.figures["start.first_answer_ms"] = ms(warm)
	time.Sleep(3 * time.Second)
	if b.figures["idle.rss_mb"], err = s.rss(); err != nil {
		return err
	}
	for _, e := range b.endpoints(me) {
		if err := b.measure(ctx, e); err != nil {
			return fmt.Errorf("%s: %w", e.label, err)
		}
	}
	b.figures["loaded.rss_mb"], err = s.rss()
	return err
}

// endpoint is what is measured.
type endpoint struct {
	label string
	name  string
	body  func(i int) map[string]any
}

func (b *bench) endpoints(me *account) []endpoint {
	page := func(int) map[string]any { return map[string]any{"i": me.token, "limit": 20} }
	return []endpoint{
		{"timeline", "notes/timeline", page},
		{"local", "notes/local-timeline", page},
		{"show", "notes/show", func(i int) map[string]any {
			return map[string]any{"i": me.token, "noteId": noteID(1 + i*37%b.notes())}
		}},
		{"create", "notes/create", func(i int) map[string]any {
			return map[string]any{"i": me.token, "text": fmt.Sprintf("오늘 %d번째로 구운 식빵 #오븐", i)}
		}},
		{"meta", "meta", func(int) map[string]any { return map[string]any{} }},
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
	for name, max := range map[string]float64{"idle.rss_mb": 60, "start.first_answer_ms": 1000} {
		goals[name] = goal{max, b.figures[name] <= max}
	}
	rev, _ := exec.Command("git", "rev-parse", "--short", "HEAD").Output()
	load, _ := os.ReadFile("/proc/loadavg")
	load1, _ := strconv.ParseFloat(strings.Fields(string(load) + " 0")[0], 64)
	line, err := json.Marshal(map[string]any{
		"bench": "api", "rev": strings.TrimSpace(string(rev)), "cpus": runtime.NumCPU(), "load1": load1, "seed": b.seed, "scale": b.scale,
		"seconds": took.Seconds(), "figures": b.figures, "peer": map[string]float64{}, "ratios": map[string]float64{}, "goals": goals,
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, "benchapi:", err)
		return
	}
	fmt.Println(string(line))
}
