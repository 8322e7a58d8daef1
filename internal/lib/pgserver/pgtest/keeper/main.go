// Command keeper runs the tests' shared cluster in the data directory given, until it has been idle for a while.
// Package pgtest starts it.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"buttersc.one/oven/internal/lib/pgserver/pgtest"
)

func main() {
	ctx, cancel := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer cancel()
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: keeper DIR")
		os.Exit(2)
	}
	if err := pgtest.Keep(ctx, os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
