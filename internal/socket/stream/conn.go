package stream

import (
	"context"
	"encoding/json"
	"errors"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"github.com/coder/websocket"

	"buttersc.one/oven/internal/socket/api"
)

const (
	maxMessage  = 64 << 10         // bytes of one message from a client
	maxChannels = 32               // open channels of a connection
	maxCaptures = 512              // captured notes of a connection; the oldest gives way
	pingEvery   = 45 * time.Second // below the 60 s at which proxies cut

	closeRestart = websocket.StatusServiceRestart
	closeSlow    = websocket.StatusTryAgainLater // 1013
	closeRevoked = websocket.StatusPolicyViolation
)

// Conn is one WebSocket. While nothing happens it is one goroutine that waits for the
// client, with a small stack.
type Conn struct {
	hub      *Hub
	srv      *Server
	ws       *websocket.Conn
	identity *api.Identity
	out      outbox

	ctx  context.Context // of what is done for the client; ends with the connection
	stop context.CancelFunc
	ping *time.Timer // out.mu

	subs   map[string]*Sub
	shared map[string]bool // names of shared channels that are open

	capturing sync.Mutex
	captured  map[string]func()
	order     []string // captured note ids, oldest first
}

func newConn(s *Server, ws *websocket.Conn, identity *api.Identity) *Conn {
	c := &Conn{hub: s.hub, srv: s, ws: ws, identity: identity, subs: map[string]*Sub{}, shared: map[string]bool{}, captured: map[string]func(){}}
	c.ctx, c.stop = context.WithCancel(context.Background())
	return c
}

func (c *Conn) userID() string {
	if c.identity == nil {
		return ""
	}
	return c.identity.UserID
}

// run serves the client until one of both ends the connection.
func (c *Conn) run() {
	c.out.mu.Lock()
	c.ping = time.AfterFunc(pingEvery, c.beat)
	c.out.mu.Unlock()
	c.hub.mu.Lock()
	c.hub.conns[c] = struct{}{}
	c.hub.mu.Unlock()
	offs := []func(){c.hub.subscribe(BroadcastTopic, func(msg any) {
		if e, ok := msg.(Event); ok {
			c.send(frame(e))
		}
	})}
	if c.identity != nil {
		offs = append(offs, c.hub.subscribe(controlTopic(c.userID()), c.onControl))
	}
	c.seen()
	c.read()
	c.drop()
	for _, off := range offs {
		off()
	}
	for _, s := range c.subs {
		s.close()
	}
	for _, id := range c.capturedIDs() {
		c.releaseNote(id)
	}
	c.hub.mu.Lock()
	delete(c.hub.conns, c)
	c.hub.mu.Unlock()
}

func (c *Conn) onControl(msg any) {
	switch m := msg.(type) {
	case Revoked:
		if m.All || m.TokenID == c.identity.TokenID {
			c.revoke()
		}
	case recheck:
		c.recheck(c.capturedIDs()...)
	}
}

// seen tells that the account is here.
func (c *Conn) seen() {
	if c.identity != nil && c.srv.active != nil {
		c.srv.active(c.userID())
	}
}

// beat asks the client whether it is there, now and then.
func (c *Conn) beat() {
	ctx, cancel := context.WithTimeout(c.ctx, writeWithin)
	defer cancel()
	if err := c.ws.Ping(ctx); err != nil {
		c.drop()
		return
	}
	c.seen()
	c.out.mu.Lock()
	defer c.out.mu.Unlock()
	if !c.out.ended {
		c.ping.Reset(pingEvery)
	}
}

// end closes the connection and tells the client why. Nobody waits for it.
func (c *Conn) end(status websocket.StatusCode) {
	if c.out.end() {
		c.stop()
		go func() { _ = c.ws.Close(status, "") }()
	}
}

// drop ends a connection that is broken, or that the client has closed.
func (c *Conn) drop() {
	c.out.end()
	c.stop()
	c.out.mu.Lock()
	c.ping.Stop()
	c.out.mu.Unlock()
	_ = c.ws.CloseNow()
}

