package stream

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strings"

	"github.com/coder/websocket"

	"buttersc.one/oven/internal/socket/api"
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

// ServeHTTP authenticates before the upgrade: 401 for a token that is
// nobody's, 403 for one that may not listen. The connection outlives it: what the
// request needed, buffers and the stack that it has grown among it, is free again.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	identity, status := s.identify(r)
	if status != 0 {
		if status == http.StatusUnauthorized {
			w.Header().Set("WWW-Authenticate", `Bearer realm="Misskey", error="invalid_token"`)
		}
		w.WriteHeader(status)
		return
	}
	ws, err := websocket.Accept(lean{w}, r, &websocket.AcceptOptions{
		InsecureSkipVerify: true, // the token is in the URL, not in a cookie: any origin may connect
		CompressionMode:    websocket.CompressionDisabled,
	})
	if err != nil {
		return // Accept has answered
	}
	ws.SetReadLimit(maxMessage)
	go newConn(s, ws, identity).run()
}

// lean hands a connection over with a small buffer for what clients say, which is
// little: there are thousands of connections.
type lean struct{ http.ResponseWriter }

const readBuffer = 512 // bytes

// Hijack implements http.Hijacker.
func (l lean) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, rw, err := http.NewResponseController(l.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, fmt.Errorf("hijack: %w", err)
	}
	early := rw.Reader.Buffered()
	said, err := rw.Reader.Peek(early) // by a client that did not wait to be answered
	if err != nil {
		return nil, nil, fmt.Errorf("hijack: %w", err)
	}
	small := bufio.NewReaderSize(io.MultiReader(bytes.NewReader(bytes.Clone(said)), conn), max(readBuffer, early))
	if _, err := small.Peek(early); err != nil { // whoever takes over looks for it in the buffer
		return nil, nil, fmt.Errorf("hijack: %w", err)
	}
	return conn, bufio.NewReadWriter(small, rw.Writer), nil
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
