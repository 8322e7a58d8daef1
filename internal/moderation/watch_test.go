package moderation_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"buttersc.one/oven/internal/testsrv"
)

// told is an address that takes note of what it is told.
type told struct {
	*httptest.Server
	mu  sync.Mutex
	got []m
}

func listen(t *testing.T) *told {
	t.Helper()
	l := &told{}
	l.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var b m
		if err := json.NewDecoder(r.Body).Decode(&b); err != nil {
			t.Error(err)
		}
		l.mu.Lock()
		l.got = append(l.got, b)
		l.mu.Unlock()
		w.WriteHeader(http.StatusNoContent)
	}))
	t.Cleanup(l.Close)
	return l
}

func (l *told) of(typ string) (out []m) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, b := range l.got {
		if b["type"] == typ {
			out = append(out, b)
		}
	}
	return out
}

// Moderators who stay away are warned, once a day; after seven days it needs an
// invitation to sign up, and they are told once.
func TestModeratorsAway(t *testing.T) {
	t.Parallel()
	s := testsrv.New(t)
	root := s.User(t, "chief")
	mod := moderator(t, root, "mori")
	box := s.Mailbox(t)
	mod.Post(t, "i/update", m{"lang": "ko-KR"})
	prove(t, box, mod, "mori@example.com")
	l := listen(t)
	root.Post(t, "admin/system-webhook/create", m{"isActive": true, "name": "h", "on": []string{"inactiveModeratorsWarning", "inactiveModeratorsInvitationOnlyChanged"}, "url": l.URL, "secret": ""})
	root.Post(t, "i", m{})
	clock := func(days float64) {
		t.Helper()
		s.Guest().Post(t, "oven/clock", m{"offsetMs": int64(days * float64(24*time.Hour/time.Millisecond))})
		s.Settle(t)
	}
	warned, letters := "inactiveModeratorsWarning", func(subject string) (n int) {
		for _, x := range box.To("mori@example.com") {
			if strings.Contains(x.Subject, subject) {
				n++
			}
		}
		return n
	}
	seen := func(what string, warnings, closings int) {
		t.Helper()
		if w, c := len(l.of(warned)), len(l.of("inactiveModeratorsInvitationOnlyChanged")); w != warnings || c != closings {
			t.Errorf("%s: %d warnings, closed %d times", what, w, c)
		}
		if n := letters("곧 초대를"); n != warnings {
			t.Errorf("%s: %d letters of warning, want %d", what, n, warnings)
		}
		if n := letters("이제 초대를"); n != closings {
			t.Errorf("%s: %d letters of closing, want %d", what, n, closings)
		}
		testsrv.Is(t, s.Guest().Post(t, "meta", m{}), closings > 0, "disableRegistration")
	}
	clock(3)
	seen("after three days", 0, 0)
	clock(5.2)
	seen("after five days", 1, 0)
	first := l.of(warned)[0]["body"]
	testsrv.Is(t, first, 1, "remainingTime", "asDays")
	if h, _ := testsrv.Dig(first, "remainingTime", "asHours").(float64); h < 42 || h > 43 {
		t.Errorf("left: %v", first)
	}
	clock(5.6)
	seen("on the same day", 1, 0)
	clock(6.5)
	seen("after six days", 2, 0)
	testsrv.Is(t, l.of(warned)[1], 1, "body", "remainingTime", "asDays")

	// Somebody comes by: nothing more happens until they are away again.
	if _, err := s.DB.Exec(t.Context(), `UPDATE user_stat SET last_active_at = now() + interval '6 days' WHERE user_id = $1`, mod.ID); err != nil {
		t.Fatal(err)
	}
	clock(8)
	seen("somebody was here", 2, 0)
	if _, err := s.DB.Exec(t.Context(), `UPDATE user_stat SET last_active_at = now() WHERE user_id = $1`, mod.ID); err != nil {
		t.Fatal(err)
	}
	clock(8.01)
	seen("after eight days", 2, 1)
	clock(9.5)
	seen("it stays so, and nobody is told again", 2, 1)
	s.Guest().Fails(t, "signup", m{"username": "late", "password": "password"}, 400, "REGISTRATION_CLOSED")
	for _, u := range []*testsrv.User{root, mod} {
		list := u.List(t, "announcements", m{"isActive": true})
		if len(list) != 1 || list[0]["forYou"] != true || list[0]["icon"] != "warning" {
			t.Errorf("%s is told %v", u.Name, list)
		}
	}
	logs := root.List(t, "admin/show-moderation-logs", m{"type": "updateServerSettings"})
	if len(logs) != 1 || testsrv.Dig(logs[0], "info", "after", "disableRegistration") != true {
		t.Errorf("log %v", logs)
	}
}

// A suspended moderator is not there, a server where nobody has been yet is left as it
// is, and one that was away itself warns first.
func TestNobodyHasBeenHere(t *testing.T) {
	t.Parallel()
	s := testsrv.New(t)
	root := s.User(t, "chief")
	if _, err := s.DB.Exec(t.Context(), `UPDATE user_stat SET last_active_at = NULL`); err != nil {
		t.Fatal(err)
	}
	s.Guest().Post(t, "oven/clock", m{"offsetMs": (9 * 24 * time.Hour).Milliseconds()})
	s.Settle(t)
	testsrv.Is(t, s.Guest().Post(t, "meta", m{}), false, "disableRegistration")
	mod := moderator(t, root, "mori")
	if _, err := s.DB.Exec(t.Context(), `UPDATE user_stat SET last_active_at = now() + CASE WHEN user_id = $1 THEN interval '9 days' ELSE '1 day' END`, mod.ID); err != nil {
		t.Fatal(err)
	}
	if _, err := s.DB.Exec(t.Context(), `UPDATE "user" SET is_suspended = true WHERE id = $1`, mod.ID); err != nil {
		t.Fatal(err)
	}
	at := func(after time.Duration, closed bool) {
		t.Helper()
		s.Guest().Post(t, "oven/clock", m{"offsetMs": (9*24*time.Hour + after).Milliseconds()})
		s.Settle(t)
		testsrv.Is(t, s.Guest().Post(t, "meta", m{}), closed, "disableRegistration")
	}
	at(time.Minute, false)
	at(23*time.Hour, false)
	at(25*time.Hour, true)
}
