package app_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/coder/websocket"

	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/testsrv"
)

// app gives a token of an app of the account with these permissions.
func app(t *testing.T, u *testsrv.User, permissions ...string) *testsrv.User {
	t.Helper()
	res := u.Post(t, "miauth/gen-token", m{"session": nil, "permission": permissions})
	return &testsrv.User{S: u.S, ID: u.ID, Name: "app of " + u.Name, Token: testsrv.Dig(res, "token").(string)}
}

// ranked gives a new account that administrators made what the role says.
func ranked(t *testing.T, s *testsrv.Server, admin *testsrv.User, name, rank string) *testsrv.User {
	t.Helper()
	u := s.User(t, name)
	params := m{"name": name, "description": "", "color": nil, "iconUrl": nil, "target": "manual", "condFormula": m{}, "isPublic": false,
		"isModerator": false, "isAdministrator": false, "asBadge": false, "canEditMembersByModerator": false, "displayOrder": 0, "policies": m{}}
	params[rank] = true
	admin.Post(t, "admin/roles/assign", m{"roleId": testsrv.Dig(admin.Post(t, "admin/roles/create", params), "id"), "userId": u.ID})
	return u
}

// rows counts everything that people make.
func rows(t *testing.T, s *testsrv.Server) int {
	t.Helper()
	return s.Count(t, `SELECT (SELECT count(*) FROM "user") + (SELECT count(*) FROM note) + (SELECT count(*) FROM following) + (SELECT count(*) FROM blocking)
		+ (SELECT count(*) FROM muting) + (SELECT count(*) FROM note_reaction) + (SELECT count(*) FROM poll_vote) + (SELECT count(*) FROM access_token)
		+ (SELECT count(*) FROM role) + (SELECT count(*) FROM role_assignment) + (SELECT count(*) FROM follow_request) + (SELECT count(*) FROM notification)`)
}

// Each endpoint refuses whoever may not call it, before it looks at anything
// else, and calls without what it needs.
func TestAccess(t *testing.T) {
	t.Parallel()
	s := testsrv.New(t)
	a, gone, moved, plain := s.User(t, "alice"), s.User(t, "gone"), s.User(t, "moved"), s.User(t, "plain")
	stranger := &testsrv.User{S: s, Name: "nobody's token", Token: "0123456789abcdef"}
	other := &testsrv.User{S: s, Name: "nobody's app token", Token: strings.Repeat("x", 32)}
	powerless := app(t, a, "read:user-groups")
	if err := s.App.Moderation.Suspend(t.Context(), "", gone.ID, true); err != nil {
		t.Fatal(err)
	}
	err := s.DB.Tx(t.Context(), func(tx *pg.Tx) error { return s.App.Users.MoveTo(t.Context(), tx, moved.ID, s.Origin+"/users/"+a.ID) })
	if err != nil {
		t.Fatal(err)
	}
	mod := ranked(t, s, a, "helper", "isModerator")
	scopeless := app(t, mod, "read:user-groups")
	s.Settle(t)
	before := rows(t, s)
	for _, e := range s.App.API.Endpoints() {
		if e.Meta.TestOnly {
			continue
		}
		stranger.Fails(t, e.Name, m{}, 401, "AUTHENTICATION_FAILED")
		other.Fails(t, e.Name, m{}, 401, "AUTHENTICATION_FAILED")
		if e.Meta.Credential {
			s.Guest().Fails(t, e.Name, m{}, 401, "CREDENTIAL_REQUIRED")
			gone.Fails(t, e.Name, m{}, 403, "YOUR_ACCOUNT_SUSPENDED")
			if e.Meta.NotMoved {
				moved.Fails(t, e.Name, m{}, 403, "YOUR_ACCOUNT_MOVED")
			}
			if e.Meta.Moderator || e.Meta.Admin {
				plain.Fails(t, e.Name, m{}, 403, "ROLE_PERMISSION_DENIED")
				switch {
				case e.Meta.Admin:
					scopeless.Fails(t, e.Name, m{}, 403, "ROLE_PERMISSION_DENIED")
				case e.Meta.Secure:
					scopeless.Fails(t, e.Name, m{}, 403, "ACCESS_DENIED")
				default:
					scopeless.Fails(t, e.Name, m{}, 403, "PERMISSION_DENIED")
				}
			}
			if e.Meta.Admin {
				mod.Fails(t, e.Name, m{}, 403, "ROLE_PERMISSION_DENIED")
			}
			if e.Meta.Scope == "" && !e.Meta.Secure {
				t.Errorf("%s needs a login and no app can be let in: give it a scope, or make it secure", e.Name)
			}
			switch {
			case e.Meta.Secure:
				powerless.Fails(t, e.Name, m{}, 403, "ACCESS_DENIED")
			default:
				powerless.Fails(t, e.Name, m{}, 403, "PERMISSION_DENIED")
			}
		}
		for _, p := range e.Params.Props {
			if p.Required {
				a.Fails(t, e.Name, m{}, 400, "INVALID_PARAM")
				break
			}
		}
		res, err := http.Get(s.Origin + "/api/" + e.Name)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		if (res.StatusCode == http.StatusMethodNotAllowed) == e.Meta.Get {
			t.Errorf("GET %s: %s", e.Name, res.Status)
		}
	}
	if after := rows(t, s); after != before {
		t.Errorf("calls that were refused left %d rows", after-before)
	}
}

