package backup_test

import (
	"slices"
	"strings"
	"testing"

	"buttersc.one/oven/internal/backup"
)

// What PostgreSQL's programs get as arguments has no password, and nothing that only
// our own client understands.
func TestArguments(t *testing.T) {
	t.Parallel()
	for dsn, want := range map[string][]string{
		"postgres://oven:hunter2@db.example:6432/oven?sslmode=disable&pool_max_conns=7": {"host='db.example'", "port='6432'", "dbname='oven'", "user='oven'", "sslmode='disable'"},
		"postgres://oven:hunter2@/o'v?host=/run/pg&port=5432":                           {"host='/run/pg'", "port='5432'", `dbname='o\'v'`, "user='oven'"},
		"host=/run/pg user=oven password=hunter2 dbname=x sslmode=disable":              {"host='/run/pg'", "port='5432'", "dbname='x'", "user='oven'", "sslmode='disable'"},
	} {
		info, env, err := backup.Libpq(dsn)
		must(t, err)
		got := strings.Fields(info)
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("%s: %s", dsn, info)
		}
		if !slices.Contains(env, "PGPASSWORD=hunter2") {
			t.Errorf("%s: the password is lost", dsn)
		}
	}
	if _, _, err := backup.Libpq("postgres://oven:hunter2@host:port/x"); err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("got %v", err)
	}
}
