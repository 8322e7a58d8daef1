package federation_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"buttersc.one/oven/internal/testsrv"
)

// peer is what a server of some software says, in its own way: written by hand
// after its public documentation. {origin} is that server, {oven} this one.
type peer struct {
	Path       string `json:"path"`
	Actor      any    `json:"actor"`
	KeyStub    string `json:"keyStub"` // path of a separate document of the key
	User       m      `json:"user"`
	Activities []m    `json:"activities"`
	Note       string `json:"note"`
	Want       m      `json:"want"` // of the note, by path; text is what it begins with
	Mine       m      `json:"mine"` // of the note of ours that is spoken of
}

// Every kind of server's actors and posts are taken as they are meant.
func TestPeers(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/peers/*.json")
	if err != nil || len(files) < 6 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".json"), func(t *testing.T) {
			t.Parallel()
			raw, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			far := testsrv.NewRemote(t)
			s := testsrv.New(t)
			alice := s.User(t, "alice")
			mine := alice.Note(t, m{"text": "mine"})
			text := strings.NewReplacer("{origin}", far.Origin, "{oven}", s.Origin, "{ovenhost}", s.Host, "{alice}", alice.ID, "{mine}", mine).Replace(string(raw))
			var p peer
			if err := json.Unmarshal([]byte(text), &p); err != nil {
				t.Fatal(err)
			}
			meet(t, s, far, alice, &p, mine)
		})
	}
}

func meet(t *testing.T, s *testsrv.Server, far *testsrv.Remote, alice *testsrv.User, p *peer, mine string) {
	doc, _ := p.Actor.(m)
	actor := far.Introduce(p.Path, doc)
	if p.KeyStub != "" { // GoToSocial: the key's own address gives a stub of the actor
		far.Put(p.KeyStub, m{"id": actor.ID, "type": doc["type"], "preferredUsername": doc["preferredUsername"], "publicKey": doc["publicKey"]})
	}
	for _, a := range p.Activities {
		actor.Tell(t, s, a)
	}
	user := alice.Post(t, "users/show", m{"username": actor.Name, "host": far.Host})
	for path, want := range p.User {
		expect(t, user, path, want)
	}
	testsrv.Is(t, user, actor.ID, "uri")
	shown := alice.Post(t, "ap/show", m{"uri": p.Note})
	note := testsrv.Dig(shown, "object")
	begins, _ := p.Want["text"].(string)
	if got, _ := testsrv.Dig(note, "text").(string); !strings.HasPrefix(got, begins) {
		t.Errorf("text is %q, want %q", got, begins)
	}
	delete(p.Want, "text")
	for path, want := range p.Want {
		expect(t, note, path, want)
	}
	testsrv.Is(t, note, testsrv.Dig(user, "id"), "userId")
	ours := alice.Post(t, "notes/show", m{"noteId": mine})
	for path, want := range p.Mine {
		expect(t, ours, path, want)
	}
}

// expect checks a value at a path such as poll.choices.0.text.
func expect(t *testing.T, v any, path string, want any) {
	t.Helper()
	var keys []any
	for _, k := range strings.Split(path, ".") {
		if i, err := strconv.Atoi(k); err == nil {
			keys = append(keys, i)
		} else {
			keys = append(keys, k)
		}
	}
	testsrv.Is(t, v, want, keys...)
}