// The envelope of errors is what clients read.
func TestEnvelope(t *testing.T) {
	t.Parallel()
	s := testsrv.New(t)
	a := s.User(t, "alice")
	status, out := a.Call(t, "notes/local-timeline", m{"limit": 101})
	if status != 400 {
		t.Errorf("status %d", status)
	}
	testsrv.Is(t, out, "INVALID_PARAM", "error", "code")
	testsrv.Is(t, out, "3d81ceae-475f-4600-b2a8-2bc116157532", "error", "id")
	testsrv.Is(t, out, "client", "error", "kind")
	testsrv.Is(t, out, "#/properties/limit/maximum", "error", "info", "param")
	testsrv.Is(t, out, "must be <= 100", "error", "info", "reason")
	if msg, _ := testsrv.Dig(out, "error", "message").(string); msg == "" {
		t.Error("no message")
	}
	for what, c := range map[string]struct {
		body   string
		status int
	}{
		"too large":          {`{"i":"` + strings.Repeat("a", 1<<20) + `"}`, 413},
		"half":               {`{"text":`, 400},
		"a list":             {`[]`, 400},
		"deep":               {`{"text":` + strings.Repeat("[", 200_000) + strings.Repeat("]", 200_000) + `}`, 400},
		"deep, unknown":      {`{"i":"` + a.Token + `","x":` + strings.Repeat(`{"x":`, 5000) + `1` + strings.Repeat("}", 5000) + `}`, 400},
		"a token of numbers": {`{"i":5}`, 400},
		"text that is none":  {"{\"i\":\"" + a.Token + "\",\"text\":\"\xff\xfe\",\"poll\":null}", 200},
		"NUL":                {`{"i":"` + a.Token + `","text":"a\u0000b"}`, 200},
		"half a surrogate":   {`{"i":"` + a.Token + `","text":"\ud800"}`, 200},
		"a huge number":      {`{"i":"` + a.Token + `","text":"x","poll":{"choices":["a","b"],"expiresAt":1e300}}`, 400},
		"an id with NUL":     {`{"i":"` + a.Token + `","replyId":"a\u0000"}`, 400},
	} {
		if status, out := s.Raw(t, "notes/create", []byte(c.body)); status != c.status {
			t.Errorf("%s: %d %v", what, status, out)
		}
	}
	for _, name := range []string{"nothing", "note", "notes/create/", "oven/nothing"} {
		if status, out := a.Call(t, name, m{}); status != 404 || testsrv.Dig(out, "error", "code") != "UNKNOWN_API_ENDPOINT" {
			t.Errorf("%s: %d %v", name, status, out)
		}
	}
	// The token may come as a header too.
	req, err := http.NewRequest(http.MethodPost, s.Origin+"/api/i", strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+a.Token)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	if res.StatusCode != http.StatusOK || res.Header.Get("Access-Control-Allow-Origin") != "*" {
		t.Errorf("by header: %s %v", res.Status, res.Header)
	}
}

