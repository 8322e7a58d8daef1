package profile_test

import (
	"testing"

	"buttersc.one/oven/internal/testsrv"
)

func TestRegistry(t *testing.T) {
	t.Parallel()
	s := testsrv.New(t)
	a, b := s.User(t, "alice"), s.User(t, "bora")
	main := a.Stream(t, "main")
	scope := []string{"client", "base"}
	at := func(more m) m {
		p := m{"scope": scope}
		for k, v := range more {
			p[k] = v
		}
		return p
	}
	for key, v := range map[string]any{"s": "밤", "n": 3, "o": m{"x": []int{1}}, "l": []int{}, "b": false, "z": nil} {
		a.Post(t, "i/registry/set", at(m{"key": key, "value": v}))
	}
	e := main.Next("another device's change", func(e m) bool {
		return testsrv.Dig(e, "body", "type") == "registryUpdated" && testsrv.Dig(e, "body", "body", "key") == "s"
	})
	testsrv.Is(t, e, "밤", "body", "body", "value")
	a.Post(t, "i/registry/set", at(m{"key": "s", "value": "낮"}))
	testsrv.Is(t, a.Post(t, "i/registry/get", at(m{"key": "s"})), "낮")
	testsrv.Is(t, a.Post(t, "i/registry/get", at(m{"key": "z"})), nil)
	testsrv.Is(t, a.Post(t, "i/registry/get-detail", at(m{"key": "o"})), []any{1.0}, "value", "x")
	testsrv.Is(t, a.Post(t, "i/registry/get-all", at(nil)), m{"s": "낮", "n": 3.0, "o": m{"x": []any{1.0}}, "l": []any{}, "b": false, "z": nil})
	testsrv.Is(t, a.Post(t, "i/registry/keys", at(nil)), []any{"b", "l", "n", "o", "s", "z"})
	testsrv.Is(t, a.Post(t, "i/registry/keys-with-type", at(nil)), m{"s": "string", "n": "number", "o": "object", "l": "array", "b": "boolean", "z": "null"})
	a.Post(t, "i/registry/remove", at(m{"key": "z"}))
	for name, p := range map[string]m{"i/registry/get": at(m{"key": "z"}), "i/registry/get-detail": at(m{"key": "z"}), "i/registry/remove": at(m{"key": "z"})} {
		a.Fails(t, name, p, 400, "NO_SUCH_KEY")
		b.Fails(t, name, m{"key": "s", "scope": scope}, 400, "NO_SUCH_KEY")
	}
	a.Fails(t, "i/registry/set", m{"scope": []string{"a b"}, "key": "x", "value": 1}, 400, "INVALID_PARAM")
	a.Fails(t, "i/registry/set", at(m{"key": "x"}), 400, "INVALID_PARAM")
	// An app has a place of its own, whatever domain it names.
	tok := testsrv.Dig(a.Post(t, "miauth/gen-token", m{"session": nil, "permission": []string{"read:account", "write:account"}}), "token").(string)
	app := &testsrv.User{S: s, Token: tok}
	app.Fails(t, "i/registry/get", at(m{"key": "s"}), 400, "NO_SUCH_KEY")
	app.Post(t, "i/registry/set", at(m{"key": "s", "value": "app", "domain": nil}))
	testsrv.Is(t, app.Post(t, "i/registry/get", at(m{"key": "s"})), "app")
	testsrv.Is(t, a.Post(t, "i/registry/get", at(m{"key": "s"})), "낮")
	list := a.List(t, "i/registry/scopes-with-domain", m{})
	if len(list) != 2 || list[0]["domain"] != nil || list[1]["domain"] == nil {
		t.Fatalf("scopes: %v", list)
	}
	testsrv.Is(t, list[0], "client", "scopes", 0, 0)
	testsrv.Is(t, a.Post(t, "i/registry/get", at(m{"key": "s", "domain": list[1]["domain"]})), "app")
	app.Fails(t, "i/registry/scopes-with-domain", m{}, 403, "ACCESS_DENIED")
}
