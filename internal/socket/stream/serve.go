package stream

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/coder/websocket"

	"buttersc.one/oven/internal/socket/api"
)

const (
	maxMessage  = 64 << 10         // bytes of one message from a client
	maxChannels = 32               // open channels of a connection
	maxCaptures = 512              // captured notes of a connection; the oldest gives way
	buffer      = 256              // frames waiting for a slow reader
	pingEvery   = 45 * time.Second // below the 60 s at which proxies cut
	writeWithin = 20 * time.Second

	closeRestart = websocket.StatusServiceRestart
	closeSlow    = websocket.StatusTryAgainLater // 1013
	closeRevoked = websocket.StatusPolicyViolation
)

// Server answers /streaming.
type Server struct {
	hub      *Hub
	auth     api.Authenticator
	capture  Capturer
	log      *slog.Logger
	channels map[string]*Channel
	active   func(userID string)
}

// NewServer makes a server without channels; active is called when a signed-in
// connection opens and every few minutes while it lives.
func NewServer(hub *Hub, auth api.Authenticator, capture Capturer, active func(userID string), log *slog.Logger) *Server {
	return &Server{hub: hub, auth: auth, capture: capture, active: active, log: log, channels: map[string]*Channel{}}
}

// Plug adds channels.
func (s *Server) Plug(cs ...Channel) {
	for _, c := range cs {
		s.channels[c.Name] = &c
	}
}

// Conn is one WebSocket.
type Conn struct {
	hub      *Hub
	srv      *Server
	ws       *websocket.Conn
	identity *api.Identity
	out      chan []byte
	cancel   context.CancelCauseFunc

	subs   map[string]*Sub
	shared map[string]bool // names of shared channels that are open

	capturing sync.Mutex
	captured  map[string]func()
	order     []string // captured note ids, oldest first
}

func (c *Conn) userID() string {
	if c.identity == nil {
		return ""
	}
	return c.identity.UserID
}

// ServeHTTP authenticates before the upgrade: 401 for a token that is
// nobody's, 403 for one that may not listen.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	identity, status := s.identify(r)
	if status != 0 {
		if status == http.StatusUnauthorized {
			w.Header().Set("WWW-Authenticate", `Bearer realm="Misskey", error="invalid_token"`)
		}
		w.WriteHeader(status)
		return
	}
	ws, err := websocket.Accept(w, r, &websocket.AcceptOptions{
		InsecureSkipVerify: true, // the token is in the URL, not in a cookie: any origin may connect
		CompressionMode:    websocket.CompressionDisabled,
	})
	if err != nil {
		return // Accept has answered
	}
	ws.SetReadLimit(maxMessage)
	ctx, cancel := context.WithCancelCause(context.WithoutCancel(r.Context()))
	c := &Conn{
		hub: s.hub, srv: s, ws: ws, identity: identity, out: make(chan []byte, buffer), cancel: cancel,
		subs: map[string]*Sub{}, shared: map[string]bool{}, captured: map[string]func(){},
	}
	c.run(ctx)
}

func (s *Server) identify(r *http.Request) (*api.Identity, int) {
	token := r.URL.Query().Get("i")
	if t, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); ok {
		token = t
	}
	if token == "" {
		return nil, 0
	}
	id, err := s.auth.Authenticate(r.Context(), token)
	switch {
	case errors.Is(err, api.ErrNoToken):
		return nil, http.StatusUnauthorized
	case err != nil:
		s.log.Error("streaming: authenticate", "err", err)
		return nil, http.StatusInternalServerError
	case id.Suspended, !id.Native() && !slices.Contains(id.Scopes, "read:account"):
		return nil, http.StatusForbidden
	}
	return id, 0
}

// errEnd carries the close status through the context's cause.
type errEnd struct{ status websocket.StatusCode }

func (e errEnd) Error() string { return "connection ended by the server" }

func (c *Conn) end(status websocket.StatusCode) { c.cancel(errEnd{status}) }

