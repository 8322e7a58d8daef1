package queue_test

import (
	"testing"

	"buttersc.one/oven/internal/app"
	"buttersc.one/oven/internal/testsrv"
)

func event(channel, typ string) func(m m) bool {
	return func(e m) bool {
		return e["type"] == "channel" && testsrv.Dig(e, "body", "id") == channel && testsrv.Dig(e, "body", "type") == typ
	}
}

// Anybody may listen to how deliveries and the inbox do.
func TestQueueStats(t *testing.T) {
	t.Parallel()
	s := testsrv.New(t, func(o *app.Options) { lagging(t, o.DB, 3) })
	sock := s.Guest().Stream(t, "queueStats")
	first := sock.Next("figures", event("queueStats", "stats"))
	for key, want := range (m{"delayed": 300.0, "waiting": 0.0, "active": 0.0, "activeSincePrevTick": 0.0}) {
		testsrv.Is(t, first, want, "body", "body", "deliver", key)
	}
	testsrv.Is(t, first, 0.0, "body", "body", "inbox", "waiting")
	sock.Send(m{"type": "channel", "body": m{"id": "queueStats", "type": "requestLog", "body": m{"id": "1", "length": 10}}})
	log := sock.Next("the last figures", event("queueStats", "statsLog"))
	testsrv.Is(t, log, 300.0, "body", "body", 0, "deliver", "delayed")
}
