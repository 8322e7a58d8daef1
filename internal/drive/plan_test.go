package drive_test

import (
	"encoding/json"
	"fmt"
	"testing"

	"buttersc.one/oven/internal/drive"
	"buttersc.one/oven/internal/testsrv"
)

// Whether a note has a file is looked up by index, also when many do.
func TestRemoveUnshownPlan(t *testing.T) {
	t.Parallel()
	d := testsrv.Database(t)
	for _, sql := range []string{
		`INSERT INTO "user" (id, username, username_lower, host, actor_host, uri) VALUES ('u', 'u', 'u', 'a.example', 'a.example', 'u')`,
		`INSERT INTO note (id, user_id, user_host, text, visibility, uri, file_ids) SELECT 'n' || i, 'u', 'a.example', 'x', 'public', 'n' || i, ARRAY['f' || i] FROM generate_series(1, 30000) i`,
		`INSERT INTO drive_file (id, user_id, user_host, name, type, url, is_link) SELECT 'f' || i, 'u', 'a.example', 'x', 'x', 'x', true FROM generate_series(1, 30100) i`,
		`VACUUM ANALYZE`,
	} {
		if _, err := d.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	var ids []string
	for i := range 200 {
		ids = append(ids, fmt.Sprint("f", 29901+i))
	}
	var raw []byte
	if err := d.QueryRow(t.Context(), "EXPLAIN (ANALYZE, FORMAT JSON) "+drive.RemoveUnshown, ids).Scan(&raw); err != nil {
		t.Fatal(err)
	}
	var out []struct{ Plan map[string]any }
	if err := json.Unmarshal(raw, &out); err != nil {
		t.Fatal(err)
	}
	var walk func(p map[string]any)
	walk = func(p map[string]any) {
		num := func(key string) float64 { n, _ := p[key].(float64); return n }
		if n := num("Actual Loops") * (num("Actual Rows") + num("Rows Removed by Filter")); n > 2000 {
			t.Errorf("%v of %v touches %.0f rows", p["Node Type"], p["Relation Name"], n)
		}
		plans, _ := p["Plans"].([]any)
		for _, c := range plans {
			walk(c.(map[string]any))
		}
	}
	walk(out[0].Plan)
	var left int
	if err := d.QueryRow(t.Context(), "SELECT count(*) FROM drive_file").Scan(&left); err != nil || left != 30000 {
		t.Errorf("%d files are left (%v)", left, err)
	}
}
