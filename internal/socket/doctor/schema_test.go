package doctor_test

import (
	"strings"
	"testing"

	"buttersc.one/oven/internal/socket/doctor"
)

func TestParseSchema(t *testing.T) {
	t.Parallel()
	s, err := doctor.ParseSchema(`
# a remark
must loaf.id
enum grain rye oat
table loaf
  columns id name
  columns baker_id
  key name baker_id nulls guarded beside town where baker_id > 0
  want name
  ref baker_id baker.id until Dropped
  array seeds seed.id
  copy town baker_id baker.town
  count slices slice.loaf_id = name | c.eaten | t.fresh
  rule stale id | t.age > 3 | loaves that are old | JOIN oven o USING (id)
`)
	if err != nil {
		t.Fatal(err)
	}
	loaf := s.Table("loaf")
	if loaf == nil || len(loaf.Columns) != 3 || len(loaf.Keys) != 2 || s.Must[0] != "loaf.id" || s.Enums[0].Name != "grain" || len(s.Enums[0].Values) != 2 {
		t.Fatalf("%+v %+v", s, loaf)
	}
	if k := loaf.Keys[0]; len(k.Columns) != 2 || !k.Nulls || !k.Guarded || k.Beside != "town" || k.Where != "baker_id > 0" || k.Wanted || !loaf.Keys[1].Wanted {
		t.Errorf("keys: %+v", loaf.Keys)
	}
	if r := loaf.Refs; r[0] != (doctor.Ref{Column: "baker_id", Table: "baker", To: "id", Until: "Dropped"}) || r[1].Kind != doctor.Array {
		t.Errorf("references: %+v", r)
	}
	if c := loaf.Counts[0]; c != (doctor.Count{Column: "slices", Table: "slice", Ref: "loaf_id", Key: "name", Child: "c.eaten", Own: "t.fresh"}) {
		t.Errorf("counts: %+v", c)
	}
	if r := loaf.Rules[0]; r != (doctor.Rule{Code: "stale", Column: "id", Where: "t.age > 3", Says: "loaves that are old", Join: "JOIN oven o USING (id)"}) {
		t.Errorf("rules: %+v", r)
	}
	if c := loaf.Copies[0]; c != (doctor.Copy{Column: "town", Via: "baker_id", Table: "baker", Of: "town"}) {
		t.Errorf("copies: %+v", c)
	}
	for _, bad := range []string{"bread x", "table a\n  ref b", "table a\n  count b", "table a\n  copy b c", "table a\n  rule b"} {
		if _, err := doctor.ParseSchema(bad); err == nil || !strings.HasPrefix(err.Error(), "line ") {
			t.Errorf("%q: %v", bad, err)
		}
	}
}