// A rank is lost the moment that its role is.
func TestRanks(t *testing.T) {
	t.Parallel()
	s := testsrv.New(t)
	root := s.User(t, "root")
	admin, mod := ranked(t, s, root, "boss", "isAdministrator"), ranked(t, s, root, "helper", "isModerator")
	s.Settle(t)
	testsrv.Is(t, admin.Post(t, "i", m{}), true, "isAdmin")
	testsrv.Is(t, admin.Post(t, "i", m{}), true, "isModerator")
	testsrv.Is(t, mod.Post(t, "i", m{}), false, "isAdmin")
	testsrv.Is(t, mod.Post(t, "i", m{}), true, "isModerator")
	narrow := app(t, mod, "read:admin:roles")
	for _, who := range []*testsrv.User{admin, mod, narrow} {
		if l := who.List(t, "admin/roles/list", m{}); len(l) != 2 {
			t.Errorf("%s: %v", who.Name, l)
		}
	}
	narrow.Fails(t, "admin/roles/unassign", m{"roleId": "x", "userId": "y"}, 403, "PERMISSION_DENIED")
	// Who administers by a role may do all that root may, but a policy that all
	// need still lets it pass.
	admin.Post(t, "admin/roles/update-default-policies", m{"policies": m{"canSearchUsers": false}})
	admin.Post(t, "users/search", m{"query": "x"})
	mod.Fails(t, "users/search", m{"query": "x"}, 403, "ROLE_PERMISSION_DENIED")
	for _, r := range root.List(t, "admin/roles/list", m{}) {
		root.Post(t, "admin/roles/delete", m{"roleId": r["id"]})
	}
	s.Settle(t)
	for _, who := range []*testsrv.User{admin, mod, narrow} {
		who.Fails(t, "admin/roles/list", m{}, 403, "ROLE_PERMISSION_DENIED")
	}
	testsrv.Is(t, mod.Post(t, "i", m{}), false, "isModerator")
}

// Who may open a stream, and which channels.
func TestStreamAccess(t *testing.T) {
	t.Parallel()
	s := testsrv.New(t)
	a := s.User(t, "alice")
	dial := func(token string) int {
		t.Helper()
		ws, res, err := websocket.Dial(t.Context(), "ws"+strings.TrimPrefix(s.Origin, "http")+"/streaming?i="+token, nil)
		if err == nil {
			_ = ws.CloseNow()
		}
		return res.StatusCode
	}
	for token, want := range map[string]int{"": 101, a.Token: 101, "0123456789abcdef": 401, app(t, a, "write:notes").Token: 403, app(t, a, "read:account").Token: 101} {
		if got := dial(token); got != want {
			t.Errorf("%q: %d, want %d", token, got, want)
		}
	}
	// A guest is not given what needs a login; what is unknown is passed over.
	g := s.Guest().Stream(t)
	for _, c := range []string{"main", "homeTimeline", "hybridTimeline", "nothing", "localTimeline"} {
		g.Send(m{"type": "connect", "body": m{"channel": c, "id": c, "pong": true}})
	}
	first := g.Next("connected", func(e m) bool { return e["type"] == "connected" })
	testsrv.Is(t, first, "localTimeline", "body", "id")
	// A channel that was closed is silent.
	g.Send(m{"type": "disconnect", "body": m{"id": "localTimeline"}})
	g.Send(m{"type": "connect", "body": m{"channel": "globalTimeline", "id": "g", "pong": true}})
	g.Next("connected", func(e m) bool { return testsrv.Dig(e, "body", "id") == "g" })
	id := a.Note(t, m{"text": "x"})
	g.Next("the note", func(e m) bool {
		if testsrv.Dig(e, "body", "id") == "localTimeline" {
			t.Error("heard in a closed channel")
		}
		return testsrv.Dig(e, "body", "body", "id") == id
	})
	// An account that is suspended is disconnected.
	b := s.User(t, "bora")
	sock := b.Stream(t, "main")
	if err := s.App.Moderation.Suspend(t.Context(), "", b.ID, true); err != nil {
		t.Fatal(err)
	}
	sock.Closed()
	if got := dial(b.Token); got != 403 {
		t.Errorf("suspended: %d", got)
	}
}
