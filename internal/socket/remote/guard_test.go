package remote_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"buttersc.one/oven/internal/lib/httpsig"
	"buttersc.one/oven/internal/socket/remote"
)

// TestRow7Ranges: the special ranges in all their spellings (security row 7).
func TestRow7Ranges(t *testing.T) {
	c := remote.New(remote.Config{}, nil, nil)
	for _, ip := range []string{
		"127.0.0.1", "127.255.255.254", "::1", "0.0.0.0", "0.1.2.3", "::", "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1",
		"169.254.169.254", "fe80::1", "fe80::1%eth0", "100.64.0.1", "100.100.100.200", "224.0.0.1", "239.255.255.255", "ff02::1", "255.255.255.255",
		"240.0.0.1", "192.0.0.192", "192.0.2.1", "198.18.0.1", "198.19.255.255", "198.51.100.1", "203.0.113.1", "192.88.99.1", "168.63.129.16",
		"::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "::7f00:1", "::10.0.0.1", "::ffff:0:127.0.0.1",
		"64:ff9b::7f00:1", "64:ff9b::8.8.8.8", "64:ff9b:1::1", "2002:7f00:1::", "2002:808:808::", "2001::1", "2001:0:7f00:1::",
		"2001:db8::1", "3fff::1", "100::1", "5f00::1", "fc00::1", "fd00:ec2::254", "fec0::1",
	} {
		if c.Public(netip.MustParseAddr(ip)) {
			t.Errorf("%s is taken for public", ip)
		}
	}
	for _, ip := range []string{"8.8.8.8", "1.1.1.1", "172.32.0.1", "100.128.0.1", "198.20.0.1", "::ffff:8.8.8.8", "2606:4700::1", "2a01:4f8::1", "2001:4860:4860::8888"} {
		if !c.Public(netip.MustParseAddr(ip)) {
			t.Errorf("%s is refused", ip)
		}
	}
	c = remote.New(remote.Config{AllowedPrivateNetworks: []netip.Prefix{netip.MustParsePrefix("10.1.0.0/16"), netip.MustParsePrefix("fd00::/8")}}, nil, nil)
	for ip, want := range map[string]bool{"10.1.2.3": true, "::ffff:10.1.2.3": true, "10.2.0.1": false, "fd00::1": true, "127.0.0.1": false} {
		if c.Public(netip.MustParseAddr(ip)) != want {
			t.Errorf("%s: not %v", ip, want)
		}
	}
	c = remote.New(remote.Config{AllowLoopback: true}, nil, nil)
	for ip, want := range map[string]bool{"127.0.0.1": true, "::1": true, "::ffff:127.0.0.1": true, "10.0.0.1": false, "0.0.0.0": false} {
		if c.Public(netip.MustParseAddr(ip)) != want {
			t.Errorf("%s: not %v", ip, want)
		}
	}
}

// inside is a server on loopback that must not be reached, and its port.
func inside(t *testing.T) (hits *atomic.Int64, port string) {
	t.Helper()
	hits = new(atomic.Int64)
	srv := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { hits.Add(1) }))
	t.Cleanup(srv.Close)
	_, port, _ = net.SplitHostPort(srv.Listener.Addr().String())
	return hits, port
}

// TestRow7Doors: each kind of request is guarded, whatever the address looks
// like.
func TestRow7Doors(t *testing.T) {
	hits, port := inside(t)
	c := remote.New(remote.Config{AllowPlainHTTP: true, Resolve: func(context.Context, string) ([]netip.Addr, error) {
		return []netip.Addr{netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("::1")}, nil
	}}, nil, nil)
	key := pair()
	doors := map[string]func(uri string) error{
		"object": func(u string) error { _, err := c.GetObject(t.Context(), u); return err },
		"key":    func(u string) error { _, err := c.GetKey(t.Context(), u); return err },
		"json":   func(u string) error { _, err := c.GetJSON(t.Context(), u, 1000); return err },
		"post": func(u string) error {
			_, err := c.Post(t.Context(), u, []byte("{}"), key, httpsig.Cavage, nil)
			return err
		},
		"transport": func(u string) error {
			res, err := (&http.Client{Transport: c.Transport()}).Get(u)
			if err == nil {
				_ = res.Body.Close()
			}
			return err
		},
	}
	for name, door := range doors {
		for _, host := range []string{"127.0.0.1", "localhost", "name.example", "[::1]", "[::ffff:127.0.0.1]", "[::7f00:1]", "127.1", "2130706433", "0x7f000001", "0177.0.0.1", "0.0.0.0", "[::]"} {
			isErr(t, name+" "+host, door("http://"+host+":"+port+"/x"), remote.ErrGuard, false)
		}
	}
	_, err := c.WebFinger(t.Context(), "bob", "name.example:"+port)
	isErr(t, "webfinger", err, remote.ErrGuard, false)
	if n := hits.Load(); n != 0 {
		t.Errorf("%d requests came through", n)
	}
}

