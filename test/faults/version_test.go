//go:build faults

package faults

import "testing"

// F20: a newer version has migrated the database while this one runs on it:
// columns, a table and a stream that it does not know, and a migration beyond
// its own. It goes on, and starts again, beside the newer one.
func TestOlderVersion(t *testing.T) {
	w := newWorld(t, 2, 8, 4)
	x := w.traffic()
	x.wait("traffic", func() bool { return x.done() > 50 })
	for _, sql := range []string{
		`ALTER TABLE note ADD COLUMN of_tomorrow text NOT NULL DEFAULT 'x'`,
		`ALTER TABLE "user" ADD COLUMN of_tomorrow int`,
		`ALTER TABLE fed_inbox ADD COLUMN of_tomorrow int`,
		`ALTER TABLE fed_stage ADD COLUMN of_tomorrow int`,
		`ALTER TABLE fed_log_live ADD COLUMN of_tomorrow int`,
		`ALTER TABLE fed_host ADD COLUMN of_tomorrow text NOT NULL DEFAULT ''`,
		`ALTER TABLE change_stage ADD COLUMN of_tomorrow int`,
		`CREATE TABLE of_tomorrow (id int)`,
		`INSERT INTO fed_stream (stream_id, class, kind, owner_id) VALUES (100000, 3, 'of tomorrow', 'somebody')`,
		`INSERT INTO goose_db_version (version_id, is_applied) VALUES (99999, true)`,
	} {
		w.exec(sql)
	}
	before := x.done()
	x.wait("traffic on the newer schema", func() bool { return x.done() > before+100 })
	o := w.nodes[0]
	w.away.Store(o)
	o.Stop()
	must(t, o.Start(t.Context()))
	w.away.Store(nil)
	before = x.done()
	x.wait("traffic after the restart", func() bool { return x.done() > before+100 })
	x.check()
}
