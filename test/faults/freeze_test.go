//go:build faults

package faults

import (
	"testing"
	"time"
)

// F15, F17: a process stands still for longer than its lease, wherever it is:
// with the sequencer's lock, in a transaction, with requests under way. The
// others take over meanwhile, and when it goes on it does no harm.
func TestFreeze(t *testing.T) {
	w := newWorld(t, 3, 8, 4)
	x := w.traffic()
	for _, o := range w.nodes {
		x.wait("traffic", func() bool { return x.done() > 50 })
		w.away.Store(o)
		must(t, o.Freeze())
		time.Sleep(20 * time.Second) // a lease is 15 s
		before := x.done()
		x.wait("traffic without it", func() bool { return x.done() > before+50 })
		notes := w.count("SELECT count(*) FROM fed_log_live")
		x.wait("numbering without it", func() bool { return w.count("SELECT count(*) FROM fed_log_live") > notes+20 })
		must(t, o.Thaw())
		w.away.Store(nil)
	}
	x.check()
}
