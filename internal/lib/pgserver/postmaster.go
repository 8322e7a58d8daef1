package pgserver

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// postmaster is PostgreSQL's main process, a child of ours.
type postmaster struct {
	process *os.Process
	started time.Time
	done    chan struct{} // closed when it has ended
	err     error         // how it ended; valid after done
}

// dress sets what every PostgreSQL process of ours runs with.
func dress(cmd *exec.Cmd, who account) {
	cmd.Dir = "/"
	cmd.Env = []string{"PATH=/usr/bin:/bin", "LC_ALL=C", "TZ=UTC", "HOME=/"} // no PG* of the caller's
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Credential: who.credential(),
		Setsid:     true,           // Ctrl-C is for Oven, which stops the cluster after its own work
		Pdeathsig:  syscall.SIGINT, // to the postmaster: a fast, clean shutdown
	}
}

type launched struct {
	started chan error // one value
	exited  chan error // one value; after a failed start too
}

// launch starts a command on a thread of its own that lives as long as the command does: the parent death signal
// comes when the thread that forked ends, and the runtime may end any thread but one that is locked and waiting.
func launch(cmd *exec.Cmd) launched {
	l := launched{started: make(chan error, 1), exited: make(chan error, 1)}
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		l.started <- err
		if err == nil {
			err = cmd.Wait()
		}
		l.exited <- err
	}()
	return l
}

// startPostmaster returns when the cluster answers. It tries again for a while when what is left of a killed
// postmaster is still in the way.
func startPostmaster(ctx context.Context, at layout, who account, bin programs, log *slog.Logger) (*postmaster, error) {
	patience := time.Now().Add(15 * time.Second)
	for {
		pm, output, err := tryPostmaster(ctx, at, who, bin, log)
		if err == nil {
			return pm, nil
		}
		leftover := strings.Contains(output, "lock file") || strings.Contains(output, "pre-existing shared memory")
		if !leftover || time.Now().After(patience) {
			return nil, err
		}
		if sleep(ctx, 100*time.Millisecond) != nil {
			return nil, err
		}
	}
}

