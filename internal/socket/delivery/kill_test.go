package delivery_test

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"testing"
	"time"

	"buttersc.one/oven/internal/lib/httpsig"
	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/socket/delivery"
)

// dialed posts over real sockets to one address, whatever the inbox's host.
type dialed struct {
	addr   string
	client *http.Client
}

func (p dialed) Post(ctx context.Context, inbox string, body []byte, key httpsig.Key, _ func() error) (delivery.Answer, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+p.addr+"/?"+inbox, bytes.NewReader(body))
	if err != nil {
		return delivery.Answer{}, err
	}
	if err := httpsig.SignCavage(r, key, body, time.Now()); err != nil {
		return delivery.Answer{}, err
	}
	res, err := p.client.Do(r)
	if err != nil {
		return delivery.Answer{}, err
	}
	defer res.Body.Close()
	_, _ = io.Copy(io.Discard, res.Body)
	return delivery.Answer{Status: res.StatusCode}, nil
}

const childDSN, childAddr = "DELIVERY_TEST_DSN", "DELIVERY_TEST_ADDR"

// TestChild is the process that TestKill kills.
func TestChild(t *testing.T) {
	dsn, addr := os.Getenv(childDSN), os.Getenv(childAddr)
	if dsn == "" {
		return // run as a test of its own
	}
	if _, err := netip.ParseAddrPort(addr); err != nil {
		t.Fatal(err)
	}
	d := open(t, dsn)
	_, err := d.Exec(context.Background(), "DELETE FROM fed_key") // the box is another in each process
	must(t, err)
	r := newRig(t, d, nil, func(c *delivery.Config) {
		c.Poster = dialed{addr, &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}}}
		c.FlushEvery = 100 * time.Millisecond
	})
	_ = r.Run(context.Background())
}

// The process is killed with SIGKILL again and again while activities are
// written: every endpoint gets all of them.
func TestKill(t *testing.T) {
	t.Parallel()
	dsn := newDSN(t)
	var mu sync.Mutex
	got := map[string]map[string]int{}
	total := 0
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		mu.Lock()
		defer mu.Unlock()
		inbox := r.URL.RawQuery
		if got[inbox] == nil {
			got[inbox] = map[string]int{}
		}
		got[inbox][string(b)]++
		total++
		w.WriteHeader(http.StatusAccepted)
	}))
	defer srv.Close()
	arrived := func() int {
		mu.Lock()
		defer mu.Unlock()
		return total
	}
	names := hosts(6)
	const n = 600
	w := newRig(t, open(t, dsn), newFleet()) // writes, and does not deliver
	var writer sync.WaitGroup
	writer.Go(func() {
		for i := 0; i < n; i += 20 {
			if err := w.db.Tx(context.Background(), func(tx *pg.Tx) error {
				for j := range 20 {
					if _, err := w.Send(context.Background(), tx, message("o"+string(rune('a'+j)), time.Duration(i).String(), delivery.Class(j%2), names...)); err != nil {
						return err
					}
				}
				return nil
			}); err != nil {
				t.Error(err)
			}
			time.Sleep(20 * time.Millisecond)
		}
	})
	self, err := os.Executable()
	must(t, err)
	whole := func() bool {
		mu.Lock()
		defer mu.Unlock()
		for _, h := range names {
			if len(got[shared(h)]) < n {
				return false
			}
		}
		return true
	}
	for round := range 30 {
		cmd := exec.Command(self, "-test.run=^TestChild$")
		cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
		cmd.Env = append(os.Environ(), childDSN+"="+dsn, childAddr+"="+srv.Listener.Addr().String())
		must(t, cmd.Start())
		before := arrived()
		wait(t, "progress", func() bool { return arrived() > before+300 || whole() })
		if round >= 4 {
			wait(t, "all", whole)
		}
		must(t, cmd.Process.Kill())
		_ = cmd.Wait()
		if whole() {
			break
		}
	}
	writer.Wait()
	for _, h := range names {
		if len(got[shared(h)]) != n {
			t.Errorf("%s: %d, want %d", h, len(got[shared(h)]), n)
		}
	}
	t.Logf("%d duplicates of %d", total-n*len(names), n*len(names))
}
