package confine

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// attributes of a child: its own process group, and it ends with its parent.
func attributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

// openFiles a confined program may have.
const openFiles = 64

// become takes the limits upon this process and turns it into argv.
func become(limits string, argv []string) error {
	var w wire
	if err := json.Unmarshal([]byte(limits), &w); err != nil {
		return err
	}
	// Everything below holds for the thread that calls it, and so for the program
	// that this thread becomes.
	runtime.LockOSThread()
	// Who tries to write gets an error, and may have another way.
	signal.Ignore(unix.SIGXFSZ)
	for what, n := range map[int]uint64{unix.RLIMIT_DATA: w.Memory, unix.RLIMIT_CPU: w.Seconds, unix.RLIMIT_FSIZE: 0, unix.RLIMIT_CORE: 0, unix.RLIMIT_NOFILE: openFiles} {
		if err := unix.Setrlimit(what, &unix.Rlimit{Cur: n, Max: n}); err != nil {
			return fmt.Errorf("limit %d: %w", what, err)
		}
	}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("no new privileges: %w", err)
	}
	if err := readOnly(w.Read); err != nil {
		return fmt.Errorf("landlock: %w", err)
	}
	if err := noNetwork(); err != nil {
		return fmt.Errorf("seccomp: %w", err)
	}
	return syscall.Exec(argv[0], argv, os.Environ()) //nolint:gosec // what the caller named
}

// libraries is what programs need of the system.
var libraries = []string{"/usr", "/lib", "/lib64", "/bin", "/opt", "/nix/store", "/gnu/store", "/etc/ld.so.cache", "/etc/fonts", "/etc/ImageMagick-6", "/dev/null", "/dev/urandom", "/proc/self/exe"}

const mayRead = unix.LANDLOCK_ACCESS_FS_READ_FILE | unix.LANDLOCK_ACCESS_FS_EXECUTE

// readOnly forbids every file but the libraries and those named (Landlock's
// first version). A kernel without it leaves reading to the file modes.
func readOnly(files []string) error {
	const all = unix.LANDLOCK_ACCESS_FS_MAKE_SYM<<1 - 1 // every right of the first version
	attr := unix.LandlockRulesetAttr{Handled_access_fs: all}
	set, _, no := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, uintptr(unsafe.Pointer(&attr)), unsafe.Sizeof(attr.Handled_access_fs), 0)
	if no == unix.ENOSYS || no == unix.EOPNOTSUPP {
		return nil
	}
	if no != 0 {
		return no
	}
	for _, path := range append(libraries, files...) {
		if err := allow(int(set), path); err != nil {
			return err
		}
	}
	if _, _, no := unix.Syscall(unix.SYS_LANDLOCK_RESTRICT_SELF, set, 0, 0); no != 0 {
		return no
	}
	return unix.Close(int(set))
}

// allow lets a path be read. What does not exist needs no right.
func allow(set int, path string) error {
	fd, err := unix.Open(path, unix.O_PATH|unix.O_CLOEXEC, 0)
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENOTDIR) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	defer func() { _ = unix.Close(fd) }()
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	beneath := unix.LandlockPathBeneathAttr{Allowed_access: mayRead, Parent_fd: int32(fd)} //nolint:gosec // a descriptor
	if st.Mode&unix.S_IFMT == unix.S_IFDIR {
		beneath.Allowed_access |= unix.LANDLOCK_ACCESS_FS_READ_DIR
	}
	if _, _, no := unix.Syscall6(unix.SYS_LANDLOCK_ADD_RULE, uintptr(set), unix.LANDLOCK_RULE_PATH_BENEATH, uintptr(unsafe.Pointer(&beneath)), 0, 0, 0); no != 0 {
		return fmt.Errorf("%s: %w", path, no)
	}
	return nil
}
