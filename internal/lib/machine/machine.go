// Package machine is in charge of telling what a server runs on: processor,
// memory, disk, network. It reads what Linux tells in /proc; what cannot be read is
// left at its zero value.
package machine

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"runtime"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Info is a machine. Sizes are in bytes.
type Info struct {
	Name      string // of the host
	CPU       string // the processor's model
	Cores     int
	Memory    int64
	DiskTotal int64
	DiskUsed  int64
	Interface string // that leads out
}

// Read looks at the machine, and at the disk that dir is on.
func Read(dir string) (*Info, error) {
	i := &Info{Cores: runtime.NumCPU(), CPU: first("/proc/cpuinfo", ":", "model name", "Model", "Hardware", "cpu model"), Interface: outward()}
	if i.CPU == "" {
		i.CPU = runtime.GOARCH
	}
	var err error
	if i.Name, err = os.Hostname(); err != nil {
		return nil, fmt.Errorf("name of the host: %w", err)
	}
	kilobytes, _, _ := strings.Cut(first("/proc/meminfo", ":", "MemTotal"), " ")
	if n, err := strconv.ParseInt(kilobytes, 10, 64); err == nil {
		i.Memory = n << 10
	}
	var fs unix.Statfs_t
	if err := unix.Statfs(dir, &fs); err != nil {
		return nil, fmt.Errorf("disk of %s: %w", dir, err)
	}
	i.DiskTotal = int64(fs.Blocks) * fs.Bsize
	i.DiskUsed = int64(fs.Blocks-fs.Bfree) * fs.Bsize
	return i, nil
}

// first is the value of the first line of a file that has one of the names.
func first(path, sep string, names ...string) string {
	found := ""
	lines(path, func(line string) bool {
		name, value, ok := strings.Cut(line, sep)
		for _, n := range names {
			if ok && strings.TrimSpace(name) == n {
				found = strings.TrimSpace(value)
			}
		}
		return found == ""
	})
	return found
}

// lines calls more for each line as long as it says so.
func lines(path string, more func(line string) bool) {
	f, err := os.Open(path)
	if err != nil {
		return
	}
	defer func() { _ = f.Close() }()
	for sc := bufio.NewScanner(f); sc.Scan() && more(sc.Text()); {
	}
}

// outward is the interface of the default route, or else the first that is up.
func outward() string {
	name := ""
	lines("/proc/net/route", func(line string) bool {
		if f := strings.Fields(line); len(f) > 2 && f[1] == "00000000" {
			name = f[0]
		}
		return name == ""
	})
	if name != "" {
		return name
	}
	all, err := net.Interfaces()
	if err != nil {
		return ""
	}
	for _, i := range all {
		if i.Flags&net.FlagUp != 0 && (name == "" || i.Flags&net.FlagLoopback == 0) {
			name = i.Name
		}
	}
	return name
}
