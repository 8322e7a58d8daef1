package moderation_test

import (
	"strings"
	"testing"

	"buttersc.one/oven/internal/testsrv"
)

// moderator makes an account that moderates.
func moderator(t *testing.T, root *testsrv.User, name string) *testsrv.User {
	t.Helper()
	made := root.Post(t, "admin/roles/create", m{"name": "mods", "description": "", "color": nil, "iconUrl": nil, "target": "manual", "condFormula": m{},
		"isPublic": false, "isModerator": true, "isAdministrator": false, "asBadge": false, "canEditMembersByModerator": false, "displayOrder": 0, "policies": m{}})
	u := root.S.User(t, name)
	root.Post(t, "admin/roles/assign", m{"roleId": testsrv.Dig(made, "id"), "userId": u.ID})
	root.S.Settle(t)
	return u
}

// Reports of people here and of other servers are in one list; moderators close
// them, and write down why.
func TestReports(t *testing.T) {
	t.Parallel()
	far := testsrv.NewRemote(t)
	s := testsrv.New(t)
	root, a, b := s.User(t, "chief"), s.User(t, "alice"), s.User(t, "bora")
	mod := moderator(t, root, "mori")
	sock, chief := mod.Stream(t, "admin"), root.Stream(t, "admin")
	n := b.Note(t, m{"text": "x"})
	other := a.Note(t, m{"text": "not bora's"})
	a.Fails(t, "users/report-abuse", m{"userId": a.ID, "comment": "x"}, 400, "CANNOT_REPORT_YOURSELF")
	a.Fails(t, "users/report-abuse", m{"userId": root.ID, "comment": "x"}, 400, "CANNOT_REPORT_THE_ADMIN")
	a.Fails(t, "users/report-abuse", m{"userId": "0000000000000000", "comment": "x"}, 400, "NO_SUCH_USER")
	a.Fails(t, "users/report-abuse", m{"userId": b.ID, "comment": ""}, 400, "INVALID_PARAM")
	a.Fails(t, "users/report-abuse", m{"userId": b.ID, "comment": "x", "noteIds": []string{other}}, 400, "NO_SUCH_NOTE")
	hidden := b.Note(t, m{"text": "to herself", "visibility": "specified"})
	a.Fails(t, "users/report-abuse", m{"userId": b.ID, "comment": "x", "noteIds": []string{hidden}}, 400, "NO_SUCH_NOTE")
	s.Guest().Fails(t, "users/report-abuse", m{"userId": b.ID, "comment": "x"}, 401, "CREDENTIAL_REQUIRED")
	a.Post(t, "users/report-abuse", m{"userId": b.ID, "comment": "Note: " + s.Origin + "/notes/" + n + "\nNote: " + s.Origin + "/notes/" + other + "\nrude"})
	for _, x := range []*testsrv.Socket{sock, chief} {
		ev := x.Next("the report", func(e m) bool { return testsrv.Dig(e, "body", "type") == "newAbuseUserReport" })
		testsrv.Is(t, ev, b.ID, "body", "body", "targetUserId")
		testsrv.Is(t, ev, a.ID, "body", "body", "reporterId")
	}
	actor := far.Actor("mod")
	actor.Tell(t, s, m{"type": "Flag", "content": "spam", "object": []string{b.URI(), s.Origin + "/notes/" + n, "https://elsewhere.example/x"}})
	actor.Tell(t, s, m{"type": "Flag", "content": "only a note", "object": s.Origin + "/notes/" + other})
	actor.Tell(t, s, m{"type": "Flag", "content": "nobody", "object": far.Origin + "/users/mod"})
	far1 := actor.On(t, a)
	a.Post(t, "users/report-abuse", m{"userId": far1.ID, "comment": "spam from afar"})

	a.Fails(t, "admin/abuse-user-reports", m{}, 403, "ROLE_PERMISSION_DENIED")
	all := mod.List(t, "admin/abuse-user-reports", m{})
	if len(all) != 4 {
		t.Fatalf("reports %v", all)
	}
	testsrv.Is(t, all[3], "alice", "reporter", "username")
	testsrv.Is(t, all[3], n, "noteIds", 0)
	testsrv.Is(t, all[3], nil, "noteIds", 1)
	testsrv.Is(t, all[2], "mod", "reporter", "username")
	testsrv.Is(t, all[2], "bora", "targetUser", "username")
	testsrv.Is(t, all[2], "spam\n"+s.Origin+"/notes/"+n, "comment")
	testsrv.Is(t, all[1], "alice", "targetUser", "username")
	for _, c := range []struct {
		params m
		want   int
	}{
		{m{"reporterOrigin": "local"}, 2}, {m{"reporterOrigin": "remote"}, 2}, {m{"targetUserOrigin": "remote"}, 1}, {m{"targetUserOrigin": "local"}, 3},
		{m{"state": "resolved"}, 0}, {m{"state": "unresolved", "limit": 2}, 2}, {m{"untilId": all[1]["id"]}, 2}, {m{"sinceId": all[1]["id"]}, 1},
	} {
		if got := mod.List(t, "admin/abuse-user-reports", c.params); len(got) != c.want {
			t.Errorf("%v: %d reports, want %d", c.params, len(got), c.want)
		}
	}

	first := all[3]["id"]
	a.Fails(t, "admin/resolve-abuse-user-report", m{"reportId": first}, 403, "ROLE_PERMISSION_DENIED")
	mod.Fails(t, "admin/resolve-abuse-user-report", m{"reportId": "nothing000"}, 404, "NO_SUCH_ABUSE_REPORT")
	mod.Fails(t, "admin/resolve-abuse-user-report", m{"reportId": first, "resolvedAs": "maybe"}, 400, "INVALID_PARAM")
	mod.Post(t, "admin/resolve-abuse-user-report", m{"reportId": first, "resolvedAs": "accept"})
	mod.Post(t, "admin/resolve-abuse-user-report", m{"reportId": first, "resolvedAs": "accept"}) // again: nothing
	mod.Post(t, "admin/resolve-abuse-user-report", m{"reportId": all[2]["id"]})
	done := mod.List(t, "admin/abuse-user-reports", m{"state": "resolved"})
	if len(done) != 2 {
		t.Fatalf("resolved %v", done)
	}
	testsrv.Is(t, done[1], "accept", "resolvedAs")
	testsrv.Is(t, done[1], "mori", "assignee", "username")
	testsrv.Is(t, done[1], mod.ID, "assigneeId")
	testsrv.Is(t, done[0], nil, "resolvedAs")

	a.Fails(t, "admin/update-abuse-user-report", m{"reportId": first, "moderationNote": "x"}, 403, "ROLE_PERMISSION_DENIED")
	mod.Fails(t, "admin/update-abuse-user-report", m{"reportId": "nothing000", "moderationNote": "x"}, 404, "NO_SUCH_ABUSE_REPORT")
	mod.Post(t, "admin/update-abuse-user-report", m{"reportId": first, "moderationNote": "looked into"})
	mod.Post(t, "admin/update-abuse-user-report", m{"reportId": first})
	testsrv.Is(t, mod.List(t, "admin/abuse-user-reports", m{"state": "resolved"})[1], "looked into", "moderationNote")

	if l := root.List(t, "admin/show-moderation-logs", m{"type": "resolveAbuseReport"}); len(l) != 2 || testsrv.Dig(l[1], "info", "reportId") != first || testsrv.Dig(l[1], "info", "resolvedAs") != "accept" {
		t.Errorf("log %v", l)
	}
	if l := root.List(t, "admin/show-moderation-logs", m{"type": "updateAbuseReportNote"}); len(l) != 1 || testsrv.Dig(l[0], "info", "after") != "looked into" {
		t.Errorf("log %v", l)
	}
	if l := root.List(t, "admin/show-moderation-logs", m{"search": "rude"}); len(l) != 0 {
		t.Error("what a report says is in the log")
	}
	// Who moderates no more hears of nothing more, on a channel that is open.
	held := testsrv.Dig(mod.Post(t, "admin/show-user", m{"userId": mod.ID}), "roles", 0, "id")
	root.Post(t, "admin/roles/unassign", m{"roleId": held, "userId": mod.ID})
	s.Settle(t)
	sock.Send(m{"type": "connect", "body": m{"channel": "main", "id": "main", "pong": true}})
	a.Post(t, "users/report-abuse", m{"userId": b.ID, "comment": "the last"})
	chief.Next("the last report", func(e m) bool { return testsrv.Dig(e, "body", "body", "comment") == "the last" })
	a.Post(t, "following/create", m{"userId": mod.ID})
	sock.Next("a follower", func(e m) bool {
		if testsrv.Dig(e, "body", "body", "comment") == "the last" {
			t.Error("somebody who moderates no more is told of a report")
		}
		return testsrv.Dig(e, "body", "type") == "followed"
	})
	// Nobody else hears of reports.
	plain := a.Stream(t)
	plain.Send(m{"type": "connect", "body": m{"channel": "admin", "id": "admin", "pong": true}})
	plain.Send(m{"type": "connect", "body": m{"channel": "main", "id": "main", "pong": true}})
	plain.Next("main", func(e m) bool {
		if testsrv.Dig(e, "body", "id") == "admin" {
			t.Error("the admin channel is open to everybody")
		}
		return testsrv.Dig(e, "body", "id") == "main"
	})
}