// lastWords is how long a reader may take for what was queued before its token
// was revoked.
const lastWords = 2 * time.Second

// revoke ends the connection once what waits has been sent, so that a client
// hears why; nothing that comes later is.
func (c *Conn) revoke() {
	c.out.last(c.flush)
	time.AfterFunc(lastWords, func() { c.end(closeRevoked) })
}

// message is what a client says.
type message struct {
	Type string `json:"type"`
	Body struct {
		ID      json.RawMessage `json:"id"`
		Channel string          `json:"channel"`
		Params  json.RawMessage `json:"params"`
		Pong    bool            `json:"pong"`
		Type    string          `json:"type"`
		Body    json.RawMessage `json:"body"`
	} `json:"body"`
}

// read does what the client says until there is nothing more to read. Each is done in a
// goroutine of its own, one after the other: the stack that this takes is gone when the
// connection is idle again.
func (c *Conn) read() {
	done := make(chan struct{})
	for {
		_, b, err := c.ws.Read(context.Background())
		if err != nil {
			return
		}
		if c.ctx.Err() != nil {
			continue // it is being closed: what the client says until it knows is too late
		}
		go func() {
			c.hear(b)
			done <- struct{}{}
		}()
		<-done
	}
}

func (c *Conn) hear(b []byte) {
	defer func() {
		if p := recover(); p != nil { // a mistake in a channel is not everybody's end
			c.srv.log.Error("streaming: panic", "err", p, "stack", string(debug.Stack()))
			c.end(websocket.StatusInternalError)
		}
	}()
	switch string(b) {
	case "ping":
		c.queue([]byte("pong"))
		return
	case "h": // misskey-js' heartbeat
		return
	}
	var m message
	if json.Unmarshal(b, &m) != nil {
		return // as Misskey: what cannot be read is ignored
	}
	id := text(m.Body.ID)
	switch m.Type {
	case "connect":
		c.connect(c.ctx, m.Body.Channel, id, m.Body.Params, m.Body.Pong)
	case "disconnect":
		c.disconnect(id)
	case "channel", "ch":
		if s := c.subs[id]; s != nil && s.said != nil {
			s.said(m.Body.Type, m.Body.Body)
		}
	case "subNote", "s", "sr":
		c.captureNote(c.ctx, id)
	case "unsubNote", "un":
		c.releaseNote(id)
	}
}

// text is an id as a client sent it: a string, or a number taken as its digits.
func text(raw json.RawMessage) string {
	var s string
	if json.Unmarshal(raw, &s) == nil {
		return s
	}
	var n json.Number
	if json.Unmarshal(raw, &n) == nil {
		return n.String()
	}
	return ""
}

func (c *Conn) connect(ctx context.Context, name, id string, params json.RawMessage, pong bool) {
	ch := c.srv.channels[name]
	switch {
	case ch == nil, id == "", len(c.subs) >= maxChannels, c.subs[id] != nil:
		return
	case ch.Login && c.identity == nil:
		return
	case ch.Scope != "" && c.identity != nil && !c.identity.Native() && !slices.Contains(c.identity.Scopes, ch.Scope):
		return
	case ch.Shared && c.shared[name]:
		return
	}
	if len(params) == 0 || string(params) == "null" {
		params = json.RawMessage("{}")
	}
	s := &Sub{conn: c, id: id}
	if err := ch.Open(ctx, s, params); err != nil {
		s.close()
		if ctx.Err() == nil && !errors.Is(err, ErrRefused) {
			c.srv.log.Warn("streaming: open channel", "channel", name, "err", err)
		}
		return
	}
	c.subs[id] = s
	if ch.Shared {
		c.shared[name] = true
		s.OnClose(func() { delete(c.shared, name) })
	}
	s.start(pong)
}

// ErrRefused is what Open returns when the viewer may not have the channel.
var ErrRefused = errors.New("channel refused")

func (c *Conn) disconnect(id string) {
	if s := c.subs[id]; s != nil {
		s.close()
		delete(c.subs, id)
	}
}
