// Package testsrv runs a real server on a real database for tests: HTTP on a
// loopback socket, test mode, everything running as in oven serve.
package testsrv

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"

	"buttersc.one/oven/db"
	"buttersc.one/oven/internal/app"
	"buttersc.one/oven/internal/lib/blob"
	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/lib/pgserver/pgtest"
	"buttersc.one/oven/internal/lib/secret"
	"buttersc.one/oven/internal/search"
)

// Server is a running server.
type Server struct {
	App       *app.App
	Origin    string // "http://127.0.0.1:port"
	Host      string
	DB        *pg.DB
	SearchDir string

	o       app.Options
	handler atomic.Pointer[http.Handler]
	stop    func() error // nil: it is stopped
}

// M is a JSON object.
type M = map[string]any

// Option changes what a server is made of.
type Option func(*app.Options)

// Mode runs the server in another mode than test.
func Mode(mode string) Option { return func(o *app.Options) { o.Mode = mode } }

// TestHosts makes names lead to addresses.
func TestHosts(hosts map[string]netip.AddrPort) Option {
	return func(o *app.Options) { o.TestHosts = hosts }
}

// On runs the server on a database that was prepared.
func On(d *pg.DB) Option { return func(o *app.Options) { o.DB = d } }

// New runs a server until the test ends.
func New(t testing.TB, opts ...Option) *Server {
	t.Helper()
	d := Database(t)
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &Server{Origin: "http://" + l.Addr().String(), Host: l.Addr().String(), DB: d}
	dir := t.TempDir()
	files, err := blob.NewDisk(dir)
	if err != nil {
		t.Fatal(err)
	}
	box, err := secret.LoadOrCreate(dir + "/secret.key")
	if err != nil {
		t.Fatal(err)
	}
	o := app.Options{Mode: "test", Origin: s.Origin, Host: s.Host, Hostname: "127.0.0.1", Version: "test",
		DB: d, Box: box, Files: files, TempDir: dir, Zone: time.UTC, Workers: true, Log: slog.New(slog.NewTextHandler(writer{t}, nil))}
	if o.Search, err = search.NewLocal(dir+"/search", o.Log); err != nil {
		t.Fatal(err)
	}
	for _, opt := range opts {
		opt(&o)
	}
	s.DB, s.o, s.SearchDir = o.DB, o, dir+"/search"
	s.Start(t)
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { (*s.handler.Load()).ServeHTTP(w, r) }), ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = srv.Serve(l) }()
	t.Cleanup(func() {
		s.Stop(t)
		_ = srv.Close()
	})
	return s
}

// Start runs the server again after Stop, on the same database and data.
func (s *Server) Start(t testing.TB) {
	t.Helper()
	var err error
	if _, own := s.o.Search.(*search.Local); own {
		if s.o.Search, err = search.NewLocal(s.SearchDir, s.o.Log); err != nil {
			t.Fatal(err)
		}
	}
	if s.App, err = app.New(t.Context(), s.o); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.App.Run(ctx) }()
	select {
	case <-s.App.Ready():
	case err := <-done:
		cancel()
		t.Fatal(err)
	}
	s.stop = func() error { cancel(); return <-done }
	h := s.App.Handler()
	s.handler.Store(&h)
}

// Configure changes what the server is started with next.
func (s *Server) Configure(opt Option) { opt(&s.o) }

// Box is the server's key, for another process of the same server.
func (s *Server) Box() *secret.Box { return s.o.Box }

// Stop ends the server as a signal would.
func (s *Server) Stop(t testing.TB) {
	t.Helper()
	if s.stop == nil {
		return
	}
	if err := s.stop(); err != nil {
		t.Error(err)
	}
	s.stop = nil
}

// Database is a migrated database of the test's own.
func Database(t testing.TB) *pg.DB {
	t.Helper()
	dsn := pgtest.Template(t, "migrated "+db.Fingerprint(), migrate)
	d, err := pg.Open(t.Context(), dsn, pg.Options{MaxConns: 12})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.Close)
	return d
}

