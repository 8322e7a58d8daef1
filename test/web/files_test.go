package web_test

import (
	"os"
	"path/filepath"
	"testing"

	"buttersc.one/oven/internal/testsrv"
	"buttersc.one/oven/test/npm"
)

// Somebody looks after the files of a drive.
func TestFiles(t *testing.T) {
	build(t)
	npm.Install(t)
	srv := testsrv.New(t)
	alice := srv.User(t, "alice")
	srv.Set(t, testsrv.M{"name": "갓 구운 서버", "langs": []string{"ko"}})
	dir := t.TempDir()
	for from, to := range map[string]string{"192.png": "식빵.png", "512.png": "오븐.png", "badge.png": "반죽 사진.png"} {
		b, err := os.ReadFile("../../internal/site/assets/icons/" + from)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, to), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	npm.Run(t, "node", "files.mjs", srv.Origin, alice.Token, dir)
}
