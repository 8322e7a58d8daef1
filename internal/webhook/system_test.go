package webhook_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"buttersc.one/oven/internal/app"
	"buttersc.one/oven/internal/testsrv"
)

var everySystem = []string{"abuseReport", "abuseReportResolved", "userCreated", "inactiveModeratorsWarning", "inactiveModeratorsInvitationOnlyChanged"}

// system makes a webhook of the server that is on.
func system(t *testing.T, by *testsrv.User, url string, on ...string) m {
	t.Helper()
	return by.Post(t, "admin/system-webhook/create", m{"isActive": true, "name": "watch", "on": on, "url": url, "secret": "s3cret"}).(m)
}

// of are the messages of a type.
func (l *listener) of(typ string) (out []m) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, b := range l.got {
		if b["type"] == typ {
			out = append(out, b)
		}
	}
	return out
}

// Webhooks of the server are made, changed and deleted by moderators; the log keeps no
// secret of them.
func TestSystemWebhooks(t *testing.T) {
	t.Parallel()
	s := testsrv.New(t)
	root, alice := s.User(t, "chief"), s.User(t, "alice")
	s.Settle(t) // who is here already is no news
	h := system(t, root, "https://hooks.example/a?key=hidden", "userCreated", "abuseReport")
	testsrv.Is(t, h, true, "isActive")
	testsrv.Is(t, h, "s3cret", "secret")
	testsrv.Is(t, h, nil, "latestSentAt")
	testsrv.Is(t, h, nil, "latestStatus")
	if h["updatedAt"] == nil || fmt.Sprint(h["on"]) != "[userCreated abuseReport]" {
		t.Errorf("made: %v", h)
	}
	if n := s.Count(t, `SELECT count(*) FROM system_webhook WHERE position('s3cret'::bytea IN secret_enc) > 0`); n != 0 {
		t.Error("the secret can be read in the database")
	}
	got := root.Post(t, "admin/system-webhook/update", m{"id": h["id"], "isActive": false, "name": "other", "on": []string{"userCreated"}, "url": "http://hooks.example/b"}).(m)
	testsrv.Is(t, got, "", "secret") // left out: none
	shown := root.Post(t, "admin/system-webhook/show", m{"id": h["id"]})
	if fmt.Sprint(shown) != fmt.Sprint(any(got)) {
		t.Errorf("shown %v, changed to %v", shown, got)
	}
	second := system(t, root, "https://hooks.example/c", everySystem...)
	for _, c := range []struct {
		params m
		want   []any
	}{
		{m{}, []any{h["id"], second["id"]}}, {m{"isActive": true}, []any{second["id"]}}, {m{"isActive": false}, []any{h["id"]}},
		{m{"on": []string{"userCreated"}}, []any{h["id"], second["id"]}}, {m{"on": []string{"userCreated", "abuseReport"}}, []any{second["id"]}},
	} {
		ids := []any{}
		for _, x := range root.List(t, "admin/system-webhook/list", c.params) {
			ids = append(ids, x["id"])
		}
		if !slices.Equal(ids, c.want) {
			t.Errorf("%v: %v, want %v", c.params, ids, c.want)
		}
	}
	for _, change := range []m{{"name": ""}, {"url": "ftp://x.example"}, {"url": "https://me:pw@x.example"}, {"url": "nothing"}, {"on": []string{"baked"}}, {"on": nil}, {"isActive": nil}} {
		params := m{"id": h["id"], "isActive": true, "name": "x", "on": everySystem, "url": "https://x.example", "secret": ""}
		for k, v := range change {
			if params[k] = v; v == nil {
				delete(params, k)
			}
		}
		root.Fails(t, "admin/system-webhook/create", params, 400, "INVALID_PARAM")
		root.Fails(t, "admin/system-webhook/update", params, 400, "INVALID_PARAM")
	}
	root.Fails(t, "admin/system-webhook/test", m{"webhookId": h["id"], "type": "baked"}, 400, "INVALID_PARAM")
	root.Fails(t, "admin/system-webhook/test", m{"webhookId": h["id"], "type": "userCreated", "override": m{"url": "gopher://x"}}, 400, "INVALID_PARAM")
	root.Fails(t, "admin/system-webhook/test", m{"webhookId": "nothing000", "type": "userCreated"}, 400, "NO_SUCH_WEBHOOK")
	for _, name := range []string{"show", "update", "delete"} {
		root.Fails(t, "admin/system-webhook/"+name, m{"id": "nothing000", "isActive": true, "name": "x", "on": everySystem, "url": "https://x.example"}, 404, "NO_SUCH_SYSTEM_WEBHOOK")
	}
	for _, name := range []string{"create", "update", "delete", "list", "show", "test"} {
		params := m{"id": h["id"], "webhookId": h["id"], "type": "userCreated", "isActive": true, "name": "x", "on": everySystem, "url": "https://x.example"}
		alice.Fails(t, "admin/system-webhook/"+name, params, 403, "ROLE_PERMISSION_DENIED")
		s.Guest().Fails(t, "admin/system-webhook/"+name, params, 401, "CREDENTIAL_REQUIRED")
	}
	root.Post(t, "admin/system-webhook/delete", m{"id": h["id"]})
	root.Fails(t, "admin/system-webhook/show", m{"id": h["id"]}, 404, "NO_SUCH_SYSTEM_WEBHOOK")
	for typ, want := range map[string]int{"createSystemWebhook": 2, "updateSystemWebhook": 1, "deleteSystemWebhook": 1} {
		if l := root.List(t, "admin/show-moderation-logs", m{"type": typ}); len(l) != want {
			t.Errorf("%s: %v", typ, l)
		}
	}
	for _, secret := range []string{"s3cret", "hidden"} {
		if l := root.List(t, "admin/show-moderation-logs", m{"search": secret}); len(l) != 0 {
			t.Errorf("the log keeps %q: %v", secret, l)
		}
	}
}

