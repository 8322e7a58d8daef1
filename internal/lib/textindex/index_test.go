package textindex_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	. "buttersc.one/oven/internal/lib/textindex"
)

// oracle is what an index should be: documents, looked at one by one.
type oracle struct {
	docs  map[string][]string
	state string
}

func (o *oracle) copy() *oracle {
	c := &oracle{docs: map[string][]string{}, state: o.state}
	for id, t := range o.docs {
		c.docs[id] = t
	}
	return c
}

func (o *oracle) apply(b Batch) {
	for id, terms := range o.docs {
		for _, t := range b.DeleteTerm {
			if slices.Contains(terms, t) {
				delete(o.docs, id)
			}
		}
	}
	for _, id := range b.Delete {
		delete(o.docs, id)
	}
	for _, d := range b.Put {
		o.docs[d.ID] = d.Terms
	}
	if b.State != nil {
		o.state = string(b.State)
	}
}

func fulfils(terms []string, e Expr) bool {
	switch e.Op {
	case OpAll:
		return true
	case OpTerm:
		return slices.Contains(terms, e.Text)
	case OpPrefix:
		return slices.ContainsFunc(terms, func(t string) bool { return strings.HasPrefix(t, e.Text) })
	case OpAnd:
		return !slices.ContainsFunc(e.Args, func(a Expr) bool { return !fulfils(terms, a) })
	case OpOr:
		return slices.ContainsFunc(e.Args, func(a Expr) bool { return fulfils(terms, a) })
	case OpNot:
		return !fulfils(terms, e.Args[0])
	}
	return false
}

func (o *oracle) search(q Query) []string {
	out := []string{}
	for id, terms := range o.docs {
		if (q.Before == "" || id < q.Before) && (q.After == "" || id > q.After) && fulfils(terms, q.Expr) {
			out = append(out, id)
		}
	}
	slices.Sort(out)
	if !q.Ascending {
		slices.Reverse(out)
	}
	return out
}

func all(t *testing.T, x *Index, q Query) []string {
	t.Helper()
	h := x.Search(q)
	defer h.Close()
	out := []string{}
	for id, ok := h.Next(); ok; id, ok = h.Next() {
		out = append(out, id)
	}
	if h.Err() != nil {
		t.Fatal(h.Err())
	}
	return out
}

type maker struct{ *rand.Rand }

// id: new documents come at the top mostly, and sometimes old ones are added or changed.
func (r maker) id(n int) string {
	if r.IntN(5) == 0 {
		n = r.IntN(n + 1)
	}
	return fmt.Sprintf("%0*d", 6+n%2*2, n*7)
}

func (r maker) terms() []string {
	var out []string
	for range r.IntN(9) {
		switch r.IntN(3) {
		case 0:
			out = append(out, string(rune('가'+r.IntN(3)))+string(rune('가'+r.IntN(3))))
		case 1:
			out = append(out, strings.Repeat("ab", 1+r.IntN(3))+strconv.Itoa(r.IntN(40)))
		default:
			out = append(out, Own+strconv.Itoa(r.IntN(6)))
		}
	}
	return out
}

func (r maker) batch(n int) Batch {
	var b Batch
	for range r.IntN(40) {
		b.Put = append(b.Put, Doc{r.id(n), r.terms()})
	}
	for range r.IntN(4) {
		b.Delete = append(b.Delete, r.id(n))
	}
	if r.IntN(12) == 0 {
		b.DeleteTerm = append(b.DeleteTerm, "ab"+strconv.Itoa(r.IntN(40)))
	}
	return b
}

func (r maker) expr(depth int) Expr {
	switch k := r.IntN(10); {
	case depth > 2 || k < 4:
		if t := r.terms(); len(t) > 0 {
			return Term(t[0])
		}
		return Term("nowhere")
	case k == 4:
		return Prefix([]string{"가", "ab", "abab1", Own, "z"}[r.IntN(5)])
	case k == 5:
		return Not(r.expr(depth + 1))
	case k == 6:
		return []Expr{All(), None()}[r.IntN(2)]
	case k < 9:
		return And(r.expr(depth+1), r.expr(depth+1), r.expr(depth+1))
	}
	return Or(r.expr(depth+1), r.expr(depth+1))
}

