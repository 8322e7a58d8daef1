package note_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"buttersc.one/oven/internal/testsrv"
)

type m = testsrv.M

func TestCreate(t *testing.T) {
	t.Parallel()
	s := testsrv.New(t)
	a, b := s.User(t, "alice"), s.User(t, "bora")
	n := testsrv.Dig(a.Post(t, "notes/create", m{"text": "  안녕 **빵** #오븐 #123 @bora :x: \x00 ", "cw": "주의"}), "createdNote")
	testsrv.Is(t, n, "안녕 **빵** #오븐 #123 @bora :x:", "text")
	testsrv.Is(t, n, "주의", "cw")
	testsrv.Is(t, n, []any{"오븐"}, "tags")
	testsrv.Is(t, n, []any{b.ID}, "mentions")
	testsrv.Is(t, a.Post(t, "i", m{}), 1, "notesCount")
	// Hangul as macOS sends it is composed.
	testsrv.Is(t, a.Post(t, "notes/create", m{"text": "\u1112\u1161\u11ab"}), "한", "createdNote", "text")
	before := count(t, s)
	for body, want := range map[string]m{
		"nothing":         {},
		"white space":     {"text": " \n\t　"},
		"too long":        {"text": strings.Repeat("가", 3001)},
		"long warning":    {"text": "x", "cw": strings.Repeat("가", 101)},
		"bad visibility":  {"text": "x", "visibility": "secret"},
		"one choice":      {"text": "x", "poll": m{"choices": []string{"a"}}},
		"equal choices":   {"text": "x", "poll": m{"choices": []string{"a", "a"}}},
		"long choice":     {"text": "x", "poll": m{"choices": []string{"a", strings.Repeat("가", 51)}}},
		"bad id":          {"text": "x", "replyId": "a-b"},
		"number for text": {"text": 5},
	} {
		if status, out := a.Call(t, "notes/create", want); status != 400 || testsrv.Dig(out, "error", "code") != "INVALID_PARAM" {
			t.Errorf("%s: %d %v", body, status, out)
		}
	}
	a.Fails(t, "notes/create", m{"text": "x", "replyId": "nothing0"}, 400, "NO_SUCH_REPLY_TARGET")
	a.Fails(t, "notes/create", m{"renoteId": "nothing0"}, 400, "NO_SUCH_RENOTE_TARGET")
	a.Fails(t, "notes/create", m{"text": "x", "fileIds": []string{"nothing0"}}, 400, "NO_SUCH_FILE")
	a.Fails(t, "notes/create", m{"text": "x", "channelId": "nothing0"}, 400, "NO_SUCH_CHANNEL")
	a.Fails(t, "notes/create", m{"text": "x", "poll": m{"choices": []string{"a", "b"}, "expiresAt": 1000}}, 400, "CANNOT_CREATE_ALREADY_EXPIRED_POLL")
	s.Guest().Fails(t, "notes/create", m{"text": "x"}, 401, "CREDENTIAL_REQUIRED")
	if status, _ := s.Raw(t, "notes/create", []byte(`{"text":"`+strings.Repeat("a", 1<<20)+`"}`)); status != 413 {
		t.Errorf("1 MiB and more: %d", status)
	}
	if status, _ := s.Raw(t, "notes/create", []byte(`{"text":`)); status != 400 {
		t.Errorf("half a body: %d", status)
	}
	if after := count(t, s); after != before {
		t.Errorf("bad input made %d notes", after-before)
	}
	a.Note(t, m{"text": strings.Repeat("가", 3000)})
}

