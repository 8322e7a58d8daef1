package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"os"
	"path/filepath"
	"time"

	"buttersc.one/oven/test/proc"
)

// server is one oven serve with a data directory of its own.
type server struct {
	*proc.Oven
	host string // its name, which stands for its address
}

func newServer(host string) (*server, error) {
	dir, err := os.MkdirTemp("/tmp", "oven-demo-*")
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(dir, 0o755); err != nil { //nolint:gosec // PostgreSQL runs as another user when this is root
		return nil, err
	}
	o, err := proc.New("bin/oven", dir, host)
	return &server{o, host}, err
}

// knows tells the server where another is.
func (s *server) knows(other *server) {
	s.Env = []string{"OVEN_TEST_HOSTS=" + other.host + "=" + other.Addr}
}

func (s *server) remove() {
	if os.Getenv("DEMO_KEEP") != "" {
		fmt.Fprintln(os.Stderr, "kept", s.Dir)
		return
	}
	_ = os.RemoveAll(s.Dir)
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
	file := filepath.Join(s.Dir, name+".png")
	if err := os.WriteFile(file, b.Bytes(), 0o600); err != nil {
		return err
	}
	if _, err := s.Run(context.Background(), "", "emoji", "add", name, file); err != nil {
		return err
	}
	return eventually(func() error {
		_, err := s.post("emoji", m{"name": name})
		return err
	})
}

// m is a JSON object.
type m = map[string]any

// post calls an endpoint.
func (s *server) post(name string, params m) (any, error) {
	b, err := s.Call(context.Background(), name, params)
	if err != nil || len(b) == 0 {
		return nil, err
	}
	var out any
	return out, json.Unmarshal(b, &out)
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
