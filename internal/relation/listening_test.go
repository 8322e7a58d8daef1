package relation_test

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"buttersc.one/oven/internal/testsrv"
)

// Whoever listens and follows an account is found by it, whatever order following,
// listening and their ends come in.
func TestListening(t *testing.T) {
	t.Parallel()
	s := testsrv.New(t)
	var users []*testsrv.User
	for _, name := range []string{"alice", "bora", "chie", "dana"} {
		users = append(users, s.User(t, name))
	}
	r := rand.New(rand.NewPCG(7, 7)) //nolint:gosec // no secret
	follows := map[[2]int]bool{}
	listens := make([][]func(), len(users))
	compare := func(step int) {
		t.Helper()
		for who, u := range users {
			var want []string
			for by, f := range users {
				if follows[[2]int{by, who}] && len(listens[by]) > 0 {
					want = append(want, f.ID)
				}
			}
			slices.Sort(want)
			var got []string
			for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
				if got = s.App.Relations.Listening(u.ID); slices.Equal(slices.Sorted(slices.Values(got)), want) {
					break
				}
			}
			if !slices.Equal(slices.Sorted(slices.Values(got)), want) {
				t.Fatalf("step %d: %s is followed by %v who listen, want %v", step, u.Name, got, want)
			}
		}
	}
	for step := range 120 {
		by, who := r.IntN(len(users)), r.IntN(len(users))
		switch {
		case r.IntN(2) == 0 && by != who:
			name := "following/create"
			if follows[[2]int{by, who}] {
				name = "following/delete"
			}
			users[by].Post(t, name, m{"userId": users[who].ID})
			follows[[2]int{by, who}] = !follows[[2]int{by, who}]
		case r.IntN(2) == 0 && len(listens[by]) > 0:
			listens[by][0]()
			listens[by] = listens[by][1:]
		default:
			_, release, err := s.App.Relations.Watch(t.Context(), users[by].ID)
			if err != nil {
				t.Fatal(err)
			}
			listens[by] = append(listens[by], release)
		}
		if step%4 == 0 {
			compare(step)
		}
	}
	for _, all := range listens {
		for _, release := range all {
			release()
			release() // once is enough
		}
	}
	listens = make([][]func(), len(users))
	compare(-1)
}
