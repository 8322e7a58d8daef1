package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// server is one oven serve with a data directory of its own.
type server struct {
	host string // its name, which stands for its address
	addr string // where it listens
	dir  string
	peer *server
	cmd  *exec.Cmd
}

func newServer(host string) (*server, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	defer func() { _ = l.Close() }()
	dir, err := os.MkdirTemp("/tmp", "oven-demo-*")
	if err != nil {
		return nil, err
	}
	// PostgreSQL runs as another user when this is root.
	return &server{host: host, addr: l.Addr().String(), dir: dir}, os.Chmod(dir, 0o755) //nolint:gosec
}

func (s *server) env() []string {
	env := []string{"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME"),
		"OVEN_MODE=development", "OVEN_URL=http://" + s.host, "OVEN_LISTEN=" + s.addr, "OVEN_DATA_DIR=" + s.dir,
		"OVEN_TEST_HOSTS=" + s.peer.host + "=" + s.peer.addr}
	return env
}

// start runs the server and waits until it answers.
func (s *server) start() error {
	log, err := os.OpenFile(filepath.Join(s.dir, "demo.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }()
	s.cmd = exec.Command("bin/oven", "serve")
	s.cmd.Env, s.cmd.Stdout, s.cmd.Stderr = s.env(), log, log
	if err := s.cmd.Start(); err != nil {
		return err
	}
	return within(60*time.Second, func() error {
		res, err := http.Get("http://" + s.addr + "/healthz")
		if err != nil {
			return err
		}
		defer func() { _ = res.Body.Close() }()
		if res.StatusCode != http.StatusOK {
			return fmt.Errorf("%s answers %s", s.host, res.Status)
		}
		return nil
	})
}

// kill ends the server as a power cut would.
func (s *server) kill() {
	_ = s.cmd.Process.Signal(syscall.SIGKILL)
	_ = s.cmd.Wait()
	s.cmd = nil
}

func (s *server) stop() {
	if s.cmd == nil {
		return
	}
	_ = s.cmd.Process.Signal(syscall.SIGTERM)
	done := make(chan struct{})
	go func() { _ = s.cmd.Wait(); close(done) }()
	select {
	case <-done:
	case <-time.After(20 * time.Second):
		_ = s.cmd.Process.Kill()
	}
	s.cmd = nil
}

func (s *server) remove() {
	if os.Getenv("DEMO_KEEP") != "" {
		fmt.Fprintln(os.Stderr, "kept", s.dir)
		return
	}
	_ = os.RemoveAll(s.dir)
}

// addEmoji puts a small picture into the catalogue by the operator's command.
func (s *server) addEmoji(name string) error {
	img := image.NewRGBA(image.Rect(0, 0, 32, 32))
	for x := range 32 {
		for y := range 32 {
			img.Set(x, y, color.RGBA{R: 200, G: uint8(100 + 4*x), B: uint8(4 * y), A: 255})
		}
	}
	var b bytes.Buffer
	if err := png.Encode(&b, img); err != nil {
		return err
	}
	file := filepath.Join(s.dir, name+".png")
	if err := os.WriteFile(file, b.Bytes(), 0o600); err != nil {
		return err
	}
	cmd := exec.Command("bin/oven", "emoji", "add", name, file)
	cmd.Env = s.env()
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("oven emoji add: %w: %s", err, out)
	}
	return eventually(func() error {
		_, err := post(s.addr, "emoji", m{"name": name})
		return err
	})
}

// m is a JSON object.
type m = map[string]any

// post calls an endpoint.
func post(addr, name string, params m) (any, error) {
	b, err := json.Marshal(params)
	if err != nil {
		return nil, err
	}
	res, err := http.Post("http://"+addr+"/api/"+name, "application/json", bytes.NewReader(b))
	if err != nil {
		return nil, err
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode == http.StatusNoContent {
		return nil, nil
	}
	var out any
	if err := json.NewDecoder(res.Body).Decode(&out); err != nil {
		return nil, fmt.Errorf("%s: %s: %w", name, res.Status, err)
	}
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: %s: %v", name, res.Status, dig(out, "error", "code"))
	}
	return out, nil
}

// patience is how long a step may take to be seen on the other side.
const patience = 20 * time.Second

func eventually(f func() error) error { return within(patience, f) }

func within(d time.Duration, f func() error) error {
	deadline := time.Now().Add(d)
	for {
		err := f()
		if err == nil || time.Now().After(deadline) {
			return err
		}
		time.Sleep(40 * time.Millisecond)
	}
}

func all(errs ...error) error { return errors.Join(errs...) }
