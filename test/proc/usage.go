package proc

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// RSS is the server's resident memory in MB, without PostgreSQL's.
func (o *Oven) RSS() (float64, error) { return RSS(strconv.Itoa(o.cmd.Process.Pid)) }

// RSS is the resident memory in MB of the process that /proc has by this name.
func RSS(pid string) (float64, error) {
	b, err := os.ReadFile(filepath.Join("/proc", pid, "status"))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(b)) {
		var kb float64
		if _, err := fmt.Sscanf(line, "VmRSS: %f kB", &kb); err == nil {
			return kb / 1024, nil
		}
	}
	return 0, errors.New("no VmRSS")
}

// clockTick of /proc, on every Linux that Go runs on.
const clockTick = 100.0

// process is a line of the table of processes.
type process struct {
	pid, parent int
	started     string  // ticks since boot: a pid may come again
	cpu         float64 // ms that it and its ended children have used
}

func readProcess(pid string) (p process, err error) {
	b, err := os.ReadFile(filepath.Join("/proc", pid, "stat"))
	if err != nil {
		return p, err
	}
	text := string(b)
	f := strings.Fields(text[strings.LastIndexByte(text, ')')+1:])
	if len(f) < 20 {
		return p, errors.New("stat is short")
	}
	p.started = f[19]
	ints := map[int]int{}
	for _, i := range []int{1, 11, 12, 13, 14} { // ppid, utime, stime, cutime, cstime
		if ints[i], err = strconv.Atoi(f[i]); err != nil {
			return p, err
		}
	}
	p.parent = ints[1]
	p.cpu = float64(ints[11]+ints[12]+ints[13]+ints[14]) / clockTick * 1000
	p.pid, err = strconv.Atoi(pid)
	return p, err
}

func alive(p process) bool {
	now, err := readProcess(strconv.Itoa(p.pid))
	return err == nil && now.started == p.started
}

// processes are the server's own and those below it, which are PostgreSQL's.
func (o *Oven) processes() (own process, below []process, err error) {
	dirs, err := os.ReadDir("/proc")
	if err != nil {
		return own, nil, err
	}
	all := map[int]process{}
	for _, d := range dirs {
		if _, err := strconv.Atoi(d.Name()); err != nil {
			continue
		}
		if p, err := readProcess(d.Name()); err == nil { // else it has just ended
			all[p.pid] = p
		}
	}
	pid := o.cmd.Process.Pid
	for _, p := range all {
		for at := p.parent; at != 0; at = all[at].parent {
			if at == pid {
				below = append(below, p)
				break
			}
		}
	}
	return all[pid], below, nil
}

// Usage is the CPU of the server alone and of its PostgreSQL, in ms.
func (o *Oven) Usage() (own, postgres float64, err error) {
	p, below, err := o.processes()
	for _, b := range below {
		postgres += b.cpu
	}
	return p.cpu, postgres, err
}
