//go:build lab

package lab

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"testing"
	"time"
)

// A process is one that a test started. It ends with its test at the latest.
type process struct {
	name   string
	cmd    *exec.Cmd
	stdin  io.WriteCloser
	stderr tail
	exited chan struct{} // closed after its end
	killed bool          // by the test
}

// start starts a program in a namespace. Its standard output goes to stdout, if that
// is not nil.
func start(t *testing.T, namespace, dir string, stdout io.Writer, env []string, command ...string) *process {
	t.Helper()
	argv := enter(namespace, command...)
	p := &process{name: command[0] + " in " + namespace, cmd: exec.Command(argv[0], argv[1:]...), exited: make(chan struct{})}
	if p.cmd.Stdout = stdout; stdout == nil {
		p.cmd.Stdout = &p.stderr
	}
	p.cmd.Stderr = &p.stderr
	p.cmd.Dir = dir
	p.cmd.Env = append(append(os.Environ(), "HOME="+dir), env...)
	p.cmd.WaitDelay = time.Second
	// Pdeathsig is for the day on which the test binary itself is killed.
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	stdin, err := p.cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	p.stdin = stdin
	if err := p.cmd.Start(); err != nil {
		t.Fatalf("start %s: %v", p.name, err)
	}
	go func() {
		_ = p.cmd.Wait()
		close(p.exited)
	}()
	t.Cleanup(p.kill)
	return p
}

// kill ends the process without a word to anybody, as a host that loses its power.
func (p *process) kill() {
	p.killed = true
	_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL)
	<-p.exited
}

// quit asks the process to end, and kills it if it does not.
func (p *process) quit(signal syscall.Signal) {
	p.killed = true
	_ = p.cmd.Process.Signal(signal)
	select {
	case <-p.exited:
	case <-time.After(10 * time.Second):
		p.kill()
	}
}

// alive returns an error if the process has ended by itself.
func (p *process) alive() error {
	select {
	case <-p.exited:
		if !p.killed {
			return fmt.Errorf("%s ended: %v: %s", p.name, p.cmd.ProcessState, p.stderr.String())
		}
	default:
	}
	return nil
}

// tail keeps the end of what is written to it.
type tail struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

const (
	tailLen = 256 << 10 // that is kept at least
	endLen  = 4 << 10   // that is shown
)

func (o *tail) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.buf.Write(b)
	if o.buf.Len() > 2*tailLen {
		o.buf.Next(o.buf.Len() - tailLen)
	}
	return len(b), nil
}

// String returns the very end.
func (o *tail) String() string {
	text := o.whole()
	return text[max(len(text)-endLen, 0):]
}

// whole returns all that is kept.
func (o *tail) whole() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}
