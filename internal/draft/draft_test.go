package draft_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"buttersc.one/oven/internal/testsrv"
)

type m = testsrv.M

func eventually(t *testing.T, what string, f func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !f(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within 30 s: %s", what)
		}
	}
}

func make1(t *testing.T, u *testsrv.User, params m) m {
	t.Helper()
	return testsrv.Dig(u.Post(t, "notes/drafts/create", params), "createdDraft").(m)
}

// A draft is kept as it was written, changed in part, listed and deleted by its author
// alone.
func TestDrafts(t *testing.T) {
	t.Parallel()
	s := testsrv.New(t)
	alice, bob := s.User(t, "alice"), s.User(t, "bob")
	quoted := testsrv.Dig(bob.Post(t, "notes/create", m{"text": "crust"}), "createdNote", "id")
	empty := make1(t, alice, m{})
	if empty["visibility"] != "public" || empty["text"] != nil || empty["isActuallyScheduled"] != false || testsrv.Dig(empty, "user", "username") != "alice" {
		t.Errorf("an empty draft: %v", empty)
	}
	d := make1(t, alice, m{"text": "half baked", "cw": "bread", "visibility": "specified", "visibleUserIds": []string{bob.ID}, "renoteId": quoted, "hashtag": "빵", "localOnly": true,
		"poll": m{"choices": []string{"rye"}, "multiple": true, "expiredAfter": 60000}, "reactionAcceptance": "likeOnly", "scheduledAt": time.Now().Add(time.Hour).UnixMilli()})
	if d["text"] != "half baked" || testsrv.Dig(d, "renote", "text") != "crust" || testsrv.Dig(d, "poll", "choices", 0) != "rye" || d["hashtag"] != "빵" || d["scheduledAt"] == nil ||
		testsrv.Dig(d, "visibleUserIds", 0) != bob.ID || fmt.Sprint(d["fileIds"], d["files"]) != "[] []" {
		t.Errorf("a draft: %v", d)
	}
	up := testsrv.Dig(alice.Post(t, "notes/drafts/update", m{"draftId": d["id"], "text": "baked", "cw": nil, "poll": nil}), "updatedDraft").(m)
	if up["text"] != "baked" || up["cw"] != nil || up["poll"] != nil || up["visibility"] != "specified" || up["id"] != d["id"] || up["reactionAcceptance"] != "likeOnly" {
		t.Errorf("updated: %v", up)
	}
	if list := alice.List(t, "notes/drafts/list", m{}); len(list) != 2 || list[0]["text"] != "baked" {
		t.Errorf("list: %v", list)
	}
	if list := alice.List(t, "notes/drafts/list", m{"scheduled": true}); len(list) != 0 {
		t.Errorf("scheduled: %v", list)
	}
	if list := alice.List(t, "notes/drafts/list", m{"scheduled": false, "untilId": d["id"], "limit": 1}); len(list) != 1 || list[0]["id"] != empty["id"] {
		t.Errorf("the next page: %v", list)
	}
	if n := alice.Post(t, "notes/drafts/count", m{}); n != 2.0 {
		t.Errorf("count: %v", n)
	}
	// Another's draft is as if it were not there.
	for _, name := range []string{"notes/drafts/update", "notes/drafts/delete"} {
		bob.Fails(t, name, m{"draftId": d["id"]}, 400, "NO_SUCH_NOTE_DRAFT")
	}
	if list := bob.List(t, "notes/drafts/list", m{}); len(list) != 0 {
		t.Errorf("another's drafts: %v", list)
	}
	alice.Post(t, "notes/drafts/delete", m{"draftId": d["id"]})
	alice.Fails(t, "notes/drafts/delete", m{"draftId": d["id"]}, 400, "NO_SUCH_NOTE_DRAFT")
	if n := alice.Post(t, "notes/drafts/count", m{}); n != 1.0 {
		t.Errorf("count: %v", n)
	}
}

