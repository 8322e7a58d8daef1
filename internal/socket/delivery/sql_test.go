package delivery_test

import (
	"slices"
	"testing"
	"time"

	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/socket/delivery"
)

// What slices above ask in statements is what the engine says of its hosts.
func TestStatesInStatements(t *testing.T) {
	t.Parallel()
	d := open(t, newDSN(t))
	r := newRig(t, d, newFleet())
	for i, set := range []string{
		"fails = 0", "fails = 1, fail_since = now()", "fails = 5, fail_since = now(), next_try = now() + interval '1 hour'", "fails = 9, fail_since = now() - interval '2 days'",
		"fails = 20, fail_since = now() - interval '8 days'", "fails = 2, refusing_since = now()", "gone_since = now(), gone_probes = 1",
		"fails = 20, fail_since = now() - interval '8 days', gone_since = now()", "paused = true", "paused = true, fails = 20, fail_since = now() - interval '8 days'",
	} {
		_, err := d.Exec(t.Context(), "INSERT INTO fed_host (host) VALUES ('h' || $1::int)", i)
		must(t, err)
		_, err = d.Exec(t.Context(), "UPDATE fed_host SET "+set+" WHERE host = 'h' || $1::int", i)
		must(t, err)
	}
	check := func() {
		t.Helper()
		hosts, err := r.Hosts(t.Context())
		must(t, err)
		for _, h := range hosts {
			var failing bool
			var stopped string
			must(t, d.QueryRow(t.Context(), "SELECT "+delivery.SQLFailing+", "+delivery.SQLStopped+" FROM (SELECT $2::timestamptz AS at) now, fed_host h WHERE h.host = $1", h.Host, time.Now()).
				Scan(&failing, &stopped))
			want := h.State
			if !slices.Contains([]string{"paused", "dead", "gone"}, want) {
				want = ""
			}
			if stopped != want {
				t.Errorf("%s is %s: %q", h.Host, h.State, stopped)
			}
			if down := h.FailSince != nil || h.State == "gone"; down && !failing || failing && slices.Contains([]string{"up", "refusing"}, h.State) {
				t.Errorf("%s is %s: failing %v", h.Host, h.State, failing)
			}
		}
		if len(hosts) < 10 {
			t.Errorf("%d hosts", len(hosts))
		}
	}
	check()
	set := func(host string, paused, want bool) {
		t.Helper()
		must(t, d.Tx(t.Context(), func(tx *pg.Tx) error {
			changed, err := r.SetPaused(t.Context(), tx, host, paused)
			if changed != want {
				t.Errorf("%s paused %v: changed %v", host, paused, changed)
			}
			return err
		}))
	}
	set("h0", true, true)
	set("h0", true, false)
	set("h8", false, true)
	set("new.example", true, true)
	check()
}
