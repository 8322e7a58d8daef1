package stream_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"buttersc.one/oven/internal/socket/api"
	"buttersc.one/oven/internal/socket/stream"
)

// anybody is signed in with every token.
type anybody struct{}

func (anybody) Authenticate(_ context.Context, token string) (*api.Identity, error) {
	return &api.Identity{UserID: token, TokenID: token, Scopes: []string{"read:account"}}, nil
}

// serve runs a server, and gives what dials it.
func serve(t *testing.T, channels ...stream.Channel) (*stream.Hub, func() *client) {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	hub := stream.NewHub(log)
	srv := stream.NewServer(hub, anybody{}, nil, nil, log)
	srv.Plug(channels...)
	h := httptest.NewServer(srv)
	t.Cleanup(h.Close)
	return hub, func() *client {
		t.Helper()
		ws, res, err := websocket.Dial(t.Context(), "ws"+strings.TrimPrefix(h.URL, "http")+"?i=alice", nil)
		if err != nil {
			t.Fatal(err)
		}
		if res.Body != nil {
			_ = res.Body.Close()
		}
		ws.SetReadLimit(1 << 20)
		return &client{t, ws}
	}
}

// until reads messages until the connection ends; it gives them and why it ended.
func (c *client) until() (got []string, status websocket.StatusCode) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), 20*time.Second)
	defer cancel()
	for {
		_, b, err := c.ws.Read(ctx)
		if err != nil {
			return got, websocket.CloseStatus(err)
		}
		got = append(got, string(b))
	}
}

func connected(hub *stream.Hub, n int) {
	for hub.Connections() != n {
		time.Sleep(time.Millisecond)
	}
}

// Who does not read is disconnected and told to come back; who reads has everything.
func TestSlowReader(t *testing.T) {
	t.Parallel()
	hub, dial := serve(t)
	slow := dial()
	connected(hub, 1)
	large := strings.Repeat("빵", 20_000)
	for range 450 { // more than the kernel's buffers and the queue hold
		hub.Publish(stream.BroadcastTopic, stream.Event{Type: "x", Body: large})
	}
	if got, status := slow.until(); status != websocket.StatusTryAgainLater || len(got) > 400 {
		t.Errorf("%d messages, then %v", len(got), status)
	}
	connected(hub, 0)

	quick := dial()
	connected(hub, 1)
	for i := range 1000 {
		hub.Publish(stream.BroadcastTopic, stream.Event{Type: "x", Body: i})
		if _, b, err := quick.ws.Read(t.Context()); err != nil || !strings.Contains(string(b), fmt.Sprintf(`"body":%d}`, i)) {
			t.Fatalf("%s, %v", b, err)
		}
	}
}

// Whose token is revoked is told what was said before, and nothing after it.
func TestRevoked(t *testing.T) {
	t.Parallel()
	hub, dial := serve(t)
	c, other := dial(), dial()
	connected(hub, 2)
	for range 5 {
		hub.Publish(stream.BroadcastTopic, stream.Event{Type: "before"})
	}
	hub.Revoke("alice", stream.Revoked{TokenID: "bob"})
	hub.Revoke("alice", stream.Revoked{TokenID: "alice"})
	hub.Publish(stream.BroadcastTopic, stream.Event{Type: "after"})
	for _, c := range []*client{c, other} {
		got, status := c.until()
		if status != websocket.StatusPolicyViolation || len(got) != 5 || strings.Contains(strings.Join(got, ""), "after") {
			t.Errorf("%q, then %v", got, status)
		}
	}
	connected(hub, 0)
}

// A mistake in a channel ends the connection that met it, not the server.
func TestPanic(t *testing.T) {
	t.Parallel()
	hub, dial := serve(t, stream.Channel{Name: "bad", Open: func(context.Context, *stream.Sub, json.RawMessage) error { panic("bad") }})
	other, c := dial(), dial()
	connected(hub, 2)
	c.say(map[string]any{"type": "connect", "body": map[string]any{"channel": "bad", "id": 1}})
	if _, status := c.until(); status != websocket.StatusInternalError {
		t.Errorf("%v", status)
	}
	connected(hub, 1)
	other.say(map[string]any{"type": "disconnect"})
	hub.Publish(stream.BroadcastTopic, stream.Event{Type: "x"})
	if _, _, err := other.ws.Read(t.Context()); err != nil {
		t.Error(err)
	}
}

// What a client says before it is answered is not lost, however much it is.
func TestEarlyWords(t *testing.T) {
	t.Parallel()
	log := slog.New(slog.DiscardHandler)
	h := httptest.NewServer(stream.NewServer(stream.NewHub(log), nil, nil, nil, log))
	t.Cleanup(h.Close)
	conn, err := net.Dial("tcp", h.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	said := "GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n" +
		"\x81\xfe\x0b\xb8\x00\x00\x00\x00" + strings.Repeat("x", 3000) + // a frame of 3,000 bytes, masked with zeros
		"\x81\x84\x00\x00\x00\x00ping"
	if _, err := conn.Write([]byte(said)); err != nil {
		t.Fatal(err)
	}
	_ = conn.SetReadDeadline(time.Now().Add(20 * time.Second))
	var got []byte
	for b := make([]byte, 1024); !strings.HasSuffix(string(got), "\x81\x04pong"); {
		n, err := conn.Read(b)
		if err != nil {
			t.Fatalf("%q, %v", got, err)
		}
		got = append(got, b[:n]...)
	}
}
