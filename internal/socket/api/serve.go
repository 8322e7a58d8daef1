package api

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"reflect"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// maxBody of a JSON call.
const maxBody = 1 << 20

type stats struct{ calls, failed atomic.Int64 }

// Counts are calls answered and answers of 5xx since the start.
func (s *Server) Counts() (calls, failed int64) { return s.stats.calls.Load(), s.stats.failed.Load() }

// ServeHTTP answers /api/<name>.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Access-Control-Allow-Origin", "*")
	h.Set("X-Content-Type-Options", "nosniff")
	if r.Method == http.MethodOptions {
		h.Set("Access-Control-Allow-Methods", "GET, POST, OPTIONS")
		h.Set("Access-Control-Allow-Headers", "Authorization, Content-Type")
		h.Set("Access-Control-Max-Age", "86400")
		w.WriteHeader(http.StatusNoContent)
		return
	}
	h.Set("Cache-Control", "private, max-age=0, must-revalidate")
	s.stats.calls.Add(1)
	e, ok := s.endpoints[strings.TrimPrefix(r.URL.Path, "/api/")]
	switch {
	case !ok:
		s.Fail(w, r, ErrUnknownEndpoint)
		return
	case r.Method == http.MethodGet && !e.Meta.Get, r.Method != http.MethodGet && r.Method != http.MethodPost:
		h.Set("Allow", "POST")
		w.WriteHeader(http.StatusMethodNotAllowed)
		return
	}
	res, token, err := s.serve(e, w, r)
	if err != nil {
		s.Fail(w, r, err)
		return
	}
	if r.Method == http.MethodGet && e.Meta.CacheSec > 0 && !token {
		h.Set("Cache-Control", "public, max-age="+strconv.Itoa(e.Meta.CacheSec))
	}
	if p, ok := res.(prepared); ok {
		p.answer(w, r)
		return
	}
	Answer(w, res)
}

// serve goes through one call; token tells whether it carried one.
func (s *Server) serve(e *Endpoint, w http.ResponseWriter, r *http.Request) (res any, token bool, err error) {
	body, values, file, err := s.read(e, w, r)
	if err != nil {
		return nil, false, err
	}
	if file != nil {
		defer file.remove()
	}
	c := &Call{IP: s.ClientIP(r), Header: r.Header, respond: w.Header()}
	if file != nil {
		c.File = &file.File
	}
	tok, err := tokenOf(r, values)
	if err != nil {
		return nil, true, err
	}
	if tok != "" {
		c.Identity, err = s.auth.Authenticate(r.Context(), tok)
		if errors.Is(err, ErrNoToken) {
			err = ErrAuthenticationFailed
		}
		if err != nil {
			return nil, true, err
		}
	}
	if err := s.permit(r.Context(), e, c); err != nil {
		return nil, tok != "", err
	}
	if e.Meta.File && file == nil {
		return nil, tok != "", errNoFile()
	}
	if at, why := e.Params.check(values, "#"); at != "" {
		return nil, tok != "", InvalidParam(at, why)
	}
	defer s.recovered(r, &err)
	res, err = e.call(r.Context(), c, body, values)
	return res, tok != "", err
}

// permit checks what does not depend on the parameters, in the order that
// clients can observe (behaviour 2.1): a call that is refused for lack of
// rights has still burnt its rate limit.
func (s *Server) permit(ctx context.Context, e *Endpoint, c *Call) error {
	m := &e.Meta
	if m.Secure && c.Identity != nil && !c.Native() {
		return ErrAccessDenied
	}
	if err := s.limit(ctx, e, c); err != nil {
		return err
	}
	needsAccount := m.Credential || m.Moderator || m.Admin
	switch {
	case needsAccount && c.Identity == nil:
		return ErrCredentialRequired
	case needsAccount && c.Suspended:
		return ErrSuspended
	case m.NotMoved && c.Identity != nil && c.Moved:
		return ErrMoved
	case m.Moderator && !c.Moderator && !c.Root, m.Admin && !c.Admin && !c.Root:
		return ErrRoleDenied
	}
	if m.Policy != "" && (c.Identity == nil || !(c.Admin || c.Root)) {
		ok, err := s.policies.Allows(ctx, c.ID(), m.Policy)
		if err != nil {
			return err
		}
		if !ok {
			return ErrPolicyDenied
		}
	}
	if c.Identity != nil && !c.Native() {
		if m.Scope == "" && needsAccount || m.Scope != "" && !slices.Contains(c.Scopes, m.Scope) {
			return ErrPermissionDenied
		}
	}
	return nil
}

func (s *Server) limit(ctx context.Context, e *Endpoint, c *Call) error {
	m := &e.Meta
	if s.cfg.Mode == "test" || (m.Max == 0 && m.Gap == 0) {
		return nil
	}
	who, factor := IPKey(c.IP), 1.0
	if c.Identity != nil {
		f, err := s.policies.RateFactor(ctx, c.UserID)
		if err != nil {
			return err
		}
		who, factor = c.UserID, f
	}
	if factor <= 0 {
		return nil
	}
	name := e.Name
	if m.LimitKey != "" {
		name = m.LimitKey
	}
	max := m.Max
	if max > 0 {
		max = int(float64(max)/factor + 0.5)
		if max < 1 {
			max = 1
		}
	}
	wait, ok := s.limits.Take(name+"\x00"+who, max, time.Duration(float64(m.Window)*factor), time.Duration(float64(m.Gap)*factor))
	if !ok {
		return tooMany(wait)
	}
	return nil
}

