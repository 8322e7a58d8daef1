package pgserver

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

func TestNewestPrograms(t *testing.T) {
	dirs := map[int]string{}
	var all []string
	for _, v := range []int{9, 14, 15, 17} {
		dir := t.TempDir()
		dirs[v] = dir
		all = append(all, dir)
		for _, name := range []string{"postgres", "initdb"} {
			script := "#!/bin/sh\necho \"postgres (PostgreSQL) " + strconv.Itoa(v) + ".2 (Debian)\"\n"
			if err := os.WriteFile(filepath.Join(dir, name), []byte(script), 0o755); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, c := range []struct {
		dirs []string
		want int
		got  int
		err  string
	}{
		{all, 0, 17, ""},
		{all, 15, 15, ""},
		{append([]string{".", "/nowhere"}, all...), 0, 17, ""},
		{all, 16, 0, "apt-get install postgresql-16"},
		{all[:2], 0, 0, "PostgreSQL 14.2 is too old"},
		{nil, 0, 0, "apt-get install postgresql "},
	} {
		p, err := newestOf(c.dirs, c.want)
		if c.err != "" {
			if err == nil || !strings.Contains(err.Error(), c.err) {
				t.Errorf("want %d: got %v, want %q", c.want, err, c.err)
			}
			continue
		}
		if err != nil || p.major != c.got || filepath.Dir(p.postgres) != dirs[c.got] {
			t.Errorf("want %d: got %+v %v", c.want, p, err)
		}
	}
}

func TestSocketDirectory(t *testing.T) {
	fits := "/" + strings.Repeat("d", maxSocketDir-len("//pg/run"))
	for dir, inside := range map[string]bool{
		"/var/lib/oven": true, fits: true, fits + "d": false, "/srv/a b": false, "/srv/a,b": false, "/srv/한": false, "/srv/a%b": false,
	} {
		at := newLayout(dir)
		if at.fallback == inside || len(at.run) > maxSocketDir {
			t.Errorf("%s: socket directory %s", dir, at.run)
		}
	}
}

func TestUnreachableDirectoryIsNamed(t *testing.T) {
	base, err := os.MkdirTemp("/tmp", "oven-test-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(base) })
	home := filepath.Join(base, "closed", "oven", "pg")
	if err := os.MkdirAll(home, 0o755); err != nil {
		t.Fatal(err)
	}
	for dir, mode := range map[string]os.FileMode{"": 0o755, "closed": 0o700} {
		if err := os.Chmod(filepath.Join(base, dir), mode); err != nil {
			t.Fatal(err)
		}
	}
	at := newLayout(filepath.Dir(home))
	bin, err := findPrograms(at)
	if err != nil {
		t.Fatal(err)
	}
	// Not root: no other account can be tried, so it only answers that it may not become one.
	err = at.checkReachable(account{name: "stranger", uid: 64999, gid: 64999, other: true}, bin)
	if err == nil || !strings.Contains(err.Error(), "may not enter "+filepath.Join(base, "closed")+":") {
		t.Errorf("got %v", err)
	}
	if err := os.Chmod(filepath.Join(base, "closed"), 0o711); err != nil {
		t.Fatal(err)
	}
	if err := at.checkReachable(account{name: "stranger", uid: 64999, gid: 64999, other: true}, bin); err != nil {
		t.Error(err)
	}
}

func TestForeignFallbackIsRefused(t *testing.T) {
	dir, err := os.MkdirTemp("/tmp", "oven-test-with space-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	at := newLayout(dir)
	if err := os.Symlink("/etc", at.run); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.Remove(at.run) })
	who, err := accountFor(at)
	if err != nil {
		t.Fatal(err)
	}
	bin, err := findPrograms(at)
	if err != nil {
		t.Fatal(err)
	}
	if err := at.prepare(who, bin); err == nil || !strings.Contains(err.Error(), "belongs to someone else") {
		t.Errorf("got %v", err)
	}
}

func TestQuote(t *testing.T) {
	if got := quote(`/a'b\c`); got != `'/a''b\\c'` {
		t.Error(got)
	}
}

func TestSmallSharedMemory(t *testing.T) {
	for _, dir := range []string{"/nowhere", "/proc"} {
		if got := sharedMemory(dir); got != "mmap" {
			t.Errorf("%s: %s", dir, got)
		}
	}
}

func TestLimitFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	writer, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer writer.Close()
	for _, step := range []struct{ write, now, old string }{
		{"0123456789", "0123456789", ""}, {"abc", "", "3456789abc"}, {"x", "x", "3456789abc"},
	} {
		if _, err := writer.WriteString(step.write); err != nil {
			t.Fatal(err)
		}
		if err := limitFile(path, 10); err != nil {
			t.Fatal(err)
		}
		now, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		old, _ := os.ReadFile(path + ".1")
		if !bytes.Equal(now, []byte(step.now)) || !bytes.Equal(old, []byte(step.old)) {
			t.Errorf("after %q: %q and %q", step.write, now, old)
		}
	}
}

func TestReason(t *testing.T) {
	got := reason("2026-01-01 00:00:00.000 UTC [12] LOG:  x\n2026-01-01 00:00:00.000 UTC [12] FATAL:  no  room\n2026 [12] HINT:  make some\n")
	if got != "FATAL: no room; HINT: make some" {
		t.Error(got)
	}
}

func TestTools(t *testing.T) {
	var all []string
	for _, v := range []int{14, 16, 18, 16} {
		dir := t.TempDir()
		all = append(all, dir)
		for _, name := range []string{"pg_dump", "pg_restore"} {
			script := "#!/bin/sh\necho \"" + name + " (PostgreSQL) " + strconv.Itoa(v) + ".1\"\n"
			if err := os.WriteFile(filepath.Join(dir, name), []byte(script), 0o755); err != nil {
				t.Fatal(err)
			}
		}
	}
	for want, dir := range map[int]string{14: all[0], 15: all[3], 16: all[3], 17: all[2]} {
		got, err := toolsOf(append([]string{".", "/nowhere"}, all...), want)
		if err != nil || filepath.Dir(got.Dump) != dir {
			t.Errorf("for PostgreSQL %d: %+v %v, want those in %s", want, got, err, dir)
		}
	}
	if _, err := toolsOf(all, 19); err == nil || !strings.Contains(err.Error(), "apt-get install postgresql-client-19") {
		t.Errorf("got %v", err)
	}
}
