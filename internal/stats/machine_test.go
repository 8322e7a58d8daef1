package stats_test

import (
	"testing"

	"buttersc.one/oven/internal/testsrv"
)

// What the machine does is told where administrators let it be, from the moment
// on at which they do.
func TestServerStats(t *testing.T) {
	t.Parallel()
	s := testsrv.New(t)
	sock := s.Guest().Stream(t, "serverStats")
	heard := func(typ string) func(e m) bool {
		return func(e m) bool { return e["type"] == "channel" && testsrv.Dig(e, "body", "type") == typ }
	}
	ask := m{"type": "channel", "body": m{"id": "serverStats", "type": "requestLog", "body": m{"id": "1", "length": 1}}}
	sock.Send(ask)
	if log := testsrv.Dig(sock.Next("the last figures", heard("statsLog")), "body", "body").([]any); len(log) != 0 {
		t.Errorf("told although it is off: %v", log)
	}
	s.Set(t, m{"enableServerMachineStats": true})
	got := sock.Next("figures", heard("stats"))
	if used, _ := testsrv.Dig(got, "body", "body", "mem", "used").(float64); used <= 0 {
		t.Errorf("figures %v", got)
	}
	if cpu, ok := testsrv.Dig(got, "body", "body", "cpu").(float64); !ok || cpu < 0 || cpu > 1 {
		t.Errorf("figures %v", got)
	}
	for _, path := range [][]any{{"mem", "active"}, {"net", "rx"}, {"net", "tx"}, {"fs", "r"}, {"fs", "w"}} {
		if n, ok := testsrv.Dig(got, append([]any{"body", "body"}, path...)...).(float64); !ok || n < 0 {
			t.Errorf("%v in %v", path, got)
		}
	}
	sock.Send(ask)
	if log := testsrv.Dig(sock.Next("the last figures", heard("statsLog")), "body", "body").([]any); len(log) != 1 {
		t.Errorf("the last ones: %v", log)
	}
}
