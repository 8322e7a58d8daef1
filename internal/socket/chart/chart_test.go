package chart_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/socket/chart"
	"buttersc.one/oven/internal/testsrv"
)

func noon() time.Time { return time.Date(2026, 3, 1, 12, 34, 56, 0, time.UTC) }

func engine(d *pg.DB) *chart.Engine {
	e := chart.New(d, noon, slog.New(slog.DiscardHandler))
	e.Plug(chart.Def{Name: "bread", Columns: []chart.Column{
		{Name: "baked"}, {Name: "loaves", Kind: chart.Total}, {Name: "bakers", Kind: chart.Unique}, {Name: "eaters", Kind: chart.Unique},
		{Name: "both", Kind: chart.Both, Of: [2]string{"bakers", "eaters"}}, {Name: "weight", Kind: chart.Total, Unit: 1000},
	}})
	return e
}

func write(t *testing.T, d *pg.DB, e *chart.Engine, add func(s *chart.Sums)) {
	t.Helper()
	s := e.Sums()
	add(s)
	if err := d.Tx(t.Context(), func(tx *pg.Tx) error { return e.Write(t.Context(), tx, s) }); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, e *chart.Engine, q chart.Query) chart.Series {
	t.Helper()
	if q.Name == "" {
		q.Name = "bread"
	}
	v, err := e.Read(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// Random sums at random hours, written in random batches and order: every window
// of every span tells what a recount of them tells.
func TestWindows(t *testing.T) {
	t.Parallel()
	d := testsrv.Database(t)
	e := engine(d)
	r := rand.New(rand.NewPCG(5, 6))
	type added struct {
		at  time.Time
		n   int64
		who string
	}
	var list []added
	for range 400 {
		list = append(list, added{noon().Add(-time.Duration(r.IntN(10*24*60)) * time.Minute), r.Int64N(9) - 3, fmt.Sprint(r.IntN(5))})
	}
	for batch := range slices.Chunk(list, 17) {
		write(t, d, e, func(s *chart.Sums) {
			for _, a := range batch {
				s.Add(a.at, "bread", "", "baked", a.n)
				s.Add(a.at, "bread", "", "loaves", a.n)
				s.Seen(a.at, "bread", "", "bakers", a.who)
			}
		})
	}
	for range 60 {
		q := chart.Query{Span: []chart.Span{chart.Hour, chart.Day}[r.IntN(2)], Limit: 1 + r.IntN(40), Until: noon().Add(-time.Duration(r.IntN(12*24)) * time.Hour)}
		v := read(t, e, q)
		for i := range q.Limit {
			length := map[chart.Span]time.Duration{chart.Hour: time.Hour, chart.Day: 24 * time.Hour}[q.Span]
			from := q.Span.Bucket(q.Until).Add(-time.Duration(i) * length)
			var baked, loaves int64
			who := map[string]bool{}
			for _, a := range list {
				if a.at.Before(from.Add(length)) {
					loaves += a.n
					if !a.at.Before(from) {
						baked += a.n
						who[a.who] = true
					}
				}
			}
			if v["baked"][i] != baked || v["loaves"][i] != loaves || v["bakers"][i] != int64(len(who)) {
				t.Fatalf("%s until %s, %d: %d, %d and %d, want %d, %d and %d", q.Span, q.Until, i, v["baked"][i], v["loaves"][i], v["bakers"][i], baked, loaves, len(who))
			}
		}
	}
}

var errUndo = errors.New("undo")

// Several processes write at once, some of it rolled back: each member counts
// once, who is in two columns counts in both, and no sum is lost.
func TestWritersAtOnce(t *testing.T) {
	t.Parallel()
	d := testsrv.Database(t)
	var wg sync.WaitGroup
	for w := range 6 {
		wg.Go(func() {
			e := engine(d)
			r := rand.New(rand.NewPCG(7, uint64(w)))
			for i := range 25 {
				s := e.Sums()
				s.Add(noon(), "bread", "", "loaves", 1)
				for range 4 {
					s.Seen(noon().Add(-time.Duration(i)*time.Hour), "bread", "", []string{"bakers", "eaters"}[w%2], fmt.Sprint(r.IntN(5)))
				}
				err := d.Tx(context.Background(), func(tx *pg.Tx) error {
					if err := e.Write(context.Background(), tx, s); err != nil {
						return err
					}
					time.Sleep(time.Duration(r.IntN(3)) * time.Millisecond) // nobody sees yet what was written
					if i%5 == 4 {
						return errUndo
					}
					return nil
				})
				if err != nil && !errors.Is(err, errUndo) {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	for _, span := range []chart.Span{chart.Hour, chart.Day} {
		v := read(t, engine(d), chart.Query{Span: span, Limit: 30})
		for _, c := range []struct {
			col, sql string
		}{
			{"bakers", `SELECT count(*) FROM chart_member WHERE span = $1 AND col = 'bakers'`},
			{"eaters", `SELECT count(*) FROM chart_member WHERE span = $1 AND col = 'eaters'`},
			{"both", `SELECT count(*) FROM chart_member a JOIN chart_member b USING (at, span, name, grp, member) WHERE span = $1 AND a.col = 'bakers' AND b.col = 'eaters'`},
		} {
			var want int64
			if err := d.QueryRow(t.Context(), c.sql, span).Scan(&want); err != nil {
				t.Fatal(err)
			}
			got := int64(0)
			for _, n := range v[c.col] {
				got += n
			}
			if want < 5 || got != want {
				t.Errorf("%s: %s are %d, %d were counted", span, c.col, want, got)
			}
		}
		if v["loaves"][0] != 6*20 {
			t.Errorf("%d loaves, want %d", v["loaves"][0], 6*20)
		}
	}
}

// What is set differs from what was counted by what is added now; units are
// rounded when they are told; a chart that gets a column keeps what it had.
func TestSet(t *testing.T) {
	t.Parallel()
	d := testsrv.Database(t)
	e := engine(d)
	yesterday := noon().AddDate(0, 0, -1)
	write(t, d, e, func(s *chart.Sums) { s.Add(yesterday, "bread", "", "weight", 2600) })
	for range 2 {
		if err := d.Tx(t.Context(), func(tx *pg.Tx) error { return e.Set(t.Context(), tx, "bread", "", map[string]int64{"weight": 900}) }); err != nil {
			t.Fatal(err)
		}
	}
	if v := read(t, e, chart.Query{Span: chart.Day, Limit: 3}); !slices.Equal(v["weight"], []int64{1, 3, 0}) {
		t.Errorf("weight %v", v["weight"])
	}
	more := chart.New(d, noon, slog.New(slog.DiscardHandler))
	more.Plug(chart.Def{Name: "bread", Columns: []chart.Column{{Name: "baked"}, {Name: "loaves", Kind: chart.Total}, {Name: "bakers"}, {Name: "eaters"},
		{Name: "both"}, {Name: "weight", Kind: chart.Total}, {Name: "rolls", Kind: chart.Total}}})
	write(t, d, more, func(s *chart.Sums) { s.Add(noon(), "bread", "", "rolls", 4) })
	v := read(t, more, chart.Query{Span: chart.Day, Limit: 2})
	if !slices.Equal(v["rolls"], []int64{4, 0}) || !slices.Equal(v["weight"], []int64{900, 2600}) {
		t.Errorf("rolls %v, weight %v", v["rolls"], v["weight"])
	}
}

// What is gathered is kept while it cannot be written, and written once.
func TestFlush(t *testing.T) {
	t.Parallel()
	d := testsrv.Database(t)
	e := engine(d)
	e.Count("bread", "", "baked", 2)
	e.Seen("bread", "", "bakers", "alice")
	if _, err := d.Exec(t.Context(), "ALTER TABLE chart RENAME TO elsewhere"); err != nil {
		t.Fatal(err)
	}
	if e.Flush(t.Context()) == nil {
		t.Fatal("written to a table that is not there")
	}
	e.Count("bread", "", "baked", 1)
	e.Seen("bread", "", "bakers", "alice")
	if _, err := d.Exec(t.Context(), "ALTER TABLE elsewhere RENAME TO chart"); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := e.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if v := read(t, e, chart.Query{Span: chart.Hour, Limit: 1}); v["baked"][0] != 3 || v["bakers"][0] != 1 {
		t.Errorf("read %v", v)
	}
}

// Whoever adds to a column that is not there, or not of that kind, is told at once.
func TestMistakes(t *testing.T) {
	t.Parallel()
	e := chart.New(nil, noon, nil)
	e.Plug(chart.Def{Name: "bread", Columns: []chart.Column{{Name: "baked"}}})
	for what, f := range map[string]func(){
		"an unknown chart":      func() { e.Count("cake", "", "baked", 1) },
		"an unknown column":     func() { e.Count("bread", "", "eaten", 1) },
		"another kind":          func() { e.Seen("bread", "", "baked", "x") },
		"a chart that is there": func() { e.Plug(chart.Def{Name: "bread"}) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: nothing is said", what)
				}
			}()
			f()
		}()
	}
}

// A part of a chart is read, a batch is written and members are counted by index,
// among 200,000 rows.
func TestPlans(t *testing.T) {
	t.Parallel()
	d := testsrv.Database(t)
	for _, sql := range []string{
		`INSERT INTO chart (name, grp, span, at, v) SELECT 'perUserNotes', 'u' || g, s, timestamptz '2026-03-01 00:00Z' - i * ('1 ' || s)::interval, '{1,1,0,1}'
			FROM generate_series(1, 100) g, generate_series(0, 999) i, (VALUES ('hour'), ('day')) s (s)`,
		`INSERT INTO chart (name, grp, span, at, v) SELECT 'perUserNotes', 'u' || g, 'all', 'epoch', '{1000}' FROM generate_series(1, 100) g`,
		`INSERT INTO chart_member (at, span, name, grp, member, col) SELECT timestamptz '2026-03-01 00:00Z' - i * interval '1 hour', 'hour', 'activeUsers', '', 'm' || g, c
			FROM generate_series(1, 1000) g, generate_series(0, 49) i, (VALUES ('read'), ('write')) c (c)`,
		`VACUUM ANALYZE chart`, `VACUUM ANALYZE chart_member`,
	} {
		if _, err := d.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	at := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	touches(t, d, 520, chart.SQLRange, "perUserNotes", "u7", "hour", at.Add(-500*time.Hour), at.Add(time.Hour), at.AddDate(0, 0, 1), true)
	touches(t, d, 520, chart.SQLRange, "perUserNotes", "u7", "day", at.AddDate(0, 0, -900), at.AddDate(0, 0, -400), at.AddDate(0, 0, -400), true)
	var ats []time.Time
	var names, grps, spans, values, members, cols []string
	for i := range 500 {
		ats, names, grps = append(ats, at), append(names, "perUserNotes"), append(grps, fmt.Sprint("u", i))
		spans, values = append(spans, "hour"), append(values, "{1,1}")
		members, cols = append(members, fmt.Sprint("m", i+800)), append(cols, "read")
	}
	touches(t, d, 1100, chart.SQLAdd, names, grps, spans, ats, values)
	touches(t, d, 1100, chart.SQLMembers, ats, spans, slices.Repeat([]string{"activeUsers"}, 500), slices.Repeat([]string{""}, 500), members, cols)
}

// touches makes sure that no step of a statement looks at more rows.
func touches(t *testing.T, d *pg.DB, most float64, sql string, args ...any) {
	t.Helper()
	var raw []byte
	if err := d.QueryRow(t.Context(), "EXPLAIN (ANALYZE, FORMAT JSON) "+sql, args...).Scan(&raw); err != nil {
		t.Fatal(err)
	}
	var out []struct{ Plan map[string]any }
	if err := json.Unmarshal(raw, &out); err != nil {
		t.Fatal(err)
	}
	var walk func(p map[string]any)
	walk = func(p map[string]any) {
		num := func(key string) float64 { n, _ := p[key].(float64); return n }
		if n := num("Actual Loops") * (num("Actual Rows") + num("Rows Removed by Filter")); n > most && !strings.HasPrefix(fmt.Sprint(p["Node Type"]), "Append") {
			t.Errorf("%v of %v touches %.0f rows", p["Node Type"], p["Relation Name"], n)
		}
		plans, _ := p["Plans"].([]any)
		for _, c := range plans {
			walk(c.(map[string]any))
		}
	}
	walk(out[0].Plan)
}
