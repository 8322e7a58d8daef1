package machine

import (
	"bufio"
	"bytes"
	"fmt"
	"io/fs"
	"strconv"
	"strings"
)

// Sample is what the machine was doing up to a moment: totals since it started, of
// which a caller makes rates.
type Sample struct {
	CPUBusy, CPUAll     uint64 // ticks, of all processors together
	MemUsed, MemActive  uint64 // bytes; used is what cannot be had without swapping
	NetIn, NetOut       uint64 // bytes, over all interfaces but the loopback
	DiskReads, DiskOuts uint64 // operations, of all disks
}

// ReadSample reads a sample from proc, which is /proc; an error where there is none.
func ReadSample(proc fs.FS) (Sample, error) {
	var s Sample
	for _, f := range []struct {
		name string
		line func(s *Sample, name string, fields []string)
	}{{"stat", cpu}, {"meminfo", memory}, {"net/dev", network}, {"diskstats", disks}} {
		b, err := fs.ReadFile(proc, f.name)
		if err != nil {
			return Sample{}, fmt.Errorf("machine: %w", err)
		}
		for lines := bufio.NewScanner(bytes.NewReader(b)); lines.Scan(); {
			// A long name of an interface stands beside its first number.
			if fields := strings.Fields(strings.ReplaceAll(lines.Text(), ":", " ")); len(fields) > 1 {
				f.line(&s, fields[0], fields[1:])
			}
		}
	}
	return s, nil
}

// at is the number in a place, 0 where there is none.
func at(fields []string, i int) uint64 {
	if i >= len(fields) {
		return 0
	}
	n, err := strconv.ParseUint(fields[i], 10, 64)
	if err != nil {
		return 0
	}
	return n
}

func cpu(s *Sample, name string, fields []string) {
	if name != "cpu" {
		return
	}
	for i := range min(len(fields), 8) { // what guests use is in what users use
		n := at(fields, i)
		s.CPUAll += n
		if i != 3 && i != 4 { // idle, waiting for disks
			s.CPUBusy += n
		}
	}
}

func memory(s *Sample, name string, fields []string) {
	n := at(fields, 0) << 10
	switch name {
	case "MemTotal":
		s.MemUsed += n
	case "MemAvailable":
		s.MemUsed -= min(n, s.MemUsed)
	case "Active":
		s.MemActive = n
	}
}

func network(s *Sample, name string, fields []string) {
	if name != "lo" {
		s.NetIn += at(fields, 0)
		s.NetOut += at(fields, 8)
	}
}

// disks leaves out what is made of other disks' parts, and partitions, which
// would count twice.
func disks(s *Sample, _ string, fields []string) {
	if len(fields) < 7 {
		return
	}
	name := fields[1]
	for _, made := range []string{"loop", "ram", "zram", "dm-", "md", "sr"} {
		if strings.HasPrefix(name, made) {
			return
		}
	}
	if partition(name) {
		return
	}
	s.DiskReads += at(fields, 2)
	s.DiskOuts += at(fields, 6)
}

// partition tells sda1, vda2 and nvme0n1p1 from sda, vda and nvme0n1.
func partition(name string) bool {
	base := strings.TrimRight(name, "0123456789")
	if base == name {
		return false
	}
	if strings.HasPrefix(name, "nvme") || strings.HasPrefix(name, "mmcblk") {
		return strings.HasSuffix(base, "p")
	}
	return true
}
