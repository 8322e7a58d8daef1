package remote_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"buttersc.one/oven/internal/lib/httpsig"
	"buttersc.one/oven/internal/socket/remote"
)

// world is some servers on loopback sockets and a client that knows them by
// name.
type world struct {
	t     *testing.T
	hosts map[string]*http.ServeMux
	addr  map[string]netip.AddrPort
	hits  sync.Map // "host/path" → *atomic.Int64
	cfg   remote.Config
	clock atomic.Int64
	key   httpsig.Key
}

var start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

var pair = sync.OnceValue(func() httpsig.Key {
	p, err := httpsig.GenerateRSA()
	if err != nil {
		panic(err)
	}
	k, err := httpsig.ParsePrivateKey(p.PrivatePEM)
	if err != nil {
		panic(err)
	}
	return httpsig.Key{ID: "https://a.example/users/instance.actor#main-key", Signer: k}
})

func newWorld(t *testing.T, hosts ...string) *world {
	t.Helper()
	w := &world{t: t, hosts: map[string]*http.ServeMux{}, addr: map[string]netip.AddrPort{}, key: pair()}
	w.clock.Store(start.Unix())
	for _, h := range hosts {
		mux := http.NewServeMux()
		srv := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			n, _ := w.hits.LoadOrStore(h+r.URL.Path, new(atomic.Int64))
			n.(*atomic.Int64).Add(1)
			mux.ServeHTTP(rw, r)
		}))
		t.Cleanup(srv.Close)
		w.hosts[h] = mux
		w.addr[h] = netip.MustParseAddrPort(srv.Listener.Addr().String())
	}
	w.cfg = remote.Config{UserAgent: "Oven/test", Origin: "https://a.example", TestHosts: w.addr, Timeout: 3 * time.Second,
		Now: func() time.Time { return time.Unix(w.clock.Load(), 0) }}
	return w
}

func (w *world) pass(d time.Duration) { w.clock.Add(int64(d / time.Second)) }

func (w *world) got(url string) int64 {
	url, _, _ = strings.Cut(url, "#")
	n, ok := w.hits.Load(strings.TrimPrefix(url, "http://"))
	if !ok {
		return 0
	}
	return n.(*atomic.Int64).Load()
}

// SignGet implements remote.Signer.
func (w *world) SignGet(context.Context) (httpsig.Key, error) { return w.key, nil }

func (w *world) client() *remote.Client {
	c := remote.New(w.cfg, w, nil)
	w.t.Cleanup(c.Close)
	return c
}

// handle serves at a URL of the world.
func (w *world) handle(url string, h http.HandlerFunc) {
	host, path, _ := strings.Cut(strings.TrimPrefix(url, "http://"), "/")
	w.hosts[host].HandleFunc("/"+path, h)
}

// serve serves a text with a content type.
func (w *world) serve(url, contentType, text string) {
	w.handle(url, func(rw http.ResponseWriter, _ *http.Request) {
		rw.Header().Set("Content-Type", contentType)
		_, _ = io.WriteString(rw, text)
	})
}

const activityJSON = "application/activity+json; charset=utf-8"

// doc serves a document with the id at the URL.
func (w *world) doc(url, id string) {
	w.serve(url, activityJSON, fmt.Sprintf(`{"@context":"https://www.w3.org/ns/activitystreams","id":%q,"type":"Note"}`, id))
}

func (w *world) redirect(url, to string) {
	w.handle(url, func(rw http.ResponseWriter, r *http.Request) { http.Redirect(rw, r, to, http.StatusFound) })
}

// verifies checks a request's signature as the server of host.
func (w *world) verifies(r *http.Request, host string, body []byte) (httpsig.Scheme, error) {
	s, err := httpsig.Parse(r)
	if err != nil {
		return 0, err
	}
	if s.KeyID != w.key.ID {
		return 0, errors.New("key id " + s.KeyID)
	}
	return s.Scheme, s.Verify(w.key.Signer.Public(), body, httpsig.Expect{Authority: host, Now: w.cfg.Now()})
}

// isErr checks an error of this package: its type, cause and whether it is
// temporary.
func isErr(t *testing.T, what string, err, cause error, temporary bool) {
	t.Helper()
	var e *remote.Error
	if !errors.As(err, &e) || cause != nil && !errors.Is(err, cause) || e.Temporary != temporary {
		t.Errorf("%s: %v (%+v), want %v, temporary %v", what, err, e, cause, temporary)
	}
}
