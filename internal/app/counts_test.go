package app_test

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"

	"buttersc.one/oven/internal/testsrv"
)

// What is counted, against what is there. One row a number that is wrong.
const sqlWrongCounts = `
SELECT 'replies of note ' || s.note_id, s.replies_count, (SELECT count(*) FROM note r WHERE r.reply_id = s.note_id) FROM note_stat s
UNION ALL SELECT 'renotes of note ' || s.note_id, s.renote_count, (SELECT count(*) FROM note r JOIN note n ON n.id = s.note_id WHERE r.renote_id = n.id AND r.user_id <> n.user_id) FROM note_stat s
UNION ALL SELECT 'reactions to note ' || s.note_id, (SELECT coalesce(sum(v.value::int), 0) FROM jsonb_each_text(s.reactions) v), (SELECT count(*) FROM note_reaction r WHERE r.note_id = s.note_id) FROM note_stat s
UNION ALL SELECT 'negative reactions to note ' || s.note_id, (SELECT count(*) FROM jsonb_each_text(s.reactions) v WHERE v.value::int <= 0), 0 FROM note_stat s
UNION ALL SELECT 'votes of note ' || p.note_id, (SELECT sum(v) FROM unnest(p.votes) v), (SELECT count(*) FROM poll_vote v WHERE v.note_id = p.note_id) FROM poll p
UNION ALL SELECT 'renotes of nothing', (SELECT count(*) FROM note r WHERE r.is_pure_renote AND NOT EXISTS (SELECT FROM note n WHERE n.id = r.renote_id)), 0
UNION ALL SELECT 'notes of ' || s.user_id, s.notes_count, (SELECT count(*) FROM note n WHERE n.user_id = s.user_id) FROM user_stat s
UNION ALL SELECT 'followers of ' || s.user_id, s.followers_count, (SELECT count(*) FROM following f WHERE f.followee_id = s.user_id) FROM user_stat s
UNION ALL SELECT 'followees of ' || s.user_id, s.following_count, (SELECT count(*) FROM following f WHERE f.follower_id = s.user_id) FROM user_stat s`

// Many people do everything at once to the same notes and to each other:
// nobody sees a server's error, and all numbers are right in the end.
func TestCountsUnderLoad(t *testing.T) {
	t.Parallel()
	s := testsrv.New(t)
	var people []*testsrv.User
	for i := range 6 {
		people = append(people, s.User(t, fmt.Sprintf("p%d", i)))
	}
	var mu sync.Mutex
	var notes []string
	for _, p := range people {
		notes = append(notes, p.Note(t, m{"text": "?", "poll": m{"choices": []string{"x", "y", "z"}, "multiple": true}}))
	}
	pick := func(r *rand.Rand) string {
		mu.Lock()
		defer mu.Unlock()
		return notes[r.IntN(len(notes))]
	}
	var wg sync.WaitGroup
	for i, p := range people {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(1, uint64(i)))
			for range 80 {
				id, other := pick(r), people[r.IntN(len(people))].ID
				c := []struct {
					name   string
					params m
				}{
					{"notes/create", m{"text": "r", "replyId": id}}, {"notes/create", m{"renoteId": id}}, {"notes/create", m{"text": "q", "renoteId": id}},
					{"notes/delete", m{"noteId": id}}, {"notes/unrenote", m{"noteId": id}},
					{"notes/reactions/create", m{"noteId": id, "reaction": []string{"🍞", "🎉", "👍"}[r.IntN(3)]}}, {"notes/reactions/create", m{"noteId": id, "reaction": "🍞"}},
					{"notes/reactions/delete", m{"noteId": id}}, {"notes/polls/vote", m{"noteId": id, "choice": r.IntN(3)}},
					{"following/create", m{"userId": other}}, {"following/delete", m{"userId": other}}, {"following/invalidate", m{"userId": other}},
					{"blocking/create", m{"userId": other}}, {"blocking/delete", m{"userId": other}},
				}[r.IntN(14)]
				status, out := p.Call(t, c.name, c.params)
				if status >= 500 {
					t.Errorf("%s %v: %d %v", c.name, c.params, status, out)
				}
				if id, ok := testsrv.Dig(out, "createdNote", "id").(string); ok {
					mu.Lock()
					notes = append(notes, id)
					mu.Unlock()
				}
			}
		})
	}
	wg.Wait()
	rows, err := s.DB.Query(t.Context(), sqlWrongCounts)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	n := 0
	for rows.Next() {
		var what string
		var counted, there int
		if err := rows.Scan(&what, &counted, &there); err != nil {
			t.Fatal(err)
		}
		n++
		if counted != there {
			t.Errorf("%s: counted %d, there are %d", what, counted, there)
		}
	}
	if rows.Err() != nil || n == 0 {
		t.Error(rows.Err())
	}
}