func tryPostmaster(ctx context.Context, at layout, who account, bin programs, log *slog.Logger) (*postmaster, string, error) {
	file, err := os.OpenFile(at.log, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return nil, "", fmt.Errorf("pgserver: %w", err)
	}
	defer file.Close()
	before, err := file.Seek(0, io.SeekEnd)
	if err != nil {
		return nil, "", fmt.Errorf("pgserver: %w", err)
	}
	cmd := exec.Command(bin.postgres, "-D", at.data, "-c", "config_file="+at.conf)
	cmd.Stdout, cmd.Stderr = file, file
	dress(cmd, who)
	pm := &postmaster{started: time.Now(), done: make(chan struct{})}
	child := launch(cmd)
	if err := <-child.started; err != nil {
		return nil, "", fmt.Errorf("pgserver: start PostgreSQL: %w", err)
	}
	pm.process = cmd.Process
	go func() {
		pm.err = <-child.exited
		close(pm.done)
	}()
	told := false
	for {
		// The file may be another's for a moment, and it is written before connections are taken: both must fit.
		pid, err := readPidFile(at.data)
		if err == nil && pid.pid == pm.process.Pid && pid.status == "ready" {
			return pm, "", nil
		}
		if !told && time.Since(pm.started) > 3*time.Second {
			told = true
			log.Info("PostgreSQL is not ready yet; it may be recovering from a crash")
		}
		select {
		case <-pm.done:
			out := make([]byte, 16<<10)
			n, _ := file.ReadAt(out, before) // io.EOF: it is shorter
			output := string(out[:n])
			return nil, output, fmt.Errorf("pgserver: PostgreSQL did not start: %s", reason(output))
		case <-ctx.Done():
			pm.stop(context.WithoutCancel(ctx))
			return nil, "", fmt.Errorf("pgserver: start PostgreSQL: %w", context.Cause(ctx))
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// stop asks for a fast shutdown, for an immediate one when ctx ends, and kills what does not answer that.
func (pm *postmaster) stop(ctx context.Context) error {
	pm.process.Signal(syscall.SIGINT) // an error means that it has ended
	select {
	case <-pm.done:
		return pm.exit()
	case <-ctx.Done():
	}
	pm.process.Signal(syscall.SIGQUIT)
	select {
	case <-pm.done:
	case <-time.After(5 * time.Second):
		pm.process.Kill()
		<-pm.done
	}
	return fmt.Errorf("pgserver: stopped without flushing, the next start recovers: %w", context.Cause(ctx))
}

func (pm *postmaster) exit() error {
	if pm.err != nil {
		return fmt.Errorf("pgserver: PostgreSQL ended: %w", pm.err)
	}
	return nil
}

// pidFile is what we need of postmaster.pid.
type pidFile struct {
	pid       int
	socketDir string
	status    string // starting, ready, stopping
}

func readPidFile(data string) (pidFile, error) {
	text, err := os.ReadFile(filepath.Join(data, "postmaster.pid"))
	if err != nil {
		return pidFile{}, err
	}
	lines := strings.Split(string(text), "\n")
	if len(lines) < 8 { // being written
		return pidFile{}, nil
	}
	pid, _ := strconv.Atoi(strings.TrimSpace(lines[0])) // 0 is nobody's
	return pidFile{pid: pid, socketDir: lines[4], status: strings.TrimSpace(lines[7])}, nil
}

// stopOrphan ends what a killed owner left running, and removes a postmaster.pid that nobody stands behind: its
// number may be another process's by now, for which PostgreSQL would refuse to start.
//
// Normally there is nothing to do but wait: the parent death signal has told it to stop.
func stopOrphan(ctx context.Context, at layout, log *slog.Logger) error {
	steps := []struct {
		signal syscall.Signal
		wait   time.Duration
	}{{0, 5 * time.Second}, {syscall.SIGINT, time.Minute}, {syscall.SIGQUIT, 10 * time.Second}, {syscall.SIGKILL, 5 * time.Second}}
	for _, step := range steps {
		left := inhabitants(at.data)
		if len(left) == 0 {
			break
		}
		log.Info("waiting for the cluster of an earlier oven to end", "processes", len(left))
		if step.signal != 0 {
			signalOrphan(at, left, step.signal)
		}
		for end := time.Now().Add(step.wait); len(left) > 0 && time.Now().Before(end); left = inhabitants(at.data) {
			if err := sleep(ctx, 50*time.Millisecond); err != nil {
				return fmt.Errorf("pgserver: wait for the cluster of an earlier oven: %w", err)
			}
		}
	}
	if left := inhabitants(at.data); len(left) > 0 {
		return fmt.Errorf("pgserver: PostgreSQL processes of an earlier oven do not end: %v", left)
	}
	err := os.Remove(filepath.Join(at.data, "postmaster.pid"))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("pgserver: %w", err)
	}
	return nil
}

// signalOrphan signals the postmaster, which tells its children; the children where it is gone.
func signalOrphan(at layout, left []int, signal syscall.Signal) {
	pid, err := readPidFile(at.data)
	for _, p := range left {
		if err == nil && p == pid.pid {
			syscall.Kill(p, signal) // may have ended since
			return
		}
	}
	for _, p := range left {
		syscall.Kill(p, signal)
	}
}

// inhabitants are the PostgreSQL processes whose working directory is the cluster: a postmaster and its children,
// whatever numbers or names they have.
func inhabitants(data string) []int {
	home, err := os.Stat(data)
	if err != nil {
		return nil
	}
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	var found []int
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		// Those that we may not look at are not ours.
		exe, err := os.Readlink(filepath.Join("/proc", e.Name(), "exe"))
		if err != nil || strings.TrimSuffix(filepath.Base(exe), " (deleted)") != "postgres" {
			continue
		}
		cwd, err := os.Stat(filepath.Join("/proc", e.Name(), "cwd"))
		if err == nil && os.SameFile(home, cwd) {
			found = append(found, pid)
		}
	}
	return found
}
