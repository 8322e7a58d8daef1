package letter_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"buttersc.one/oven/internal/testsrv"
)

type m = testsrv.M

// world is a server that sends mail, and whose clock is moved.
type world struct {
	*testsrv.Server
	t   *testing.T
	box *testsrv.Mailbox
	now time.Duration
}

func newWorld(t *testing.T) *world {
	t.Helper()
	s := testsrv.New(t)
	return &world{Server: s, t: t, box: s.Mailbox(t)}
}

// user signs up with a proven address.
func (w *world) user(name string) *testsrv.User {
	w.t.Helper()
	u := w.User(w.t, name)
	address := name + "@example.com"
	u.Post(w.t, "i/update-email", m{"password": "password", "email": address})
	w.Settle(w.t)
	w.Guest().Post(w.t, "verify-email", m{"code": w.box.Link(address)})
	w.Settle(w.t)
	return u
}

func (w *world) later(d time.Duration) {
	w.t.Helper()
	w.now += d
	w.Settle(w.t)
	w.Guest().Post(w.t, "oven/clock", m{"offsetMs": w.now.Milliseconds()})
	w.Settle(w.t)
}

// letters are those to the account after what proved its address.
func (w *world) letters(name string) []testsrv.Letter {
	var out []testsrv.Letter
	for _, l := range w.box.To(name + "@example.com") {
		if strings.Contains(l.Text, "/settings/email") {
			out = append(out, l)
		}
	}
	return out
}

// Who has not read what happened is written to, once in a while, however much it is.
func TestDigest(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a, b := w.user("alice"), w.user("bora")
	unproven := w.User(t, "nobody")
	a.Post(t, "i/update", m{"lang": "ko-KR", "emailNotificationTypes": []string{"follow", "reply"}})
	b.Post(t, "i/update", m{"emailNotificationTypes": []string{}})
	id := a.Note(t, m{"text": "빵"})
	var fans []*testsrv.User
	for i := range 5 {
		fans = append(fans, w.User(t, fmt.Sprint("fan", i)))
		fans[i].Post(t, "following/create", m{"userId": a.ID})
		fans[i].Post(t, "following/create", m{"userId": b.ID})
		fans[i].Post(t, "following/create", m{"userId": unproven.ID})
	}
	fans[0].Note(t, m{"text": "비밀 이야기", "replyId": id})
	fans[0].Note(t, m{"text": "@alice hello"}) // not asked for
	w.later(29 * time.Minute)
	if l := w.letters("alice"); len(l) != 0 {
		t.Fatalf("too early: %+v", l)
	}
	w.later(2 * time.Minute)
	l := w.letters("alice")
	if len(l) != 1 || !strings.Contains(l[0].Subject, "읽지 않은 알림이 6개") || !strings.Contains(l[0].Text, "@fan4, @fan3, @fan2 외 2명 님이 팔로우했어요.") ||
		!strings.Contains(l[0].Text, "@fan0 님이 답글을 남겼어요.") || strings.Contains(l[0].Text, "비밀") || strings.Contains(l[0].Text, "언급") {
		t.Fatalf("letters %+v", l)
	}
	if all := len(w.letters("bora")) + len(w.letters("nobody")); all != 0 {
		t.Errorf("%d letters that nobody asked for", all)
	}

	// What follows waits, and is left out when it has been read.
	fans[1].Note(t, m{"text": "다시", "replyId": id})
	w.later(5 * time.Hour)
	if l := w.letters("alice"); len(l) != 1 {
		t.Fatalf("%d letters within six hours", len(l))
	}
	a.Post(t, "notifications/mark-all-as-read", m{})
	fans[2].Note(t, m{"text": "또", "replyId": id})
	w.later(2 * time.Hour)
	if l = w.letters("alice"); len(l) != 2 || !strings.Contains(l[1].Text, "@fan2 님이") || strings.Contains(l[1].Text, "fan1") {
		t.Fatalf("letters %+v", l)
	}
	fans[3].Note(t, m{"text": "그리고", "replyId": id})
	a.Post(t, "notifications/mark-all-as-read", m{})
	w.later(12 * time.Hour)
	// Nor is somebody written to who does not want it any more.
	fans[3].Note(t, m{"text": "그리고", "replyId": id})
	w.Settle(t)
	a.Post(t, "i/update", m{"emailNotificationTypes": []string{}})
	w.later(12 * time.Hour)
	if l = w.letters("alice"); len(l) != 2 {
		t.Errorf("letters %+v", l[2:])
	}
}

// Announcements that are to be confirmed are written to all who want that, each once,
// whatever ends in between.
func TestNews(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	root := w.User(t, "root")
	w.user("alice")
	unwilling := w.user("bora")
	unwilling.Post(t, "i/update", m{"receiveAnnouncementEmail": false})
	// As many as make three pages, by hand: mail to each is proven.
	if _, err := w.DB.Exec(t.Context(), `
WITH u AS (INSERT INTO "user" (id, username, username_lower, updated_at) SELECT 'z' || lpad(g::text, 15, '0'), 'u' || g, 'u' || g, now() FROM generate_series(1, 120) g RETURNING id, username),
p AS (INSERT INTO user_profile (user_id) SELECT id FROM u)
INSERT INTO account (user_id, password_hash, token_hash, token_enc, email, email_verified) SELECT id, '', sha256(id::bytea), '', username || '@example.com', true FROM u`); err != nil {
		t.Fatal(err)
	}
	news := func(p m) {
		t.Helper()
		for k, v := range (m{"title": "이사", "text": "내일 새 오븐으로 이사해요.", "imageUrl": nil}) {
			p[k] = v
		}
		root.Post(t, "admin/announcements/create", p)
		w.Settle(t)
	}
	news(m{})
	news(m{"needConfirmationToRead": true, "silence": true})
	if l := w.letters("alice"); len(l) != 0 {
		t.Fatalf("letters %+v", l)
	}
	news(m{"needConfirmationToRead": true})
	count := func(name string) int { return len(w.letters(name)) }
	for _, name := range []string{"alice", "u1", "u60", "u120"} {
		if n := count(name); n != 1 {
			t.Errorf("%s has %d letters", name, n)
		}
	}
	if l := w.letters("alice"); l[0].Subject == "" || !strings.Contains(l[0].Subject, "이사") || !strings.Contains(l[0].Text, "새 오븐으로") {
		t.Errorf("letter %+v", l[0])
	}
	if n := count("bora"); n != 0 {
		t.Errorf("who wants none has %d", n)
	}
	if n := w.Count(t, `SELECT count(*) FROM letter_news`); n != 0 {
		t.Errorf("%d unfinished", n)
	}
	news(m{"needConfirmationToRead": true, "userId": unwilling.ID})
	unwilling.Post(t, "i/update", m{"receiveAnnouncementEmail": true})
	news(m{"needConfirmationToRead": true, "userId": unwilling.ID})
	if got := fmt.Sprint(count("alice"), count("bora"), count("u1")); got != "1 1 1" {
		t.Errorf("a personal one: %s", got)
	}
	// A job that is run again has nothing left to do.
	if _, err := w.DB.Exec(t.Context(), `UPDATE river.river_job SET state = 'available', finalized_at = NULL, scheduled_at = now() WHERE kind = 'letter.news'`); err != nil {
		t.Fatal(err)
	}
	w.Settle(t)
	if got := fmt.Sprint(count("alice"), count("bora"), count("u1")); got != "1 1 1" {
		t.Errorf("run again: %s", got)
	}
}