// Reports, what became of them, and new accounts are told in Misskey's form.
func TestSystemWebhooksAreTold(t *testing.T) {
	t.Parallel()
	s := testsrv.New(t)
	root, alice := s.User(t, "chief"), s.User(t, "alice")
	l := listen(t)
	s.Settle(t) // who is here already is no news
	h := system(t, root, l.URL+"/hook", everySystem...)
	bob := s.User(t, "bob")
	alice.Post(t, "users/report-abuse", m{"userId": bob.ID, "comment": "rude"})
	s.Settle(t)
	eventually(t, "the account and the report", func() bool { return len(l.types()) >= 2 })
	report := root.List(t, "admin/abuse-user-reports", m{})[0]["id"]
	root.Post(t, "admin/update-abuse-user-report", m{"reportId": report, "moderationNote": "looked into"})
	root.Post(t, "admin/resolve-abuse-user-report", m{"reportId": report, "resolvedAs": "accept"})
	root.Post(t, "admin/resolve-abuse-user-report", m{"reportId": report, "resolvedAs": "accept"}) // nothing new
	s.Settle(t)
	if got := l.types(); !slices.Equal(got, []string{"abuseReport", "abuseReportResolved", "userCreated"}) {
		t.Fatalf("told %v", got)
	}
	seen := map[string]bool{}
	for i, b := range l.got {
		id := b["eventId"].(string)
		_, user := b["userId"]
		if at, ok := b["createdAt"].(float64); seen[id] || user || b["server"] != s.Origin || b["hookId"] != h["id"] || !ok || time.Since(time.UnixMilli(int64(at))) > time.Hour {
			t.Errorf("a message: %v", b)
		}
		seen[id] = true
		if hd := l.head[i]; hd.Get("X-Misskey-Hook-Secret") != "s3cret" || hd.Get("X-Misskey-Hook-Id") != h["id"] || hd.Get("X-Misskey-Host") != s.Host || hd.Get("User-Agent") != "Misskey-Hooks" || hd.Get("Content-Type") != "application/json" {
			t.Errorf("headers: %v", hd)
		}
	}
	testsrv.Is(t, l.of("userCreated")[0], bob.ID, "body", "id")
	testsrv.Is(t, l.of("userCreated")[0], "bob", "body", "username")
	first, last := l.of("abuseReport")[0], l.of("abuseReportResolved")[0]
	for _, b := range []m{first, last} {
		testsrv.Is(t, b, report, "body", "id")
		testsrv.Is(t, b, bob.ID, "body", "targetUserId")
		testsrv.Is(t, b, "bob", "body", "targetUser", "username")
		testsrv.Is(t, b, alice.ID, "body", "reporterId")
		testsrv.Is(t, b, "alice", "body", "reporter", "username")
		testsrv.Is(t, b, "rude", "body", "comment")
		testsrv.Is(t, b, false, "body", "forwarded")
		for _, key := range []string{"targetUserHost", "reporterHost", "assigneeId", "assignee", "resolvedAs", "moderationNote"} {
			if _, there := b["body"].(m)[key]; !there {
				t.Errorf("%v has no %s", b["type"], key)
			}
		}
	}
	testsrv.Is(t, first, false, "body", "resolved")
	testsrv.Is(t, first, nil, "body", "assignee")
	testsrv.Is(t, last, true, "body", "resolved")
	testsrv.Is(t, last, "accept", "body", "resolvedAs")
	testsrv.Is(t, last, "looked into", "body", "moderationNote")
	testsrv.Is(t, last, "chief", "body", "assignee", "username")
	shown := root.Post(t, "admin/system-webhook/show", m{"id": h["id"]})
	testsrv.Is(t, shown, 204, "latestStatus")
	if testsrv.Dig(shown, "latestSentAt") == nil {
		t.Error("when it was told is not known")
	}

	// One that is off, or does not ask for it, is not told; a test reaches it anywhere.
	l.clear(http.StatusNoContent)
	root.Post(t, "admin/system-webhook/update", m{"id": h["id"], "isActive": false, "name": "off", "on": everySystem, "url": l.URL, "secret": "s3cret"})
	quiet := listen(t)
	system(t, root, quiet.URL, "abuseReport")
	s.User(t, "carol")
	s.Settle(t)
	if got := append(l.types(), quiet.types()...); len(got) != 0 {
		t.Errorf("told %v", got)
	}
	other := listen(t)
	for _, typ := range everySystem {
		root.Post(t, "admin/system-webhook/test", m{"webhookId": h["id"], "type": typ})
	}
	root.Post(t, "admin/system-webhook/test", m{"webhookId": h["id"], "type": "abuseReport", "override": m{"url": other.URL, "secret": "other"}})
	s.Settle(t)
	eventually(t, "the tests", func() bool { return len(l.types()) >= 5 && len(other.types()) >= 1 })
	if other.head[0].Get("X-Misskey-Hook-Secret") != "other" {
		t.Errorf("headers: %v", other.head[0])
	}
	testsrv.Is(t, other.got[0], root.ID, "body", "targetUser", "id")
	testsrv.Is(t, l.of("abuseReportResolved")[0], true, "body", "resolved")
	testsrv.Is(t, l.of("inactiveModeratorsWarning")[0], 24, "body", "remainingTime", "asHours")
	if n := s.Count(t, `SELECT count(*) FROM abuse_report`); n != 1 {
		t.Errorf("%d reports after tests", n)
	}
}