func (r maker) query(n int) Query {
	q := Query{Expr: r.expr(0), Ascending: r.IntN(2) == 0}
	if r.IntN(3) == 0 {
		q.Before = r.id(n)
	}
	if r.IntN(3) == 0 {
		q.After = r.id(n)
	}
	return q
}

var small = Options{LiveDocs: 1200, MaxDocs: 9000}

func opened(t *testing.T, dir string, o Options) *Index {
	t.Helper()
	x, err := Open(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = x.Close() })
	return x
}

// copyDir copies the files of a directory. A merge may take its own away meanwhile.
func copyDir(t *testing.T, to, from string) {
	t.Helper()
	files, err := os.ReadDir(from)
	must(t, err)
	for _, f := range files {
		b, err := os.ReadFile(filepath.Join(from, f.Name()))
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		must(t, err)
		must(t, os.WriteFile(filepath.Join(to, f.Name()), b, 0o600))
	}
}

// Whatever is put, changed, deleted, flushed, merged and lost in crashes, an index finds what looking at every document
// finds.
func TestAgainstOracle(t *testing.T) {
	t.Parallel()
	for seed := range uint64(6) {
		r := maker{rand.New(rand.NewPCG(seed, 9))}
		dir := t.TempDir()
		x := opened(t, dir, small)
		now := &oracle{docs: map[string][]string{}}
		history := map[string]*oracle{"": now.copy()} // by state
		var log []Batch
		found, n := 0, 1
		for step := range 700 {
			n += 12
			b := r.batch(n)
			b.State = []byte(strconv.Itoa(len(log) + 1))
			log = append(log, b)
			if err := x.Apply(b); err != nil {
				t.Fatal(err)
			}
			now.apply(b)
			history[now.state] = nil
			switch r.IntN(40) {
			case 0:
				must(t, x.Flush())
			case 1:
				must(t, x.Merge(t.Context()))
			case 2:
				must(t, x.Optimize(t.Context(), nil))
				if s := x.Stats(); s.Deleted != 0 {
					t.Fatalf("%d dead documents after optimizing", s.Deleted)
				}
			case 3:
				must(t, x.Verify(t.Context(), nil))
				must(t, x.Close())
				x = opened(t, dir, small)
			case 4: // a crash: what the disk had, and the rest once more from there
				other := t.TempDir()
				x.Still(func() { copyDir(t, other, dir) })
				must(t, x.Close())
				dir, x = other, opened(t, other, small)
				from := 0
				if s := x.State(); s != nil {
					from, _ = strconv.Atoi(string(s))
				}
				for _, b := range log[from:] {
					must(t, x.Apply(b))
				}
			}
			if got := string(x.State()); got != now.state {
				t.Fatalf("state %q, not %q", got, now.state)
			}
			for range 3 {
				q := r.query(n)
				want, got := now.search(q), all(t, x, q)
				if !slices.Equal(got, want) {
					t.Fatalf("seed %d step %d: %s before %q after %q ascending %v:\ngot  %d %v\nwant %d %v", seed, step, q.Expr, q.Before, q.After, q.Ascending, len(got), head(got), len(want), head(want))
				}
				found += len(want)
			}
			if id := r.id(n); x.Has(id) != (now.docs[id] != nil || hasKey(now.docs, id)) {
				t.Fatalf("Has(%s) is %v", id, x.Has(id))
			}
		}
		if s := x.Stats(); int(s.Docs) != len(now.docs) {
			t.Errorf("%d documents, not %d", s.Docs, len(now.docs))
		}
		if found < 10_000 {
			t.Errorf("hardly anything was found: %d", found)
		}
	}
}

func hasKey(m map[string][]string, k string) bool { _, ok := m[k]; return ok }

