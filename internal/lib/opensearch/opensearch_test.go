package opensearch_test

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"buttersc.one/oven/internal/lib/opensearch"
	"buttersc.one/oven/internal/lib/opensearch/opensearchtest"
	"buttersc.one/oven/internal/lib/textindex"
)

func client(t *testing.T, url string) *opensearch.Client {
	t.Helper()
	c, err := opensearch.New(opensearch.Config{URL: url, Prefix: "oventest" + strconv.Itoa(rand.IntN(1_000_000))}) //nolint:gosec // no secret
	if err != nil {
		t.Fatal(err)
	}
	must(t, c.Ready(t.Context()))
	return c
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// alike puts random batches into a cluster and into a textindex, and compares what they find.
func alike(t *testing.T, url string, steps int) {
	t.Helper()
	c := client(t, url)
	ctx := t.Context()
	must(t, c.Make(ctx, 1))
	must(t, c.Make(ctx, 1)) // another process was first
	t.Cleanup(func() { _ = c.Drop(t.Context(), 1) })
	x, err := textindex.Open(t.TempDir(), textindex.Options{})
	must(t, err)
	t.Cleanup(func() { _ = x.Close() })
	r := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // no secret
	id := func() string { return fmt.Sprintf("%05d", r.IntN(2000)) }
	term := func() string {
		return []string{"가나", "나다", "터\x01", "butter", "but", "\x02p", "\x02u" + strconv.Itoa(r.IntN(4)), "\x03x/+=", `"quoted"`}[r.IntN(9)]
	}
	for step := range steps {
		b := textindex.Batch{State: []byte(fmt.Sprintf(`{"step":%d}`, step))}
		for range r.IntN(150) {
			b.Put = append(b.Put, textindex.Doc{ID: id(), Terms: []string{term(), term(), term()}})
		}
		for range r.IntN(20) {
			b.Delete = append(b.Delete, id())
		}
		if r.IntN(6) == 0 {
			b.DeleteTerm = []string{"\x02u" + strconv.Itoa(r.IntN(4))}
		}
		must(t, c.Apply(ctx, 1, b))
		must(t, x.Apply(b))
		must(t, c.Refresh(ctx, 1))
		state, err := c.State(ctx, 1)
		if err != nil || string(state) != string(b.State) {
			t.Fatalf("state %q: %v", state, err)
		}
		for range 4 {
			t1, t2, p := textindex.Term(term()), textindex.Term(term()), textindex.Prefix([]string{"bu", "가", "\x02", "z"}[r.IntN(4)])
			e := []textindex.Expr{t1, p, textindex.And(t1, textindex.Not(t2)), textindex.Or(t1, t2, p), textindex.Not(t1), textindex.All(), textindex.None(), textindex.And(p, textindex.Or(t1, t2))}[r.IntN(8)]
			q := textindex.Query{Expr: e, Ascending: r.IntN(2) == 0}
			if r.IntN(2) == 0 {
				q.Before, q.After = id(), id()
			}
			got, want := c.Search(ctx, 1, q), x.Search(q)
			a, b := drain(got), drain(want)
			want.Close()
			if got.Err() != nil || !slices.Equal(a, b) {
				t.Fatalf("step %d %s %+v: %v\n%v\n%v", step, e, q, got.Err(), a, b)
			}
		}
	}
	st, err := c.Stats(ctx, 1)
	if err != nil || st.Docs != x.Stats().Docs || st.Bytes == 0 {
		t.Errorf("%+v, %v; not %d", st, err, x.Stats().Docs)
	}
	must(t, c.Expunge(ctx, 1))
	numbers, err := c.Numbers(ctx)
	if err != nil || !slices.Equal(numbers, []int{1}) {
		t.Errorf("%v, %v", numbers, err)
	}
}

func drain(h interface{ Next() (string, bool) }) (out []string) {
	for id, ok := h.Next(); ok; id, ok = h.Next() {
		out = append(out, id)
	}
	return out
}

// A cluster finds what textindex finds.
func TestAlike(t *testing.T) {
	t.Parallel()
	alike(t, opensearchtest.New(t).URL, 60)
}

// The same with a real one, where there is one.
func TestAlikeForReal(t *testing.T) {
	url := os.Getenv("OVEN_TEST_OPENSEARCH_URL")
	if url == "" {
		t.Log("OVEN_TEST_OPENSEARCH_URL names no cluster: the documented API's fake alone was asked")
		return
	}
	alike(t, url, 60)
}

// A cluster that is busy is asked again; what it refuses is an error without what was written.
func TestRefusals(t *testing.T) {
	t.Parallel()
	f := opensearchtest.New(t)
	c := client(t, f.URL)
	ctx := t.Context()
	must(t, c.Make(ctx, 1))
	busy := 2
	f.Refuse(func(*http.Request) int {
		if busy--; busy >= 0 {
			return http.StatusTooManyRequests
		}
		return 0
	})
	doc := textindex.Batch{Put: []textindex.Doc{{ID: "1", Terms: []string{"a secret"}}}, State: []byte("s")}
	must(t, c.Apply(ctx, 1, doc))
	f.Refuse(func(r *http.Request) int {
		if strings.HasSuffix(r.URL.Path, "_bulk") {
			return http.StatusInternalServerError
		}
		return 0
	})
	if err := c.Apply(ctx, 1, doc); err == nil || strings.Contains(err.Error(), "secret") {
		t.Errorf("%v", err)
	}
	f.Refuse(func(*http.Request) int { return http.StatusUnauthorized })
	withPassword, err := opensearch.New(opensearch.Config{URL: strings.Replace(f.URL, "http://", "http://oven:hunter2@", 1)})
	must(t, err)
	if err := withPassword.Ready(ctx); err == nil || !strings.Contains(err.Error(), "not accepted") || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("%v", err)
	}
	f.Refuse(nil)
	if err := c.Apply(ctx, 1, textindex.Batch{Put: []textindex.Doc{{ID: strings.Repeat("9", 600), Terms: []string{"x"}}}}); err == nil {
		t.Error("a document that the cluster does not take")
	}
	if err := c.Apply(ctx, 2, doc); err == nil {
		t.Error("an index that is not there")
	}
	if h := c.Search(ctx, 2, textindex.Query{Expr: textindex.All()}); drain(h) != nil || h.Err() == nil {
		t.Error("a search in an index that is not there")
	}
	if state, err := c.State(ctx, 9); state != nil || err != nil {
		t.Errorf("%q, %v", state, err)
	}
	for _, url := range []string{"", "ftp://x", "http://", "://user:pw@"} {
		if _, err := opensearch.New(opensearch.Config{URL: url}); err == nil || strings.Contains(err.Error(), "pw") {
			t.Errorf("%q: %v", url, err)
		}
	}
}

// An answer that is no answer is an error, whatever its size.
func TestStrangeAnswers(t *testing.T) {
	t.Parallel()
	for name, h := range map[string]http.HandlerFunc{
		"no JSON": func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<html>")) },
		"endless": func(w http.ResponseWriter, r *http.Request) {
			for r.Context().Err() == nil {
				if _, err := w.Write(make([]byte, 1<<20)); err != nil {
					return
				}
			}
		},
		"too few answers": func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(`{"errors":false,"items":[]}`)) },
	} {
		srv := httptest.NewServer(h)
		c, err := opensearch.New(opensearch.Config{URL: srv.URL})
		must(t, err)
		if err := c.Apply(t.Context(), 1, textindex.Batch{Put: []textindex.Doc{{ID: "1", Terms: []string{"x"}}}}); err == nil {
			t.Errorf("%s: taken", name)
		}
		srv.Close()
	}
}
