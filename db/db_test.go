package db_test

import (
	"testing"

	"buttersc.one/oven/db"
	"buttersc.one/oven/internal/testsrv"
)

// Migrations are not cut off by the limits of requests.
func TestMigrationsAreUnhurried(t *testing.T) {
	t.Parallel()
	std := db.Unhurried(testsrv.Database(t))
	defer func() { _ = std.Close() }()
	for _, name := range []string{"statement_timeout", "idle_in_transaction_session_timeout"} {
		var v string
		if err := std.QueryRowContext(t.Context(), "SHOW "+name).Scan(&v); err != nil || v != "0" {
			t.Errorf("%s is %s (%v)", name, v, err)
		}
	}
}
