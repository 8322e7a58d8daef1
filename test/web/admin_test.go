package web_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"buttersc.one/oven/internal/testsrv"
	"buttersc.one/oven/test/npm"
)

const (
	sqlBreak = `ALTER TABLE "user" DROP CONSTRAINT user_username_lower_host_key`
	sqlMend  = `ALTER TABLE "user" ADD CONSTRAINT user_username_lower_host_key UNIQUE NULLS NOT DISTINCT (username_lower, host)`
)

// The page of those who look after the server.
func TestAdmin(t *testing.T) {
	build(t)
	npm.Install(t)
	srv := testsrv.New(t)
	root, bob := srv.User(t, "alice"), srv.User(t, "bob")
	srv.Set(t, testsrv.M{"name": "갓 구운 서버", "langs": []string{"ko"}})
	mux := http.NewServeMux()
	for path, sql := range map[string]string{"/break": sqlBreak, "/mend": sqlMend} {
		mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
			if _, err := srv.DB.Exec(r.Context(), sql); err != nil {
				t.Error(err)
				http.Error(w, err.Error(), http.StatusInternalServerError)
			}
		})
	}
	var mu sync.Mutex
	told := []string{}
	mux.HandleFunc("/hook", func(w http.ResponseWriter, r *http.Request) {
		var b struct{ Type string }
		if err := json.NewDecoder(r.Body).Decode(&b); err != nil {
			t.Error(err)
		}
		mu.Lock()
		told = append(told, b.Type+" "+r.Header.Get("X-Misskey-Hook-Secret"))
		mu.Unlock()
		w.WriteHeader(http.StatusNoContent)
	})
	mux.HandleFunc("/hooked", func(w http.ResponseWriter, _ *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		if err := json.NewEncoder(w).Encode(told); err != nil {
			t.Error(err)
		}
	})
	fault := httptest.NewServer(mux)
	t.Cleanup(fault.Close)
	npm.Run(t, "node", "admin.mjs", srv.Origin, fault.URL, root.Token, bob.Token)
}
