package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// receipt is a live message that came: which, at which host, when.
type receipt struct {
	ID   string    `json:"id"`
	Host int       `json:"host"`
	At   time.Time `json:"at"`
}

// receiver is the other servers, in a process of their own: it answers 202 to
// everything but at the hosts that hang, and remembers when live messages came.
// Real ones are other machines, so it reads requests by hand, as cheaply as can
// be: what it takes of the CPU is missing for what is measured.
type receiver struct {
	mu    sync.Mutex
	live  []receipt
	total atomic.Int64
}

func receive() error {
	l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // as long as the process
	if err != nil {
		return err
	}
	fmt.Println(l.Addr())
	go func() { // ends with its parent
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}()
	r := &receiver{}
	for {
		c, err := l.Accept()
		if err != nil {
			return err
		}
		go func() {
			defer func() { _ = c.Close() }()
			_ = r.serve(c)
		}()
	}
}

var errRequest = errors.New("not a request")

// serve answers the requests of one connection.
func (r *receiver) serve(c net.Conn) error {
	in := bufio.NewReaderSize(c, 8<<10)
	for {
		line, err := in.ReadSlice('\n')
		if err != nil {
			return err
		}
		path := bytes.Fields(line)
		if len(path) != 3 {
			return errRequest
		}
		at := string(path[1])
		length := 0
		for {
			line, err := in.ReadSlice('\n')
			if err != nil {
				return err
			}
			if len(line) <= 2 {
				break
			}
			if name, value, ok := bytes.Cut(line, []byte(":")); ok && bytes.EqualFold(name, []byte("Content-Length")) {
				if length, err = strconv.Atoi(string(bytes.TrimSpace(value))); err != nil {
					return err
				}
			}
		}
		body := make([]byte, length)
		if _, err := io.ReadFull(in, body); err != nil {
			return err
		}
		if err := r.answer(c, at, body); err != nil {
			return err
		}
	}
}

func (r *receiver) answer(c net.Conn, path string, body []byte) error {
	inbox, ok := strings.CutPrefix(path, "/inbox/")
	if !ok {
		return r.tell(c, path)
	}
	now := time.Now()
	host, err := strconv.Atoi(inbox)
	if err != nil {
		return err
	}
	if host < hanging {
		time.Sleep(10 * time.Second)
		return errRequest // and closes
	}
	r.total.Add(1)
	if id, _, ok := bytes.Cut(body, []byte("\n")); ok && bytes.HasPrefix(id, []byte("live")) {
		r.mu.Lock()
		r.live = append(r.live, receipt{string(id), host, now})
		r.mu.Unlock()
	}
	_, err = io.WriteString(c, "HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n")
	return err
}

// tell says what came: to the measuring process, which asks now and then.
func (r *receiver) tell(c net.Conn, path string) error {
	var out []byte
	switch path {
	case "/total":
		out = strconv.AppendInt(nil, r.total.Load(), 10)
	case "/receipts":
		r.mu.Lock()
		var err error
		out, err = json.Marshal(r.live)
		r.live = nil
		r.mu.Unlock()
		if err != nil {
			return err
		}
	}
	res := http.Response{StatusCode: http.StatusOK, ProtoMajor: 1, ProtoMinor: 1, Body: io.NopCloser(bytes.NewReader(out)), ContentLength: int64(len(out))}
	return res.Write(c)
}
