package testsrv

import (
	"bytes"
	"crypto"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"buttersc.one/oven/internal/lib/httpsig"
)

// Remote is another server: actors, documents, and an inbox that keeps what
// was delivered to it.
type Remote struct {
	Origin string // "http://127.0.0.1:port"
	Host   string

	t      testing.TB
	mu     sync.Mutex
	docs   map[string]M // by path
	names  map[string]string
	got    []M
	change chan struct{} // closed and made anew when something was delivered
}

// Actor is an account of a Remote.
type Actor struct {
	R     *Remote
	ID    string
	Name  string
	KeyID string // of what it signs with; "" for its id with #main-key
}

// One key serves all actors: making one takes longer than a test.
var remoteKey = sync.OnceValues(func() (*httpsig.KeyPair, error) { return httpsig.GenerateRSA() })

// NewRemote runs another server until the test ends. Call it before New, so
// that it is still there while the server stops.
func NewRemote(t testing.TB) *Remote {
	t.Helper()
	r := &Remote{t: t, docs: map[string]M{}, names: map[string]string{}, change: make(chan struct{})}
	srv := httptest.NewServer(r)
	t.Cleanup(srv.Close)
	r.Origin, r.Host = srv.URL, strings.TrimPrefix(srv.URL, "http://")
	return r
}

// ServeHTTP answers as that server.
func (r *Remote) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	if req.Method == http.MethodPost {
		r.take(w, req)
		return
	}
	r.mu.Lock()
	doc, ok := r.docs[req.URL.Path]
	id, known := r.names[req.URL.Query().Get("resource")]
	r.mu.Unlock()
	if req.URL.Path == "/.well-known/webfinger" && known {
		doc, ok = M{"subject": req.URL.Query().Get("resource"), "links": []M{{"rel": "self", "type": "application/activity+json", "href": id}}}, true
	}
	if !ok {
		http.NotFound(w, req)
		return
	}
	w.Header().Set("Content-Type", "application/activity+json")
	if req.URL.Path == "/.well-known/webfinger" {
		w.Header().Set("Content-Type", "application/jrd+json")
	}
	_ = json.NewEncoder(w).Encode(doc)
}

// take keeps a delivery whose signature is right.
func (r *Remote) take(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(req.Body)
	var a M
	if err == nil {
		err = json.Unmarshal(body, &a)
	}
	if err == nil {
		err = r.verify(req, body, a)
	}
	if err != nil {
		r.t.Errorf("delivery to %s: %v", req.URL.Path, err)
		http.Error(w, err.Error(), http.StatusUnauthorized)
		return
	}
	r.mu.Lock()
	r.got = append(r.got, a)
	close(r.change)
	r.change = make(chan struct{})
	r.mu.Unlock()
	w.WriteHeader(http.StatusAccepted)
}

// verify checks a delivery as strict servers do: the key is the actor's own.
func (r *Remote) verify(req *http.Request, body []byte, a M) error {
	sig, err := httpsig.Parse(req)
	if err != nil {
		return err
	}
	actor, _ := a["actor"].(string)
	if owner, _, _ := strings.Cut(sig.KeyID, "#"); owner != actor {
		return fmt.Errorf("%s of %s is signed by %s", a["type"], actor, sig.KeyID)
	}
	ask, err := http.NewRequestWithContext(req.Context(), http.MethodGet, actor, nil)
	if err != nil {
		return err
	}
	ask.Header.Set("Accept", "application/activity+json")
	res, err := http.DefaultClient.Do(ask)
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }()
	var doc any
	if err := json.NewDecoder(res.Body).Decode(&doc); err != nil {
		return fmt.Errorf("actor %s: %s: %w", actor, res.Status, err)
	}
	text, _ := Dig(doc, "publicKey", "publicKeyPem").(string)
	key, err := httpsig.ParsePublicKey(text)
	if err != nil {
		return err
	}
	return sig.Verify(key, body, httpsig.Expect{Authority: r.Host, Now: time.Now()})
}

// Put serves a document at a path and gives its address; what it lacks of id
// and @context is added.
func (r *Remote) Put(path string, doc M) string {
	with := M{"@context": "https://www.w3.org/ns/activitystreams", "id": r.Origin + path}
	for k, v := range doc {
		with[k] = v
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.docs[path] = with
	return r.Origin + path
}

// Doc is the document at a path.
func (r *Remote) Doc(path string) M {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.docs[path]
}

// Remove makes a path answer 404.
func (r *Remote) Remove(path string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.docs, path)
}