// What a draft cannot be is refused, and changes nothing; a role says how many there may
// be.
func TestDraftsRefused(t *testing.T) {
	t.Parallel()
	s := testsrv.New(t)
	alice, bob := s.User(t, "alice"), s.User(t, "bob")
	hidden := testsrv.Dig(bob.Post(t, "notes/create", m{"text": "x", "visibility": "specified"}), "createdNote", "id")
	past, soon := time.Now().Add(-time.Minute).UnixMilli(), time.Now().Add(time.Hour).UnixMilli()
	for _, c := range []struct {
		params m
		code   string
	}{
		{m{"text": strings.Repeat("x", 3001)}, "INVALID_PARAM"}, {m{"visibility": "all"}, "INVALID_PARAM"}, {m{"poll": m{"choices": []string{"a", "a"}}}, "INVALID_PARAM"},
		{m{"text": "x", "replyId": hidden}, "NO_SUCH_REPLY_TARGET"}, {m{"text": "x", "renoteId": hidden}, "NO_SUCH_RENOTE_TARGET"},
		{m{"fileIds": []string{alice.ID}}, "NO_SUCH_FILE"}, {m{"isActuallyScheduled": true, "text": "x"}, "SCHEDULED_AT_REQUIRED"},
		{m{"isActuallyScheduled": true, "text": "x", "scheduledAt": past}, "SCHEDULED_AT_MUST_BE_IN_FUTURE"},
		{m{"isActuallyScheduled": true, "scheduledAt": soon}, "INVALID_PARAM"}, {m{"isActuallyScheduled": true, "scheduledAt": soon, "text": " "}, "INVALID_PARAM"},
		{m{"isActuallyScheduled": true, "scheduledAt": soon, "poll": m{"choices": []string{"a"}}}, "INVALID_PARAM"},
	} {
		alice.Fails(t, "notes/drafts/create", c.params, 400, c.code)
	}
	if n := alice.Post(t, "notes/drafts/count", m{}); n != 0.0 {
		t.Errorf("%v drafts of what was refused", n)
	}
	later := make1(t, alice, m{"text": "later", "isActuallyScheduled": true, "scheduledAt": soon})
	alice.Fails(t, "notes/drafts/create", m{"text": "more", "isActuallyScheduled": true, "scheduledAt": soon}, 400, "TOO_MANY_SCHEDULED_NOTES")
	alice.Post(t, "notes/drafts/update", m{"draftId": later["id"], "text": "much later", "scheduledAt": soon + 60000}) // itself it does not count
	for range 9 {
		make1(t, alice, m{"text": "x"})
	}
	alice.Fails(t, "notes/drafts/create", m{"text": "one more"}, 400, "TOO_MANY_DRAFTS")
	alice.Fails(t, "notes/drafts/update", m{"draftId": alice.List(t, "notes/drafts/list", m{"scheduled": false})[0]["id"], "isActuallyScheduled": true, "scheduledAt": soon}, 400, "TOO_MANY_SCHEDULED_NOTES")
}

// What is scheduled is posted once, at its time, and its author told; what cannot be
// stays a draft, and the author is told that.
func TestScheduled(t *testing.T) {
	t.Parallel()
	s := testsrv.New(t)
	alice, bob := s.User(t, "alice"), s.User(t, "bob")
	target := testsrv.Dig(bob.Post(t, "notes/create", m{"text": "crust"}), "createdNote", "id")
	at := func(d time.Duration) int64 { return time.Now().Add(d).UnixMilli() }
	never := make1(t, bob, m{"text": "never", "isActuallyScheduled": true, "scheduledAt": at(1500 * time.Millisecond)})
	bob.Post(t, "notes/drafts/update", m{"draftId": never["id"], "isActuallyScheduled": false})
	d := make1(t, alice, m{"text": "fresh", "replyId": target, "isActuallyScheduled": true, "scheduledAt": at(time.Hour)})
	alice.Post(t, "notes/drafts/update", m{"draftId": d["id"], "scheduledAt": at(time.Second), "text": "fresh bread"})
	s.Stop(t) // it is posted by whoever runs
	s.Start(t)
	eventually(t, "the note", func() bool { return len(alice.List(t, "users/notes", m{"userId": alice.ID, "withReplies": true})) == 1 })
	s.Settle(t)
	posted := alice.List(t, "users/notes", m{"userId": alice.ID, "withReplies": true})[0]
	if posted["text"] != "fresh bread" || posted["replyId"] != target {
		t.Errorf("posted: %v", posted)
	}
	if n := alice.Post(t, "notes/drafts/count", m{}); n != 0.0 {
		t.Errorf("%v drafts are left", n)
	}
	if l := alice.List(t, "i/notifications", m{"includeTypes": []string{"scheduledNotePosted"}}); len(l) != 1 || testsrv.Dig(l[0], "note", "id") != posted["id"] {
		t.Errorf("told: %v", l)
	}
	if l := bob.List(t, "i/notifications", m{"includeTypes": []string{"reply"}}); len(l) != 1 {
		t.Errorf("the other is told: %v", l)
	}

	fails := make1(t, alice, m{"text": "fails", "replyId": target, "isActuallyScheduled": true, "scheduledAt": at(time.Second)})
	bob.Post(t, "notes/delete", m{"noteId": target})
	eventually(t, "the failure", func() bool {
		l := alice.List(t, "i/notifications", m{"includeTypes": []string{"scheduledNotePostFailed"}})
		return len(l) == 1 && testsrv.Dig(l[0], "noteDraft", "id") == fails["id"] && testsrv.Dig(l[0], "noteDraft", "isActuallyScheduled") == false
	})
	if l := alice.List(t, "notes/drafts/list", m{"scheduled": false}); len(l) != 1 || l[0]["text"] != "fails" {
		t.Errorf("what failed: %v", l)
	}
	if l := bob.List(t, "users/notes", m{"userId": bob.ID}); len(l) != 0 {
		t.Errorf("what was taken back was posted: %v", l)
	}
	if l := bob.List(t, "notes/drafts/list", m{}); len(l) != 1 {
		t.Errorf("what was taken back is gone: %v", l)
	}
}
