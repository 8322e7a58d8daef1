// Package confine runs programs over what strangers have sent: bounded in
// memory and time, without a network, unable to write files and, where the
// kernel has Landlock, to read any but those named. What a decoder's flaw can
// then do is to fail.
//
// A program is started through this one: the process begins as a copy of it
// (see init), takes the bounds upon itself, and becomes the program.
package confine

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"time"
)

// Limits of one run.
type Limits struct {
	Memory int64         // bytes that it may have allocated, its threads' stacks too
	Time   time.Duration // of processor and of clock
	Read   []string      // files that it may read besides programs and libraries
	Env    []string      // its whole environment, besides PATH
}

// marker is the name under which this program is started to become another.
const marker = "oven-confine"

// self is this program, whatever became of its file since.
const self = "/proc/self/exe"

// wire is Limits as the child reads them.
type wire struct {
	Memory  uint64
	Seconds uint64
	Read    []string
}

// Command prepares a run of the program at the absolute path. It is killed when
// ctx or its time ends; the returned function must be called once it is over.
func Command(ctx context.Context, l Limits, program string, args ...string) (*exec.Cmd, context.CancelFunc) {
	ctx, cancel := context.WithTimeout(ctx, l.Time)
	b, err := json.Marshal(wire{Memory: uint64(l.Memory), Seconds: uint64((l.Time + time.Second - 1) / time.Second), Read: l.Read}) //nolint:gosec // positive
	if err != nil {
		panic(err) // strings and numbers
	}
	cmd := exec.CommandContext(ctx, self)
	cmd.Args = append([]string{marker, string(b), program}, args...)
	cmd.Env = append([]string{"PATH=/usr/local/bin:/usr/bin:/bin", "LC_ALL=C.UTF-8", "HOME=/nonexistent"}, l.Env...)
	cmd.Dir = "/"
	cmd.SysProcAttr = attributes()
	cmd.WaitDelay = time.Second
	return cmd, cancel
}

// init makes a process that was started by Command what it is to be. It comes
// before main, and before most other packages' work.
func init() { //nolint:gochecknoinits // see above
	if len(os.Args) < 3 || os.Args[0] != marker {
		return
	}
	err := become(os.Args[1], os.Args[2:])
	fmt.Fprintln(os.Stderr, strconv.Quote(os.Args[2])+":", err)
	os.Exit(127)
}
