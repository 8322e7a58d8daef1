package app_test

import (
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"testing"

	"buttersc.one/oven/internal/testsrv"
)

func moderator(t *testing.T, root *testsrv.User, name string) *testsrv.User {
	t.Helper()
	made := root.Post(t, "admin/roles/create", m{"name": "mods", "description": "", "color": nil, "iconUrl": nil, "target": "manual", "condFormula": m{},
		"isPublic": false, "isModerator": true, "isAdministrator": false, "asBadge": false, "canEditMembersByModerator": false, "displayOrder": 0, "policies": m{}})
	u := root.S.User(t, name)
	root.Post(t, "admin/roles/assign", m{"roleId": testsrv.Dig(made, "id"), "userId": u.ID})
	root.S.Settle(t)
	return u
}

func scrape(t *testing.T, s *testsrv.Server) string {
	t.Helper()
	w := httptest.NewRecorder()
	s.App.Metrics().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	if w.Code != http.StatusOK || !strings.HasPrefix(w.Header().Get("Content-Type"), "text/plain; version=0.0.4") {
		t.Fatalf("%d %v", w.Code, w.Header())
	}
	return w.Body.String()
}

// A key of identity that is lost stops what comes in, and moderators and
// /metrics hear of it; once it is repaired, all goes on.
func TestHealth(t *testing.T) {
	t.Parallel()
	far := testsrv.NewRemote(t)
	s := testsrv.New(t)
	root := s.User(t, "chief")
	mod, alice := moderator(t, root, "mori"), s.User(t, "alice")
	alice.Fails(t, "oven/admin/health", m{}, 403, "ROLE_PERMISSION_DENIED")
	s.Guest().Fails(t, "oven/admin/health", m{}, 401, "CREDENTIAL_REQUIRED")
	bora := far.Actor("bora")
	follow := m{"type": "Follow", "object": alice.URI()}

	res := mod.Post(t, "oven/admin/health", m{})
	testsrv.Is(t, res, false, "ingestStopped")
	testsrv.Is(t, res, nil, "findings", 0)
	if testsrv.Dig(res, "checkedAt") == nil {
		t.Error("not checked at start")
	}
	for _, sql := range []string{`ALTER TABLE "user" DROP CONSTRAINT user_uri_key`, `DROP INDEX user_host_idx`, `CREATE INDEX theirs ON "user" (name)`} {
		if _, err := s.DB.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	testsrv.Is(t, mod.Post(t, "oven/admin/health", m{}), nil, "findings", 0) // what was found last
	res = mod.Post(t, "oven/admin/health", m{"check": true})
	testsrv.Is(t, res, true, "ingestStopped")
	repair := map[any]string{}
	for i := range 3 {
		f := testsrv.Dig(res, "findings", i)
		text, _ := testsrv.Dig(f, "repair").(string)
		repair[testsrv.Dig(f, "kind").(string)+" "+testsrv.Dig(f, "code").(string)+" "+testsrv.Dig(f, "where").(string)] = text
	}
	lost, slow := repair["identity index-missing user.user_uri_key"], repair["warning index-missing user.user_host_idx"]
	if _, told := repair["information index-extra user.theirs"]; lost == "" || slow == "" || !told {
		t.Errorf("%v", repair)
	}
	for _, line := range []string{`oven_schema_findings{kind="identity"} 1`, `oven_schema_findings{kind="warning"} 1`, `oven_schema_findings{kind="information"} 1`, "oven_ingest_stopped 1"} {
		if got := scrape(t, s); !strings.Contains(got, "\n"+line+"\n") {
			t.Errorf("no %s in %s", line, got)
		}
	}
	if status := bora.Send(t, s, follow); status != http.StatusServiceUnavailable {
		t.Errorf("%d while identity is not guarded", status)
	}
	if _, err := s.DB.Exec(t.Context(), lost); err != nil {
		t.Fatal(err)
	}
	testsrv.Is(t, mod.Post(t, "oven/admin/health", m{"check": true}), false, "ingestStopped")
	bora.Tell(t, s, follow)
	far.Got(t, "Accept")
	if got := scrape(t, s); !strings.Contains(got, "\noven_ingest_stopped 0\n") || !strings.Contains(got, "\noven_inbox_pending 0\n") {
		t.Error(got)
	}
}

// What /metrics tells, docs/metrics.md explains, and nothing else.
func TestMetricsAreDocumented(t *testing.T) {
	t.Parallel()
	s := testsrv.New(t)
	doc, err := os.ReadFile("../../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	told, explained := map[string]bool{}, map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^# TYPE (\S+) (gauge|counter)$`).FindAllStringSubmatch(scrape(t, s), -1) {
		told[m[1]] = true
	}
	for _, m := range regexp.MustCompile("(?m)^\\| `(oven_[a-z_]+)` \\|").FindAllStringSubmatch(string(doc), -1) {
		explained[m[1]] = true
	}
	if len(told) < 10 || !maps.Equal(told, explained) {
		t.Errorf("told %v, explained %v", told, explained)
	}
}

// A server that is started on a database without such a key answers people, and
// takes nothing in.
func TestStartWithoutAKey(t *testing.T) {
	t.Parallel()
	far := testsrv.NewRemote(t)
	d := testsrv.Database(t)
	if _, err := d.Exec(t.Context(), `ALTER TABLE note DROP CONSTRAINT note_uri_key`); err != nil {
		t.Fatal(err)
	}
	s := testsrv.New(t, testsrv.On(d))
	root := s.User(t, "chief")
	testsrv.Is(t, root.Post(t, "oven/admin/health", m{}), true, "ingestStopped")
	if status := far.Actor("bora").Send(t, s, m{"type": "Follow", "object": root.URI()}); status != http.StatusServiceUnavailable {
		t.Errorf("%d", status)
	}
	root.Note(t, m{"text": "still here"})
}
