package search_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"

	"buttersc.one/oven/internal/testsrv"
)

// sqlOracle looks at every note. What is asked for are Korean and Japanese words, which
// are found wherever they stand.
const sqlOracle = `
SELECT array_agg(n.id ORDER BY n.id DESC) FROM note n
WHERE concat_ws(E'\n', n.cw, n.text) ILIKE $1 AND concat_ws(E'\n', n.cw, n.text) ILIKE $2 AND NOT n.is_pure_renote
	AND (n.visibility IN ('public', 'home') OR n.user_id = $3 OR $3 = ANY(n.visible_user_ids))`

// Whatever is written, edited and deleted, through crashes and restarts, a search finds
// what ILIKE finds.
func TestSearchAgainstILIKE(t *testing.T) {
	t.Parallel()
	s := testsrv.New(t)
	people := []*testsrv.User{s.User(t, "alice"), s.User(t, "bob"), s.User(t, "carol")}
	r := rand.New(rand.NewPCG(4, 2)) //nolint:gosec // no secret
	letters := []rune("버터롤빵한ㅋパンの新")
	word := func(most int) string {
		var b strings.Builder
		for range 1 + r.IntN(most) {
			b.WriteRune(letters[r.IntN(len(letters))])
		}
		return b.String()
	}
	text := func() string {
		var words []string
		for range 1 + r.IntN(6) {
			words = append(words, word(4))
		}
		return strings.Join(words, " ")
	}
	type written struct {
		id string
		by *testsrv.User
	}
	var notes []written
	compare := func(when string) {
		t.Helper()
		s.Settle(t)
		found := 0
		for range 25 {
			viewer, a, b := people[r.IntN(3)], word(3), word(2)
			var want []string
			if err := s.DB.QueryRow(t.Context(), sqlOracle, "%"+a+"%", "%"+b+"%", viewer.ID).Scan(&want); err != nil {
				t.Fatal(err)
			}
			var got []string
			for until := ""; ; {
				page := m{"query": a + " " + b, "limit": 40}
				if until != "" {
					page["untilId"] = until
				}
				list := viewer.List(t, "notes/search", page)
				for _, n := range list {
					got = append(got, n["id"].(string))
				}
				if len(list) < 40 {
					break
				}
				until = got[len(got)-1]
			}
			if found += len(want); !slices.Equal(got, want) {
				t.Fatalf("%s: %q and %q by %s: %d notes, not %d\n%v\n%v", when, a, b, viewer.Name, len(got), len(want), got, want)
			}
		}
		if found < 20 {
			t.Errorf("%s: hardly anything was found", when)
		}
	}
	change := func(n int) {
		for range n {
			who, k := people[r.IntN(3)], r.IntN(10)
			switch {
			case k < 6 || len(notes) < 20:
				params := m{"text": text(), "visibility": []string{"public", "home", "followers", "specified"}[r.IntN(4)]}
				if params["visibility"] == "specified" {
					params["visibleUserIds"] = []string{people[r.IntN(3)].ID}
				}
				if r.IntN(5) == 0 {
					params["cw"] = word(4)
				}
				notes = append(notes, written{write(t, who, params), who})
			case k < 8:
				n := notes[r.IntN(len(notes))]
				n.by.Post(t, "notes/update", m{"noteId": n.id, "text": text()})
			default:
				i := r.IntN(len(notes))
				notes[i].by.Post(t, "notes/delete", m{"noteId": notes[i].id})
				notes = slices.Delete(notes, i, i+1)
			}
		}
	}
	for round := range 4 {
		change(60)
		compare(fmt.Sprintf("round %d", round))
		// A crash: the disk has what it had some changes ago.
		old := t.TempDir()
		if err := os.CopyFS(old, os.DirFS(s.SearchDir)); err != nil {
			t.Fatal(err)
		}
		change(20)
		s.Settle(t)
		s.Stop(t)
		if err := os.RemoveAll(s.SearchDir); err != nil {
			t.Fatal(err)
		}
		if err := os.CopyFS(s.SearchDir, os.DirFS(old)); err != nil {
			t.Fatal(err)
		}
		s.Start(t)
		compare(fmt.Sprintf("after crash %d", round))
	}
}
