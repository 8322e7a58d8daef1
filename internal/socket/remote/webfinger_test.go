package remote_test

import (
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"

	"buttersc.one/oven/internal/socket/remote"
)

func TestWebFinger(t *testing.T) {
	w := newWorld(t, "b.example", "b.example:8080")
	answers := map[string]string{
		"acct:bob@b.example": `{"subject":"acct:Bob@b.example","aliases":["http://b.example/@bob"],"links":[
			{"rel":"http://webfinger.net/rel/profile-page","type":"text/html","href":"http://b.example/@bob"},
			{"rel":"self","type":"text/html","href":"http://b.example/html"},
			{"rel":"self","type":"application/activity+json","href":"http://b.example/users/1"},
			{"rel":"self","type":"application/activity+json","href":"http://b.example/users/2"},
			{"rel":"http://ostatus.org/schema/1.0/subscribe","template":"http://b.example/follow?acct={uri}"}]}`,
		"acct:ld@b.example":       `{"subject":"acct:ld@b.example","links":[{"rel":"self","type":"application/ld+json; profile=\"https://www.w3.org/ns/activitystreams\"","href":"http://b.example/users/3"}]}`,
		"acct:b c+d@b.example":    `{"links":[{"rel":"self","type":"application/activity+json","href":"http://b.example/users/4"}]}`,
		"acct:bob@b.example:8080": `{"subject":"acct:bob@b.example:8080","links":[{"rel":"self","type":"application/activity+json","href":"http://b.example:8080/users/1"}]}`,
		"acct:none@b.example":     `{"subject":"acct:none@b.example","links":[]}`,
		"acct:js@b.example":       `{"links":[{"rel":"self","type":"application/activity+json","href":"javascript:alert(1)"}]}`,
		"acct:json@b.example":     `{"links":[{"rel":"self","type":"application/json","href":"http://b.example/users/5"}]}`,
		"acct:half@b.example":     `{"links":[`,
		"acct:odd@b.example":      `{"subject":1,"links":{"rel":"self"}}`,
	}
	for host := range w.hosts {
		w.hosts[host].HandleFunc("/.well-known/webfinger", func(rw http.ResponseWriter, r *http.Request) {
			text, ok := answers[r.URL.Query().Get("resource")]
			if !ok {
				rw.WriteHeader(http.StatusNotFound)
				return
			}
			rw.Header().Set("Content-Type", "application/jrd+json")
			_, _ = rw.Write([]byte(text))
		})
	}
	c := w.client()
	for _, tc := range []struct {
		name, host string
		want       remote.Finger
	}{
		{"bob", "b.example", remote.Finger{Subject: "acct:Bob@b.example", Self: "http://b.example/users/1", Subscribe: "http://b.example/follow?acct={uri}"}},
		{"bob", "B.Example:443", remote.Finger{Subject: "acct:Bob@b.example", Self: "http://b.example/users/1", Subscribe: "http://b.example/follow?acct={uri}"}},
		{"bob", "b.example:8080", remote.Finger{Subject: "acct:bob@b.example:8080", Self: "http://b.example:8080/users/1"}},
		{"ld", "b.example", remote.Finger{Subject: "acct:ld@b.example", Self: "http://b.example/users/3"}},
		{"b c+d", "b.example", remote.Finger{Self: "http://b.example/users/4"}},
	} {
		f, err := c.WebFinger(t.Context(), tc.name, tc.host)
		if err != nil {
			t.Errorf("%s@%s: %v", tc.name, tc.host, err)
		} else if d := cmp.Diff(tc.want, *f); d != "" {
			t.Error(d)
		}
	}
	for _, name := range []string{"none", "js", "json", "half", "odd"} {
		_, err := c.WebFinger(t.Context(), name, "b.example")
		isErr(t, name, err, remote.ErrType, false)
	}
	_, err := c.WebFinger(t.Context(), "nobody", "b.example")
	if !remote.IsGone(err) {
		t.Error(err)
	}
	for _, host := range []string{"", "b.example/x", "a@b.example"} {
		_, err := c.WebFinger(t.Context(), "bob", host)
		isErr(t, host, err, remote.ErrScheme, false)
	}
	_, err = c.WebFinger(t.Context(), "bob", "a.example")
	isErr(t, "own host", err, remote.ErrLocal, false)
}

func TestOriginOf(t *testing.T) {
	w := newWorld(t, "b.example")
	c := w.client()
	dev := remote.New(remote.Config{AllowLoopback: true}, nil, nil)
	for _, tc := range []struct {
		c          *remote.Client
		host, want string
	}{
		{c, "b.example", "http://b.example"}, {c, "c.example", "https://c.example"}, {c, "localhost:3000", "https://localhost:3000"},
		{dev, "localhost:3000", "http://localhost:3000"}, {dev, "127.0.0.1", "http://127.0.0.1"}, {dev, "[::1]:80", "http://[::1]:80"},
		{dev, "localhost.example", "https://localhost.example"}, {dev, "10.0.0.1", "https://10.0.0.1"},
	} {
		if got := tc.c.OriginOf(tc.host); got != tc.want {
			t.Errorf("%s: %s", tc.host, got)
		}
	}
}
