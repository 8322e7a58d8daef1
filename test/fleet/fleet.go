// Package fleet is many other servers of the fediverse, in this process: each
// has a name, one account and an inbox of its own, all listen on one loopback
// address. What the servers took, and in which order, is the measure of what
// was delivered: never what the sender says.
package fleet

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"buttersc.one/oven/internal/lib/httpsig"
)

// M is a JSON object.
type M = map[string]any

// Fleet is the servers.
type Fleet struct {
	Hosts []*Host
	// Take decides about a delivery before it counts as taken; 0 takes it. nil:
	// all are taken. Set it before anything is delivered.
	Take func(h *Host, activity M) (status int)

	srv    *http.Server
	addr   string
	pair   *httpsig.KeyPair
	key    httpsig.Key
	byName map[string]*Host
	client *http.Client
}

// Host is one of the servers, with its account.
type Host struct {
	Name  string // "h7.example"
	Actor string // the account's id
	f     *Fleet

	mu   sync.Mutex
	docs map[string]M // by path
	got  []M
}

// New runs n servers until Close.
func New(n int) (*Fleet, error) {
	f := &Fleet{byName: map[string]*Host{}, client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 128}, Timeout: time.Minute}}
	var err error
	if f.pair, err = httpsig.GenerateRSA(); err != nil {
		return nil, err
	}
	if f.key.Signer, err = httpsig.ParsePrivateKey(f.pair.PrivatePEM); err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	f.addr = l.Addr().String()
	for i := range n {
		h := &Host{Name: fmt.Sprintf("h%d.example", i), f: f, docs: map[string]M{}}
		h.Actor = h.Account("ann")
		f.Hosts, f.byName[h.Name] = append(f.Hosts, h), h
	}
	f.srv = &http.Server{Handler: f, ReadHeaderTimeout: time.Minute}
	go func() { _ = f.srv.Serve(l) }()
	return f, nil
}

// Close ends the servers.
func (f *Fleet) Close() { _ = f.srv.Close() }

// Env is the variable that tells an oven where the servers are.
func (f *Fleet) Env() string {
	var at []string
	for _, h := range f.Hosts {
		at = append(at, h.Name+"="+f.addr)
	}
	return "OVEN_TEST_HOSTS=" + strings.Join(at, ",")
}

// Account opens an account on the host, if it is not there, and gives its id.
func (h *Host) Account(name string) string {
	id := h.URL("/users/" + name)
	h.Serve("/users/"+name, M{"type": "Person", "id": id, "preferredUsername": name, "inbox": id + "/inbox", "outbox": id + "/outbox",
		"followers": id + "/followers", "url": h.URL("/@" + name), "endpoints": M{"sharedInbox": h.URL("/inbox")},
		"publicKey": M{"id": id + "#main-key", "owner": id, "publicKeyPem": h.f.pair.PublicPEM}})
	return id
}

// URL is an address on the host.
func (h *Host) URL(path string) string { return "http://" + h.Name + path }

// Serve answers a document at a path.
func (h *Host) Serve(path string, doc M) {
	with := M{"@context": "https://www.w3.org/ns/activitystreams"}
	for k, v := range doc {
		with[k] = v
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.docs[path] = with
}

// Note is a note of the host's account, which others may fetch if it is served.
func (h *Host) Note(path, content string) M {
	return M{"type": "Note", "id": h.URL(path), "attributedTo": h.Actor, "content": "<p>" + content + "</p>", "published": time.Now().UTC().Format(time.RFC3339),
		"to": []string{"https://www.w3.org/ns/activitystreams#Public"}, "cc": []string{h.Actor + "/followers"}}
}

// ServeHTTP answers as the server that the request names.
func (f *Fleet) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := f.byName[r.Host]
	switch {
	case h == nil:
		http.NotFound(w, r)
	case r.Method == http.MethodPost:
		h.take(w, r)
	case r.URL.Path == "/.well-known/webfinger":
		name, host, _ := strings.Cut(strings.TrimPrefix(r.URL.Query().Get("resource"), "acct:"), "@")
		if host != h.Name {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Content-Type", "application/jrd+json")
		_ = json.NewEncoder(w).Encode(M{"subject": r.URL.Query().Get("resource"), "links": []M{
			{"rel": "self", "type": "application/activity+json", "href": h.URL("/users/" + name)}}})
	default:
		h.mu.Lock()
		doc, ok := h.docs[r.URL.Path]
		h.mu.Unlock()
		if !ok {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Content-Type", "application/activity+json")
		_ = json.NewEncoder(w).Encode(doc)
	}
}

func (h *Host) take(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	var a M
	if err == nil {
		err = json.Unmarshal(body, &a)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	if h.f.Take != nil {
		if status := h.f.Take(h, a); status != 0 {
			w.WriteHeader(status)
			return
		}
	}
	h.mu.Lock()
	h.got = append(h.got, a)
	h.mu.Unlock()
	w.WriteHeader(http.StatusAccepted)
}

// Got is what the host took, in order.
func (h *Host) Got() []M {
	h.mu.Lock()
	defer h.mu.Unlock()
	return append([]M(nil), h.got...)
}

// Request is a signed delivery of an activity of the actor to an oven, which
// listens on addr and is known as host. It can be sent within the hour.
func (f *Fleet) Request(addr, host, actor string, activity M) (*http.Request, error) {
	with := M{"@context": "https://www.w3.org/ns/activitystreams", "actor": actor}
	for k, v := range activity {
		with[k] = v
	}
	body, err := json.Marshal(with)
	if err != nil {
		return nil, err
	}
	r, err := http.NewRequest(http.MethodPost, "http://"+addr+"/inbox", bytes.NewReader(body)) //nolint:noctx // whoever sends it sets one
	if err != nil {
		return nil, err
	}
	r.Host = host
	r.Header.Set("Content-Type", "application/activity+json")
	key := f.key
	key.ID = actor + "#main-key"
	return r, httpsig.SignCavage(r, key, body, time.Now())
}

// Send sends a request and gives the answer's status.
func (f *Fleet) Send(ctx context.Context, r *http.Request) (int, error) {
	res, err := f.client.Do(r.WithContext(ctx))
	if err != nil {
		return 0, err
	}
	_, _ = io.Copy(io.Discard, res.Body)
	return res.StatusCode, res.Body.Close()
}

// Insist sends an activity as real servers do: until it is accepted, or refused
// for good. addr is asked each time where to.
func (f *Fleet) Insist(ctx context.Context, addr func() string, host, actor string, activity M) error {
	for ctx.Err() == nil {
		r, err := f.Request(addr(), host, actor, activity)
		if err != nil {
			return err
		}
		status, err := f.Send(ctx, r)
		switch {
		case err == nil && status/100 == 2:
			return nil
		case err == nil && status/100 == 4 && status != http.StatusTooManyRequests:
			return fmt.Errorf("%s of %s: %d", activity["type"], actor, status)
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
		}
	}
	return errors.Join(ctx.Err(), fmt.Errorf("%s of %s was not taken", activity["type"], actor))
}
