//go:build faults

package faults

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"buttersc.one/oven/test/proc"
)

// F73: processes are killed while they take in a file of accounts to follow, and
// while they write one. Each account is asked once, nobody's request is lost, and
// whoever asked is told once.
func TestKillWhileTransferring(t *testing.T) {
	const each = 40
	w := newWorld(t, 1, 3, 1)
	for i := range 2 {
		o, err := proc.New(program, filepath.Join(w.dir, fmt.Sprint("beside", i)), host)
		must(t, err)
		must(t, os.Symlink(filepath.Join(w.nodes[0].Dir, "files"), filepath.Join(o.Dir, "files")))
		o.Env = w.nodes[0].Env
		must(t, o.Start(t.Context()))
		w.nodes = append(w.nodes, o)
		t.Cleanup(o.Stop)
	}
	me := w.users[0]
	ask := func(name string, params m) {
		params["i"] = me.Token
		for end := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
			_, err := w.node().Call(t.Context(), name, params)
			if err == nil {
				return
			}
			if time.Now().After(end) {
				t.Fatal(err)
			}
		}
	}
	var lines []string
	for i := range each {
		for _, h := range w.fleet.Hosts {
			h.Account(fmt.Sprint("baker", i))
			lines = append(lines, fmt.Sprint("baker", i, "@", h.Name))
		}
		if i%8 == 0 {
			lines = append(lines, fmt.Sprint("nobody", i, "@", w.fleet.Hosts[0].Name))
		}
	}
	all := each * len(w.fleet.Hosts)
	ask("i/import-following", m{"fileId": upload(t, w.nodes[0], me.Token, []byte(strings.Join(lines, "\n")))})
	kills := 0
	until := func(what string, done func() bool) {
		t.Helper()
		for end := time.Now().Add(5 * time.Minute); !done(); {
			if time.Now().After(end) {
				t.Fatalf("%s: not within five minutes", what)
			}
			time.Sleep(time.Duration(300+w.intN(1200)) * time.Millisecond)
			if kills >= 60 {
				continue
			}
			o := w.node()
			o.Kill()
			must(t, o.Begin())
			kills++
		}
		t.Logf("%s: %d kills", what, kills)
	}
	until("taken in", func() bool { return w.count("SELECT count(*) FROM transfer WHERE finished_at IS NOT NULL") == 1 })
	for sql, want := range map[string]int{
		"SELECT count(*) FROM follow_request":                                         all,
		"SELECT added FROM transfer":                                                  all,
		"SELECT passed FROM transfer":                                                 each / 8,
		"SELECT count(*) FROM notification WHERE type = 'app'":                        1,
		"SELECT count(*) FROM fed_stream WHERE kind = 'import' AND closed_at IS NULL": 0,
	} {
		if n := w.count(sql); n != want {
			t.Errorf("%d, not %d: %s", n, want, sql)
		}
	}
	// A delivery that was cut off may come twice, under the same id.
	asked := func() (objects, ids int) {
		o, i := map[any]bool{}, map[any]bool{}
		for _, h := range w.fleet.Hosts {
			for _, a := range h.Got() {
				if a["type"] == "Follow" {
					o[a["object"]], i[a["id"]] = true, true
				}
			}
		}
		return len(o), len(i)
	}
	w.wait("all are asked", func() bool { n, _ := asked(); return n == all })
	if _, n := asked(); n != all {
		t.Errorf("%d requests to %d accounts", n, all)
	}
	ask("i/export-following", m{})
	until("written", func() bool {
		return w.count("SELECT count(*) FROM transfer WHERE way = 'export' AND finished_at IS NULL") == 0
	})
	if n := w.count("SELECT count(*) FROM notification WHERE type = 'exportCompleted'"); n != 1 {
		t.Errorf("told %d times", n)
	}
	if n := w.count("SELECT count(*) FROM drive_file WHERE name LIKE 'following-%'"); n != 1 {
		t.Errorf("%d files", n)
	}
}
