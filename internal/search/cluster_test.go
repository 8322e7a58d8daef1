package search_test

import (
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"buttersc.one/oven/internal/app"
	"buttersc.one/oven/internal/lib/opensearch"
	"buttersc.one/oven/internal/lib/opensearch/opensearchtest"
	"buttersc.one/oven/internal/search"
	"buttersc.one/oven/internal/testsrv"
)

// inCluster has a server search a cluster.
func inCluster(t *testing.T, fake *opensearchtest.Fake) func(o *app.Options) {
	t.Helper()
	return func(o *app.Options) {
		place, err := search.NewCluster(opensearch.Config{URL: fake.URL}, o.DB)
		if err != nil {
			t.Fatal(err)
		}
		o.Search = place
	}
}

// Servers that share a cluster all search it; one writes it, and another when that one
// is gone.
func TestSearchInCluster(t *testing.T) {
	t.Parallel()
	fake := opensearchtest.New(t)
	shared := inCluster(t, fake)
	one := testsrv.New(t, shared)
	two := testsrv.New(t, func(o *app.Options) {
		o.DB, o.Box, o.Origin, o.Host = one.DB, one.Box(), one.Origin, one.Host
		shared(o)
	})
	alice := one.User(t, "alice")
	there := func(s *testsrv.Server, want ...string) {
		t.Helper()
		eventually(t, fmt.Sprint(want), func() bool {
			fake.Refresh() // as the cluster does once a second
			_, list := s.Guest().Call(t, "notes/search", m{"query": "rye"})
			var got []string
			notes, _ := list.([]any)
			for _, n := range notes {
				got = append(got, n.(m)["text"].(string))
			}
			return slices.Equal(got, want)
		})
	}
	write(t, alice, m{"text": "rye one"})
	there(one, "rye one")
	there(two, "rye one")
	gone := write(t, alice, m{"text": "rye two"})
	there(two, "rye two", "rye one")
	alice.Post(t, "notes/delete", m{"noteId": gone})
	there(two, "rye one")

	// The writer ends: the other goes on, and builds anew when it is asked to.
	one.Stop(t)
	bob := two.User(t, "bob")
	write(t, bob, m{"text": "rye three"})
	there(two, "rye three", "rye one")
	eventually(t, "an index that is told of", func() bool { return two.Count(t, `SELECT count(*) FROM search_node WHERE state = 'ready'`) == 1 })
	before := fake.Names()
	must(t, search.Want(t.Context(), two.DB, search.Reindex))
	eventually(t, "another index", func() bool { return !slices.Equal(fake.Names(), before) && len(fake.Names()) == 2 })
	there(two, "rye three", "rye one")
	if names := strings.Join(fake.Names(), " "); !strings.Contains(names, "oven-2") {
		t.Errorf("indices: %s; before: %v", names, before)
	}
	one.Start(t)
	there(one, "rye three", "rye one")
}

// A server that finds at its start that the change log does not reach back to where the
// index is leaves that to the one that writes it; when it writes itself, and nobody has
// brought the index further, it builds another.
func TestSearchGapIsWritersTask(t *testing.T) {
	t.Parallel()
	fake := opensearchtest.New(t)
	shared := inCluster(t, fake)
	found := func(s *testsrv.Server) func() bool {
		return func() bool {
			fake.Refresh()
			_, list := s.Guest().Call(t, "notes/search", m{"query": "rye"})
			notes, _ := list.([]any)
			return len(notes) == 1
		}
	}
	one := testsrv.New(t, shared)
	write(t, one.User(t, "alice"), m{"text": "rye"})
	eventually(t, "the note", found(one))
	one.Settle(t)
	_, err := one.DB.Exec(t.Context(), `WITH gone AS (DELETE FROM change_log) UPDATE log_head SET next_seq = next_seq + 1000 WHERE name = 'change'`)
	must(t, err)
	two := testsrv.New(t, func(o *app.Options) {
		o.DB, o.Box, o.Origin, o.Host = one.DB, one.Box(), one.Origin, one.Host
		shared(o)
	})
	eventually(t, "the note", found(two))
	if names := strings.Join(fake.Names(), " "); names != "oven-1 oven-states" {
		t.Errorf("indices: %s", names)
	}
	one.Stop(t)
	eventually(t, "another index", func() bool { return strings.Join(fake.Names(), " ") == "oven-2 oven-states" })
	eventually(t, "the note", found(two))
}

// A server that is told to use a cluster searches its own index until the cluster has
// all.
func TestSearchMovesIntoCluster(t *testing.T) {
	t.Parallel()
	fake := opensearchtest.New(t)
	s := testsrv.New(t)
	bob := s.User(t, "bob")
	write(t, bob, m{"text": "rye one"})
	s.Settle(t)
	finds(t, bob, m{"query": "rye"}, "rye one")
	s.Stop(t)
	s.Configure(func(o *app.Options) {
		cluster, err := search.NewCluster(opensearch.Config{URL: fake.URL}, o.DB)
		if err != nil {
			t.Fatal(err)
		}
		local, err := search.NewLocal(s.SearchDir, o.Log)
		if err != nil {
			t.Fatal(err)
		}
		o.Search, o.SearchOld = cluster, local
	})
	fake.Refuse(func(r *http.Request) int {
		if strings.HasSuffix(r.URL.Path, "/_bulk") {
			return http.StatusInternalServerError
		}
		return 0
	})
	s.Start(t)
	count := func() int {
		_, list := bob.Call(t, "notes/search", m{"query": "rye"}) // not available until it is known who writes
		notes, _ := list.([]any)
		return len(notes)
	}
	eventually(t, "the old index", func() bool { return count() == 1 })
	if parts, _ := filepath.Glob(filepath.Join(s.SearchDir, "*", "manifest")); len(parts) != 1 {
		t.Errorf("the old index is gone: %v", parts)
	}
	fake.Refuse(nil)
	eventually(t, "the new one", func() bool {
		parts, _ := filepath.Glob(filepath.Join(s.SearchDir, "*", "manifest"))
		return len(parts) == 0
	})
	write(t, bob, m{"text": "rye two"})
	eventually(t, "what is new", func() bool {
		fake.Refresh()
		return count() == 2
	})
}