// TestRow7Rebinding: the address is checked at each connection, not once.
func TestRow7Rebinding(t *testing.T) {
	hits, port := inside(t)
	l, err := net.Listen("tcp", "127.0.0.2:"+port)
	if err != nil {
		t.Fatal(err)
	}
	outside := &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
		rw.Header().Set("Connection", "close")
		_, _ = rw.Write([]byte(`{}`))
	})}
	go func() { _ = outside.Serve(l) }()
	t.Cleanup(func() { _ = outside.Close() })
	answers := []string{"127.0.0.2", "127.0.0.1"}
	c := remote.New(remote.Config{AllowPlainHTTP: true, AllowedPrivateNetworks: []netip.Prefix{netip.MustParsePrefix("127.0.0.2/32")},
		Resolve: func(context.Context, string) ([]netip.Addr, error) {
			a := answers[0]
			answers = answers[1:]
			return []netip.Addr{netip.MustParseAddr(a)}, nil
		}}, nil, nil)
	if _, err := c.GetJSON(t.Context(), "http://rebind.example:"+port+"/", 100); err != nil {
		t.Fatal(err)
	}
	_, err = c.GetJSON(t.Context(), "http://rebind.example:"+port+"/", 100)
	isErr(t, "second", err, remote.ErrGuard, false)
	if hits.Load() != 0 {
		t.Error("reached")
	}
}

// TestRow7Redirects: a redirect does not lead where a request may not go.
func TestRow7Redirects(t *testing.T) {
	hits, port := inside(t)
	w := newWorld(t, "b.example", "c.example")
	w.redirect("http://b.example/guard", "http://127.0.0.1:"+port+"/")
	w.redirect("http://b.example/name", "http://localhost:"+port+"/")
	w.redirect("http://b.example/local", "https://a.example/notes/1")
	w.redirect("http://b.example/blocked", "http://c.example/")
	w.redirect("http://b.example/file", "file:///etc/passwd")
	w.redirect("http://b.example/gopher", "gopher://127.0.0.1:"+port+"/")
	w.redirect("http://b.example/userinfo", "http://u:p@c.example/")
	w.serve("http://b.example/page", "text/html", `<link rel="alternate" type="application/activity+json" href="http://127.0.0.1:`+port+`/">`)
	w.cfg.AllowPlainHTTP = true
	c := remote.New(w.cfg, w, policy{"c.example"})
	for path, cause := range map[string]error{"guard": remote.ErrGuard, "name": remote.ErrGuard, "local": remote.ErrLocal, "blocked": errBlocked,
		"file": remote.ErrScheme, "gopher": remote.ErrScheme, "userinfo": remote.ErrScheme, "page": remote.ErrType} {
		_, err := c.GetObject(t.Context(), "http://b.example/"+path)
		isErr(t, path, err, cause, false)
	}
	res, err := (&http.Client{Transport: c.Transport()}).Get("http://b.example/guard")
	if err == nil {
		_ = res.Body.Close()
	}
	isErr(t, "transport", err, remote.ErrGuard, false)
	if hits.Load() != 0 || w.got("http://c.example/") != 0 {
		t.Error("reached")
	}
}

var errBlocked = errors.New("blocked")

// policy blocks one host.
type policy struct{ blocked string }

func (p policy) Allowed(_ context.Context, host string) error {
	if host == p.blocked {
		return errBlocked
	}
	return nil
}