// read takes the parameters out of a request: the JSON text for the handler's
// struct and the same as values for the check.
func (s *Server) read(e *Endpoint, w http.ResponseWriter, r *http.Request) ([]byte, map[string]any, *tempFile, error) {
	if r.Method == http.MethodGet {
		values := e.Params.cast(r.URL.Query())
		stripNUL(values)
		body, err := json.Marshal(values)
		return body, values, nil, err
	}
	if e.Meta.File && strings.HasPrefix(r.Header.Get("Content-Type"), "multipart/") {
		return s.readMultipart(e, w, r)
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		var big *http.MaxBytesError
		if errors.As(err, &big) {
			return nil, nil, nil, ErrTooLarge
		}
		return nil, nil, nil, ErrInvalidJSON
	}
	body = bytes.TrimPrefix(body, []byte("\xef\xbb\xbf"))
	if len(bytes.TrimSpace(body)) == 0 {
		body = []byte("{}")
	}
	var values map[string]any
	if body, err = withoutNUL(body); err != nil {
		return nil, nil, nil, ErrInvalidJSON
	}
	if err := json.Unmarshal(body, &values); err != nil || values == nil {
		return nil, nil, nil, ErrInvalidJSON
	}
	return body, values, nil, nil
}

// tokenOf is the call's token: the Authorization header first, then i. A token
// that is no string is refused without a word (behaviour 2.1).
func tokenOf(r *http.Request, values map[string]any) (string, error) {
	if t, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); ok {
		return t, nil
	}
	switch t := values["i"].(type) {
	case nil:
		return "", nil
	case string:
		return t, nil
	}
	return "", &Error{Status: http.StatusBadRequest}
}

// Fail answers with an error. What is no *Error is logged once with a request
// id, and the client gets only that id.
func (s *Server) Fail(w http.ResponseWriter, r *http.Request, err error) {
	var e *Error
	if !errors.As(err, &e) {
		if r.Context().Err() != nil {
			return // the client has gone
		}
		s.stats.failed.Add(1)
		id := requestID()
		s.cfg.Log.Error("api", "path", r.URL.Path, "request", id, "err", err)
		e = ErrInternal.WithInfo(map[string]string{"id": id})
	}
	if e.header[0] != "" {
		w.Header().Set(e.header[0], e.header[1])
	}
	if e.Code == "" {
		w.WriteHeader(e.status())
		return
	}
	body := map[string]any{"message": e.Message, "code": e.Code, "id": e.ID, "kind": e.kind()}
	if e.Info != nil {
		body["info"] = e.Info
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(e.status())
	_ = json.NewEncoder(w).Encode(map[string]any{"error": body})
}

// Answer writes a result; nil is 204.
func Answer(w http.ResponseWriter, res any) {
	if isNil(res) {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	body, err := encode(res)
	if err != nil {
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	send(w, body)
}

func isNil(v any) bool {
	if v == nil {
		return true
	}
	rv := reflect.ValueOf(v)
	return (rv.Kind() == reflect.Pointer || rv.Kind() == reflect.Interface) && rv.IsNil()
}

// recovered turns a panic of a handler into an error, so that it is logged and
// answered like any other.
func (s *Server) recovered(r *http.Request, err *error) {
	if p := recover(); p != nil {
		s.cfg.Log.Error("panic", "path", r.URL.Path, "stack", string(debug.Stack()))
		*err = fmt.Errorf("panic: %v", p)
	}
}

// ClientIP is the address of the client: the connection's, or what a trusted
// proxy says in X-Forwarded-For (the last address that no trusted proxy has).
func (s *Server) ClientIP(r *http.Request) netip.Addr {
	ap, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.IPv6Unspecified()
	}
	ip := ap.Addr().Unmap()
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for i := len(hops) - 1; i >= 0 && s.trusted(ip); i-- {
		next, err := netip.ParseAddr(strings.TrimSpace(hops[i]))
		if err != nil {
			break
		}
		ip = next.Unmap()
	}
	return ip
}

func (s *Server) trusted(ip netip.Addr) bool {
	return slices.ContainsFunc(s.cfg.TrustedProxies, func(p netip.Prefix) bool { return p.Contains(ip) })
}

func requestID() string {
	var b [8]byte
	_, _ = rand.Read(b[:])
	return hex.EncodeToString(b[:])
}

// location is "slice/file.go:line" of a function.
func location(f any) string {
	pc := reflect.ValueOf(f).Pointer()
	file, line := runtime.FuncForPC(pc).FileLine(pc)
	if i := strings.LastIndex(file, "/internal/"); i >= 0 {
		file = file[i+len("/internal/"):]
	}
	return file + ":" + strconv.Itoa(line)
}

// LogAttr is a shorthand for slog attributes of a call: ids only, never
// parameters.
func (c *Call) LogAttr() slog.Attr { return slog.String("user", c.ID()) }
