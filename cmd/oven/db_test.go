package main

import (
	"errors"
	"testing"

	"buttersc.one/oven/internal/testsrv"
)

// oven db migrate ends with 1 when the database is not as it should be; what an
// operator added is no reason.
func TestCompare(t *testing.T) {
	t.Parallel()
	o := &opened{db: testsrv.Database(t)}
	for _, step := range []struct {
		sql  string
		want error
	}{{"SELECT 1", nil}, {"CREATE TABLE theirs (id int)", nil}, {"DROP INDEX user_host_idx", errFound}} {
		if _, err := o.db.Exec(t.Context(), step.sql); err != nil {
			t.Fatal(err)
		}
		if err := o.compare(t.Context()); !errors.Is(err, step.want) {
			t.Errorf("%s: %v, want %v", step.sql, err, step.want)
		}
	}
}
