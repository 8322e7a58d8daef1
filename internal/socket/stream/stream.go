// Package stream is in charge of the WebSocket at /streaming: connections,
// channels, the capture of single notes, and the hub through which slices
// publish after a commit. It knows no noun of the domain: what a channel
// carries and who may see it is decided by the slice that plugs it.
package stream

import (
	"context"
	"encoding/json"
	"log/slog"
	"sync"

	"buttersc.one/oven/internal/socket/api"
)

// Channel is something a client can connect to by name.
type Channel struct {
	Name   string
	Login  bool   // visitors are refused
	Scope  string // an access token must hold it
	Shared bool   // one per connection, the id of the first is used
	// Open subscribes the new channel to its topics with s.On. An error refuses
	// the channel without an answer, as Misskey does.
	Open func(ctx context.Context, s *Sub, params json.RawMessage) error
}

// Capturer answers who may follow a note's events.
type Capturer interface {
	// CanCapture tells whether the viewer ("" for visitors) may see the note.
	CanCapture(ctx context.Context, viewerID, noteID string) (bool, error)
	// StillSeen gives those of the notes that the viewer may see now.
	StillSeen(ctx context.Context, viewerID string, noteIDs []string) ([]string, error)
}

// Sub is one open channel of one connection.
type Sub struct {
	conn *Conn
	id   string
	offs []func()
	said func(typ string, body json.RawMessage) // nil: nobody listens to the client

	mu      sync.Mutex
	open    bool
	waiting []frame // published while Open ran; sent after connected
}

func (s *Sub) send(f frame) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open {
		s.conn.send(f)
	} else if len(s.waiting) < buffer {
		s.waiting = append(s.waiting, f)
	}
}

// start announces the channel when the client asked for it, then sends what
// was published meanwhile: connected comes before the first event.
func (s *Sub) start(announce bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if announce {
		s.conn.send(frame{Type: "connected", Body: map[string]string{"id": s.id}})
	}
	for _, f := range s.waiting {
		s.conn.send(f)
	}
	s.open, s.waiting = true, nil
}

// Identity is who listens, nil for a visitor.
func (s *Sub) Identity() *api.Identity { return s.conn.identity }

// UserID of who listens, "" for a visitor.
func (s *Sub) UserID() string { return s.conn.userID() }

// On hands every message published on topic to filter, in the publisher's
// goroutine: it must be quick, and decides from memory. What it returns is sent
// as (type, body); ok false sends nothing.
func (s *Sub) On(topic string, filter func(msg any) (typ string, body any, ok bool)) {
	s.offs = append(s.offs, s.conn.hub.subscribe(topic, func(msg any) {
		if typ, body, ok := filter(msg); ok {
			s.Send(typ, body)
		}
	}))
}

// Send sends an event of the channel to this one alone.
func (s *Sub) Send(typ string, body any) {
	s.send(frame{Type: "channel", Body: channelBody{ID: s.id, Type: typ, Body: body}})
}

// OnMessage calls f with what the client says on the channel, in the order in
// which it is said; the next waits until f returns.
func (s *Sub) OnMessage(f func(typ string, body json.RawMessage)) { s.said = f }

// OnClose calls f when the channel or its connection ends.
func (s *Sub) OnClose(f func()) { s.offs = append(s.offs, f) }

func (s *Sub) close() {
	for _, off := range s.offs {
		off()
	}
	s.offs = nil
}

type frame struct {
	Type string `json:"type"`
	Body any    `json:"body"`
}

type channelBody struct {
	ID   string `json:"id"`
	Type string `json:"type"`
	Body any    `json:"body,omitempty"`
}

// Event is a typed message, as main and noteUpdated carry it.
type Event struct {
	Type string
	Body any
}

// NoteTopic carries the events of one note to those who captured it; messages
// are Events.
func NoteTopic(noteID string) string { return "note:" + noteID }

// MainTopic carries the events of one account to its main channel; messages
// are Events.
func MainTopic(userID string) string { return "main:" + userID }

// BroadcastTopic carries Events to every connection.
const BroadcastTopic = "broadcast"

// controlTopic ends connections of an account; messages are Revoked.
func controlTopic(userID string) string { return "control:" + userID }

// Revoked says which connections of an account to end.
type Revoked struct {
	TokenID string // only those of this token; "" with All false: the native token's
	All     bool
}

// Hub hands messages to whoever subscribed. Publishing to a topic that nobody
// hears costs one look into a map.
type Hub struct {
	log *slog.Logger

	mu     sync.RWMutex
	next   int64
	topics map[string]map[int64]func(msg any)
	conns  map[*Conn]struct{}
}

// NewHub makes an empty hub.
func NewHub(log *slog.Logger) *Hub {
	return &Hub{log: log, topics: map[string]map[int64]func(any){}, conns: map[*Conn]struct{}{}}
}

func (h *Hub) subscribe(topic string, f func(msg any)) (off func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.next++
	n := h.next
	if h.topics[topic] == nil {
		h.topics[topic] = map[int64]func(any){}
	}
	h.topics[topic][n] = f
	return func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		delete(h.topics[topic], n)
		if len(h.topics[topic]) == 0 {
			delete(h.topics, topic)
		}
	}
}

// Heard tells whether anybody listens on the topic, so that a publisher can
// spare the making of a message.
func (h *Hub) Heard(topic string) bool {
	h.mu.RLock()
	defer h.mu.RUnlock()
	return len(h.topics[topic]) > 0
}

// Publish hands msg to all who listen on the topic in this process. It does
// not block: slow readers are disconnected.
func (h *Hub) Publish(topic string, msg any) {
	h.mu.RLock()
	fs := make([]func(any), 0, len(h.topics[topic]))
	for _, f := range h.topics[topic] {
		fs = append(fs, f)
	}
	h.mu.RUnlock()
	for _, f := range fs {
		f(msg)
	}
}

// Revoke ends connections of an account.
func (h *Hub) Revoke(userID string, which Revoked) { h.Publish(controlTopic(userID), which) }

// Recheck has the account's connections let go of notes that it may not see
// any more. It returns when they have.
func (h *Hub) Recheck(userID string) { h.Publish(controlTopic(userID), recheck{}) }

// RecheckNote, published to a note's topic, has those who captured it let go of
// it if they may not see it any more.
type RecheckNote struct{}

// RecheckAll has every connection let go of captured notes that its viewer may
// not see any more: an author has withdrawn notes, and which is not known here.
func (h *Hub) RecheckAll() {
	for _, c := range h.all() {
		c.recheck(c.capturedIDs()...)
	}
}

// recheck is the control message of Recheck.
type recheck struct{}

// Connections is how many sockets are open.
func (h *Hub) Connections() int {
	h.mu.RLock()
	defer h.mu.RUnlock()
	return len(h.conns)
}

// CloseAll ends every connection.
func (h *Hub) CloseAll() {
	for _, c := range h.all() {
		c.end(closeRestart)
	}
}

func (h *Hub) all() []*Conn {
	h.mu.RLock()
	defer h.mu.RUnlock()
	conns := make([]*Conn, 0, len(h.conns))
	for c := range h.conns {
		conns = append(conns, c)
	}
	return conns
}
