package stream_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"

	"buttersc.one/oven/internal/socket/stream"
)

// client is a socket with the channel open.
type client struct {
	t  *testing.T
	ws *websocket.Conn
}

func (c *client) say(m map[string]any) {
	c.t.Helper()
	b, err := json.Marshal(m)
	if err == nil {
		err = c.ws.Write(c.t.Context(), websocket.MessageText, b)
	}
	if err != nil {
		c.t.Fatal(err)
	}
}

// event waits for the channel's next event of a type.
func (c *client) event(typ string) json.RawMessage {
	c.t.Helper()
	for {
		_, b, err := c.ws.Read(c.t.Context())
		if err != nil {
			c.t.Fatal(err)
		}
		var m struct {
			Body struct {
				ID, Type string
				Body     json.RawMessage
			}
		}
		if json.Unmarshal(b, &m) == nil && m.Body.Type == typ && m.Body.ID == "1" {
			return m.Body.Body
		}
	}
}

// Figures are gathered once however many listen, not at all when nobody does,
// and the last ones can be asked for.
func TestPulse(t *testing.T) {
	t.Parallel()
	var begun atomic.Int64
	p := &stream.Pulse{Name: "pulse", Every: time.Millisecond, Begin: func() func(context.Context) (any, error) {
		run, n := begun.Add(1), 0
		return func(context.Context) (any, error) {
			n++
			return []int{int(run), n}, nil
		}
	}}
	log := slog.New(slog.DiscardHandler)
	hub := stream.NewHub(log)
	srv := stream.NewServer(hub, nil, nil, nil, log)
	srv.Plug(p.Channel(hub, log))
	h := httptest.NewServer(srv)
	t.Cleanup(h.Close)
	dial := func() *client {
		t.Helper()
		ws, res, err := websocket.Dial(t.Context(), "ws"+strings.TrimPrefix(h.URL, "http"), nil)
		if err != nil {
			t.Fatal(err)
		}
		if res.Body != nil {
			_ = res.Body.Close()
		}
		c := &client{t, ws}
		c.say(map[string]any{"type": "connect", "body": map[string]any{"channel": "pulse", "id": 1}})
		return c
	}
	three := []*client{dial(), dial(), dial()}
	for _, c := range three {
		var last int
		for range 5 {
			var v []int
			if err := json.Unmarshal(c.event("stats"), &v); err != nil || v[0] != 1 || last != 0 && v[1] != last+1 {
				t.Fatalf("%v after %d: %v", v, last, err)
			}
			last = v[1]
		}
	}
	ask := func(body any) [][]int {
		t.Helper()
		three[0].say(map[string]any{"type": "ch", "body": map[string]any{"id": 1, "type": "requestLog", "body": body}})
		var log [][]int
		if err := json.Unmarshal(three[0].event("statsLog"), &log); err != nil {
			t.Fatal(err)
		}
		return log
	}
	three[0].say(map[string]any{"type": "channel", "body": map[string]any{"id": 2, "type": "requestLog"}}) // no such channel
	three[0].say(map[string]any{"type": "channel", "body": map[string]any{"id": 1, "type": "requestLog", "body": []int{1}}})
	three[0].say(map[string]any{"type": "channel", "body": map[string]any{"id": 1, "type": "other", "body": nil}})
	if log := ask(map[string]any{"id": "x", "length": 3}); len(log) != 3 || log[0][1] != log[1][1]+1 || log[1][1] != log[2][1]+1 {
		t.Errorf("the last three: %v", log)
	}
	if log := ask(map[string]any{"id": "x", "length": -1}); len(log) != 0 {
		t.Errorf("fewer than none: %v", log)
	}
	if log := ask(map[string]any{"id": "x"}); len(log) == 0 || len(log) > 50 {
		t.Errorf("%d where none were named", len(log))
	}
	if n := begun.Load(); n != 1 {
		t.Errorf("gathered by %d for three", n)
	}
	for _, c := range three {
		_ = c.ws.Close(websocket.StatusNormalClosure, "")
	}
	for hub.Connections() > 0 {
		time.Sleep(time.Millisecond)
	}
	c := dial()
	var v []int
	if err := json.Unmarshal(c.event("stats"), &v); err != nil || v[0] != 2 || v[1] > 2 {
		t.Errorf("after nobody listened: %v %v", v, err)
	}
}