// A report is told to the account's server once, by this server, without a name.
func TestForward(t *testing.T) {
	t.Parallel()
	far := testsrv.NewRemote(t)
	s := testsrv.New(t)
	root, a, b := s.User(t, "chief"), s.User(t, "alice"), s.User(t, "bora")
	mod := moderator(t, root, "mori")
	bad := far.Actor("bad")
	doc := bad.Note("/notes/1", m{"content": "buy"})
	bad.Tell(t, s, m{"type": "Create", "id": far.Origin + "/notes/1/activity", "object": doc})
	them := bad.On(t, a)
	note := a.List(t, "users/notes", m{"userId": them.ID})[0]["id"]
	a.Post(t, "users/report-abuse", m{"userId": b.ID, "comment": "here"})
	a.Post(t, "users/report-abuse", m{"userId": them.ID, "comment": "they sell"})
	a.Post(t, "users/report-abuse", m{"userId": them.ID, "comment": "they sell this", "noteIds": []any{note}})
	list := mod.List(t, "admin/abuse-user-reports", m{})
	forward := func(i int) m { return m{"reportId": list[i]["id"]} }
	a.Fails(t, "admin/forward-abuse-user-report", forward(0), 403, "ROLE_PERMISSION_DENIED")
	mod.Fails(t, "admin/forward-abuse-user-report", m{"reportId": "nothing000"}, 404, "NO_SUCH_ABUSE_REPORT")
	mod.Fails(t, "admin/forward-abuse-user-report", forward(2), 400, "TARGET_IS_LOCAL")
	s.Set(t, m{"blockedHosts": []string{far.Host}})
	mod.Fails(t, "admin/forward-abuse-user-report", forward(1), 400, "TARGET_UNREACHABLE")
	s.Set(t, m{"blockedHosts": []string{}})
	mod.Post(t, "admin/forward-abuse-user-report", forward(1))
	flag := far.Got(t, "Flag")
	testsrv.Is(t, flag, bad.ID, "object")
	testsrv.Is(t, flag, "they sell", "content")
	testsrv.Is(t, a.S.Guest().Post(t, "users/show", m{"userId": strings.TrimPrefix(flag["actor"].(string), s.Origin+"/users/")}), "instance.actor", "username")
	mod.Post(t, "admin/forward-abuse-user-report", forward(0))
	flag = far.Got(t, "Flag")
	testsrv.Is(t, flag, bad.ID, "object", 0)
	testsrv.Is(t, flag, doc["id"], "object", 1)
	for _, secret := range []string{"alice", a.ID, "mori", mod.ID} {
		if strings.Contains(flagText(flag), secret) {
			t.Errorf("the Flag names %s: %v", secret, flag)
		}
	}
	mod.Fails(t, "admin/forward-abuse-user-report", forward(0), 400, "ALREADY_FORWARDED")
	s.Settle(t)
	if left := far.Left(); len(left) > 0 {
		t.Errorf("it was also told %v", left)
	}
	testsrv.Is(t, mod.List(t, "admin/abuse-user-reports", m{})[0], true, "forwarded")
	if l := root.List(t, "admin/show-moderation-logs", m{"type": "forwardAbuseReport"}); len(l) != 2 {
		t.Errorf("log %v", l)
	}
}

