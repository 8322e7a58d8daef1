package app_test

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"buttersc.one/oven/internal/socket/api"
	"buttersc.one/oven/internal/testsrv"
)

// filler is a value that a parameter takes, so that the one under test decides.
func filler(p *api.Schema) any {
	switch {
	case len(p.Enum) > 0:
		return p.Enum[0]
	case p.Type == "string":
		return "x"
	case p.Type == "integer" || p.Type == "number":
		return 1
	case p.Type == "boolean":
		return false
	case p.Type == "array":
		return []any{}
	}
	return m{}
}

// A note that may not be seen, one that is gone and one that never was are all
// the same to whoever asks, at every endpoint that takes a note. Misskey's
// clients know two exceptions: notes/show gives the blank form of what may not
// be seen, and a reply to it has an error of its own.
func TestRow13(t *testing.T) {
	t.Parallel()
	s := testsrv.New(t)
	a, b := s.User(t, "alice"), s.User(t, "bora")
	poll := m{"choices": []string{"x", "y"}}
	secret := a.Note(t, m{"text": "secret", "visibility": "followers", "poll": poll})
	direct := a.Note(t, m{"text": "direct", "visibility": "specified", "poll": poll})
	gone := a.Note(t, m{"text": "gone", "poll": poll})
	a.Post(t, "notes/delete", m{"noteId": gone})
	never := gone[:8] + "zzzzzzzz"
	tried := 0
	for _, e := range s.App.API.Endpoints() {
		if e.Meta.TestOnly || e.Meta.Moderator || e.Meta.Admin {
			continue
		}
		for _, name := range []string{"noteId", "replyId", "renoteId"} {
			if !slices.ContainsFunc(e.Params.Props, func(p *api.Prop) bool { return p.Name == name }) {
				continue
			}
			if e.Name == "notes/show" || e.Name == "notes/create" && name == "replyId" {
				continue
			}
			tried++
			params := m{}
			for _, p := range e.Params.Props {
				if p.Required {
					params[p.Name] = filler(p.Schema)
				}
			}
			if e.Name == "notes/create" {
				params["text"] = "x"
			}
			answer := func(id string) string {
				p := maps.Clone(params)
				p[name] = id
				status, out := b.Call(t, e.Name, p)
				if status == http.StatusOK || status == http.StatusNoContent {
					return fmt.Sprint(status, " ", out)
				}
				return fmt.Sprint(status, " ", testsrv.Dig(out, "error", "id"), testsrv.Dig(out, "error", "code"))
			}
			want := answer(never)
			for what, id := range map[string]string{"followers": secret, "direct": direct, "deleted": gone} {
				if got := answer(id); got != want {
					t.Errorf("%s %s of a %s note answers %s, of one that never was %s", e.Name, name, what, got, want)
				}
			}
		}
	}
	for _, id := range []string{secret, direct} {
		blank := b.Post(t, "notes/show", m{"noteId": id})
		testsrv.Is(t, blank, true, "isHidden")
		for _, key := range []string{"text", "cw", "poll", "tags", "mentions", "visibleUserIds"} {
			testsrv.Is(t, blank, nil, key)
		}
	}
	if tried < 15 {
		t.Errorf("only %d parameters tried", tried)
	}
}

// Whatever text goes into a parameter: it is data, not SQL.
func TestRow16(t *testing.T) {
	t.Parallel()
	s := testsrv.New(t)
	a := s.User(t, "alice")
	n := a.Note(t, m{"text": "#tag"})
	texts := []string{`' OR '1'='1`, `x'); DROP TABLE note; --`, `{"},{'`, `\'; SELECT pg_sleep(9); --`, "$1", "%s%d%v", "a\x00b", `{*}`, "\U0001F35E\\", strings.Repeat("'", 300)}
	for _, e := range s.App.API.Endpoints() {
		if e.Meta.TestOnly || slices.Contains([]string{"signup", "signin-flow", "i/regenerate-token"}, e.Name) {
			continue
		}
		base := m{}
		for _, p := range e.Params.Props {
			if p.Required {
				base[p.Name] = filler(p.Schema)
			}
			if p.Name == "noteId" {
				base["noteId"] = n
			}
			if p.Name == "userId" {
				base["userId"] = a.ID
			}
		}
		for _, p := range e.Params.Props {
			for _, text := range texts {
				with := maps.Clone(base)
				switch p.Schema.Type {
				case "string", "":
					with[p.Name] = text
				case "array":
					with[p.Name] = []any{text, []any{text}}
				default:
					continue
				}
				if status, out := a.Call(t, e.Name, with); status >= 500 {
					t.Errorf("%s %s=%q: %d %v", e.Name, p.Name, text, status, out)
				}
			}
		}
	}
	if got := s.Count(t, "SELECT count(*) FROM note WHERE id = $1", n); got != 1 {
		t.Error("the note is gone")
	}
}

