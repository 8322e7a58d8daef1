package web_test

import (
	"testing"

	"buttersc.one/oven/internal/testsrv"
	"buttersc.one/oven/test/npm"
)

// What goes on on the server and with an account is drawn.
func TestCharts(t *testing.T) {
	build(t)
	npm.Install(t)
	srv := testsrv.New(t)
	alice := srv.User(t, "alice")
	srv.Set(t, testsrv.M{"name": "갓 구운 서버", "langs": []string{"ko"}})
	// It was here some weeks ago, and away since.
	if _, err := srv.DB.Exec(t.Context(), `INSERT INTO chart_hour VALUES (date_trunc('hour', now()) - interval '40 days') ON CONFLICT (at) DO NOTHING`); err != nil {
		t.Fatal(err)
	}
	npm.Run(t, "node", "charts.mjs", srv.Origin, alice.Token)
}
