package api

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"reflect"
	"strconv"
	"strings"
)

// Encoded is an answer T in the form in which it is sent. A handler that gives
// the same one again and again spares packing it for each call, and a GET that
// names its ETag is answered with 304.
type Encoded[T any] struct {
	body []byte
	tag  string
}

// Encode makes the answer.
func Encode[T any](v T) (*Encoded[T], error) {
	body, err := encode(v)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(body)
	return &Encoded[T]{body: body, tag: `W/"` + base64.RawURLEncoding.EncodeToString(sum[:12]) + `"`}, nil
}

// MarshalJSON gives what is sent.
func (e *Encoded[T]) MarshalJSON() ([]byte, error) { return e.body, nil }

// APISchema is that of what is encoded.
func (Encoded[T]) APISchema() *Schema { return SchemaOf(reflect.TypeFor[T]()) }

func (e *Encoded[T]) answer(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("ETag", e.tag)
	if r.Method == http.MethodGet && matches(r.Header.Get("If-None-Match"), e.tag) {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	send(w, e.body)
}

// prepared is an Encoded of whatever it is.
type prepared interface {
	answer(w http.ResponseWriter, r *http.Request)
}

// matches tells whether an If-None-Match names the tag, by weak comparison (RFC
// 9110 §13.1.2).
func matches(header, tag string) bool {
	for t := range strings.SplitSeq(header, ",") {
		if t = strings.TrimSpace(t); t == "*" || strings.TrimPrefix(t, "W/") == strings.TrimPrefix(tag, "W/") {
			return true
		}
	}
	return false
}

func encode(v any) ([]byte, error) {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return buf.Bytes(), nil
}

func send(w http.ResponseWriter, body []byte) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	_, _ = w.Write(body)
}
