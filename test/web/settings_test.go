package web_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"buttersc.one/oven/internal/app"
	"buttersc.one/oven/internal/testsrv"
	"buttersc.one/oven/test/npm"
)

// Every page of the settings, in the browser.
func TestSettings(t *testing.T) {
	build(t)
	npm.Install(t)
	at := ""
	srv := testsrv.New(t, func(o *app.Options) {
		// Passkeys need a name; the browser knows loopback's.
		o.Origin = strings.Replace(o.Origin, "127.0.0.1", "localhost", 1)
		o.Host = strings.Replace(o.Host, "127.0.0.1", "localhost", 1)
		o.Hostname, at = "localhost", o.Origin
	})
	letters := letters(t, srv, at)
	root := srv.User(t, "alice")
	carol := srv.User(t, "carol")
	srv.Set(t, testsrv.M{"name": "갓 구운 서버", "langs": []string{"ko"}})
	npm.Run(t, "node", "settings.mjs", at, letters, brake(t, srv), root.Token, carol.Token)
}

const (
	sqlHold = `SELECT n.id FROM note n JOIN "user" u ON u.id = n.user_id WHERE u.username = 'bora' ORDER BY n.id LIMIT 1 FOR UPDATE OF n`
	// The clearing, and whoever would rule it.
	sqlBraked = `SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`
)

// brake is the address of a server that holds bora's oldest note (/hold), so
// that a clearing does not get by, until somebody else waits behind it
// (/release).
func brake(t *testing.T, srv *testsrv.Server) string {
	t.Helper()
	var held pgx.Tx
	mux := http.NewServeMux()
	fail := func(w http.ResponseWriter, err error) bool {
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
		}
		return err != nil
	}
	mux.HandleFunc("/hold", func(w http.ResponseWriter, _ *http.Request) {
		tx, err := srv.DB.Begin(t.Context())
		if fail(w, err) {
			return
		}
		held = tx
		var id string
		fail(w, tx.QueryRow(t.Context(), sqlHold).Scan(&id))
	})
	mux.HandleFunc("/release", func(w http.ResponseWriter, r *http.Request) {
		for waiting := 0; waiting < 2; {
			if fail(w, srv.DB.QueryRow(r.Context(), sqlBraked).Scan(&waiting)) {
				return
			}
			time.Sleep(20 * time.Millisecond)
		}
		fail(w, held.Rollback(t.Context()))
	})
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)
	return s.URL
}
