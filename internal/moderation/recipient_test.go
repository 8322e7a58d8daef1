package moderation_test

import (
	"strings"
	"testing"

	"buttersc.one/oven/internal/testsrv"
)

// Recipients of reports are moderators with a proven address, and webhooks that exist.
func TestRecipients(t *testing.T) {
	t.Parallel()
	s := testsrv.New(t)
	root, a := s.User(t, "chief"), s.User(t, "alice")
	mod, bare := moderator(t, root, "mori"), moderator(t, root, "mose")
	box := s.Mailbox(t)
	prove(t, box, mod, "mori@example.com")
	prove(t, box, a, "alice@example.com")
	hook := mod.Post(t, "admin/system-webhook/create", m{"isActive": true, "name": "h", "on": []string{"abuseReport"}, "url": "https://hooks.example/a", "secret": "x"}).(m)
	for _, c := range []struct {
		with m
		code string
	}{
		{m{"method": "email"}, "CORRELATION_CHECK_EMAIL"}, {m{"method": "email", "userId": "nothing000"}, "CORRELATION_CHECK_EMAIL"},
		{m{"method": "email", "userId": a.ID}, "CORRELATION_CHECK_EMAIL"}, {m{"method": "email", "systemWebhookId": hook["id"]}, "CORRELATION_CHECK_EMAIL"},
		{m{"method": "email", "userId": bare.ID}, "EMAIL_ADDRESS_NOT_SET"},
		{m{"method": "webhook"}, "CORRELATION_CHECK_WEBHOOK"}, {m{"method": "webhook", "userId": mod.ID}, "CORRELATION_CHECK_WEBHOOK"},
		{m{"method": "webhook", "systemWebhookId": "nothing000"}, "CORRELATION_CHECK_WEBHOOK"},
		{m{"method": "pigeon"}, "INVALID_PARAM"}, {m{"method": "email", "userId": mod.ID, "name": ""}, "INVALID_PARAM"},
	} {
		params := m{"isActive": true, "name": "x"}
		for k, v := range c.with {
			params[k] = v
		}
		mod.Fails(t, "admin/abuse-report/notification-recipient/create", params, 400, c.code)
	}
	mail := mod.Post(t, "admin/abuse-report/notification-recipient/create", m{"isActive": true, "name": "by mail", "method": "email", "userId": mod.ID, "systemWebhookId": hook["id"]}).(m)
	testsrv.Is(t, mail, "mori", "user", "username")
	testsrv.Is(t, mail, mod.ID, "userId")
	if _, there := mail["systemWebhookId"]; there || mail["updatedAt"] == nil {
		t.Errorf("made: %v", mail)
	}
	byHook := mod.Post(t, "admin/abuse-report/notification-recipient/create", m{"isActive": true, "name": "by webhook", "method": "webhook", "systemWebhookId": hook["id"]}).(m)
	testsrv.Is(t, byHook, "h", "systemWebhook", "name")
	testsrv.Is(t, byHook, hook["id"], "systemWebhookId")
	got := mod.Post(t, "admin/abuse-report/notification-recipient/update", m{"id": byHook["id"], "isActive": false, "name": "off", "method": "webhook", "systemWebhookId": hook["id"]})
	testsrv.Is(t, got, false, "isActive")
	testsrv.Is(t, mod.Post(t, "admin/abuse-report/notification-recipient/show", m{"id": byHook["id"]}), "off", "name")
	mod.Fails(t, "admin/abuse-report/notification-recipient/update", m{"id": byHook["id"], "isActive": true, "name": "x", "method": "email", "userId": bare.ID}, 400, "EMAIL_ADDRESS_NOT_SET")
	mod.Fails(t, "admin/abuse-report/notification-recipient/update", m{"id": "nothing000", "isActive": true, "name": "x", "method": "email", "userId": mod.ID}, 404, "NO_SUCH_RECIPIENT")
	mod.Fails(t, "admin/abuse-report/notification-recipient/show", m{"id": "nothing000"}, 404, "NO_SUCH_RECIPIENT")
	mod.Post(t, "admin/abuse-report/notification-recipient/delete", m{"id": "nothing000"})
	for _, name := range []string{"list", "show", "create", "update", "delete"} {
		params := m{"id": mail["id"], "isActive": true, "name": "x", "method": "email", "userId": mod.ID}
		a.Fails(t, "admin/abuse-report/notification-recipient/"+name, params, 403, "ROLE_PERMISSION_DENIED")
		s.Guest().Fails(t, "admin/abuse-report/notification-recipient/"+name, params, 401, "CREDENTIAL_REQUIRED")
	}
	count := func(params m) int { return len(mod.List(t, "admin/abuse-report/notification-recipient/list", params)) }
	if all, mails, hooks := count(m{}), count(m{"method": []string{"email"}}), count(m{"method": []string{"webhook"}}); all != 2 || mails != 1 || hooks != 1 {
		t.Errorf("%d recipients, %d and %d", all, mails, hooks)
	}

	// A webhook that goes takes along who was told by it; who moderates no more is none.
	mod.Post(t, "admin/system-webhook/delete", m{"id": hook["id"]})
	if n := count(m{}); n != 1 {
		t.Errorf("%d recipients without the webhook", n)
	}
	held := testsrv.Dig(mod.Post(t, "admin/show-user", m{"userId": mod.ID}), "roles", 0, "id")
	root.Post(t, "admin/roles/unassign", m{"roleId": held, "userId": mod.ID})
	s.Settle(t)
	if l := root.List(t, "admin/abuse-report/notification-recipient/list", m{}); len(l) != 0 {
		t.Errorf("who moderates no more: %v", l)
	}
	root.Post(t, "oven/clock", m{"offsetMs": 1000}) // what is looked at by the hour
	s.Settle(t)
	root.Post(t, "admin/roles/assign", m{"roleId": held, "userId": mod.ID})
	s.Settle(t)
	if l := root.List(t, "admin/abuse-report/notification-recipient/list", m{}); len(l) != 0 {
		t.Errorf("a moderator again, and told without having been named: %v", l)
	}
	for typ, want := range map[string]int{"create": 2, "update": 1, "delete": 0} {
		if l := root.List(t, "admin/show-moderation-logs", m{"type": typ + "AbuseReportNotificationRecipient"}); len(l) != want {
			t.Errorf("%s: %v", typ, l)
		}
	}
	r := root.Post(t, "admin/abuse-report/notification-recipient/create", m{"isActive": true, "name": "again", "method": "email", "userId": mod.ID}).(m)
	root.Post(t, "admin/abuse-report/notification-recipient/delete", m{"id": r["id"]})
	if l := root.List(t, "admin/show-moderation-logs", m{"type": "deleteAbuseReportNotificationRecipient"}); len(l) != 1 || testsrv.Dig(l[0], "info", "recipient", "name") != "again" {
		t.Errorf("log %v", l)
	}
}