// What another server sends is cut to what is kept, however much it is
// (CVE-2026-23962).
func TestRow9(t *testing.T) {
	t.Parallel()
	far := testsrv.NewRemote(t)
	s := testsrv.New(t)
	alice := s.User(t, "alice")
	many := func(n int, f func(i int) m) []m {
		var out []m
		for i := range n {
			out = append(out, f(i))
		}
		return out
	}
	long := strings.Repeat("식", 3000)
	emoji := func(i int) m {
		return m{"type": "Emoji", "name": fmt.Sprintf(":e%d:", i), "id": fmt.Sprintf("%s/e/%d", far.Origin, i), "icon": m{"type": "Image", "url": fmt.Sprintf("%s/e/%d.png", far.Origin, i)}}
	}
	actor := far.Actor("far", m{"name": long, "summary": long, "tag": append(many(300, emoji), many(300, func(i int) m { return m{"type": "Hashtag", "name": fmt.Sprintf("#t%d", i)} })...),
		"attachment":  many(300, func(i int) m { return m{"type": "PropertyValue", "name": fmt.Sprint(i), "value": "v"} }),
		"alsoKnownAs": slices.Repeat([]string{"https://x.example/1"}, 500)})
	u := alice.Post(t, "users/show", m{"username": "far", "host": far.Host})
	size := func(what string, v any, most int) {
		t.Helper()
		switch l := v.(type) {
		case string:
			if n := len([]rune(l)); n == 0 || n > most {
				t.Errorf("%s has %d characters", what, n)
			}
		case []any:
			if len(l) > most {
				t.Errorf("%s: %d", what, len(l))
			}
		default:
			t.Errorf("%s is %T", what, v)
		}
	}
	size("name", testsrv.Dig(u, "name"), 128)
	size("description", testsrv.Dig(u, "description"), 2048)
	size("fields", testsrv.Dig(u, "fields"), 16)
	mentions := many(500, func(i int) m {
		return m{"type": "Mention", "href": fmt.Sprintf("%s/users/m%d", far.Origin, i), "name": fmt.Sprintf("@m%d", i)}
	})
	start := time.Now()
	doc := actor.Note("/notes/1", m{"type": "Question", "content": "<p>" + strings.Repeat("<b>x</b>", 2000) + "</p>", "summary": long,
		"attachment": many(100, func(i int) m {
			return m{"type": "Image", "mediaType": "image/png", "url": fmt.Sprintf("%s/f/%d.png", far.Origin, i), "name": long[:600]}
		}),
		"tag": append(append(mentions, many(300, emoji)...), many(300, func(i int) m { return m{"type": "Hashtag", "name": fmt.Sprintf("#h%d", i)} })...),
		"oneOf": many(100, func(i int) m {
			return m{"type": "Note", "name": fmt.Sprint(i, long[:900]), "replies": m{"type": "Collection", "totalItems": 1e18}}
		})})
	actor.Tell(t, s, m{"type": "Create", "object": doc})
	note := testsrv.Dig(alice.Post(t, "ap/show", m{"uri": far.Origin + "/notes/1"}), "object")
	size("files", testsrv.Dig(note, "files"), 16)
	size("tags", testsrv.Dig(note, "tags"), 32)
	size("cw", testsrv.Dig(note, "cw"), 500)
	size("choices", testsrv.Dig(note, "poll", "choices"), 20)
	size("a choice", testsrv.Dig(note, "poll", "choices", 0, "text"), 256)
	if n := s.Count(t, "SELECT count(*) FROM emoji WHERE host = $1", far.Host); n > 400 {
		t.Errorf("%d emoji were made", n)
	}
	if n := s.Count(t, `SELECT count(*) FROM "user" WHERE host = $1`, far.Host); n != 1 {
		t.Errorf("%d accounts were made of mentions", n)
	}
	if took := time.Since(start); took > time.Minute {
		t.Errorf("it took %s", took)
	}
}
