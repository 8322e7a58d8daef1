package id_test

import (
	"encoding/json"
	"errors"
	"os"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"buttersc.one/oven/internal/lib/id"
)

var methods = []id.Method{id.AID, id.AIDX, id.MEID, id.MEIDG, id.ULID, id.ObjectID}

// Ids in each form, and when they were made.
func TestTime(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		m    id.Method
		id   string
		want string
	}{
		{id.AID, "9nnm2xk2ab", "2023-12-24T22:14:40.994Z"},
		{id.AIDX, "9nnm2xk2abcd0001", "2023-12-24T22:14:40.994Z"},
		{id.MEID, "818cbd89a1a0aaaaaaaaaaaa", "2023-12-31T01:42:42.848Z"},
		{id.MEIDG, "g18cbd89a1a0aaaaaaaaaaaa", "2023-12-31T01:42:42.848Z"},
		{id.ObjectID, "65910d1aaaaaaaaaaaaaaaaa", "2023-12-31T06:41:30.000Z"},
		{id.ULID, "01ARZ3NDEKTSV4RRFFQ69G5FAV", "2016-07-30T23:54:10.259Z"},
	} {
		got, err := c.m.Time(c.id)
		if err != nil {
			t.Errorf("%s %s: %v", c.m, c.id, err)
			continue
		}
		if s := got.Format("2006-01-02T15:04:05.000Z"); s != c.want {
			t.Errorf("%s %s: %s, want %s", c.m, c.id, s, c.want)
		}
	}
}

func TestTimeRefuses(t *testing.T) {
	t.Parallel()
	for _, m := range methods {
		for _, s := range []string{"", "x", "UPPERCASE!", "9nnm2xk2ab9nnm2xk2ab9nnm2xk2ab", "g18cbd89a1a0aaaaaaaaaaa\n"} {
			if _, err := m.Time(s); err == nil {
				t.Errorf("%s takes %q", m, s)
			}
		}
	}
}

// Ids made one after the other sort so, whatever the clock does.
func TestNowIncreases(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		m := rapid.SampledFrom(methods).Draw(t, "method")
		now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
		k := id.NewMaker(m, rapid.IntRange(0, 1000).Draw(t, "node"), func() time.Time { return now })
		var ids []string
		for range rapid.IntRange(2, 3000).Draw(t, "count") {
			ids = append(ids, k.Now())
			if rapid.IntRange(0, 50).Draw(t, "step") == 0 {
				now = now.Add(time.Duration(rapid.IntRange(-20_000, 5000).Draw(t, "ms")) * time.Millisecond)
			}
		}
		for i, s := range ids {
			if !m.Valid(s) {
				t.Fatalf("%s made %q", m, s)
			}
			if i > 0 && ids[i-1] >= s {
				t.Fatalf("%s: %q is not after %q", m, s, ids[i-1])
			}
		}
	})
}

// The synthetic ids of a date enclose every id made then.
func TestBounds(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		m := rapid.SampledFrom(methods).Draw(t, "method")
		at := time.UnixMilli(rapid.Int64Range(1_200_000_000_000, 2_500_000_000_000).Draw(t, "at"))
		k := id.NewMaker(m, 7, func() time.Time { return at })
		s := k.Now()
		if m.Before(at) > s || m.After(at) < s {
			t.Fatalf("%s: %q is not within %q and %q", m, s, m.Before(at), m.After(at))
		}
		got, err := m.Time(s)
		if err != nil || at.Sub(got) >= time.Second || at.Sub(got) < 0 {
			t.Fatalf("%s: %q says %s, made at %s (%v)", m, s, got, at, err)
		}
	})
}

// A remote object's date is believed when it can be true.
func TestAt(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC)
	k := id.NewMaker(id.AIDX, 1, func() time.Time { return now })
	for _, c := range []struct{ at, want time.Time }{
		{now.Add(-time.Hour), now.Add(-time.Hour)},
		{now.Add(time.Hour), now},
		{time.Date(1999, 1, 1, 0, 0, 0, 0, time.UTC), now},
		{time.Date(2006, 12, 31, 0, 0, 0, 0, time.UTC), now},
	} {
		got, err := id.AIDX.Time(k.At(c.at))
		if err != nil || !got.Equal(c.want) {
			t.Errorf("published %s: %s, want %s (%v)", c.at, got, c.want, err)
		}
	}
	seen := map[string]bool{}
	for range 5000 {
		s := k.At(now.Add(-time.Minute))
		if seen[s] {
			t.Fatalf("%s twice", s)
		}
		seen[s] = true
	}
}

func TestRandom(t *testing.T) {
	t.Parallel()
	var all []string
	for range 200 {
		s := id.RandomMixed(16)
		if len(s) != 16 || slices.Contains(all, s) {
			t.Fatalf("%q", s)
		}
		all = append(all, s)
	}
}

// What a real Misskey server wrote, where its data stands beside the checkout.
func TestMisskeysOwnIDs(t *testing.T) {
	t.Parallel()
	b, err := os.ReadFile("../../../../shared/data/api-a.json")
	if errors.Is(err, os.ErrNotExist) {
		t.Log("shared/data is missing: nothing to compare with")
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	var doc any
	if err := json.Unmarshal(b, &doc); err != nil {
		t.Fatal(err)
	}
	n := 0
	var walk func(v any)
	walk = func(v any) {
		switch v := v.(type) {
		case []any:
			for _, x := range v {
				walk(x)
			}
		case map[string]any:
			s, _ := v["id"].(string)
			want, _ := v["createdAt"].(string)
			if len(s) == 16 && want != "" {
				n++
				if got, err := id.AIDX.Time(s); err != nil || got.Format("2006-01-02T15:04:05.000Z") != want {
					t.Errorf("%s: %s, want %s (%v)", s, got, want, err)
				}
			}
			for _, x := range v {
				walk(x)
			}
		}
	}
	walk(doc)
	if n == 0 {
		t.Error("no ids in the data")
	}
}

// Whole seconds come again and again, between ids of now and after a restart.
func TestAtDoesNotRepeat(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	at := now.Add(-time.Hour)
	seen := map[string]bool{}
	for _, m := range []id.Method{id.AIDX, id.MEID, id.MEIDG, id.ULID, id.ObjectID} {
		for range 3 { // starts of the same node
			k := id.NewMaker(m, 7, func() time.Time { return now })
			for range 50 {
				now = now.Add(time.Millisecond)
				k.Now()
				s := k.At(at)
				if seen[s] {
					t.Fatalf("%s: %s twice", m, s)
				}
				seen[s] = true
			}
		}
	}
}