// Mail about reports goes to those who are named for it and, where nobody is, to all
// moderators.
func TestReportsByMail(t *testing.T) {
	t.Parallel()
	s := testsrv.New(t)
	root, a, b := s.User(t, "chief"), s.User(t, "alice"), s.User(t, "bora")
	c, d := s.User(t, "carol"), s.User(t, "dora")
	mori, mose := moderator(t, root, "mori"), moderator(t, root, "mose")
	box := s.Mailbox(t)
	prove(t, box, mori, "mori@example.com")
	prove(t, box, mose, "mose@example.com")
	s.Set(t, m{"maintainerEmail": "keeper@example.com"})
	reports := func(by *testsrv.User) map[string]int {
		t.Helper()
		before := len(box.Letters())
		by.Post(t, "users/report-abuse", m{"userId": b.ID, "comment": "rude"})
		s.Settle(t)
		out := map[string]int{}
		for _, l := range box.Letters()[before:] {
			if strings.Contains(l.Subject, "report") {
				out[strings.TrimSuffix(l.To, "@example.com")]++
			}
		}
		return out
	}
	is := func(what string, got map[string]int, want ...string) {
		t.Helper()
		for _, who := range want {
			if got[who] != 1 {
				t.Errorf("%s: %v, want %v", what, got, want)
			}
		}
		if len(got) != len(want) {
			t.Errorf("%s: %v, want %v", what, got, want)
		}
	}
	is("nobody is named", reports(a), "mori", "mose", "keeper")
	r := root.Post(t, "admin/abuse-report/notification-recipient/create", m{"isActive": true, "name": "x", "method": "email", "userId": mori.ID}).(m)
	is("one is named", reports(c), "mori", "keeper")
	root.Post(t, "admin/abuse-report/notification-recipient/update", m{"id": r["id"], "isActive": false, "name": "x", "method": "email", "userId": mori.ID})
	is("the one is off", reports(d), "keeper")
	root.Post(t, "admin/abuse-report/notification-recipient/delete", m{"id": r["id"]})
	is("nobody is named again", reports(mori), "mori", "mose", "keeper")
}
