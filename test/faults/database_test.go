//go:build faults

package faults

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// F12: the database's sessions are ended, its process is killed, it takes no
// writes, its disk is full. What fails meanwhile fails with an error; what was
// accepted is not lost; and the servers go on by themselves.
func TestDatabase(t *testing.T) {
	w := newWorld(t, 2, 8, 4)
	for _, fault := range []struct {
		name string
		do   func()
	}{
		{"sessions are ended", func() {
			for range 5 {
				w.count(`SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND application_name = 'oven'`)
				time.Sleep(500 * time.Millisecond)
			}
		}},
		{"the process is killed", func() {
			for range 3 {
				must(t, syscall.Kill(w.postmaster(), syscall.SIGKILL))
				<-w.pg.Done()
				time.Sleep(time.Second)
				w.restart(unix.RLIM_INFINITY)
				time.Sleep(3 * time.Second)
			}
		}},
		{"it takes no writes", func() {
			w.exec(`ALTER SYSTEM SET default_transaction_read_only = on`)
			w.exec(`SELECT pg_reload_conf()`)
			time.Sleep(5 * time.Second)
			w.exec(`ALTER SYSTEM RESET default_transaction_read_only`)
			w.exec(`SELECT pg_reload_conf()`)
		}},
		{"its disk is full", func() {
			defer w.exec(`DELETE FROM note WHERE id LIKE '0filler%'`)
			// A page more than the table of notes has is refused, as on a full disk; the
			// log's files of 16 MB fit.
			w.exec(`INSERT INTO note (id, user_id, user_host, text, visibility, uri)
				SELECT '0filler' || i, u.id, u.host, repeat(md5(i::text), 30), 'public', 'http://filler.example/' || i
				FROM (SELECT id, host FROM "user" WHERE host IS NOT NULL LIMIT 1) u, generate_series(1, 20000) i`)
			w.exec(`CHECKPOINT`)
			w.restart(uint64(w.count(`SELECT pg_relation_size('note')`)))
			time.Sleep(5 * time.Second)
			w.restart(unix.RLIM_INFINITY)
		}},
	} {
		t.Run(fault.name, func(t *testing.T) {
			w.t = t
			x := w.traffic()
			x.wait("traffic", func() bool { return x.done() > 100 })
			fault.do()
			if w.failed.Swap(0) == 0 {
				t.Error("nothing failed meanwhile: that was no fault")
			}
			before := x.done()
			x.wait("traffic after it", func() bool { return x.done() > before+100 })
			x.check()
		})
	}
}

// exec runs a statement, as soon as the database lets it.
func (w *world) exec(sql string) {
	w.t.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
		_, err := w.db.Exec(context.Background(), sql)
		if err == nil {
			return
		}
		if time.Now().After(end) {
			w.t.Fatalf("%s: %v", sql, err)
		}
	}
}

func (w *world) postmaster() int {
	w.t.Helper()
	b, err := os.ReadFile(filepath.Join(w.dir, "db", "pg", "data", "postmaster.pid"))
	must(w.t, err)
	line, _, _ := bytes.Cut(b, []byte("\n"))
	pid, err := strconv.Atoi(string(line))
	must(w.t, err)
	return pid
}

// restart starts the database again, whose files may then grow to a size.
func (w *world) restart(size uint64) {
	w.t.Helper()
	_ = w.pg.Stop(context.Background())
	// Children inherit it. Nothing of this process writes files meanwhile.
	var was unix.Rlimit
	must(w.t, unix.Getrlimit(unix.RLIMIT_FSIZE, &was))
	must(w.t, unix.Setrlimit(unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: size, Max: was.Max}))
	defer func() { must(w.t, unix.Setrlimit(unix.RLIMIT_FSIZE, &was)) }()
	w.startDatabase()
}
