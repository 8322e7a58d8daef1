package pgserver_test

import (
	"os/exec"
	"testing"

	"buttersc.one/oven/internal/lib/pgserver"
)

func TestTool(t *testing.T) {
	path, err := pgserver.Tool("pg_dump")
	if err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(path, "--version").CombinedOutput(); err != nil {
		t.Errorf("%s: %v: %s", path, err, out)
	}
	if path, err := pgserver.Tool("pg_nothing"); err == nil {
		t.Errorf("found %s", path)
	}
}
