package announcement_test

import (
	"testing"

	"buttersc.one/oven/internal/testsrv"
)

type m = testsrv.M

func TestAnnouncements(t *testing.T) {
	t.Parallel()
	s := testsrv.New(t)
	root, a, b := s.User(t, "root"), s.User(t, "alice"), s.User(t, "bora")
	news := func(more m) string {
		t.Helper()
		p := m{"title": "빵", "text": "오늘의 빵", "imageUrl": nil}
		for k, v := range more {
			p[k] = v
		}
		return testsrv.Dig(root.Post(t, "admin/announcements/create", p), "id").(string)
	}
	a.Fails(t, "admin/announcements/create", m{"title": "x", "text": "x", "imageUrl": nil}, 403, "ROLE_PERMISSION_DENIED")
	root.Fails(t, "admin/announcements/create", m{"title": "x", "text": "x", "imageUrl": "javascript:alert(1)"}, 400, "INVALID_PARAM")
	root.Fails(t, "admin/announcements/create", m{"title": "x", "text": "x", "imageUrl": nil, "userId": "nobody0000"}, 400, "NO_SUCH_USER")
	sock := a.Stream(t, "main")
	all := news(nil)
	got := sock.Next("the announcement", func(msg m) bool {
		return testsrv.Dig(msg, "body", "type") == "announcementCreated" || msg["type"] == "announcementCreated"
	})
	if got == nil {
		t.Fatal("not told")
	}
	private := news(m{"userId": a.ID, "text": "only for alice"})
	old := news(m{"forExistingUsers": true})
	late := s.User(t, "late")
	unread := func(u *testsrv.User) int {
		t.Helper()
		l, _ := testsrv.Dig(u.Post(t, "i", m{}), "unreadAnnouncements").([]any)
		return len(l)
	}
	for u, want := range map[*testsrv.User]int{a: 3, b: 2, late: 1} {
		if n := unread(u); n != want {
			t.Errorf("%s has %d unread, want %d", u.Name, n, want)
		}
	}
	if l := s.Guest().List(t, "announcements", m{}); len(l) != 1 {
		t.Errorf("a visitor sees %v", l)
	}
	testsrv.Is(t, a.Post(t, "announcements/show", m{"announcementId": private}), true, "forYou")
	b.Fails(t, "announcements/show", m{"announcementId": private}, 400, "NO_SUCH_ANNOUNCEMENT")
	b.Post(t, "i/read-announcement", m{"announcementId": private}) // not hers: nothing happens
	b.Post(t, "i/read-announcement", m{"announcementId": all})
	if n := unread(b); n != 1 {
		t.Errorf("%d unread after one was read", n)
	}
	for _, id := range []string{all, private, old} {
		a.Post(t, "i/read-announcement", m{"announcementId": id})
	}
	sock.Next("all read", func(msg m) bool { return testsrv.Dig(msg, "body", "type") == "readAllAnnouncements" })
	list := root.List(t, "admin/announcements/list", m{})
	if len(list) != 2 {
		t.Fatalf("moderators see %v", list)
	}
	testsrv.Is(t, list[1], 2.0, "reads")
	root.Post(t, "admin/announcements/update", m{"id": all, "isActive": false, "title": "old bread"})
	root.Fails(t, "admin/announcements/update", m{"id": "nothing000", "title": "x"}, 400, "NO_SUCH_ANNOUNCEMENT")
	if l := s.Guest().List(t, "announcements", m{}); len(l) != 0 {
		t.Errorf("a visitor sees %v", l)
	}
	if l := s.Guest().List(t, "announcements", m{"isActive": false}); len(l) != 1 {
		t.Errorf("of old ones a visitor sees %v", l)
	}
	root.Post(t, "admin/announcements/delete", m{"id": all})
	root.Fails(t, "admin/announcements/delete", m{"id": all}, 400, "NO_SUCH_ANNOUNCEMENT")
	// The log keeps that something was said to one account, and not what.
	logged := root.List(t, "admin/show-moderation-logs", m{"type": "createUserAnnouncement"})
	if len(logged) != 1 {
		t.Fatalf("logged %v", logged)
	}
	testsrv.Is(t, logged[0], "", "info", "announcement", "text")
	late.Fails(t, "announcements/show", m{"announcementId": old}, 400, "NO_SUCH_ANNOUNCEMENT")
}
