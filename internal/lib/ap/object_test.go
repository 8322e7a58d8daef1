package ap_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"buttersc.one/oven/internal/lib/ap"
)

func parse(t *testing.T, text string) *ap.Object {
	t.Helper()
	o, err := ap.Parse([]byte(text))
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return o
}

func TestParse(t *testing.T) {
	deep := func(n int) string { return `{"a":` + strings.Repeat("[", n) + strings.Repeat("]", n) + `}` }
	for name, c := range map[string]struct {
		text string
		ok   bool
	}{
		"an object":                  {`{"id":"https://b.example/1"}`, true},
		"a byte order mark":          {"\xef\xbb\xbf{}", true},
		"half a surrogate":           {`{"content":"cut \ud83d"}`, true},
		"brackets in text":           {`{"a":"` + strings.Repeat("[", 1000) + `\""}`, true},
		"64 levels":                  {deep(63), true},
		"65 levels":                  {deep(64), false},
		"a name twice":               {`{"id":"https://b.example/1","id":"https://c.example/1"}`, false},
		"a name twice below":         {`{"object":{"id":"a","id":"b"}}`, false},
		"a name twice, once escaped": {`{"id":"a","\u0069d":"b"}`, false},
		"a list":                     {`[]`, false},
		"a text":                     {`"https://b.example/1"`, false},
		"null":                       {`null`, false},
		"nothing":                    {``, false},
		"two":                        {`{}{}`, false},
		"half":                       {`{"a":`, false},
		"not UTF-8":                  {"{\"a\":\"\xff\"}", false},
		"too long":                   {`{"a":"` + strings.Repeat("x", ap.MaxSize) + `"}`, false},
		"a number too large":         {`{"a":1e999}`, false},
	} {
		_, err := ap.Parse([]byte(c.text))
		if (err == nil) != c.ok || err != nil && !errors.Is(err, ap.ErrDocument) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestInbound(t *testing.T) {
	for text, ok := range map[string]bool{
		`{"@context":"https://www.w3.org/ns/activitystreams"}`:                                                    true,
		`{"@context":["https://w3id.org/security/v1",{"a":"b"},"https://www.w3.org/ns/activitystreams"]}`:         true,
		`{"@context":"http://www.w3.org/ns/activitystreams"}`:                                                     true,
		`{"@context":["https://w3id.org/security/v1"]}`:                                                           false,
		`{"@context":{"as":"https://www.w3.org/ns/activitystreams"}}`:                                             false,
		`{"@context":"https://www.w3.org/ns/activitystreams/"}`:                                                   false,
		`{"id":"https://b.example/1"}`:                                                                            false,
		`{"id":"https://b.example/1","object":{"@context":"https://www.w3.org/ns/activitystreams"}}`:              false,
		`{"@context":"https://www.w3.org/ns/activitystreams","@context":"https://www.w3.org/ns/activitystreams"}`: false,
	} {
		if _, err := ap.Inbound([]byte(text)); (err == nil) != ok || err != nil && !errors.Is(err, ap.ErrDocument) {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestGetters(t *testing.T) {
	o := parse(t, `{
		"id": "https://b.example/1", "type": ["Note", "Article", 3],
		"one": "a", "many": ["a", 1, "b", null], "none": null, "nul": "a\u0000b",
		"contentMap": {"ko": "안녕", "en": "hello", "de": 1}, "nameMap": {},
		"yes": true, "text": "true", "no": "yes",
		"int": 42, "half": 1.5, "huge": 1e300, "zero": 0,
		"object": {"id": "https://b.example/2", "type": "Note"},
		"objects": ["https://b.example/3", {"id": "https://b.example/4"}, {"type": "Link"}, 5],
		"url": ["javascript:alert(1)", {"type": "Link", "href": "https://b.example/ap", "mediaType": "application/json"},
			{"href": "https://b.example/html", "mediaType": "text/html"}]
	}`)
	check := func(name string, got, want any) {
		t.Helper()
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%s: %s", name, d)
		}
	}
	check("ID", o.ID(), "https://b.example/1")
	check("Type", o.Type(), "Note")
	check("Types", o.Types(), []string{"Note", "Article"})
	check("Is", o.Is("Question", "Article"), true)
	check("Is not", o.Is("Question"), false)
	check("Has", []bool{o.Has("one"), o.Has("none"), o.Has("missing")}, []bool{true, false, false})
	check("String", o.String("one"), "a")
	check("String of a list", o.String("many"), "a")
	check("String of an object", o.String("object"), "")
	check("String with NUL", o.String("nul"), "ab")
	check("String of a map", o.String("content"), "hello")
	check("String of an empty map", o.String("name"), "")
	check("Strings of one", o.Strings("one"), []string{"a"})
	check("Strings", o.Strings("many"), []string{"a", "b"})
	check("Strings of nothing", o.Strings("none"), []string(nil))
	check("Bool", []bool{o.Bool("yes"), o.Bool("text"), o.Bool("no"), o.Bool("missing")}, []bool{true, true, false, false})
	for key, want := range map[string]int{"int": 42, "zero": 0} {
		got, ok := o.Int(key)
		check(key, []any{got, ok}, []any{want, true})
	}
	for _, key := range []string{"half", "huge", "one", "missing"} {
		if n, ok := o.Int(key); ok {
			t.Errorf("%s: %d", key, n)
		}
	}
	check("Object", o.Object("object").ID(), "https://b.example/2")
	check("Object of a list", o.Object("objects").ID(), "https://b.example/4")
	check("Object of an id", o.Object("one") == nil, true)
	check("Objects", len(o.Objects("objects")), 2)
	check("Ref", o.Ref("object"), "https://b.example/2")
	check("Refs", o.Refs("objects"), []string{"https://b.example/3", "https://b.example/4"})
	check("URL", o.URL(""), "https://b.example/ap")
	check("URL of a type", o.URL("text/html"), "https://b.example/html")
	check("Raw of a part", string(o.Object("object").Raw()), `{"id":"https://b.example/2","type":"Note"}`)

	var none *ap.Object
	check("nil", []any{none.ID(), none.Type(), none.String("a"), none.Refs("a"), none.Object("a").ID(), none.Raw()},
		[]any{"", "", "", []string(nil), "", []byte(nil)})
}

func TestRaw(t *testing.T) {
	if got := string(parse(t, "\xef\xbb\xbf{ \"b\":1, \"a\":2 }").Raw()); got != `{ "b":1, "a":2 }` {
		t.Error(got)
	}
}

func TestTime(t *testing.T) {
	noon := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for text, want := range map[string]time.Time{
		"2026-03-01T12:00:00Z":        noon,
		"2026-03-01T12:00:00.123Z":    noon.Add(123 * time.Millisecond),
		"2026-03-01T21:00:00+09:00":   noon,
		"2026-03-01T21:00:00+0900":    noon,
		"2026-03-01T12:00Z":           noon,
		"2026-03-01T12:00:00":         noon,
		"2026-03-01T12:00:00.5":       noon.Add(500 * time.Millisecond),
		"2026-03-01 12:00:00":         noon,
		" 2026-03-01 12:00:00+00:00 ": noon,
		"2026-03-01":                  noon.Add(-12 * time.Hour),
	} {
		got, ok := parse(t, `{"published":"`+text+`"}`).Time("published")
		if !ok || !got.Equal(want) || got.Location() != time.UTC {
			t.Errorf("%s: %v, %v", text, got, ok)
		}
	}
	for _, doc := range []string{`{}`, `{"published":"yesterday"}`, `{"published":1}`, `{"published":""}`, `{"published":"2026-13-01T00:00:00Z"}`} {
		if got, ok := parse(t, doc).Time("published"); ok {
			t.Errorf("%s: %v", doc, got)
		}
	}
}

func TestAddressees(t *testing.T) {
	o := parse(t, `{"to":"as:Public","cc":["https://b.example/f",{"id":"https://b.example/u"}],"bcc":"c","bto":["b"],"audience":"a"}`)
	if d := cmp.Diff([]string{"as:Public", "https://b.example/f", "https://b.example/u", "b", "c", "a"}, o.Addressees()); d != "" {
		t.Error(d)
	}
	for uri, want := range map[string]bool{"https://www.w3.org/ns/activitystreams#Public": true, "as:Public": true, "Public": true,
		"public": false, "https://www.w3.org/ns/activitystreams": false, "http://www.w3.org/ns/activitystreams#Public": false, "": false} {
		if ap.IsPublic(uri) != want {
			t.Errorf("IsPublic(%q)", uri)
		}
	}
}

// FuzzParse: what Parse takes, all getters can read, and its raw text is read
// as the same again.
func FuzzParse(f *testing.F) {
	f.Add([]byte(`{"@context":"https://www.w3.org/ns/activitystreams","type":["a"],"url":[{"href":"https://a"}],"published":"2026"}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		o, err := ap.Parse(b)
		if err != nil {
			return
		}
		_, _, _, _ = o.ID(), o.Types(), o.Addressees(), o.URL("text/html")
		_, _ = o.Time("published")
		if again, err := ap.Parse(o.Raw()); err != nil || again.ID() != o.ID() {
			t.Errorf("%q: %v", o.Raw(), err)
		}
		_ = ap.SameHost(o.ID(), o.ID())
	})
}