func head(s []string) []string { return s[:min(len(s), 12)] }

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// A search sees what there was when it began, while documents come and go and segments are merged.
func TestSnapshots(t *testing.T) {
	t.Parallel()
	x := opened(t, t.TempDir(), Options{LiveDocs: 1000, MaxDocs: 20_000})
	const generations = 60
	put := func(g int) {
		b := Batch{DeleteTerm: []string{"g" + strconv.Itoa(g-1)}}
		for i := range 300 {
			b.Put = append(b.Put, Doc{fmt.Sprintf("%06d", i*17), []string{"x", "g" + strconv.Itoa(g)}})
		}
		if err := x.Apply(b); err != nil {
			t.Error(err)
		}
	}
	put(0)
	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for ctx.Err() == nil {
				h := x.Search(Query{Expr: Term("x")})
				n := 0
				for _, ok := h.Next(); ok; _, ok = h.Next() {
					n++
				}
				if h.Err() != nil || n != 300 {
					t.Errorf("%d documents of 300: %v", n, h.Err())
				}
				h.Close()
			}
		})
	}
	wg.Go(func() {
		for ctx.Err() == nil {
			if err := x.Optimize(ctx, nil); err != nil && ctx.Err() == nil {
				t.Error(err)
			}
		}
	})
	for g := range generations {
		put(g + 1)
		if g%7 == 0 {
			must(t, x.Flush())
		}
	}
	stop()
	wg.Wait()
	if got := all(t, x, Query{Expr: Term("g" + strconv.Itoa(generations))}); len(got) != 300 {
		t.Errorf("%d", len(got))
	}
}

