package stats_test

import (
	"testing"
	"time"

	"buttersc.one/oven/internal/socket/chart"
	"buttersc.one/oven/internal/testsrv"
)

// Of those who came on a day it is told how many came again.
func TestRetention(t *testing.T) {
	t.Parallel()
	s := testsrv.New(t)
	clock := clock(t, s)
	first := chart.Day.Bucket(clock(0)).AddDate(0, 0, 1)
	// The server is there to count in the test's days.
	for d := range 4 {
		if _, err := s.DB.Exec(t.Context(), `INSERT INTO chart_hour VALUES ($1) ON CONFLICT DO NOTHING`, first.AddDate(0, 0, d)); err != nil {
			t.Fatal(err)
		}
	}
	clock(24)
	alice, bob := s.User(t, "alice"), s.User(t, "bob")
	s.App.Stats.Seen(alice.ID)
	clock(48)
	carol := s.User(t, "carol")
	s.App.Stats.Seen(bob.ID)
	s.App.Stats.Seen(carol.ID)
	clock(96)
	s.App.Stats.Seen(alice.ID)
	s.App.Stats.Seen(bob.ID)
	for range 2 { // counted twice it is the same
		clock(24 * 5)
	}
	list := alice.List(t, "retention", m{})
	find := func(day time.Time) m {
		for _, c := range list {
			if c["createdAt"] == day.Format("2006-01-02T15:04:05.000Z") {
				return c
			}
		}
		t.Fatalf("nothing of %s in %v", day, list)
		return nil
	}
	key := func(day time.Time) string { return day.Format("2006-1-2") }
	of := find(first)
	testsrv.Is(t, of, 2.0, "users")
	for d, want := range map[int]any{0: nil, 1: 1.0, 2: 0.0, 3: 2.0, 4: nil} {
		testsrv.Is(t, of, want, "data", key(first.AddDate(0, 0, d)))
	}
	of = find(first.AddDate(0, 0, 1))
	testsrv.Is(t, of, 1.0, "users")
	testsrv.Is(t, of, 0.0, "data", key(first.AddDate(0, 0, 3)))
	if list[0]["createdAt"].(string) <= list[1]["createdAt"].(string) {
		t.Error("the newest is not the first")
	}
	// Days on which nobody was there to count say nothing.
	testsrv.Is(t, find(first.AddDate(0, 0, -20)), nil, "data", key(first.AddDate(0, 0, -10)))
	testsrv.Is(t, find(first.AddDate(0, 0, -20)), 0, "data", key(first.AddDate(0, 0, 2)))
}