func count(t *testing.T, s *testsrv.Server) (n int) {
	t.Helper()
	if err := s.DB.QueryRow(t.Context(), "SELECT count(*) FROM note").Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// What a note's target and the server's rules make of its visibility.
func TestVisibilityRules(t *testing.T) {
	t.Parallel()
	s := testsrv.New(t)
	a, b := s.User(t, "alice"), s.User(t, "bora")
	visibility := func(u *testsrv.User, p m) any {
		return testsrv.Dig(u.Post(t, "notes/create", p), "createdNote", "visibility")
	}
	home := a.Note(t, m{"text": "h", "visibility": "home"})
	followers := a.Note(t, m{"text": "f", "visibility": "followers"})
	direct := a.Note(t, m{"text": "d", "visibility": "specified", "visibleUserIds": []string{b.ID}})
	local := a.Note(t, m{"text": "l", "localOnly": true})
	if v := visibility(b, m{"renoteId": home}); v != "home" {
		t.Errorf("renote of home: %v", v)
	}
	if v := visibility(b, m{"text": "r", "replyId": home}); v != "home" {
		t.Errorf("reply to home: %v", v)
	}
	if v := visibility(a, m{"renoteId": followers}); v != "followers" {
		t.Errorf("own renote of followers: %v", v)
	}
	a.Fails(t, "notes/create", m{"renoteId": direct}, 400, "CANNOT_RENOTE_DUE_TO_VISIBILITY")
	b.Fails(t, "notes/create", m{"renoteId": followers}, 400, "NO_SUCH_RENOTE_TARGET") // cannot even see it
	b.Post(t, "following/create", m{"userId": a.ID})
	b.Fails(t, "notes/create", m{"renoteId": followers}, 400, "CANNOT_RENOTE_DUE_TO_VISIBILITY")
	b.Fails(t, "notes/create", m{"text": "x", "replyId": direct}, 400, "CANNOT_REPLY_TO_SPECIFIED_VISIBILITY_NOTE_WITH_EXTENDED_VISIBILITY")
	testsrv.Is(t, b.Post(t, "notes/create", m{"text": "x", "replyId": local}), true, "createdNote", "localOnly")
	reply := testsrv.Dig(b.Post(t, "notes/create", m{"text": "x", "replyId": direct, "visibility": "specified"}), "createdNote")
	testsrv.Is(t, reply, []any{a.ID}, "visibleUserIds")
	pure := b.Note(t, m{"renoteId": home})
	a.Fails(t, "notes/create", m{"renoteId": pure}, 400, "CANNOT_RENOTE_TO_A_PURE_RENOTE")
	a.Fails(t, "notes/create", m{"text": "x", "replyId": pure}, 400, "CANNOT_REPLY_TO_A_PURE_RENOTE")
	set := m{"sensitiveWords": []string{"burnt bread", "/cr[u]st/i"}, "prohibitedWords": []string{"poison"}}
	if err := s.App.Meta.Update(t.Context(), set); err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]string{"bread that is burnt": "home", "CRUST": "home", "burnt": "public"} {
		if v := visibility(a, m{"text": text}); v != want {
			t.Errorf("%q: %v", text, v)
		}
	}
	a.Fails(t, "notes/create", m{"text": "sweet poison"}, 400, "CONTAINS_PROHIBITED_WORDS")
	a.Fails(t, "notes/create", m{"text": "x", "poll": m{"choices": []string{"a", "poison"}}}, 400, "CONTAINS_PROHIBITED_WORDS")
	many := ""
	for i := range 21 {
		u := s.Guest().Post(t, "signup", m{"username": fmt.Sprintf("u%d", i), "password": "x", "host": "far.example"})
		many += fmt.Sprintf("@%s@far.example ", testsrv.Dig(u, "username"))
	}
	a.Fails(t, "notes/create", m{"text": many}, 400, "CONTAINS_TOO_MANY_MENTIONS")
}

