package reaction_test

import (
	"fmt"
	"sync"
	"testing"

	"buttersc.one/oven/internal/emoji"
	"buttersc.one/oven/internal/testsrv"
)

type m = testsrv.M

func TestReact(t *testing.T) {
	t.Parallel()
	s := testsrv.New(t)
	a, b := s.User(t, "alice"), s.User(t, "bora")
	if _, err := s.App.Emojis.Add(t.Context(), emoji.Emoji{Name: "bread", OriginalURL: s.Origin + "/files/x"}); err != nil {
		t.Fatal(err)
	}
	s.Settle(t)
	for text, want := range map[string]string{
		"🍞": "🍞", "❤️": "❤", "like": "👍", "pudding": "🍮", ":bread:": ":bread@.:", ":bread@.:": ":bread@.:", ":unknown:": "❤",
		"빵": "❤", "👍🏽x": "👍🏽", "👨‍👩‍👧": "👨‍👩‍👧", "'; DROP TABLE note; --": "❤",
	} {
		id := a.Note(t, m{"text": text})
		b.Post(t, "notes/reactions/create", m{"noteId": id, "reaction": text})
		n := b.Post(t, "notes/show", m{"noteId": id})
		testsrv.Is(t, n, want, "myReaction")
		testsrv.Is(t, n, 1, "reactions", want)
		testsrv.Is(t, n, 1, "reactionCount")
		if l := s.Guest().List(t, "notes/reactions", m{"noteId": id, "type": want}); len(l) != 1 || l[0]["type"] != want {
			t.Errorf("%s: list %v", text, l)
		}
		b.Fails(t, "notes/reactions/create", m{"noteId": id, "reaction": text}, 400, "ALREADY_REACTED")
		b.Post(t, "notes/reactions/create", m{"noteId": id, "reaction": "🎉"}) // replaces
		n = b.Post(t, "notes/show", m{"noteId": id})
		testsrv.Is(t, n, 1, "reactionCount")
		testsrv.Is(t, n, 1, "reactions", "🎉")
		b.Post(t, "notes/reactions/delete", m{"noteId": id})
		b.Fails(t, "notes/reactions/delete", m{"noteId": id}, 400, "NOT_REACTED")
		testsrv.Is(t, b.Post(t, "notes/show", m{"noteId": id}), 0, "reactionCount")
	}
	only := a.Note(t, m{"text": "x", "reactionAcceptance": "likeOnly"})
	b.Post(t, "notes/reactions/create", m{"noteId": only, "reaction": "🍞"})
	testsrv.Is(t, b.Post(t, "notes/show", m{"noteId": only}), "❤", "myReaction")
	pure := b.Note(t, m{"renoteId": only})
	a.Fails(t, "notes/reactions/create", m{"noteId": pure, "reaction": "🍞"}, 400, "CANNOT_REACT_TO_RENOTE")
	a.Fails(t, "notes/reactions/create", m{"noteId": "nothing0", "reaction": "🍞"}, 400, "NO_SUCH_NOTE")
	a.Fails(t, "notes/reactions", m{"noteId": "nothing0"}, 400, "NO_SUCH_NOTE")
	s.Guest().Fails(t, "notes/reactions/create", m{"noteId": only, "reaction": "🍞"}, 401, "CREDENTIAL_REQUIRED")
}

// Twenty people at once: exact counts, and one reaction each whatever they try.
func TestConcurrently(t *testing.T) {
	t.Parallel()
	s := testsrv.New(t)
	a := s.User(t, "alice")
	id := a.Note(t, m{"text": "x"})
	var wg sync.WaitGroup
	for i := range 20 {
		u := s.User(t, fmt.Sprintf("u%d", i))
		wg.Go(func() {
			for _, r := range []string{"🍞", "🎉", "🍞"} {
				u.Call(t, "notes/reactions/create", m{"noteId": id, "reaction": r})
			}
		})
	}
	wg.Wait()
	n := a.Post(t, "notes/show", m{"noteId": id})
	testsrv.Is(t, n, 20, "reactionCount")
	testsrv.Is(t, n, 20, "reactions", "🍞")
	var rows int
	if err := s.DB.QueryRow(t.Context(), "SELECT count(*) FROM note_reaction WHERE note_id = $1", id).Scan(&rows); err != nil || rows != 20 {
		t.Errorf("%d rows (%v)", rows, err)
	}
}