// Who is told of reports by webhook can be switched off; without anybody who was named
// every webhook that asks for reports is told.
func TestReportsByRecipient(t *testing.T) {
	t.Parallel()
	s := testsrv.New(t)
	root, alice, bob := s.User(t, "chief"), s.User(t, "alice"), s.User(t, "bob")
	a, b := listen(t), listen(t)
	s.Settle(t) // who is here already is no news
	hookA, hookB := system(t, root, a.URL, everySystem...), system(t, root, b.URL, everySystem...)
	tell := func() {
		t.Helper()
		a.clear(http.StatusNoContent)
		b.clear(http.StatusNoContent)
		alice.Post(t, "users/report-abuse", m{"userId": bob.ID, "comment": "rude"})
		s.Settle(t)
	}
	told := func(what string, wantA, wantB int) {
		t.Helper()
		if gotA, gotB := len(a.of("abuseReport")), len(b.of("abuseReport")); gotA != wantA || gotB != wantB {
			t.Errorf("%s: told %d and %d times, want %d and %d", what, gotA, gotB, wantA, wantB)
		}
	}
	tell()
	told("nobody is named", 1, 1)
	r := root.Post(t, "admin/abuse-report/notification-recipient/create", m{"isActive": true, "name": "a", "method": "webhook", "systemWebhookId": hookA["id"]}).(m)
	tell()
	told("one is named", 1, 1)
	root.Post(t, "admin/abuse-report/notification-recipient/update", m{"id": r["id"], "isActive": false, "name": "a", "method": "webhook", "systemWebhookId": hookA["id"]})
	tell()
	told("the one is off", 0, 1)
	root.Post(t, "admin/resolve-abuse-user-report", m{"reportId": root.List(t, "admin/abuse-user-reports", m{})[0]["id"]})
	s.User(t, "carol")
	s.Settle(t)
	if len(a.of("abuseReportResolved")) != 0 || len(b.of("abuseReportResolved")) != 1 || len(a.of("userCreated")) != 1 {
		t.Errorf("told %v and %v", a.types(), b.types())
	}
	root.Post(t, "admin/system-webhook/delete", m{"id": hookB["id"]})
	root.Post(t, "admin/abuse-report/notification-recipient/delete", m{"id": r["id"]})
	tell()
	told("the one is no more, nor is the other webhook", 1, 0)
}