func (c *Conn) run(ctx context.Context) {
	c.hub.mu.Lock()
	c.hub.conns[c] = struct{}{}
	c.hub.mu.Unlock()
	var offs []func()
	offs = append(offs, c.hub.subscribe(BroadcastTopic, func(msg any) {
		if e, ok := msg.(Event); ok {
			c.send(frame(e))
		}
	}))
	if c.identity != nil {
		offs = append(offs, c.hub.subscribe(controlTopic(c.userID()), c.onControl))
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		c.write(ctx)
	}()
	c.read(ctx)
	c.cancel(errEnd{websocket.StatusNormalClosure})
	<-done
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

// lastWords is how long a reader may take for what was queued before its token
// was revoked.
const lastWords = 2 * time.Second

// revoke ends the connection once what waits has been sent, so that a client
// hears why; nothing that comes later is.
func (c *Conn) revoke() {
	select {
	case c.out <- nil:
		time.AfterFunc(lastWords, func() { c.end(closeRevoked) })
	default:
		c.end(closeRevoked)
	}
}

// send queues a frame. A reader whose buffer is full is disconnected with 1013
// and comes back; nothing waits for it.
func (c *Conn) send(f frame) {
	b, err := f.encode()
	if err != nil {
		c.srv.log.Error("streaming: encode", "type", f.Type, "err", err)
		return
	}
	select {
	case c.out <- b:
	default:
		c.end(closeSlow)
	}
}

// encode writes a frame. What was encoded once for everybody is put into each
// one's frame as it is: looking through it again for every socket would be most
// of the work.
func (f frame) encode() ([]byte, error) {
	if body, ok := f.Body.(channelBody); ok {
		if raw, ok := body.Body.(json.RawMessage); ok {
			id, err := json.Marshal(body.ID) // the client's own word; the types are ours
			if err != nil {
				return nil, err
			}
			b := make([]byte, 0, len(raw)+len(id)+80)
			b = append(append(append(b, `{"type":"`...), f.Type...), `","body":{"id":`...)
			b = append(append(append(b, id...), `,"type":"`...), body.Type...)
			b = append(append(append(b, `","body":`...), raw...), "}}"...)
			return b, nil
		}
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(f); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

func (c *Conn) write(ctx context.Context) {
	ping := time.NewTicker(pingEvery)
	defer ping.Stop()
	if c.identity != nil && c.srv.active != nil {
		c.srv.active(c.userID())
	}
	for {
		select {
		case <-ctx.Done():
			status := websocket.StatusNormalClosure
			var e errEnd
			if errors.As(context.Cause(ctx), &e) {
				status = e.status
			}
			_ = c.ws.Close(status, "")
			return
		case b := <-c.out:
			if b == nil {
				_ = c.ws.Close(closeRevoked, "")
				c.end(closeRevoked)
				return
			}
			if err := c.writeOne(ctx, b); err != nil {
				c.cancel(err)
			}
		case <-ping.C:
			pctx, cancel := context.WithTimeout(ctx, writeWithin)
			err := c.ws.Ping(pctx)
			cancel()
			if err != nil {
				c.cancel(err)
			} else if c.identity != nil && c.srv.active != nil {
				c.srv.active(c.userID())
			}
		}
	}
}

func (c *Conn) writeOne(ctx context.Context, b []byte) error {
	ctx, cancel := context.WithTimeout(ctx, writeWithin)
	defer cancel()
	return c.ws.Write(ctx, websocket.MessageText, b)
}

func (c *Conn) read(ctx context.Context) {
	for {
		_, b, err := c.ws.Read(ctx)
		if err != nil {
			return
		}
		switch string(b) {
		case "ping":
			select {
			case c.out <- []byte("pong"):
			default:
			}
			continue
		case "h": // misskey-js' heartbeat
			continue
		}
		var m struct {
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
		if json.Unmarshal(b, &m) != nil {
			continue // as Misskey: what cannot be read is ignored
		}
		id := text(m.Body.ID)
		switch m.Type {
		case "connect":
			c.connect(ctx, m.Body.Channel, id, m.Body.Params, m.Body.Pong)
		case "disconnect":
			c.disconnect(id)
		case "channel", "ch":
			if s := c.subs[id]; s != nil && s.said != nil {
				s.said(m.Body.Type, m.Body.Body)
			}
		case "subNote", "s", "sr":
			c.captureNote(ctx, id)
		case "unsubNote", "un":
			c.releaseNote(id)
		}
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

func (c *Conn) captureNote(ctx context.Context, id string) {
	c.capturing.Lock()
	known, oldest := c.captured[id] != nil, ""
	if len(c.order) >= maxCaptures {
		oldest = c.order[0]
	}
	c.capturing.Unlock()
	if id == "" || known {
		return
	}
	ok, err := c.srv.capture.CanCapture(ctx, c.userID(), id)
	if err != nil && ctx.Err() == nil {
		c.srv.log.Warn("streaming: capture", "err", err)
	}
	if err != nil || !ok {
		return
	}
	if oldest != "" {
		c.releaseNote(oldest)
	}
	c.capturing.Lock()
	defer c.capturing.Unlock()
	c.order = append(c.order, id)
	c.captured[id] = c.hub.subscribe(NoteTopic(id), func(msg any) {
		switch m := msg.(type) {
		case Event:
			c.send(frame{Type: "noteUpdated", Body: channelBody{ID: id, Type: m.Type, Body: m.Body}})
		case RecheckNote:
			c.recheck(id)
		}
	})
}

func (c *Conn) releaseNote(id string) {
	c.capturing.Lock()
	defer c.capturing.Unlock()
	if off := c.captured[id]; off != nil {
		off()
		delete(c.captured, id)
		c.order = slices.DeleteFunc(c.order, func(o string) bool { return o == id })
	}
}

func (c *Conn) capturedIDs() []string {
	c.capturing.Lock()
	defer c.capturing.Unlock()
	return slices.Clone(c.order)
}

// recheckIn is how long looking again at captured notes may take; what cannot
// be looked at is let go.
const recheckIn = 5 * time.Second

// recheck lets go of those of the captured notes that may not be seen any more.
func (c *Conn) recheck(ids ...string) {
	if len(ids) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), recheckIn)
	defer cancel()
	seen, err := c.srv.capture.StillSeen(ctx, c.userID(), ids)
	if err != nil {
		c.srv.log.Warn("streaming: recheck", "err", err)
	}
	for _, id := range ids {
		if !slices.Contains(seen, id) {
			c.releaseNote(id)
		}
	}
}
