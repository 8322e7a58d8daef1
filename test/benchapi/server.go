package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// server is the measured one.
type server struct {
	addr string
	cmd  *exec.Cmd
	env  []string
}

// start runs the server on the data directory; the duration is from the start
// of the process to its first answer.
func start(ctx context.Context, dir string) (*server, time.Duration, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, 0, err
	}
	s := &server{addr: l.Addr().String()}
	if err := l.Close(); err != nil {
		return nil, 0, err
	}
	s.env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME"), "OVEN_MODE=test", "OVEN_URL=http://bench.example",
		"OVEN_LISTEN=" + s.addr, "OVEN_DATA_DIR=" + dir}
	s.cmd = exec.Command("bin/oven", "serve")
	s.cmd.Env, s.cmd.Stderr = s.env, os.Stderr
	begin := time.Now()
	if err := s.cmd.Start(); err != nil {
		return nil, 0, err
	}
	for time.Since(begin) < time.Minute && ctx.Err() == nil {
		if _, err := s.call("ping", map[string]any{}); err == nil {
			return s, time.Since(begin), nil
		}
		time.Sleep(2 * time.Millisecond)
	}
	s.stop()
	return nil, 0, errors.New("the server does not answer")
}

func (s *server) stop() {
	if s.cmd == nil {
		return
	}
	_ = s.cmd.Process.Signal(syscall.SIGTERM)
	_ = s.cmd.Wait()
	s.cmd = nil
}

var client = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 8}, Timeout: time.Minute}

func (s *server) call(name string, body map[string]any) ([]byte, error) {
	b, err := json.Marshal(body)
	if err != nil {
		return nil, err
	}
	res, err := client.Post("http://"+s.addr+"/api/"+name, "application/json", bytes.NewReader(b))
	if err != nil {
		return nil, err
	}
	defer func() { _ = res.Body.Close() }()
	out, err := io.ReadAll(res.Body)
	if err != nil {
		return nil, err
	}
	if res.StatusCode >= 300 {
		return nil, fmt.Errorf("%s: %s: %.300s", name, res.Status, out)
	}
	return out, nil
}

type account struct{ id, token string }

func (s *server) signUp() (*account, error) {
	b, err := s.call("signup", map[string]any{"username": "bench", "password": "bench"})
	if err != nil {
		return nil, err
	}
	var out struct{ ID, Token string }
	if err := json.Unmarshal(b, &out); err != nil {
		return nil, err
	}
	return &account{out.ID, out.Token}, nil
}

// rss is the server's resident memory in MB, without PostgreSQL.
func (s *server) rss() (float64, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	for _, line := range strings.Split(string(b), "\n") {
		if f := strings.Fields(line); len(f) > 1 && f[0] == "VmRSS:" {
			kb, err := strconv.ParseFloat(f[1], 64)
			return kb / 1024, err
		}
	}
	return 0, errors.New("no VmRSS")
}

// clockTick of /proc, on every Linux that Go runs on.
const clockTick = 100.0

// cpu is what a process has used, and its ended children, in ms.
func cpu(pid string) (parent string, used float64, err error) {
	b, err := os.ReadFile(filepath.Join("/proc", pid, "stat"))
	if err != nil {
		return "", 0, err
	}
	text := string(b)
	f := strings.Fields(text[strings.LastIndexByte(text, ')')+1:])
	if len(f) < 15 {
		return "", 0, errors.New("stat is short")
	}
	for _, i := range []int{11, 12, 13, 14} { // utime, stime, cutime, cstime
		n, err := strconv.ParseFloat(f[i], 64)
		if err != nil {
			return "", 0, err
		}
		used += n / clockTick * 1000
	}
	return f[1], used, nil
}

// usage is the CPU of the server alone, and of the processes below it, which
// are PostgreSQL's.
func (s *server) usage() (own, postgres float64, err error) {
	pid := strconv.Itoa(s.cmd.Process.Pid)
	dirs, err := os.ReadDir("/proc")
	if err != nil {
		return 0, 0, err
	}
	parents, used := map[string]string{}, map[string]float64{}
	for _, d := range dirs {
		if _, err := strconv.Atoi(d.Name()); err != nil {
			continue
		}
		if p, u, err := cpu(d.Name()); err == nil {
			parents[d.Name()], used[d.Name()] = p, u
		}
	}
	for child := range used {
		for at := parents[child]; at != "" && at != "0"; at = parents[at] {
			if at == pid {
				postgres += used[child]
				break
			}
		}
	}
	return used[pid], postgres, nil
}

// clients at a time.
const clients = 2

func (b *bench) measure(ctx context.Context, e endpoint) error {
	for i := range 50 {
		if _, err := b.server.call(e.name, e.body(i)); err != nil {
			return err
		}
	}
	n := max(60, int(600*b.scale))
	own, postgres, err := b.server.usage()
	if err != nil {
		return err
	}
	times, err := b.load(ctx, e, n)
	if err != nil {
		return err
	}
	own2, postgres2, err := b.server.usage()
	if err != nil {
		return err
	}
	b.figures[e.label+".server_cpu_ms"] = (own2 - own) / float64(n)
	b.figures[e.label+".pg_cpu_ms"] = (postgres2 - postgres) / float64(n)
	b.figures[e.label+".p50_ms"] = ms(times[n/2])
	b.figures[e.label+".p95_ms"] = ms(times[n*95/100])
	fmt.Fprintf(os.Stderr, "%-9s server %.2f ms, postgres %.2f ms CPU a request; p50 %.1f ms\n", e.label,
		b.figures[e.label+".server_cpu_ms"], b.figures[e.label+".pg_cpu_ms"], b.figures[e.label+".p50_ms"])
	return nil
}

// load makes n calls and gives their durations, sorted.
func (b *bench) load(ctx context.Context, e endpoint, n int) ([]time.Duration, error) {
	var mu sync.Mutex
	var times []time.Duration
	var failed error
	next := make(chan int)
	var wg sync.WaitGroup
	for range clients {
		wg.Go(func() {
			for i := range next {
				begin := time.Now()
				_, err := b.server.call(e.name, e.body(1000+i))
				took := time.Since(begin)
				mu.Lock()
				times = append(times, took)
				failed = errors.Join(failed, err)
				mu.Unlock()
			}
		})
	}
	for i := range n {
		if ctx.Err() != nil {
			break
		}
		next <- i
	}
	close(next)
	wg.Wait()
	slices.Sort(times)
	return times, errors.Join(failed, ctx.Err())
}
