// Package proc runs oven serve as a process, for what looks at it from outside:
// the demonstration, the benchmarks and the tests of faults.
package proc

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
	"strings"
	"syscall"
	"time"
)

// Oven is a server with a data directory of its own. Make it with New, then set
// what is to differ, then Start it.
type Oven struct {
	Program string    // path of the binary
	Dir     string    // its data directory
	Addr    string    // where it listens
	Env     []string  // beyond what New sets
	Log     io.Writer // where its log goes; nil: serve.log in Dir

	env   []string
	cmd   *exec.Cmd
	ended chan struct{} // closed when the process is gone
}

// Build makes a directory for a measurement, with the program as its sources are now in
// it: a later build does not change what is measured. PostgreSQL, which runs as another
// user, may read it.
func Build(ctx context.Context) (dir, program string, err error) {
	if dir, err = os.MkdirTemp("/tmp", "oven-bench-*"); err != nil {
		return "", "", err
	}
	if err := os.Chmod(dir, 0o755); err != nil { //nolint:gosec // see above
		return dir, "", err
	}
	program = filepath.Join(dir, "oven")
	if out, err := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", program, "./cmd/oven").CombinedOutput(); err != nil {
		return dir, "", fmt.Errorf("build: %w: %s", err, out)
	}
	return dir, program, nil
}

// New prepares a server in dir, which is made, on a free port of the loopback
// address. host is its name, as others know it.
func New(program, dir, host string) (*Oven, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	defer func() { _ = l.Close() }()
	// PostgreSQL runs as another user when this is root.
	if err := os.MkdirAll(dir, 0o755); err != nil { //nolint:gosec
		return nil, err
	}
	o := &Oven{Program: program, Dir: dir, Addr: l.Addr().String()}
	o.env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME"), "OVEN_MODE=development",
		"OVEN_URL=http://" + host, "OVEN_LISTEN=" + o.Addr, "OVEN_DATA_DIR=" + dir}
	return o, nil
}

// Start runs the server and waits until it answers.
func (o *Oven) Start(ctx context.Context) error {
	if err := o.Begin(); err != nil {
		return err
	}
	for end := time.Now().Add(2 * time.Minute); time.Now().Before(end) && ctx.Err() == nil && !o.gone(); time.Sleep(2 * time.Millisecond) {
		if _, err := o.Call(ctx, "ping", map[string]any{}); err == nil {
			return nil
		}
	}
	o.Stop()
	return errors.Join(ctx.Err(), fmt.Errorf("the server on %s does not answer", o.Addr))
}

// Begin runs the server and does not wait.
func (o *Oven) Begin() error {
	out := o.Log
	if out == nil {
		log, err := os.OpenFile(filepath.Join(o.Dir, "serve.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
		if err != nil {
			return err
		}
		defer func() { _ = log.Close() }()
		out = log
	}
	// Not ended by a context: it is to end well, so that PostgreSQL does.
	o.cmd = exec.Command(o.Program, "serve")
	o.cmd.Env, o.cmd.Stdout, o.cmd.Stderr = slices.Concat(o.env, o.Env), out, out
	if err := o.cmd.Start(); err != nil {
		return err
	}
	ended, cmd := make(chan struct{}), o.cmd
	o.ended = ended
	go func() { _ = cmd.Wait(); close(ended) }()
	return nil
}

func (o *Oven) gone() bool {
	select {
	case <-o.ended:
		return true
	default:
		return false
	}
}

// Kill ends the server as a power cut would.
func (o *Oven) Kill() {
	_ = o.cmd.Process.Kill()
	<-o.ended
}

// Freeze stops the server where it is; Thaw lets it go on.
func (o *Oven) Freeze() error { return o.cmd.Process.Signal(syscall.SIGSTOP) }

// Thaw is the opposite of Freeze.
func (o *Oven) Thaw() error { return o.cmd.Process.Signal(syscall.SIGCONT) }

// Stop ends the server, and its PostgreSQL if it has one of its own. A server
// that does not end is killed; its PostgreSQL ends by itself then.
func (o *Oven) Stop() {
	if o.cmd == nil {
		return
	}
	_, below, err := o.processes()
	if err != nil {
		fmt.Fprintln(os.Stderr, "oven on", o.Addr, err)
	}
	_ = o.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-o.ended:
	case <-time.After(20 * time.Second):
		o.Kill()
	}
	o.cmd = nil
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if !slices.ContainsFunc(below, alive) {
			return
		}
	}
	fmt.Fprintln(os.Stderr, "PostgreSQL below the oven on", o.Addr, "has not ended")
}

// Run runs a command of the program for the same server and gives its last line.
func (o *Oven) Run(ctx context.Context, stdin string, args ...string) (string, error) {
	var told bytes.Buffer
	cmd := exec.CommandContext(ctx, o.Program, args...)
	cmd.Env, cmd.Stdin, cmd.Stderr = slices.Concat(o.env, o.Env), strings.NewReader(stdin), &told
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("oven %s: %w: %s", strings.Join(args, " "), err, told.Bytes())
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	return lines[len(lines)-1], nil
}

// Account is one of the server's.
type Account struct{ ID, Token string }

// Account makes an account by the operator's command.
func (o *Oven) Account(ctx context.Context, name string, flags ...string) (Account, error) {
	out, err := o.Run(ctx, "password of "+name+"\n", append([]string{"user", "create", "--username", name, "--password-stdin", "--json"}, flags...)...)
	if err != nil {
		return Account{}, err
	}
	var a Account
	return a, json.Unmarshal([]byte(out), &a)
}

// StatusError is an answer that is none of success.
type StatusError struct {
	Name   string
	Status int
	Body   []byte
}

func (e *StatusError) Error() string { return fmt.Sprintf("%s: %d: %.300s", e.Name, e.Status, e.Body) }

var client = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 32}, Timeout: time.Minute}

// Call calls an endpoint and gives the answer's body; *StatusError when it is
// none of success.
func (o *Oven) Call(ctx context.Context, name string, params map[string]any) ([]byte, error) {
	b, err := json.Marshal(params)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+o.Addr+"/api/"+name, bytes.NewReader(b))
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
		return nil, &StatusError{name, res.StatusCode, out}
	}
	return out, nil
}
