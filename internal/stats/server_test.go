package stats_test

import (
	"testing"

	"buttersc.one/oven/internal/testsrv"
)

type m = testsrv.M

// The machine's figures are real ones, and everybody's only where the settings say
// so; those of the database are for administrators.
func TestServerInfo(t *testing.T) {
	t.Parallel()
	s := testsrv.New(t)
	root, a, g := s.User(t, "chief"), s.User(t, "alice"), s.Guest()
	testsrv.Is(t, g.Post(t, "server-info", m{}), "?", "machine")
	testsrv.Is(t, g.Post(t, "server-info", m{}), 0, "mem", "total")
	a.Fails(t, "admin/server-info", m{}, 403, "ROLE_PERMISSION_DENIED")
	full := root.Post(t, "admin/server-info", m{})
	for _, path := range [][]any{{"mem", "total"}, {"fs", "total"}, {"fs", "used"}, {"cpu", "cores"}} {
		if n, _ := testsrv.Dig(full, path...).(float64); n < 1 {
			t.Errorf("%v is %v", path, testsrv.Dig(full, path...))
		}
	}
	for _, path := range [][]any{{"machine"}, {"os"}, {"node"}, {"psql"}, {"cpu", "model"}, {"net", "interface"}} {
		if text, _ := testsrv.Dig(full, path...).(string); text == "" {
			t.Errorf("%v is not told", path)
		}
	}
	s.Set(t, m{"enableServerMachineStats": true})
	told := g.Post(t, "server-info", m{})
	testsrv.Is(t, told, testsrv.Dig(full, "cpu", "model"), "cpu", "model")
	testsrv.Is(t, told, nil, "psql")

	a.Fails(t, "admin/get-table-stats", m{}, 403, "ROLE_PERMISSION_DENIED")
	a.Fails(t, "admin/get-index-stats", m{}, 403, "ROLE_PERMISSION_DENIED")
	a.Note(t, m{"text": "x"})
	if _, err := s.DB.Exec(t.Context(), `ANALYZE "user", fed_log_live`); err != nil {
		t.Fatal(err)
	}
	tables := root.Post(t, "admin/get-table-stats", m{})
	testsrv.Is(t, tables, s.Count(t, `SELECT count(*) FROM "user"`), "user", "count")
	if size, _ := testsrv.Dig(tables, "note", "size").(float64); size < 8192 {
		t.Errorf("note is of %v bytes", size)
	}
	if size, _ := testsrv.Dig(tables, "fed_log_live", "size").(float64); size < 8192 {
		t.Errorf("a table in parts is of %v bytes", size)
	}
	found := false
	for _, i := range root.List(t, "admin/get-index-stats", m{}) {
		found = found || i["tablename"] == "note" && i["indexname"] == "note_pkey"
	}
	if !found {
		t.Error("an index is not listed")
	}
}