// Actor opens an account there; more goes into its document.
func (r *Remote) Actor(name string, more ...M) *Actor {
	r.t.Helper()
	pair, err := remoteKey()
	if err != nil {
		r.t.Fatal(err)
	}
	id := r.Origin + "/users/" + name
	doc := M{"type": "Person", "preferredUsername": name, "inbox": id + "/inbox", "outbox": id + "/outbox", "followers": id + "/followers",
		"endpoints": M{"sharedInbox": r.Origin + "/inbox"}, "url": r.Origin + "/@" + name,
		"publicKey": M{"id": id + "#main-key", "owner": id, "publicKeyPem": pair.PublicPEM}}
	for _, m := range more {
		for k, v := range m {
			doc[k] = v
		}
	}
	r.Put("/users/"+name, doc)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.names["acct:"+name+"@"+r.Host] = id
	return &Actor{R: r, ID: id, Name: name}
}

// Introduce opens the account that an actor's document describes, which stands
// at a path; the key of all remotes is put where the document has PEM.
func (r *Remote) Introduce(path string, doc M) *Actor {
	r.t.Helper()
	pair, err := remoteKey()
	if err != nil {
		r.t.Fatal(err)
	}
	a := &Actor{R: r, ID: r.Origin + path}
	a.Name, _ = doc["preferredUsername"].(string)
	if key, ok := doc["publicKey"].(M); ok {
		key["publicKeyPem"] = pair.PublicPEM
		a.KeyID, _ = key["id"].(string)
	}
	r.Put(path, doc)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.names["acct:"+a.Name+"@"+r.Host] = a.ID
	return a
}

// Key is the public key in the actor's document.
func (a *Actor) Key() any {
	a.R.mu.Lock()
	defer a.R.mu.Unlock()
	return a.R.docs["/users/"+a.Name]["publicKey"]
}

// Note serves a public note of the actor and gives its document; more changes
// it.
func (a *Actor) Note(path string, more M) M {
	doc := M{"type": "Note", "id": a.R.Origin + path, "attributedTo": a.ID, "content": "<p>note</p>", "published": time.Now().UTC().Format(time.RFC3339),
		"to": []string{"https://www.w3.org/ns/activitystreams#Public"}, "cc": []string{a.ID + "/followers"}}
	for k, v := range more {
		doc[k] = v
	}
	a.R.Put(path, doc)
	return doc
}

// Send delivers an activity of the actor to the server's shared inbox, signed,
// and gives the answer's status. What it lacks of actor, id and @context is
// added.
func (a *Actor) Send(t testing.TB, s *Server, activity M) int {
	t.Helper()
	pair, err := remoteKey()
	if err != nil {
		t.Fatal(err)
	}
	key, err := httpsig.ParsePrivateKey(pair.PrivatePEM)
	if err != nil {
		t.Fatal(err)
	}
	return a.send(t, s, activity, key)
}

func (a *Actor) send(t testing.TB, s *Server, activity M, key crypto.Signer) int {
	t.Helper()
	with := M{"@context": "https://www.w3.org/ns/activitystreams", "actor": a.ID, "id": fmt.Sprintf("%s/activities/%d", a.R.Origin, time.Now().UnixNano())}
	for k, v := range activity {
		with[k] = v
	}
	body, err := json.Marshal(with)
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.Origin+"/inbox", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/activity+json")
	keyID := a.KeyID
	if keyID == "" {
		keyID = a.ID + "#main-key"
	}
	if err := httpsig.SignCavage(req, httpsig.Key{ID: keyID, Signer: key}, body, time.Now()); err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	return res.StatusCode
}

// Tell sends an activity and waits until the server has worked it off.
func (a *Actor) Tell(t testing.TB, s *Server, activity M) {
	t.Helper()
	if status := a.Send(t, s, activity); status != http.StatusAccepted {
		t.Fatalf("%s of %s: %d", activity["type"], a.ID, status)
	}
	s.Settle(t)
}

// Got waits for a delivery of that type and takes it out of what was kept.
func (r *Remote) Got(t testing.TB, typ string) M {
	t.Helper()
	late := time.After(patience)
	for {
		r.mu.Lock()
		for i, a := range r.got {
			if a["type"] == typ {
				r.got = append(r.got[:i:i], r.got[i+1:]...)
				r.mu.Unlock()
				return a
			}
		}
		change := r.change
		r.mu.Unlock()
		select {
		case <-change:
		case <-late:
			t.Fatalf("no %s was delivered to %s; left is %v", typ, r.Host, r.Left())
		}
	}
}

// Left are the types of what was delivered and not taken.
func (r *Remote) Left() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []string
	for _, a := range r.got {
		typ, _ := a["type"].(string)
		out = append(out, typ)
	}
	return out
}

// On is the actor's account as a server knows it, looked up by address.
func (a *Actor) On(t testing.TB, u *User) *User {
	t.Helper()
	res := u.Post(t, "users/show", M{"username": a.Name, "host": a.R.Host})
	return &User{S: u.S, ID: Dig(res, "id").(string), Name: a.Name}
}

// URI is the address of the account's actor.
func (u *User) URI() string { return u.S.Origin + "/users/" + u.ID }