// What an address cannot take at the moment it is told again.
func TestSystemWebhooksAreTriedAgain(t *testing.T) {
	t.Parallel()
	s := testsrv.New(t)
	root := s.User(t, "chief")
	l := listen(t)
	l.clear(http.StatusServiceUnavailable)
	s.Settle(t) // who is here already is no news
	h := system(t, root, l.URL, "userCreated")
	alice := s.User(t, "alice")
	status := func() any {
		return testsrv.Dig(root.Post(t, "admin/system-webhook/show", m{"id": h["id"]}), "latestStatus")
	}
	eventually(t, "the first try", func() bool { return status() == 503.0 })
	l.clear(http.StatusNoContent)
	eventually(t, "another try", func() bool {
		if _, err := s.DB.Exec(t.Context(), `UPDATE river.river_job SET state = 'available', scheduled_at = now() WHERE kind = 'webhook.system' AND state = 'retryable'`); err != nil {
			t.Fatal(err)
		}
		return status() == 204.0
	})
	testsrv.Is(t, l.got[0], alice.ID, "body", "id")
	l.clear(http.StatusForbidden)
	s.User(t, "bob")
	eventually(t, "the refusal", func() bool { return status() == 403.0 })
	s.Settle(t)
	if n := s.Count(t, `SELECT count(*) FROM river.river_job WHERE kind = 'webhook.system' AND state IN ('available', 'retryable', 'scheduled')`); n != 0 || len(l.types()) != 1 {
		t.Errorf("who refuses is asked again: %d jobs, %v", n, l.got)
	}
}

// What was written is told, also when the server ended before it could.
func TestSystemWebhooksAfterAnEnd(t *testing.T) {
	t.Parallel()
	s := testsrv.New(t)
	root, alice, bob := s.User(t, "chief"), s.User(t, "alice"), s.User(t, "bob")
	l := listen(t)
	s.Settle(t) // who is here already is no news
	system(t, root, l.URL, everySystem...)
	workers := func(yes bool) {
		t.Helper()
		s.Stop(t)
		s.Configure(func(o *app.Options) { o.Workers = yes })
	}
	workers(false)
	s.Start(t)
	alice.Post(t, "users/report-abuse", m{"userId": bob.ID, "comment": "rude"})
	eventually(t, "the job", func() bool {
		return s.Count(t, `SELECT count(*) FROM river.river_job WHERE kind = 'webhook.system'`) == 1
	})
	workers(true)
	if got := l.types(); len(got) != 0 {
		t.Fatalf("told %v", got)
	}
	// As a process leaves it that is killed after the commit.
	if _, err := s.DB.Exec(t.Context(), `INSERT INTO change_stage (kind, object_id, actor_id, data) SELECT 'report.resolved', id, reporter_id, '{}' FROM abuse_report`); err != nil {
		t.Fatal(err)
	}
	s.Start(t)
	s.Settle(t)
	eventually(t, "both", func() bool { return len(l.types()) >= 2 })
	if got := l.types(); !slices.Equal(got, []string{"abuseReport", "abuseReportResolved"}) {
		t.Errorf("told %v", got)
	}
}

// A webhook of the server leads neither to it, nor into the private network, nor
// anywhere by a redirect.
func TestSystemWebhooksStayOutside(t *testing.T) {
	t.Parallel()
	inner := listen(t)
	away := httptest.NewServer(http.RedirectHandler(inner.URL, http.StatusTemporaryRedirect))
	t.Cleanup(away.Close)
	for mode, want := range map[string]map[string]float64{"test": {"self": 1, "away": 307}, "production": {"self": 1, "away": 1, "inner": 1}} {
		s := testsrv.New(t, testsrv.Mode(mode))
		root := s.User(t, "chief")
		hooks := map[string]any{}
		for name, url := range map[string]string{"self": s.Origin + "/api/ping", "away": away.URL, "inner": inner.URL} {
			if want[name] != 0 {
				hooks[name] = system(t, root, url, "userCreated")["id"]
			}
		}
		s.User(t, "alice")
		for name, id := range hooks {
			eventually(t, mode+": "+name, func() bool {
				return testsrv.Dig(root.Post(t, "admin/system-webhook/show", m{"id": id}), "latestStatus") == want[name]
			})
		}
	}
	if got := inner.types(); len(got) != 0 {
		t.Errorf("reached %v", got)
	}
}
