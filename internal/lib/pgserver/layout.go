package pgserver

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"syscall"
)

// layout names the files of a cluster.
type layout struct {
	dir        string // data directory, absolute
	home       string // DIR/pg, the caller's; all below is in it
	data       string // the cluster, the account's
	run        string // socket directory, the account's
	logDir     string
	log        string
	password   string
	conf       string
	localConf  string
	ownerLock  string // held exclusively by the process that runs the cluster
	usersLock  string // shared by those attached; exclusive while a polite owner stops
	wantedLock string // shared by a Start that waits; a keeper that finds it held leaves
	fallback   bool   // run is outside of home
}

// A socket's path has at most 107 bytes; "/.s.PGSQL.5432" takes 14 of them.
const maxSocketDir = 93

// Other characters would need quoting in postgresql.conf's list, in the URL, and in both of their readers.
var plainPath = regexp.MustCompile(`^[A-Za-z0-9/._-]+$`)

func newLayout(dir string) layout {
	home := filepath.Join(dir, "pg")
	at := layout{
		dir: dir, home: home,
		data:       filepath.Join(home, "data"),
		run:        filepath.Join(home, "run"),
		logDir:     filepath.Join(home, "log"),
		log:        filepath.Join(home, "log", "postgres.log"),
		password:   filepath.Join(home, "password"),
		conf:       filepath.Join(home, "postgresql.conf"),
		localConf:  filepath.Join(home, "local.conf"),
		ownerLock:  filepath.Join(home, "owner.lock"),
		usersLock:  filepath.Join(home, "users.lock"),
		wantedLock: filepath.Join(home, "wanted.lock"),
	}
	if len(at.run) > maxSocketDir || !plainPath.MatchString(at.run) {
		sum := sha256.Sum256([]byte(dir))
		at.run = "/tmp/oven-" + hex.EncodeToString(sum[:8])
		at.fallback = true
	}
	return at
}

// makeHome makes DIR/pg. Modes are set, not asked for: the umask may be anything.
func (at layout) makeHome() error {
	return makeDir(at.home, 0o711, nil)
}

// prepare makes the directories that the cluster needs, for the account that it runs as.
func (at layout) prepare(who account, bin programs) error {
	if err := at.makeHome(); err != nil {
		return err
	}
	if err := at.checkReachable(who, bin); err != nil {
		return err
	}
	if err := makeDir(at.logDir, 0o700, nil); err != nil {
		return err
	}
	if at.fallback {
		// Anyone can make a name in /tmp before us: it must be a directory, not a link, of the account or ours.
		if info, err := os.Lstat(at.run); err == nil {
			owner := ownerOf(info)
			if !info.IsDir() || owner != who.uid && owner != os.Geteuid() {
				return fmt.Errorf("pgserver: %s belongs to someone else (user %d); remove it", at.run, owner)
			}
		}
	}
	return makeDir(at.run, 0o711, &who)
}

func (at layout) removeFallback() {
	if at.fallback {
		os.Remove(at.run) // fails when it is not empty; the next start uses it again
	}
}

func makeDir(path string, mode os.FileMode, who *account) error {
	if err := os.Mkdir(path, mode); err != nil && !errors.Is(err, os.ErrExist) {
		return fmt.Errorf("pgserver: %w", err)
	}
	if who != nil && who.other {
		if err := os.Lchown(path, who.uid, who.gid); err != nil {
			return fmt.Errorf("pgserver: %w", err)
		}
	}
	info, err := os.Stat(path)
	if err == nil && info.Mode().Perm() != mode {
		err = os.Chmod(path, mode)
	}
	if err != nil {
		return fmt.Errorf("pgserver: %w", err)
	}
	return nil
}

// checkReachable tells whether the account can get to the data directory, before initdb fails with less to say.
func (at layout) checkReachable(who account, bin programs) error {
	if !who.other {
		return nil
	}
	blocked := ""
	for dir := at.home; ; dir = filepath.Dir(dir) {
		info, err := os.Stat(dir)
		if err != nil {
			return fmt.Errorf("pgserver: %w", err)
		}
		if !who.mayEnter(info) {
			blocked = dir
		}
		if dir == "/" {
			break
		}
	}
	if blocked == "" {
		return nil
	}
	// An access control list may allow what the mode does not show: let the account try.
	try := exec.CommandContext(context.Background(), bin.postgres, "--version")
	try.Dir = at.home
	try.SysProcAttr = &syscall.SysProcAttr{Credential: who.credential()}
	if try.Run() == nil {
		return nil
	}
	return fmt.Errorf("pgserver: PostgreSQL runs as user %s, who may not enter %s: choose a data directory elsewhere, "+
		"such as OVEN_DATA_DIR=/var/lib/oven, or run: chmod o+x %s", who.name, blocked, blocked)
}

func ownerOf(info os.FileInfo) int {
	return int(info.Sys().(*syscall.Stat_t).Uid)
}