// Who sees what, everywhere a note can be met.
func TestVisibilityMatrix(t *testing.T) {
	t.Parallel()
	s := testsrv.New(t)
	author, follower, mentioned, addressee, stranger := s.User(t, "author"), s.User(t, "follower"), s.User(t, "mentioned"), s.User(t, "addressee"), s.User(t, "stranger")
	guest := s.Guest()
	guest.Name = "guest"
	follower.Post(t, "following/create", m{"userId": author.ID})
	root := author.Note(t, m{"text": "root"})
	readers := []*testsrv.User{guest, stranger, follower, mentioned, addressee, author}
	sees := map[string]string{
		"public": "guest stranger follower mentioned addressee author", "home": "guest stranger follower mentioned addressee author",
		"followers": "follower mentioned author", "specified": "mentioned addressee author",
	}
	for visibility, who := range sees {
		p := m{"text": "@mentioned 비밀", "cw": "cw", "visibility": visibility, "replyId": root, "poll": m{"choices": []string{"a", "b"}}}
		if visibility == "specified" {
			p["visibleUserIds"] = []string{addressee.ID}
		}
		id := author.Note(t, p)
		quote := m{"text": "@mentioned q", "visibility": visibility, "renoteId": root}
		if visibility == "specified" {
			quote["visibleUserIds"] = []string{addressee.ID}
		}
		q := author.Note(t, quote)
		for _, r := range readers {
			may := strings.Contains(" "+who+" ", " "+r.Name+" ")
			shown := r.Post(t, "notes/show", m{"noteId": id})
			if hidden := testsrv.Dig(shown, "isHidden") == true; hidden == may || may == (testsrv.Dig(shown, "text") == nil) || !may && testsrv.Dig(shown, "poll") != nil {
				t.Errorf("%s: notes/show to %s: %v", visibility, r.Name, shown)
			}
			for _, l := range []struct {
				name string
				p    m
				id   string
			}{
				{"notes/replies", m{"noteId": root, "limit": 100}, id},
				{"notes/children", m{"noteId": root, "limit": 100}, id},
				{"notes/renotes", m{"noteId": root, "limit": 100}, q},
				{"users/notes", m{"userId": author.ID, "withReplies": true, "limit": 100}, id},
			} {
				if got := testsrv.Has(r.List(t, l.name, l.p), l.id); got != may {
					t.Errorf("%s: %s to %s: %v", visibility, l.name, r.Name, got)
				}
			}
			status, _ := r.Call(t, "notes/reactions", m{"noteId": id})
			if (status == 200) != may {
				t.Errorf("%s: notes/reactions to %s: %d", visibility, r.Name, status)
			}
			if r == guest {
				continue
			}
			status, _ = r.Call(t, "notes/state", m{"noteId": id})
			if (status == 200) != may {
				t.Errorf("%s: notes/state to %s: %d", visibility, r.Name, status)
			}
			if !may {
				r.Fails(t, "notes/polls/vote", m{"noteId": id, "choice": 0}, 400, "NO_SUCH_NOTE")
				r.Fails(t, "notes/reactions/create", m{"noteId": id, "reaction": "🍞"}, 400, "NO_SUCH_NOTE")
				r.Fails(t, "notes/create", m{"text": "x", "replyId": id, "visibility": "specified"}, 400, "CANNOT_REPLY_TO_AN_INVISIBLE_NOTE")
				r.Fails(t, "notes/delete", m{"noteId": id}, 400, "NO_SUCH_NOTE")
			}
		}
	}
}

func TestThread(t *testing.T) {
	t.Parallel()
	s := testsrv.New(t)
	a := s.User(t, "alice")
	var ids []string
	for i := range 4 {
		p := m{"text": fmt.Sprint(i)}
		if i > 0 {
			p["replyId"] = ids[i-1]
		}
		ids = append(ids, a.Note(t, p))
	}
	l := a.List(t, "notes/conversation", m{"noteId": ids[3]})
	if len(l) != 3 || l[0]["id"] != ids[2] || l[2]["id"] != ids[0] {
		t.Errorf("conversation %v", l)
	}
	if l := a.List(t, "notes/conversation", m{"noteId": ids[3], "offset": 1, "limit": 1}); len(l) != 1 || l[0]["id"] != ids[1] {
		t.Errorf("page of a conversation %v", l)
	}
	a.Fails(t, "notes/conversation", m{"noteId": "nothing0"}, 400, "NO_SUCH_NOTE")
	a.Fails(t, "notes/renotes", m{"noteId": "nothing0"}, 400, "NO_SUCH_NOTE")
	testsrv.Is(t, a.Post(t, "notes/show", m{"noteId": ids[0]}), 1, "repliesCount")
	testsrv.Is(t, a.Post(t, "notes/state", m{"noteId": ids[0]}), false, "isFavorited")
}

