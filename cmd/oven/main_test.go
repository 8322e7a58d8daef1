package main

import (
	"os"
	"strings"
	"testing"
)

// What the environment sets is for another server, or for other tests.
func TestMain(m *testing.M) {
	for _, kv := range os.Environ() {
		if name, _, _ := strings.Cut(kv, "="); strings.HasPrefix(name, "OVEN_") {
			_ = os.Unsetenv(name)
		}
	}
	os.Exit(m.Run())
}
