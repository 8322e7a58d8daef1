package pgserver

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"strconv"
)

// Tools are PostgreSQL's own programs that take a database out and put it in again.
type Tools struct {
	Dump, Restore string // absolute paths of pg_dump and pg_restore
	Version       string
}

// FindTools finds the programs for a server of that major version: its own version's, else the next newer. Older ones
// refuse to work with it.
func FindTools(major int) (Tools, error) { return toolsOf(places(), major) }

func toolsOf(dirs []string, want int) (Tools, error) {
	best, found := 0, Tools{}
	for _, dir := range dirs {
		t := Tools{Dump: filepath.Join(dir, "pg_dump"), Restore: filepath.Join(dir, "pg_restore")}
		if !filepath.IsAbs(dir) || !executable(t.Dump) || !executable(t.Restore) {
			continue
		}
		out, err := exec.Command(t.Dump, "--version").Output()
		m := versionLine.FindStringSubmatch(string(out))
		if err != nil || m == nil {
			continue
		}
		t.Version = m[1]
		major, _ := strconv.Atoi(m[2]) // digits, by the pattern
		// The last of those that are alike: on PATH there may be Debian's wrapper, in the version's own directory there is none.
		if major < want || best != 0 && major > best {
			continue
		}
		best, found = major, t
	}
	if best == 0 {
		return found, fmt.Errorf("pgserver: pg_dump and pg_restore of PostgreSQL %d or newer are needed; run: apt-get install postgresql-client-%d", want, want)
	}
	return found, nil
}
