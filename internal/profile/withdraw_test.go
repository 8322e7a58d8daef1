package profile_test

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"buttersc.one/oven/internal/testsrv"
)

// reads is everything by which a note can be read, each telling whether it was.
func reads(t *testing.T, u *testsrv.User, author, noteID string) map[string]bool {
	t.Helper()
	out := map[string]bool{}
	shown := func(n any) bool { return testsrv.Dig(n, "text") == "secret bread #bread" }
	in := func(l []m) bool {
		return slices.ContainsFunc(l, func(n m) bool { return shown(n) || shown(n["renote"]) || shown(n["reply"]) })
	}
	out["show"] = shown(u.Post(t, "notes/show", m{"noteId": noteID}))
	lists := map[string]m{"users/notes": {"userId": author}, "notes/local-timeline": {}, "notes/global-timeline": {}, "notes/search-by-tag": {"tag": "bread"},
		"notes": {}, "notes/featured": {}, "users/featured-notes": {"userId": author}}
	if u.Token != "" {
		lists["notes/timeline"], lists["notes/hybrid-timeline"] = m{}, m{}
	}
	for name, p := range lists {
		p["limit"] = 50
		out[name] = in(u.List(t, name, p))
	}
	for _, name := range []string{"notes/reactions", "notes/renotes", "notes/conversation"} {
		status, _ := u.Call(t, name, m{"noteId": noteID})
		out[name] = status == 200
	}
	if l := u.List(t, "notes/show-partial-bulk", m{"noteIds": []string{noteID}}); len(l) > 0 {
		out["partial"] = true
	}
	pins := u.Post(t, "users/show", m{"userId": author})
	out["pinned"] = shown(testsrv.Dig(pins, "pinnedNotes", 0))
	return out
}

