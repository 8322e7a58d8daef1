// Package ap reads and writes ActivityPub documents: what others send,
// leniently, and the shapes that this server sends. It knows no table, makes no
// request and decides nothing about trust: that an object is from where its id
// says is the caller's to check, with SameHost.
package ap

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Bounds of a document.
const (
	MaxSize  = 1 << 20 // bytes
	MaxDepth = 64      // objects and lists within each other
)

// ErrDocument says that a text is no document that can be used.
var ErrDocument = errors.New("not an ActivityPub document")

// Object is a document or a part of one, as it came. Getters take a value that
// stands alone for a list of one, skip values of another kind, and give the
// zero value when nothing is left. A nil Object is empty. An Object does not
// change and may be shared.
type Object struct {
	m   map[string]any
	raw []byte // of a whole document; nil for parts
}

// Parse reads a document or a part of one: a JSON object of at most MaxSize
// bytes and MaxDepth levels, in which no name stands twice (two readers could
// see two documents). A byte order mark and halves of surrogate pairs (others
// cut texts in UTF-16) are tolerated. Errors wrap ErrDocument.
func Parse(b []byte) (*Object, error) {
	b = bytes.TrimPrefix(b, []byte("\xef\xbb\xbf"))
	if len(b) > MaxSize {
		return nil, fmt.Errorf("%w: %d bytes", ErrDocument, len(b))
	}
	if !utf8.Valid(b) {
		return nil, fmt.Errorf("%w: not UTF-8", ErrDocument)
	}
	if err := checkDepth(b); err != nil {
		return nil, err
	}
	var m map[string]any
	if err := json.Unmarshal(b, &m, jsontext.AllowInvalidUTF8(true), jsontext.AllowDuplicateNames(false)); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDocument, err)
	}
	if m == nil {
		return nil, fmt.Errorf("%w: null", ErrDocument)
	}
	return &Object{m: m, raw: b}, nil
}

// checkDepth refuses deep nesting before anything is built of it.
func checkDepth(b []byte) error {
	depth, inString, escaped := 0, false, false
	for _, c := range b {
		switch {
		case escaped:
			escaped = false
		case inString:
			escaped, inString = c == '\\', c != '"'
		case c == '"':
			inString = true
		case c == '{' || c == '[':
			if depth++; depth > MaxDepth {
				return fmt.Errorf("%w: nested deeper than %d", ErrDocument, MaxDepth)
			}
		case c == '}' || c == ']':
			depth--
		}
	}
	return nil
}

// asContext is the one context that every document must name (AS2 §2.1).
const asContext = "https://www.w3.org/ns/activitystreams"

// Inbound is Parse of a document that another server sent or served: it must
// name the ActivityStreams context, as a string or a member of a list.
func Inbound(b []byte) (*Object, error) {
	o, err := Parse(b)
	if err != nil {
		return nil, err
	}
	for _, c := range o.Strings("@context") {
		if c == asContext || c == "http://www.w3.org/ns/activitystreams" {
			return o, nil
		}
	}
	return nil, fmt.Errorf("%w: without the ActivityStreams context", ErrDocument)
}

// Raw is the text of the object: of a whole document as it came (but for a byte
// order mark), of a part written anew with its names in order. Callers must not
// change it.
func (o *Object) Raw() []byte {
	if o == nil {
		return nil
	}
	if o.raw == nil {
		b, err := json.Marshal(o.m, json.Deterministic(true))
		if err != nil {
			return nil // cannot be: it was read from JSON
		}
		return b
	}
	return o.raw
}

// Part makes an Object of values that were built or taken out elsewhere.
func Part(m map[string]any) *Object { return &Object{m: m} }

// text is a value that is a string, without the NUL that PostgreSQL cannot
// store.
func text(v any) (string, bool) {
	s, ok := v.(string)
	return strings.ReplaceAll(s, "\x00", ""), ok
}

func (o *Object) get(key string) any {
	if o == nil {
		return nil
	}
	return o.m[key]
}

// Has tells whether the key is there with a value other than null.
func (o *Object) Has(key string) bool { return o.get(key) != nil }

// ID is the object's id, "" when it has none.
func (o *Object) ID() string {
	s, _ := text(o.get("id"))
	return s
}

// Types are the object's types.
func (o *Object) Types() []string { return o.Strings("type") }

// Type is the first type, "" when it has none.
func (o *Object) Type() string {
	if t := o.Types(); len(t) > 0 {
		return t[0]
	}
	return ""
}

// Is tells whether the object has one of the types.
func (o *Object) Is(types ...string) bool {
	return slices.ContainsFunc(o.Types(), func(t string) bool { return slices.Contains(types, t) })
}