func migrate(dsn string) error {
	ctx := context.Background()
	d, err := pg.Open(ctx, dsn, pg.Options{})
	if err != nil {
		return err
	}
	defer d.Close()
	_, err = db.Migrate(ctx, d)
	return err
}

// writer sends the server's log to the test's.
type writer struct{ t testing.TB }

func (w writer) Write(b []byte) (int, error) {
	if strings.Contains(string(b), "level=ERROR") || strings.Contains(string(b), "level=WARN") {
		w.t.Log(strings.TrimSpace(string(b)))
	}
	return len(b), nil
}

// User is an account, or a guest when Token is "".
type User struct {
	S     *Server
	ID    string
	Name  string
	Token string
}

// Guest is nobody.
func (s *Server) Guest() *User { return &User{S: s} }

// User signs up.
func (s *Server) User(t testing.TB, name string) *User {
	t.Helper()
	res := s.Guest().Post(t, "signup", M{"username": name, "password": "password"})
	return &User{S: s, ID: Dig(res, "id").(string), Name: name, Token: Dig(res, "token").(string)}
}

// Call calls an endpoint.
func (u *User) Call(t testing.TB, name string, params M) (int, any) {
	t.Helper()
	with := M{}
	for k, v := range params {
		with[k] = v
	}
	if u.Token != "" {
		with["i"] = u.Token
	}
	b, err := json.Marshal(with)
	if err != nil {
		t.Fatal(err)
	}
	return u.S.Raw(t, name, b)
}

// Raw posts a body to an endpoint.
func (s *Server) Raw(t testing.TB, name string, body []byte) (int, any) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.Origin+"/api/"+name, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	var out any
	if len(b) > 0 {
		if err := json.Unmarshal(b, &out); err != nil {
			t.Fatalf("%s answered %d, no JSON: %.200s", name, res.StatusCode, b)
		}
	}
	if err := record(name, res.StatusCode, b); err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, out
}

// Post calls an endpoint that must succeed.
func (u *User) Post(t testing.TB, name string, params M) any {
	t.Helper()
	status, out := u.Call(t, name, params)
	if status != http.StatusOK && status != http.StatusNoContent {
		t.Fatalf("%s %v by %q: %d %v", name, params, u.Name, status, out)
	}
	return out
}

// Fails calls an endpoint that must answer with an error of that code.
func (u *User) Fails(t testing.TB, name string, params M, status int, code string) {
	t.Helper()
	got, out := u.Call(t, name, params)
	if got != status || Dig(out, "error", "code") != code {
		t.Errorf("%s %v by %q: %d %v, want %d %s", name, params, u.Name, got, Dig(out, "error", "code"), status, code)
	}
}

// List calls an endpoint that gives objects.
func (u *User) List(t testing.TB, name string, params M) []M {
	t.Helper()
	items, ok := u.Post(t, name, params).([]any)
	if !ok {
		t.Fatalf("%s gave no list", name)
	}
	out := make([]M, 0, len(items))
	for _, i := range items {
		o, _ := i.(M)
		out = append(out, o)
	}
	return out
}

// Note writes a note and gives its id.
func (u *User) Note(t testing.TB, params M) string {
	t.Helper()
	return Dig(u.Post(t, "notes/create", params), "createdNote", "id").(string)
}

// Set changes settings of the server.
func (s *Server) Set(t testing.TB, settings M) {
	t.Helper()
	if err := s.App.Meta.Update(t.Context(), settings); err != nil {
		t.Fatal(err)
	}
}

