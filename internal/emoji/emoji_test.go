package emoji_test

import (
	"errors"
	"net/http"
	"testing"

	"buttersc.one/oven/internal/emoji"
	"buttersc.one/oven/internal/testsrv"
)

type m = testsrv.M

func TestCatalogue(t *testing.T) {
	t.Parallel()
	far := testsrv.NewRemote(t)
	s := testsrv.New(t)
	a, bob := s.User(t, "alice"), far.Actor("bob")
	category := "빵"
	if _, err := s.App.Emojis.Add(t.Context(), emoji.Emoji{Name: "bread", Category: &category, Aliases: []string{"빵"}, OriginalURL: s.Origin + "/files/x"}); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]error{"bread": emoji.ErrExists, "b-read": emoji.ErrName, "": emoji.ErrName, "빵": emoji.ErrName} {
		if _, err := s.App.Emojis.Add(t.Context(), emoji.Emoji{Name: name, OriginalURL: "x"}); !errors.Is(err, want) {
			t.Errorf("%q: %v", name, err)
		}
	}
	testsrv.Is(t, s.Guest().Post(t, "emojis", m{}), category, "emojis", 0, "category")
	testsrv.Is(t, a.Post(t, "emoji", m{"name": "bread"}), []any{"빵"}, "aliases")
	// Another server's come with what names them, and change when it says so.
	tell := func(url, updated string) {
		t.Helper()
		id := a.Note(t, m{"text": "x"})
		bob.Tell(t, s, m{"type": "Like", "object": s.Origin + "/notes/" + id, "content": ":bread:", "tag": []m{
			{"type": "Emoji", "name": ":bread:", "updated": updated, "icon": m{"type": "Image", "url": url}},
			{"type": "Emoji", "name": ":bad name:", "icon": m{"type": "Image", "url": url}}, {"type": "Emoji", "name": ":script:", "icon": m{"type": "Image", "url": "javascript:alert(1)"}}}})
	}
	c := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	at := func(name string) string {
		t.Helper()
		res, err := c.Get(s.Origin + "/emoji/" + name)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		return res.Header.Get("Location")
	}
	tell(far.Origin+"/1.png", "2024-01-01T00:00:00Z")
	if got := at("bread@" + far.Host + ".webp"); got != far.Origin+"/1.png" {
		t.Errorf("leads to %q", got)
	}
	tell(far.Origin+"/2.png", "2024-02-01T00:00:00Z")
	if got := at("bread@" + far.Host + ".webp"); got != far.Origin+"/2.png" {
		t.Errorf("changed, it leads to %q", got)
	}
	if got := at("bread.webp"); got != s.Origin+"/files/x" {
		t.Errorf("the local one leads to %q", got)
	}
	for _, name := range []string{"none.webp", "bread", "bread@far.example.webp", "script@" + far.Host + ".webp"} {
		if got := at(name); got != "" {
			t.Errorf("%s leads to %q", name, got)
		}
	}
	if n := s.Count(t, "SELECT count(*) FROM emoji"); n != 2 {
		t.Errorf("%d emoji", n)
	}
}

// The catalogue is sent again only when it is another.
func TestCatalogueTag(t *testing.T) {
	t.Parallel()
	s := testsrv.New(t)
	ask := func(tag string) *http.Response {
		t.Helper()
		req, err := http.NewRequest(http.MethodGet, s.Origin+"/api/emojis", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("If-None-Match", tag)
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		return res
	}
	tag := ask("").Header.Get("ETag")
	if res := ask(tag); tag == "" || res.StatusCode != http.StatusNotModified {
		t.Errorf("unchanged, %q: %s", tag, res.Status)
	}
	if _, err := s.App.Emojis.Add(t.Context(), emoji.Emoji{Name: "bread", OriginalURL: s.Origin + "/files/x"}); err != nil {
		t.Fatal(err)
	}
	if res := ask(tag); res.StatusCode != http.StatusOK || res.Header.Get("ETag") == tag {
		t.Errorf("changed: %s", res.Status)
	}
}