// TestSchemes: https only, unless told otherwise; never this server itself.
func TestSchemes(t *testing.T) {
	_, port := inside(t)
	strict := remote.New(remote.Config{Origin: "https://A.example"}, nil, policy{"b.example"})
	for uri, cause := range map[string]error{
		"http://c.example/": remote.ErrScheme, "ftp://c.example/": remote.ErrScheme, "c.example": remote.ErrScheme, "": remote.ErrScheme,
		"https://u@c.example/": remote.ErrScheme, "https:///x": remote.ErrScheme, "https://c.example:99999/": remote.ErrScheme, "%": remote.ErrScheme,
		"https://a.example/x": remote.ErrLocal, "https://A.EXAMPLE:443/x": remote.ErrLocal, "https://a.example./x": remote.ErrLocal,
		"https://b.example/": errBlocked, "https://B.example:443/": errBlocked,
		"http://127.0.0.1:" + port + "/": remote.ErrScheme, "https://127.0.0.1:" + port + "/": remote.ErrGuard,
	} {
		_, err := strict.GetObject(t.Context(), uri)
		isErr(t, uri, err, cause, false)
		_, err = strict.Post(t.Context(), uri, nil, pair(), httpsig.Cavage, nil)
		isErr(t, "post "+uri, err, cause, false)
	}
	dev := remote.New(remote.Config{AllowLoopback: true}, nil, nil)
	if _, err := dev.GetJSON(t.Context(), "http://127.0.0.1:"+port+"/", 10); err != nil {
		t.Error(err)
	}
	if _, err := dev.GetJSON(t.Context(), "http://localhost:"+port+"/", 10); err != nil {
		t.Error(err)
	}
	_, err := dev.GetJSON(t.Context(), "http://c.example/", 10)
	isErr(t, "plain http to others", err, remote.ErrScheme, false)
}

// TestDowngrade: a redirect from https to http is refused even where http is
// allowed.
func TestDowngrade(t *testing.T) {
	hits, port := inside(t)
	srv := httptest.NewUnstartedServer(http.RedirectHandler("http://127.0.0.1:"+port+"/", http.StatusFound))
	srv.Config.ErrorLog = log.New(io.Discard, "", 0)
	srv.StartTLS()
	defer srv.Close()
	c := remote.New(remote.Config{AllowLoopback: true, RootCAs: srv.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs}, nil, nil)
	_, err := c.GetJSON(t.Context(), srv.URL, 10)
	isErr(t, "downgrade", err, remote.ErrScheme, false)
	if hits.Load() != 0 {
		t.Error("followed")
	}
	untrusting := remote.New(remote.Config{AllowLoopback: true}, nil, nil)
	_, err = untrusting.GetJSON(t.Context(), srv.URL, 10)
	isErr(t, "certificate", err, nil, true)
}

func TestNoEnvironmentProxy(t *testing.T) {
	hits, port := inside(t)
	t.Setenv("HTTP_PROXY", "http://127.0.0.1:"+port)
	t.Setenv("http_proxy", "http://127.0.0.1:"+port)
	w := newWorld(t, "b.example")
	w.doc("http://b.example/1", "http://b.example/1")
	if _, err := w.client().GetObject(t.Context(), "http://b.example/1"); err != nil {
		t.Error(err)
	}
	if hits.Load() != 0 {
		t.Error("went through the proxy")
	}
}