// flagText is all that an activity says.
func flagText(v any) string {
	switch v := v.(type) {
	case m:
		var b strings.Builder
		for k, x := range v {
			if k != "@context" && k != "signature" {
				b.WriteString(flagText(x) + "\n")
			}
		}
		return b.String()
	case []any:
		var b strings.Builder
		for _, x := range v {
			b.WriteString(flagText(x) + "\n")
		}
		return b.String()
	case string:
		return v
	}
	return ""
}

// Moderators with a proven address, and the maintainer, are written to: whom it
// is about, and not what was said; and not for every report.
func TestReportLetters(t *testing.T) {
	t.Parallel()
	s := testsrv.New(t)
	root, a, b := s.User(t, "chief"), s.User(t, "alice"), s.User(t, "bora")
	mod := moderator(t, root, "mori")
	a.Post(t, "users/report-abuse", m{"userId": b.ID, "comment": "before there was mail"})
	box := s.Mailbox(t)
	mod.Post(t, "i/update", m{"lang": "ko-KR"})
	for u, address := range map[*testsrv.User]string{mod: "mori@example.com", a: "alice@example.com"} {
		u.Post(t, "i/update-email", m{"password": "password", "email": address})
		s.Settle(t)
		s.Guest().Post(t, "verify-email", m{"code": box.Link(address)})
	}
	s.Set(t, m{"maintainerEmail": "keeper@example.com"})
	s.Settle(t)
	written := len(box.Letters())
	b.Post(t, "users/report-abuse", m{"userId": a.ID, "comment": "a secret matter"})
	b.Post(t, "users/report-abuse", m{"userId": mod.ID, "comment": "and another"}) // at once after it
	s.Settle(t)
	if got := len(box.Letters()) - written; got != 2 {
		t.Fatalf("%d letters", got)
	}
	ko := box.To("mori@example.com")
	if l := ko[len(ko)-1]; !strings.Contains(l.Subject, "새 신고가 있어요") || !strings.Contains(l.Text, "@alice") || strings.Contains(l.Text, "secret") || strings.Contains(l.Text, "bora") {
		t.Errorf("letter %+v", l)
	}
	if l := box.To("keeper@example.com"); len(l) != 1 || !strings.Contains(l[0].Subject, "A new report") {
		t.Errorf("letters %+v", l)
	}
}
