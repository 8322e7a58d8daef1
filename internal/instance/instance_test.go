package instance_test

import (
	"testing"

	"buttersc.one/oven/internal/testsrv"
)

type m = testsrv.M

// What is known of another server, and what its being unwanted does.
func TestInstances(t *testing.T) {
	t.Parallel()
	far := testsrv.NewRemote(t)
	s := testsrv.New(t)
	a, bob := s.User(t, "alice"), far.Actor("bob")
	far.Put("/.well-known/nodeinfo", m{"links": []m{{"rel": "http://nodeinfo.diaspora.software/ns/schema/2.0", "href": far.Origin + "/n20"}, {"rel": "http://nodeinfo.diaspora.software/ns/schema/2.1", "href": far.Origin + "/n21"}}})
	far.Put("/n21", m{"software": m{"name": "misskey", "version": "1.2.3"}, "metadata": m{"nodeName": "먼 곳", "themeColor": "#ff8800"}})
	bob.On(t, a)
	s.Settle(t)
	s.App.Instances.Forget()
	u := a.Post(t, "users/show", m{"username": "bob", "host": far.Host})
	testsrv.Is(t, u, "먼 곳", "instance", "name")
	testsrv.Is(t, u, "misskey", "instance", "softwareName")
	testsrv.Is(t, u, "#ff8800", "instance", "themeColor")
	create := func(path string) {
		t.Helper()
		doc := bob.Note(path, m{"content": ":bread:", "tag": []m{{"type": "Emoji", "name": ":bread:", "icon": m{"type": "Image", "url": far.Origin + "/b.png"}}}})
		bob.Send(t, s, m{"type": "Create", "object": doc})
		s.Settle(t)
	}
	visibility := func(path string) (v string) {
		t.Helper()
		err := s.DB.QueryRow(t.Context(), "SELECT coalesce((SELECT visibility || cardinality(emojis) FROM note WHERE uri = $1), 'none')", far.Origin+path).Scan(&v)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	create("/notes/1")
	if _, err := s.DB.Exec(t.Context(), "UPDATE instance SET is_silenced = true WHERE host = $1", far.Host); err != nil {
		t.Fatal(err)
	}
	create("/notes/2")
	s.Set(t, m{"mediaSilencedHosts": []string{far.Host}})
	create("/notes/3")
	s.Set(t, m{"blockedHosts": []string{far.Host}})
	create("/notes/4")
	if status := bob.Send(t, s, m{"type": "Like", "object": s.Origin + "/notes/x"}); status < 400 && status != 202 {
		t.Errorf("a blocked host: %d", status)
	}
	s.Set(t, m{"blockedHosts": []string{}, "federation": "none"})
	create("/notes/5")
	s.Set(t, m{"federation": "specified", "federationHosts": []string{far.Host}})
	create("/notes/6")
	for path, want := range map[string]string{"/notes/1": "public1", "/notes/2": "home1", "/notes/3": "home0", "/notes/4": "none", "/notes/5": "none", "/notes/6": "home0"} {
		if got := visibility(path); got != want {
			t.Errorf("%s is %s, want %s", path, got, want)
		}
	}
}