// fetched is what other servers, and browsers, can fetch.
func fetched(t *testing.T, s *testsrv.Server, author, noteID string) map[string]bool {
	t.Helper()
	out := map[string]bool{}
	for what, c := range map[string][2]string{"document": {"/notes/" + noteID, "application/activity+json"}, "activity": {"/notes/" + noteID + "/activity", "application/activity+json"},
		"outbox": {"/users/" + author + "/outbox?page=true", "application/activity+json"}, "featured": {"/users/" + author + "/collections/featured", "application/activity+json"},
		"page": {"/notes/" + noteID, "text/html"}, "account's page": {"/@alice", "text/html"}, "tag's page": {"/tags/bread", "text/html"}} {
		req, err := http.NewRequest(http.MethodGet, s.Origin+c[0], nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Accept", c[1])
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		out[what] = strings.Contains(string(b), "secret bread")
	}
	return out
}

func all(t *testing.T, who string, got map[string]bool, want bool, but ...string) {
	t.Helper()
	for what, yes := range got {
		if yes != (want != slices.Contains(but, what)) {
			t.Errorf("%s, %s: seen is %v", who, what, yes)
		}
	}
}

// What an author withdraws is withheld wherever a note can be read, and comes
// back with the setting.
func TestWithdrawnNotes(t *testing.T) {
	t.Parallel()
	s := testsrv.New(t)
	alice, fan, other, guest := s.User(t, "alice"), s.User(t, "fan"), s.User(t, "other"), s.Guest()
	fan.Post(t, "following/create", m{"userId": alice.ID})
	other.Post(t, "users/show", m{"userId": alice.ID})
	id := alice.Note(t, m{"text": "secret bread #bread"})
	alice.Post(t, "i/pin", m{"noteId": id})
	other.Post(t, "notes/reactions/create", m{"noteId": id, "reaction": "🍞"})
	renote := other.Note(t, m{"renoteId": id})
	time.Sleep(1100 * time.Millisecond) // settings are in seconds
	set := func(p m) any { t.Helper(); return alice.Post(t, "i/update", p) }
	everything := func() {
		t.Helper()
		all(t, "alice", reads(t, alice, alice.ID, id), true)
		all(t, "the fan", reads(t, fan, alice.ID, id), true)
		all(t, "another", reads(t, other, alice.ID, id), true)
		all(t, "a guest", reads(t, guest, alice.ID, id), true)
		all(t, "servers", fetched(t, s, alice.ID, id), true)
	}
	everything()
	res := set(m{"requireSigninToViewContents": true})
	testsrv.Is(t, res, true, "requireSigninToViewContents")
	all(t, "signed in", reads(t, other, alice.ID, id), true)
	all(t, "a guest when signing in is needed", reads(t, guest, alice.ID, id), false)
	all(t, "servers when signing in is needed", fetched(t, s, alice.ID, id), true, "page", "account's page", "tag's page")
	testsrv.Is(t, guest.Post(t, "notes/show", m{"noteId": renote}), true, "renote", "isHidden")
	set(m{"requireSigninToViewContents": false})
	everything()
	for _, before := range []int64{time.Now().Unix() + 1, -1, 0} {
		res = set(m{"makeNotesFollowersOnlyBefore": before})
		testsrv.Is(t, res, float64(before), "makeNotesFollowersOnlyBefore")
		all(t, "alice's own, for followers", reads(t, alice, alice.ID, id), true)
		all(t, "the fan, for followers", reads(t, fan, alice.ID, id), true)
		testsrv.Is(t, fan.Post(t, "notes/show", m{"noteId": id}), "followers", "visibility")
		all(t, "another, for followers", reads(t, other, alice.ID, id), false)
		all(t, "a guest, for followers", reads(t, guest, alice.ID, id), false)
		all(t, "servers, for followers", fetched(t, s, alice.ID, id), false)
		// It is as a note for followers: those who see it do not spread it.
		fan.Fails(t, "notes/create", m{"renoteId": id}, 400, "CANNOT_RENOTE_DUE_TO_VISIBILITY")
		other.Fails(t, "notes/create", m{"replyId": id, "text": "x"}, 400, "CANNOT_REPLY_TO_AN_INVISIBLE_NOTE")
		other.Fails(t, "notes/favorites/create", m{"noteId": id}, 400, "NO_SUCH_NOTE")
	}
	set(m{"makeNotesFollowersOnlyBefore": nil, "makeNotesHiddenBefore": time.Now().Unix() + 1})
	all(t, "alice's own, hidden", reads(t, alice, alice.ID, id), true)
	all(t, "the fan, hidden", reads(t, fan, alice.ID, id), false)
	all(t, "a guest, hidden", reads(t, guest, alice.ID, id), false)
	all(t, "servers, hidden", fetched(t, s, alice.ID, id), false)
	fan.Fails(t, "notes/reactions/create", m{"noteId": id, "reaction": "🍞"}, 400, "NO_SUCH_NOTE")
	// Older than an hour it is not.
	set(m{"makeNotesHiddenBefore": -3600, "makeNotesFollowersOnlyBefore": -3600})
	everything()
	set(m{"makeNotesHiddenBefore": 1, "makeNotesFollowersOnlyBefore": 1})
	everything()
	for _, bad := range []any{"x", 1.5, true} {
		alice.Fails(t, "i/update", m{"makeNotesHiddenBefore": bad}, 400, "INVALID_PARAM")
	}
	for _, huge := range []any{int64(1) << 53, -(int64(1) << 53)} {
		set(m{"makeNotesHiddenBefore": huge})
		all(t, fmt.Sprint("alice's own, ", huge), reads(t, alice, alice.ID, id), true)
	}
}

// SQL and Go draw the line at the same note, for every form of id.
func TestBoundsAgree(t *testing.T) {
	t.Parallel()
	s := testsrv.New(t)
	for _, method := range []string{"aid", "aidx", "meid", "meidg", "ulid", "objectid"} {
		if _, err := s.DB.Exec(t.Context(), `UPDATE server SET id_method = $1`, method); err != nil {
			t.Fatal(err)
		}
		for _, sec := range []int64{1, 946684800, 1_000_000_000, 1_766_000_000, 3_600_000_000} {
			var got string
			if err := s.DB.QueryRow(t.Context(), `SELECT id_bound($1)`, sec).Scan(&got); err != nil {
				t.Fatal(err)
			}
			if want := before(method, sec); got != want[:len(got)] || strings.Trim(want[len(got):], "0") != "" {
				t.Errorf("%s at %d: %s in SQL, %s in Go", method, sec, got, want)
			}
		}
	}
	if _, err := s.DB.Exec(t.Context(), `UPDATE server SET id_method = 'aidx'`); err != nil {
		t.Fatal(err)
	}
}

// Whoever captured a note hears no more of it once it is withdrawn, and streams
// never show what guests may not see.
func TestWithdrawnLive(t *testing.T) {
	t.Parallel()
	s := testsrv.New(t)
	alice, fan, other := s.User(t, "alice"), s.User(t, "fan"), s.User(t, "other")
	fan.Post(t, "following/create", m{"userId": alice.ID})
	id := alice.Note(t, m{"text": "secret"})
	time.Sleep(1100 * time.Millisecond)
	socks := map[string]*testsrv.Socket{"fan": fan.Stream(t, "localTimeline"), "other": other.Stream(t, "localTimeline"), "guest": s.Guest().Stream(t, "localTimeline")}
	for _, sock := range socks {
		sock.Capture(id)
	}
	reacted := func(e m) bool { return e["type"] == "noteUpdated" && testsrv.Dig(e, "body", "id") == id }
	heard := func(who string, want bool, wanted func(e m) bool) {
		t.Helper()
		last := other.Note(t, m{"text": "last"})
		got := false
		socks[who].Next("the last note", func(e m) bool {
			got = got || wanted(e)
			return testsrv.Dig(e, "body", "body", "id") == last
		})
		if got != want {
			t.Errorf("%s heard it: %v, want %v", who, got, want)
		}
	}
	fan.Post(t, "notes/reactions/create", m{"noteId": id, "reaction": "🍞"})
	s.Settle(t)
	for who := range socks {
		heard(who, true, reacted)
	}
	alice.Post(t, "i/update", m{"makeNotesFollowersOnlyBefore": 0})
	s.Settle(t)
	fan.Post(t, "notes/reactions/delete", m{"noteId": id})
	s.Settle(t)
	for who, want := range map[string]bool{"fan": true, "other": false, "guest": false} {
		heard(who, want, reacted)
	}
	// New notes of one who wants no guests, and another's quote of them.
	alice.Post(t, "i/update", m{"makeNotesFollowersOnlyBefore": nil, "requireSigninToViewContents": true})
	s.Settle(t)
	text := func(e m) bool { return strings.Contains(fmt.Sprint(e), "for members") }
	fresh := alice.Note(t, m{"text": "for members"})
	for who, want := range map[string]bool{"fan": true, "other": true, "guest": false} {
		heard(who, want, text)
	}
	other.Note(t, m{"text": "look", "renoteId": fresh})
	for who, want := range map[string]bool{"fan": true, "other": true, "guest": false} {
		heard(who, want, text)
	}
	other.Note(t, m{"text": "yes", "replyId": fresh})
	heard("guest", false, text)
}
