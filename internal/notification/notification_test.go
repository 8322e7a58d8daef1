package notification_test

import (
	"testing"

	"buttersc.one/oven/internal/testsrv"
)

type m = testsrv.M

func TestNotifications(t *testing.T) {
	t.Parallel()
	s := testsrv.New(t)
	a, b := s.User(t, "alice"), s.User(t, "bora")
	main := a.Stream(t, "main")
	n := a.Note(t, m{"text": "n"})
	b.Post(t, "following/create", m{"userId": a.ID})
	b.Note(t, m{"text": "@alice hi", "replyId": n}) // one notification: a reply beats a mention
	b.Note(t, m{"text": "@alice hi"})
	b.Note(t, m{"renoteId": n})
	b.Note(t, m{"text": "@alice q", "renoteId": n}) // a quote beats a mention
	b.Post(t, "notes/reactions/create", m{"noteId": n, "reaction": "🍞"})
	a.Note(t, m{"text": "@alice self", "replyId": n}) // nothing from oneself
	want := []string{"reaction", "quote", "renote", "mention", "reply", "follow"}
	list := a.List(t, "i/notifications", m{"markAsRead": false})
	if len(list) != len(want) {
		t.Fatalf("notifications %v", list)
	}
	for i, typ := range want {
		testsrv.Is(t, list[i], typ, "type")
		testsrv.Is(t, list[i], b.ID, "userId")
	}
	testsrv.Is(t, list[0], "🍞", "reaction")
	testsrv.Is(t, list[4], "@alice hi", "note", "text")
	main.Next("a reaction", func(e m) bool { return testsrv.Dig(e, "body", "body", "type") == "reaction" })
	main.Next("unread", func(e m) bool { return testsrv.Dig(e, "body", "type") == "unreadNotification" })
	me := a.Post(t, "i", m{})
	testsrv.Is(t, me, 6, "unreadNotificationsCount")
	testsrv.Is(t, me, true, "hasUnreadMentions")
	if l := a.List(t, "i/notifications", m{"includeTypes": []string{"follow", "quote"}, "markAsRead": false}); len(l) != 2 {
		t.Errorf("included %v", l)
	}
	if l := a.List(t, "i/notifications", m{"excludeTypes": []string{"follow"}, "limit": 2, "markAsRead": false}); len(l) != 2 || l[0]["type"] != "reaction" {
		t.Errorf("excluded %v", l)
	}
	if l := a.List(t, "i/notifications", m{"untilId": list[1]["id"], "limit": 1, "markAsRead": false}); len(l) != 1 || l[0]["id"] != list[2]["id"] {
		t.Errorf("page %v", l)
	}
	a.Post(t, "notifications/mark-all-as-read", m{})
	main.Next("read", func(e m) bool { return testsrv.Dig(e, "body", "type") == "readAllNotifications" })
	testsrv.Is(t, a.Post(t, "i", m{}), 0, "unreadNotificationsCount")
	// A deleted note takes what told of it along.
	a.Post(t, "notes/delete", m{"noteId": n})
	for _, x := range a.List(t, "i/notifications", m{}) {
		if x["type"] == "reaction" {
			t.Error("a notification about a note that is gone")
		}
	}
	s.Guest().Fails(t, "i/notifications", m{}, 401, "CREDENTIAL_REQUIRED")
}

func TestPollEnd(t *testing.T) {
	t.Parallel()
	s := testsrv.New(t)
	a, b := s.User(t, "alice"), s.User(t, "bora")
	p := a.Note(t, m{"text": "?", "poll": m{"choices": []string{"x", "y"}, "expiredAfter": 60_000}})
	b.Post(t, "notes/polls/vote", m{"noteId": p, "choice": 0})
	watch := b.Stream(t, "main")
	s.Guest().Post(t, "oven/clock", m{"offsetMs": 61_000})
	watch.Next("the end", func(e m) bool { return testsrv.Dig(e, "body", "body", "type") == "pollEnded" })
	if l := a.List(t, "i/notifications", m{}); len(l) != 1 || l[0]["type"] != "pollEnded" {
		t.Errorf("the author: %v", l)
	}
}
