package note_test

import (
	"testing"
	"time"

	"buttersc.one/oven/internal/testsrv"
)

// Another server's poll is asked for anew when somebody looks at it, not more often
// than is decent, and once when it is over.
func TestRemotePollsAreAskedFor(t *testing.T) {
	t.Parallel()
	far := testsrv.NewRemote(t)
	s := testsrv.New(t)
	a, bob := s.User(t, "alice"), far.Actor("bob")
	question := func(options ...any) m {
		var list []m
		for i := 0; i < len(options); i += 2 {
			list = append(list, m{"type": "Note", "name": options[i], "replies": m{"type": "Collection", "totalItems": options[i+1]}})
		}
		return bob.Note("/notes/poll", m{"type": "Question", "content": "?", "oneOf": list, "endTime": time.Now().Add(time.Hour).UTC().Format(time.RFC3339)})
	}
	doc := question("x", 3, "y", 0)
	bob.Tell(t, s, m{"type": "Create", "object": doc})
	look := func(by *testsrv.User, x, y int) {
		t.Helper()
		get(t, by, doc["id"])
		s.Settle(t)
		n := get(t, s.Guest(), doc["id"])
		testsrv.Is(t, n, x, "poll", "choices", 0, "votes")
		testsrv.Is(t, n, y, "poll", "choices", 1, "votes")
	}
	now := 0
	later := func(seconds int) {
		t.Helper()
		now += seconds
		s.Guest().Post(t, "oven/clock", m{"offsetMs": now * 1000})
		s.Settle(t)
	}
	question("x", 5, "y", 1)
	look(s.Guest(), 3, 0) // who is nobody has nothing asked for
	look(a, 5, 1)
	question("x", 6, "y", 1)
	look(a, 5, 1) // that was a moment ago
	later(61)
	look(a, 6, 1)
	later(61)
	question("x", 9, "z", 9)
	look(a, 6, 1) // it is another poll now
	later(61)
	a.Post(t, "notes/polls/vote", m{"noteId": testsrv.Dig(get(t, s.Guest(), doc["id"]), "id"), "choice": 1})
	question("x", 6, "y", 1)
	look(a, 6, 2) // the vote is still on its way
	question("x", 8, "y", 2)
	later(3600)
	tag, err := s.DB.Exec(t.Context(), `UPDATE river.river_job SET state = 'available', scheduled_at = now() WHERE kind = 'note.poll' AND state = 'scheduled'`)
	if err != nil || tag.RowsAffected() != 1 {
		t.Fatalf("asked for at the end: %v, %v", tag, err)
	}
	s.Settle(t)
	look(s.Guest(), 8, 2) // it is over
	look(a, 8, 2)
	question("x", 99, "y", 99)
	later(61)
	look(a, 8, 2)
}