// String is the first string under the key, "" for none. Where the plain form
// is missing the map of languages beside it stands in (content and contentMap,
// AS2 §4.7); of several languages always the same one.
func (o *Object) String(key string) string {
	for _, v := range list(o.get(key)) {
		if s, ok := text(v); ok {
			return s
		}
	}
	if m, ok := o.get(key + "Map").(map[string]any); ok {
		return firstOf(m)
	}
	return ""
}

// firstOf picks the text whose language is first in the alphabet.
func firstOf(m map[string]any) string {
	best, found := "", ""
	for lang, v := range m {
		if s, ok := text(v); ok && (best == "" || lang < best) {
			best, found = lang, s
		}
	}
	return found
}

// Strings are all strings under the key.
func (o *Object) Strings(key string) []string {
	var out []string
	for _, v := range list(o.get(key)) {
		if s, ok := text(v); ok {
			out = append(out, s)
		}
	}
	return out
}

// Bool is true for true and "true", else false.
func (o *Object) Bool(key string) bool {
	switch v := o.get(key).(type) {
	case bool:
		return v
	case string:
		return v == "true"
	}
	return false
}

// Int is the whole number under the key; false when there is none, or one that
// JSON cannot carry exactly.
func (o *Object) Int(key string) (int, bool) {
	f, ok := o.get(key).(float64)
	if !ok || f != math.Trunc(f) || math.Abs(f) > 1<<53 {
		return 0, false
	}
	return int(f), true
}

// Time is the moment under the key, in UTC. Besides RFC 3339 the forms seen
// from others are read; those without a zone count as UTC.
func (o *Object) Time(key string) (time.Time, bool) {
	s := strings.TrimSpace(o.String(key))
	for _, f := range []string{
		time.RFC3339Nano, "2006-01-02T15:04:05.999999999Z0700", "2006-01-02T15:04Z07:00", "2006-01-02 15:04:05.999999999Z07:00",
		"2006-01-02T15:04:05.999999999", "2006-01-02T15:04", "2006-01-02 15:04:05.999999999", "2006-01-02",
	} {
		if t, err := time.Parse(f, s); err == nil {
			return t.UTC(), true
		}
	}
	return time.Time{}, false
}

// Object is the embedded object under the key (the first of a list); nil when
// there is none, or only an id.
func (o *Object) Object(key string) *Object {
	for _, v := range list(o.get(key)) {
		if m, ok := v.(map[string]any); ok {
			return &Object{m: m}
		}
	}
	return nil
}

// Objects are all embedded objects under the key.
func (o *Object) Objects(key string) []*Object {
	var out []*Object
	for _, v := range list(o.get(key)) {
		if m, ok := v.(map[string]any); ok {
			out = append(out, &Object{m: m})
		}
	}
	return out
}

// Ref is the id under the key, whether it stands alone or in an embedded
// object; of a list the first.
func (o *Object) Ref(key string) string {
	if refs := o.Refs(key); len(refs) > 0 {
		return refs[0]
	}
	return ""
}

// Refs are all ids under the key.
func (o *Object) Refs(key string) []string {
	var out []string
	for _, v := range list(o.get(key)) {
		if s, ok := text(v); ok {
			out = append(out, s)
		} else if m, ok := v.(map[string]any); ok {
			if id := (&Object{m: m}).ID(); id != "" {
				out = append(out, id)
			}
		}
	}
	return out
}

// URL is an http or https address of the object: a string, or the href of a
// Link; of several the one of the wanted media type, else the first. "" when
// there is none.
func (o *Object) URL(mediaType string) string {
	first := ""
	for _, v := range list(o.get("url")) {
		var href, mt string
		if s, ok := text(v); ok {
			href = s
		} else if m, ok := v.(map[string]any); ok {
			l := &Object{m: m}
			href, mt = l.String("href"), l.String("mediaType")
		}
		if !strings.HasPrefix(href, "https://") && !strings.HasPrefix(href, "http://") {
			continue // javascript: and the like never leave here (security row 6)
		}
		if mediaType != "" && mt == mediaType {
			return href
		}
		if first == "" {
			first = href
		}
	}
	return first
}

// Addressees are all to whom the object is addressed: to, cc, bto, bcc,
// audience (AP §6), in this order, repeated when they are repeated.
func (o *Object) Addressees() []string {
	var out []string
	for _, key := range []string{"to", "cc", "bto", "bcc", "audience"} {
		out = append(out, o.Refs(key)...)
	}
	return out
}

func list(v any) []any {
	switch v := v.(type) {
	case nil:
		return nil
	case []any:
		return v
	}
	return []any{v}
}

// Public is the collection of everybody (AP §5.6).
const Public = asContext + "#Public"

// IsPublic knows the three spellings of Public (AP §5.6: JSON-LD may compact it).
func IsPublic(uri string) bool { return uri == Public || uri == "as:Public" || uri == "Public" }
