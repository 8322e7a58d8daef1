package pgserver

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
)

// oldest is the first major version with UNIQUE NULLS NOT DISTINCT, which the schema needs.
const oldest = 15

// programs are the binaries of one PostgreSQL version.
type programs struct {
	postgres, initdb string
	major            int
	version          string
}

// places is where distributions keep the server's binaries. Most do not put them on PATH.
func places() []string {
	dirs := filepath.SplitList(os.Getenv("PATH"))
	for _, pattern := range []string{
		"/usr/lib/postgresql/*/bin", // Debian, Ubuntu
		"/usr/pgsql-*/bin",          // PostgreSQL's own packages for Red Hat
		"/usr/libexec/postgresql*",  // Alpine
		"/usr/lib/postgresql*/bin",  // SUSE, Gentoo
		"/usr/local/pgsql/bin",      // built from source
		"/opt/postgresql*/bin",
	} {
		found, _ := filepath.Glob(pattern) // the only error is a malformed pattern
		dirs = append(dirs, found...)
	}
	return dirs
}

var versionLine = regexp.MustCompile(`\(PostgreSQL\) ((\d+)\S*)`)

// findPrograms returns the newest binaries that fit: those of the cluster's own major version once it is made.
func findPrograms(at layout) (programs, error) {
	want := 0
	text, err := os.ReadFile(filepath.Join(at.data, "PG_VERSION"))
	if err == nil {
		want, err = strconv.Atoi(strings.TrimSpace(string(text)))
	}
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return programs{}, fmt.Errorf("pgserver: version of the cluster: %w", err)
	}
	return newestOf(places(), want)
}

func newestOf(dirs []string, want int) (programs, error) {
	best, seen := programs{}, ""
	for _, dir := range dirs {
		p := programs{postgres: filepath.Join(dir, "postgres"), initdb: filepath.Join(dir, "initdb")}
		if !filepath.IsAbs(dir) || !executable(p.postgres) || !executable(p.initdb) {
			continue
		}
		out, err := exec.Command(p.postgres, "--version").Output()
		m := versionLine.FindStringSubmatch(string(out))
		if err != nil || m == nil {
			continue
		}
		p.version = m[1]
		p.major, _ = strconv.Atoi(m[2]) // digits, by the pattern
		seen = p.version
		if p.major < oldest || want != 0 && p.major != want || p.major <= best.major {
			continue
		}
		best = p
	}
	switch {
	case best.major != 0:
		return best, nil
	case want != 0:
		return programs{}, fmt.Errorf("pgserver: the cluster was made by PostgreSQL %d, whose server is not installed; run: apt-get install postgresql-%d", want, want)
	case seen != "":
		return programs{}, fmt.Errorf("pgserver: PostgreSQL %s is too old, %d or later is needed; see https://www.postgresql.org/download/ or set OVEN_DATABASE_URL", seen, oldest)
	}
	return programs{}, errors.New("pgserver: the PostgreSQL server is not installed; run: apt-get install postgresql (or set OVEN_DATABASE_URL to a server elsewhere)")
}

func executable(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0
}

// Tool is the path of a program that PostgreSQL's server brings along, such as
// pg_dump, of the newest version installed.
func Tool(name string) (string, error) {
	p, err := newestOf(places(), 0)
	if err != nil {
		return "", err
	}
	at, err := filepath.EvalSymlinks(p.postgres) // only some are linked to where PATH leads
	if err != nil {
		return "", err
	}
	path := filepath.Join(filepath.Dir(at), name)
	if !executable(path) {
		return "", fmt.Errorf("pgserver: %s is not installed beside %s", name, at)
	}
	return path, nil
}
