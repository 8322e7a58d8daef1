package pgserver

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
)

// account is the user that PostgreSQL runs as. It refuses to run as root.
type account struct {
	name     string
	uid, gid int
	other    bool // not the calling user
}

const nobody = 65534

// accountFor is the calling user; for root it is the owner of the cluster, else "postgres", else nobody.
func accountFor(at layout) (account, error) {
	me := os.Geteuid()
	owner, ownerGroup, exists := -1, -1, false
	if info, err := os.Stat(at.data); err == nil {
		st := info.Sys().(*syscall.Stat_t)
		owner, ownerGroup, exists = int(st.Uid), int(st.Gid), true
	} else if errors.Is(err, os.ErrPermission) {
		return account{}, fmt.Errorf("pgserver: this user may not enter %s: run as root or as the owner of the data directory", at.home)
	}
	if me != 0 {
		if exists && owner != me {
			return account{}, fmt.Errorf("pgserver: %s belongs to user %d: run as root or as that user", at.data, owner)
		}
		return account{name: strconv.Itoa(me), uid: me, gid: os.Getegid()}, nil
	}
	if exists && owner != 0 {
		return account{name: nameOf(owner), uid: owner, gid: ownerGroup, other: true}, nil
	}
	who, err := hiredAccount()
	if err != nil {
		return account{}, err
	}
	if exists { // copied or unpacked by root
		err := filepath.WalkDir(at.data, func(path string, _ fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			return os.Lchown(path, who.uid, who.gid)
		})
		if err != nil {
			return account{}, fmt.Errorf("pgserver: give the cluster to user %s: %w", who.name, err)
		}
	}
	return who, nil
}

func hiredAccount() (account, error) {
	found, err := user.Lookup("postgres")
	if err != nil {
		found, err = user.LookupId(strconv.Itoa(nobody))
	}
	if err != nil { // initdb fails for a user that has no name
		return account{}, errors.New("pgserver: PostgreSQL cannot run as root, and there is neither a user postgres nor a user " +
			"with id 65534: run: useradd --system postgres")
	}
	uid, err1 := strconv.Atoi(found.Uid)
	gid, err2 := strconv.Atoi(found.Gid)
	if err := errors.Join(err1, err2); err != nil {
		return account{}, fmt.Errorf("pgserver: user %s: %w", found.Username, err)
	}
	return account{name: found.Username, uid: uid, gid: gid, other: true}, nil
}

func nameOf(uid int) string {
	if found, err := user.LookupId(strconv.Itoa(uid)); err == nil {
		return found.Username
	}
	return strconv.Itoa(uid)
}

// credential drops root's supplementary groups; nil keeps the calling user.
func (who account) credential() *syscall.Credential {
	if !who.other {
		return nil
	}
	return &syscall.Credential{Uid: uint32(who.uid), Gid: uint32(who.gid), Groups: []uint32{}}
}

func (who account) mayEnter(dir os.FileInfo) bool {
	st := dir.Sys().(*syscall.Stat_t)
	switch {
	case int(st.Uid) == who.uid:
		return dir.Mode()&0o100 != 0
	case int(st.Gid) == who.gid:
		return dir.Mode()&0o010 != 0
	}
	return dir.Mode()&0o001 != 0
}
