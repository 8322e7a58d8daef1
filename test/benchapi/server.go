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
	"syscall"
	"time"
)

// server is the measured one.
type server struct {
	program string
	addr    string
	cmd     *exec.Cmd
	ended   chan struct{} // closed when the process is gone
	env     []string
}

// start runs the server of the directory; the duration is from the start of the
// process to its first answer.
func start(ctx context.Context, dir string) (*server, time.Duration, error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, 0, err
	}
	s := &server{program: filepath.Join(dir, "oven"), addr: l.Addr().String(), ended: make(chan struct{})}
	if err := l.Close(); err != nil {
		return nil, 0, err
	}
	s.env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME"), "OVEN_MODE=development", "OVEN_URL=http://bench.example",
		"OVEN_LISTEN=" + s.addr, "OVEN_DATA_DIR=" + filepath.Join(dir, "data")}
	// Not ended by ctx: it is to end well, so that PostgreSQL does.
	s.cmd = exec.Command(s.program, "serve")
	s.cmd.Env, s.cmd.Stderr = s.env, os.Stderr
	begin := time.Now()
	if err := s.cmd.Start(); err != nil {
		return nil, 0, err
	}
	go func() { _ = s.cmd.Wait(); close(s.ended) }()
	for time.Since(begin) < time.Minute && ctx.Err() == nil && !s.gone() {
		if _, err := s.call(ctx, "ping", map[string]any{}); err == nil {
			return s, time.Since(begin), nil
		}
		time.Sleep(2 * time.Millisecond)
	}
	s.stop()
	return nil, 0, errors.Join(ctx.Err(), errors.New("the server does not answer"))
}

func (s *server) gone() bool {
	select {
	case <-s.ended:
		return true
	default:
		return false
	}
}

// stop ends the server and its PostgreSQL. A server that does not end is
// killed; its PostgreSQL ends by itself then.
func (s *server) stop() {
	_, below, err := s.processes()
	if err != nil {
		fmt.Fprintln(os.Stderr, "benchapi:", err)
	}
	_ = s.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-s.ended:
	case <-time.After(20 * time.Second):
		_ = s.cmd.Process.Kill()
		<-s.ended
	}
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if !slices.ContainsFunc(below, alive) {
			return
		}
	}
	fmt.Fprintln(os.Stderr, "benchapi: PostgreSQL has not ended")
}

func alive(p process) bool {
	now, err := readProcess(strconv.Itoa(p.pid))
	return err == nil && now.started == p.started
}

// oven runs a command of the program on the same data directory and gives its
// last line.
func (s *server) oven(ctx context.Context, stdin string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, s.program, args...)
	cmd.Env, cmd.Stdin, cmd.Stderr = s.env, strings.NewReader(stdin), os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("oven %s: %w", strings.Join(args, " "), err)
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	return lines[len(lines)-1], nil
}

var client = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 8}, Timeout: time.Minute}

func (s *server) call(ctx context.Context, name string, body map[string]any) ([]byte, error) {
	b, err := json.Marshal(body)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+s.addr+"/api/"+name, bytes.NewReader(b))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := client.Do(req)
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

type account struct{ ID, Token string }

func (s *server) account(ctx context.Context, name string, flags ...string) (*account, error) {
	out, err := s.oven(ctx, "password of "+name+"\n", append([]string{"user", "create", "--username", name, "--password-stdin", "--json"}, flags...)...)
	if err != nil {
		return nil, err
	}
	a := new(account)
	return a, json.Unmarshal([]byte(out), a)
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

// process is a line of the table of processes.
type process struct {
	pid, parent int
	started     string  // ticks since boot: a pid may come again
	cpu         float64 // ms that it and its ended children have used
}

func readProcess(pid string) (p process, err error) {
	b, err := os.ReadFile(filepath.Join("/proc", pid, "stat"))
	if err != nil {
		return p, err
	}
	text := string(b)
	f := strings.Fields(text[strings.LastIndexByte(text, ')')+1:])
	if len(f) < 20 {
		return p, errors.New("stat is short")
	}
	p.started = f[19]
	ints := map[int]int{}
	for _, i := range []int{1, 11, 12, 13, 14} { // ppid, utime, stime, cutime, cstime
		if ints[i], err = strconv.Atoi(f[i]); err != nil {
			return p, err
		}
	}
	p.parent = ints[1]
	p.cpu = float64(ints[11]+ints[12]+ints[13]+ints[14]) / clockTick * 1000
	p.pid, err = strconv.Atoi(pid)
	return p, err
}

// processes are the server's own and those below it, which are PostgreSQL's.
func (s *server) processes() (own process, below []process, err error) {
	dirs, err := os.ReadDir("/proc")
	if err != nil {
		return own, nil, err
	}
	all := map[int]process{}
	for _, d := range dirs {
		if _, err := strconv.Atoi(d.Name()); err != nil {
			continue
		}
		if p, err := readProcess(d.Name()); err == nil { // else it has just ended
			all[p.pid] = p
		}
	}
	pid := s.cmd.Process.Pid
	for _, p := range all {
		for at := p.parent; at != 0; at = all[at].parent {
			if at == pid {
				below = append(below, p)
				break
			}
		}
	}
	return all[pid], below, nil
}

// usage is the CPU of the server alone and of its PostgreSQL, in ms.
func (s *server) usage() (own, postgres float64, err error) {
	p, below, err := s.processes()
	for _, b := range below {
		postgres += b.cpu
	}
	return p.cpu, postgres, err
}
