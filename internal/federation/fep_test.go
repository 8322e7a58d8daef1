package federation_test

import (
	"net/http"
	"testing"

	"buttersc.one/oven/internal/testsrv"
)

// What FEDERATION.md promises by the numbers of proposals.
func TestProposals(t *testing.T) {
	t.Parallel()
	s := testsrv.New(t)
	a := s.User(t, "alice")
	status, _, doc := get(t, s, "/users/"+a.ID, asDoc)
	if status != http.StatusOK {
		t.Fatal(status)
	}
	testsrv.Is(t, doc, "alice@"+s.Host, "webfinger") // FEP-2c59
	// FEP-d556 and FEP-2677 lead to the same actor.
	_, _, root := get(t, s, "/.well-known/webfinger?resource="+s.Origin+"/", "*/*")
	_, _, index := get(t, s, "/.well-known/nodeinfo", "*/*")
	self := testsrv.Dig(root, "links", 0, "href")
	links, _ := testsrv.Dig(index, "links").([]any)
	found := false
	for _, l := range links {
		if testsrv.Dig(l, "rel") == "https://www.w3.org/ns/activitystreams#Application" {
			found = true
			testsrv.Is(t, l, self, "href")
		}
	}
	if !found {
		t.Error("NodeInfo does not name the server's actor")
	}
	_, _, app := get(t, s, self.(string)[len(s.Origin):], asDoc)
	testsrv.Is(t, app, "Application", "type")
	// FEP-e232: a quote is an object link, too.
	n := a.Note(t, m{"text": "bread"})
	q := a.Note(t, m{"text": "this", "renoteId": n})
	_, _, quote := get(t, s, "/notes/"+q, asDoc)
	testsrv.Is(t, quote, s.Origin+"/notes/"+n, "tag", 0, "href")
	testsrv.Is(t, quote, s.Origin+"/notes/"+n, "quoteUrl")
	testsrv.Is(t, quote, "https://misskey-hub.net/ns#_misskey_quote", "tag", 0, "rel")
}
