// Package benchline is the line that a benchmark ends with: one JSON object on
// stdout, in the form that contract.md fixes. Goals are told, never the exit
// code.
package benchline

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"time"
)

// Bench is one run.
type Bench struct {
	Name                  string
	Scale, Seed           float64            // BENCH_SCALE (0.01 to 1), BENCH_SEED
	Figures, Peer, Ratios map[string]float64 // name.unit → what was measured
	goals                 map[string]goal
	load1                 float64 // before the run
	began                 time.Time
}

// New begins a run, with what the environment says of its size.
func New(name string) *Bench {
	return &Bench{Name: name, Scale: min(1, max(0.01, number("BENCH_SCALE", 1))), Seed: number("BENCH_SEED", 1),
		Figures: map[string]float64{}, Peer: map[string]float64{}, Ratios: map[string]float64{}, goals: map[string]goal{},
		load1: load1(), began: time.Now()}
}

// Say tells on stderr how far it is.
func (b *Bench) Say(format string, args ...any) { fmt.Fprintf(os.Stderr, format+"\n", args...) }

// goal is a bound, and whether it holds.
type goal struct {
	Max *float64 `json:"max,omitempty"`
	Min *float64 `json:"min,omitempty"`
	Met bool     `json:"met"`
}

// AtMost is a goal for a figure or a ratio.
func (b *Bench) AtMost(name string, bound float64) {
	b.goals[name] = goal{Max: &bound, Met: b.value(name) <= bound}
}

// AtLeast is a goal for a figure or a ratio.
func (b *Bench) AtLeast(name string, bound float64) {
	b.goals[name] = goal{Min: &bound, Met: b.value(name) >= bound}
}

func (b *Bench) value(name string) float64 {
	if v, ok := b.Figures[name]; ok {
		return v
	}
	return b.Ratios[name]
}

// Print writes the line.
func (b *Bench) Print() {
	for _, m := range []map[string]float64{b.Figures, b.Peer, b.Ratios} {
		for k, v := range m {
			m[k] = math.Round(v*1000) / 1000
		}
	}
	line, err := json.Marshal(map[string]any{
		"bench": b.Name, "rev": rev(), "cpus": runtime.NumCPU(), "load1": b.load1, "seed": b.Seed, "scale": b.Scale,
		"seconds": math.Round(time.Since(b.began).Seconds()*10) / 10, "figures": b.Figures, "peer": b.Peer, "ratios": b.Ratios, "goals": b.goals,
	})
	if err != nil { // a figure that is no number
		b.Say("bench %s: %v", b.Name, err)
		return
	}
	fmt.Println(string(line))
}

// Percentiles notes p50, p95 and p99, in ms, of sorted durations.
func Percentiles(to map[string]float64, name string, took []time.Duration) {
	if len(took) == 0 {
		return
	}
	for _, p := range []int{50, 95, 99} {
		to[fmt.Sprintf("%s.p%d_ms", name, p)] = float64(took[min(len(took)-1, len(took)*p/100)].Microseconds()) / 1000
	}
}

func number(name string, fallback float64) float64 {
	if f, err := strconv.ParseFloat(os.Getenv(name), 64); err == nil && f > 0 {
		return f
	}
	return fallback
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
