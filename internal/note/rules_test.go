package note_test

import (
	"encoding/json"
	"strings"
	"testing"

	"buttersc.one/oven/internal/testsrv"
)

// What is read out of a text, and what is not when the client says so.
func TestExtraction(t *testing.T) {
	t.Parallel()
	s := testsrv.New(t)
	a, b, c := s.User(t, "alice"), s.User(t, "bora"), s.User(t, "cha")
	create := func(p m) any { t.Helper(); return testsrv.Dig(a.Post(t, "notes/create", p), "createdNote") }
	n := create(m{"text": "@bora #하나 `@cha #둘`", "cw": "#셋", "poll": m{"choices": []string{"#넷", "@cha"}}})
	testsrv.Is(t, n, []any{b.ID, c.ID}, "mentions")
	testsrv.Is(t, n, []any{"하나", "셋", "넷"}, "tags")
	n = create(m{"text": "@bora #하나", "noExtractMentions": true, "noExtractHashtags": true, "noExtractEmojis": true})
	testsrv.Is(t, n, nil, "mentions")
	testsrv.Is(t, n, nil, "tags")
	n = create(m{"text": "@nobody @bora@far.example @alice @" + b.Name + "@" + s.Host})
	if l, _ := testsrv.Dig(n, "mentions").([]any); len(l) > 1 {
		t.Errorf("mentions %v", l)
	}
	n = create(m{"text": "ＡＢＣ #Ｔａｇ #tag " + "#" + strings.Repeat("가", 129)})
	testsrv.Is(t, n, []any{"tag"}, "tags")
	// Whom a direct note is for, it mentions; the author of what it answers is
	// one of them.
	mine := b.Note(t, m{"text": "x"})
	n = create(m{"text": "x", "visibility": "specified", "visibleUserIds": []string{c.ID, a.ID, "nobody0"}, "replyId": mine})
	for _, key := range []string{"mentions", "visibleUserIds"} {
		l, _ := testsrv.Dig(n, key).([]any)
		if !has(l, b.ID) || !has(l, c.ID) {
			t.Errorf("%s %v", key, l)
		}
	}
	testsrv.Is(t, create(m{"text": "x", "visibleUserIds": []string{b.ID}}), nil, "visibleUserIds")
}

func has(l []any, id string) bool {
	for _, x := range l {
		if x == id {
			return true
		}
	}
	return false
}

// Policies and rules that narrow what may be written.
func TestPolicies(t *testing.T) {
	t.Parallel()
	s := testsrv.New(t)
	a, b := s.User(t, "alice"), s.User(t, "bora")
	local := a.Note(t, m{"text": "l", "localOnly": true})
	testsrv.Is(t, b.Post(t, "notes/create", m{"renoteId": local}), true, "createdNote", "localOnly")
	testsrv.Is(t, b.Post(t, "notes/create", m{"text": "q", "renoteId": local}), true, "createdNote", "localOnly")
	own := a.Note(t, m{"text": "f", "visibility": "followers"})
	testsrv.Is(t, a.Post(t, "notes/create", m{"renoteId": own, "visibility": "public"}), "followers", "createdNote", "visibility")
	testsrv.Is(t, a.Post(t, "notes/create", m{"text": "q", "renoteId": own, "visibility": "specified"}), "specified", "createdNote", "visibility")
	s.Set(t, m{"policies": m{"canPublicNote": false, "mentionLimit": 1}})
	testsrv.Is(t, a.Post(t, "notes/create", m{"text": "x"}), "home", "createdNote", "visibility")
	testsrv.Is(t, a.Post(t, "notes/create", m{"text": "x", "visibility": "followers"}), "followers", "createdNote", "visibility")
	s.User(t, "cha")
	a.Post(t, "notes/create", m{"text": "@bora @bora @alice"})
	before := count(t, s)
	a.Fails(t, "notes/create", m{"text": "@bora @cha"}, 400, "CONTAINS_TOO_MANY_MENTIONS")
	if after := count(t, s); after != before {
		t.Error("a refused note was written")
	}
	// An account that has moved writes nothing.
	if _, err := s.DB.Exec(t.Context(), `UPDATE "user" SET moved_to_uri = 'https://far.example/a' WHERE id = $1`, b.ID); err != nil {
		t.Fatal(err)
	}
	moved := testsrv.Dig(s.Guest().Post(t, "signin", m{"username": "bora", "password": "password"}), "i").(string)
	s.App.Auth.Reset()
	(&testsrv.User{S: s, Token: moved}).Fails(t, "notes/create", m{"text": "x"}, 403, "YOUR_ACCOUNT_MOVED")
}

// A note shows nothing of what its reader may not see: neither of what it
// answers or quotes, nor of the thread above.
func TestHiddenTargets(t *testing.T) {
	t.Parallel()
	s := testsrv.New(t)
	a, b, stranger := s.User(t, "alice"), s.User(t, "bora"), s.User(t, "stranger")
	b.Post(t, "following/create", m{"userId": a.ID})
	secret := a.Note(t, m{"text": "secret", "cw": "secret", "visibility": "followers", "poll": m{"choices": []string{"secret", "x"}}})
	answer := b.Note(t, m{"text": "answer", "replyId": secret, "visibility": "home"})
	quote := a.Note(t, m{"text": "@stranger quote", "renoteId": secret})
	watch := stranger.Stream(t, "main", "globalTimeline")
	below := a.Note(t, m{"text": "@stranger below", "replyId": answer})
	for what, got := range map[string]any{
		"reply":        stranger.Post(t, "notes/show", m{"noteId": answer}),
		"quote":        stranger.Post(t, "notes/show", m{"noteId": quote}),
		"conversation": stranger.Post(t, "notes/conversation", m{"noteId": below}),
		"users/notes":  stranger.Post(t, "users/notes", m{"userId": a.ID, "withReplies": true}),
		"guests":       s.Guest().Post(t, "notes/show", m{"noteId": answer}),
		"told of":      stranger.Post(t, "i/notifications", m{}),
		"live":         watch.Next("mention", func(e m) bool { return testsrv.Dig(e, "body", "type") == "mention" }),
	} {
		if text := plain(got); strings.Contains(text, "secret") {
			t.Errorf("%s shows %s", what, text)
		}
	}
	testsrv.Is(t, stranger.Post(t, "notes/show", m{"noteId": answer}), true, "reply", "isHidden")
	testsrv.Is(t, stranger.Post(t, "notes/show", m{"noteId": quote}), true, "renote", "isHidden")
	testsrv.Is(t, b.Post(t, "notes/show", m{"noteId": answer}), "secret", "reply", "text")
	// Who stops being a follower stops seeing.
	b.Post(t, "following/delete", m{"userId": a.ID})
	testsrv.Is(t, b.Post(t, "notes/show", m{"noteId": secret}), true, "isHidden")
	b.Fails(t, "notes/polls/vote", m{"noteId": secret, "choice": 0}, 400, "NO_SUCH_NOTE")
}

// plain is JSON as text.
func plain(v any) string { b, _ := json.Marshal(v); return string(b) }
