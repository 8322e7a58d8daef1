package pgserver

import (
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

type setting struct{ name, value string }

// writeSettings writes postgresql.conf. It lies outside of the cluster's directory, where only the caller can write:
// root must not write into a directory of the account's.
func (o Options) writeSettings(at layout) error {
	var b strings.Builder
	b.WriteString("# Written by Oven at every start. Own settings go into local.conf beside this file.\n")
	for _, s := range o.settings(at) {
		fmt.Fprintf(&b, "%s = %s\n", s.name, quote(s.value))
	}
	fmt.Fprintf(&b, "include_if_exists = %s\n", quote(at.localConf))
	return replaceFile(at.conf, []byte(b.String()), 0o644)
}

func quote(value string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `''`).Replace(value) + "'"
}

func (o Options) settings(at layout) []setting {
	buffers, connections := o.SharedBuffers, o.MaxConnections
	if buffers == "" {
		buffers = "128MB"
	}
	if connections == 0 {
		connections = 100
	}
	list := []setting{
		{"cluster_name", "oven"},
		{"listen_addresses", ""},
		{"port", port},
		{"unix_socket_directories", at.run},
		{"unix_socket_permissions", "0777"}, // the password guards it; psql may be another user's
		{"password_encryption", "scram-sha-256"},
		{"max_connections", strconv.Itoa(connections)},

		{"shared_buffers", buffers},
		{"work_mem", "8MB"},
		{"maintenance_work_mem", "64MB"},
		{"dynamic_shared_memory_type", sharedMemory("/dev/shm")},
		{"random_page_cost", "1.1"}, // solid state
		{"jit", "off"},              // costs more than it gives for short queries
		{"timezone", "UTC"},

		{"synchronous_commit", "on"},
		{"wal_compression", "on"},
		{"max_wal_size", "1GB"},
		{"checkpoint_timeout", "10min"},
		{"checkpoint_completion_target", "0.9"},
		{"track_io_timing", "on"},

		// Standard error is the log file that Oven opened. It must hold no text of users: no statements, no DETAIL
		// with the values of a violated key.
		{"logging_collector", "off"},
		{"log_destination", "stderr"},
		{"log_timezone", "UTC"},
		{"log_line_prefix", "%m [%p] "},
		{"log_checkpoints", "off"},
		{"log_error_verbosity", "terse"},
		{"log_min_error_statement", "panic"},
	}
	if o.Unsafe {
		list = append(list,
			setting{"fsync", "off"}, setting{"full_page_writes", "off"}, setting{"synchronous_commit", "off"},
			setting{"wal_level", "minimal"}, setting{"max_wal_senders", "0"})
	}
	return list
}

// sharedMemory chooses where parallel queries meet. Containers often have 64 MB in /dev/shm, which one hash join
// fills; files in the cluster's directory are slower and do not run out.
func sharedMemory(dir string) string {
	const enough = 256 << 20
	var st unix.Statfs_t
	if unix.Statfs(dir, &st) != nil || st.Type != unix.TMPFS_MAGIC || st.Blocks*uint64(st.Bsize) < enough {
		return "mmap"
	}
	return "posix"
}
