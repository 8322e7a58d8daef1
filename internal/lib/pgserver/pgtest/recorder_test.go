package pgtest_test

import (
	"runtime"
	"testing"
)

// recorder is a test that may fail without failing the real one.
type recorder struct {
	testing.TB
	failed bool
}

func (r *recorder) Fatalf(string, ...any) {
	r.failed = true
	runtime.Goexit()
}