// TestRow8Limits: loops, floods and drips end (security row 8).
func TestRow8Limits(t *testing.T) {
	w := newWorld(t, "b.example", "c.example")
	w.cfg.Timeout = 700 * time.Millisecond
	w.redirect("http://b.example/loop", "/loop")
	w.redirect("http://b.example/ping", "http://c.example/pong")
	w.redirect("http://c.example/pong", "http://b.example/ping")
	for i := range 6 {
		w.redirect(fmt.Sprintf("http://b.example/chain%d", i), fmt.Sprintf("/chain%d", i+1))
	}
	w.doc("http://b.example/chain6", "http://b.example/chain6")
	w.handle("http://b.example/nowhere", func(rw http.ResponseWriter, _ *http.Request) { rw.WriteHeader(http.StatusFound) })
	flood := func(rw http.ResponseWriter, length int) {
		rw.Header().Set("Content-Type", activityJSON)
		if length > 0 {
			rw.Header().Set("Content-Length", fmt.Sprint(length))
		}
		for range 1 << 10 {
			if _, err := rw.Write(make([]byte, 16<<10)); err != nil {
				return
			}
		}
	}
	w.handle("http://b.example/big", func(rw http.ResponseWriter, _ *http.Request) { flood(rw, 0) })
	w.handle("http://b.example/announced", func(rw http.ResponseWriter, _ *http.Request) { flood(rw, 16<<20) })
	var bomb bytes.Buffer
	z := gzip.NewWriter(&bomb)
	_, _ = z.Write(make([]byte, 8<<20))
	_ = z.Close()
	w.handle("http://b.example/bomb", func(rw http.ResponseWriter, _ *http.Request) {
		rw.Header().Set("Content-Type", activityJSON)
		rw.Header().Set("Content-Encoding", "gzip")
		_, _ = rw.Write(bomb.Bytes()) // some kilobytes
	})
	drip := func(rw http.ResponseWriter, r *http.Request) {
		rw.Header().Set("Content-Type", activityJSON)
		for r.Context().Err() == nil {
			_, _ = rw.Write([]byte(" "))
			rw.(http.Flusher).Flush()
			time.Sleep(20 * time.Millisecond)
		}
	}
	w.handle("http://b.example/drip", drip)
	w.handle("http://b.example/error-drip", func(rw http.ResponseWriter, r *http.Request) {
		rw.WriteHeader(http.StatusInternalServerError)
		drip(rw, r)
	})
	w.handle("http://b.example/silent", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	w.handle("http://b.example/headers", func(rw http.ResponseWriter, _ *http.Request) {
		for i := range 200 {
			rw.Header().Set(fmt.Sprintf("X-%d", i), strings.Repeat("x", 1000))
		}
	})
	c := w.client()
	for _, tc := range []struct {
		path      string
		cause     error
		temporary bool
	}{
		{"loop", remote.ErrRedirect, false}, {"ping", remote.ErrRedirect, false}, {"chain0", remote.ErrRedirect, false}, {"nowhere", remote.ErrRedirect, false},
		{"big", remote.ErrTooLong, false}, {"announced", remote.ErrTooLong, false}, {"bomb", remote.ErrTooLong, false},
		{"drip", context.DeadlineExceeded, true}, {"silent", context.DeadlineExceeded, true}, {"headers", nil, true}, {"error-drip", nil, true},
	} {
		begin := time.Now()
		_, err := c.GetObject(t.Context(), "http://b.example/"+tc.path)
		isErr(t, tc.path, err, tc.cause, tc.temporary)
		if d := time.Since(begin); d > 3*time.Second {
			t.Errorf("%s: took %v", tc.path, d)
		}
	}
	if _, err := c.GetObject(t.Context(), "http://b.example/chain3"); err != nil {
		t.Error("three redirects:", err)
	}
	if n := w.got("http://b.example/loop"); n != 1 {
		t.Errorf("loop: %d requests", n)
	}
	_, err := c.GetJSON(t.Context(), "http://b.example/big", 100)
	isErr(t, "json", err, remote.ErrTooLong, false)
	if c.Waiting() != 0 {
		t.Error("places are not given back")
	}
}

func TestUnreachable(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	_ = l.Close()
	c := remote.New(remote.Config{AllowLoopback: true, Resolve: func(context.Context, string) ([]netip.Addr, error) {
		return nil, errors.New("no")
	}}, nil, nil)
	_, err = c.GetJSON(t.Context(), "http://"+addr+"/", 10)
	isErr(t, "refused", err, nil, true)
	_, err = c.GetJSON(t.Context(), "https://nowhere.example/", 10)
	isErr(t, "no name", err, nil, true)
	if !strings.Contains(err.Error(), "name not found") {
		t.Error(err)
	}
}

func TestTransport(t *testing.T) {
	w := newWorld(t, "b.example")
	w.handle("http://b.example/up", func(rw http.ResponseWriter, r *http.Request) {
		_, _ = fmt.Fprint(rw, r.Method, " ", r.Host, " ", r.UserAgent(), " ", r.FormValue("a"))
	})
	c := w.client()
	res, err := (&http.Client{Transport: c.Transport()}).PostForm("http://B.example:80/up#x", url.Values{"a": {"1"}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	b := make([]byte, 100)
	n, _ := res.Body.Read(b)
	if got := string(b[:n]); got != "POST b.example Oven/test 1" {
		t.Error(got)
	}
}
