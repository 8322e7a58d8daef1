package ap_test

import (
	"bytes"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"buttersc.one/oven/internal/lib/ap"
)

// known are the terms used here that the two contexts named by address declare:
// https://www.w3.org/ns/activitystreams and https://w3id.org/security/v1.
var known = []string{
	"id", "type", "inbox", "outbox", "followers", "following", "endpoints", "sharedInbox", "url", "preferredUsername", "name", "summary",
	"icon", "image", "tag", "attachment", "published", "updated", "content", "mediaType", "attributedTo", "to", "cc", "inReplyTo", "source",
	"endTime", "closed", "oneOf", "anyOf", "replies", "totalItems", "actor", "object", "target", "first", "last", "partOf", "prev", "next",
	"orderedItems", "href", "width", "height", "formerType", "deleted", "publicKey", "owner", "publicKeyPem",
}

// TestContextDeclares: every member that can be sent is declared; what is not,
// others drop when they compact.
func TestContextDeclares(t *testing.T) {
	terms := ap.Context().([]any)[2].(map[string]any)
	for _, v := range []any{ap.Actor{}, ap.Endpoints{}, ap.Key{}, ap.Image{}, ap.Document{}, ap.PropertyValue{}, ap.Emoji{}, ap.Hashtag{}, ap.Mention{},
		ap.Note{}, ap.Source{}, ap.Choice{}, ap.Replies{}, ap.Activity{}, ap.Tombstone{}, ap.Collection{}} {
		for f := range reflect.TypeOf(v).Fields() {
			name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			if prefix, _, ok := strings.Cut(name, ":"); ok {
				name = prefix
			}
			if _, ours := terms[name]; name != "@context" && !ours && !slices.Contains(known, name) {
				t.Errorf("%T: %q is not declared", v, name)
			}
		}
	}
	for _, typ := range []string{"Key", "Hashtag", "Emoji", "PropertyValue"} {
		if _, ok := terms[typ]; !ok {
			t.Errorf("type %s is not declared", typ)
		}
	}
	for name, def := range terms {
		id, ok := def.(string)
		if m, isMap := def.(map[string]any); isMap {
			id, ok = m["@id"].(string)
		}
		prefix, rest, _ := strings.Cut(id, ":")
		_, declared := terms[prefix]
		if !ok || !declared && prefix != "as" && prefix != "sec" && !strings.HasPrefix(rest, "//") {
			t.Errorf("%s: prefix of %q is not declared", name, id)
		}
	}
}

func TestMarshal(t *testing.T) {
	content := "<p>a & b</p>"
	n := ap.Note{ID: "https://a.example/notes/1", Type: "Note", AttributedTo: "https://a.example/users/1", Content: &content,
		Published: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC), To: []string{ap.Public}, Cc: []string{}, Attachment: []any{}, Tag: []any{
			ap.Mention{Type: "Mention", Href: "https://b.example/users/2", Name: "@bob@b.example"}}}
	b, err := ap.Marshal(ap.Activity{ID: "https://a.example/notes/1/activity", Type: "Create", Actor: n.AttributedTo, Object: n, To: n.To})
	if err != nil {
		t.Fatal(err)
	}
	want := `{"id":"https://a.example/notes/1/activity","type":"Create","actor":"https://a.example/users/1","object":` +
		`{"id":"https://a.example/notes/1","type":"Note","attributedTo":"https://a.example/users/1","summary":null,"content":"<p>a & b</p>",` +
		`"published":"2026-03-01T12:00:00Z","to":["https://www.w3.org/ns/activitystreams#Public"],"cc":[],"inReplyTo":null,"attachment":[],` +
		`"sensitive":false,"tag":[{"type":"Mention","href":"https://b.example/users/2","name":"@bob@b.example"}]},` +
		`"to":["https://www.w3.org/ns/activitystreams#Public"]}`
	if d := cmp.Diff(want, string(b)); d != "" {
		t.Error(d)
	}
	one, err := ap.Marshal(ap.Activity{Context: ap.Context(), Type: "Follow"})
	if err != nil {
		t.Fatal(err)
	}
	for range 20 {
		if again, _ := ap.Marshal(ap.Activity{Context: ap.Context(), Type: "Follow"}); !bytes.Equal(one, again) {
			t.Fatal("not the same bytes twice")
		}
	}
	if _, err := ap.Inbound(one); err != nil {
		t.Error(err)
	}
}
