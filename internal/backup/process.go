package backup

import (
	"bytes"
	"context"
	"os/exec"
	"runtime"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// gentle is how far PostgreSQL's programs stand back behind the server.
const gentle = 10

// program is one of PostgreSQL's programs at work.
type program struct {
	cmd    *exec.Cmd
	said   limited
	exited chan error // one value
}

func newProgram(ctx context.Context, path string, env, args []string) *program {
	p := &program{cmd: exec.CommandContext(ctx, path, args...), exited: make(chan error, 1)}
	p.cmd.Env, p.cmd.Dir, p.cmd.Stderr = env, "/", &p.said
	// It ends with us: one that went on would write into a database whose restore is
	// begun anew.
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Pdeathsig: syscall.SIGKILL}
	return p
}

// start runs it on a thread that lives as long as it does: the death signal comes
// when the thread that forked ends.
func (p *program) start() error {
	started := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := p.cmd.Start()
		started <- err
		if err == nil {
			p.exited <- p.cmd.Wait()
		}
	}()
	err := <-started
	if err == nil {
		_ = unix.Setpriority(unix.PRIO_PROCESS, p.cmd.Process.Pid, gentle)
	}
	return err
}

// limited keeps the end of what a program says.
type limited struct{ b bytes.Buffer }

func (l *limited) Write(p []byte) (int, error) {
	const most = 8 << 10
	l.b.Write(p)
	if n := l.b.Len(); n > most {
		l.b.Next(n - most)
	}
	return len(p), nil
}

func (l *limited) last() string {
	lines := strings.Split(strings.TrimSpace(l.b.String()), "\n")
	return strings.Join(lines[max(0, len(lines)-3):], "; ")
}
