package log_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"

	"buttersc.one/oven/internal/socket/log"
)

// store follows the log and writes down its place when it is told to.
type store struct {
	mu     sync.Mutex
	got    []string
	at     int64 // taken
	saved  int64
	known  bool
	broken bool
}

func (s *store) Place() (int64, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.saved, s.known
}

func (s *store) Take(_ context.Context, batch []log.Change, upTo int64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.broken {
		return errors.New("the disk is full")
	}
	for _, c := range batch {
		s.got = append(s.got, c.ObjectID)
	}
	s.at = upTo
	return nil
}

func (s *store) do(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
}

func (s *store) has(want ...string) func() bool {
	return func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return slices.Equal(s.got, want)
	}
}

// A keeper is handed everything after its place, again after a start, and again
// when it failed; one that has no place in the log begins at the head.
func TestKeeper(t *testing.T) {
	t.Parallel()
	d := open(t)
	s, lost := &store{}, 0
	consumer := log.Consumer{Name: "store@here", Kinds: []string{"a"}, Keeper: s, Lost: func() { lost++ }}
	l, stop := start(t, d, consumer)
	add := func(kind, id string) { appendOne(t, l, d, kind, id) }
	if lost != 1 {
		t.Errorf("a store that knows no place was told %d times", lost)
	}
	add("a", "1")
	add("b", "other")
	within(t, "the first change", s.has("1"))
	s.do(func() { s.saved, s.known, s.broken = s.at, true, true })
	add("a", "2")
	lag := func() int64 {
		list, err := l.Status(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return list[0].Lag
	}
	within(t, "a lag", func() bool { return lag() > 0 })
	s.do(func() { s.broken = false })
	within(t, "the change that failed", s.has("1", "2"))
	within(t, "no lag", func() bool { return lag() == 0 })
	stop()

	// What was taken and not saved comes again.
	l, stop = start(t, d, consumer)
	within(t, "the change that was not saved", s.has("1", "2", "2"))
	stop()
	if lost != 1 {
		t.Error("a store with a place was told that it lost it")
	}

	// An older database, and a log that does not reach back.
	for name, f := range map[string]func(){
		"a place ahead of the log": func() { s.saved = 1 << 40 },
		"a log that was pruned": func() {
			s.saved = 0
			if _, err := d.Exec(t.Context(), `DELETE FROM change_log WHERE seq <= (SELECT min(seq) FROM change_log)`); err != nil {
				t.Fatal(err)
			}
		},
	} {
		s.do(f)
		before := lost
		_, stop = start(t, d, consumer)
		stop()
		if lost != before+1 {
			t.Errorf("%s: told %d times", name, lost-before)
		}
	}
	var at int64
	if err := d.QueryRow(t.Context(), `SELECT seq FROM log_cursor WHERE name = 'store@here'`).Scan(&at); err != nil || at == 0 {
		t.Errorf("the cursor by which pruning waits: %d, %v", at, err)
	}
}
