//go:build faults

package faults

import (
	"testing"
	"time"
)

// F11, F19, F43: three processes on one database, one of which is killed with
// SIGKILL at random moments, fifty times. No activity is lost, none is accepted
// and not processed, and what is about one object is told in order.
func TestKill(t *testing.T) {
	w := newWorld(t, 3, 12, 6)
	x := w.traffic()
	for round := range 50 {
		time.Sleep(time.Duration(100+w.intN(900)) * time.Millisecond)
		o := w.node()
		o.Kill()
		if round%7 == 0 { // longer away than its session
			time.Sleep(3 * time.Second)
		}
		must(t, o.Begin())
	}
	x.check()
}