func TestOneOpenerOnly(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	x := opened(t, dir, Options{})
	if _, err := Open(dir, Options{}); !errors.Is(err, ErrLocked) {
		t.Errorf("a second one: %v", err)
	}
	must(t, x.Close())
	if err := x.Apply(Batch{}); !errors.Is(err, ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
	opened(t, dir, Options{})
}

func TestBadInput(t *testing.T) {
	t.Parallel()
	x := opened(t, t.TempDir(), Options{})
	good := Doc{"1", []string{"x"}}
	for _, b := range []Batch{
		{Put: []Doc{good, {"", nil}}}, {Put: []Doc{good, {strings.Repeat("9", MaxID+1), nil}}}, {Put: []Doc{good, {"2", []string{""}}}},
		{Put: []Doc{good, {"2", []string{strings.Repeat("x", MaxTerm+1)}}}}, {Put: []Doc{good}, State: make([]byte, MaxState+1)},
	} {
		if err := x.Apply(b); !errors.Is(err, ErrInput) {
			t.Errorf("%v", err)
		}
	}
	if x.Has("1") || x.Stats().Docs != 0 {
		t.Error("a batch that was refused has left something")
	}
	long := Doc{strings.Repeat("9", MaxID), []string{strings.Repeat("x", MaxTerm)}}
	must(t, x.Apply(Batch{Put: []Doc{long}}))
	must(t, x.Flush())
	if !x.Has(long.ID) {
		t.Error("the longest id")
	}
}

// filled is an index of several segments, and its oracle.
func filled(t *testing.T, dir string) (*Index, *oracle) {
	t.Helper()
	x := opened(t, dir, Options{LiveDocs: 1 << 20, NoMerge: true})
	o := &oracle{docs: map[string][]string{}}
	r := maker{rand.New(rand.NewPCG(3, 4))}
	for part := range 3 {
		b := Batch{State: []byte("s")}
		for i := range 2000 {
			b.Put = append(b.Put, Doc{fmt.Sprintf("%06d", part*2000+i), append(r.terms(), "part"+strconv.Itoa(part))})
		}
		must(t, x.Apply(b))
		o.apply(b)
		must(t, x.Flush())
	}
	b := Batch{Delete: []string{"000007", "002007"}}
	must(t, x.Apply(b))
	o.apply(b)
	must(t, x.Flush())
	return x, o
}

// A part that is damaged is found, put aside, and its range told until it is put again; the others go on.
func TestDamagedParts(t *testing.T) {
	t.Parallel()
	for name, damage := range map[string]func(b []byte) []byte{
		"cut short":      func(b []byte) []byte { return b[:len(b)/2] },
		"empty":          func(b []byte) []byte { return nil },
		"of another":     func(b []byte) []byte { return append([]byte("x"), b[1:]...) },
		"footer changed": func(b []byte) []byte { b[len(b)-20] ^= 1; return b },
		"ids changed":    func(b []byte) []byte { b[len(b)-80] ^= 1; return b },
		"postings":       func(b []byte) []byte { b[40] ^= 0xff; return b },
		"dictionary":     func(b []byte) []byte { b[len(b)*2/3] ^= 0xff; return b },
	} {
		dir := t.TempDir()
		x, o := filled(t, dir)
		must(t, x.Close())
		parts, _ := filepath.Glob(filepath.Join(dir, "*.seg"))
		slices.Sort(parts)
		b, err := os.ReadFile(parts[1])
		must(t, err)
		must(t, os.WriteFile(parts[1], damage(b), 0o600))
		x = opened(t, dir, Options{NoMerge: true})
		_ = x.Verify(t.Context(), nil)
		if got := x.Lost(); len(got) != 1 || got[0] != (Range{"002000", "003999"}) {
			t.Errorf("%s: lost %v", name, got)
			continue
		}
		if got := all(t, x, Query{Expr: All()}); len(got) != 3999 {
			t.Errorf("%s: %d documents of the others", name, len(got))
		}
		must(t, x.Close())
		x = opened(t, dir, Options{NoMerge: true})
		if len(x.Lost()) != 1 || string(x.State()) != "s" {
			t.Errorf("%s: forgotten", name)
		}
		var again Batch
		for id, terms := range o.docs {
			if id >= "002000" && id <= "003999" {
				again.Put = append(again.Put, Doc{id, terms})
			}
		}
		must(t, x.Apply(again))
		must(t, x.Healed(x.Lost()[0]))
		must(t, x.Close())
		x = opened(t, dir, Options{NoMerge: true})
		if got := all(t, x, Query{Expr: Term("part1")}); len(x.Lost()) > 0 || !slices.Equal(got, o.search(Query{Expr: Term("part1")})) {
			t.Errorf("%s: not healed: %d", name, len(got))
		}
	}
}

// Damage that a search meets does not end it.
func TestSearchMeetsDamage(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	x, _ := filled(t, dir)
	must(t, x.Close())
	parts, _ := filepath.Glob(filepath.Join(dir, "*.seg"))
	slices.Sort(parts)
	b, err := os.ReadFile(parts[2])
	must(t, err)
	for i := 8; i < len(b)/3; i++ { // postings, which are read when they are asked for
		b[i] ^= 0x5a
	}
	must(t, os.WriteFile(parts[2], b, 0o600))
	x = opened(t, dir, Options{NoMerge: true})
	h := x.Search(Query{Expr: Or(Prefix("ab"), Prefix("가"), Prefix("part"))})
	n := 0
	for _, ok := h.Next(); ok; _, ok = h.Next() {
		n++
	}
	err = h.Err()
	h.Close()
	if n < 3000 {
		t.Errorf("%d documents of the others", n)
	}
	if err == nil {
		t.Error("the damage was not noticed")
	}
	must(t, x.Close())
	x = opened(t, dir, Options{NoMerge: true})
	_ = x.Verify(t.Context(), nil)
	if len(x.Lost()) != 1 {
		t.Errorf("lost %v", x.Lost())
	}
}

// A torn manifest begins anew; a newer one is left alone.
func TestManifests(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	x, _ := filled(t, dir)
	must(t, x.Close())
	path := filepath.Join(dir, "manifest")
	whole, err := os.ReadFile(path)
	must(t, err)
	must(t, os.WriteFile(path, whole[:len(whole)/2], 0o600))
	x = opened(t, dir, Options{})
	if x.State() != nil || x.Stats().Docs != 0 {
		t.Errorf("%q, %+v", x.State(), x.Stats())
	}
	must(t, x.Apply(Batch{Put: []Doc{{"1", []string{"x"}}}, State: []byte("t")}))
	must(t, x.Close())
	x = opened(t, dir, Options{})
	if string(x.State()) != "t" || !x.Has("1") {
		t.Error("nothing was kept afterwards")
	}
	must(t, x.Reset())
	must(t, x.Close())
	x = opened(t, dir, Options{})
	if x.State() != nil || x.Has("1") {
		t.Error("reset is not for good")
	}
	must(t, x.Close())
	newer(t, path)
	if _, err := Open(dir, Options{}); !errors.Is(err, ErrFormat) {
		t.Errorf("%v", err)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "*.tmp")); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}