func TestDelete(t *testing.T) {
	t.Parallel()
	s := testsrv.New(t)
	root, a, b := s.User(t, "root1"), s.User(t, "alice"), s.User(t, "bora")
	n := a.Note(t, m{"text": "n"})
	reply := b.Note(t, m{"text": "r", "replyId": n})
	quote := b.Note(t, m{"text": "q", "renoteId": n})
	pure := b.Note(t, m{"renoteId": n})
	testsrv.Is(t, a.Post(t, "notes/show", m{"noteId": n}), 2, "renoteCount")
	b.Fails(t, "notes/delete", m{"noteId": n}, 400, "ACCESS_DENIED")
	b.Post(t, "notes/unrenote", m{"noteId": n})
	b.Fails(t, "notes/show", m{"noteId": pure}, 400, "NO_SUCH_NOTE")
	b.Post(t, "notes/show", m{"noteId": quote})
	testsrv.Is(t, a.Post(t, "notes/show", m{"noteId": n}), 1, "renoteCount")
	b.Fails(t, "notes/unrenote", m{"noteId": "nothing0"}, 400, "NO_SUCH_NOTE")
	pure = b.Note(t, m{"renoteId": n})
	sock := b.Stream(t)
	sock.Capture(n)
	a.Post(t, "notes/polls/vote", m{"noteId": a.Note(t, m{"text": "p", "poll": m{"choices": []string{"a", "b"}}}), "choice": 0})
	s.Settle(t)
	a.Post(t, "notes/delete", m{"noteId": n})
	sock.Next("deleted", func(e m) bool { return e["type"] == "noteUpdated" && testsrv.Dig(e, "body", "type") == "deleted" })
	a.Fails(t, "notes/delete", m{"noteId": n}, 400, "NO_SUCH_NOTE")
	b.Fails(t, "notes/show", m{"noteId": pure}, 400, "NO_SUCH_NOTE")
	// Answers stay, and point to nothing.
	left := b.Post(t, "notes/show", m{"noteId": reply})
	testsrv.Is(t, left, n, "replyId")
	testsrv.Is(t, left, nil, "reply")
	testsrv.Is(t, b.Post(t, "i", m{}), 2, "notesCount")
	testsrv.Is(t, a.Post(t, "i", m{}), 1, "notesCount")
	root.Post(t, "notes/delete", m{"noteId": reply}) // a moderator may
	// A deleted note's id is still a place in a list.
	if l := b.List(t, "users/notes", m{"userId": b.ID, "untilId": reply, "withReplies": true}); len(l) != 0 {
		t.Errorf("before the first: %v", l)
	}
}

func TestPoll(t *testing.T) {
	t.Parallel()
	s := testsrv.New(t)
	a, b := s.User(t, "alice"), s.User(t, "bora")
	single := a.Note(t, m{"text": "?", "poll": m{"choices": []string{"하나", "둘"}, "expiredAfter": 60_000}})
	multiple := a.Note(t, m{"text": "?", "poll": m{"choices": []string{"x", "y"}, "multiple": true}})
	plain := a.Note(t, m{"text": "no poll"})
	b.Fails(t, "notes/polls/vote", m{"noteId": plain, "choice": 0}, 400, "NO_POLL")
	b.Fails(t, "notes/polls/vote", m{"noteId": single, "choice": 2}, 400, "INVALID_CHOICE")
	b.Fails(t, "notes/polls/vote", m{"noteId": single, "choice": -1}, 400, "INVALID_CHOICE")
	// Twenty votes of one person at once are one.
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() { b.Call(t, "notes/polls/vote", m{"noteId": single, "choice": i % 2}) })
	}
	wg.Wait()
	p := testsrv.Dig(b.Post(t, "notes/show", m{"noteId": single}), "poll")
	if v0, v1 := testsrv.Dig(p, "choices", 0, "votes"), testsrv.Dig(p, "choices", 1, "votes"); v0.(float64)+v1.(float64) != 1 {
		t.Errorf("votes %v and %v", v0, v1)
	}
	b.Fails(t, "notes/polls/vote", m{"noteId": single, "choice": 0}, 400, "ALREADY_VOTED")
	b.Post(t, "notes/polls/vote", m{"noteId": multiple, "choice": 0})
	b.Post(t, "notes/polls/vote", m{"noteId": multiple, "choice": 1})
	b.Fails(t, "notes/polls/vote", m{"noteId": multiple, "choice": 1}, 400, "ALREADY_VOTED")
	testsrv.Is(t, b.Post(t, "notes/show", m{"noteId": multiple}), true, "poll", "choices", 1, "isVoted")
	testsrv.Is(t, a.Post(t, "notes/show", m{"noteId": multiple}), false, "poll", "choices", 1, "isVoted")
	s.Guest().Post(t, "oven/clock", m{"offsetMs": 120_000})
	a.Fails(t, "notes/polls/vote", m{"noteId": single, "choice": 0}, 400, "ALREADY_EXPIRED")
}