// Count is the one number that a statement gives.
func (s *Server) Count(t testing.TB, sql string, args ...any) (n int) {
	t.Helper()
	if err := s.DB.QueryRow(t.Context(), sql, args...).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// Settle waits until all that is due is done.
func (s *Server) Settle(t testing.TB) {
	t.Helper()
	if Dig(s.Guest().Post(t, "oven/settle", M{"timeout": 30}), "settled") != true {
		t.Fatal("not settled within 30 s")
	}
}

// Dig goes down into JSON: names into objects, numbers into lists.
func Dig(v any, path ...any) any {
	for _, p := range path {
		switch key := p.(type) {
		case string:
			o, _ := v.(M)
			v = o[key]
		case int:
			l, _ := v.([]any)
			if key >= len(l) {
				return nil
			}
			v = l[key]
		}
	}
	return v
}

// Is checks a value inside JSON.
func Is(t testing.TB, v any, want any, path ...any) {
	t.Helper()
	if n, ok := want.(int); ok {
		want = float64(n)
	}
	if got := Dig(v, path...); !reflect.DeepEqual(got, want) {
		t.Errorf("%v is %v, want %v", path, got, want)
	}
}

// Has tells whether a list holds an object with the id.
func Has(list []M, id string) bool {
	for _, o := range list {
		if o["id"] == id {
			return true
		}
	}
	return false
}

// Socket is a stream's client.
type Socket struct {
	t      testing.TB
	ws     *websocket.Conn
	events chan M
}

// Stream connects and opens channels, each under its own name; it returns once
// they are open.
func (u *User) Stream(t testing.TB, channels ...string) *Socket {
	t.Helper()
	url := "ws" + strings.TrimPrefix(u.S.Origin, "http") + "/streaming"
	if u.Token != "" {
		url += "?i=" + u.Token
	}
	ws, res, err := websocket.Dial(t.Context(), url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if res.Body != nil {
		_ = res.Body.Close()
	}
	ws.SetReadLimit(1 << 20)
	s := &Socket{t: t, ws: ws, events: make(chan M, 1000)}
	t.Cleanup(func() { _ = ws.CloseNow() })
	go func() {
		defer close(s.events)
		for {
			_, b, err := ws.Read(context.Background())
			if err != nil {
				return
			}
			var m M
			if json.Unmarshal(b, &m) == nil {
				s.events <- m
			}
		}
	}()
	for _, c := range channels {
		s.connect(c, c)
	}
	return s
}

// connect connects a channel and waits until it is.
func (s *Socket) connect(channel, id string) {
	s.t.Helper()
	s.Send(M{"type": "connect", "body": M{"channel": channel, "id": id, "pong": true}})
	s.Next("connected", func(m M) bool { return m["type"] == "connected" && Dig(m, "body", "id") == id })
}

// Capture asks for the events of a note, and waits until they would come.
func (s *Socket) Capture(noteID any) {
	s.t.Helper()
	s.Send(M{"type": "subNote", "body": M{"id": noteID}})
	// Messages are taken in order, so what is answered after it tells.
	s.connect("queueStats", "captured")
	s.Send(M{"type": "disconnect", "body": M{"id": "captured"}})
}

// Send sends a message.
func (s *Socket) Send(m M) {
	s.t.Helper()
	b, err := json.Marshal(m)
	if err != nil {
		s.t.Fatal(err)
	}
	if err := s.ws.Write(s.t.Context(), websocket.MessageText, b); err != nil {
		s.t.Fatal(err)
	}
}

// patience is how long something may take to be heard.
const patience = time.Minute

// Next waits for a message; others are passed over.
func (s *Socket) Next(what string, wanted func(m M) bool) M {
	s.t.Helper()
	late := time.After(patience)
	for {
		select {
		case m, ok := <-s.events:
			if !ok {
				s.t.Fatalf("the stream closed before %s", what)
			}
			if wanted(m) {
				return m
			}
		case <-late:
			s.t.Fatalf("not heard: %s", what)
		}
	}
}

// Notes are the ids of notes that arrive on a channel until the one with the
// last id does.
func (s *Socket) Notes(channel, last string) []string {
	s.t.Helper()
	var ids []string
	s.Next("note "+last, func(m M) bool {
		if m["type"] != "channel" || Dig(m, "body", "id") != channel || Dig(m, "body", "type") != "note" {
			return false
		}
		id, _ := Dig(m, "body", "body", "id").(string)
		ids = append(ids, id)
		return id == last
	})
	return ids
}

// Closed waits for the end of the stream.
func (s *Socket) Closed() {
	s.t.Helper()
	late := time.After(patience)
	for {
		select {
		case _, ok := <-s.events:
			if !ok {
				return
			}
		case <-late:
			s.t.Fatal("the stream is still open")
		}
	}
}
