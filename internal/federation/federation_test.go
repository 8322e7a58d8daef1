package federation_test

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"buttersc.one/oven/internal/emoji"
	"buttersc.one/oven/internal/testsrv"
)

type m = testsrv.M

// get fetches a path as another server or as a browser does.
func get(t *testing.T, s *testsrv.Server, path, accept string) (int, string, any) {
	t.Helper()
	req, err := http.NewRequest(http.MethodGet, s.Origin+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Accept", accept)
	res, err := (&http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	var doc any
	_ = json.Unmarshal(b, &doc)
	return res.StatusCode, res.Header.Get("Content-Type"), doc
}

const asDoc = "application/activity+json"

func TestDocuments(t *testing.T) {
	t.Parallel()
	s := testsrv.New(t)
	a, b := s.User(t, "alice"), s.User(t, "bora")
	b.Post(t, "following/create", m{"userId": a.ID})
	public := a.Note(t, m{"text": "안녕 **빵** @bora #오븐"})
	secret := a.Note(t, m{"text": "x", "visibility": "followers"})
	local := a.Note(t, m{"text": "x", "localOnly": true})
	quote := a.Note(t, m{"text": "q", "renoteId": public})
	pure := b.Note(t, m{"renoteId": public})
	poll := a.Note(t, m{"text": "?", "poll": m{"choices": []string{"x", "y"}}})
	b.Post(t, "notes/reactions/create", m{"noteId": public, "reaction": "🍞"})
	if _, err := s.App.Emojis.Add(t.Context(), emoji.Emoji{Name: "bread", OriginalURL: s.Origin + "/files/x"}); err != nil {
		t.Fatal(err)
	}
	var like string
	if err := s.DB.QueryRow(t.Context(), "SELECT id FROM note_reaction").Scan(&like); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		path, typ string
		status    int
	}{
		{"/users/" + a.ID, "Person", 200}, {"/@alice", "Person", 200}, {"/@ALICE@" + s.Host, "Person", 200}, {"/@alice@far.example", "", 404},
		{"/users/nobody0", "", 404}, {"/users/" + a.ID + "/publickey", "Key", 200},
		{"/users/" + a.ID + "/outbox", "OrderedCollection", 200}, {"/users/" + a.ID + "/outbox?page=true", "OrderedCollectionPage", 200},
		{"/users/" + a.ID + "/followers", "OrderedCollection", 200}, {"/users/" + a.ID + "/followers?page=true", "OrderedCollectionPage", 200},
		{"/users/" + b.ID + "/following?page=true", "OrderedCollectionPage", 200}, {"/users/" + a.ID + "/collections/featured", "OrderedCollection", 200},
		{"/notes/" + public, "Note", 200}, {"/notes/" + public + "/activity", "Create", 200}, {"/notes/" + pure, "Announce", 200},
		{"/notes/" + pure + "/activity", "Announce", 200}, {"/notes/" + poll, "Question", 200}, {"/notes/" + secret, "", 404},
		{"/notes/" + secret + "/activity", "", 404}, {"/notes/" + local, "", 404}, {"/notes/nothing0", "", 404},
		{"/likes/" + like, "Like", 200}, {"/likes/nothing0", "", 404}, {"/emojis/bread", "Emoji", 200}, {"/emojis/none", "", 404}, {"/follows/nothing0", "", 404},
	} {
		status, ct, doc := get(t, s, c.path, asDoc)
		if status != c.status || status == 200 && (testsrv.Dig(doc, "type") != c.typ || !strings.HasPrefix(ct, "application/activity+json") || testsrv.Dig(doc, "@context") == nil) {
			t.Errorf("%s: %d %s %v", c.path, status, ct, testsrv.Dig(doc, "type"))
		}
	}
	_, _, n := get(t, s, "/notes/"+public, `application/ld+json; profile="https://www.w3.org/ns/activitystreams"`)
	testsrv.Is(t, n, []any{"https://www.w3.org/ns/activitystreams#Public"}, "to")
	testsrv.Is(t, n, "안녕 **빵** @bora #오븐", "_misskey_content")
	if c := testsrv.Dig(n, "content").(string); !strings.Contains(c, "<b>빵</b>") || !strings.Contains(c, `class="u-url mention"`) {
		t.Errorf("content %s", c)
	}
	_, _, q := get(t, s, "/notes/"+quote, asDoc)
	testsrv.Is(t, q, s.Origin+"/notes/"+public, "quoteUrl")
	b.Post(t, "i/update", m{"followingVisibility": "private"})
	if status, _, _ := get(t, s, "/users/"+b.ID+"/following", asDoc); status != 403 {
		t.Errorf("a hidden list: %d", status)
	}
	if err := s.App.Moderation.Suspend(t.Context(), "", a.ID, true); err != nil {
		t.Fatal(err)
	}
	status, _, key := get(t, s, "/users/"+a.ID, asDoc)
	if testsrv.Dig(key, "suspended") != true || testsrv.Dig(key, "publicKey", "publicKeyPem") == nil || testsrv.Dig(key, "icon") != nil {
		t.Errorf("a suspended account: %d %v, want its key alone", status, key)
	}
	for _, p := range []string{"/users/" + a.ID + "/outbox", "/notes/" + public, "/@alice"} {
		if status, _, _ := get(t, s, p, asDoc); status != 404 {
			t.Errorf("%s of a suspended account: %d", p, status)
		}
	}
	// Browsers get pages at the same addresses.
	for path, want := range map[string]int{"/@bora": 200, "/notes/" + poll: 404, "/": 200, "/notes/" + pure: 200, "/signup": 200, "/nothing": 404, "/tags/오븐": 200} {
		if status, ct, _ := get(t, s, path, "text/html,application/xhtml+xml,*/*"); status != want || !strings.HasPrefix(ct, "text/html") {
			t.Errorf("page %s: %d %s", path, status, ct)
		}
	}
}

func TestDiscovery(t *testing.T) {
	t.Parallel()
	s := testsrv.New(t)
	a := s.User(t, "alice")
	for _, resource := range []string{"acct:alice@" + s.Host, "acct:ALICE@" + s.Host, "alice@" + s.Host, s.Origin + "/@alice", s.Origin + "/users/" + a.ID} {
		status, ct, doc := get(t, s, "/.well-known/webfinger?resource="+resource, "*/*")
		if status != 200 || !strings.HasPrefix(ct, "application/jrd+json") || testsrv.Dig(doc, "links", 0, "href") != s.Origin+"/users/"+a.ID {
			t.Errorf("%s: %d %v", resource, status, doc)
		}
		testsrv.Is(t, doc, "acct:alice@"+s.Host, "subject")
	}
	for resource, want := range map[string]int{"acct:alice@far.example": 422, "acct:nobody@" + s.Host: 404, "": 400} {
		if status, _, _ := get(t, s, "/.well-known/webfinger?resource="+resource, "*/*"); status != want {
			t.Errorf("%q: %d", resource, status)
		}
	}
	_, _, index := get(t, s, "/.well-known/nodeinfo", "*/*")
	testsrv.Is(t, index, s.Origin+"/nodeinfo/2.1", "links", 0, "href")
	a.Note(t, m{"text": "x"})
	s.Settle(t)
	_, _, info := get(t, s, "/nodeinfo/2.1", "*/*")
	testsrv.Is(t, info, "oven", "software", "name")
	testsrv.Is(t, info, 1, "usage", "localPosts")
	testsrv.Is(t, info, 1, "usage", "users", "total")
	for path, want := range map[string]int{"/nodeinfo/2.0": 200, "/nodeinfo/9": 404, "/.well-known/host-meta": 200, "/.well-known/host-meta.json": 200, "/healthz": 200, "/api.json": 200, "/robots.txt": 200} {
		if status, _, _ := get(t, s, path, "*/*"); status != want {
			t.Errorf("%s: %d", path, status)
		}
	}
}

// Two servers find each other's people and notes by address.
func TestShow(t *testing.T) {
	t.Parallel()
	s, far := testsrv.New(t), testsrv.New(t)
	a, b := s.User(t, "alice"), far.User(t, "bora")
	id := b.Note(t, m{"text": "안녕", "poll": m{"choices": []string{"x", "y"}}})
	reply := b.Note(t, m{"text": "답", "replyId": id})
	secret := b.Note(t, m{"text": "비밀", "visibility": "followers"})
	res := a.Post(t, "ap/show", m{"uri": far.Origin + "/notes/" + reply})
	testsrv.Is(t, res, "Note", "type")
	testsrv.Is(t, res, "답", "object", "text")
	testsrv.Is(t, res, "안녕", "object", "reply", "text") // the thread above came with it
	res = a.Post(t, "ap/show", m{"uri": far.Origin + "/@bora"})
	testsrv.Is(t, res, "User", "type")
	testsrv.Is(t, res, far.Host, "object", "host")
	testsrv.Is(t, a.Post(t, "ap/show", m{"uri": "@bora@" + far.Host}), "bora", "object", "username")
	testsrv.Is(t, a.Post(t, "ap/show", m{"uri": s.Origin + "/users/" + a.ID}), "alice", "object", "username")
	a.Fails(t, "ap/show", m{"uri": far.Origin + "/notes/" + secret}, 404, "NO_SUCH_OBJECT")
	a.Fails(t, "ap/show", m{"uri": far.Origin + "/notes/nothing0"}, 404, "NO_SUCH_OBJECT")
	a.Fails(t, "ap/show", m{"uri": far.Origin + "/style.css"}, 400, "RESPONSE_INVALID")
	a.Fails(t, "ap/show", m{"uri": "http://10.0.0.1/x"}, 400, "URI_INVALID")
	a.Fails(t, "ap/show", m{"uri": "ftp://far.example/x"}, 400, "URI_INVALID")
	a.Fails(t, "ap/show", m{"uri": ""}, 400, "INVALID_PARAM")
	if err := s.App.Meta.Update(t.Context(), m{"blockedHosts": []string{far.Host}}); err != nil {
		t.Fatal(err)
	}
	a.Fails(t, "ap/show", m{"uri": far.Origin + "/notes/other0"}, 400, "FEDERATION_NOT_ALLOWED")
}

// A deletion goes to whom the note went and to nobody else, whatever its
// audience.
func TestDeletionFollowsTheNote(t *testing.T) {
	t.Parallel()
	s, far := testsrv.New(t), testsrv.New(t)
	a, b := s.User(t, "alice"), far.User(t, "bora")
	seen := func(id string) bool {
		var n int
		if err := far.DB.QueryRow(t.Context(), "SELECT count(*) FROM note WHERE uri = $1", s.Origin+"/notes/"+id).Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n > 0
	}
	within := func(what string, ok func() bool) {
		t.Helper()
		for deadline := time.Now().Add(20 * time.Second); !ok(); time.Sleep(20 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatal("in vain: " + what)
			}
		}
	}
	// Nobody of far follows alice yet: this note does not go there.
	before := a.Note(t, m{"text": "before", "visibility": "followers"})
	bob := testsrv.Dig(a.Post(t, "users/show", m{"username": "bora", "host": far.Host}), "id")
	alice := testsrv.Dig(b.Post(t, "users/show", m{"username": "alice", "host": s.Host}), "id")
	b.Post(t, "following/create", m{"userId": alice})
	within("the follow", func() bool {
		return testsrv.Dig(a.Post(t, "users/relation", m{"userId": bob}), "isFollowed") == true
	})
	after := a.Note(t, m{"text": "after", "visibility": "followers"})
	within("the note", func() bool { return seen(after) })
	sent := func(object string) (n int) {
		err := s.DB.QueryRow(t.Context(), `SELECT (SELECT count(*) FROM fed_stage WHERE activity_id = $1) + (SELECT count(*) FROM fed_log_live WHERE activity_id = $1)`,
			s.Origin+"/notes/"+object+"#delete").Scan(&n)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	a.Post(t, "notes/delete", m{"noteId": before})
	a.Post(t, "notes/delete", m{"noteId": after})
	within("the deletion", func() bool { return !seen(after) })
	if sent(before) != 0 || sent(after) != 1 {
		t.Errorf("deletions sent: %d of a note that nobody has, %d of one that went out", sent(before), sent(after))
	}
}

// What is another server's is not given out as this one's.
func TestNothingOfOthers(t *testing.T) {
	t.Parallel()
	far := testsrv.NewRemote(t)
	s := testsrv.New(t)
	a, bob := s.User(t, "alice"), far.Actor("bob")
	id := testsrv.Dig(a.Post(t, "ap/show", m{"uri": bob.Note("/notes/1", nil)["id"]}), "object", "id").(string)
	b := bob.On(t, a).ID
	for _, path := range []string{"/users/" + b, "/users/" + b + "/publickey", "/users/" + b + "/outbox", "/users/" + b + "/outbox?page=true", "/users/" + b + "/followers",
		"/users/" + b + "/following?page=true", "/users/" + b + "/collections/featured", "/@bob", "/notes/" + id + "/activity"} {
		if status, _, doc := get(t, s, path, asDoc); status != http.StatusNotFound {
			t.Errorf("%s: %d %v", path, status, testsrv.Dig(doc, "type"))
		}
	}
	// The note itself may lead to where it is at home.
	if status, _, doc := get(t, s, "/notes/"+id, asDoc); status == http.StatusOK {
		t.Errorf("note: %v", doc)
	}
	if status, _, _ := get(t, s, "/.well-known/webfinger?resource=acct:bob@"+s.Host, "*/*"); status != http.StatusNotFound {
		t.Errorf("webfinger: %d", status)
	}
}
