package site_test

import (
	"encoding/json"
	"encoding/xml"
	"io"
	"net/http"
	"strings"
	"testing"

	"buttersc.one/oven/internal/testsrv"
)

type m = testsrv.M

func get(t *testing.T, url string, header ...string) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res, string(b)
}

// A feed has what an account here has written for everybody, in three forms, and nothing
// else.
func TestFeeds(t *testing.T) {
	t.Parallel()
	far := testsrv.NewRemote(t)
	s := testsrv.New(t)
	alice, bob := s.User(t, "alice"), s.User(t, "bob")
	alice.Post(t, "i/update", m{"name": "Al & <Ice>"})
	theirs := testsrv.Dig(bob.Post(t, "notes/create", m{"text": "of bob"}), "createdNote", "id")
	first := testsrv.Dig(alice.Post(t, "notes/create", m{"text": "fresh **bread** & <b>butter</b>\u0007"}), "createdNote", "id").(string)
	for _, p := range []m{
		{"text": "at home", "visibility": "home"}, {"text": "an answer", "replyId": theirs}, {"text": "hidden dough", "cw": "a warning"}, {"renoteId": theirs},
		{"text": "for followers", "visibility": "followers"}, {"text": "for bob", "visibility": "specified", "visibleUserIds": []string{bob.ID}},
	} {
		alice.Post(t, "notes/create", p)
	}
	var tags []string
	for kind, typ := range map[string]string{"rss": "application/rss+xml", "atom": "application/atom+xml", "json": "application/feed+json"} {
		// A browser that has the client is given the feed, too.
		res, body := get(t, s.Origin+"/@Alice."+kind, "Cookie", "client=1", "Accept", "text/html")
		if res.StatusCode != http.StatusOK || !strings.HasPrefix(res.Header.Get("Content-Type"), typ) {
			t.Fatalf("%s: %d %s", kind, res.StatusCode, res.Header.Get("Content-Type"))
		}
		for _, has := range []string{"at home", "an answer", "a warning", "/notes/" + first} {
			if !strings.Contains(body, has) {
				t.Errorf("%s lacks %q", kind, has)
			}
		}
		for _, hasNot := range []string{"for followers", "for bob", "hidden dough", "of bob", "<b>butter"} {
			if strings.Contains(body, hasNot) {
				t.Errorf("%s has %q", kind, hasNot)
			}
		}
		var err error
		if kind == "json" {
			var f struct {
				Version, Title string
				Items          []struct{ ID string }
			}
			err = json.Unmarshal([]byte(body), &f)
			if f.Version != "https://jsonfeed.org/version/1.1" || f.Title != "Al & <Ice> (@alice)" || len(f.Items) != 4 {
				t.Errorf("JSON feed: %+v", f)
			}
		} else {
			var f struct {
				Items   []struct{} `xml:"channel>item"`
				Entries []struct{} `xml:"entry"`
			}
			err = xml.Unmarshal([]byte(body), &f)
			if len(f.Items)+len(f.Entries) != 4 {
				t.Errorf("%s: %+v", kind, f)
			}
		}
		if err != nil {
			t.Errorf("%s: %v", kind, err)
		}
		again, rest := get(t, s.Origin+"/@alice."+kind, "If-None-Match", res.Header.Get("ETag"))
		if again.StatusCode != http.StatusNotModified || rest != "" {
			t.Errorf("%s again: %d %q", kind, again.StatusCode, rest)
		}
		tags = append(tags, res.Header.Get("ETag"))
	}
	if tags[0] == tags[1] || tags[1] == tags[2] {
		t.Errorf("one tag for all: %v", tags)
	}
	if _, page := get(t, s.Origin+"/@alice"); !strings.Contains(page, `type="application/rss+xml" href="/@alice.rss"`) {
		t.Error("the page does not name its feeds")
	}
	carol := far.Actor("carol")
	carol.On(t, alice)
	bob.Post(t, "i/update", m{"requireSigninToViewContents": true})
	for _, path := range []string{"/@nobody.rss", "/@carol@" + far.Host + ".rss", "/@bob.atom", "/@alice.xml/x"} {
		if res, _ := get(t, s.Origin+path); res.StatusCode != http.StatusNotFound {
			t.Errorf("%s: %d", path, res.StatusCode)
		}
	}
}
