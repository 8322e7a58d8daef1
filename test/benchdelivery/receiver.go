package main

import (
	"encoding/json"
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

// receive is the other servers, in a process of their own: it answers 202 to
// everything but at the hosts that hang, and remembers when live messages came.
func receive() error {
	l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // as long as the process
	if err != nil {
		return err
	}
	var mu sync.Mutex
	var live []receipt
	var total atomic.Int64
	mux := http.NewServeMux()
	mux.HandleFunc("POST /inbox/{host}", func(w http.ResponseWriter, r *http.Request) {
		at := time.Now()
		host, _ := strconv.Atoi(r.PathValue("host"))
		b, _ := io.ReadAll(r.Body)
		if host < hanging {
			select {
			case <-r.Context().Done():
			case <-time.After(10 * time.Second):
			}
			return
		}
		total.Add(1)
		if id, _, ok := strings.Cut(string(b), "\n"); ok && strings.HasPrefix(id, "live") {
			mu.Lock()
			live = append(live, receipt{id, host, at})
			mu.Unlock()
		}
		w.WriteHeader(http.StatusAccepted)
	})
	mux.HandleFunc("GET /receipts", func(w http.ResponseWriter, _ *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		_ = json.NewEncoder(w).Encode(live)
		live = nil
	})
	mux.HandleFunc("GET /total", func(w http.ResponseWriter, _ *http.Request) { _, _ = fmt.Fprint(w, total.Load()) })
	fmt.Println(l.Addr())
	go func() { // ends with its parent
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}()
	return (&http.Server{Handler: mux, ReadHeaderTimeout: time.Minute}).Serve(l)
}
