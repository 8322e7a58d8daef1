package confine

import "golang.org/x/sys/unix"

// Landlocked tells whether this kernel keeps confined programs from reading
// files that are not named.
func Landlocked() bool {
	version, _, no := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, unix.LANDLOCK_CREATE_RULESET_VERSION)
	return no == 0 && version > 0
}
